//! Which exit code each kind of end has. People and CI script against them: a number is never given another
//! meaning.

use crate::commands::error::ErrorKind;

/// Done, or nothing to do.
pub const DONE: u8 = 0;

/// The exit code of a kind.
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Failed => 1,
        ErrorKind::Usage => 2,
        ErrorKind::Returned => 3,
        ErrorKind::Unsafe => 4,
        ErrorKind::Held => 5,
        ErrorKind::Refused => 6,
        ErrorKind::NotFound => 7,
        ErrorKind::Differences => 8,
        ErrorKind::InProgress => 9,
        ErrorKind::Unverified => 10,
        ErrorKind::Bug => 70,
        ErrorKind::Interrupted => 130,
    }
}

/// The table for people, as `relman --help` and `docs/cli.md` show it.
pub const TABLE: &[(u8, &str)] = &[
    (0, "done, or nothing to do"),
    (1, "failed before any step touched a host"),
    (2, "usage or configuration is wrong"),
    (3, "failed after a host step had begun; every host serves the release of before again"),
    (4, "not safe: a human is needed; the message says what to run next"),
    (5, "somebody else holds the deploy lock"),
    (6, "refused by policy: a hold, an older commit"),
    (7, "target not found, or not deployable any more"),
    (8, "differences found (--exit-code)"),
    (9, "still in progress; the work can be resumed"),
    (10, "the ledger does not verify"),
    (70, "a bug in relman"),
    (130, "interrupted; the deployment can be resumed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code_in_the_table() {
        use ErrorKind::*;
        let kinds = [
            Failed,
            Usage,
            Returned,
            Unsafe,
            Held,
            Refused,
            NotFound,
            Differences,
            InProgress,
            Unverified,
            Bug,
            Interrupted,
        ];
        let mut codes: Vec<u8> = kinds.into_iter().map(code).collect();
        codes.insert(0, DONE);
        assert_eq!(codes, TABLE.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }
}
