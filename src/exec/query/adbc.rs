//! Queries in a database behind an ADBC driver: over its own tables and whatever else is brought to it.
//!
//! Run in the process that has the database open, on a thread of its own; see `executor::inside`.

use std::sync::Arc;

use super::{Failed, From, Input, Request};
use crate::{
    base::env::Environment,
    exec::{
        io::{
            IoError,
            adbc::{
                bring,
                database::{Database, Held},
                session::{Refused, Session, Stop},
            },
            postgres::{connect::Address, rows},
        },
        table::Rows,
    },
};

/// Instead of the hidden subcommand: what is not to be a process of its own.
pub const INSIDE: &str = "__query_inside";

impl std::convert::From<IoError> for Failed {
    fn from(error: IoError) -> Failed {
        Failed { message: error.to_string(), at: None, help: error.help().map(str::to_owned) }
    }
}

impl Failed {
    /// Of a statement that begins with `lead` bytes that nobody wrote.
    pub fn of_adbc(refused: Refused, lead: usize) -> Failed {
        Failed { message: refused.message, at: refused.at.and_then(|it| it.checked_sub(lead)), help: None }
    }
}

/// Makes the table `table` of what the query gives. `env` holds what a process of its own would be given.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused.
pub fn run(
    request: &Request,
    database: &str,
    table: &str,
    env: &Environment,
    stop: Option<Arc<Stop>>,
) -> Result<(), Failed> {
    if request.old.is_some() {
        return Err(Failed::plain(
            "rows cannot be added to a table of this database yet: use materialized = \"table\"",
        ));
    }
    let database = opened(database)?;
    let mut session = database.session()?;
    session.stopped_by(stop);
    let plain = |it: Refused| Failed::plain(it);
    if session.engine.transactional {
        session.run(session.engine.begin).map_err(plain)?;
    }
    lend(&mut session, &request.inputs, env)?;
    let lead = format!("create table {} as ", session.qualified(table));
    let text = request.sql.trim_end().trim_end_matches(';');
    session.run(&format!("{lead}{text}")).map_err(|it| Failed::of_adbc(it, lead.len()))?;
    session.stopped_by(None);
    if session.engine.holds {
        database.hold(table, Held { session: Some(session), content: None });
    } else if session.engine.transactional {
        session.run("commit").map_err(plain)?;
    }
    Ok(())
}

/// A database that this process has.
///
/// # Errors
/// It is another process's.
pub fn opened(name: &str) -> Result<Arc<Database>, Failed> {
    Database::named(name).ok_or_else(|| Failed::plain("its database is open in another process"))
}

/// Makes everything that a query reads known by the names that it uses, for this connection alone.
///
/// # Errors
/// Files that cannot be read, a server that cannot be reached.
pub fn lend(session: &mut Session, inputs: &[Input], env: &Environment) -> Result<(), Failed> {
    for input in inputs {
        let failed = |it: Refused| Failed::plain(format!("{}: {}", input.name, it.message));
        match &input.from {
            // It is found by its own name.
            From::Table(table) if session.finds(table, &input.name) => {}
            From::Table(table) => {
                let table = session.qualified(table);
                bring::view(session, &input.name, &table).map_err(failed)?;
            }
            From::Files { paths, format } => bring::files(session, &input.name, paths, *format).map_err(failed)?,
            other => {
                let rows =
                    rows_of(other, env).map_err(|it| Failed::plain(format!("{}: {}", input.name, it.message)))?;
                bring::rows(session, &input.name, rows).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// The address of a server is in `env`, and not in that of this process.
fn rows_of(from: &From, env: &Environment) -> Result<Rows, Failed> {
    let From::Postgres { connection, table } = from else { return from.rows().map_err(Failed::plain) };
    let url = env.get(&connection.variable).map(str::to_owned);
    let url = url.ok_or_else(|| format!("{} is not set", connection.variable));
    let session = Address::new(url, connection.schema.clone()).connect()?;
    rows::read(session.client, &session.schema, table).map_err(Failed::plain)
}
