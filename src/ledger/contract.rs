//! The contract suite that every ledger passes.
