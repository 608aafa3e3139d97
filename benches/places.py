"""Repositories to measure in: the service of app/ on the lab's host, and histories of many commits."""

import json
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from measure import Run, run

ROOT = Path(__file__).resolve().parent.parent
RELMAN = str(Path(os.environ.get("RELMAN_BIN", ROOT / "target/bin/release")) / "relman")


def lab(name: str) -> str:
    """What `tests/lab/lab env` says."""
    try:
        return os.environ[name]
    except KeyError:
        raise SystemExit(f'bench: {name} is not set: make bench, or eval "$(tests/lab/lab env)"') from None


class Place:
    """A repository with a relman.toml and a ledger of its own."""

    def __init__(
        self,
        directory: Path,
        repository: str,
        ansible_command: str = "ansible-playbook",
        hosts: range = range(1),
        via: str = "ansible",
    ) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.root = directory
        self.repo = directory / "repo"
        self.state = directory / "state"
        self.repo.mkdir(parents=True)
        self.state.mkdir()
        self.repository = repository
        self.ledger = secrets.token_hex(16)
        self.ansible_command = ansible_command
        self.hosts = hosts
        self.via = via
        # The bench's own variables are no keys of the configuration, which relman would refuse.
        mine = {name: value for name, value in os.environ.items() if not name.startswith("RELMAN_")}
        self.env = {**mine, "XDG_STATE_HOME": str(self.state), "NO_COLOR": "1"}

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def start(self) -> None:
        """An empty repository that signs nothing and runs no hook."""
        self.git("init", "--quiet", "--initial-branch", "main")
        for key, value in {
            "user.name": "Bench",
            "user.email": "bench@example.com",
            "commit.gpgsign": "false",
            "tag.gpgsign": "false",
            "core.hooksPath": "/dev/null",
        }.items():
            self.git("config", key, value)

    def add_service(self) -> None:
        for name in ("Dockerfile", ".dockerignore", "requirements.txt"):
            shutil.copy(ROOT / "app" / name, self.repo / name)
        shutil.copytree(ROOT / "app/web", self.repo / "web", ignore=shutil.ignore_patterns("__pycache__"))
        (self.repo / "relman.toml").write_text(self.configuration(), encoding="utf-8")

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def change(self, message: str) -> None:
        (self.repo / "web/mark.py").write_text(f'MARK = "{secrets.token_hex(8)}"\n', encoding="utf-8")
        self.commit(message)

    def relman(self, *arguments: str, check: bool = True) -> Run:
        return run([RELMAN, *arguments], self.repo, self.env, check)

    def json(self, *arguments: str) -> dict:
        return json.loads(self.relman(*arguments, "-o", "json").stdout)

    def database(self) -> Path:
        """The ledger's file."""
        for path in sorted(self.state.rglob("*")):
            if path.is_file() and path.stat().st_size and path.read_bytes()[:15] == b"SQLite format 3":
                return path
        raise SystemExit(f"bench: no ledger below {self.state}")

    def configuration(self) -> str:
        hosts = ", ".join(host(number) for number in self.hosts)
        return f"""[service]
name = "web"

[image]
repository = "{lab("LAB_REGISTRY")}/{self.repository}"
build_args = {{ BASE_IMAGE = "{lab("BASE_IMAGE")}" }}

[version]
git_tag = "local"

[ledger]
id = "{self.ledger}"

[ansible]
directory = "{ROOT / "ansible"}"
command = "{self.ansible_command}"

[run]
port = 8000
memory_mib = 128

[run.health]
interval_ms = 200
good_probes = 2
start_period_seconds = 15

[environments.production]
via = "{self.via}"
drain_seconds = 1
access = {{ user = "{lab("LAB_SSH_USER")}", key = "{lab("LAB_SSH_KEY")}" }}
hosts = [{hosts}]
"""


def host(number: int) -> str:
    """A host of the lab, counted from 0, as relman.toml names it."""
    name, address = f"host{number + 1}", lab("LAB_HOSTS").split()[number]
    key = (Path(lab("LAB_STATE")) / f"hosts/{name}/ssh_host_ed25519_key.pub").read_text(encoding="utf-8")
    key = " ".join(key.split()[:2])
    return f'{{ name = "{name}", address = "{address}", port = {lab("LAB_SSH_PORT")}, host_keys = ["{key}"] }}'


def many_commits(place: Place, number: int, tagged: list[int]) -> None:
    """A straight history by fast-import on top of what is there; the commits with these numbers are releases."""
    import_ = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=place.repo, stdin=subprocess.PIPE)
    assert import_.stdin is not None
    write = import_.stdin.write
    has_commits = subprocess.run(
        ["git", "rev-parse", "--quiet", "--verify", "HEAD"], cwd=place.repo, stdout=subprocess.DEVNULL, check=False
    )
    onto = "from refs/heads/main^0\n" if has_commits.returncode == 0 else ""
    # No commit is older than the one before it.
    began = int(time.time()) if onto else 1_600_000_000
    for index in range(1, number + 1):
        kind = ("feat", "fix", "docs", "chore")[index % 4]
        message = f"{kind}: change {index}"
        body = f"change {index}\n"
        write(
            f"commit refs/heads/main\nmark :{index}\ncommitter B <b@example.com> {began + index} +0000\n"
            f"data {len(message)}\n{message}\n{onto}M 100644 inline file-{index % 50}\n"
            f"data {len(body)}\n{body}\n".encode()
        )
        onto = ""
    for number_of_tag, index in enumerate(tagged, 1):
        write(f"reset refs/tags/v0.{number_of_tag}.0\nfrom :{index}\n\n".encode())
    import_.stdin.close()
    if import_.wait() != 0:
        raise SystemExit("bench: git fast-import failed")
    place.git("reset", "--quiet", "--hard")
