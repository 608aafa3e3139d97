"""Every alert by the committed configuration, out of a real Alertmanager, at receivers on loopback: the one that it is
meant for, with release and command, although a receiver fails at first and another is slow; and what an inhibition holds
back stays back. The alerts are those that the unit tests of the rules expect, label by label.

    delivered.py TOOLS      TOOLS has prometheus-alertmanager
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from aiosmtpd.controller import Controller

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
# Seconds: group_wait is ten, and a receiver that failed is tried again.
LIMIT = 60
PATHS = {"slack": "slack_url", "webhook": "webhook_url", "watchdog": "watchdog_url"}
# Which ways a severity goes, by the receivers of alertmanager.yml.
WAYS = {"page": {"slack", "webhook", "mail"}, "ticket": {"slack"}, "heartbeat": {"watchdog"}, "none": set()}


class Received:
    """What came, by alert and way."""

    def __init__(self):
        self.came: dict[tuple[str, str], str] = {}
        self.failed: set[tuple[str, str]] = set()
        self.changed = threading.Condition()

    def take(self, alert: str, way: str, text: str) -> bool:
        """Whether it was taken: the first attempt by Slack is not, as if Slack were away."""
        with self.changed:
            if way == "slack" and (alert, way) not in self.failed:
                self.failed.add((alert, way))
                return False
            self.came[alert, way] = text
            self.changed.notify_all()
            return True

    def ways(self, alert: str) -> set[str]:
        return {way for name, way in self.came if name == alert}


received = Received()


class Web(BaseHTTPRequestHandler):
    def do_POST(self):
        _, alert, way = self.path.split("/")
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if way == "webhook":
            # Slow: the others must not wait for it.
            with received.changed:
                received.changed.wait_for(lambda: (alert, "mail") in received.came, timeout=LIMIT)
        self.send_response(200 if received.take(alert, way, body) else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format, *arguments):
        pass


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = message_from_bytes(envelope.content)
        parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        alert = re.sub(r"@.*", "", envelope.rcpt_tos[0])
        text = "\n".join([str(message["Subject"]), *(part.decode() for part in parts)])
        received.take(alert, "mail", text)
        return "250 taken"


def expected() -> dict[str, dict]:
    """One alert of each name, as the unit tests of the rules expect it."""
    found = {}
    for file in sorted((MONITORING / "tests").glob("*.yml")):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                for alert in case.get("exp_alerts") or []:
                    labels = {"alertname": case["alertname"], **alert["exp_labels"]}
                    found.setdefault(case["alertname"], {"labels": labels, "annotations": alert["exp_annotations"]})
    return found


def held_back(alerts: dict[str, dict], rules: list[dict]) -> dict[str, tuple[str, str]]:
    """A pair of alerts, source and target, for each pair of names that an inhibition is about."""

    def names(matchers: list[str]) -> list[str]:
        wanted = re.search(r'alertname =(~?) "?([^"]*)"?', matchers[0])
        return [name for name in alerts if re.fullmatch(wanted[2] if wanted[1] else re.escape(wanted[2]), name)]

    pairs = {}
    for rule in rules:
        for source in names(rule["source_matchers"]):
            for target in names(rule["target_matchers"]):
                pairs[f"{target}-by-{source}"] = (source, target)
    return pairs


class Alertmanager:
    """One with the committed configuration, whose receivers lie at NAME."""

    def __init__(self, tools: Path, folder: Path, name: str, web: int, mail: int):
        made = folder / name
        (made / "templates").mkdir(parents=True)
        for template in (MONITORING / "alertmanager/templates").iterdir():
            (made / "templates" / template.name).write_text(template.read_text())
        text = (MONITORING / "alertmanager/alertmanager.yml").read_text()
        for way, file in PATHS.items():
            url = f"http://127.0.0.1:{web}/{name}/{way}"
            (made / file).write_text(url)
            # What Debian 12 has does not know url_file; the role gives it the same.
            text = re.sub(rf"(?<!api_)url_file: \S*/{file}\b", f"url: {url}", text)
        text = text.replace("/etc/prometheus/secrets/", f"{made}/")
        text = text.replace("127.0.0.1:25", f"127.0.0.1:{mail}").replace("root@localhost", f"{name}@localhost")
        (made / "alertmanager.yml").write_text(text)
        self.log = open(made / "log", "w+")
        command = [tools / "prometheus-alertmanager", "--config.file", made / "alertmanager.yml"]
        command += ["--storage.path", made / "data", "--cluster.listen-address=", "--web.listen-address=127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{self.port()}/api/v2/alerts"

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()

    def port(self) -> str:
        for _ in range(LIMIT * 20):
            found = re.search(r"Listening on\S* address=127\.0\.0\.1:(\d+)|address=127\.0\.0\.1:(\d+)", self.said())
            if found:
                return found[1] or found[2]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        sys.exit(f"Alertmanager did not start: {self.said()}")

    def post(self, alerts: list[dict]) -> None:
        body = json.dumps(alerts).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        for _ in range(LIMIT * 20):
            try:
                urllib.request.urlopen(request, timeout=LIMIT).close()
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        sys.exit(f"Alertmanager takes no alert: {self.said()}")

    def is_held_back(self, alert: str) -> bool:
        with urllib.request.urlopen(self.url, timeout=LIMIT) as answer:
            found = [one for one in json.load(answer) if one["labels"]["alertname"] == alert]
        return bool(found) and bool(found[0]["status"]["inhibitedBy"])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()


def wanted(alert: dict) -> list[str]:
    """What a message must say: the release, where one is known, what is wrong, and the command."""
    labels, annotations = alert["labels"], alert["annotations"]
    release = [f"v{labels['release']}"] if labels.get("release") else []
    return [*release, annotations["summary"], *filter(None, [annotations.get("command")])]


def problems(
    alerts: dict[str, dict], managers: dict[str, Alertmanager], pairs: dict[str, tuple[str, str]]
) -> list[str]:
    found = []
    deadline = time.monotonic() + LIMIT

    def left() -> float:
        return max(0, deadline - time.monotonic())

    for name, alert in alerts.items():
        ways = WAYS[alert["labels"]["severity"]]
        with received.changed:
            received.changed.wait_for(lambda n=name, w=ways: received.ways(n) >= w, timeout=left())
            came = {way: received.came[name, way] for way in received.ways(name)}
        if set(came) != ways:
            found.append(f"{name} came by {sorted(came)}, expected {sorted(ways)}: {managers[name].said()[-2000:]}")
        for way, text in came.items():
            # The form that every receiver's text has in common.
            plain = text if way == "mail" else json.dumps(json.loads(text), ensure_ascii=False)
            plain = plain.replace('\\"', '"')
            missing = [part for part in wanted(alert) if part not in plain and part.removeprefix("v") not in plain]
            if missing and way != "watchdog":
                found.append(f"{name} by {way} does not say {missing}: {plain}")
    for name, (_, target) in pairs.items():
        while not managers[name].is_held_back(target):
            if left() == 0:
                found.append(f"{name}: it is not held back")
                break
            time.sleep(0.1)
    return found


def main() -> None:
    tools = Path(sys.argv[1])
    alerts = expected()
    rules = yaml.safe_load((MONITORING / "alertmanager/alertmanager.yml").read_text())["inhibit_rules"]
    pairs = held_back(alerts, rules)
    if len(pairs) < len(rules):
        sys.exit(f"an inhibition is about no alert: {rules}")
    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        mail_port = free.getsockname()[1]
    mail = Controller(Mail(), hostname="127.0.0.1", port=mail_port)
    mail.start()
    managers = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in [*alerts, *pairs]:
                managers[name] = Alertmanager(tools, Path(folder), name, web.server_port, mail_port)
                sent = [alerts[one] for one in pairs.get(name, (name,))]
                if name in pairs:
                    # Of one service, environment and host, which is what they are held back by.
                    same = {"service": "web", "environment": "production", "host": "web-1"}
                    sent = [{**one, "labels": {**one["labels"], **same}} for one in sent]
                managers[name].post(sent)
            found = problems(alerts, managers, pairs)
            for manager in managers.values():
                manager.stop()
            managers = {}
    finally:
        for manager in managers.values():
            manager.stop()
        mail.stop()
        web.shutdown()
    if found:
        sys.exit("\n".join(found))
    print(f"{len(alerts)} alerts delivered, {len(pairs)} held back")


main()
