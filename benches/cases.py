"""What is measured. Each case returns lines of the report: what, measured, goal, and whether it was met."""

import json
import os
import re
import sqlite3
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from measure import Cost, more, repeat, run
from places import RELMAN, ROOT, Place, lab, many_commits

WORK = Path(__file__).resolve().parent.parent / "target/bench"


@dataclass(frozen=True)
class Line:
    """One line of the report. `met` is none where there is no goal: a figure to compare with."""

    what: str
    measured: str
    goal: str = ""
    met: bool | None = None


def help_text() -> list[Line]:
    relman, true = repeat(100, [RELMAN, "--help"]), repeat(100, ["/bin/true"])
    return [
        Line(
            "`relman --help`",
            f"{relman.milliseconds:.1f} ms ({relman.milliseconds / true.milliseconds:.1f} × `true`)",
            "at most 5 ms",
            relman.milliseconds <= 5,
        ),
        Line("`true`, for comparison: the cost of any process", f"{true.milliseconds:.1f} ms"),
    ]


# Runs in place of ansible-playbook and writes down from when to when it ran.
WRAPPER = """#!/bin/sh
began=$(date +%s%N)
ansible-playbook "$@"
status=$?
printf '%s %s\\n' "$began" "$(date +%s%N)" >>TIMES
exit $status
"""


def deploys() -> tuple[Place, list[Line]]:
    """relman's own share of a deploy: all of it but the time in which some ansible-playbook ran."""
    wrapper, times = WORK / "ansible-playbook", WORK / "times"
    # relman gives a playbook no environment but its own: the path stands in the script.
    wrapper.write_text(WRAPPER.replace("TIMES", f"'{times}'"), encoding="utf-8")
    wrapper.chmod(0o755)
    place = Place(WORK / "deploys", "bench", str(wrapper))
    place.start()
    place.add_service()
    place.commit("feat: the service")
    place.relman("deploy")
    place.change("fix: another")
    place.relman("release")
    versions = [release["version"] for release in place.json("releases")["releases"]][:2]
    walls, own, runs = [], [], []
    for index in range(7):
        times.unlink(missing_ok=True)
        target = versions[index % 2]
        done = place.relman("deploy", f"v{target}", "--allow-older", "--reason", "bench")
        spans = sorted(tuple(map(int, line.split())) for line in times.read_text().splitlines())
        covered, until = 0, 0
        for began, ended in spans:
            covered += max(0, ended - max(began, until))
            until = max(until, ended)
        # The first one may still have connections to open.
        if index:
            walls.append(done.seconds)
            own.append(done.seconds - covered / 1e9)
            runs.append(len(spans))
    wall, share = statistics.median(walls), statistics.median(own)
    return place, [
        Line(
            "relman's own share of a deploy to one host",
            f"{share * 1000:.0f} ms of {wall:.1f} s ({100 * share / wall:.1f} %), "
            f"{statistics.median(runs):.0f} runs of `ansible-playbook`",
            "at most 300 ms or 5 %",
            share <= 0.3 or share <= 0.05 * wall,
        )
    ]


def requests() -> int:
    """Requests that the registry has answered so far, by its own access log."""
    name = f"name=^relman-lab-{lab('LAB_NAME')}-[0-9a-f]+-registry$"
    container = run(["docker", "ps", "--quiet", "--filter", name]).stdout.strip()
    log = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return len(re.findall(r'"(?:GET|HEAD|PUT|POST|PATCH|DELETE) /v2/', log.stdout + log.stderr))


def settled() -> int:
    """The same, once the log has caught up."""
    before = requests()
    while True:
        time.sleep(0.3)
        now = requests()
        if now == before:
            return now
        before = now


def releases(place: Place) -> list[Line]:
    before = settled()
    done = place.relman("release")
    count = settled() - before
    lines = [
        Line(
            "`relman release` with nothing to do",
            f"{count} requests to the registry, {done.seconds * 1000:.0f} ms",
            "no build, no push, at most 4 requests",
            count <= 4,
        )
    ]
    newest = place.json("releases")["releases"][0]["version"]
    name = f"name=^relman-lab-{lab('LAB_NAME')}-[0-9a-f]+-registry$"
    container = run(["docker", "ps", "--quiet", "--filter", name]).stdout.strip()
    tags = f"/var/lib/docker-registry/docker/registry/v2/repositories/{place.repository}/_manifests/tags"
    run(["docker", "exec", container, "rm", "-r", f"{tags}/v{newest}", f"{tags}/latest"])
    began = time.strftime("%Y-%m-%dT%H:%M:%S")
    time.sleep(1.1)
    place.relman("release", "--repair")
    log = subprocess.run(["docker", "logs", "--since", began, container], capture_output=True, text=True, check=True)
    asked = re.findall(r'"(GET|HEAD|PUT|POST|PATCH|DELETE) (/v2/\S*)', log.stdout + log.stderr)
    puts = [path for method, path in asked if method == "PUT" and f"/{place.repository}/manifests/" in path]
    blobs = [path for _, path in asked if "/blobs/" in path]
    lines.append(
        Line(
            "two tags put back",
            f"{len(puts)} PUT, {len(blobs)} requests about blobs",
            "one PUT a tag, no blob moves",
            len(puts) == 2 and not blobs,
        )
    )
    return lines


def fill(place: Place, number: int) -> None:
    """Makes the ledger one of `number` deployments: records as the code writes them, copied from a real one.

    Entries are not made up: history reads records, and a million deployments would have some twelve million entries.
    """
    database = sqlite3.connect(place.database())
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    partition, last, template = database.execute(
        "SELECT partition, sort, body FROM record WHERE sort LIKE 'DEP#%' ORDER BY sort DESC LIMIT 1"
    ).fetchone()
    first = int(last.split("#")[1]) + 1
    # One that ended, with what is its own replaced.
    body = json.loads(template)
    assert '"succeeded"' in template, "the newest deployment of the bench must have succeeded"

    def renumbered(value: object, old: int, new: int) -> object:
        if isinstance(value, dict):
            return {k: new if k == "number" and v == old else renumbered(v, old, new) for k, v in value.items()}
        return value

    def rows():
        for index in range(first, number + 1):
            changed = renumbered(body, first - 1, index)
            yield partition, f"DEP#{index:010d}", json.dumps(changed, separators=(",", ":"), sort_keys=True)

    database.executemany("INSERT INTO record (partition, sort, body) VALUES (?, ?, ?)", rows())
    sort, current = database.execute(
        "SELECT sort, body FROM record WHERE partition = ? AND sort = 'CURRENT'", (partition,)
    ).fetchone()

    def moved(value: object) -> object:
        if isinstance(value, dict):
            return {k: number if k in ("last", "serving") else moved(v) for k, v in value.items()}
        return value

    changed = json.dumps(moved(json.loads(current)), separators=(",", ":"), sort_keys=True)
    database.execute("UPDATE record SET body = ? WHERE partition = ? AND sort = ?", (changed, partition, sort))
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def history(place: Place, number: int) -> list[Line]:
    fill(place, number)
    page = place.json("history")
    assert page["deployments"][0]["id"].endswith(f"#{number}"), page["deployments"][0]["id"]
    # A cursor is the last number shown, in hexadecimal.
    deep = number // 2
    assert page["next"] == f"d{number - len(page['deployments']) + 1:x}", page["next"]
    cursor = f"d{deep:x}"
    found = place.json("history", "--cursor", cursor)["deployments"][0]["id"]
    assert found.endswith(f"#{deep - 1}"), f"page at {found}, not at {deep - 1}"

    def line(what: str, cost: Cost) -> Line:
        met = cost.milliseconds <= 20 and cost.mebibytes <= 20
        measured = f"{cost.milliseconds:.1f} ms, {cost.mebibytes:.1f} MiB"
        return Line(f"{what} of {number:,} deployments", measured, "at most 20 ms and 20 MB, whole process", met)

    return [
        line("`history`, first page", repeat(30, [RELMAN, "history"], place.repo, place.env)),
        line(
            "`history`, a page in the middle",
            repeat(30, [RELMAN, "history", "--cursor", cursor], place.repo, place.env),
        ),
    ]


def measured() -> dict[str, list[Line]]:
    """What is measured inside of relman's own code: tests that print `LINE|title|what|measured|goal|met`."""
    done = run([str(ROOT / "tests/aws/run"), "bench"], ROOT)
    found: dict[str, list[Line]] = {}
    for text in done.stdout.splitlines():
        _, mark, rest = text.partition("LINE|")
        if mark:
            title, what, figure, goal, met = rest.split("|")
            found.setdefault(title, []).append(Line(what, figure, goal, {"true": True, "false": False}.get(met)))
    if not found:
        raise SystemExit(f"bench: nothing was measured\n{done.stdout}\n{done.stderr}")
    return found


def fleet() -> list[Line]:
    """A look and a deploy over 1, 3 and 10 hosts of the lab, by SSH."""
    place = Place(WORK / "fleet", "bench-fleet", hosts=range(1, 11), via="ssh")
    place.start()
    place.add_service()
    place.commit("feat: the service")
    place.relman("deploy")
    place.change("fix: another")
    place.relman("deploy")
    versions = [release["version"] for release in place.json("releases")["releases"]][:2]
    names = [f"host{n + 1}" for n in place.hosts]
    lines, one = [], 0.0
    for count in (1, 3, 10):
        chosen = ",".join(names[:count])
        times = []
        for index in range(4):
            target = f"v{versions[(index + 1) % 2]}"
            done = place.relman("deploy", target, "--hosts", chosen, "--allow-older", "--reason", "bench")
            times.append(done.seconds)
        wall = statistics.median(times)
        one = one or wall
        lines.append(Line(f"a deploy to {count} of the lab's hosts", f"{wall:.1f} s ({wall / one:.1f} × one)"))
    look = statistics.median(place.relman("status").seconds for _ in range(5))
    lines.append(Line("`relman status` over 10 of the lab's hosts", f"{look * 1000:.0f} ms"))
    return lines


def versions(commits: int) -> list[Line]:
    """The version step is what `release --dry-run` costs here more than in a repository of one commit."""
    command = [RELMAN, "release", "--dry-run"]
    small = Place(WORK / "small", "bench-small")
    small.start()
    small.add_service()
    small.commit("feat: the service")

    def line(what: str, place: Place, goal: float) -> Line:
        # Less than nothing is noise.
        step = max(more(25, command, (small.repo, small.env), (place.repo, place.env)), 0)
        describe = ["git", "describe", "--tags", "--match", "v*"]
        peer = repeat(15, describe, place.repo, dict(os.environ)).milliseconds
        measured = f"{step:.0f} ms ({step / peer:.1f} × `git describe`, {peer:.0f} ms)"
        return Line(f"version step, {what}", measured, f"at most {goal:.0f} ms", step <= goal)

    def of(name: str, number: int, tagged: list[int]) -> Place:
        place = Place(WORK / name, f"bench-{name}")
        place.start()
        many_commits(place, number, tagged)
        place.add_service()
        place.commit("feat: the service")
        return place

    usual = of("usual", 2_000, list(range(50, 2_001, 50)))
    lines = [line("2,000 commits, a release every 50", usual, 10)]
    # The worst case: the one release is at the other end of the history.
    large = of("large", commits, [1])
    lines.append(line(f"{commits:,} commits, cold, the only tag on the first one", large, 600))
    large.relman("release")
    many_commits(large, 500, [])
    lines.append(line(f"{commits:,} commits, base known from the ledger, 500 commits ago", large, 200))
    return lines
