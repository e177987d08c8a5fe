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
            rows,
            table::{STAGED, quoted},
        },
        table::read,
    },
};

/// Makes a database with what the query gives.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused, an output that cannot be written.
pub fn run(request: &Request, database: &Path) -> Result<(), Failed> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&request.output, flags).map_err(Failed::plain)?;
    // Nobody but this attempt sees the output: it is whole, or thrown away.
    connection.execute_batch("pragma journal_mode = off; pragma synchronous = off").map_err(Failed::plain)?;
    connection.busy_timeout(std::time::Duration::from_secs(600)).map_err(Failed::plain)?;
    if fs::look_through(database).map_err(Failed::plain)?.is_some() {
        let path = database.to_str().ok_or_else(|| Failed::plain("the path of the database is not text"))?;
        connection.execute("attach ? as stored", [path]).map_err(Failed::plain)?;
    }
    request.inputs.iter().try_for_each(|it| bring(&connection, it))?;
    let lead = format!("create table main.{STAGED} as ");
    let text = request.sql.trim_end().trim_end_matches(';');
    connection.execute(&format!("{lead}{text}"), []).map_err(|error| match error {
        rusqlite::Error::SqlInputError { msg, offset, .. } => {
            let at = usize::try_from(offset).ok().and_then(|it| it.checked_sub(lead.len()));
            Failed { message: msg, at, help: None }
        }
        other => Failed::plain(other),
    })?;
    Ok(())
}

/// Under its name; temporary names come before all others.
fn bring(connection: &Connection, input: &Input) -> Result<(), Failed> {
    let name = quoted(&input.name);
    let rows = match &input.from {
        From::Table(table) => {
            let view = format!("create temp view {name} as select * from stored.{}", quoted(table));
            return connection.execute_batch(&view).map_err(|it| Failed::plain(format!("{}: {it}", input.name)));
        }
        From::Files { paths, format } => read::open(paths, *format),
        From::Sqlite { database, table } => rows::read(database, table),
    };
    let brought = rows.and_then(|it| rows::insert(connection, &format!("temp.{name}"), it));
    brought.map_err(Failed::input(&input.name))
}
