//! One connection to a database: statements, their rows, and how to stop them.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

use adbc_core::{
    Connection, Optionable, Statement,
    error::Error,
    options::{IngestMode, OptionStatement},
};
use adbc_driver_manager::{ManagedConnection, ManagedStatement};
use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchReader},
};
use serde::Deserialize;

use super::{
    database::STAGE,
    engine::{Engine, Where},
    threads::{All, Threads},
};
use crate::{
    exec::{
        log::Redactor,
        stop::Stop,
        table::{Rows, TableError},
    },
    model::sql::Dialect,
};

/// What an engine said no to. `at` is a byte of the statement, if known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub message: String,
    pub at: Option<usize>,
}

impl Refused {
    pub fn plain(message: impl ToString) -> Refused {
        Refused { message: message.to_string(), at: None }
    }
}

impl From<Refused> for TableError {
    fn from(refused: Refused) -> TableError {
        TableError(refused.message)
    }
}

/// A connection, and the schema that is meant.
pub struct Session {
    connection: ManagedConnection,
    pub engine: &'static Engine,
    pub schema: String,
    /// Where files may lie for a moment.
    pub scratch: PathBuf,
    secrets: Arc<Vec<String>>,
    stop: Option<Arc<Stop>>,
    /// Said together with the statement that comes next.
    ahead: String,
    /// Something large is to be done.
    threads: Option<All>,
    /// Names that queries use, and what they stand for, where there are no views for that.
    lent: Vec<(String, String)>,
    /// What tables begin with that hold what was brought, and those that are there.
    brought: (String, Vec<String>),
}

impl Session {
    pub fn new(connection: ManagedConnection, engine: &'static Engine, secrets: Arc<Vec<String>>) -> Session {
        let (schema, scratch) = (String::new(), PathBuf::new());
        let brought = (format!("{STAGE}for_{}", std::process::id()), Vec::new());
        let (ahead, lent) = (String::new(), Vec::new());
        Session { connection, engine, schema, scratch, secrets, stop: None, ahead, threads: None, lent, brought }
    }

    /// The threads of an engine that was just opened in this process.
    ///
    /// # Errors
    /// What the engine says.
    pub fn threads(&mut self) -> Result<Arc<Threads>, Refused> {
        let all = match self.engine.dialect {
            Dialect::DuckDb => {
                self.texts("select current_setting('threads')")?.pop().and_then(|mut it| it.pop().flatten())
            }
            _ => None,
        };
        Ok(Threads::of(&mut self.connection, all.and_then(|it| it.parse().ok())))
    }

    /// From now on all of them work, as long as this session lives.
    pub fn wide(&mut self, threads: &Arc<Threads>) {
        self.threads.get_or_insert_with(|| threads.all(&self.connection));
    }

    pub fn is_wide(&self) -> bool {
        self.threads.is_some()
    }

    /// What is brought belongs to this attempt: whoever takes away what it has left takes that too.
    pub fn brings_for(&mut self, stage: &str) {
        stage.clone_into(&mut self.brought.0);
    }

    /// A name for a table that holds what is brought.
    pub fn bring(&mut self) -> String {
        let name = format!("{}_{}", self.brought.0, self.brought.1.len());
        self.brought.1.push(name.clone());
        name
    }

    /// Takes away what was brought, where there are no temporary tables for that.
    ///
    /// # Errors
    /// What the engine says.
    pub fn tidy(&mut self) -> Result<(), Refused> {
        std::mem::take(&mut self.brought.1).iter().try_for_each(|it| self.drop_table(it))
    }

    /// From now on `name` in a [`query`](Self::query) is what is selected from `from`.
    pub fn lend(&mut self, name: &str, from: &str) {
        self.lent.push((name.to_owned(), from.to_owned()));
    }

    /// A query that knows what was lent, and how many bytes of it nobody wrote.
    pub fn query(&self, sql: &str) -> (String, usize) {
        if self.lent.is_empty() {
            return (sql.to_owned(), 0);
        }
        // A name that is not quoted there is in capitals.
        let one = |(name, from): &(String, String)| {
            let exact = self.engine.quoted(name);
            let meant = if sql.contains(&exact) { exact } else { self.engine.quoted(&self.engine.stored(name)) };
            format!("{meant} as (select * from {from})")
        };
        let lead = format!("with {} select * from (\n", self.lent.iter().map(one).collect::<Vec<_>>().join(", "));
        (format!("{lead}{sql}\n) as assets_query"), lead.len())
    }

    /// From now on `stop` ends what runs here.
    pub fn stopped_by(&mut self, stop: Option<Arc<Stop>>) {
        self.stop = stop;
    }

    /// A table of the schema, as it is written in a statement.
    pub fn qualified(&self, table: &str) -> String {
        format!("{}.{}", self.engine.quoted(&self.schema), self.engine.quoted(&self.engine.stored(table)))
    }

    /// The same where a temporary view of that name is made over it: to DuckDB those are in a schema `main` too.
    ///
    /// # Errors
    /// What the engine says.
    pub fn apart(&mut self, table: &str) -> Result<String, Refused> {
        let qualified = self.qualified(table);
        if self.engine.dialect != Dialect::DuckDb {
            return Ok(qualified);
        }
        let catalog = self.texts("select current_database()")?.into_iter().flatten().flatten().next();
        Ok(catalog.map_or_else(|| qualified.clone(), |it| format!("{}.{qualified}", self.engine.quoted(&it))))
    }

    /// Whether `name` in a query is this table of the schema without more being done.
    pub fn finds(&self, table: &str, name: &str) -> bool {
        self.is_first_schema() && table.eq_ignore_ascii_case(name)
    }

    /// Whether tables are looked for there if no other is named.
    fn is_first_schema(&self) -> bool {
        matches!(self.engine.schema, Where::Named(first) if first == self.schema)
    }

    fn statement(&mut self) -> Result<ManagedStatement, Refused> {
        let made = self.connection.new_statement();
        let statement = made.map_err(|it| self.refused(&it, 0..0))?;
        if let Some(stop) = &self.stop
            && !stop.watch(statement.get_cancel_handle())
        {
            return Err(Refused::plain("interrupted"));
        }
        Ok(statement)
    }

    /// Says it together with the statement that comes next, where an engine takes several at once: half of what
    /// a small one costs is to be said alone.
    ///
    /// # Errors
    /// What another engine says.
    pub fn ahead(&mut self, sql: &str) -> Result<(), Refused> {
        if self.engine.dialect != Dialect::DuckDb {
            return self.run(sql);
        }
        self.ahead += sql;
        self.ahead += "; ";
        Ok(())
    }

    /// With what was to be said ahead of it, and where in that it stands.
    fn whole(&mut self, sql: &str) -> (String, Range<usize>) {
        let ahead = std::mem::take(&mut self.ahead);
        let at = ahead.len()..ahead.len() + sql.len();
        (ahead + sql, at)
    }

    /// Runs a statement for what it does.
    ///
    /// # Errors
    /// What the engine says.
    pub fn run(&mut self, sql: &str) -> Result<(), Refused> {
        let (mut statement, (whole, at)) = (self.statement()?, self.whole(sql));
        let done = statement.set_sql_query(whole).and_then(|()| statement.execute_update());
        done.map(drop).map_err(|it| self.refused(&it, at.clone()))
    }

    /// The rows of a query, one batch after the other.
    ///
    /// # Errors
    /// What the engine says.
    pub fn rows(&mut self, sql: &str) -> Result<Rows, Refused> {
        let (mut statement, (whole, at)) = (self.statement()?, self.whole(sql));
        let reader = statement.set_sql_query(whole).and_then(|()| statement.execute());
        let reader = reader.map_err(|it| self.refused(&it, at.clone()))?;
        Ok(Box::new(Streaming { reader, _statement: statement, _connection: self.connection.clone() }))
    }

    /// The rows of a query that gives texts, all of them.
    ///
    /// # Errors
    /// What the engine says.
    pub fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Refused> {
        let mut found = Vec::new();
        for batch in self.rows(sql)? {
            let batch = batch.map_err(Refused::plain)?;
            let as_text = |it: &ArrayRef| arrow::compute::cast(it, &DataType::Utf8);
            let columns = batch.columns().iter().map(as_text).collect::<Result<Vec<_>, _>>().map_err(Refused::plain)?;
            let cell = |column: &ArrayRef, row: usize| {
                let texts = column.as_string::<i32>();
                texts.is_valid(row).then(|| texts.value(row).to_owned())
            };
            found.extend((0..batch.num_rows()).map(|row| columns.iter().map(|it| cell(it, row)).collect()));
        }
        Ok(found)
    }

    /// Makes a table of `rows`.
    ///
    /// # Errors
    /// Rows that cannot be read, types that the engine does not have, a name that is taken.
    pub fn insert(&mut self, table: &str, temporary: bool, rows: Rows) -> Result<(), Refused> {
        if rows.schema().fields().is_empty() {
            return Err(Refused::plain("a table has at least one column"));
        }
        if self.engine.dialect == Dialect::Snowflake {
            let table = self.qualified(table);
            return super::snowflake::load(self, &table, rows);
        }
        if !self.ahead.is_empty() {
            self.run("")?;
        }
        let mut statement = self.statement()?;
        let mut options = vec![
            (OptionStatement::TargetTable, table.into()),
            (OptionStatement::IngestMode, IngestMode::Create.into()),
        ];
        match temporary {
            true => options.push((OptionStatement::Temporary, "true".into())),
            // Not every driver has schemas.
            false if self.is_first_schema() => {}
            false => options.push((OptionStatement::TargetDbSchema, self.schema.as_str().into())),
        }
        let done = options.into_iter().try_for_each(|(key, value)| statement.set_option(key, value));
        let done = done.and_then(|()| statement.bind_stream(rows)).and_then(|()| statement.execute_update());
        done.map(drop).map_err(|it| self.refused(&it, 0..0))
    }

    /// What is called so: `table`, `view`, or what the engine calls it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn kind_of(&mut self, name: &str) -> Result<Option<String>, Refused> {
        let engine = self.engine;
        let listed = self.tables_query();
        let word = if listed.contains(" where ") { "and" } else { "where" };
        let literal = engine.literal(&engine.stored(name));
        let is_it = match engine.dialect {
            Dialect::Sqlite => format!("name = {literal} collate nocase"),
            Dialect::DuckDb => format!("lower(table_name) = lower({literal})"),
            _ => format!("table_name = {literal}"),
        };
        let mut found = self.texts(&format!("{listed} {word} {is_it}"))?;
        let kind = found.pop().and_then(|mut it| it.pop().flatten());
        Ok(kind.map(|it| if it.eq_ignore_ascii_case("base table") { "table".to_owned() } else { it.to_lowercase() }))
    }

    /// The names of all tables and views.
    ///
    /// # Errors
    /// What the engine says.
    pub fn tables(&mut self) -> Result<Vec<String>, Refused> {
        let listed = self.tables_query();
        Ok(self.texts(&listed)?.into_iter().filter_map(|it| it.into_iter().next().flatten()).collect())
    }

    /// How many rows the tables have at most, as DuckDB tells without reading them.
    ///
    /// # Errors
    /// What the engine says.
    pub fn row_counts(&mut self) -> Result<BTreeMap<String, u64>, Refused> {
        let schema = self.engine.literal(&self.schema);
        let listed = "select table_name, estimated_size::varchar from duckdb_tables() where not temporary";
        let found = self.texts(&format!("{listed} and schema_name = {schema}"))?;
        let count = |row: Vec<Option<String>>| Some((row.first()?.clone()?, row.get(1)?.as_deref()?.parse().ok()?));
        Ok(found.into_iter().filter_map(count).collect())
    }

    fn tables_query(&self) -> String {
        let (engine, schema) = (self.engine, &self.schema);
        engine.tables.replace("$schema", &engine.literal(schema)).replace("$in", &engine.quoted(schema))
    }

    /// Takes away whatever has this name.
    ///
    /// # Errors
    /// What the engine says.
    pub fn drop_table(&mut self, name: &str) -> Result<(), Refused> {
        // Looking for one table takes DuckDB through all of them; to be refused costs nothing, not even a transaction.
        if self.engine.dialect == Dialect::DuckDb {
            let table = self.qualified(name);
            return match self.run(&format!("drop table if exists {table}")) {
                Err(refused) if refused.message.contains("is of type View") => self.run(&format!("drop view {table}")),
                done => done,
            };
        }
        let Some(kind) = self.kind_of(name)? else { return Ok(()) };
        let what = if kind.contains("view") { "view" } else { "table" };
        // A server takes away the views of a connection that was closed when it gets to it, and nobody else knows a
        // stage.
        let is_staged = self.engine.dialect == Dialect::Postgres && name.starts_with(STAGE);
        let with_them = if is_staged { " cascade" } else { "" };
        self.run(&format!("drop {what} {}{with_them}", self.qualified(name)))
    }

    /// What it says of the statement that stands `at` these bytes of what was said.
    fn refused(&self, error: &Error, at: Range<usize>) -> Refused {
        let mut refused = match self.engine.dialect {
            Dialect::DuckDb => of_duckdb(&error.message, at),
            _ => Refused::plain(error.message.trim()),
        };
        if !self.secrets.is_empty() {
            refused.message = Redactor::new(&self.secrets).redact_text(&refused.message);
        }
        refused
    }
}

/// As DuckDB tells errors when it is asked for JSON.
#[derive(Deserialize)]
struct Told {
    exception_type: String,
    exception_message: String,
    position: Option<String>,
    candidates: Option<String>,
}

fn of_duckdb(message: &str, said: Range<usize>) -> Refused {
    // Before it, its kind may stand in words.
    let json = message.find('{').map_or(message, |at| &message[at..]);
    let Ok(told) = serde_json::from_str::<Told>(json) else { return Refused::plain(message) };
    let candidates = told.candidates.filter(|it| !it.is_empty()).map(|it| format!("; there are: {it}"));
    let text = told.exception_message.split("\n\nLINE ").next().unwrap_or_default().trim();
    // What else there is stands below, for a function with each of its forms.
    let text = text.lines().next().unwrap_or_default().trim_end();
    let at = told.position.and_then(|it| it.parse::<usize>().ok());
    let at = at.filter(|it| *it <= said.end).and_then(|it| it.checked_sub(said.start));
    Refused { message: format!("{text} ({}){}", told.exception_type, candidates.unwrap_or_default()), at }
}

/// Rows together with what must live as long as they do.
struct Streaming {
    reader: Box<dyn RecordBatchReader + Send>,
    _statement: ManagedStatement,
    _connection: ManagedConnection,
}

impl Iterator for Streaming {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next()
    }
}

impl RecordBatchReader for Streaming {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}
