"""What parliament says of the policies that an account holds, without what is meant."""

import json
import re
import warnings

with warnings.catch_warnings():
    # It says that pkg_resources will go; requirements.in holds the last setuptools that has it.
    warnings.simplefilter("ignore")
    from parliament import analyze_policy_string, enhance_finding

# Policy, issue and detail as parliament writes them, and why it is no mistake.
MEANT = [
    (r"^\S+-boundary: RESOURCE_STAR", "a boundary grants nothing; it caps what others grant"),
    (r"/plan: RESOURCE_STAR: .*Describe", "it reads all of the infrastructure, and no ledger, artifact or parameter"),
    (r"/apply: RESOURCE_STAR: .*'cloudwatch:DescribeAlarms'", "the same statement as that of plan"),
    (r"/apply: RESOURCE_STAR: .*'autoscaling:AttachInstances'", "what it makes has no name yet; in one region, capped"),
    (
        r"/apply: RESOURCE_STAR: [^\[]*\['kms:TagResource'\]",
        "a key has no name while it is made; its tags are asked for",
    ),
    (
        r"/apply: RESOURCE_STAR: .*'wafv2:AssociateWebACL'",
        "the ACL is somebody else's, and not known to the foundation",
    ),
    (r"MISMATCHED_TYPE_BUT_USABLE: .*String(Not)?Equals requires .* given Arn", "AWS compares a boundary as a string"),
    (r"/(plan|apply): RESOURCE_MISMATCH: .*parameter/\*'", "AWS's own parameters, of images, lie in no account"),
    (r"/deploy-\w+: RESOURCE_MISMATCH: .*ssm:SendCommand", "the hosts; the document has a statement of its own"),
]


def policies(iam):
    """Each policy of each role, and each that stands by itself, as (name, document)."""
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
                inline = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)
                yield f"{role['RoleName']}/{name}", inline["PolicyDocument"]
    for page in iam.get_paginator("list_policies").paginate(Scope="Local"):
        for policy in page["Policies"]:
            version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
            yield policy["PolicyName"], version["PolicyVersion"]["Document"]


def findings(iam) -> tuple[int, list[str]]:
    """How many policies there were, and what is wrong with them."""
    count, found = 0, []
    for name, document in policies(iam):
        count += 1
        for finding in analyze_policy_string(json.dumps(document)).findings:
            enhanced = enhance_finding(finding)
            text = f"{name}: {enhanced.issue}: {enhanced.title}: {enhanced.detail} {finding.location}"
            if not any(re.search(pattern, text) for pattern, _ in MEANT):
                found.append(text)
    return count, found
