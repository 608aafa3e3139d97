//! Programs that know logins, by Docker's protocol: `docker-credential-NAME get`, the registry on standard input, a JSON
//! object with `Username` and `Secret` on standard output. What they print is never shown: it may be a secret.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::super::paths::Paths;

/// One that asks a cloud is slow; one that waits for a person would wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer.
const LIMIT: u64 = 64 * 1024;
/// What Docker Hub is called among them.
const HUB: &str = "https://index.docker.io/v1/";

/// What a helper says. Without `Debug`: the secret is in it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    pub(super) username: String,
    pub(super) secret: String,
}

/// Asks a helper for the login of a registry; none when it has none.
///
/// # Errors
/// Why it did not say, and what to do.
pub(super) async fn ask(paths: &Paths, name: &str, registry: &str) -> Result<Option<Answer>, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(good) {
        return Err(format!(
            "the login of {registry} is left to a credential helper whose name is none: correct {}",
            paths.registry_logins.display()
        ));
    }
    let program = format!("docker-credential-{name}");
    let Some(path) = paths.helpers.iter().map(|place| place.join(&program)).find(|path| path.is_file())
    else {
        return Err(absent(paths, &program, registry));
    };
    let server = if registry == super::HUB { HUB } else { registry };
    let failed = |why: &str| {
        format!(
            "{program} gave no login for {registry}: {why}; on this host, as root: echo {server} | {program} get >/dev/null"
        )
    };
    let mut command = Command::new(&path);
    command
        .arg("get")
        .env("HOME", paths.home())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // With whatever it starts itself: a child that holds its output open would be waited for.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(&format!("it cannot be started: {error}")))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let talked = tokio::time::timeout(PATIENCE, talk(&mut child, server)).await;
    let (success, said) = match talked {
        Ok(Ok(talked)) => talked,
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Err(_) => {
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            return Err(failed(&format!("no answer within {} s", PATIENCE.as_secs())));
        }
    };
    match success {
        _ if said.len() as u64 > LIMIT => Err(failed("its answer has no end")),
        true => match serde_json::from_slice::<Answer>(&said) {
            Ok(answer) if !answer.username.is_empty() && !answer.secret.is_empty() => Ok(Some(answer)),
            // Helpers of some stores have an empty answer for what they do not have.
            Ok(_) => Ok(None),
            Err(_) => Err(failed("its answer is not the JSON that it should be")),
        },
        // The protocol has no other way to say so.
        false if String::from_utf8_lossy(&said).contains("credentials not found") => Ok(None),
        false => Err(failed("it failed")),
    }
}

fn absent(paths: &Paths, program: &str, registry: &str) -> String {
    let places: Vec<_> = paths.helpers.iter().map(|place| place.display().to_string()).collect();
    let package = match program {
        "docker-credential-ecr-login" => "apt-get install amazon-ecr-credential-helper, or ",
        _ => "",
    };
    format!(
        "the login of {registry} is left to {program}, which is in none of {}: {package}docker_registry_helpers of the docker role installs it",
        places.join(", ")
    )
}

async fn talk(child: &mut Child, server: &str) -> std::io::Result<(bool, Vec<u8>)> {
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen says why with its end.
        let _ = stdin.write_all(format!("{server}\n").as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LIMIT + 1).read_to_end(&mut said).await?;
    }
    if said.len() as u64 > LIMIT {
        let _ = child.start_kill();
    }
    Ok((child.wait().await?.success(), said))
}
