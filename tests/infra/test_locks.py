"""Both state locks: a second Terraform is told who holds them, and a killed one leaves them for a person to break."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError
from terraform import INFRA, Root

KEY = "locks.tfstate"
# Nothing to download and nothing to make, so the lock is held by the committed backend's settings and nothing else.
CONFIGURATION = 'resource "terraform_data" "thing" {\n  input = "one"\n}\n'


@pytest.fixture
def place(tmp_path, aws, state_place):
    """Two checkouts of one root, as of two people."""
    roots = []
    for who in ("first", "second"):
        directory = tmp_path / who
        directory.mkdir()
        (directory / "main.tf").write_text(CONFIGURATION)
        (directory / "backend.tf").write_text((INFRA / "live/single/backend.tf").read_text())
        root = Root(directory, aws)
        root.init(f"-backend-config=key={KEY}", *(f"-backend-config={k}={v}" for k, v in state_place.items()))
        roots.append(root)
    return roots


class Waiting:
    """An apply that holds the locks and waits to be told yes."""

    def __init__(self, root: Root):
        self.process = subprocess.Popen(
            root.command("apply", "-no-color"),
            cwd=root.directory,
            env={**os.environ, **root.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A Terraform that never asks must not hang the suite.
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        said = ""
        while "Enter a value" not in said:
            character = self.process.stdout.read(1)
            assert character, f"apply ended before it asked:\n{said}"
            said += character
        watchdog.cancel()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=30)

    def refuse(self):
        self.process.communicate("no\n", timeout=60)


def lock_file(client, bucket):
    try:
        return json.loads(client("s3").get_object(Bucket=bucket, Key=f"{KEY}.tflock")["Body"].read())
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("NoSuchKey", "404")
        return None


def lock_item(client, table, bucket):
    item = client("dynamodb").get_item(TableName=table, Key={"LockID": {"S": f"{bucket}/{KEY}"}}).get("Item")
    return item and json.loads(item["Info"]["S"])


def test_a_second_terraform_is_refused_and_told_who_holds_the_lock(place, client, state_place):
    first, second = place
    holder = Waiting(first)
    try:
        held = lock_file(client, state_place["bucket"])
        assert held, "the lock file in the bucket"
        in_table = lock_item(client, state_place["dynamodb_table"], state_place["bucket"])
        assert in_table, "the item in the lock table"

        refused = second.run("plan", "-no-color", "-lock-timeout=0s", codes=(1,)).stderr
        assert "Error acquiring the state lock" in refused
        assert held["ID"] in refused or in_table["ID"] in refused
        assert held["Who"] in refused
    finally:
        holder.refuse()

    assert lock_file(client, state_place["bucket"]) is None
    assert lock_item(client, state_place["dynamodb_table"], state_place["bucket"]) is None
    second.run("plan", "-no-color", "-lock-timeout=0s")


def test_a_killed_terraform_leaves_its_lock_and_the_next_one_names_it(place, client, state_place):
    first, second = place
    Waiting(first).kill()

    left = lock_file(client, state_place["bucket"])
    in_table = lock_item(client, state_place["dynamodb_table"], state_place["bucket"])
    assert left and in_table, "both locks are left"

    refused = second.run("apply", "-auto-approve", "-no-color", "-lock-timeout=0s", codes=(1,)).stderr
    named = re.search(r"^\s*ID:\s+([0-9a-f-]{36})$", refused, re.MULTILINE)
    assert named, refused
    assert named[1] in (left["ID"], in_table["ID"])
    assert lock_file(client, state_place["bucket"]) == left, "nothing broke it"

    # The line of infra/README.md, by a person who knows that the holder is dead.
    second.run("force-unlock", "-force", named[1])
    assert lock_file(client, state_place["bucket"]) is None
    assert lock_item(client, state_place["dynamodb_table"], state_place["bucket"]) is None
    second.run("apply", "-auto-approve", "-no-color", "-lock-timeout=0s")
    second.run("destroy", "-auto-approve", "-no-color")
