//! Queries in a Postgres database: over its own tables and whatever else is brought into temporary ones.
//!
//! One transaction: a process that dies leaves nothing.

use postgres::{Client, Error};
use serde::{Deserialize, Serialize};

use super::{Failed, From, Input, Request};
use crate::{
    base::env::Environment,
    exec::{
        io::{
            postgres::{
                connect::{Address, Session, position, words},
                copy, rows,
                table::{qualified, quoted},
            },
            sqlite,
        },
        table::{Rows, TableError, read},
    },
};

/// A query whose process was ended is ended too.
const GONE: &str = "set client_connection_check_interval = '2s'";

/// A database, and who we are there: what a variable of the process holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub variable: String,
    pub schema: Option<String>,
}

impl Connection {
    /// # Errors
    /// A server that cannot be reached.
    pub fn open(&self) -> Result<Session, Failed> {
        let url = Environment::of_process().get(&self.variable).map(str::to_owned);
        let url = url.ok_or_else(|| format!("{} is not set", self.variable));
        let opened = Address::new(url, self.schema.clone()).connect();
        let mut session =
            opened.map_err(|it| Failed { message: it.to_string(), at: None, help: it.help().map(str::to_owned) })?;
        // Not known to servers before 14, nor on every system: there a query goes on until it is done.
        let _ = session.client.batch_execute(GONE);
        Ok(session)
    }

    /// # Errors
    /// A table that is not there or cannot be read.
    pub fn read(&self, table: &str) -> Result<Rows, Failed> {
        let session = self.open()?;
        rows::read(session.client, &session.schema, table).map_err(Failed::plain)
    }
}

impl Failed {
    /// Of a statement that begins with `lead`, which nobody wrote.
    pub fn of_postgres(error: &Error, lead: &str, sql: &str) -> Failed {
        let at = position(error).and_then(|it| it.checked_sub(lead.chars().count()));
        let at = at.and_then(|it| sql.char_indices().nth(it)).map(|it| it.0);
        Failed { message: words(error), at, help: None }
    }
}

/// Makes the table `table` of what the query gives.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused.
pub fn run(request: &Request, connection: &Connection, table: &str) -> Result<(), Failed> {
    let mut session = connection.open()?;
    session.client.batch_execute("begin").map_err(|it| Failed::of_postgres(&it, "", ""))?;
    lend(&mut session, connection, &request.inputs)?;
    let lead = format!("create table {} as ", qualified(&session.schema, table));
    let text = request.sql.trim_end().trim_end_matches(';');
    session
        .client
        .execute(&format!("{lead}{text}"), &[])
        .and_then(|_| session.client.batch_execute("commit"))
        .map_err(|it| Failed::of_postgres(&it, &lead, text))
}

/// Makes everything that a query reads known by the names that it uses. Temporary names come before all others.
/// A name that is not quoted means the one in lower case, so that is known too.
///
/// # Errors
/// Files that cannot be read, a server that cannot be reached.
pub fn lend(session: &mut Session, own: &Connection, inputs: &[Input]) -> Result<(), Failed> {
    for (index, input) in inputs.iter().enumerate() {
        let failed = |it: TableError| Failed::plain(format!("{}: {it}", input.name));
        let brought = match &input.from {
            From::Table(table) => Err(qualified(&session.schema, table)),
            From::Postgres { connection, table } if connection == own => Err(qualified(&session.schema, table)),
            From::Postgres { connection, table } => Ok(connection.read(table)?),
            From::Files { paths, format } => Ok(read::open(paths, *format).map_err(failed)?),
            From::Sqlite { database, table } => Ok(sqlite::rows::read(database, table).map_err(failed)?),
        };
        let table = match brought {
            Err(there) => there,
            Ok(rows) => {
                let table = format!("pg_temp.{}", quoted(&format!("_assets_input_{index}")));
                bring(&mut session.client, &table, rows).map_err(failed)?;
                table
            }
        };
        let folded = input.name.to_lowercase();
        let is_free = inputs.iter().all(|it| it.name != folded);
        for name in [Some(&input.name), Some(&folded).filter(|_| is_free)].into_iter().flatten() {
            let view = format!("create temp view {} as select * from {table}", quoted(name));
            session
                .client
                .batch_execute(&view)
                .map_err(|it| Failed::plain(format!("{}: {}", input.name, words(&it))))?;
        }
    }
    Ok(())
}

/// With what the planner wants to know of it.
fn bring(client: &mut Client, table: &str, rows: Rows) -> Result<(), TableError> {
    copy::insert(client, "create temp table", table, rows)?;
    client.batch_execute(&format!("analyze {table}"))?;
    Ok(())
}
