//! The strict in-memory ledger: the fake of unit tests.
