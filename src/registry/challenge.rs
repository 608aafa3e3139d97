//! `WWW-Authenticate` (RFC 9110, section 11.6.1), as far as registries use it.

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from elsewhere.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what, if it says.
        scope: Option<String>,
    },
}

/// The challenge to answer: a token where one is offered.
pub(super) fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut found = None;
    for header in headers {
        for (scheme, parameters) in challenges(header) {
            if scheme.eq_ignore_ascii_case("basic") {
                found.get_or_insert(Challenge::Basic);
            }
            let get = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if let (true, Some(realm)) = (scheme.eq_ignore_ascii_case("bearer"), get("realm")) {
                return Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
            }
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    for part in split(header) {
        let part = part.trim();
        let (head, rest) = match part.find([' ', '=']) {
            Some(at) if part[at..].starts_with(' ') => (&part[..at], part[at..].trim_start()),
            Some(_) => ("", part),
            None if part.is_empty() => continue,
            None => (part, ""),
        };
        // `a = b` is a parameter with spaces around its sign, not a scheme.
        let (head, rest) = if rest.starts_with('=') { ("", part) } else { (head, rest) };
        if !head.is_empty() {
            found.push((head.to_owned(), Vec::new()));
        }
        if let (Some((key, value)), Some((_, parameters))) = (rest.split_once('='), found.last_mut()) {
            parameters.push((key.trim().to_owned(), unquote(value.trim())));
        }
    }
    found
}

/// At commas outside of quotes.
fn split(header: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in header.chars() {
        match c {
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: own(service), scope: own(scope) })
    }

    #[test]
    fn headers_follow_the_table() {
        for (headers, expected) in [
            (
                vec![
                    r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#,
                ],
                bearer("https://auth.example/token", Some("r.example"), Some("repository:a/b:pull,push")),
            ),
            (vec![r#"bearer Realm="https://a", service=r"#], bearer("https://a", Some("r"), None)),
            (vec![r#"Bearer realm = "https://a" , error="x""#], bearer("https://a", None, None)),
            (vec![r#"Basic realm="x, y", Bearer realm="https://a""#], bearer("https://a", None, None)),
            (vec![r#"Bearer realm="https://a\"b""#], bearer("https://a\"b", None, None)),
            (vec![r#"Basic realm="x""#], Some(Challenge::Basic)),
            (vec!["Basic"], Some(Challenge::Basic)),
            (vec!["Negotiate", "BASIC"], Some(Challenge::Basic)),
            (vec!["Bearer service=\"x\""], None),
            (vec!["", ",,,", "\"", "=="], None),
        ] {
            assert_eq!(parse(headers.clone()), expected, "{headers:?}");
        }
    }
}
