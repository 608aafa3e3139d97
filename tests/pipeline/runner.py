#!/usr/bin/env python3
"""Runs a workflow's own jobs and steps in order, as GitHub's runner would, with what a lab has.

    runner.py WORKFLOW SETTINGS.json

SETTINGS: origin (a bare repository), ref, sha, event, inputs, actor, vars, secrets, environments (their vars and
secrets), root (a directory for the jobs), path (directories of stand-ins, put before PATH), environment (of the machine),
home (links in it to what the machine keeps), rerun: a job to run again, with those that need it, while the others keep
their success, and cancel: {run, says, stuck}, which cancels the job when a step with this line has said this text; `stuck`:
its processes hear nothing any more, as on a machine that hangs.

What is neither known to it nor stood in for, an action, an expression, a key of a step, fails the run. The result is JSON
on standard output; what the steps say goes to root/log. docs/design/workflows-run-in-the-lab.md says what is left out.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml
from expressions import Unknown, filled, holds

# As the runner waits: after SIGINT, and after SIGTERM.
AFTER_INT, AFTER_TERM = 7.5, 2.5
WORKFLOW_KEYS = {"name", True, "permissions", "concurrency", "jobs", "env"}
JOB_KEYS = {
    "needs", "if", "runs-on", "timeout-minutes", "environment", "permissions", "steps", "env", "outputs", "name",
}  # fmt: skip
STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env", "shell", "continue-on-error"}
SHELLS = {None: ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}


def known(what: dict, keys: set, where: str) -> None:
    if unknown := [key for key in what if key not in keys]:
        raise Unknown(f"{where}: {unknown}")


class Job:
    """A job on a machine of its own: an empty workspace, a home, and nothing of another job."""

    def __init__(self, run: "Run", name: str, job: dict, needs: dict):
        self.run, self.name, self.job, self.state = run, name, job, "success"
        self.steps, self.results, self.exported, self.path = [], {}, {}, []
        where = run.settings["environments"]
        base = {"github": run.github, "inputs": run.inputs, "needs": needs, "vars": run.vars({})}
        environment = job.get("environment")
        self.environment = filled(environment, base) if environment is not None else None
        if self.environment is not None and self.environment not in where:
            raise Unknown(f"{name}: environment {self.environment}")
        own = where.get(self.environment, {})
        self.root = run.root / f"{run.name}-{name}"
        shutil.rmtree(self.root, ignore_errors=True)
        self.workspace, self.temp, self.home = (self.root / part for part in ("work", "temp", "home"))
        for directory in (self.workspace, self.temp, self.home):
            directory.mkdir(parents=True)
        for link, target in run.settings.get("home", {}).items():
            (self.home / link).parent.mkdir(parents=True, exist_ok=True)
            (self.home / link).symlink_to(target)
        self.contexts = base | {
            "vars": run.vars(own),
            "secrets": run.settings.get("secrets", {}) | own.get("secrets", {}),
            "runner": {"temp": str(self.temp), "os": "Linux"},
            "steps": self.results,
            "job": {"status": "success"},
        }
        # Settings of the lab's machine that one environment alone sees: what a role of AWS would open.
        self.role = own.get("role", {})

    def go(self) -> dict:
        for step in self.job["steps"]:
            self.one(step, self.contexts, self.steps)
        outputs = {key: filled(value, self.contexts) for key, value in self.job.get("outputs", {}).items()}
        return {"result": self.state, "outputs": outputs, "steps": self.steps, "environment": self.environment}

    def one(self, step: dict, contexts: dict, told: list) -> None:
        known(step, STEP_KEYS, f"{self.name}: a step")
        title = step.get("name") or step.get("run") or step["uses"]
        env = {key: filled(value, contexts, self.state) for key, value in self.contexts.get("env", {}).items()}
        contexts = contexts | {
            "env": env | {k: filled(v, contexts, self.state) for k, v in step.get("env", {}).items()}
        }
        if not holds(step.get("if"), contexts, self.state):
            told.append({"step": title, "result": "skipped"})
            return
        began, outputs = time.monotonic(), {}
        self.run.say(f"== {self.run.name} / {self.name} / {title}")
        if "uses" in step:
            code = self.action(
                step["uses"], {k: filled(v, contexts) for k, v in step.get("with", {}).items()}, contexts
            )
        else:
            code = self.shell(step, contexts, outputs)
        result = "cancelled" if self.run.cancelled else "failure" if code else "success"
        if "id" in step:
            self.results[step["id"]] = {"outputs": outputs, "outcome": result, "conclusion": result}
        told.append({"step": title, "result": result, "code": code, "seconds": round(time.monotonic() - began, 1)})
        if result == "cancelled" or (result == "failure" and not step.get("continue-on-error")):
            self.state = result

    def variables(self, contexts: dict) -> dict:
        """What a step finds around it: the machine's, the runner's, what steps before exported, and its own."""
        github = self.run.github
        ours = {f"GITHUB_{key.upper()}": value for key, value in github.items() if isinstance(value, str)}
        ours.pop("GITHUB_TOKEN")
        ours |= {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_JOB": self.name,
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            # The lab's ledger is a file outside of the workspace, which relman refuses on a machine of GitHub's.
            "RUNNER_ENVIRONMENT": "self-hosted",
            "HOME": str(self.home),
        }
        settings = self.run.settings
        base = {key: os.environ[key] for key in ("LANG", "USER", "DOCKER_HOST") if key in os.environ}
        path = ":".join([*reversed(self.path), *settings.get("path", []), os.environ["PATH"]])
        return base | settings.get("environment", {}) | ours | {"PATH": path} | self.exported | contexts["env"]

    def shell(self, step: dict, contexts: dict, outputs: dict) -> int:
        if step.get("shell") not in SHELLS:
            raise Unknown(f"{self.name}: shell {step['shell']}")
        script = self.temp / f"step-{len(list(self.temp.iterdir()))}.sh"
        script.write_text(filled(step["run"], contexts, self.state) + "\n")
        files = {}
        for kind in ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY"):
            files[kind] = self.temp / f"{kind.lower()}-{script.stem}"
            files[kind].touch()
        env = self.variables(contexts) | {f"GITHUB_{kind}": str(path) for kind, path in files.items()}
        code = self.run.process([*SHELLS[step.get("shell")], str(script)], self.workspace, env, step["run"])
        outputs |= pairs(files["OUTPUT"].read_text())
        self.exported |= pairs(files["ENV"].read_text())
        self.path += files["PATH"].read_text().split("\n")[:-1]
        self.run.summaries.append(files["STEP_SUMMARY"].read_text())
        return code

    def action(self, uses: str, given: dict, contexts: dict) -> int:
        if found := re.fullmatch(r"(?:\$|\.)/(.+)", uses):
            return self.composite(found[1], given, contexts)
        stands_in = STANDS_IN.get(uses.split("@")[0])
        if not stands_in:
            raise Unknown(f"{self.name}: nothing stands in for {uses}")
        return stands_in(self, given)

    def composite(self, directory: str, given: dict, contexts: dict) -> int:
        place = self.workspace / directory
        action = yaml.safe_load((place / "action.yml").read_text())
        if action["runs"]["using"] != "composite":
            raise Unknown(f"{directory}: {action['runs']['using']}")
        known(given, set(action.get("inputs", {})), f"{directory}: inputs")
        github = self.run.github | {"action_path": str(place)}
        inputs = {
            name: given.get(name, filled(about.get("default", ""), {"github": github}))
            for name, about in action.get("inputs", {}).items()
        }
        inner, told = contexts | {"inputs": inputs, "github": github}, []
        before, self.state = self.state, "success"
        for step in action["runs"]["steps"]:
            if "run" in step and "shell" not in step:
                raise Unknown(f"{directory}: a step without a shell")
            self.one(step, inner, told)
        after, self.state = self.state, before
        return 0 if after == "success" else next((step["code"] for step in told if step.get("code")), 1)

    # What stands in for actions of others: each does what the action does, with the lab's means.

    def checkout(self, given: dict) -> int:
        """actions/checkout: an empty repository, one fetch of depth 1 (or of everything), a branch of that name."""
        known(given, {"fetch-depth", "persist-credentials"}, "checkout")
        ref, sha, depth = self.run.settings["ref"], self.run.settings["sha"], given.get("fetch-depth", "1")
        branch = ref.removeprefix("refs/heads/")
        fetch = ["git", "fetch", "--quiet", "--no-recurse-submodules", "--prune"]
        if depth == "0":
            fetch += ["origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        else:
            fetch += ["--no-tags", f"--depth={depth}", "origin", f"+{sha}:refs/remotes/origin/{branch}"]
        for line in (
            ["git", "init", "--quiet", "."],
            ["git", "remote", "add", "origin", f"file://{self.run.settings['origin']}"],
            fetch,
            ["git", "checkout", "--quiet", "--force", "-B", branch, sha],
        ):
            if code := self.run.process(line, self.workspace, self.variables({"env": {}}), "checkout"):
                return code
        return 0

    def credentials(self, given: dict) -> int:
        """aws-actions/configure-aws-credentials: what the role opens. Here: the settings of the job's environment."""
        known(given, {"role-to-assume", "aws-region"}, "credentials")
        if "id-token" not in self.job.get("permissions", {}) or not given["role-to-assume"]:
            return 1
        self.exported |= {"AWS_REGION": given["aws-region"]} | self.role
        return 0

    def terraform(self, given: dict) -> int:
        """hashicorp/setup-terraform: the lab's `terraform` is on the PATH already."""
        known(given, {"terraform_version", "terraform_wrapper"}, "setup-terraform")
        return 0


STANDS_IN = {
    "actions/checkout": Job.checkout,
    "aws-actions/configure-aws-credentials": Job.credentials,
    "hashicorp/setup-terraform": Job.terraform,
}


def pairs(text: str) -> dict:
    """NAME=VALUE, or NAME<<END, lines, END."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        if heredoc := re.fullmatch(r"([^=<]+)<<(.+)", line):
            value = []
            for inner in lines:
                if inner == heredoc[2]:
                    break
                value.append(inner)
            else:
                raise Unknown(f"no {heredoc[2]} after {heredoc[1]}")
            found[heredoc[1]] = "\n".join(value)
        elif "=" in line:
            name, value = line.split("=", 1)
            found[name] = value
        elif line:
            raise Unknown(f"a line of an output: {line}")
    return found


class Run:
    """One run of a workflow, for one event."""

    def __init__(self, name: str, settings: dict):
        self.name, self.settings, self.root = name, settings, Path(settings["root"])
        self.cancelled, self.killed, self.summaries, self.inputs = False, False, [], {}
        self.root.mkdir(parents=True, exist_ok=True)
        self.log = (self.root / "log").open("ab")
        ref = settings["ref"]
        self.github = {
            "ref": ref,
            "ref_name": ref.removeprefix("refs/heads/"),
            "ref_type": "branch",
            "sha": settings["sha"],
            "actor": settings.get("actor", "octo"),
            "event_name": settings["event"],
            "repository": "acme/web",
            "server_url": "https://github.invalid",
            "run_id": "4711",
            "workflow": name,
            "token": "the-token-of-this-job",
        }

    def vars(self, own: dict) -> dict:
        return self.settings.get("vars", {}) | own.get("vars", {})

    def say(self, text: str) -> None:
        self.log.write(text.encode() + b"\n")
        self.log.flush()

    def process(self, argv: list, cwd: Path, env: dict, line: str) -> int:
        """A process of a step, cancelled as the runner does it: the first process alone hears, then all are killed."""
        cancel = self.settings.get("cancel")
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        due = threading.Event()

        def read() -> None:
            for said in process.stdout:
                self.log.write(said)
                self.log.flush()
                if cancel and cancel["run"] in line and cancel["says"].encode() in said:
                    due.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        while process.poll() is None:
            if due.wait(0.05) and not self.cancelled:
                self.cancelled = True
                self.stop(process)
        reader.join(30)
        return process.wait()

    def stop(self, process: subprocess.Popen) -> None:
        if self.settings["cancel"].get("stuck"):
            self.all_of(process, signal.SIGSTOP)
        for number, patience in ((signal.SIGINT, AFTER_INT), (signal.SIGTERM, AFTER_TERM)):
            process.send_signal(number)
            try:
                process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                pass
        self.killed = True
        self.all_of(process, signal.SIGKILL)

    @staticmethod
    def all_of(process: subprocess.Popen, number: signal.Signals) -> None:
        for pid in tree(process.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def jobs(self, workflow: dict) -> dict:
        known(workflow, WORKFLOW_KEYS, self.name)
        if self.settings["event"] == "workflow_dispatch":
            self.inputs = dispatched(workflow[True]["workflow_dispatch"]["inputs"], self.settings.get("inputs", {}))
        done = {}
        again = self.again(workflow["jobs"])
        for name, job in workflow["jobs"].items():
            known(job, JOB_KEYS, f"{self.name}: {name}")
            if name not in again:
                done[name] = {"result": "success", "outputs": {}, "steps": []}
                continue
            needs = {need: done[need] for need in needed(job)}
            results = {need["result"] for need in needs.values()}
            state = "cancelled" if self.cancelled else "success" if results <= {"success"} else "failure"
            contexts = {"github": self.github, "inputs": self.inputs, "needs": needs}
            if holds(job.get("if"), contexts | {"vars": self.vars({})}, state):
                done[name] = Job(self, name, job, needs).go()
            else:
                done[name] = {"result": "skipped", "outputs": {}, "steps": []}
        return done

    def again(self, jobs: dict) -> set[str]:
        """The jobs that are run: all, or the one to be run again with all that need it."""
        if not (asked := self.settings.get("rerun")):
            return set(jobs)
        if asked not in jobs:
            raise Unknown(f"{self.name}: there is no job {asked} to run again")
        again = {asked}
        for name, job in jobs.items():
            if not again.isdisjoint(needed(job)):
                again.add(name)
        if kept := [name for name, job in jobs.items() if name not in again and job.get("outputs")]:
            raise Unknown(f"{self.name}: outputs of {kept} would be those of the run before")
        return again


def needed(job: dict) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else needs


def dispatched(asked: dict, given: dict) -> dict:
    """What somebody typed, with the defaults; what GitHub would not take is not taken."""
    known(given, set(asked), "inputs")
    inputs = {}
    for name, about in asked.items():
        known(about, {"description", "type", "options", "default", "required"}, f"inputs: {name}")
        inputs[name] = given.get(name, about.get("default", ""))
        if about.get("required") and not inputs[name]:
            raise Unknown(f"inputs: {name} is required")
        if inputs[name] not in about.get("options", [inputs[name]]):
            raise Unknown(f"inputs: {inputs[name]} is none of {about['options']}")
    return inputs


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = children.read_text().split() if children.exists() else []
    return [pid, *(one for child in below for one in tree(int(child)))]


def main() -> None:
    path, settings = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    run = Run(path.stem, settings)
    try:
        jobs = run.jobs(yaml.safe_load(path.read_text()))
    except Unknown as unknown:
        sys.exit(f"runner: not known: {unknown}")
    print(json.dumps({"jobs": jobs, "killed": run.killed, "summary": "".join(run.summaries)}))


if __name__ == "__main__":
    main()
