//! Tries transient failures again, around any ledger.
