#!/usr/bin/env python3
"""Runs every query of every dashboard on a real Prometheus, and fails where one is wrong or has no data.

dashboards.py TOOLS [--draw DIRECTORY]    over series that are made up; TOOLS has prometheus and promtool
dashboards.py TOOLS --live URL            over what a Prometheus that runs has measured
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import series
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as schema

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
VIEW = 3 * 3600
DEADLINE = 30
# What the data source of Prometheus adds to an annotation; Grafana's own schema does not know it.
OF_PROMETHEUS = re.compile(r"\.annotations\.list\[\d+\]\.(step|titleFormat)")


def get(base, path, **parameters):
    query = urllib.parse.urlencode(parameters, doseq=True)
    try:
        with urllib.request.urlopen(f"{base}/api/v1/{path}?{query}", timeout=20) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error).get("error", str(error))) from None


class Prometheus:
    """A server on a free port of loopback over what is in `work`, with the project's own rules."""

    def __init__(self, tools, work):
        self.tools, self.work = Path(tools), work
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        config = work / "prometheus.yml"
        rules = MONITORING / "prometheus/rules"
        config.write_text(f"global: {{evaluation_interval: 1s}}\nrule_files: ['{rules}/*.yml']\n")
        self.command = [
            self.tools / "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={work}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    def __enter__(self):
        with (self.work / "log").open("a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.wait(lambda: urllib.request.urlopen(f"{self.base}/-/ready", timeout=1))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=DEADLINE)

    def wait(self, is_so):
        until = time.monotonic() + DEADLINE
        while True:
            if self.process.poll() is not None:
                sys.exit(f"prometheus ended:\n{(self.work / 'log').read_text()}")
            try:
                if is_so():
                    return
            except (OSError, urllib.error.URLError):
                pass
            if time.monotonic() > until:
                sys.exit(f"prometheus was not ready in {DEADLINE} s:\n{(self.work / 'log').read_text()}")
            time.sleep(0.05)


def promtool(tools, *arguments):
    done = subprocess.run([Path(tools) / "promtool", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"promtool {arguments[1]}: {done.stdout}{done.stderr}")


def fill(tools, work, end):
    """The series as blocks, and then what the recording rules make of them."""
    raw = work / "series"
    with raw.open("w") as file:
        file.writelines(series.openmetrics(end))
    promtool(tools, "tsdb", "create-blocks-from", "openmetrics", raw, work / "data")
    with Prometheus(tools, work) as server:
        promtool(
            tools, "tsdb", "create-blocks-from", "rules", f"--url={server.base}", f"--start={end - VIEW - 600}",
            f"--end={end}", "--eval-interval=30s", f"--output-dir={work / 'rules'}",
            MONITORING / "prometheus/rules/recording.yml",
        )  # fmt: skip
    for block in (work / "rules").iterdir():
        if block.is_dir() and (block / "meta.json").is_file():
            shutil.move(block, work / "data")


def filled_in(expr, service):
    """As Grafana does it, for three hours in view."""
    return expr.replace("$service", service).replace("$__range", f"{VIEW}s")


def variable(server, each):
    """The values of a template variable that asks for them."""
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"])
    if asked is None:
        raise ValueError(f"the query is no label_values(series, label): {each['query']}")
    return get(server.base, f"label/{asked[2]}/values", **{"match[]": asked[1]})


def run(server, expr, instant, end):
    if instant:
        return get(server.base, "query", query=expr, time=end)["result"]
    return get(server.base, "query_range", query=expr, start=end - VIEW, end=end, step=30)["result"]


def has_numbers(result):
    values = [value for each in result for _, value in each.get("values", [each.get("value")])]
    return any(value not in ("NaN", "+Inf", "-Inf") for value in values)


def lost(given, kept, path=""):
    """What Grafana's schema does not have: it is not there any more when its models have read the dashboard."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            where = f"{path}.{key}"
            if key not in kept:
                if not OF_PROMETHEUS.fullmatch(where):
                    yield where
            else:
                yield from lost(value, kept[key], where)
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, pair in enumerate(zip(given, kept, strict=True)):
            yield from lost(*pair, f"{path}[{number}]")
    elif given != kept:
        yield path


def check(server, board, end, faults):
    """Every query of one dashboard: the number of them, and per panel what each returned."""
    read = json.loads(JSONEncoder().encode(schema.Dashboard.from_json(board)))
    faults += [f"{board['uid']}: not in Grafana's schema: {path}" for path in lost(board, read)]
    asked, service, panels = 0, "web", []

    def ask(where, expr, instant):
        nonlocal asked
        asked += 1
        try:
            result = run(server, filled_in(expr, service), instant, end)
        except ValueError as error:
            faults.append(f"{board['uid']}: {where}: {error}")
            return []
        if not has_numbers(result):
            faults.append(f"{board['uid']}: {where}: no data: {expr}")
        return result

    for each in board["templating"]["list"]:
        if each["type"] == "query":
            asked += 1
            if service not in (values := variable(server, each)):
                faults.append(f"{board['uid']}: the variable {each['name']} has {values}")
    marks = [(each, ask(each["name"], each["expr"], False)) for each in board["annotations"]["list"]]
    for panel in board["panels"]:
        results = [(each, ask(panel["title"], each["expr"], each["instant"])) for each in panel["targets"]]
        panels.append((panel, results))
    return asked, marks, panels


class Running:
    """A Prometheus that somebody else started."""

    def __init__(self, base):
        self.base = base.rstrip("/")


def judge(faults, boards, asked):
    if faults or not boards:
        sys.exit("\n".join(faults) or "there are no dashboards")
    print(f"{len(boards)} dashboards, {asked} queries, each with data")


def check_all(server, end, faults):
    asked, boards = 0, []
    for path in sorted((MONITORING / "grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        queries, marks, panels = check(server, board, end, faults)
        asked += queries
        boards.append((path.stem, board, marks, panels))
    return asked, boards


def main():
    tools, draw_to = sys.argv[1], sys.argv[3] if sys.argv[2:3] == ["--draw"] else None
    register_default_plugins()
    faults = []
    if sys.argv[2:3] == ["--live"]:
        asked, boards = check_all(Running(sys.argv[3]), time.time(), faults)
        judge(faults, boards, asked)
        return
    end = int(time.time())
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        fill(tools, work, end)
        with Prometheus(tools, work) as server:
            # Alerts are of now: the rules have to have been evaluated once.
            server.wait(lambda: get(server.base, "query", query='ALERTS{alertstate="firing"}')["result"])
            now = time.time()
            asked, boards = check_all(server, now, faults)
    judge(faults, boards, asked)
    if draw_to:
        import draw

        for name, board, marks, panels in boards:
            draw.board(Path(draw_to) / f"{name}.png", board, marks, panels, now - VIEW, now)


if __name__ == "__main__":
    main()
