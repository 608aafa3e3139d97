"""What needs no AWS: format, validity, checkov, and rules about the text."""

import json
import re
import socket
import subprocess
import sys

import pytest
from terraform import INFRA, REPOSITORY, Root, copy_of_infra

ROOTS = ["bootstrap", "live/single", "live/private", "live/ha"]
CONFIGURATION = sorted(
    p
    for p in INFRA.rglob("*")
    if p.suffix in (".tf", ".hcl") and ".terraform" not in p.parts and not p.name.startswith(".terraform")
)

pytestmark = pytest.mark.static


def blocks(kind: str):
    """Each `kind "name" { … }` at the left margin of a file, as (file, name, text)."""
    for path in CONFIGURATION:
        for name, text in re.findall(rf'^{kind} "([^"]+)" \{{\n(.*?)^\}}', path.read_text(), re.MULTILINE | re.DOTALL):
            yield path.relative_to(INFRA), name, text


def test_no_route_leads_out_of_these_tests():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, pytest.raises(OSError, match="unreachable"):
        # An address for documentation; connecting a datagram socket sends nothing.
        probe.connect(("192.0.2.1", 443))


def test_everything_is_formatted():
    Root(INFRA, {}).run("fmt", "-check", "-recursive", "-diff")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A copy of its own: other tests bind theirs to a backend."""
    return copy_of_infra(tmp_path_factory.mktemp("untouched"))


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_is_valid(untouched, name):
    root = Root(untouched / name, {})
    root.init("-backend=false")
    verdict = json.loads(root.run("validate", "-json").stdout)
    assert verdict["valid"] and not verdict["diagnostics"], verdict["diagnostics"]


def test_every_variable_is_described_and_typed():
    missing = [
        (str(f), n)
        for f, n, text in blocks("variable")
        if not (re.search(r"^  description +=", text, re.MULTILINE) and re.search(r"^  type +=", text, re.MULTILINE))
    ]
    assert missing == []


def test_every_output_is_described():
    assert [(str(f), n) for f, n, text in blocks("output") if "description" not in text] == []


def test_no_file_is_longer_than_400_lines():
    assert [str(p) for p in CONFIGURATION if len(p.read_text().splitlines()) > 400] == []


def test_no_configuration_names_an_endpoint_or_a_credential():
    forbidden = re.compile(
        r"^\s*(endpoints|endpoint_url|access_key|secret_key|token\b|skip_(credentials|requesting|metadata))|localhost|127\.0\.0\.1",
        re.MULTILINE,
    )
    assert [(str(p.relative_to(INFRA)), m[0]) for p in CONFIGURATION if (m := forbidden.search(p.read_text()))] == []


def test_every_security_rule_is_a_resource_of_its_own():
    text = "\n".join(p.read_text() for p in CONFIGURATION)
    assert 'resource "aws_security_group_rule"' not in text
    for path in CONFIGURATION:
        for group in re.findall(r'^resource "aws_security_group" .*?^\}', path.read_text(), re.MULTILINE | re.DOTALL):
            assert not re.search(r"^\s+(ingress|egress) ", group, re.MULTILINE), path


def test_state_backends_lock_by_a_file_and_encrypt():
    for name in ROOTS[1:]:
        text = (INFRA / name / "backend.tf").read_text()
        assert re.search(r"use_lockfile\s+= true", text) and re.search(r"encrypt\s+= true", text), name


def checkov() -> dict:
    command = [
        sys.executable,
        "-m",
        "checkov.main",
        "--directory",
        ".",
        "--framework",
        "terraform",
        "--skip-download",
        "--output",
        "json",
    ]
    done = subprocess.run(command, cwd=INFRA, capture_output=True, text=True, timeout=300, check=False)
    return json.loads(done.stdout)


def test_checkov_finds_nothing_that_has_no_reason():
    report = checkov()
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 200, "it looked at the modules"
    failed = [(c["check_id"], c["resource"], c["check_name"]) for c in report["results"]["failed_checks"]]
    assert failed == []
    # A skip that nothing needs any more would hide the next finding.
    used = {(c["check_id"], c["file_path"]) for c in report["results"]["skipped_checks"]}
    stale = []
    for path in CONFIGURATION:
        for check, reason in re.findall(r"checkov:skip=(\w+):?(.*)", path.read_text()):
            assert reason.strip(), f"{path}: {check} is skipped without a reason"
            if not any(c == check and str(path).endswith(f) for c, f in used):
                stale.append((str(path.relative_to(INFRA)), check))
    assert stale == []


def test_this_suites_scripts_are_clean():
    run = REPOSITORY / "tests/infra/run"
    config = REPOSITORY / "app/pyproject.toml"
    subprocess.run(["shellcheck", "--external-sources", "--source-path", REPOSITORY, run], check=True)
    for arguments in (["format", "--check", "--quiet"], ["check", "--quiet", "--ignore", "S,E501"]):
        command = [
            "ruff",
            *arguments,
            "--no-cache",
            "--config",
            config,
            REPOSITORY / "tests/infra",
            REPOSITORY / "tests/aws/moto_mutex.py",
        ]
        subprocess.run(command, check=True)
