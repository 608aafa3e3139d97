"""One moto, one copy of infra/, and the foundation that the roots stand on."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from terraform import REGION, REPOSITORY, Root, copy_of_infra, differences

# A suite that is told to end takes moto and Terraform down with it.
signal.signal(signal.SIGTERM, signal.default_int_handler)

STATE = Path(os.environ["INFRA_STATE"])
# Made up, and never used to log in anywhere.
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEb6lqJcAaM0xNcZ8oN2i1pY4m0V4V9f9p1m2n3o4p5q test"
GITHUB = {"organization": "acme", "organization_id": "101", "repository": "web", "repository_id": "202"}


def pytest_terminal_summary(terminalreporter, exitstatus):
    """What moto said of itself belongs to a failure."""
    log = STATE / "moto.log"
    if exitstatus and log.exists():
        terminalreporter.section("moto.log, its end")
        terminalreporter.write("".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:]))


@pytest.fixture(scope="session")
def copy(request):
    """A copy of infra/ of this run's own; kept when something failed."""
    work = STATE / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    yield copy_of_infra(work)
    if not request.session.testsfailed:
        shutil.rmtree(work)


@pytest.fixture(scope="session")
def aws():
    """The environment of an AWS that is moto: what a user would set, and nothing else."""
    log = (STATE / "moto.log").open("w")
    server = subprocess.Popen(
        [sys.executable, REPOSITORY / "tests/aws/moto_mutex.py", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    ready, _, _ = select.select([server.stdout], [], [], 60)
    assert ready, "moto did not start within a minute"
    word, port = server.stdout.readline().split()
    assert word == "ready"
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        # moto answers what it does not have with 501, which the provider would try again for minutes.
        "AWS_MAX_ATTEMPTS": "2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    yield environment
    server.terminate()
    server.wait(timeout=30)
    server.stdout.close()
    log.close()


@pytest.fixture(scope="session")
def client(aws):
    def make(service: str):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=aws["AWS_ENDPOINT_URL"],
            aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        )

    return make


@pytest.fixture(scope="session")
def ami(client):
    return client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]


@pytest.fixture(scope="session")
def certificate(client):
    return client("acm").request_certificate(DomainName="web.example.com")["CertificateArn"]


@pytest.fixture(scope="session")
def state_place(client):
    """A bucket and a lock table as bootstrap makes them, for what needs only those. Gives a backend.hcl."""
    bucket, table = "stand-in-state", "stand-in-lock"
    client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client("dynamodb").create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return {"bucket": bucket, "region": REGION, "dynamodb_table": table}


@pytest.fixture(scope="session")
def stand_in_foundation():
    """The shape that bootstrap puts out; test_bootstrap compares the two."""
    account = f"{REGION}:123456789012"
    return {
        "permissions_boundary_arn": "arn:aws:iam::123456789012:policy/relman-ci/relman-web-workload-boundary",
        "ledger": {
            "table_name": "relman-ledger",
            "table_arn": f"arn:aws:dynamodb:{account}:table/relman-ledger",
            "kms_key_arn": f"arn:aws:kms:{account}:key/00000000-0000-0000-0000-000000000000",
        },
        "ledger_keys": {
            "shared": ["META", "STREAMS"],
            "release": ["SVC#{service}"],
            "environment": ["ENV#{service}#{environment}"],
        },
        "artifacts": {
            "bucket": "relman-web-artifacts-123456789012",
            "arn": "arn:aws:s3:::relman-web-artifacts-123456789012",
        },
        "repository": {
            "url": f"123456789012.dkr.ecr.{REGION}.amazonaws.com/web",
            "arn": f"arn:aws:ecr:{account}:repository/web",
        },
    }


@pytest.fixture(scope="session")
def root(copy, aws):
    def make(name: str, **variables) -> Root:
        made = Root(copy / name, aws)
        made.with_variables(region=REGION, service="web", **variables)
        return made

    return make


@pytest.fixture(scope="session")
def false_drifts():
    return json.loads((Path(__file__).parent / "false_drifts.json").read_text())


class Bootstrapped(Root):
    """The foundation after its two applies, its state in the bucket that it made."""

    def write_backend(self) -> None:
        (self.directory.parent / "live/backend.hcl").write_text(self.run("output", "-raw", "backend_hcl").stdout)

    def move_state_to_the_bucket(self) -> None:
        self.before = self.resources()
        self.write_backend()
        (self.directory / "backend.tf").write_text(self.run("output", "-raw", "backend_tf").stdout)
        self.init("-migrate-state", "-force-copy", "-backend-config=../live/backend.hcl")

    def move_state_back(self) -> None:
        (self.directory / "backend.tf").unlink()
        self.init("-migrate-state", "-force-copy")


def empty(s3, bucket: str) -> None:
    """moto 5.2.1 fails to delete a last version before its delete marker, which is the provider's order."""
    found = s3.list_object_versions(Bucket=bucket)
    objects = [
        {k: v[k] for k in ("Key", "VersionId")} for v in found.get("Versions", []) + found.get("DeleteMarkers", [])
    ]
    if objects:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": objects}, BypassGovernanceRetention=True)


@pytest.fixture(scope="session")
def bootstrapped(copy, aws, client):
    """README.md's steps, one by one."""
    made = Bootstrapped(copy / "bootstrap", aws)
    made.with_variables(region=REGION, service="web", github=GITHUB, deletion_protection=False, force_destroy=True)
    # moto forgets this one, and the provider would wait for it.
    made.with_variables(state_keep_newest=None)
    made.init()
    made.apply()
    made.first_differences = differences(made.plan())
    # From here on the buckets are used, and moto refuses everybody where a policy has a condition.
    made.with_variables(bucket_policies=False)
    made.apply()
    made.move_state_to_the_bucket()
    yield made
    # A bucket cannot hold the state of its own destruction.
    made.move_state_back()
    for kind in ("state", "artifacts"):
        empty(client("s3"), f"relman-web-{kind}-123456789012")
    made.destroy()
    assert made.resources() == []
