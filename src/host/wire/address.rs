//! Where a host is, and what may stand in its address. Whatever could become an option of ssh, another line of a file or a
//! template is none, wherever it came from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::id::HostName;

/// A host as relman reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostAddress {
    /// Its name.
    pub name: HostName,
    /// Address or DNS name.
    pub address: String,
    /// SSH port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The user to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Pinned host keys, as lines of an OpenSSH public key file (`ssh-ed25519 AAAA…`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
}

/// A host through which others are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bastion {
    /// Address or DNS name.
    pub address: String,
    /// SSH port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The user to log in as; none: as at the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Pinned host keys, as those of a host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
}

fn ssh_port() -> u16 {
    22
}

/// A user name of a host.
pub fn is_user(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
}

/// An IP address or a DNS name.
pub fn is_address(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

/// A name that SSM takes for a document.
pub fn is_document(text: &str) -> bool {
    (3..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// `TYPE BASE64`, as in an OpenSSH public key file, without a comment.
pub fn is_host_key(line: &str) -> bool {
    let mut words = line.split(' ');
    let kind = words.next().unwrap_or_default();
    let known = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| kind.starts_with(prefix));
    let base64 = |text: &str| {
        text.len() >= 40
            && text.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    };
    let kind_chars = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b));
    known && kind_chars && words.next().is_some_and(base64) && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text:?} is good");
        }
        for text in bad {
            assert!(!check(text), "{text:?} is bad");
        }
    }

    #[test]
    fn nothing_in_an_address_becomes_an_option_or_a_template() {
        all(
            is_address,
            &["10.0.0.1", "::1", "web-1.example", "localhost", "a_b.example"],
            &["", "-oProxyCommand=x", "a b", "a\nb", "web;x", "{{ x }}", "a..b", "web-.example", "a\"b"],
        );
        all(is_user, &["deploy", "_x", "A.b-c"], &["", "-l", "a b", "a@b", "$(x)", "1a", "a\0"]);
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIDu6d3GmZ0yq3Tn3yqfX1x0T2S6Zf3V8h8t9x5l2b3c4";
        assert!(is_host_key(&format!("ssh-ed25519 {key}")));
        for bad in
            [format!("ssh-ed25519 {key}\nx"), format!("cert {key}"), "ssh-ed25519 AAAA".into(), key.into()]
        {
            assert!(!is_host_key(&bad), "{bad:?}");
        }
    }
}
