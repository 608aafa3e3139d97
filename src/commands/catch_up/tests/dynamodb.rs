//! A host that comes up by itself, and a ledger that is a table.

use std::path::Path;
use std::process::{Command as Process, Output, Stdio};

use super::*;
use crate::aws::testing::variable;
use crate::domain::id::Token;
use crate::ledger::contract::fixture::{draft, hold};
use crate::ledger::dynamodb::tests::{metered, table};

fn ledger_id() -> Token {
    Token::from_bits([9; 16])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_new_host_catches_up_from_a_table_and_asks_for_reads_alone() {
    let (ledger, proxy) = metered(ledger_id()).await;
    let mut world = World::new(&["web-1"], None);
    world.context.ledger = ledger;
    let old = world.release("1.0.0", &commit('a')).await;
    deploy_to(&world, &world.site).await;
    let here = Arc::new(FakeFleet::ready(&[HERE]));
    let site = Site { fleet: here.clone(), ..world.site.clone() };
    proxy.capacity();
    let report = run(&world.context, &site, Args::default()).await.unwrap();
    assert_eq!(report.result, CatchUpResult::CaughtUp);
    assert_eq!(here.serving(HERE), Some(old));
    let used = proxy.capacity();
    println!("catching up: {used:?}");
    assert!(used.requests > 0 && used.write == 0.0, "{used:?}");
}

/// Runs the built command with a profile of AWS's own files: it takes a role, as a host does.
fn relman(folder: &Path, arguments: &[&str]) -> Output {
    Process::new(variable("RELMAN_TEST_BINARY"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_PROFILE", "host")
        .env("AWS_CONFIG_FILE", folder.join("aws-config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", folder.join("aws-credentials"))
        .env("AWS_ENDPOINT_URL", variable("RELMAN_TEST_DYNAMODB"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn the_command_reads_a_table_in_the_role_of_a_profile() {
    let (folder, table) = (tempfile::tempdir().unwrap(), table::fresh());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let ledger = table::on(&table);
    // Somebody else's environment has entries; the host's own was never deployed to.
    ledger.append(&"web/production".parse().unwrap(), None, draft(hold("stop"))).await.unwrap();
    write(
        "relman.toml",
        &format!(
            "[service]\nname = \"web\"\n[image]\nrepository = \"registry.example/web\"\n[run]\nport = 1\n\
             [ledger]\nid = \"{}\"\nurl = \"dynamodb:{table}\"\n[artifacts]\nurl = \"file:{}\"\n\
             [environments.staging]\nvia = \"local\"\n",
            ledger_id(),
            folder.path().join("artifacts").display()
        ),
    );
    write(
        "aws-config",
        "[profile host]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/relman-host\n\
         source_profile = base\n[profile base]\nregion = us-east-1\n",
    );
    write("aws-credentials", "[base]\naws_access_key_id = test\naws_secret_access_key = test\n");
    let arguments = ["catch-up", "--env", "staging", "-o", "json"];
    let output = relman(folder.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["result"], "nothing_recorded", "{report}");
    let streams = ledger.streams().await.unwrap();
    assert_eq!(streams, ["web/production".parse().unwrap()], "nothing was written");
    // Without what the role is taken with, there is nothing that it could fall back to.
    write("aws-credentials", "");
    let output = relman(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&table) && told.contains("credentials"), "{told}");
}
