"""What no linter knows of this project's workflows: that every step is something that can be run here as well, that
its make targets and relman's verbs and flags exist, and that nothing a user typed gets into a line of shell.

First it has to find the faults that are planted below; then it looks at .github."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
OWN = re.compile(r"^\$/\.github/actions/[a-z-]+$")
MAKE = re.compile(r"^(?:make|exec \.github/step) ([a-z-]+)$")
# What has to hear that its job is cancelled.
HEARS = re.compile(r"^ci-(release|deploy|rollback|resume|drift|infra-[a-z]+)$")


def targets() -> set[str]:
    """The targets of the Makefile and of what it includes."""
    texts = [(ROOT / name).read_text() for name in ("Makefile", ".github/ci.mk")]
    return {name for text in texts for name in re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.M)}


# What reads the history: versions, what is newer, what was taken back.
HISTORY = re.compile(r"ci-(release|deploy|rollback|resume|drift)$")
# What changes something.
CHANGES = re.compile(r"ci-(release|deploy|rollback|resume|decide|infra-apply)$")


def problems_of_a_job(at: str, job: dict, workflow: dict) -> list[str]:
    """What is wrong with the steps of a job together."""
    steps = steps_of(job)
    lines = [step.get("run", "").strip() for step in steps]
    checkouts = [step.get("with", {}) for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    found = []
    if any(HISTORY.search(line) for line in lines) and any(options.get("fetch-depth") != 0 for options in checkouts):
        found.append(f"{at}: the history is read, and the checkout has no fetch-depth: 0")
    group = job.get("concurrency", workflow.get("concurrency", {}))
    if any(CHANGES.search(line) for line in lines) and (
        group.get("cancel-in-progress") is not False or group.get("queue") != "max"
    ):
        found.append(f"{at}: what changes something is neither cancelled nor dropped: queue: max")
    if any(step.get("uses", "").startswith("aws-actions/") for step in steps) and "environment" not in job:
        found.append(f"{at}: a role of AWS without an environment")
    return found


def expanded_by_make(name: str, workflow: dict, makefiles: str) -> list[str]:
    """Variables of a workflow that a makefile would expand: `$(NAME)` runs what is in it, `$$NAME` does not."""
    jobs = workflow["jobs"].values()
    given = [where.get("env", {}) for job in jobs for where in (workflow, job, *steps_of(job))]
    names = {variable for variables in given for variable in variables}
    return [
        f"{name}: make expands {v}: write $${v}" for v in sorted(names) if re.search(rf"\$[({{]{v}[)}}]", makefiles)
    ]


def steps_of(job: dict) -> list[dict]:
    return job.get("steps", [])


def problems(name: str, text: str, known: set[str]) -> list[str]:
    """What is wrong with a workflow."""
    found = []
    workflow = yaml.safe_load(text)
    if workflow.get("permissions") != {}:
        found.append(f"{name}: permissions on top are not {{}}")
    if "concurrency" not in workflow:
        found.append(f"{name}: no concurrency")
    for line in text.splitlines():
        if re.search(r"\buses: [^$]", line) and not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line):
            found.append(f"{name}: no version beside the commit: {line.strip()}")
    found += expanded_by_make(name, workflow, "".join((ROOT / m).read_text() for m in ("Makefile", ".github/ci.mk")))
    for job_name, job in workflow["jobs"].items():
        at = f"{name}: {job_name}"
        found += problems_of_a_job(at, job, workflow)
        found += [f"{at}: no {key}" for key in ("permissions", "timeout-minutes") if key not in job]
        for step in steps_of(job):
            uses, run = step.get("uses"), step.get("run")
            if uses and not (PINNED.match(uses) or OWN.match(uses)):
                found.append(f"{at}: {uses} is not pinned by its commit")
            if (
                uses
                and uses.startswith("actions/checkout@")
                and step.get("with", {}).get("persist-credentials") is not False
            ):
                found.append(f"{at}: the checkout leaves a token behind")
            if run is None:
                continue
            made = MAKE.match(run.strip())
            if "${{" in run:
                found.append(f"{at}: an expression in a line of shell: {run}")
            elif run.strip() != ".ci/run" and not made:
                found.append(f"{at}: neither a make target nor .ci/run: {run}")
            elif made and made[1] not in known:
                found.append(f"{at}: there is no target {made[1]}")
            if made and HEARS.match(made[1]) and not run.startswith("exec .github/step "):
                found.append(f"{at}: {made[1]} does not hear that the job is cancelled: exec .github/step {made[1]}")
    # YAML takes `on` for a truth.
    events = workflow.get(True)
    dispatch = events.get("workflow_dispatch") if isinstance(events, dict) else None
    for asked in (dispatch or {}).get("inputs", {}):
        if f"inputs.{asked}" not in text:
            found.append(f"{name}: input {asked} is asked for and not used")
    return found


def verbs() -> dict[str, str]:
    """The verbs of relman with their help, as docs/cli.md has them."""
    parts = re.split(r"^## relman ?", (ROOT / "docs/cli.md").read_text(), flags=re.M)[1:]
    sections = {part.split("\n", 1)[0].strip(): part for part in parts}
    everywhere = sections.pop("")
    return {verb: text + everywhere for verb, text in sections.items()}


def lines_of_relman(text: str) -> list[str]:
    return re.findall(r"\$\(RELMAN\) ([^;\n\\|]+)", text)


def wrong_lines(text: str, known: dict[str, str]) -> list[str]:
    """Lines that call relman by a verb or a flag that it does not have."""
    found = []
    for line in lines_of_relman(text):
        verb = line.split()[0]
        if verb not in known:
            found.append(f"ci.mk: relman has no verb {verb}")
            continue
        for flag in re.findall(r"(?<=\s)--([a-z-]+)", line):
            if f"--{flag}" not in known[verb]:
                found.append(f"ci.mk: relman {verb} has no --{flag}")
    return found


PLANTED = """
name: planted
on: {workflow_dispatch: {inputs: {to: {}}}}
permissions: {contents: write}
jobs:
  one:
    steps:
      - uses: actions/checkout@v5
      - run: echo ${{ inputs.to }}
      - run: curl example.com
      - run: make nothing-of-this-name
      - run: make ci-deploy
        env: {PROFILE: x}
      - uses: aws-actions/configure-aws-credentials@0000000000000000000000000000000000000000
"""
FAULTS = [
    "permissions on top",
    "no concurrency",
    "no permissions",
    "no timeout-minutes",
    "not pinned",
    "leaves a token behind",
    "an expression in a line of shell",
    "neither a make target",
    "there is no target nothing-of-this-name",
    "ci-deploy does not hear",
    "no version beside the commit: - uses: aws-actions",
    "no fetch-depth: 0",
    "neither cancelled nor dropped",
    "a role of AWS without an environment",
    "make expands PROFILE",
]


def self_test(known: set[str], relman: dict[str, str]) -> None:
    found = "\n".join(problems("planted", PLANTED, known))
    missed = [fault for fault in FAULTS if fault not in found]
    wrong = wrong_lines("$(RELMAN) deploy --no-such-flag\n$(RELMAN) destroy\n", relman)
    if missed or len(wrong) != 2:
        sys.exit(f"pipeline: planted faults were not found: {missed} {wrong}")


HOSTILE = "v1.0.0; touch pwned $(touch pwned) `touch pwned` ' \" $HOME ${MAKE} --yes"


def typed_text_stays_text() -> list[str]:
    """Runs steps of rollback, deploy, approve and release with a stub for relman and hostile words in each variable."""
    found = []
    back = {"TO": HOSTILE, "REASON": HOSTILE}
    decided = {"DEPLOYMENT": HOSTILE, "REASON": HOSTILE}
    calls = [
        ("ci-rollback", back, [f"--to={HOSTILE}", f"--reason={HOSTILE}", "blue-green"], "blue-green", "a key"),
        ("ci-rollback", back | {"TO": ""}, [f"--reason={HOSTILE}", HOSTILE], HOSTILE, ""),
        ("ci-deploy", {}, [HOSTILE], HOSTILE, ""),
        ("ci-decide", decided | {"DECISION": "reject"}, ["reject", f"--reason={HOSTILE}", "--", HOSTILE], HOSTILE, ""),
        ("ci-decide", decided | {"DECISION": HOSTILE}, ["approve", f"--reason={HOSTILE}", "--", HOSTILE], HOSTILE, ""),
        ("ci-release", {"BRANCH": f"feature/{HOSTILE}"}, ["--prerelease", "v1-0-0--touch-pwned-"], "", ""),
    ]
    for target, variables, expected, where, key in calls:
        with tempfile.TemporaryDirectory() as work:
            stub = Path(work) / "relman"
            stub.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word" >>"$ARGV"; done\n')
            stub.chmod(0o755)
            argv = Path(work) / "argv"
            environment = {"ENVIRONMENT": where, "SSH_KEY": key, "ARGV": str(argv), "RUNNER_TEMP": work}
            done = subprocess.run(
                ["make", "-f", ROOT / "Makefile", target, f"RELMAN={stub}"],
                cwd=work,
                env={**os.environ, **environment, **variables},
                capture_output=True,
                text=True,
                check=False,
            )
            words = argv.read_text().splitlines() if argv.exists() else []
            found += [
                f"{target}: {word!r} is not one word of {words} {done.stderr}" for word in expected if word not in words
            ]
            left = sorted(path.name for path in Path(work).iterdir() if path.name not in ("relman", "argv"))
            if left:
                found.append(f"{target}: left {left} behind")
    return found


STUB = """#!/usr/bin/env bash
trap '{on_int}' INT
trap 'sleep 1; echo TERM >>"$SIGNALS"; exit 130' TERM
echo begun >"$SIGNALS"
for _ in {{1..100}}; do sleep 0.1; done
"""


def a_cancelled_job_is_heard() -> list[str]:
    """Signals a step as a runner does, its first process alone, and looks whether relman hears it and has its time."""
    told = 'echo INT >>"$SIGNALS"'
    calls = [
        (f"{told}; exit 130", [signal.SIGINT], ["begun", "INT"]),
        (told, [signal.SIGINT, signal.SIGTERM], ["begun", "INT", "TERM"]),
    ]
    return [fault for call in calls for fault in cancelled(*call)]


def cancelled(on_int: str, numbers: list[signal.Signals], expected: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as work:
        stub, signals, script = (Path(work) / name for name in ("relman", "signals", "step.sh"))
        stub.write_text(STUB.format(on_int=on_int))
        stub.chmod(0o755)
        script.write_text(f"exec .github/step ci-deploy RELMAN={stub}\n")
        environment = {"ENVIRONMENT": "staging", "SSH_KEY": "a key", "RUNNER_TEMP": work, "SIGNALS": str(signals)}
        step = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.DEVNULL,
            # As a runner starts it: what was put into the background ignores interrupts, and so would all of its own.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

        def heard() -> list[str]:
            return signals.read_text().split() if signals.exists() else []

        # Each signal is heard before the next one comes.
        for number, before in zip(numbers, expected, strict=False):
            until = time.monotonic() + 20
            while before not in heard() and time.monotonic() < until:
                time.sleep(0.02)
            step.send_signal(number)
        try:
            step.wait(7.5)
        except subprocess.TimeoutExpired:
            step.kill()
            return ["a cancelled step goes on until it is killed"]
        left = (Path(work) / "relman-ssh-key").exists()
        return [] if heard() == expected and step.returncode and not left else [f"cancelled: {heard()} {left}"]


def terraform_gets_what_it_needs() -> list[str]:
    """Runs the infrastructure's steps with a stub for Terraform: the roots of relman.toml, the keys of the roles."""
    calls = [
        ("ci-infra-init", "staging", ["-chdir=live/single init", "-backend-config=key=staging.tfstate"]),
        ("ci-infra-init", "production", ["-chdir=live/ha init", "-backend-config=key=production.tfstate"]),
        ("ci-infra-plan", "staging", ["-lock=false", "-var-file=staging.tfvars", "-out=pipeline.tfplan"]),
        ("ci-infra-drift", "staging", ["-lock=false", "-detailed-exitcode"]),
        ("ci-infra-apply", "staging", ["apply -input=false -lock-timeout=15m", "pipeline.tfplan"]),
        ("ci-infra-init", "$(touch pwned)", ["is not the name of an environment"]),
        ("ci-infra-init", "nowhere", ["relman.toml has no terraform.directory for nowhere"]),
    ]
    found = []
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work) / "repository"
        for name in ("Makefile", ".github/ci.mk", "infra/pipeline.sh", "relman.toml"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        (copy / "infra/live/single").mkdir(parents=True)
        stub = Path(work) / "terraform"
        stub.write_text('#!/bin/sh\necho "$*"\ncase $* in *-out=*) : >live/single/pipeline.tfplan ;; esac\n')
        stub.chmod(0o755)
        for target, where, expected in calls:
            environment = {"ENVIRONMENT": where, "BACKEND_HCL": "bucket", "FOUNDATION": "{}"}
            environment["PATH"] = f"{work}:{os.environ['PATH']}"
            done = subprocess.run(
                ["make", target],
                cwd=copy,
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            said = done.stdout + done.stderr
            found += [f"{target} in {where}: no {word!r} in {said}" for word in expected if word not in said]
        if not (copy / "target/infra/pipeline.tfplan").is_file() or list(copy.rglob("pwned")):
            found.append("infra: the plan is not where it is applied from, or an environment's name was run")
    return found


GH = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --dir ] && cp "$RELEASE"/* "$2"; [ "$1" = attestation ] && exit "$VOUCHED"; shift; done
"""


def only_what_is_whole_is_installed() -> list[str]:
    """Runs the action's script with a stub for GitHub: a release that is whole, changed, unnamed, or nobody's."""
    found = []
    archive = f"relman-v1.2.3-{os.uname().machine}-linux.tar.gz"
    cases = [
        ("whole", {}, 0, "relman 1.2.3"),
        ("changed", {}, 1, "is not what its release says"),
        ("unnamed", {}, 1, "SHA256SUMS"),
        ("whole", {"VOUCHED": "1"}, 1, "nobody vouches"),
        ("whole", {"VOUCHED": "1", "ATTESTATION": "false"}, 0, "relman 1.2.3"),
        ("whole", {"VERSION": "v1.2.3; touch pwned"}, 1, "is not vX.Y.Z"),
        ("whole", {"REPOSITORY": "a/b/../../c"}, 1, "is not ORG/REPO"),
    ]
    for state, variables, code, expected in cases:
        with tempfile.TemporaryDirectory() as work:
            release, gh = Path(work) / "release", Path(work) / "gh"
            release.mkdir()
            gh.write_text(GH)
            gh.chmod(0o755)
            with tarfile.open(release / archive, "w:gz") as tar:
                for name in ("relman", "relman-host"):
                    (Path(work) / name).write_text("#!/bin/sh\necho relman 1.2.3\n")
                    (Path(work) / name).chmod(0o755)
                    tar.add(Path(work) / name, name)
            digest = hashlib.sha256((release / archive).read_bytes()).hexdigest()
            named = "another.tar.gz" if state == "unnamed" else archive
            (release / "SHA256SUMS").write_text(f"{digest}  {named}\n")
            if state == "changed":
                (release / archive).write_bytes((release / archive).read_bytes() + b"x")
            environment = {"VERSION": "v1.2.3", "REPOSITORY": "acme/relman", "ANSIBLE": "false", "VOUCHED": "0"}
            environment |= {"RELEASE": str(release), "RUNNER_TEMP": f"{work}/temp", "GITHUB_PATH": f"{work}/path"}
            environment |= {"PATH": f"{work}:{os.environ['PATH']}", **variables}
            script = ROOT / ".github/actions/relman/install.sh"
            done = subprocess.run(
                ["bash", script],
                cwd=work,
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            said = done.stdout + done.stderr
            if done.returncode != code or expected not in said or (code and (Path(work) / "path").exists()):
                found.append(f"install {state} {variables}: {done.returncode} {said}")
    return found


def main() -> None:
    known, relman = targets(), verbs()
    self_test(known, relman)
    found = typed_text_stays_text() + a_cancelled_job_is_heard() + terraform_gets_what_it_needs()
    found += only_what_is_whole_is_installed()
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    for path in workflows:
        found += problems(path.name, path.read_text(), known)
    text = (ROOT / ".github/ci.mk").read_text()
    found += wrong_lines(text, relman)
    calls = len(lines_of_relman(text))
    if len(workflows) < 8 or calls < 9:
        found.append(f"only {len(workflows)} workflows and {calls} calls of relman were found")
    if found:
        sys.exit("\n".join(found))
    print(f"pipeline: {len(workflows)} workflows and {calls} calls of relman are as they should be")


if __name__ == "__main__":
    main()
