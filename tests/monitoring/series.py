"""Six hours of a host, as its Prometheus would have them: the series of relman-host, HAProxy, node-exporter and the
service after prometheus.yml has relabelled them. An hour before the end 1.4.0 replaces 1.3.2; 20 minutes before, 1.5.0
is tried, fails a little and is taken back."""

import math
from collections.abc import Callable, Iterator

STEP = 30
SPAN = 6 * 3600
COMMITTED, TRIED, REVERTED = 3600, 1500, 1200
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
Value = Callable[[float], float | None]
BASE = {"service": "web", "environment": "production"}
RELMAN = {"job": "node", "instance": "127.0.0.1:9100"} | BASE
PROXY = {"job": "haproxy", "instance": "127.0.0.1:8405", "service": "web"}
NODE = {"job": "node", "instance": "127.0.0.1:9100"}


def rate(left: float) -> float:
    """Requests a second; `left` seconds before the end. It waves over three hours, and a little faster on top."""
    return 40 + 12 * math.sin(left / 1720) + 2 * math.sin(left / 130)


def serving(left: float) -> str:
    return "green" if COMMITTED >= left > TRIED or left <= REVERTED else "blue"


def failing(slot: str, left: float) -> float:
    """The share of the requests that fail."""
    if slot == "blue" and TRIED >= left > REVERTED:
        return 0.03
    return 0.0006


def version(slot: str, left: float) -> tuple[str, str]:
    """What a slot holds, with its role."""
    if left > COMMITTED:
        return ("1.3.2", "stable") if slot == "blue" else ("1.3.1", "standby")
    if slot == "green":
        return ("1.4.0", "stable")
    return ("1.5.0", "candidate") if TRIED + 120 >= left > REVERTED else ("1.3.2", "standby")


def total(per_second: Value) -> Value:
    """A counter from its rate. It is asked in the order of time."""
    state = [0.0]

    def counter(left: float) -> float:
        state[0] += (per_second(left) or 0) * STEP
        return state[0]

    return counter


def commit_of(name: str) -> str:
    return (name.replace(".", "") * 14)[:40]


def relman() -> Iterator[tuple[str, str, dict[str, str], Value]]:
    for slot in ("blue", "green"):
        for name in ("1.3.1", "1.3.2", "1.4.0", "1.5.0"):
            for role in ("stable", "standby", "candidate"):
                labels = {
                    "version": name,
                    "commit": commit_of(name),
                    "digest": "sha256:" + commit_of(name),
                    "slot": slot,
                }
                held = lambda left, s=slot, n=name, r=role: 1 if version(s, left) == (n, r) else None  # noqa: E731
                yield "relman_release_info", "gauge", RELMAN | labels | {"role": role}, held
        for role in ("stable", "standby", "candidate", "empty"):
            is_role = lambda left, s=slot, r=role: int(version(s, left)[1] == r)  # noqa: E731
            yield "relman_slot_role", "gauge", RELMAN | {"slot": slot, "role": role}, is_role
        weight = lambda left, s=slot: 100 if serving(left) == s else 0  # noqa: E731
        yield "relman_slot_weight", "gauge", RELMAN | {"slot": slot}, weight
    ends = {
        "committed": lambda left: 12 + (left <= COMMITTED),
        "reverted": lambda left: 1 + (left <= REVERTED),
        "discarded": lambda left: 2,
    }
    for result, value in ends.items():
        yield "relman_deploys_total", "counter", RELMAN | {"result": result}, value
    for reason in ("requested", "reverted", "restart", "switch_failed", "offline"):
        value = (lambda left: 1 + (left <= REVERTED)) if reason == "reverted" else (lambda left: 0)
        yield "relman_rollbacks_total", "counter", RELMAN | {"reason": reason}, value
    deploying = lambda left: int(version("blue", left)[1] == "candidate" or COMMITTED < left <= COMMITTED + 120)  # noqa: E731
    yield "relman_deploy_in_progress", "gauge", RELMAN, deploying
    yield "relman_drift", "gauge", RELMAN | {"kind": "ahead_of_ledger"}, lambda left: 0


def haproxy() -> Iterator[tuple[str, str, dict[str, str], Value]]:
    name = "haproxy_frontend_http_responses_total"
    fails = lambda left: rate(left) * failing(serving(left), left)  # noqa: E731
    codes: dict[str, Value] = {
        "1xx": lambda left: 0,
        "2xx": lambda left: rate(left) * 0.94 - fails(left),
        "3xx": lambda left: rate(left) * 0.02,
        "4xx": lambda left: rate(left) * 0.04,
        "5xx": fails,
        "other": lambda left: 0,
    }
    for code, value in codes.items():
        yield name, "counter", PROXY | {"proxy": "web", "code": code}, total(value)
    sessions = lambda left: round(rate(left) / 4)  # noqa: E731
    yield "haproxy_frontend_current_sessions", "gauge", PROXY | {"proxy": "web"}, sessions
    for slot in ("blue", "green"):
        labels = PROXY | {"proxy": "web." + slot, "server": slot, "slot": slot}
        for code, value in codes.items():
            here = lambda left, s=slot, v=value: v(left) if serving(left) == s else 0.0  # noqa: E731
            yield "haproxy_server_http_responses_total", "counter", labels | {"code": code}, total(here)
        up = lambda left: 1  # noqa: E731
        yield "haproxy_server_status", "gauge", labels | {"state": "UP"}, up
        yield "haproxy_server_status", "gauge", labels | {"state": "DOWN"}, lambda left: 0
        took = lambda left, s=slot: 0.018 + 0.004 * math.sin(left / 900) if serving(left) == s else 0.0  # noqa: E731
        yield "haproxy_server_response_time_average_seconds", "gauge", labels, took
        yield "haproxy_server_retry_warnings_total", "counter", labels, total(lambda left: 0.01)
        yield "haproxy_server_connection_errors_total", "counter", labels, total(lambda left: 0.002)
        yield "haproxy_server_current_queue", "gauge", labels, lambda left: 0


def service() -> Iterator[tuple[str, str, dict[str, str], Value]]:
    for slot in ("blue", "green"):
        base = {"job": "service", "instance": "127.0.0.1:" + ("18080" if slot == "blue" else "18081")}
        base |= {"service": "web", "slot": slot}
        share = lambda left, s=slot: rate(left) if serving(left) == s else 0.1  # noqa: E731
        mean = 0.02 if slot == "blue" else 0.016
        for bound in BUCKETS:
            quick = lambda left, b=bound, k=mean: 1 - math.exp(-b / (k + 0.006 * math.sin(left / 900)))  # noqa: E731
            below = lambda left, f=share, q=quick: f(left) * q(left)  # noqa: E731
            labels = base | {"method": "GET", "route": "/", "le": str(bound)}
            yield "http_request_duration_seconds_bucket", "counter", labels, total(below)
        labels = base | {"method": "GET", "route": "/", "le": "+Inf"}
        yield "http_request_duration_seconds_bucket", "counter", labels, total(share)
        flying = lambda left, f=share: round(f(left) / 12)  # noqa: E731
        yield "http_requests_in_flight", "gauge", base, flying
        for name in ("1.3.1", "1.3.2", "1.4.0", "1.5.0"):
            runs = lambda left, s=slot, n=name: 1 if version(s, left)[0] == n else None  # noqa: E731
            yield "service_build_info", "gauge", base | {"version": name, "commit": commit_of(name)}, runs


def node() -> Iterator[tuple[str, str, dict[str, str], Value]]:
    busy = {"user": 0.22, "system": 0.08, "iowait": 0.02}
    for mode, part in busy.items():
        used = lambda left, p=part: 2 * p * rate(left) / 40  # noqa: E731
        yield "node_cpu_seconds_total", "counter", NODE | {"cpu": "0", "mode": mode}, total(used)
    yield "node_cpu_seconds_total", "counter", NODE | {"cpu": "0", "mode": "idle"}, total(lambda left: 1.4)
    gib = 2.0**30
    yield "node_memory_MemTotal_bytes", "gauge", NODE, lambda left: 4 * gib
    yield "node_memory_MemAvailable_bytes", "gauge", NODE, lambda left: (2.4 - rate(left) / 100) * gib
    disk = NODE | {"device": "/dev/nvme0n1p1", "fstype": "ext4", "mountpoint": "/"}
    yield "node_filesystem_size_bytes", "gauge", disk, lambda left: 40 * gib
    yield "node_filesystem_avail_bytes", "gauge", disk, lambda left: (22 + left / 14400 - (left <= COMMITTED)) * gib
    for way, size in (("receive", 2_000), ("transmit", 14_000)):
        moved = lambda left, s=size: s * rate(left)  # noqa: E731
        yield f"node_network_{way}_bytes_total", "counter", NODE | {"device": "eth0"}, total(moved)
    yield "node_load1", "gauge", NODE, lambda left: rate(left) / 60 + 0.15 * math.sin(left / 70)
    yield "node_load15", "gauge", NODE, lambda left: rate(left + 450) / 60
    for job, port in (("node", 9100), ("haproxy", 8405), ("prometheus", 9090), ("alertmanager", 9093)):
        yield "up", "gauge", {"job": job, "instance": f"127.0.0.1:{port}"}, lambda left: 1


def openmetrics(end: float) -> Iterator[str]:
    """Lines in the format that promtool makes blocks from."""
    announced = set()
    found = [*relman(), *haproxy(), *service(), *node()]
    for name, kind, labels, value in sorted(found, key=lambda each: each[0]):
        family = name.removesuffix("_total") if kind == "counter" else name
        # A part of a histogram stands alone here: as a type of its own it would need all parts.
        shown = "unknown" if name.endswith("_bucket") else kind
        if family not in announced:
            announced.add(family)
            yield f"# TYPE {family} {shown}\n"
        text = ",".join(f'{key}="{each}"' for key, each in labels.items())
        for left in range(SPAN, -1, -STEP):
            now = value(left)
            if now is not None:
                yield f"{name}{{{text}}} {now:.9g} {end - left:.0f}\n"
    yield "# EOF\n"
