//! Asking Postgres: tables of a schema, what is staged beside them, and files, all by their names.

use std::sync::Mutex;

use postgres::{Error, SimpleQueryMessage};

use super::{CELL_CHARACTERS_MAX, Examiner, Found, Request};
use crate::{
    base::env::Environment,
    exec::{
        io::postgres::connect::Session,
        query::{
            Failed,
            postgres::{Connection, lend},
        },
        table::show::cut,
    },
    model::sql::Dialect,
};

/// A connection of its own that sees the tables of one request, all at one moment, and changes nothing.
pub struct PostgresExaminer {
    session: Mutex<Session>,
}

impl PostgresExaminer {
    /// # Errors
    /// A server that cannot be reached, tables that are not there.
    pub fn of(request: &Request, connection: &Connection) -> Result<Self, Failed> {
        let mut session = connection.open(&Environment::of_process())?;
        let failed = |it: Error| Failed::of_postgres(&it, "", "");
        session.client.batch_execute("begin transaction isolation level repeatable read").map_err(failed)?;
        lend(&mut session, connection, &request.inputs)?;
        session.client.batch_execute("set transaction read only").map_err(failed)?;
        Ok(PostgresExaminer { session: Mutex::new(session) })
    }
}

impl Examiner for PostgresExaminer {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    /// One that fails must not take those after it with it.
    fn rows(&self, sql: &str, limit: usize) -> Result<Found, Failed> {
        let mut session = self.session.lock().map_err(Failed::plain)?;
        let failed = |it: Error| Failed::of_postgres(&it, "", sql);
        session.client.batch_execute("savepoint assets_check").map_err(failed)?;
        let found = found(&mut session, sql, limit);
        let end = if found.is_ok() { "release savepoint assets_check" } else { "rollback to savepoint assets_check" };
        session.client.batch_execute(end).map_err(failed)?;
        found
    }
}

fn found(session: &mut Session, sql: &str, limit: usize) -> Result<Found, Failed> {
    let statement = session.client.prepare(sql).map_err(|it| Failed::of_postgres(&it, "", sql))?;
    let columns = statement.columns().iter().map(|it| (it.name().to_owned(), it.type_().name().to_owned()));
    let mut found = Found { columns: columns.collect(), ..Found::default() };
    if limit == 0 && found.columns.is_empty() {
        return Ok(found);
    }
    // A text of people's own may end in a comment, which ends with its line.
    let lead = "select count(*) from (\n";
    let failed = |lead: &'static str| move |it: Error| Failed::of_postgres(&it, lead, sql);
    let count = session.client.query_one(&format!("{lead}{sql}\n) as assets_all"), &[]).map_err(failed(lead))?;
    found.count = u64::try_from(count.get::<_, i64>(0)).unwrap_or(0);
    let lead = "select * from (\n";
    let text = format!("{lead}{sql}\n) as assets_some limit {limit}");
    for message in session.client.simple_query(&text).map_err(failed(lead))? {
        if let SimpleQueryMessage::Row(row) = message {
            found
                .rows
                .push((0..row.len()).map(|it| row.get(it).map(|it| cut(it.to_owned(), CELL_CHARACTERS_MAX))).collect());
        }
    }
    Ok(found)
}
