//! Versions of releases: Semantic Versioning 2.0.0 without build metadata, their order as a storage key, and the
//! next one from Conventional Commits.

use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease};
use serde::{Deserialize, Serialize};

/// Why a text is not a version that relman takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not SemVer at all.
    #[error("version {0:?} is not MAJOR.MINOR.PATCH of Semantic Versioning 2.0.0")]
    Syntax(String),
    /// `1.4.2+meta`: two of them would have equal precedence, so neither can be an identity.
    #[error("version {0:?} carries build metadata, which has no order and cannot be an image tag")]
    BuildMetadata(String),
    /// Longer than an image tag may be.
    #[error("version {0:?} is longer than 100 characters")]
    TooLong(String),
    /// A number that could not be counted up any more.
    #[error("version {0} cannot be raised: a number in it is at its limit")]
    Overflow(Version),
}

/// The version of a release, `1.4.2` or `1.4.2-rc.1`; shown to people and in image tags as `v1.4.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(semver::Version);

/// How far a change raises the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bump {
    /// Fixes, or nothing that Conventional Commits names.
    Patch,
    /// A feature; before 1.0 also a breaking change.
    Minor,
    /// A breaking change.
    Major,
}

impl Version {
    /// The first version of a service that has none.
    pub fn first() -> Self {
        Self(semver::Version::new(0, 1, 0))
    }

    /// Whether this is a pre-release such as `1.4.2-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// The image and git tag of this version.
    pub fn tag(&self) -> String {
        format!("v{}", self.0)
    }

    /// The next release version. A breaking change before 1.0 raises the minor (SemVer 2.0.0, item 4). From a
    /// pre-release it is that release itself where the pre-release already stands for the bump.
    ///
    /// # Errors
    /// When the number to raise is at its limit.
    pub fn next(&self, bump: Bump) -> Result<Self, VersionError> {
        let v = &self.0;
        let bump = if v.major == 0 && bump == Bump::Major { Bump::Minor } else { bump };
        let up = |n: u64| n.checked_add(1).ok_or_else(|| VersionError::Overflow(self.clone()));
        let covered = self.is_prerelease()
            && match bump {
                Bump::Patch => true,
                Bump::Minor => v.patch == 0,
                Bump::Major => v.minor == 0 && v.patch == 0,
            };
        let next = match bump {
            _ if covered => semver::Version::new(v.major, v.minor, v.patch),
            Bump::Patch => semver::Version::new(v.major, v.minor, up(v.patch)?),
            Bump::Minor => semver::Version::new(v.major, up(v.minor)?, 0),
            Bump::Major => semver::Version::new(up(v.major)?, 0, 0),
        };
        Ok(Self(next))
    }

    /// This version as a pre-release, `X.Y.Z-LABEL.N`. Characters of `label` that SemVer does not allow become `-`.
    ///
    /// # Errors
    /// When the result is too long.
    pub fn with_prerelease(&self, label: &str, number: u64) -> Result<Self, VersionError> {
        let clean: String =
            label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
        // A label of digits alone with a leading zero is no SemVer identifier.
        let clean = if clean.is_empty() || clean.bytes().all(|b| b.is_ascii_digit()) {
            format!("b{clean}")
        } else {
            clean
        };
        let text = format!("{clean}.{number}");
        let pre = Prerelease::new(&text).map_err(|_| VersionError::Syntax(text))?;
        let mut version = self.0.clone();
        version.pre = pre;
        Ok(Self(version))
    }

    /// A key whose byte order is SemVer precedence: each number behind its two-digit length, pre-release
    /// identifiers tagged `0` (numeric) or `1` (text) and closed with `!`, a release closed with `~`.
    pub fn order_key(&self) -> String {
        let number = |n: &str| format!("{:02}{n}", n.len());
        let v = &self.0;
        let mut key = format!(
            "{}.{}.{}.",
            number(&v.major.to_string()),
            number(&v.minor.to_string()),
            number(&v.patch.to_string())
        );
        if v.pre.is_empty() {
            key.push('~');
        }
        for identifier in v.pre.as_str().split('.').filter(|i| !i.is_empty()) {
            if identifier.bytes().all(|b| b.is_ascii_digit()) {
                key.push_str(&format!("0{}!", number(identifier)));
            } else {
                key.push_str(&format!("1{identifier}!"));
            }
        }
        key
    }
}

impl FromStr for Version {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let shown = || text.chars().take(60).collect::<String>();
        if text.len() > 100 {
            return Err(VersionError::TooLong(shown()));
        }
        let bare = text.strip_prefix('v').unwrap_or(text);
        let version = semver::Version::parse(bare).map_err(|_| VersionError::Syntax(shown()))?;
        if version.build != BuildMetadata::EMPTY {
            return Err(VersionError::BuildMetadata(shown()));
        }
        Ok(Self(version))
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn reads_with_and_without_v_and_shows_bare() {
        assert_eq!(v("v1.4.2").to_string(), "1.4.2");
        assert_eq!(v("1.4.2").tag(), "v1.4.2");
        for bad in ["", "v", "1.4", "1.4.2.3", "01.4.2", "1.4.2+meta", "latest", "18446744073709551616.0.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn next_follows_the_table() {
        for (from, bump, to) in [
            ("1.4.2", Bump::Patch, "1.4.3"),
            ("1.4.2", Bump::Minor, "1.5.0"),
            ("1.4.2", Bump::Major, "2.0.0"),
            ("0.4.2", Bump::Major, "0.5.0"),
            ("0.4.2", Bump::Minor, "0.5.0"),
            ("1.5.0-rc.1", Bump::Patch, "1.5.0"),
            ("1.5.0-rc.1", Bump::Minor, "1.5.0"),
            ("1.5.1-rc.1", Bump::Minor, "1.6.0"),
            ("2.0.0-rc.1", Bump::Major, "2.0.0"),
        ] {
            assert_eq!(v(from).next(bump).unwrap(), v(to), "{from} {bump:?}");
        }
        assert!(v("1.0.18446744073709551615").next(Bump::Patch).is_err());
    }

    #[test]
    fn branch_names_become_prerelease_labels() {
        let base = v("1.5.0");
        assert_eq!(base.with_prerelease("feature/Ünï", 3).unwrap().to_string(), "1.5.0-feature--n-.3");
        assert_eq!(base.with_prerelease("007", 1).unwrap().to_string(), "1.5.0-b007.1");
    }

    fn any_version() -> impl Strategy<Value = Version> {
        let pre = prop::collection::vec("(0|[1-9][0-9]{0,3}|[a-z-][0-9a-z-]{0,3})", 0..4);
        (0u64..200, 0u64..20, any::<u64>(), pre).prop_map(|(a, b, c, pre)| {
            let dash = if pre.is_empty() { "" } else { "-" };
            format!("{a}.{b}.{c}{dash}{}", pre.join(".")).parse().unwrap()
        })
    }

    proptest! {
        #[test]
        fn the_key_orders_as_semver_does(a in any_version(), b in any_version()) {
            prop_assert_eq!(a.order_key().cmp(&b.order_key()), a.0.cmp_precedence(&b.0));
        }

        #[test]
        fn next_is_always_greater(a in any_version()) {
            for bump in [Bump::Patch, Bump::Minor, Bump::Major] {
                if let Ok(next) = a.next(bump) {
                    prop_assert!(next > a);
                }
            }
        }
    }
}
