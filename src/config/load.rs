//! Reads `relman.toml`: unknown keys with the nearest known one, `RELMAN_…` overrides, and every problem with its
//! file, line and key. All problems of a kind are reported together. The environment comes in as a map.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Found};
use super::{Config, check, overrides};

/// The name of the file.
pub const FILE: &str = "relman.toml";

/// Variables that begin with `RELMAN_` and override no key.
pub const OTHER_VARIABLES: &[(&str, &str)] = &[
    (
        "RELMAN_ACTOR",
        "Who runs relman, where neither CI nor the operating system knows: recorded as a claim.",
    ),
    (
        "RELMAN_HOST_BINARY",
        "The relman-host binary that hosts get; without it, the one beside relman itself.",
    ),
];

/// The configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The file.
    pub file: PathBuf,
    /// The directory that it lies in: what relative paths are relative to.
    pub root: PathBuf,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file with the line, or the variable.
    pub place: String,
    /// The key, with dots; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.reason),
            key => write!(f, "{}: {key}: {}", self.place, self.reason),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file from here upwards.
    #[error("there is no {FILE} in {} or above it", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It says something wrong; never empty.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<Problem>),
}

/// Finds, reads and checks the file. `given` is what `--config-file` says; else it is looked for from `from` upwards.
///
/// # Errors
/// When there is none, or something in it is wrong.
pub fn load(
    given: Option<&Path>,
    from: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigError> {
    let file = match given {
        Some(file) => from.join(file),
        None => from
            .ancestors()
            .map(|directory| directory.join(FILE))
            .find(|file| file.is_file())
            .ok_or_else(|| ConfigError::Missing(from.to_owned()))?,
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|source| ConfigError::Unreadable { path: file.clone(), source })?;
    let shown = file.strip_prefix(from).unwrap_or(&file).display().to_string();
    let root = file.parent().unwrap_or(Path::new("/")).to_owned();
    let config = parse(&text, &shown, &root, variables).map_err(ConfigError::Invalid)?;
    Ok(Loaded { config, file, root })
}

/// Parses and checks the text of a file that is called `shown`.
fn parse(
    text: &str,
    shown: &str,
    root: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<Config, Vec<Problem>> {
    let overrides = overrides::values(variables);
    let mut map = SourceMap { text, shown, variables: Vec::new(), spans: Vec::new() };
    let mut document = DeTable::parse(text).map_err(|error| vec![map.syntax(&error)])?;
    let mut problems = overrides::apply(&overrides, document.get_mut(), &mut map.variables, text.len());
    map.index(document.get_ref(), &mut Vec::new(), &mut String::new(), &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let config = Config::deserialize(toml::de::Deserializer::from(document))
        .map_err(|error| vec![map.mismatch(&error)])?;
    let problems: Vec<Problem> = check::check(&config, root)
        .into_iter()
        .map(|(key, reason)| Problem { place: map.place_of(&key), key, reason })
        .collect();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// Where each key stands.
struct SourceMap<'t> {
    text: &'t str,
    shown: &'t str,
    /// Names of variables; the value that came from number `n` has the span of one byte at `text.len() + 1 + n`.
    variables: Vec<String>,
    /// Path of each key with the bytes of the key and of its value.
    spans: Vec<(String, Range<usize>, Range<usize>)>,
}

impl SourceMap<'_> {
    fn place(&self, at: usize) -> String {
        match at.checked_sub(self.text.len() + 1).and_then(|n| self.variables.get(n)) {
            Some(variable) => variable.clone(),
            None => {
                let upto = self.text.get(..at).unwrap_or(self.text);
                format!("{}:{}", self.shown, upto.matches('\n').count() + 1)
            }
        }
    }

    /// The line of a key, or of the nearest thing around it that is in the file.
    fn place_of(&self, key: &str) -> String {
        let mut path = key;
        loop {
            if let Some((_, span, _)) = self.spans.iter().find(|(known, ..)| known == path) {
                return self.place(span.start);
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.shown.to_owned(),
            }
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let place = error.span().map_or_else(|| self.shown.to_owned(), |span| self.place(span.start));
        Problem { place, key: String::new(), reason: error.message().to_owned() }
    }

    /// An error of a value: the deepest key whose value it lies in.
    fn mismatch(&self, error: &toml::de::Error) -> Problem {
        let Some(span) = error.span() else { return self.syntax(error) };
        let around = |value: &Range<usize>| value.start <= span.start && span.end <= value.end;
        let key = self.spans.iter().rfind(|(_, _, value)| around(value)).map(|(path, ..)| path.clone());
        Problem {
            place: self.place(span.start),
            key: key.unwrap_or_default(),
            reason: error.message().replace("missing field", "missing key"),
        }
    }

    /// Notes the place of every key below a table and reports the unknown ones.
    fn index<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        path: &mut Vec<&'d str>,
        shown: &mut String,
        problems: &mut Vec<Problem>,
    ) {
        // In the order of the file, so that whoever searches from the end finds the deepest.
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in keys {
            let length = shown.len();
            if length > 0 {
                shown.push('.');
            }
            shown.push_str(key.get_ref());
            path.push(key.get_ref());
            self.spans.push((shown.clone(), key.span(), value.span()));
            match keys::find(path) {
                Found::Unknown => problems.push(self.unknown(path, shown, key.span().start)),
                Found::Section | Found::Key(_) => self.descend(value, path, shown, problems),
            }
            path.pop();
            shown.truncate(length);
        }
    }

    fn descend<'d>(
        &mut self,
        value: &'d Spanned<DeValue<'_>>,
        path: &mut Vec<&'d str>,
        shown: &mut String,
        problems: &mut Vec<Problem>,
    ) {
        match value.get_ref() {
            DeValue::Table(table) => self.index(table, path, shown, problems),
            DeValue::Array(items) => {
                path.push("#");
                for (n, item) in items.iter().enumerate() {
                    let length = shown.len();
                    shown.push_str(&format!("[{n}]"));
                    self.spans.push((shown.clone(), item.span(), item.span()));
                    if let DeValue::Table(table) = item.get_ref() {
                        self.index(table, path, shown, problems);
                    }
                    shown.truncate(length);
                }
                path.pop();
            }
            _ => {}
        }
    }

    fn unknown(&self, path: &[&str], shown: &str, at: usize) -> Problem {
        let reason = match keys::nearest(path) {
            Some(nearest) => format!("is not a key; did you mean {nearest}?"),
            None => format!("is not a key of {FILE}"),
        };
        Problem { place: self.place(at), key: shown.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests;
