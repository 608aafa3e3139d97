//! `RELMAN_SECTION__KEY`: variables that override scalar keys. They are put into the parsed document before it is
//! read, so a type error names the variable instead of a line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Found, Kind};
use super::load::{OTHER_VARIABLES, Problem};

/// A variable with the text of its value as TOML knows it, as a string and as it stands.
pub(super) struct Override<'v> {
    variable: &'v str,
    value: &'v str,
}

pub(super) fn values(variables: &BTreeMap<String, String>) -> Vec<Override<'_>> {
    variables
        .iter()
        .filter(|(name, _)| name.starts_with("RELMAN_"))
        .filter(|(name, _)| !OTHER_VARIABLES.iter().any(|(other, _)| other == name))
        .map(|(variable, value)| Override { variable, value })
        .collect()
}

/// Puts the values into the document. A value from the `n`th variable gets the span `after + 1 + n`.
pub(super) fn apply<'v>(
    overrides: &'v [Override<'v>],
    document: &mut DeTable<'v>,
    names: &mut Vec<String>,
    after: usize,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, one) in overrides.iter().enumerate() {
        names.push(one.variable.to_owned());
        let at = after + 1 + n;
        if let Err(reason) = put(one, document, at..at + 1) {
            problems.push(Problem { place: one.variable.to_owned(), key: String::new(), reason });
        }
    }
    problems
}

fn put<'v>(
    one: &'v Override<'v>,
    document: &mut DeTable<'v>,
    span: std::ops::Range<usize>,
) -> Result<(), String> {
    let rest = one.variable.strip_prefix("RELMAN_").unwrap_or(one.variable);
    let segments: Vec<&str> = rest.split("__").collect();
    let path = resolve(&segments, document)?;
    let borrowed: Vec<&str> = path.iter().map(String::as_str).collect();
    let Found::Key(key) = keys::find(&borrowed) else { return Err(unknown(&borrowed)) };
    let value = match key.kind {
        Kind::Text => DeValue::String(Cow::Borrowed(one.value)),
        Kind::Number | Kind::Switch => DeValue::parse(one.value.trim())
            .map(Spanned::into_inner)
            .ok()
            .filter(|value| value.is_integer() || value.is_bool())
            .ok_or_else(|| format!("overrides {}, which takes a {}", path.join("."), key.kind.name()))?,
        Kind::List | Kind::Any => {
            return Err(format!(
                "{} is a {}, which no variable can override",
                path.join("."),
                key.kind.name()
            ));
        }
    };
    insert(document, &path, Spanned::new(span.clone(), value), &span)
}

fn unknown(path: &[&str]) -> String {
    let hint = match keys::nearest(path) {
        Some(nearest) => format!("; did you mean {}?", variable(&nearest)),
        None => String::new(),
    };
    format!("overrides no key of the configuration{hint}")
}

/// The variable that overrides a key.
pub fn variable(path: &str) -> String {
    format!("RELMAN_{}", path.replace('.', "__").replace('-', "_").to_ascii_uppercase())
}

/// The path that the segments of a variable mean: names that the user chose are found in the document, whatever
/// their case, with `_` for `-`.
fn resolve(segments: &[&str], document: &DeTable<'_>) -> Result<Vec<String>, String> {
    let mut path: Vec<String> = Vec::new();
    let mut table = Some(document);
    for segment in segments {
        let lower = segment.to_ascii_lowercase();
        let existing = table.and_then(|table| {
            table.keys().find(|key| key.get_ref().replace('-', "_").eq_ignore_ascii_case(segment))
        });
        let name = match existing {
            Some(key) => key.get_ref().to_string(),
            None => {
                let parents: Vec<&str> = path.iter().map(String::as_str).collect();
                let fixed = [parents.as_slice(), &[lower.as_str()]].concat();
                match (keys::find(&fixed), parents.as_slice()) {
                    // A variable cannot make an environment: it would be one with a misspelt name.
                    (_, ["environments"]) => {
                        return Err(format!("there is no environment {lower} in the configuration"));
                    }
                    // Names of variables and the like keep their case.
                    (_, ["run" | "image" | "environments", .., "env" | "secrets" | "build_args"]) => {
                        (*segment).to_owned()
                    }
                    _ => lower,
                }
            }
        };
        table = table.and_then(|table| match table.get(name.as_str()).map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            _ => None,
        });
        path.push(name);
    }
    Ok(path)
}

fn insert<'v>(
    table: &mut DeTable<'v>,
    path: &[String],
    value: Spanned<DeValue<'v>>,
    span: &std::ops::Range<usize>,
) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let key = Spanned::new(span.clone(), Cow::Owned(first.clone()));
    if rest.is_empty() {
        // Removed first: the key that stays must be the variable's, not the file's.
        table.remove(first.as_str());
        table.insert(key, value);
        return Ok(());
    }
    let below =
        table.entry(key).or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::default())));
    match below.get_mut() {
        DeValue::Table(below) => insert(below, rest, value, span),
        _ => Err(format!("{first} is not a section in the configuration")),
    }
}
