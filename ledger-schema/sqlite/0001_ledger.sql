-- The embedded ledger, schema 1. Applied once, in one transaction; never edited after it was shipped.

-- Who this ledger is. `min_client` is the oldest relman that may write it.
CREATE TABLE meta (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    ledger_id      TEXT    NOT NULL CHECK (length(ledger_id) = 32),
    schema_version INTEGER NOT NULL,
    min_client     TEXT    NOT NULL
) STRICT;

-- The head of each stream. The fence lives here and never shrinks, so the row is never deleted.
CREATE TABLE stream (
    stream TEXT    PRIMARY KEY,
    seq    INTEGER NOT NULL CHECK (seq >= 0),
    hash   TEXT    NOT NULL,
    fence  INTEGER NOT NULL CHECK (fence >= 0)
) STRICT, WITHOUT ROWID;

-- The entries. `body` is the text that was hashed, byte for byte; nothing else of it is stored.
CREATE TABLE entry (
    stream TEXT    NOT NULL REFERENCES stream (stream),
    seq    INTEGER NOT NULL CHECK (seq > 0),
    eid    TEXT    NOT NULL,
    body   TEXT    NOT NULL,
    hash   TEXT    NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT;
CREATE UNIQUE INDEX entry_eid ON entry (stream, eid);

-- One lease per stream. Given back means `released`, never deleted: the next one needs its fence.
CREATE TABLE lease (
    stream   TEXT    PRIMARY KEY REFERENCES stream (stream),
    fence    INTEGER NOT NULL,
    renewal  TEXT    NOT NULL,
    ttl_ms   INTEGER NOT NULL,
    released INTEGER NOT NULL CHECK (released IN (0, 1)),
    holder   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Projections by key. A table with row ids: a body of a kilobyte inside an index would make it ten levels deep.
CREATE TABLE record (
    partition TEXT NOT NULL,
    sort      TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (partition, sort)
) STRICT;

CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_gapless BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT seq + 1 FROM stream WHERE stream = NEW.stream)
BEGIN SELECT RAISE(ABORT, 'an entry must follow the head'); END;

CREATE TRIGGER stream_no_delete BEFORE DELETE ON stream
BEGIN SELECT RAISE(ABORT, 'a head is never deleted'); END;
CREATE TRIGGER stream_grows BEFORE UPDATE ON stream
WHEN NEW.seq <= OLD.seq OR NEW.fence < OLD.fence OR NEW.stream <> OLD.stream
BEGIN SELECT RAISE(ABORT, 'a head only grows'); END;

CREATE TRIGGER lease_no_delete BEFORE DELETE ON lease
BEGIN SELECT RAISE(ABORT, 'a lease is never deleted'); END;
CREATE TRIGGER lease_grows BEFORE UPDATE ON lease
WHEN NEW.fence < OLD.fence OR (NEW.fence = OLD.fence AND NEW.released < OLD.released)
BEGIN SELECT RAISE(ABORT, 'a fence only grows'); END;
