//! What every client of the container engine needs, on the operator's machine and on a host.

use bollard::Docker;
use hyper::header::HeaderValue;

/// The header that carries a login to the engine.
pub(crate) const LOGIN: &str = "x-registry-auth";

/// The same client, whose logins the engine can read. The engine reads the URL-safe form of base64 alone, and bollard
/// writes the standard one: a password with `~`, `>`, `?` or a letter outside of ASCII would be no login.
pub(crate) fn with_readable_logins(docker: Docker) -> Docker {
    docker.with_request_modifier(|mut request| {
        if let Some(login) = request.headers_mut().get_mut(LOGIN) {
            url_safe(login);
        }
        request
    })
}

/// From base64 to its URL-safe form, padded.
fn url_safe(login: &mut HeaderValue) {
    let bytes: Vec<u8> = login
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        })
        .collect();
    // Every byte was in a header before or is visible ASCII.
    if let Ok(mut value) = HeaderValue::from_bytes(&bytes) {
        value.set_sensitive(true);
        *login = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_letters_that_differ_are_replaced_and_the_login_stays_hidden() {
        let mut value = HeaderValue::from_static("a+b/c=");
        url_safe(&mut value);
        assert_eq!((value.to_str().unwrap(), value.is_sensitive()), ("a-b_c=", true));
    }
}
