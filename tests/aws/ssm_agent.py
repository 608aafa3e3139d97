"""moto, and the SSM agents of hosts that it does not have.

moto takes a command, says at once that it was a success, and nobody runs anything. Here whatever moto takes is run as
an agent would run it: the document is asked for, the parameters are held against its patterns and put into its script,
and the script is handed to a shell of the host. What it printed is in the answer to GetCommandInvocation.

    python3 tests/aws/ssm_agent.py --document perform.json.tftpl --name relman-perform \\
        --instance 'i-0123456789abcdef0=ssh -F config host1 sudo sh -s'

prints "ready PORT" once it listens. What an instance is given after its = reads a script on standard input.
"""

import argparse
import io
import json
import pathlib
import re
import shlex
import subprocess
import threading

import boto3
from moto_mutex import listen

# What SSM shows of an output.
SHOWN = 24_000
TIMEOUT_SECONDS = "900"


class Agents:
    """A WSGI application around another: it runs what was sent, and tells what came of it."""

    def __init__(self, application, instances: dict[str, list[str]]):
        self.application = application
        self.instances = instances
        self.ended: dict[tuple[str, str], dict] = {}
        self.document = None

    def __call__(self, environ, start_response):
        operation = environ.get("HTTP_X_AMZ_TARGET", "")
        if operation not in ("AmazonSSM.SendCommand", "AmazonSSM.GetCommandInvocation"):
            return self.application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        answer = {}

        def keep(status, headers, exc_info=None):
            answer.update(status=status, headers=headers)

        text = b"".join(self.application(environ, keep))
        if answer["status"].startswith("200"):
            asked, said = json.loads(body), json.loads(text)
            if operation == "AmazonSSM.SendCommand":
                self.send(asked, said["Command"]["CommandId"])
            else:
                said |= self.ended.get((said["CommandId"], said["InstanceId"]), {"Status": "InProgress"})
            text = json.dumps(said).encode()
        headers = [(k, v) for k, v in answer["headers"] if k.lower() != "content-length"]
        start_response(answer["status"], [*headers, ("Content-Length", str(len(text)))])
        return [text]

    def send(self, asked: dict, command: str) -> None:
        script = self.script(asked)
        for instance in asked["InstanceIds"]:
            threading.Thread(target=self.run, args=(command, instance, script), daemon=True).start()

    def script(self, asked: dict) -> str:
        document = self.document(asked["DocumentName"])
        lines = "\n".join(line for step in document["mainSteps"] for line in step["inputs"]["runCommand"])
        for name, about in document["parameters"].items():
            (value,) = asked["Parameters"][name]
            if not re.fullmatch(about["allowedPattern"], value):
                raise ValueError(f"{name} does not match {about['allowedPattern']}")
            lines = lines.replace("{{ " + name + " }}", value)
        return lines

    def run(self, command: str, instance: str, script: str) -> None:
        done = subprocess.run(self.instances[instance], input=script.encode(), capture_output=True, check=False)
        status = "Success" if done.returncode == 0 else "Failed"
        self.ended[command, instance] = {
            "Status": status,
            "StatusDetails": status,
            "ResponseCode": done.returncode,
            "StandardOutputContent": done.stdout.decode(errors="replace")[:SHOWN],
            "StandardErrorContent": done.stderr.decode(errors="replace")[:8_000],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--document", type=pathlib.Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--instance", action="append", required=True)
    arguments = parser.parse_args()
    instances = {name: shlex.split(way) for name, _, way in (i.partition("=") for i in arguments.instance)}
    agents = []

    def around(application):
        agents.append(Agents(application, instances))
        return agents[0]

    def ready(port: int) -> None:
        ssm = boto3.client(
            "ssm",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        content = arguments.document.read_text().replace("${timeout_seconds}", TIMEOUT_SECONDS)
        ssm.create_document(Name=arguments.name, DocumentType="Command", DocumentFormat="JSON", Content=content)
        agents[0].document = lambda name: json.loads(ssm.get_document(Name=name)["Content"])
        print(f"ready {port}", flush=True)

    listen(0, around=around, ready=ready)


if __name__ == "__main__":
    main()
