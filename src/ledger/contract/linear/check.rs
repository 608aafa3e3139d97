//! Whether a concurrent history could have happened one call at a time: the search of Wing and Gong ("Testing and
//! Verifying Concurrent Objects", 1993), which remembers where it was already as Lowe does ("Testing for
//! linearizability", 2017).

use std::collections::HashSet;
use std::hash::Hash;

/// What one call at a time may do.
pub(crate) trait Spec: Clone + Eq + Hash {
    /// A call with its answer.
    type Did;
    /// The state after it; none when nobody may be answered so here.
    fn after(&self, did: &Self::Did) -> Option<Self>;
}

/// A call, from before it began until after it ended, by a clock that all clients share.
#[derive(Debug, Clone)]
pub(crate) struct Call<D> {
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) did: D,
}

/// Whether there is an order of the calls that the specification allows, and in which no call comes before one that
/// had ended when it began.
pub(crate) fn linearizable<S: Spec>(start: S, calls: &[Call<S::Did>]) -> bool {
    assert!(calls.len() < 128, "a call is a bit");
    search(start, 0, calls, &mut HashSet::new())
}

fn search<S: Spec>(state: S, done: u128, calls: &[Call<S::Did>], seen: &mut HashSet<(u128, S)>) -> bool {
    let left = || calls.iter().enumerate().filter(|(n, _)| done & (1 << n) == 0);
    let Some(first_end) = left().map(|(_, call)| call.ended).min() else { return true };
    if !seen.insert((done, state.clone())) {
        return false;
    }
    left().filter(|(_, call)| call.began < first_end).any(|(n, call)| {
        state.after(&call.did).is_some_and(|next| search(next, done | (1 << n), calls, seen))
    })
}

mod tests {
    use super::*;

    /// A register.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Register(u8);

    enum Access {
        Write(u8),
        Read(u8),
    }

    impl Spec for Register {
        type Did = Access;

        fn after(&self, did: &Access) -> Option<Self> {
            match did {
                Access::Write(value) => Some(Self(*value)),
                Access::Read(value) => (*value == self.0).then(|| self.clone()),
            }
        }
    }

    fn holds(calls: impl IntoIterator<Item = (u64, u64, Access)>) -> bool {
        let calls: Vec<_> = calls.into_iter().map(|(began, ended, did)| Call { began, ended, did }).collect();
        linearizable(Register(0), &calls)
    }

    use Access::{Read, Write};

    #[test]
    fn calls_after_each_other_keep_their_order() {
        assert!(holds([]));
        assert!(holds([(1, 2, Write(1)), (3, 4, Read(1))]));
        assert!(!holds([(1, 2, Write(1)), (3, 4, Read(0))]), "a stale read");
        assert!(!holds([(1, 2, Read(1)), (3, 4, Write(1))]), "a read of the future");
    }

    #[test]
    fn calls_at_once_have_any_order() {
        for value in [0, 1] {
            assert!(holds([(1, 4, Write(1)), (2, 3, Read(value))]));
        }
        assert!(!holds([(1, 4, Write(1)), (2, 3, Read(2))]), "nobody wrote it");
    }

    #[test]
    fn what_one_saw_another_cannot_unsee() {
        // Both reads are within the write, and one after the other.
        assert!(holds([(1, 8, Write(1)), (2, 3, Read(0)), (4, 5, Read(1))]));
        assert!(!holds([(1, 8, Write(1)), (2, 3, Read(1)), (4, 5, Read(0))]), "new, then old");
    }

    #[test]
    fn two_readers_agree_on_the_order_of_two_writes() {
        let writes = || [(1, 20, Write(1)), (1, 20, Write(2))];
        let reads = |a, b, c, d| [(2, 3, Read(a)), (4, 5, Read(b)), (6, 7, Read(c)), (8, 9, Read(d))];
        assert!(holds(writes().into_iter().chain(reads(1, 1, 2, 2))));
        assert!(!holds(writes().into_iter().chain(reads(1, 2, 1, 2))), "the first came again");
    }

    #[test]
    fn many_at_once_are_searched_in_no_time() {
        // Ten writes at once have three million orders, and ten thousand states.
        let writes = (0..10).map(|value| (1, 100, Write(value)));
        assert!(!holds(writes.clone().chain([(101, 102, Read(99))])));
        assert!(holds(writes.chain([(101, 102, Read(7))])));
    }
}
