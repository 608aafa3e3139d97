//! What Terraform says, by a stand-in for it: one file with what each subcommand prints, and its exit code.

use super::Case;
use super::hosts::refuses;
use super::server::Reply;

const CONFIG: &str = "[ledger]\nurl = \"sqlite:l.db\"\n[environments.production]\nvia = \"ssh\"\nprovision = \"check\"\n\
                      [environments.production.terraform]\ndirectory = \"infra\"\n";
const STATUS: &[&str] = &["status"];
const PLAN: &[&str] = &["infra", "plan"];
const DEPLOY: &[&str] = &["deploy", "1.0.0"];
const APPLY: &[&str] = &["infra", "apply", "--yes"];

const LOCKED: &str = "Error: Error acquiring the state lock\n\nError message: operation error DynamoDB: PutItem, ConditionalCheckFailedException\nLock Info:\n  ID:        618e8c67-09be-81cf-8879-a4c717cace01\n  Path:      acme-state/web.tfstate\n  Operation: OperationTypeApply\n  Who:       ada@laptop\n  Version:   1.11.4\n  Created:   2026-11-26 08:02:09 +0000 UTC\n  Info:      \n";

/// A Terraform whose subcommand prints this to stdout and stderr, and ends so.
fn stand_in(version: &str, subcommand: &str, rc: u8, out: &str, err: &str) -> String {
    format!(
        "#!/bin/sh\nfor word; do case $word in -chdir=*) ;; *) break ;; esac; done\ncase $word in\n\
         version) echo '{{\"terraform_version\":\"{version}\"}}' ;;\n\
         {subcommand}) cat <<'OUT'\n{out}\nOUT\ncat >&2 <<'ERR'\n{err}\nERR\nexit {rc} ;;\n\
         validate) echo '{{\"valid\":true,\"diagnostics\":[]}}' ;;\noutput) echo '{{}}' ;;\nesac\n"
    )
}

fn case(
    name: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    says: &[&'static str],
    (subcommand, rc, out, err): (&str, u8, &str, &str),
) -> Case {
    Case::new(name, arguments, code, says)
        .config(CONFIG)
        .file("infra/main.tf", "")
        .file("bin/terraform", stand_in("1.11.4", subcommand, rc, out, err))
}

/// Outputs whose `relman_hosts` is this.
fn outputs(name: &'static str, says: &[&'static str], hosts: &str) -> Case {
    case(name, STATUS, 2, says, ("output", 0, &format!("{{\"relman_hosts\":{{\"value\":{hosts}}}}}"), ""))
}

/// A fleet in a group, of which AWS answers this.
fn grouped(
    name: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    says: &[&'static str],
    answer: Reply,
) -> Case {
    let outputs = r#"{"relman_hosts":{"value":[{"name":"i-0123456789abcdef0","address":"10.0.0.1"}]},"relman_config":{"value":{"autoscaling_group":"web-production"}}}"#;
    case(name, arguments, code, says, ("output", 0, outputs, ""))
        .aws(vec![("DescribeAutoScalingGroups", answer)])
}

/// The answer about a group with these instances.
fn group(members: &[&str]) -> Reply {
    let member = |id: &&str| {
        format!("<member><InstanceId>{id}</InstanceId><LifecycleState>InService</LifecycleState></member>")
    };
    let members: String = members.iter().map(member).collect();
    Reply::Xml(
        200,
        format!(
            "<DescribeAutoScalingGroupsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><DescribeAutoScalingGroupsResult>\
             <AutoScalingGroups><member><AutoScalingGroupName>web-production</AutoScalingGroupName><Instances>{members}</Instances></member>\
             </AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
        ),
    )
}

fn of_a_group() -> Vec<Case> {
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:sts::123456789012:assumed-role/deploy/me is not authorized to perform: autoscaling:DescribeAutoScalingGroups</Message></Error></ErrorResponse>";
    let nothing = "<DescribeAutoScalingGroupsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>";
    vec![
        grouped(
            "a group that may not be asked, at a deploy",
            DEPLOY,
            1,
            &[
                "the Auto Scaling group web-production in us-east-1 cannot be asked",
                "autoscaling:DescribeAutoScalingGroups is not allowed",
                "infra/bootstrap has the policies",
            ],
            Reply::Xml(403, denied.to_owned()),
        ),
        grouped(
            "a group that may not be asked, at a rollback",
            &["rollback", "--dry-run"],
            7,
            &[
                "autoscaling:DescribeAutoScalingGroups is not allowed",
                "the hosts are those that were known last",
            ],
            Reply::Xml(403, denied.to_owned()),
        ),
        grouped(
            "a group that is not there",
            DEPLOY,
            1,
            &["there is no Auto Scaling group web-production in us-east-1", "AWS_REGION"],
            Reply::Xml(200, nothing.to_owned()),
        ),
        grouped(
            "a group that nobody is in",
            STATUS,
            1,
            &["the Auto Scaling group web-production has no member", "describe-auto-scaling-groups"],
            group(&[]),
        ),
        grouped(
            "a host that came, and nothing says how it is reached",
            DEPLOY,
            2,
            &["i-00000000000000bbb is in the Auto Scaling group", "host_template", "relman infra apply"],
            group(&["i-0123456789abcdef0", "i-00000000000000bbb"]),
        ),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let private = CONFIG.to_owned() + "address_source = \"private\"\n";
    let ssm = CONFIG.replace("\"ssh\"", "\"ssm\"");
    let managed = r#"{"relman_hosts":{"value":[{"name":"a","address":"10.0.0.1","ssm_id":"i-0123456789abcdef0"}]},"relman_config":{"value":{"ssm_document":"relman-web-production"}}}"#;
    let elsewhere = r#"{"relman_hosts":{"value":[{"name":"a","address":"10.0.0.1"}]},"relman_config":{"value":{"environment":"staging"}}}"#;
    let service = r#"{"relman_hosts":{"value":[{"name":"a","address":"10.0.0.1"}]},"relman_config":{"value":{"service":"shop"}}}"#;
    let init = "Error: Inconsistent dependency lock file\n\nprovider registry.terraform.io/hashicorp/aws: required by this configuration but no version is selected\n\nTo make the initial dependency selections, run:\n  terraform init\n";
    let expired = "Error: Retrieving AWS account details: validating provider credentials: ExpiredToken: The security token included in the request is expired\n";
    let mut cases = of_a_group();
    cases.extend([
        case(
            "a state that somebody holds",
            PLAN,
            1,
            &[
                "the state of infra is locked by ada@laptop",
                "Doing: OperationTypeApply",
                "terraform -chdir=infra force-unlock 618e8c67",
                "only when it is certain",
            ],
            ("plan", 1, "", LOCKED),
        ),
        case(
            "a state that somebody holds, to apply",
            APPLY,
            1,
            &["locked by ada@laptop", "--lock-wait 15m"],
            ("plan", 1, "", LOCKED),
        ),
        case(
            "a provider that is missing",
            PLAN,
            1,
            &["infra", "is not initialised", "terraform -chdir=infra init"],
            ("plan|init", 1, "", init),
        ),
        case(
            "a provider that is missing, at the doctor",
            &["doctor", "-o", "json"],
            1,
            &["infra is not initialised", "terraform -chdir=infra init"],
            (
                "validate",
                1,
                r#"{"valid":false,"diagnostics":[{"severity":"error","summary":"Missing required provider","detail":"run: terraform init"}]}"#,
                "",
            ),
        ),
        case(
            "a provider whose credentials have expired",
            PLAN,
            1,
            &["terraform plan", "infra", "ExpiredToken", "run the same again"],
            ("plan", 1, "", expired),
        ),
        case(
            "a configuration that is not valid",
            PLAN,
            1,
            &["terraform plan", "infra", "Unsupported argument"],
            ("plan", 1, "", "Error: Unsupported argument\n\n  on main.tf line 3\n"),
        ),
        Case::new("no Terraform", PLAN, 1, &["terraform is not installed", "install Terraform 1.11"])
            .config(CONFIG)
            .file("infra/main.tf", "")
            .file("bin/none", ""),
        Case::new(
            "a Terraform that is too old",
            &["doctor", "-o", "json"],
            1,
            &["terraform 1.5.7 is older than 1.11", "install Terraform 1.11"],
        )
        .config(CONFIG)
        .file("infra/main.tf", "")
        .file("bin/terraform", stand_in("1.5.7", "none", 0, "", "")),
        Case::new(
            "a directory that is not there",
            PLAN,
            2,
            &["no Terraform configuration in infra", "environments.NAME.terraform.directory"],
        )
        .config(CONFIG)
        .file("bin/terraform", stand_in("1.11.4", "none", 0, "", "")),
        case(
            "infrastructure that was never applied",
            STATUS,
            1,
            &["never applied", "relman infra apply"],
            ("output", 0, "{}", ""),
        ),
        case(
            "outputs without the hosts",
            STATUS,
            2,
            &["no output relman_hosts", "relman infra apply"],
            ("output", 0, r#"{"vpc":{"value":"x"}}"#, ""),
        ),
        outputs(
            "an empty list of hosts",
            &["relman_hosts names no host", "a name and an address for each host"],
            "[]",
        ),
        outputs(
            "hosts that are no list",
            &["relman_hosts: is not a list", "correct the output"],
            "\"web-1\"",
        ),
        outputs(
            "two hosts of one name",
            &["relman_hosts[1].name: a is relman_hosts[0] already", "relman infra apply"],
            r#"[{"name":"a","address":"10.0.0.1"},{"name":"a","address":"10.0.0.2"}]"#,
        ),
        outputs(
            "two hosts at one address",
            &["relman_hosts[1].address", "has the same address and port"],
            r#"[{"name":"a","address":"10.0.0.1"},{"name":"b","address":"10.0.0.1"}]"#,
        ),
        outputs("a host without an address", &["relman_hosts[0]", "has no `address`"], r#"[{"name":"a"}]"#),
        outputs(
            "an address that is a command",
            &["relman_hosts[0].address", "neither an IP address nor a DNS name"],
            r#"[{"name":"a","address":"$(id)"}]"#,
        ),
        outputs(
            "an address that is an option of ssh",
            &["relman_hosts[0].address"],
            r#"[{"name":"a","address":"-oProxyCommand=id"}]"#,
        ),
        outputs(
            "a host key that is none",
            &["relman_hosts[0].host_keys[0]", "OpenSSH"],
            r#"[{"name":"a","address":"10.0.0.1","host_keys":["x"]}]"#,
        ),
        outputs(
            "an instance that is none",
            &["relman_hosts[0].ssm_id", "i-0123456789abcdef0"],
            r#"[{"name":"a","address":"10.0.0.1","ssm_id":"web"}]"#,
        ),
        outputs(
            "hosts behind different bastions",
            &["host b", "behind another bastion", "relman_hosts"],
            r#"[{"name":"a","address":"10.0.0.1","bastion":{"address":"b.example"}},{"name":"b","address":"10.0.0.2"}]"#,
        ),
        outputs(
            "a host without an instance, by Systems Manager",
            &["host a", "has no ssm_id"],
            r#"[{"name":"a","address":"10.0.0.1"}]"#,
        )
        .config(ssm.clone()),
        case(
            "a document that the outputs name, and that is not there",
            &["doctor", "--aws", "-o", "json"],
            1,
            &["document relman-web-production", "agent of a", "relman infra apply"],
            ("output", 0, managed, ""),
        )
        .config(ssm)
        .aws(refuses("DescribeDocument", "InvalidDocument")),
        outputs(
            "a public address where a private one is meant",
            &["relman_hosts[0].address", "203.0.113.7 is public", "correct the output"],
            r#"[{"name":"a","address":"203.0.113.7"}]"#,
        )
        .config(private.clone()),
        outputs(
            "a name where a private address is meant",
            &["cannot be told whether it is private"],
            r#"[{"name":"a","address":"web.example"}]"#,
        )
        .config(private),
        case(
            "outputs of another environment",
            STATUS,
            2,
            &["of environment staging, and not of production", "directory and workspace"],
            ("output", 0, elsewhere, ""),
        ),
        case(
            "outputs of another service",
            STATUS,
            2,
            &["of service shop, and not of web"],
            ("output", 0, service, ""),
        ),
        case(
            "outputs that cannot be read",
            STATUS,
            1,
            &["terraform output", "run that command by hand"],
            ("output", 0, "Warning: deprecated", ""),
        ),
        case(
            "a state that may not be read",
            STATUS,
            1,
            &["terraform output", "infra", "AccessDenied"],
            ("output", 1, "", "Error: error loading state: AccessDenied: Access Denied\n"),
        ),
        case(
            "an init that says nothing",
            PLAN,
            1,
            &["terraform init in infra failed", "it ended with exit status 7 and said nothing"],
            ("init", 7, "", ""),
        ),
        outputs(
            "two hosts of one instance",
            &["relman_hosts[1].ssm_id: relman_hosts[0] is the same instance"],
            r#"[{"name":"a","address":"10.0.0.1","ssm_id":"i-0123456789abcdef0"},{"name":"b","address":"10.0.0.2","ssm_id":"i-0123456789abcdef0"}]"#,
        ),
    ]);
    cases
}
