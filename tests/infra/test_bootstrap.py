"""The foundation against moto: local state first, then in the bucket that it made; who CI may be; destroyed at the end."""

import json
import re

import pytest
from botocore.exceptions import ClientError
from conftest import GITHUB
from iam import findings
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


def test_both_locks_are_taken_by_default(bootstrapped, client):
    outputs = bootstrapped.outputs()
    (table,) = re.findall('^dynamodb_table = "(.+)"$', outputs["backend_hcl"], re.MULTILINE)
    assert client("dynamodb").describe_table(TableName=table)["Table"]["KeySchema"][0]["AttributeName"] == "LockID"
    assert re.search(r"^ *use_lockfile = true$", outputs["backend_tf"], re.MULTILINE)


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
    assert expiry["TimeToLiveStatus"] == "DISABLED", "an entry never goes"


def test_who_the_ledger_is_is_made_with_its_table(bootstrapped, client):
    key = {"pk": {"S": "META"}, "sk": {"S": "SCHEMA"}}
    meta = client("dynamodb").get_item(TableName="relman-ledger", Key=key)["Item"]
    assert re.fullmatch("[0-9a-f]{32}", meta["ledger_id"]["S"])
    assert meta["ledger_id"]["S"] == bootstrapped.outputs()["ledger_id"]
    code = (REPOSITORY / "src/ledger/dynamodb/read.rs").read_text()
    assert f"const SCHEMA: u64 = {meta['schema_version']['N']};" in code
    assert f'const MIN_CLIENT: &str = "{meta["min_client"]["S"]}";' in code


def test_artifacts_are_versioned_locked_encrypted_and_closed(bootstrapped, client):
    s3 = client("s3")
    bucket = bootstrapped.outputs()["foundation"]["artifacts"]["bucket"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 400), "anchors have no other"
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
            if statement["Effect"] == "Deny":
                assert statement["Condition"]["ForAnyValue:StringEquals"]["dynamodb:LeadingKeys"] == ["META"]
                continue
            keys = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            assert "STREAMS" in keys and "META" not in keys, "the ledger's id is nobody's to write"


def test_an_environment_writes_no_other_environments_stream(bootstrapped):
    def written(role):
        return {
            k
            for s in statements(bootstrapped, role)
            if "dynamodb:PutItem" in s["Action"] and s["Effect"] == "Allow"
            for k in s["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        }

    assert [k for k in written("deploy-staging") if "production" in k] == []
    assert [k for k in written("deploy-production") if "staging" in k] == []


@pytest.mark.parametrize(("role", "others"), [("deploy-staging", {"production"}), ("build", {"staging", "production"})])
def test_nobody_puts_an_anchor_for_another_environment(bootstrapped, role, others):
    denied = [s for s in statements(bootstrapped, role) if s["Effect"] == "Deny" and s["Action"] == ["s3:PutObject"]]
    assert {r.split("anchors/web/")[1] for s in denied for r in s["Resource"]} == {f"{other}/*" for other in others}


def test_an_environment_reads_the_others(bootstrapped):
    """For `after`, `deploy --from` and `verify`."""
    read = {
        k
        for s in statements(bootstrapped, "deploy-production")
        if "dynamodb:Query" in s["Action"]
        for k in s["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }
    assert {"ENV#web#staging", "LOG#web/staging"} <= read


def test_deploys_reach_their_own_hosts_by_one_document(bootstrapped):
    commands = [s for s in statements(bootstrapped, "deploy-production") if "ssm:SendCommand" in s["Action"]]
    document, hosts = commands
    assert document["Resource"] == ["arn:aws:ssm:eu-central-1:123456789012:document/relman-web-production"]
    assert hosts["Condition"]["StringEquals"]["ssm:resourceTag/relman:environment"] == "production"
    asked = {"ssm:CancelCommand", "ssm:GetCommandInvocation", "autoscaling:DescribeAutoScalingGroups"}
    assert asked <= set(allowed(bootstrapped, "deploy-production"))


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
    own = [f"relman/relman-web-{e}-{part}" for e in ("production", "staging") for part in ("host", "flow")]
    for action in ("iam:PassRole", "iam:UpdateAssumeRolePolicy", "iam:CreateRole"):
        (statement,) = [s for s in statements(bootstrapped, "apply") if action in s["Action"]]
        roles = [r.split(":role/")[1] for r in statement["Resource"] if ":role/" in r]
        assert sorted(roles) == sorted(own), "the roles of no other service"
    arn = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
    version = client("iam").get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = client("iam").get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    (state,) = [s for s in document["Statement"] if s["Sid"] == "KeyOfTheStateStays"]
    assert state["Effect"] == "Deny" and {"kms:Put*", "kms:Schedule*"} <= set(state["Action"])


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


def test_parliament_finds_nothing_in_the_policies_of_ci(bootstrapped, client):
    count, found = findings(client("iam"))
    assert count >= 7 and found == []
