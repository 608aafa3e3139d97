#!/usr/bin/env python3
"""Makes dashboards/*.json. With --check it changes nothing and fails where a file is not what it would write."""

# Long because: it is one table, all dashboards side by side, and what panels share.
import json
import sys
from pathlib import Path

TO = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
FRONTEND = 'haproxy_frontend_http_responses_total{service="$service"'
SERVER = 'haproxy_server_http_responses_total{service="$service",slot!=""'
INFO = 'max by (version, commit, slot, role) (relman_release_info{service="$service"})'
STABLE = 'relman_release_info{service="$service",role="stable"}'
DISK = 'fstype!~"tmpfs|ramfs|overlay|squashfs"'
RED, AMBER, GREEN = "red", "orange", "green"


def panel(kind, title, unit, width, *queries, steps=(), height=8, about="", top=None):
    """A query is an expression and its legend. Steps are (value, colour), the first from minus infinity."""
    instant = kind in ("stat", "table")
    thresholds = [{"color": GREEN, "value": None}] if not steps else [{"color": c, "value": v} for v, c in steps]
    options = {
        "stat": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name",
            "colorMode": "value",
        },
        "table": {"showHeader": True},
        "timeseries": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }[kind]
    custom = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"} if kind == "timeseries" else {}
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": thresholds}, "custom": custom}
    if top is not None:
        defaults |= {"min": 0, "max": top}
    elif kind == "timeseries":
        defaults |= {"min": 0}
    made = {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
                "format": "table" if kind == "table" else "time_series",
            }
            for number, (expr, legend) in enumerate(queries)
        ],
    }
    if about:
        made["description"] = about
    if kind == "table":
        made["transformations"] = [
            {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True, "__name__": True}}}
        ]
    return made


def graph(title, unit, width, *queries, **more):
    return panel("timeseries", title, unit, width, *queries, **more)


def stat(title, unit, width, *queries, **more):
    return panel("stat", title, unit, width, *queries, height=4, **more)


RELEASES = panel(
    "table",
    "Who runs what",
    "short",
    12,
    (INFO, ""),
    height=4,
    about="What relman-host put into each slot of this host.",
)
IN_PROGRESS = stat(
    "Deploy in progress",
    "short",
    6,
    ('max(relman_deploy_in_progress{service="$service"})', "candidate in a slot"),
    steps=((None, GREEN), (1, AMBER)),
)
ERRORS_BY_SLOT = graph(
    "Errors by slot",
    "percentunit",
    12,
    ('slot:errors:ratio_rate2m{service="$service"}', "{{slot}}"),
    about="5xx of two minutes, whichever backend the requests took.",
)
REQUESTS_BY_SLOT = graph("Requests by slot", "reqps", 12, (f"sum by (slot) (rate({SERVER}}}[2m]))", "{{slot}}"))
WEIGHT = graph(
    "Traffic sent to each slot",
    "percent",
    12,
    ('max by (slot) (relman_slot_weight{service="$service"})', "{{slot}}"),
    top=100,
)
SLOWEST_BY_SLOT = graph(
    "Slowest twentieth by slot",
    "s",
    12,
    (
        "histogram_quantile(0.95, sum by (le, slot) "
        '(rate(http_request_duration_seconds_bucket{service="$service"}[2m])))',
        "{{slot}}",
    ),
)

DASHBOARDS = {
    "release": (
        "Release",
        [
            RELEASES,
            IN_PROGRESS,
            stat(
                "Ahead of the ledger",
                "short",
                6,
                ('max(relman_drift{service="$service",kind="ahead_of_ledger"})', "went back offline"),
                steps=((None, GREEN), (1, RED)),
            ),
            WEIGHT,
            SLOWEST_BY_SLOT,
            REQUESTS_BY_SLOT,
            ERRORS_BY_SLOT,
        ],
    ),
    "service": (
        "Service: requests, errors, duration, budget",
        [
            stat("Requests", "reqps", 6, (f"sum(rate({FRONTEND}}}[5m]))", "5 minutes")),
            stat(
                "Errors",
                "percentunit",
                6,
                ('service:errors:ratio_rate1h{service="$service"}', "1 hour"),
                steps=((None, GREEN), (0.001, AMBER), (0.0144, RED)),
            ),
            stat(
                "Budget burnt in 3 days",
                "percentunit",
                6,
                ('service:errors:ratio_rate3d{service="$service"} / 0.001 * 3 / 30', "of 30 days"),
                steps=((None, GREEN), (0.1, AMBER), (0.5, RED)),
                about="Objective: 99.9 % without a 5xx over 30 days. 10 % in 3 days is just on time.",
            ),
            stat(
                "Slowest twentieth",
                "s",
                6,
                (
                    "histogram_quantile(0.95, sum by (le) "
                    '(rate(http_request_duration_seconds_bucket{service="$service"}[5m])))',
                    "p95",
                ),
            ),
            graph("Answers", "reqps", 12, (f"sum by (code) (rate({FRONTEND}}}[5m]))", "{{code}}")),
            graph(
                "Burn rate",
                "short",
                12,
                *(
                    (f'service:errors:ratio_rate{window}{{service="$service"}} / 0.001', window)
                    for window in ("5m", "1h", "6h")
                ),
                about="1 uses up the budget in 30 days. A page at 14.4 over 1h and 5m, or 6 over 6h and 30m.",
            ),
            graph(
                "Duration",
                "s",
                12,
                *(
                    (
                        f"histogram_quantile({quantile}, sum by (le) "
                        '(rate(http_request_duration_seconds_bucket{service="$service"}[5m])))',
                        name,
                    )
                    for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                ),
            ),
            graph(
                "Being answered",
                "short",
                12,
                ('sum by (slot) (http_requests_in_flight{service="$service"})', "{{slot}}"),
            ),
        ],
    ),
    "candidate": (
        "Candidate against stable",
        [
            RELEASES,
            IN_PROGRESS,
            stat(
                "Worst slot, 2 minutes",
                "percentunit",
                6,
                ('max(slot:errors:ratio_rate2m{service="$service"})', "errors"),
                steps=((None, GREEN), (0.01, RED)),
            ),
            ERRORS_BY_SLOT,
            graph(
                "Errors by slot, an hour",
                "percentunit",
                12,
                ('slot:errors:ratio_rate1h{service="$service"}', "{{slot}}"),
                about="The candidate's two minutes are compared with the stable release's hour.",
            ),
            SLOWEST_BY_SLOT,
            REQUESTS_BY_SLOT,
        ],
    ),
    "host": (
        "Host",
        [
            graph(
                "Processor",
                "percentunit",
                12,
                (
                    'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) '
                    '/ scalar(count(node_cpu_seconds_total{mode="idle"}))',
                    "{{mode}}",
                ),
            ),
            graph(
                "Memory",
                "bytes",
                12,
                ("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "used"),
                ("node_memory_MemTotal_bytes", "there is"),
            ),
            graph(
                "Disk left",
                "percentunit",
                12,
                ("disk:available:ratio", "{{device}}"),
                top=1,
                about="A ticket below 5 %, or below 20 % when it is full within a day.",
            ),
            graph(
                "Disk left in a day at the rate of 6 hours",
                "bytes",
                12,
                (f"min by (device) (predict_linear(node_filesystem_avail_bytes{{{DISK}}}[6h], 86400))", "{{device}}"),
            ),
            graph(
                "Network",
                "Bps",
                12,
                ('sum(rate(node_network_receive_bytes_total{device!="lo"}[5m]))', "in"),
                ('sum(rate(node_network_transmit_bytes_total{device!="lo"}[5m]))', "out"),
            ),
            graph("Load", "short", 12, ("node_load1", "1 minute"), ("node_load15", "15 minutes")),
        ],
    ),
    "proxy": (
        "Proxy",
        [
            graph("Answers of the frontend", "reqps", 12, (f"sum by (code) (rate({FRONTEND}}}[2m]))", "{{code}}")),
            graph(
                "Sessions",
                "short",
                12,
                ('sum by (proxy) (haproxy_frontend_current_sessions{service="$service"})', "{{proxy}}"),
            ),
            graph(
                "Slots that are up",
                "short",
                12,
                (
                    'max by (slot) (haproxy_server_status{service="$service",slot!="",state="UP"})',
                    "{{slot}}",
                ),
                top=1,
            ),
            graph(
                "Time to the answer",
                "s",
                12,
                (
                    'max by (slot) (haproxy_server_response_time_average_seconds{service="$service",slot!=""})',
                    "{{slot}}",
                ),
                about="Of the last 1024 requests.",
            ),
            graph(
                "Retries and refused connections",
                "cps",
                12,
                (
                    'sum by (slot) (rate(haproxy_server_retry_warnings_total{service="$service",slot!=""}[5m]))',
                    "{{slot}} tried again",
                ),
                (
                    'sum by (slot) (rate(haproxy_server_connection_errors_total{service="$service",slot!=""}[5m]))',
                    "{{slot}} refused",
                ),
            ),
            graph(
                "Waiting for a slot",
                "short",
                12,
                ('max by (slot) (haproxy_server_current_queue{service="$service",slot!=""})', "{{slot}}"),
            ),
        ],
    ),
    "delivery": (
        "Delivery",
        [
            stat(
                "Deploys committed",
                "short",
                6,
                (
                    'round(sum(increase(relman_deploys_total{service="$service",result="committed"}[$__range])))',
                    "in view",
                ),
            ),
            stat(
                "Deploys that went back",
                "percentunit",
                6,
                (
                    'sum(increase(relman_deploys_total{service="$service",result="reverted"}[$__range])) / '
                    'sum(increase(relman_deploys_total{service="$service",result=~"committed|reverted"}[$__range]))',
                    "of those that took traffic",
                ),
                steps=((None, GREEN), (0.15, AMBER), (0.3, RED)),
            ),
            stat(
                "Returns of traffic",
                "short",
                12,
                (
                    'round(sum by (reason) (increase(relman_rollbacks_total{service="$service"}[$__range])))',
                    "{{reason}}",
                ),
            ),
            graph(
                "Candidates by what became of them",
                "short",
                12,
                ('sum by (result) (relman_deploys_total{service="$service"})', "{{result}}"),
            ),
            graph(
                "Returns by reason",
                "short",
                12,
                ('sum by (reason) (relman_rollbacks_total{service="$service"})', "{{reason}}"),
            ),
            graph(
                "Time in which a candidate was there",
                "percentunit",
                24,
                ('max(avg_over_time(relman_deploy_in_progress{service="$service"}[1h]))', "share of the hour"),
            ),
        ],
    ),
    "drift": (
        "Ledger and drift",
        [
            RELEASES,
            panel(
                "table",
                "What the slots say they are",
                "short",
                12,
                ('max by (version, commit, slot) (service_build_info{service="$service"})', ""),
                height=4,
                about="By the service's own metrics. Differs from the table beside it where a container was replaced.",
            ),
            graph(
                "Ahead of the ledger",
                "short",
                12,
                ('max by (kind) (relman_drift{service="$service"})', "{{kind}}"),
                top=1,
                about="1: a rollback without the ledger. relman ledger import --from-hosts",
            ),
            graph(
                "Alerts that fire", "short", 12, ('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}")
            ),
            graph(
                "What can be scraped",
                "short",
                12,
                ('min by (job) (up{job!="service"})', "{{job}}"),
                top=1,
            ),
            graph(
                "Releases in slots",
                "short",
                12,
                ('count(count by (version) (relman_release_info{service="$service"}))', "versions"),
            ),
        ],
    ),
}


def laid_out(panels):
    """From left to right on 24 columns. A panel that occurs on several dashboards has its place on each."""
    x = y = tallest = 0
    for number, each in enumerate(panels, 1):
        grid = each["gridPos"]
        if x + grid["w"] > 24:
            x, y, tallest = 0, y + tallest, 0
        yield {"id": number, **each, "gridPos": {**grid, "x": x, "y": y}}
        x, tallest = x + grid["w"], max(tallest, grid["h"])


def annotation(name, colour, expr, title):
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "expr": expr,
        "step": "15s",
        "titleFormat": title,
    }


def dashboard(name, title, panels):
    return {
        "uid": f"relman-{name}",
        "title": title,
        "tags": ["relman"],
        "editable": False,
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "graphTooltip": 1,
        "annotations": {
            "list": [
                annotation(
                    "Releases",
                    "blue",
                    f"max by (version, slot) ({STABLE}) unless max by (version, slot) ({STABLE} offset 1m)",
                    "v{{version}} serves, slot {{slot}}",
                ),
                annotation(
                    "Returns",
                    "red",
                    'sum by (reason) (increase(relman_rollbacks_total{service="$service"}[1m])) > 0',
                    "traffic went back: {{reason}}",
                ),
            ]
        },
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0},
                {
                    "name": "service",
                    "label": "Service",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": "label_values(relman_release_info, service)",
                    "refresh": 2,
                    "sort": 1,
                    "hide": 0,
                },
            ]
        },
        "links": [
            {
                "title": "relman",
                "type": "dashboards",
                "tags": ["relman"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "icon": "external link",
                "tooltip": "",
                "targetBlank": False,
            }
        ],
        "panels": list(laid_out(panels)),
    }


def main():
    files = {
        TO / f"{name}.json": json.dumps(dashboard(name, title, panels), indent=1) + "\n"
        for name, (title, panels) in DASHBOARDS.items()
    }
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.write_text(text)
        return
    wrong = [path.name for path, text in files.items() if not path.is_file() or path.read_text() != text]
    wrong += [path.name for path in TO.iterdir() if path not in files]
    if wrong:
        sys.exit(f"not what monitoring/grafana/generate.py makes: {', '.join(wrong)}; run it")


if __name__ == "__main__":
    main()
