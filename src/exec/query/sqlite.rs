//! Queries in a SQLite database: over its own tables and whatever else is brought into temporary ones.
//!
//! Reads the database of its asset, writes a database with one table; never the other way round.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Failed, From, Input, Request};
use crate::{
    base::fs,
    exec::{
        io::sqlite::{
            BUSY_MAX, rows,
            table::{STAGED, quoted},
        },
        table::read,
    },
};

/// What the databases that are read are called, with a number after it.
const ATTACHED: &str = "stored";

/// Makes a database with what the query gives.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused, an output that cannot be written.
pub fn run(request: &Request, database: &Path) -> Result<(), Failed> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&request.output, flags).map_err(Failed::plain)?;
    // Nobody but this attempt sees the output: it is whole, or thrown away.
    connection.execute_batch("pragma journal_mode = off; pragma synchronous = off").map_err(Failed::plain)?;
    lend(&connection, database, &request.inputs)?;
    let lead = format!("create table main.{STAGED} as ");
    let text = request.sql.trim_end().trim_end_matches(';');
    connection.execute(&format!("{lead}{text}"), []).map_err(|it| Failed::of_sqlite(it, lead.len()))?;
    Ok(())
}

/// Makes everything that a query reads known by the names that it uses, and the tables of `database` too, if it
/// is there. Temporary names come before all others.
///
/// # Errors
/// Files that cannot be read, a path that is no text, a file that is no database.
pub fn lend(connection: &Connection, database: &Path, inputs: &[Input]) -> Result<(), Failed> {
    connection.busy_timeout(BUSY_MAX).map_err(Failed::plain)?;
    let mut attached = vec![database];
    if fs::look_through(database).map_err(Failed::plain)?.is_some() {
        attach(connection, database, 0)?;
    }
    for input in inputs {
        let name = quoted(&input.name);
        let table = match &input.from {
            From::Table(table) => format!("{ATTACHED}0.{}", quoted(table)),
            From::Sqlite { database, table } => {
                let at = match attached.iter().position(|it| it == database) {
                    Some(at) => at,
                    None => {
                        attach(connection, database, attached.len())?;
                        attached.push(database);
                        attached.len() - 1
                    }
                };
                format!("{ATTACHED}{at}.{}", quoted(table))
            }
            From::Files { paths, format } => {
                let brought =
                    read::open(paths, *format).and_then(|it| rows::insert(connection, &format!("temp.{name}"), it));
                brought.map_err(Failed::input(&input.name))?;
                continue;
            }
            From::Postgres { connection: from, table } => {
                let read = from.read(table)?;
                rows::insert(connection, &format!("temp.{name}"), read).map_err(Failed::input(&input.name))?;
                continue;
            }
        };
        let view = format!("create temp view {name} as select * from {table}");
        connection.execute_batch(&view).map_err(|it| Failed::plain(format!("{}: {it}", input.name)))?;
    }
    Ok(())
}

fn attach(connection: &Connection, database: &Path, at: usize) -> Result<(), Failed> {
    let path = database.to_str().ok_or_else(|| Failed::plain("the path of the database is not text"))?;
    connection.execute(&format!("attach ? as {ATTACHED}{at}"), [path]).map(drop).map_err(Failed::plain)
}
