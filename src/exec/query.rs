//! Running a query that makes an asset: in a process of its own, like every computation, so that it can be
//! stopped, timed and logged, and takes nothing with it when it falls.
//!
//! Reads the database of its asset and csv files, writes a database with one table; never the other way round.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use crate::{
    base::fs,
    exec::io::sqlite::{
        csv,
        table::{STAGED, quoted},
    },
};

/// The hidden subcommand; followed by the path of a [`Request`].
pub const SUBCOMMAND: &str = "__query";

/// Everything that a query needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    pub sql: String,
    /// What the text is called in messages.
    pub shown: String,
    /// The database whose tables it reads, if it is there.
    pub database: PathBuf,
    pub inputs: Vec<Input>,
    /// Where the database with its rows goes. Nothing is there yet.
    pub output: PathBuf,
}

/// What a name in the query stands for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub from: From,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// A table of the database.
    Table(String),
    /// Csv files with the same columns.
    Csv(Vec<PathBuf>),
}

/// Why a query failed. `at` is a byte of the query, if known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    pub message: String,
    pub at: Option<usize>,
}

impl Failed {
    fn plain(message: impl ToString) -> Failed {
        Failed { message: message.to_string(), at: None }
    }
}

/// Reads what a step was asked for.
///
/// # Errors
/// A file that is not there or holds something else.
pub fn request(path: &Path) -> Result<Request, Failed> {
    let bytes = fs::read(path).map_err(Failed::plain)?;
    serde_json::from_slice(&bytes).map_err(Failed::plain)
}

/// Runs it; returns how many rows it gave.
///
/// # Errors
/// Inputs that cannot be read, a query that the engine refuses, an output that cannot be written.
pub fn run(request: &Request) -> Result<usize, Failed> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&request.output, flags).map_err(Failed::plain)?;
    // Nobody but this attempt sees the output: it is whole, or thrown away.
    connection.execute_batch("pragma journal_mode = off; pragma synchronous = off").map_err(Failed::plain)?;
    connection.busy_timeout(std::time::Duration::from_secs(600)).map_err(Failed::plain)?;
    if fs::look_through(&request.database).map_err(Failed::plain)?.is_some() {
        let path = request.database.to_str().ok_or_else(|| Failed::plain("the path of the database is not text"))?;
        connection.execute("attach ? as stored", [path]).map_err(Failed::plain)?;
    }
    for input in &request.inputs {
        let name = quoted(&input.name);
        match &input.from {
            From::Table(table) => {
                // Temporary names come before all others.
                let view = format!("create temp view {name} as select * from stored.{}", quoted(table));
                connection.execute_batch(&view).map_err(|it| Failed::plain(format!("{}: {it}", input.name)))?;
            }
            From::Csv(files) => {
                csv::read_into(&connection, files, &format!("temp.{name}"), &input.name).map_err(Failed::plain)?;
            }
        }
    }
    let lead = format!("create table main.{STAGED} as ");
    let text = request.sql.trim_end().trim_end_matches(';');
    connection.execute(&format!("{lead}{text}"), []).map_err(|error| match error {
        rusqlite::Error::SqlInputError { msg, offset, .. } => {
            let at = usize::try_from(offset).ok().and_then(|it| it.checked_sub(lead.len()));
            Failed { message: msg, at }
        }
        other => Failed::plain(other),
    })?;
    let count = connection.query_row(&format!("select count(*) from main.{STAGED}"), [], |it| it.get::<_, i64>(0));
    Ok(usize::try_from(count.map_err(Failed::plain)?).unwrap_or(0))
}
