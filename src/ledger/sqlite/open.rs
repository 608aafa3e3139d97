//! Opening a ledger file: making it, its migrations, and the checks that it can be used at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};

use super::OpenMode;
use crate::domain::id::Token;
use crate::ledger::{LedgerError, Location};

/// Schema number and what leads to it from the one before.
const MIGRATIONS: [(i64, &str); 1] = [(1, include_str!("../../../ledger-schema/sqlite/0001_ledger.sql"))];
const SCHEMA: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;
/// The oldest relman that may write this schema.
const MIN_CLIENT: &str = "0.1.0";
/// SQLite's own waiting is not fair, so it is bounded; the retry wrapper goes on with jitter.
const BUSY: Duration = Duration::from_secs(10);

pub(super) fn failed(location: &Location, error: rusqlite::Error) -> LedgerError {
    let unusable =
        |reason: &str| LedgerError::Unusable { location: location.clone(), reason: reason.to_owned() };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => unusable("it is not a relman ledger"),
        Some(ErrorCode::DatabaseCorrupt) => unusable("the file is damaged"),
        Some(ErrorCode::ReadOnly) => unusable("it cannot be written"),
        code => {
            let transient = matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
            LedgerError::Unavailable { location: location.clone(), transient, source: error.into() }
        }
    }
}

struct Opening<'a> {
    path: &'a Path,
    location: &'a Location,
}

pub(super) fn open(
    path: &Path,
    location: &Location,
    mode: OpenMode,
) -> Result<(Connection, Token), LedgerError> {
    let opening = Opening { path, location };
    let io = |e: std::io::Error| LedgerError::Unavailable {
        location: location.clone(),
        transient: false,
        source: e.into(),
    };
    if let OpenMode::Create { .. } = mode {
        make(path).map_err(io)?;
    } else if !path.try_exists().map_err(io)? {
        return Err(opening.unusable("it does not exist"));
    }
    opening.refuse_network()?;
    let access = match mode {
        OpenMode::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        OpenMode::Create { .. } | OpenMode::Existing => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let mut connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|e| failed(location, e))?;
    opening.prepare(&mut connection, &mode)?;
    let id = opening.check(&mut connection, &mode)?;
    Ok((connection, id))
}

/// Folder and file, private from the first moment; SQLite gives the files beside it the same mode.
fn make(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

impl Opening<'_> {
    fn unusable(&self, reason: impl Into<String>) -> LedgerError {
        LedgerError::Unusable { location: self.location.clone(), reason: reason.into() }
    }

    /// WAL needs memory that all who use the file share: one machine.
    fn refuse_network(&self) -> Result<(), LedgerError> {
        const NETWORK: [(i64, &str); 4] =
            [(0x6969, "NFS"), (0x517B, "SMB"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB")];
        let Ok(found) = rustix::fs::statfs(self.path) else { return Ok(()) };
        match NETWORK.iter().find(|(magic, _)| *magic == found.f_type & 0xFFFF_FFFF) {
            Some((_, name)) => Err(self.unusable(format!("it lies on {name}, which cannot keep it safe"))),
            None => Ok(()),
        }
    }

    fn prepare(&self, connection: &mut Connection, mode: &OpenMode) -> Result<(), LedgerError> {
        let failed = |e| failed(self.location, e);
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection
            .execute_batch("PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL;")
            .map_err(failed)?;
        let OpenMode::Create { id } = mode else { return Ok(()) };
        // Changing the journal mode does not wait for others as everything else does.
        let mut attempts = 0;
        loop {
            match connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get::<_, String>(0)) {
                Ok(_) => break,
                Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempts < 250 => {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(e) => return Err(failed(e)),
            }
        }
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let tables: i64 = transaction
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        if tables == 0 {
            transaction.execute_batch(MIGRATIONS[0].1).map_err(failed)?;
            transaction
                .execute(
                    "INSERT INTO meta (id, ledger_id, schema_version, min_client) VALUES (1, ?1, ?2, ?3)",
                    (id.as_str(), MIGRATIONS[0].0, MIN_CLIENT),
                )
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    /// Reads who the ledger is, brings an older one up to date, and refuses what this relman cannot use.
    fn check(&self, connection: &mut Connection, mode: &OpenMode) -> Result<Token, LedgerError> {
        self.wait_for_whoever_makes_it(connection)?;
        let (id, schema, min_client) = self.meta(connection)?;
        if schema > SCHEMA {
            return Err(
                self.unusable(format!("its schema is {schema}, which needs relman {min_client} or newer"))
            );
        }
        let id: Token = id.parse().map_err(|_| self.unusable("its id does not read"))?;
        if let OpenMode::Create { id: wanted } = mode
            && *wanted != id
        {
            return Err(self.unusable(format!("it is ledger {id}, not {wanted}")));
        }
        if schema < SCHEMA {
            if *mode == OpenMode::ReadOnly {
                return Err(self.unusable(format!("its schema {schema} must be brought up to date first")));
            }
            self.migrate(connection)?;
        }
        Ok(id)
    }

    /// Another process may be at its first use of this ledger: the file is there, and nothing is in it yet.
    fn wait_for_whoever_makes_it(&self, connection: &Connection) -> Result<(), LedgerError> {
        for _ in 0..100 {
            let tables =
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
            match tables {
                Ok(0) => std::thread::sleep(Duration::from_millis(20)),
                Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(_) => return Ok(()),
                Err(e) => return Err(failed(self.location, e)),
            }
        }
        Err(self.unusable("it is not a relman ledger: the file is empty"))
    }

    fn meta(&self, connection: &Connection) -> Result<(String, i64, String), LedgerError> {
        let row = connection
            .query_row("SELECT ledger_id, schema_version, min_client FROM meta WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional();
        match row {
            Ok(Some(meta)) => Ok(meta),
            Ok(None) => Err(self.unusable("it is not a relman ledger")),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                Err(self.unusable("it is not a relman ledger"))
            }
            Err(e) => Err(failed(self.location, e)),
        }
    }

    fn migrate(&self, connection: &mut Connection) -> Result<(), LedgerError> {
        let failed = |e| failed(self.location, e);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Another process may have done it while we waited.
        let (_, from, _) = self.meta(&transaction)?;
        for (number, sql) in MIGRATIONS.iter().filter(|(number, _)| *number > from) {
            transaction.execute_batch(sql).map_err(failed)?;
            transaction
                .execute("UPDATE meta SET schema_version = ?1, min_client = ?2", (number, MIN_CLIENT))
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}
