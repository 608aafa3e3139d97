"""`make bench`: measures on a lab with one host and writes docs/performance.md.

Figures of different runs or machines say nothing about each other; what stands in the same table was measured in the
same run. Exit status 1 when a goal was missed.
"""

import argparse
import os
import platform
import shutil
import sys
import time
from pathlib import Path

import cases
from measure import run
from places import RELMAN, ROOT

REPORT = ROOT / "docs/performance.md"


def table(title: str, lines: list[cases.Line]) -> str:
    rows = [f"## {title}\n", "| what | measured | goal | |", "|---|---|---|---|"]
    for line in lines:
        verdict = {True: "met", False: "**missed**", None: ""}[line.met]
        rows.append(f"| {line.what} | {line.measured} | {line.goal} | {verdict} |")
    return "\n".join(rows) + "\n"


def machine(load: tuple[float, float, float]) -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    model = names[0].split(":")[1].strip() if names else platform.machine()
    version = run([RELMAN, "--version"]).stdout.strip()
    return (
        f"{version}, {os.cpu_count()} cores ({model}), Linux {platform.release()}; "
        f"load average {load[0]:.1f} before and {os.getloadavg()[0]:.1f} after."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=1_000_000, help="size of the ledger")
    parser.add_argument("--commits", type=int, default=36_000, help="size of the large repository")
    chosen = parser.parse_args()
    load = os.getloadavg()
    shutil.rmtree(cases.WORK, ignore_errors=True)
    cases.WORK.mkdir(parents=True)

    began = time.monotonic()
    parts: list[tuple[str, list[cases.Line]]] = []

    def case(title: str, lines: list[cases.Line]) -> None:
        parts.append((title, lines))
        print(table(title, lines), flush=True)

    case("Start", cases.help_text())
    place, lines = cases.deploys()
    case("Deploy", lines)
    case("Release", cases.releases(place))
    case("Version", cases.versions(chosen.commits))
    case("History", cases.history(place, chosen.deployments))
    case("Hosts", cases.fleet())
    for title, lines in cases.measured().items():
        case(title, lines)
    text = (
        "# Performance\n\n"
        "Made by `make bench`, all of it in one run on one machine. Only what stands here together may be compared.\n\n"
        f"{machine(load)}\n\n" + "\n".join(table(*part) for part in parts)
    )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")
    shutil.rmtree(cases.WORK)
    missed = [line.what for _, lines in parts for line in lines if line.met is False]
    print(f"written: {REPORT.relative_to(ROOT)} after {time.monotonic() - began:.0f} s; missed: {missed or 'nothing'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
