//! What Terraform is told, as values.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::{Locking, Root};

const INPUT: &str = "-input=false";
const NO_COLOR: &str = "-no-color";

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(format!("-{name}="));
    option.push(path);
    option
}

fn at<const N: usize>(root: &Root, arguments: [&str; N]) -> Vec<OsString> {
    let mut argv = vec![option("chdir", &root.directory)];
    argv.extend(arguments.map(OsString::from));
    argv
}

fn lock(wait: Duration) -> String {
    format!("-lock-timeout={}s", wait.as_secs())
}

fn locking(lock_is: Locking) -> String {
    match lock_is {
        Locking::Wait(wait) => lock(wait),
        Locking::Leave => "-lock=false".to_owned(),
    }
}

pub(super) fn version() -> Vec<OsString> {
    vec!["version".into(), "-json".into()]
}

pub(super) fn init(root: &Root) -> Vec<OsString> {
    at(root, ["init", INPUT, NO_COLOR])
}

pub(super) fn validate(root: &Root) -> Vec<OsString> {
    at(root, ["validate", "-json"])
}

/// A plan into a file: what is applied later is what was seen.
pub(super) fn plan(root: &Root, file: &Path, lock: Locking) -> Vec<OsString> {
    let mut argv = at(root, ["plan", INPUT, NO_COLOR, "-detailed-exitcode", &locking(lock)]);
    argv.extend(root.var_files.iter().map(|path| option("var-file", path)));
    argv.push(option("out", file));
    argv
}

pub(super) fn show(root: &Root, file: &Path) -> Vec<OsString> {
    let mut argv = at(root, ["show", "-json"]);
    argv.push(file.into());
    argv
}

/// The saved plan alone: variables are in it already. It tells what it does as JSON: of what it would print for people,
/// nobody could say which part is the value of an output, or what a program of a provisioner printed.
pub(super) fn apply(root: &Root, file: &Path, wait: Duration) -> Vec<OsString> {
    let mut argv = at(root, ["apply", "-json", INPUT, NO_COLOR, &lock(wait)]);
    argv.push(file.into());
    argv
}

pub(super) fn output(root: &Root) -> Vec<OsString> {
    at(root, ["output", "-json"])
}

pub(super) fn state_pull(root: &Root) -> Vec<OsString> {
    at(root, ["state", "pull"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root {
            directory: "/repo/infra/live/single".into(),
            shown: "infra/live/single".into(),
            workspace: Some("blue".into()),
            var_files: vec!["/repo/infra/blue.tfvars".into()],
        }
    }

    fn line(argv: Vec<OsString>) -> String {
        argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_plan_is_saved_and_only_the_saved_plan_is_applied() {
        let (root, file) = (root(), Path::new("/tmp/relman-x/plan"));
        let wait = Duration::from_secs(90);
        assert_eq!(
            line(plan(&root, file, Locking::Wait(wait))),
            "-chdir=/repo/infra/live/single plan -input=false -no-color -detailed-exitcode -lock-timeout=90s \
             -var-file=/repo/infra/blue.tfvars -out=/tmp/relman-x/plan"
        );
        assert_eq!(
            line(apply(&root, file, wait)),
            "-chdir=/repo/infra/live/single apply -json -input=false -no-color -lock-timeout=90s /tmp/relman-x/plan"
        );
        assert_eq!(line(show(&root, file)), "-chdir=/repo/infra/live/single show -json /tmp/relman-x/plan");
    }

    #[test]
    fn nothing_asks_approves_by_itself_or_passes_a_lock_by() {
        let (root, file) = (root(), Path::new("/p"));
        let all = [
            version(),
            init(&root),
            validate(&root),
            plan(&root, file, Locking::Wait(Duration::ZERO)),
            show(&root, file),
            apply(&root, file, Duration::ZERO),
            output(&root),
            state_pull(&root),
        ];
        for argv in all {
            let line = line(argv);
            for bad in ["auto-approve", "-lock=false", "force-unlock", "destroy", "-target", "-upgrade"] {
                assert!(!line.contains(bad), "{line}");
            }
        }
        // Only a look may, and only when that was said.
        assert!(line(plan(&root, file, Locking::Leave)).contains(" -lock=false "));
        assert_eq!(line(init(&root)), "-chdir=/repo/infra/live/single init -input=false -no-color");
        assert_eq!(line(output(&root)), "-chdir=/repo/infra/live/single output -json");
        assert_eq!(line(state_pull(&root)), "-chdir=/repo/infra/live/single state pull");
    }
}
