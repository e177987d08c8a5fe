//! The SQL of the database: one place for every table and statement.
//!
//! Tables have the columns that are searched by and one sealed body (`seal.rs`); what is in a body is
//! the business of `encode`. `latest` and `source` hold what decisions are made from and are read in
//! one pass; `past` and `past_source` hold what was there before. For ever: the table `summary`, its
//! seal, and the version as its first number; by them every version tells whether it is too old.

use rusqlite::Connection;

use super::{summary::Summary, trouble::Trouble};

/// `user_version` of the database, and what `summary` says of itself.
pub const VERSION: u32 = 1;

/// Rows come to some 700 bytes: with these pages nearly none spills over, and a commit stays small.
pub const PAGE_SIZE: u32 = 4096;

pub const CREATE: &str = "
CREATE TABLE summary (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE latest (key TEXT NOT NULL, partition TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (key, partition)) WITHOUT ROWID;
CREATE TABLE past (key TEXT NOT NULL, partition TEXT NOT NULL, slot INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (key, partition, slot)) WITHOUT ROWID;
CREATE TABLE source (key TEXT PRIMARY KEY, version BLOB NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE past_source (key TEXT NOT NULL, version BLOB NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (key, version)) WITHOUT ROWID;
CREATE TABLE unfinished (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE attempt (id TEXT PRIMARY KEY, run TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX attempt_by_run ON attempt (run);
CREATE TABLE last_attempt (op TEXT NOT NULL, partition TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (op, partition)) WITHOUT ROWID;
CREATE TABLE run (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE step (run INTEGER NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (run, n)) WITHOUT ROWID;
CREATE TABLE text (digest BLOB PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE session (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
";

/// Backfills came after version 1, which is otherwise the same: their table is made when the first is asked for,
/// and a program that does not know of it leaves it as it is.
pub const CREATE_BACKFILLS: &str =
    "CREATE TABLE IF NOT EXISTS backfill (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB NOT NULL)";

/// All tables, in the transaction of the caller.
pub fn create(connection: &Connection, summary: &Summary) -> Result<(), Trouble> {
    connection.execute_batch(CREATE)?;
    connection.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?;
    summary.save(connection)
}
