//! Asking SQLite: tables of a database, what is staged beside it, and csv files, all by their names.

use std::path::Path;

use regex::Regex;
use rusqlite::{
    Connection, Error,
    config::DbConfig,
    functions::{Context, FunctionFlags},
    types::{Type, ValueRef},
};

use super::{CELL_CHARACTERS_MAX, Examiner, Found, Request};
use crate::{
    exec::{
        query::{Failed, sqlite::lend},
        table::show::cut,
    },
    model::sql::Dialect,
};

/// A connection of its own that sees the tables of one request.
pub struct SqliteExaminer {
    connection: Connection,
}

impl SqliteExaminer {
    /// # Errors
    /// Tables that are not there, csv files that are none.
    pub fn of(request: &Request, database: &Path) -> Result<Self, Failed> {
        let connection = bare().map_err(Failed::plain)?;
        lend(&connection, database, &request.inputs)?;
        // A column that is not there is a mistake, not a text; and nobody's data is changed.
        for config in [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL] {
            connection.set_db_config(config, false).map_err(Failed::plain)?;
        }
        connection.execute_batch("pragma query_only = on").map_err(Failed::plain)?;
        Ok(SqliteExaminer { connection })
    }
}

/// The engine without any table, with what checks may call.
///
/// # Errors
/// None in practice: it is a database in memory.
pub fn bare() -> Result<Connection, Error> {
    let connection = Connection::open_in_memory()?;
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("regexp", 2, pure, is_match)?;
    Ok(connection)
}

impl Examiner for SqliteExaminer {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn rows(&self, sql: &str, limit: usize) -> Result<Found, Failed> {
        let failed = |error: Error| Failed::of_sqlite(error, 0);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let columns: Vec<(String, String)> = statement
            .columns()
            .map(|it| (it.name().to_owned(), it.decl_type().unwrap_or_default().to_owned()))
            .collect();
        let mut found = Found { columns, ..Found::default() };
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if found.rows.len() < limit {
                let cells = (0..found.columns.len()).map(|it| row.get_ref(it).map(cell));
                found.rows.push(cells.collect::<Result<_, _>>().map_err(failed)?);
            }
            found.count += 1;
        }
        Ok(found)
    }
}

/// `text REGEXP pattern`, which SQLite calls with the pattern first.
fn is_match(context: &Context<'_>) -> rusqlite::Result<bool> {
    let pattern = context.get_or_create_aux(0, |it: ValueRef<'_>| Regex::new(it.as_str()?).map_err(Boxed::from))?;
    let text = cell_text(context.get_raw(1)).ok_or(Error::InvalidFunctionParameterType(1, Type::Null))?;
    Ok(pattern.is_match(&text))
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

fn cell(value: ValueRef<'_>) -> Option<String> {
    cell_text(value).map(|it| cut(it, CELL_CHARACTERS_MAX))
}

fn cell_text(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(it) => it.to_string(),
        ValueRef::Real(it) => format!("{it:?}"),
        ValueRef::Text(it) => String::from_utf8_lossy(it).into_owned(),
        ValueRef::Blob(it) => it.iter().map(|it| format!("{it:02x}")).collect(),
    })
}
