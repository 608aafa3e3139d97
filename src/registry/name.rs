//! Names of repositories, taken apart and checked before they reach a URL or a key.

use super::RegistryError;

/// Registry and repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Host and port as the user wrote them.
    pub host: String,
    /// The repository in it.
    pub repository: String,
}

impl Name {
    /// Reads `REGISTRY[:PORT]/NAME`. As for Docker, a first part without dot or port that is not `localhost` is
    /// no registry but a part of a name on Docker Hub.
    ///
    /// # Errors
    /// When it is no repository, or carries a tag or a digest.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let error = || RegistryError::Repository(text.chars().take(100).collect());
        let (host, repository) = match text.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest.to_owned()),
            Some(_) => ("docker.io", text.to_owned()),
            None => ("docker.io", format!("library/{text}")),
        };
        let fits = is_host(host) && repository.len() <= 200 && repository.split('/').all(is_part);
        if fits { Ok(Self { host: host.to_owned(), repository }) } else { Err(error()) }
    }

    /// Whether the registry is on this machine.
    pub fn is_loopback(&self) -> bool {
        let name = match self.host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => self.host.split(':').next().unwrap_or_default(),
        };
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The address of its API; Docker Hub's is not the name that people write.
    pub(super) fn base(&self, insecure: bool) -> String {
        let scheme = if insecure || self.is_loopback() { "http" } else { "https" };
        let host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        format!("{scheme}://{host}/v2/{}", self.repository)
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port),
            _ => return false,
        },
        None => match host.find(':') {
            Some(at) => host.split_at(at),
            None => (host, ""),
        },
    };
    let name_fits = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && !name.starts_with(['-', '.']);
    name_fits
        && (port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p > 0)))
}

/// A path component of the distribution specification.
fn is_part(part: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let edges = bytes.first().is_some_and(|b| alnum(*b)) && bytes.last().is_some_and(|b| alnum(*b));
    let inside = bytes.iter().all(|b| alnum(*b) || b"._-".contains(b));
    edges && inside && !["..", "._", "_.", ".-", "-.", "_-", "-_", "___"].iter().any(|bad| part.contains(bad))
}

/// Whether this can be a tag.
pub fn is_tag(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        && !bytes.starts_with(b".")
        && !bytes.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_docker_reads_them() {
        for (text, host, repository) in [
            ("registry.example/team/web", "registry.example", "team/web"),
            ("127.0.0.1:5000/web", "127.0.0.1:5000", "web"),
            ("[::1]:5000/web", "[::1]:5000", "web"),
            ("localhost/web", "localhost", "web"),
            ("team/web", "docker.io", "team/web"),
            ("web", "docker.io", "library/web"),
            ("ghcr.io/a/b__c/d-e.f", "ghcr.io", "a/b__c/d-e.f"),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!((name.host.as_str(), name.repository.as_str()), (host, repository), "{text}");
        }
        for bad in [
            "",
            "/",
            "a.b/",
            "a.b/Web",
            "a.b/web:tag",
            "a.b/../x",
            "a.b/x//y",
            "a.b/web@sha256:1",
            "a.b:0/x",
            "a.b:99999/x",
            "a.b:x/y",
            "u@a.b/x",
            "a.b/x?y",
            "a.b/x#y",
            "[::1/x",
            "a.b/-x",
            "a.b/ä",
        ] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_or_by_wish() {
        for (text, insecure, base) in [
            ("127.0.0.1:5000/web", false, "http://127.0.0.1:5000/v2/web"),
            ("[::1]:5000/web", false, "http://[::1]:5000/v2/web"),
            ("127.0.0.1.evil.example/web", false, "https://127.0.0.1.evil.example/v2/web"),
            ("registry.example/web", false, "https://registry.example/v2/web"),
            ("registry.example/web", true, "http://registry.example/v2/web"),
            ("web", false, "https://registry-1.docker.io/v2/library/web"),
        ] {
            assert_eq!(Name::parse(text).unwrap().base(insecure), base);
        }
    }
}
