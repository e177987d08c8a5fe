//! Asking a database behind an ADBC driver: its tables, what is staged beside them, and files, all by their names.
//!
//! In the process that has it open. What a transaction holds back is committed first, still under the name that
//! nobody else uses.

use std::sync::{Arc, Mutex, PoisonError};

use super::{CELL_CHARACTERS_MAX, Examiner, Found, Request};
use crate::{
    base::env::Environment,
    exec::{
        io::adbc::{
            database::{Database, Held},
            declared::of_query,
            session::{Refused, Session},
        },
        query::{
            Failed, From,
            adbc::{lend, opened},
        },
        stop::Stop,
        table::{columns::kind, show::cells},
    },
    model::{check::sql, sql::Dialect},
};

/// The same in this very process.
pub const INSIDE: &str = "__check_inside";

/// A connection that sees the tables of one request.
pub struct AdbcExaminer {
    database: Arc<Database>,
    session: Mutex<Session>,
}

impl AdbcExaminer {
    /// # Errors
    /// A database that cannot be opened, tables that are not there.
    pub fn of(request: &Request, database: &str, env: &Environment, stop: Option<Arc<Stop>>) -> Result<Self, Failed> {
        let database = opened(database)?;
        let own = request.inputs.iter().find(|it| it.name == request.table);
        let stage = own.and_then(|it| match &it.from {
            From::Table(table) => Some(table.clone()),
            _ => None,
        });
        if let Some(stage) = stage
            && let Some(held) = database.take(&stage)
        {
            // A query that fails would take the transaction with it, and what is staged.
            if let Some(mut session) = held.session {
                database.commit_stage(&mut session).map_err(Failed::plain)?;
            }
            database.hold(&stage, Held { session: None, ..held });
        }
        let tables = request.inputs.iter().map(|it| it.from.table().unwrap_or_default());
        let mut session = database.session_over(tables)?;
        session.stopped_by(stop);
        lend(&mut session, &request.inputs, env)?;
        Ok(AdbcExaminer { database, session: Mutex::new(session) })
    }
}

impl Drop for AdbcExaminer {
    fn drop(&mut self) {
        let session = self.session.get_mut().unwrap_or_else(PoisonError::into_inner);
        session.stopped_by(None);
        // What stays has a name that tells whose it was.
        let _ = session.tidy();
    }
}

impl Examiner for AdbcExaminer {
    fn dialect(&self) -> Dialect {
        self.database.place.engine.dialect
    }

    fn rows(&self, sql: &str, limit: usize) -> Result<Found, Failed> {
        let mut session = self.session.lock().map_err(Failed::plain)?;
        let (text, lead) = session.query(sql);
        found(&mut session, &text, limit).map_err(|it| Failed::of_adbc(it, lead))
    }

    /// What DuckDB hands over does not tell all of its types apart.
    fn columns(&self, table: &str) -> Result<Vec<(String, String)>, Failed> {
        let query = sql::columns_of(table, self.dialect());
        if self.dialect() != Dialect::DuckDb {
            return self.rows(&query, 0).map(|it| it.columns);
        }
        let mut session = self.session.lock().map_err(Failed::plain)?;
        of_query(&mut session, &query).map_err(Failed::plain)
    }
}

fn found(session: &mut Session, sql: &str, limit: usize) -> Result<Found, Refused> {
    let rows = session.rows(sql)?;
    let schema = rows.schema();
    let columns = schema.fields().iter().map(|it| {
        let kind = kind(it.data_type()).unwrap_or_else(|_| it.data_type().to_string());
        (it.name().clone(), kind)
    });
    let mut found = Found { columns: columns.collect(), ..Found::default() };
    for batch in rows {
        let batch = batch.map_err(Refused::plain)?;
        found.count += batch.num_rows() as u64;
        let more = limit - found.rows.len();
        found.rows.extend(cells(&batch, more, CELL_CHARACTERS_MAX).map_err(Refused::plain)?);
    }
    Ok(found)
}
