"""Running a process and saying what it cost."""

import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """How long one process took and what it printed."""

    seconds: float
    code: int
    stdout: str
    stderr: str


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None, check: bool = True) -> Run:
    """Runs it to its end; wall time from before it is started until it has been waited for."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        process.wait()
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        result = Run(
            seconds,
            process.returncode,
            out.read().decode(errors="replace"),
            err.read().decode(errors="replace"),
        )
    if check and result.code != 0:
        raise SystemExit(f"bench: {' '.join(command)} ended with {result.code}\n{result.stdout}\n{result.stderr}")
    return result


@dataclass(frozen=True)
class Cost:
    """The middle of several runs, in milliseconds and MiB."""

    milliseconds: float
    mebibytes: float


def peak(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> float:
    """The most memory that it held, in MiB, watched from outside as closely as possible.

    Not the rusage of a child: that begins with what this interpreter holds, since it is kept over an exec.
    """
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=null, stdout=null, stderr=null)
    status, most = Path(f"/proc/{process.pid}/status"), 0
    while (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))) is not None:
        most = max(most, int(found[1]))
    process.wait()
    return most / 1024


def repeat(times: int, command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> Cost:
    """One run to warm up, then the median time of `times` runs, and the most memory of five others."""
    run(command, cwd, env)
    seconds = [run(command, cwd, env).seconds for _ in range(times)]
    return Cost(statistics.median(seconds) * 1000, max(peak(command, cwd, env) for _ in range(5)))


def more(
    times: int, command: list[str], base: tuple[Path, dict[str, str]], place: tuple[Path, dict[str, str]]
) -> float:
    """What the command costs in one place more than in the other: milliseconds, the median of pairs run in turn."""
    run(command, *base)
    run(command, *place)

    def pair() -> float:
        least = run(command, *base).seconds
        return run(command, *place).seconds - least

    return statistics.median(pair() for _ in range(times)) * 1000
