//! Running a query that makes an asset: in a process of its own, like every computation, so that it can be
//! stopped, timed and logged, and takes nothing with it when it falls.
//!
//! Reads what it is told of and writes one new file; it never changes what is stored.

pub mod adbc;
mod apart;
pub mod datafusion;
pub mod foreign;
pub mod incremental;
pub mod postgres;
pub mod secret;
pub mod sqlite;
mod total;
pub mod view;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    base::{env::Environment, places::Places},
    exec::{
        io::{Slice, sqlite::rows},
        table::{Rows, TableError, read},
    },
    model::{format::TableFormat, project::Home, sql::Dialect},
};

/// What a worker is told to do; followed by a [`Request`].
pub const SUBCOMMAND: &str = "__query";

/// Everything that a query needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// With marks for secrets.
    pub sql: String,
    /// What `sql` was made from, if it does not stand as it was written.
    pub written: Option<Written>,
    /// Variables of the process whose values go in place of their marks.
    pub secrets: Vec<String>,
    /// What the text is called in messages.
    pub shown: String,
    /// Where it stands in a file of the project.
    pub home: Option<Home>,
    pub root: PathBuf,
    pub engine: Engine,
    pub inputs: Vec<Input>,
    /// Where its rows go. Nothing is there yet.
    pub output: PathBuf,
    /// Where the rows of each partition go, if they are made for several at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The rows that are there, if what it gives is added to them.
    pub old: Option<From>,
    /// Not its rows are made, but a view of it.
    pub view: bool,
    /// Columns that no two rows that it gives may have in common.
    pub unique_key: Vec<String>,
}

/// One of several partitions that a query makes at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    pub slice: Slice,
    /// A file, or a table of the database.
    pub output: PathBuf,
    pub table: Option<String>,
}

/// Tells of rows that would be in none of the parts: nobody would see that they are missing.
fn all_in_parts(request: &Request, made: i64, laid: i64) -> Result<(), Failed> {
    match made - laid {
        0 => Ok(()),
        ..0 => {
            let message = format!(
                "{} rows are of more than one partition: their columns take two keys for one value",
                laid - made
            );
            let help =
                format!("make {} a text, or of a type that tells the keys apart", request.parts[0].slice.names());
            Err(Failed { help: Some(help), ..Failed::plain(message) })
        }
        rest => {
            let (slice, several) = (&request.parts[0].slice, request.parts.len());
            let (of, help) = match several {
                1 => (
                    format!("another partition: not all have {}", slice.condition()),
                    "make the rows of one partition only: in SQL, where COLUMN = '{{ partition.key }}'",
                ),
                _ => (
                    format!("none of the {several} partitions that were asked for, by {}", slice.names()),
                    "it is given several partitions at once: give each row the key of its own",
                ),
            };
            let (message, help) = (format!("{rest} of {made} rows are of {of}"), help.to_owned());
            Err(Failed { help: Some(help), ..Failed::plain(message) })
        }
    }
}

/// The template of a query, and where in it each part of the query stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Written {
    pub text: String,
    pub places: Places,
}

/// Who runs it, and what it writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The embedded engine; a file.
    DataFusion {
        format: TableFormat,
        /// A folder for what does not fit into memory.
        spill: PathBuf,
    },
    /// A database with one table. Reads the tables of `database`, if it is there.
    Sqlite { database: PathBuf },
    /// A table beside those of its database.
    Postgres { connection: postgres::Connection, table: String },
    /// The same in a database that this very process has open: see [`adbc::INSIDE`].
    Adbc {
        database: String,
        table: String,
        /// What it is called once it is published, if nothing is to be seen of it or done before that.
        publishes: Option<String>,
    },
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
    /// A table of the engine's own database.
    Table(String),
    /// Those rows of such a table that are of these partitions.
    Part { of: Box<From>, slices: Vec<Slice> },
    /// What a query gives, over the inputs before it: a view that is not there yet.
    Query(String),
    /// Files with the same columns.
    Files { paths: Vec<PathBuf>, format: TableFormat },
    /// A table of a SQLite database.
    Sqlite { database: PathBuf, table: String },
    /// A table of a Postgres database.
    Postgres { connection: postgres::Connection, table: String },
}

impl From {
    /// The table of the engine's own database that is read.
    pub fn table(&self) -> Option<&str> {
        match self {
            From::Table(table) => Some(table),
            From::Part { of, .. } => of.table(),
            _ => None,
        }
    }
}

impl Input {
    /// The rows, one after the other, of what is not in the engine's own database. Addresses of servers are in `env`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn rows(&self, env: &Environment) -> Result<Rows, Failed> {
        match &self.from {
            From::Files { paths, format } => read::open(paths, *format).map_err(Failed::input(&self.name)),
            From::Sqlite { database, table } => rows::read(database, table).map_err(Failed::input(&self.name)),
            From::Postgres { connection, table } => connection.read(table, env),
            From::Table(_) | From::Part { .. } | From::Query(_) => {
                Err(Failed::plain(format!("{}: it is in another database", self.name)))
            }
        }
    }
}

/// Why a query failed. `at` is a byte of the query, if known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    pub message: String,
    pub at: Option<usize>,
    pub help: Option<String>,
}

impl Failed {
    pub fn plain(message: impl ToString) -> Failed {
        Failed { message: message.to_string(), at: None, help: None }
    }

    /// Of a statement that begins with `lead` bytes that nobody wrote.
    pub fn of_sqlite(error: rusqlite::Error, lead: usize) -> Failed {
        match error {
            rusqlite::Error::SqlInputError { msg, offset, .. } => {
                let at = usize::try_from(offset).ok().and_then(|it| it.checked_sub(lead));
                Failed { message: msg, at, help: None }
            }
            other => Failed::plain(other),
        }
    }

    /// Of one input.
    fn input(name: &str) -> impl Fn(TableError) -> Failed {
        move |error| Failed::plain(format!("{name}: {error}"))
    }
}

/// Reads what a step was asked for.
///
/// # Errors
/// A text that is something else.
pub fn request(text: &[u8]) -> Result<Request, Failed> {
    serde_json::from_slice(text).map_err(Failed::plain)
}

/// Runs it.
///
/// # Errors
/// Inputs that cannot be read, a query that the engine refuses, an output that cannot be written.
pub fn run(request: &Request) -> Result<(), Failed> {
    with_secrets(request, &Environment::of_process(), make)
}

/// Runs it by `make`, with the values of its secrets put in.
///
/// # Errors
/// As [`run`].
pub fn with_secrets(
    request: &Request,
    env: &Environment,
    make: impl FnOnce(&Request) -> Result<(), Failed>,
) -> Result<(), Failed> {
    if request.secrets.is_empty() {
        return make(request);
    }
    let revealed = secret::reveal(&request.sql, &request.secrets, env)?;
    let whole = Request { sql: revealed.text.clone(), ..request.clone() };
    make(&whole).map_err(|it| Failed { at: it.at.map(|at| revealed.origin(at)), ..it })
}

fn make(request: &Request) -> Result<(), Failed> {
    let (made, dialect) = match &request.engine {
        Engine::DataFusion { format, spill } => (datafusion::run(request, *format, spill), Dialect::DataFusion),
        Engine::Sqlite { database } => (sqlite::run(request, database), Dialect::Sqlite),
        Engine::Postgres { connection, table } => (postgres::run(request, connection, table), Dialect::Postgres),
        Engine::Adbc { .. } => return Err(Failed::plain("its database is open in another process")),
    };
    made.map_err(|it| foreign::suggesting(it, &request.sql, dialect))
}
