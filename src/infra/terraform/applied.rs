//! What `terraform apply -json` tells, without the values in it: what happened to which resource, and what went wrong.
//! Values of outputs and what a provisioner ran or printed may be secrets, and are not read.

use serde::Deserialize;

/// What an apply told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// A line for each thing that happened.
    pub(super) log: String,
    /// The errors, in the form in which Terraform tells them to people.
    pub(super) errors: String,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    hook: Option<Hook>,
    changes: Option<Counts>,
    diagnostic: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Hook {
    resource: Resource,
    #[serde(default)]
    action: String,
    #[serde(default)]
    elapsed_seconds: f64,
}

#[derive(Deserialize)]
struct Resource {
    addr: String,
}

#[derive(Deserialize)]
struct Counts {
    add: u64,
    change: u64,
    remove: u64,
}

#[derive(Deserialize)]
struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    detail: String,
    address: Option<String>,
}

impl Diagnostic {
    /// A program that Terraform started is quoted with what it printed.
    fn quotes(&self) -> bool {
        ["provisioner", "External Program"].iter().any(|word| self.summary.contains(word))
    }

    fn text(&self) -> String {
        let detail = match self.quotes() {
            true => "what it ran and what it printed is left out: it may hold secrets",
            false => self.detail.trim_end(),
        };
        let with = self.address.as_ref().map(|address| format!("\n\n  with {address}")).unwrap_or_default();
        let severity = if self.severity == "error" { "Error" } else { "Warning" };
        format!("{severity}: {}{with}\n\n{detail}\n", self.summary)
    }
}

/// Reads it; what is no message is passed over.
pub(super) fn read(stdout: &str) -> Applied {
    let mut applied = Applied::default();
    for message in stdout.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()) {
        let how = match message.kind.as_str() {
            "apply_start" => "…",
            "apply_complete" => ": done",
            "apply_errored" => ": failed",
            _ => "",
        };
        if let Some(hook) = message.hook.filter(|_| !how.is_empty()) {
            let Hook { resource, action, elapsed_seconds } = hook;
            let after = match how {
                "…" => String::new(),
                _ => format!(" after {elapsed_seconds} s"),
            };
            applied.log.push_str(&format!("{action} {}{how}{after}\n", resource.addr));
        }
        if let Some(Counts { add, change, remove }) =
            message.changes.filter(|_| message.kind == "change_summary")
        {
            applied.log.push_str(&format!("{add} made, {change} changed, {remove} removed\n"));
        }
        if let Some(diagnostic) = message.diagnostic {
            let text = diagnostic.text();
            applied.log.push_str(&text);
            if diagnostic.severity == "error" {
                applied.errors.push_str(&text);
            }
        }
    }
    applied
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"@level":"info","@message":"Terraform 1.11.4","terraform":"1.11.4","type":"version","ui":"1.2"}
{"@level":"info","@message":"aws_instance.a: Plan to create","change":{"resource":{"addr":"aws_instance.a"},"action":"create"},"type":"planned_change"}
{"@level":"info","@message":"a: Creating...","hook":{"resource":{"addr":"aws_instance.a"},"action":"create"},"type":"apply_start"}
{"@level":"info","@message":"a: hunter2","hook":{"resource":{"addr":"aws_instance.a"},"provisioner":"local-exec","output":"hunter2"},"type":"provision_progress"}
{"@level":"info","@message":"a: complete [id=hunter2]","hook":{"resource":{"addr":"aws_instance.a"},"action":"create","id_key":"id","id_value":"hunter2","elapsed_seconds":3},"type":"apply_complete"}
not a message
{"@level":"info","@message":"b: errored","hook":{"resource":{"addr":"aws_instance.b"},"action":"update","elapsed_seconds":0},"type":"apply_errored"}
{"@level":"info","@message":"Apply complete!","changes":{"add":1,"change":0,"import":0,"remove":0,"operation":"apply"},"type":"change_summary"}
{"@level":"info","@message":"Outputs: 1","outputs":{"o":{"sensitive":false,"type":"string","value":"hunter2"}},"type":"outputs"}
{"@level":"error","@message":"Error: x","diagnostic":{"severity":"error","summary":"local-exec provisioner error","detail":"Error running command 'echo hunter2': exit status 1. Output: hunter2\n","address":"aws_instance.b","snippet":{"code":"hunter2","values":[]}},"type":"diagnostic"}
{"@level":"error","@message":"Error: y","diagnostic":{"severity":"error","summary":"creating EC2 Instance","detail":"UnauthorizedOperation"},"type":"diagnostic"}"#;

    #[test]
    fn invariant_10_what_happened_is_kept_and_no_value() {
        let Applied { log, errors } = read(TOLD);
        for line in [
            "create aws_instance.a…\n",
            "create aws_instance.a: done after 3 s\n",
            "update aws_instance.b: failed after 0 s\n",
            "1 made, 0 changed, 0 removed\n",
            "Error: local-exec provisioner error\n\n  with aws_instance.b\n",
            "Error: creating EC2 Instance\n\nUnauthorizedOperation\n",
        ] {
            assert!(log.contains(line), "{line:?} is not in {log}");
        }
        assert!(!log.contains("hunter2") && !errors.contains("hunter2"), "{log}{errors}");
        assert!(errors.starts_with("Error: local-exec") && !errors.contains("made"), "{errors}");
    }
}
