//! Takes the values of secrets out of texts, whoever put them there: a service may log its own.
//!
//! Redact first, cut afterwards: what is left of a value that was cut is not found any more.

use std::collections::BTreeMap;

use super::{Command, Evidence, HostError, Secret};

/// Shorter values are left: taking them out would take half the text away, and tell them.
const SHORTEST: usize = 4;

/// The secrets that are taken out, with what each is called.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Vec<(String, Secret)>);

impl Redactor {
    /// For these secrets, by name.
    pub fn new(secrets: &BTreeMap<String, Secret>) -> Self {
        secrets.iter().fold(Self::default(), |redactor, (name, secret)| redactor.and(name, secret.expose()))
    }

    /// For the secrets that a command carries.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::Prepare { secrets, .. } => Self::new(secrets),
            Command::FallBack(order) => Self::new(&order.secrets),
            _ => Self::default(),
        }
    }

    /// These, and one more: as it is, each of its lines, since a log shows one at a time, and as JSON writes them.
    #[must_use]
    pub fn and(mut self, name: &str, secret: &str) -> Self {
        for plain in std::iter::once(secret).chain(secret.lines()).map(str::trim) {
            let escaped = serde_json::Value::from(plain).to_string();
            let inner = escaped.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            for form in [Some(plain), inner].into_iter().flatten() {
                let is_known = self.0.iter().any(|(_, known)| known.expose() == form);
                if form.chars().count() >= SHORTEST && !is_known {
                    self.0.push((name.to_owned(), Secret::new(form.to_owned())));
                }
            }
        }
        // The longest first: one may be a part of another.
        self.0.sort_by_key(|(_, form)| std::cmp::Reverse(form.expose().len()));
        self
    }

    /// The text without them.
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, form)| {
            if text.contains(form.expose()) {
                text.replace(form.expose(), &format!("[secret {name}]"))
            } else {
                text
            }
        })
    }

    /// The evidence without them.
    #[must_use]
    pub fn evidence(&self, evidence: &Evidence) -> Evidence {
        let lines = |lines: &[String]| lines.iter().map(|line| self.text(line)).collect();
        Evidence { probes: lines(&evidence.probes), log: lines(&evidence.log), ..evidence.clone() }
    }

    /// The error without them.
    #[must_use]
    pub fn error(&self, error: HostError) -> HostError {
        let evidence = error.evidence.map(|evidence| Box::new(self.evidence(&evidence)));
        HostError { code: error.code, message: self.text(&error.message), evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::wire::HostErrorCode;

    #[test]
    fn invariant_10_the_longest_secret_goes_first_and_lines_go_one_at_a_time() {
        let secrets = [
            ("db".to_owned(), Secret::new("postgres://u:hunter22@db".to_owned())),
            ("key".to_owned(), Secret::new("-----BEGIN\n  MIIabcdef\n-----END\n".to_owned())),
            ("password".to_owned(), Secret::new("hunter22\n".to_owned())),
            ("short".to_owned(), Secret::new("abc".to_owned())),
        ];
        let redactor = Redactor::new(&secrets.into());
        let shown = redactor.text("dial postgres://u:hunter22@db with hunter22 and MIIabcdef, abc");
        assert_eq!(shown, "dial [secret db] with [secret password] and [secret key], abc");
    }

    #[test]
    fn invariant_10_secrets_are_taken_out_of_errors_also_as_json_writes_them() {
        let redactor =
            Redactor::default().and("key", "hunter2\nsecond \"line\"").and("more", "hunter2-and-more");
        let evidence = Evidence { log: vec!["password hunter2".into()], ..Evidence::default() };
        let error = HostError {
            code: HostErrorCode::Unhealthy,
            message: r#"said "hunter2\nsecond \"line\"" and {"x":"second \"line\""}, hunter2-and-more"#
                .into(),
            evidence: Some(Box::new(evidence)),
        };
        let shown = format!("{:?}", redactor.error(error));
        assert!(!shown.contains("hunter2") && !shown.contains("second"), "{shown}");
        assert!(!shown.contains("and-more"), "{shown}");
    }

    #[test]
    fn invariant_10_every_command_that_carries_secrets_is_known() {
        let values: BTreeMap<String, Secret> =
            [("key".to_owned(), Secret::new("hunter22".to_owned()))].into();
        let release = crate::host::contract::release("1.0.0");
        let authority = crate::host::contract::authority(1, 1);
        let mut back = crate::host::contract::fall_back(1, &release);
        if let Command::FallBack(order) = &mut back {
            order.secrets.clone_from(&values);
        }
        let run = Box::new(crate::host::contract::run());
        for command in [Command::Prepare { authority, release, run, secrets: values }, back] {
            let shown = Redactor::of(&command).text("it said hunter22");
            assert_eq!(shown, "it said [secret key]", "{}", command.verb());
        }
    }

    #[test]
    fn a_secret_that_is_shown_is_no_secret_of_the_debugger() {
        assert!(!format!("{:?}", Redactor::default().and("key", "hunter22")).contains("hunter22"));
    }
}
