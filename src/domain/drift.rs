//! Recorded against observed.

use serde::{Deserialize, Serialize};

use super::id::Digest;

/// How a host differs from what the ledger wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// It serves another digest.
    OtherRelease,
    /// It serves nothing.
    NotServing,
    /// It serves although nothing is recorded.
    NotInLedger,
    /// The right digest runs, and the proxy does not send it all requests: it is stopped, or its map says otherwise.
    NotRouted,
    /// It serves the right digest, which does not answer its health check.
    Unhealthy,
    /// A shift was left open.
    OpenShift,
    /// It could not be asked.
    Unreachable,
    /// It went back without the ledger, which does not know yet.
    AheadOfLedger,
}

/// What was seen on a host that could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The digest that takes traffic.
    pub serving: Option<Digest>,
    /// Whether the proxy sends all requests to it.
    pub routed: bool,
    /// Whether it answers its health check.
    pub healthy: bool,
    /// Whether a shift is open.
    pub open_shift: bool,
    /// Whether it went back without the ledger.
    pub ahead: bool,
}

/// Compares a host with what is wanted of it. While a deployment is in flight, its candidate is no drift and a
/// shift may be open (invariant 1); while it is, traffic is being moved, and is no drift either.
pub fn drift(wanted: Option<&Digest>, candidate: Option<&Digest>, seen: Option<&Seen>) -> Option<Drift> {
    let Some(seen) = seen else { return Some(Drift::Unreachable) };
    if seen.ahead {
        return Some(Drift::AheadOfLedger);
    }
    match (&seen.serving, wanted) {
        (None, None) => return None,
        (None, Some(_)) => return Some(Drift::NotServing),
        (Some(serving), _) if candidate == Some(serving) => {}
        (Some(_), None) => return Some(Drift::NotInLedger),
        (Some(serving), Some(wanted)) if serving != wanted => return Some(Drift::OtherRelease),
        (Some(_), Some(_)) => {}
    }
    let moving = seen.open_shift && candidate.is_some();
    if seen.serving.is_some() && !seen.routed && !moving {
        return Some(Drift::NotRouted);
    }
    if seen.open_shift && candidate.is_none() {
        return Some(Drift::OpenShift);
    }
    (!seen.healthy).then_some(Drift::Unhealthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_1_one_recorded_digest_or_drift() {
        let (old, new, other) = (Digest::of(b"old"), Digest::of(b"new"), Digest::of(b"other"));
        let seen = |serving: Option<&Digest>, healthy, open_shift| Seen {
            serving: serving.cloned(),
            routed: true,
            healthy,
            open_shift,
            ahead: false,
        };
        let ahead = Seen { ahead: true, ..seen(Some(&old), true, false) };
        let table = [
            (Some(&old), None, Some(ahead), Some(Drift::AheadOfLedger)),
            (Some(&old), None, Some(seen(Some(&old), true, false)), None),
            (Some(&old), None, Some(seen(Some(&new), true, false)), Some(Drift::OtherRelease)),
            (Some(&old), Some(&new), Some(seen(Some(&new), true, true)), None),
            (Some(&old), Some(&new), Some(seen(Some(&other), true, true)), Some(Drift::OtherRelease)),
            (Some(&old), None, Some(seen(None, false, false)), Some(Drift::NotServing)),
            (None, None, Some(seen(None, false, false)), None),
            (None, None, Some(seen(Some(&other), true, false)), Some(Drift::NotInLedger)),
            (None, Some(&new), Some(seen(Some(&new), true, true)), None),
            (Some(&old), None, Some(seen(Some(&old), false, false)), Some(Drift::Unhealthy)),
            (Some(&old), None, Some(seen(Some(&old), true, true)), Some(Drift::OpenShift)),
            (Some(&old), None, None, Some(Drift::Unreachable)),
        ];
        for (wanted, candidate, seen, expected) in table {
            assert_eq!(
                drift(wanted, candidate, seen.as_ref()),
                expected,
                "{wanted:?} {candidate:?} {seen:?}"
            );
        }
    }

    #[test]
    fn invariant_1_what_gets_no_requests_does_not_serve() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let seen = |serving: &Digest, healthy, open_shift| Seen {
            serving: Some(serving.clone()),
            routed: false,
            healthy,
            open_shift,
            ahead: false,
        };
        let table = [
            (Some(&old), None, seen(&old, true, false), Some(Drift::NotRouted)),
            (Some(&old), None, seen(&old, false, false), Some(Drift::NotRouted)),
            (Some(&old), None, seen(&old, true, true), Some(Drift::NotRouted)),
            (Some(&old), None, seen(&new, true, false), Some(Drift::OtherRelease)),
            (None, None, seen(&new, true, false), Some(Drift::NotInLedger)),
            // In flight: a shift that is open is moving, everything else has to get its requests.
            (Some(&old), Some(&new), seen(&new, true, true), None),
            (Some(&old), Some(&new), seen(&new, false, true), Some(Drift::Unhealthy)),
            (Some(&old), Some(&new), seen(&new, true, false), Some(Drift::NotRouted)),
            (Some(&old), Some(&new), seen(&old, true, false), Some(Drift::NotRouted)),
        ];
        for (wanted, candidate, seen, expected) in table {
            assert_eq!(drift(wanted, candidate, Some(&seen)), expected, "{wanted:?} {candidate:?} {seen:?}");
        }
        assert_eq!(serde_json::to_value(Drift::NotRouted).unwrap(), "not_routed");
    }
}
