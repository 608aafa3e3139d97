//! The embedded ledger: the contract, and what only a file can suffer.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::ledger::contract::ledger_contract;

fn id() -> Token {
    Token::from_bits([9; 16])
}

fn make() -> (Arc<dyn Ledger>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/ledger.db");
    (Arc::new(SqliteLedger::open(&path, OpenMode::Create { id: id() }).unwrap()), folder)
}

ledger_contract!(make());
