//! Takes secrets out of what comes back from hosts, whoever put them there: a service may log its own.

use super::wire::{Command, HostError};
use super::{Replies, Reply};

/// Shorter ones are left: taking every `1` out of a log would destroy it and hide nothing.
const SHORTEST: usize = 4;

/// What stands in place of a secret.
const MARK: &str = "[redacted]";

/// The secrets of one request.
#[derive(Default)]
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    /// The secrets that a command carries.
    pub(super) fn of(command: &Command) -> Self {
        let Command::Prepare { secrets, .. } = command else { return Self::default() };
        secrets.values().fold(Self::default(), |redactor, secret| redactor.and(secret.expose()))
    }

    /// These, and one more; also as JSON writes it, and each of its lines.
    pub(super) fn and(mut self, secret: &str) -> Self {
        let escaped = serde_json::Value::from(secret).to_string();
        let forms = [secret, escaped.trim_matches('"')].into_iter().chain(secret.lines().map(str::trim));
        self.0.extend(forms.filter(|form| form.len() >= SHORTEST).map(str::to_owned));
        // The longest first: one may be the beginning of another.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.0.dedup();
        self
    }

    fn text(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret) {
                *text = text.replace(secret, MARK);
            }
        }
    }

    fn error(&self, error: &mut HostError) {
        self.text(&mut error.message);
        if let Some(evidence) = &mut error.evidence {
            evidence.log.iter_mut().chain(&mut evidence.probes).for_each(|line| self.text(line));
        }
    }

    /// The replies without them.
    pub(super) fn clean(&self, mut replies: Replies) -> Replies {
        if let Some(log) = &mut replies.log {
            self.text(log);
        }
        for Reply { result, .. } in &mut replies.replies {
            if let Err(error) = result {
                self.error(error);
            }
        }
        replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::wire::{Evidence, HostErrorCode};

    #[test]
    fn invariant_10_secrets_are_taken_out_of_replies() {
        let redactor = Redactor::default().and("hunter2\nsecond \"line\"").and("abc").and("hunter2-and-more");
        let evidence = Evidence { log: vec!["password hunter2".into()], ..Evidence::default() };
        let error = HostError {
            code: HostErrorCode::Unhealthy,
            message: r#"said "hunter2\nsecond \"line\"" abc"#.into(),
            evidence: Some(Box::new(evidence)),
        };
        let replies = Replies {
            replies: vec![Reply { host: "host1".parse().unwrap(), result: Err(error) }],
            log: Some("hunter2-and-more then second \"line\"".into()),
        };
        let cleaned = format!("{:?}", redactor.clean(replies));
        assert!(!cleaned.contains("hunter2") && !cleaned.contains("second"), "{cleaned}");
        assert!(!cleaned.contains("and-more"), "{cleaned}");
        assert!(cleaned.contains("abc"), "a short one would destroy the log");
    }
}
