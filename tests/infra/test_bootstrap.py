"""The foundation against moto: local state first, then in the bucket that it made; who CI may be; destroyed at the end."""

import json

import pytest
from botocore.exceptions import ClientError
from conftest import GITHUB
from terraform import REPOSITORY, differences

pytestmark = pytest.mark.slow


def keys(value):
    return {k: keys(v) for k, v in value.items()} if isinstance(value, dict) else None


def statements(root, role):
    return json.loads(root.outputs()["policies"][role])


def allowed(root, role):
    return {a for s in statements(root, role) if s["Effect"] == "Allow" for a in s["Action"]}


def test_the_foundation_has_the_shape_that_the_roots_take(bootstrapped, stand_in_foundation):
    assert keys(bootstrapped.outputs()["foundation"]) == keys(stand_in_foundation)


def test_the_first_plan_after_apply_changed_nothing(bootstrapped):
    assert bootstrapped.first_differences == []


def test_its_state_moves_into_the_bucket_and_still_changes_nothing(bootstrapped, client):
    bucket = bootstrapped.outputs()["foundation"]["artifacts"]["bucket"].replace("artifacts", "state")
    state = json.loads(client("s3").get_object(Bucket=bucket, Key="bootstrap.tfstate")["Body"].read())
    assert {r["type"] for r in state["resources"]} >= {"aws_dynamodb_table", "aws_s3_bucket", "aws_iam_role"}
    assert bootstrapped.resources() == bootstrapped.before
    assert differences(bootstrapped.plan()) == []


def test_the_ledgers_table_is_the_one_that_the_schema_says(bootstrapped, client):
    schema = json.loads((REPOSITORY / "ledger-schema/dynamodb/table.json").read_text())
    table = client("dynamodb").describe_table(TableName=schema["TableName"])["Table"]
    by_name = {a["AttributeName"]: a for a in schema["AttributeDefinitions"]}
    assert {a["AttributeName"]: a for a in table["AttributeDefinitions"]} == by_name
    assert table["KeySchema"] == schema["KeySchema"]
    indexes = {i["IndexName"]: (i["KeySchema"], i["Projection"]) for i in table.get("GlobalSecondaryIndexes", [])}
    assert indexes == {
        i["IndexName"]: (i["KeySchema"], i["Projection"]) for i in schema.get("GlobalSecondaryIndexes", [])
    }
    assert table["BillingModeSummary"]["BillingMode"] == schema["BillingMode"]
    assert table["SSEDescription"]["Status"] == "ENABLED"
    backups = client("dynamodb").describe_continuous_backups(TableName=schema["TableName"])[
        "ContinuousBackupsDescription"
    ]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = client("dynamodb").describe_time_to_live(TableName=schema["TableName"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "exp"}


def test_artifacts_are_versioned_locked_encrypted_and_closed(bootstrapped, client):
    s3 = client("s3")
    bucket = bootstrapped.outputs()["foundation"]["artifacts"]["bucket"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    s3.put_object(Bucket=bucket, Key="probe", Body=b"one", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="probe", Body=b"two", IfNoneMatch="*")


@pytest.mark.parametrize("role", ["build", "deploy-production", "deploy-staging"])
def test_nobody_who_writes_the_ledger_may_delete_or_scan(bootstrapped, role):
    ledger = {a for a in allowed(bootstrapped, role) if a.startswith("dynamodb:")}
    assert ledger and not [a for a in ledger if "Delete" in a or "Scan" in a or "PartiQL" in a or "*" in a]
    for statement in statements(bootstrapped, role):
        if {"dynamodb:PutItem", "dynamodb:UpdateItem"} & set(statement["Action"]):
            assert statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]


def test_an_environment_writes_no_other_environments_stream(bootstrapped):
    def written(role):
        return {
            k
            for s in statements(bootstrapped, role)
            if "dynamodb:PutItem" in s["Action"]
            for k in s["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        }

    assert [k for k in written("deploy-staging") if "production" in k] == []
    assert [k for k in written("deploy-production") if "staging" in k] == []


def test_deploys_reach_their_own_hosts_by_one_document(bootstrapped):
    commands = [s for s in statements(bootstrapped, "deploy-production") if "ssm:SendCommand" in s["Action"]]
    document, hosts = commands
    assert document["Resource"] == ["arn:aws:ssm:eu-central-1:123456789012:document/relman-web-production"]
    assert hosts["Condition"]["StringEquals"]["ssm:resourceTag/relman:environment"] == "production"


def test_plan_changes_nothing(bootstrapped):
    writes = ("Create", "Delete", "Put", "Update", "Modify", "Start", "Send", "Run", "Attach", "Pass", "Tag")
    names = [a.split(":")[1] for a in allowed(bootstrapped, "plan")]
    assert [n for n in names if n.startswith(writes) or n == "*"] == []


def test_apply_is_under_a_boundary_and_makes_roles_under_one(bootstrapped, client):
    role = client("iam").get_role(RoleName="relman-web-apply")["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith("/relman-web-apply-boundary")
    creating = [s for s in statements(bootstrapped, "apply") if "iam:CreateRole" in s["Action"]]
    boundary = bootstrapped.outputs()["foundation"]["permissions_boundary_arn"]
    assert [s["Condition"]["StringEquals"]["iam:PermissionsBoundary"] for s in creating] == [boundary]


def test_each_role_trusts_its_own_jobs_in_both_forms_of_the_subject(bootstrapped, client):
    def condition(role):
        trust = client("iam").get_role(RoleName=f"relman-web-{role}")["Role"]["AssumeRolePolicyDocument"]
        (statement,) = trust["Statement"]
        assert set(statement["Condition"]) == {"StringEquals"}
        return statement["Condition"]["StringEquals"]

    issuer = "token.actions.githubusercontent.com"
    old, new = f"repo:{GITHUB['organization']}/{GITHUB['repository']}", "repo:acme@101/web@202"
    for role, environments in {
        "build": ["build"],
        "plan": ["infra-plan"],
        "apply": ["infra-apply"],
        "deploy-staging": ["staging"],
        "deploy-production": ["production", "production-rollback"],
    }.items():
        assert condition(role)[f"{issuer}:aud"] == "sts.amazonaws.com"
        assert sorted(condition(role)[f"{issuer}:sub"]) == sorted(
            f"{r}:environment:{e}" for r in (old, new) for e in environments
        )
