"""Terraform in a copy of infra/, against moto, and what a plan says."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
INFRA = REPOSITORY / "infra"
REGION = "eu-central-1"
# A machine may be busy; Terraform itself waits up to three minutes for some resources.
TIMEOUT = 600


class Failed(AssertionError):
    """Terraform ended otherwise than the test asked for."""


def copy_of_infra(to: Path) -> Path:
    """infra/ beside the schema that it reads, without what an earlier run left."""
    ignore = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*", "*.tfplan", "backend.hcl")
    shutil.copytree(INFRA, to / "infra", ignore=ignore)
    shutil.copytree(REPOSITORY / "ledger-schema", to / "ledger-schema")
    return to / "infra"


@dataclass
class Root:
    """One directory that Terraform runs in, with the variables that it runs with."""

    directory: Path
    environment: dict[str, str]
    variables: dict = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return ["terraform", *arguments]

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode not in codes:
            raise Failed(
                f"terraform {' '.join(arguments)} in {self.directory} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def init(self, *arguments: str) -> None:
        # Terraform does not share its plugin cache: two that fill an empty one at a time fail with "mkdir: file exists".
        with open(Path(os.environ["INFRA_STATE"]) / "init.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.run("init", "-input=false", "-no-color", *arguments)

    def with_variables(self, **variables) -> None:
        self.variables.update(variables)
        (self.directory / "test.auto.tfvars.json").write_text(json.dumps(self.variables))

    def run_alone(self, *arguments: str) -> None:
        """
        Runs what takes the state lock, where no other Terraform works on this state.

        A lock that is there all the same is this very command's: the answer to its PutItem was lost, the SDK asked
        again, and the condition refused its own item. Seen once, on a loaded machine, against moto. It is broken, said,
        and the command run again; test_locks.py looks at locks without this.
        """
        try:
            self.run(*arguments)
        except Failed as failed:
            left = re.search(
                r"Error acquiring the state lock.*?^\s*ID:\s+([0-9a-f-]{36})$", str(failed), re.DOTALL | re.MULTILINE
            )
            if not left:
                raise
            print(f"terraform {arguments[0]}: refused by a lock of its own, {left[1]}: broken, run again\n{failed}")
            self.run("force-unlock", "-force", left[1])
            self.run(*arguments)

    def apply(self) -> None:
        self.with_variables()
        self.run_alone("apply", "-auto-approve", "-input=false", "-no-color")

    def destroy(self) -> None:
        self.run_alone("destroy", "-auto-approve", "-input=false", "-no-color")

    def outputs(self) -> dict:
        return {name: o["value"] for name, o in json.loads(self.run("output", "-json").stdout).items()}

    def resources(self) -> list[str]:
        return self.run("state", "list").stdout.split()

    def plan(self) -> dict:
        self.run_alone("plan", "-input=false", "-no-color", "-out=again.tfplan")
        return json.loads(self.run("show", "-json", "again.tfplan").stdout)


def differences(plan: dict) -> list[dict]:
    """What a plan would change: resource, the actions, and the attributes that differ and are known to."""
    found = []
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        before, after, unknown = (change[k] or {} for k in ("before", "after", "after_unknown"))
        attributes = {k for k in {*before, *after} if before.get(k) != after.get(k)}
        attributes |= {k for k, v in unknown.items() if v is True}
        found.append(
            {
                "address": resource["address"],
                "type": resource["type"],
                "actions": change["actions"],
                "attributes": sorted(attributes),
            }
        )
    for name, change in plan.get("output_changes", {}).items():
        if change["actions"] != ["no-op"]:
            found.append(
                {"address": f"output.{name}", "type": "output", "actions": change["actions"], "attributes": []}
            )
    return found


def unexplained(found: list[dict], explained: list[dict]) -> list[dict]:
    """Differences that no entry of false_drifts.json covers: type, an update in place, and every attribute."""
    allowed = {e["type"]: set(e["attributes"]) for e in explained}
    return [d for d in found if d["actions"] != ["update"] or not set(d["attributes"]) <= allowed.get(d["type"], set())]
