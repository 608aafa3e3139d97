//! The part of `~/.ssh/config` that says where a host is and how to log in.
//!
//! As in OpenSSH the first value that is found holds, but for identity files, which add up. `Host`, `Match all`,
//! `Match host` and `Match originalhost` are understood; a block under another `Match` is left out, since its values
//! would be for some cases only. Words that say nothing about the way to a host are passed over.

use std::path::{Path, PathBuf};

use super::pattern;

/// Files within files; more is a circle.
const DEPTH: usize = 8;

/// What a configuration says of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: Option<bool>,
    pub(super) identity_agent: Option<String>,
    pub(super) known_hosts: Option<Vec<String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) proxy_jump: Option<String>,
    pub(super) proxy_command: Option<String>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("{} cannot be read: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: std::io::ErrorKind },
    #[error("{}:{line}: {what}", .path.display())]
    Invalid { path: PathBuf, line: usize, what: String },
}

#[derive(Debug, Clone)]
enum Rule {
    All,
    Never,
    Names(Vec<String>),
    HostName(Vec<String>),
}

#[derive(Debug, Clone)]
enum Item {
    Set(String, Vec<String>),
    Block(Rule, Vec<Item>),
}

/// A configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct SshConfig(Vec<Item>);

impl SshConfig {
    /// Reads a file and what it includes. No file is an empty configuration.
    pub(super) fn read(file: &Path, home: Option<&Path>) -> Result<Self, ConfigError> {
        if !file.exists() {
            return Ok(Self::default());
        }
        Ok(Self(items(file, home, 0)?))
    }

    /// What it says of the host that the user calls so.
    pub(super) fn of(&self, name: &str) -> Settings {
        let mut settings = Settings::default();
        collect(&self.0, name, &mut settings);
        settings
    }
}

fn collect(items: &[Item], name: &str, settings: &mut Settings) {
    for item in items {
        match item {
            Item::Set(key, values) => set(settings, key, values),
            Item::Block(rule, below) => {
                let holds = match rule {
                    Rule::All => true,
                    Rule::Never => false,
                    Rule::Names(names) => pattern::any_fits(names.iter().map(String::as_str), name),
                    Rule::HostName(names) => {
                        let target = settings.host_name.as_deref().unwrap_or(name);
                        pattern::any_fits(names.iter().map(String::as_str), target)
                    }
                };
                if holds {
                    collect(below, name, settings);
                }
            }
        }
    }
}

fn set(settings: &mut Settings, key: &str, values: &[String]) {
    let Some(first) = values.first() else { return };
    let text = |field: &mut Option<String>| {
        field.get_or_insert_with(|| first.clone());
    };
    match key {
        "hostname" => text(&mut settings.host_name),
        "user" => text(&mut settings.user),
        "port" => settings.port = settings.port.or_else(|| first.parse().ok()),
        "identityfile" => settings.identity_files.push(first.clone()),
        "identitiesonly" => {
            settings.identities_only.get_or_insert(first.eq_ignore_ascii_case("yes"));
        }
        "identityagent" => text(&mut settings.identity_agent),
        "userknownhostsfile" => {
            settings.known_hosts.get_or_insert_with(|| values.to_vec());
        }
        "hostkeyalias" => text(&mut settings.host_key_alias),
        "proxyjump" => text(&mut settings.proxy_jump),
        "proxycommand" => {
            settings.proxy_command.get_or_insert_with(|| values.join(" "));
        }
        _ => {}
    }
}

fn items(file: &Path, home: Option<&Path>, depth: usize) -> Result<Vec<Item>, ConfigError> {
    let unreadable =
        |error: std::io::Error| ConfigError::Unreadable { path: file.into(), reason: error.kind() };
    let text = std::fs::read(file).map_err(unreadable)?;
    let mut top = Vec::new();
    let mut block: Option<(Rule, Vec<Item>)> = None;
    for (n, line) in String::from_utf8_lossy(&text).lines().enumerate() {
        let invalid =
            |what: &str| ConfigError::Invalid { path: file.into(), line: n + 1, what: what.to_owned() };
        let Some((key, values)) = words(line).map_err(|what| invalid(&what))? else { continue };
        let rule = match key.as_str() {
            "host" => Some(Rule::Names(values.clone())),
            "match" => Some(matching(&values)),
            _ => None,
        };
        if let Some(rule) = rule {
            if let Some((rule, below)) = block.replace((rule, Vec::new())) {
                top.push(Item::Block(rule, below));
            }
            continue;
        }
        if key == "port" && values.first().is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err(invalid("the port is no number"));
        }
        let here = block.as_mut().map_or(&mut top, |(_, below)| below);
        if key == "include" {
            if depth >= DEPTH {
                return Err(invalid("files include each other"));
            }
            for included in included(&values, file, home) {
                here.push(Item::Block(Rule::All, items(&included, home, depth + 1)?));
            }
        } else {
            here.push(Item::Set(key, values));
        }
    }
    if let Some((rule, below)) = block {
        top.push(Item::Block(rule, below));
    }
    Ok(top)
}

/// Key in lower case and values of a line; none for a comment. The key may be followed by `=`.
fn words(line: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (mut values, mut word, mut is_quoted, mut is_word) = (Vec::new(), String::new(), false, false);
    for c in rest.chars() {
        match c {
            '"' => (is_quoted, is_word) = (!is_quoted, true),
            c if c.is_whitespace() && !is_quoted => {
                if std::mem::take(&mut is_word) {
                    values.push(std::mem::take(&mut word));
                }
            }
            '#' if !is_quoted && !is_word => break,
            c => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_quoted {
        return Err("a quote is not closed".to_owned());
    }
    if is_word {
        values.push(word);
    }
    Ok(Some((key.to_lowercase(), values)))
}

fn matching(values: &[String]) -> Rule {
    let list = |text: &String| text.split(',').map(str::to_owned).collect();
    match values {
        [all] if all.eq_ignore_ascii_case("all") => Rule::All,
        [what, names] if what.eq_ignore_ascii_case("host") => Rule::HostName(list(names)),
        [what, names] if what.eq_ignore_ascii_case("originalhost") => Rule::Names(list(names)),
        _ => Rule::Never,
    }
}

/// The files that `Include` names: relative to `~/.ssh`, with patterns in the last part.
fn included(values: &[String], file: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for value in values {
        let path = match (value.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => file.parent().unwrap_or(Path::new("/")).join(value),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.contains(['*', '?']) {
            found.extend(path.is_file().then_some(path));
            continue;
        }
        let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let mut files: Vec<PathBuf> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let found = path.file_name().map(|name| name.to_string_lossy().into_owned());
                path.is_file() && found.is_some_and(|found| pattern::fits(&name, &found))
            })
            .collect();
        files.sort();
        found.append(&mut files);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<SshConfig, ConfigError>) {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(".ssh").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let read = SshConfig::read(&home.path().join(".ssh/config"), Some(home.path()));
        (home, read)
    }

    #[test]
    fn the_first_value_holds_and_identity_files_add_up() {
        let text = "User=first\nHost web-* !web-9 # all but one\n  HostName 10.0.0.1\n\tPort 2222\n  User late\n\
                    \x20 IdentityFile \"~/.ssh/a key\"\nHost *\n  IdentityFile ~/.ssh/b\n  Port 22\n  IdentitiesOnly yes\n";
        let settings = config(&[("config", text)]).1.unwrap().of("web-1");
        assert_eq!((settings.host_name.as_deref(), settings.port), (Some("10.0.0.1"), Some(2222)));
        assert_eq!((settings.user.as_deref(), settings.identities_only), (Some("first"), Some(true)));
        assert_eq!(settings.identity_files, ["~/.ssh/a key", "~/.ssh/b"]);
        let other = config(&[("config", text)]).1.unwrap().of("web-9");
        assert_eq!((other.host_name, other.port), (None, Some(22)));
    }

    #[test]
    fn a_block_under_a_match_that_is_not_understood_is_left_out() {
        let text = "Match exec \"true\"\n  User exec\nMatch host 10.*\n  User target\nHost a\n  HostName 10.0.0.1\n\
                    Match host 10.*\n  Port 23\nMatch all\n  ProxyJump b,c\n";
        let settings = config(&[("config", text)]).1.unwrap().of("a");
        assert_eq!(
            (settings.user, settings.port),
            (None, Some(23)),
            "a later Match sees the name that was set"
        );
        assert_eq!(settings.proxy_jump.as_deref(), Some("b,c"));
    }

    #[test]
    fn included_files_count_where_they_are_included() {
        let files = [
            ("config", "Host a\n  Include conf.d/*.conf none\nHost b\n  Include ~/.ssh/more\n"),
            ("conf.d/2.conf", "User two\n"),
            ("conf.d/1.conf", "User one\nHost c\n  Port 1\n"),
            ("conf.d/3.txt", "User three\n"),
            ("more", "UserKnownHostsFile ~/x ~/y\n"),
        ];
        let config = config(&files).1.unwrap();
        assert_eq!(config.of("a").user.as_deref(), Some("one"));
        assert_eq!(config.of("b").known_hosts.unwrap(), ["~/x", "~/y"]);
        assert_eq!(config.of("c"), Settings::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [("User a\nPort x\n", 2), ("User \"a\n", 1), ("\n\nInclude config\n", 1)] {
            let error = config(&[("config", text)]).1.unwrap_err().to_string();
            assert!(error.contains(&format!("config:{line}: ")) || error.contains("each other"), "{error}");
        }
        let home = tempfile::tempdir().unwrap();
        assert_eq!(SshConfig::read(&home.path().join("none"), None).unwrap().of("a"), Settings::default());
    }
}
