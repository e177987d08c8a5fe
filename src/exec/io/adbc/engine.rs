//! What differs between engines behind ADBC: one row each. Knows no driver and runs nothing.

use std::borrow::Cow;

use crate::model::sql::Dialect;

/// How one engine is spoken to.
#[derive(Debug)]
pub struct Engine {
    pub dialect: Dialect,
    /// What is staged is a transaction that only publishing commits: it has to stay in one process.
    pub holds: bool,
    /// Tables are made, renamed and dropped inside of transactions.
    pub transactional: bool,
    /// Rows are deleted and inserted inside of transactions.
    pub replaces_rows: bool,
    pub begin: &'static str,
    /// What waits, in a transaction, until all that have written to the table `$table` are committed or gone.
    pub settles: Option<&'static str>,
    /// What is said first on every connection.
    pub settings: &'static [&'static str],
    /// Text without a limit.
    pub text: &'static str,
    /// Views that one connection knows; else a query begins with a WITH that says the same.
    pub views: bool,
    /// Where tables are kept if nobody says where: a name, or a query for it.
    pub schema: Where,
    /// What lists tables and views: of a schema `$schema`, in two columns, name and kind.
    pub tables: &'static str,
    /// Names that are not quoted are taken to be in capitals.
    pub capitals: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Where {
    Named(&'static str),
    Asked(&'static str),
}

const INFORMATION_SCHEMA: &str =
    "select table_name, table_type from information_schema.tables where table_schema = $schema";

static DUCKDB: Engine = Engine {
    dialect: Dialect::DuckDb,
    holds: true,
    transactional: true,
    replaces_rows: true,
    begin: "begin transaction",
    settles: None,
    settings: &["set global errors_as_json = true", "set global TimeZone = 'UTC'"],
    text: "varchar",
    views: true,
    schema: Where::Named("main"),
    tables: INFORMATION_SCHEMA,
    capitals: false,
};

static SQLITE: Engine = Engine {
    dialect: Dialect::Sqlite,
    holds: false,
    transactional: true,
    replaces_rows: true,
    begin: "begin immediate",
    settles: None,
    settings: &["pragma busy_timeout = 600000"],
    text: "text",
    views: true,
    schema: Where::Named("main"),
    tables: "select name, type from main.sqlite_master where type in ('table', 'view')",
    capitals: false,
};

static POSTGRES: Engine = Engine {
    dialect: Dialect::Postgres,
    holds: false,
    transactional: true,
    replaces_rows: true,
    begin: "begin",
    settles: Some("lock table $table in share mode"),
    settings: &["set timezone = 'UTC'", "set client_min_messages = warning", "set lock_timeout = '10min'"],
    text: "text",
    views: true,
    schema: Where::Asked("select current_schema()::text"),
    tables: INFORMATION_SCHEMA,
    capitals: false,
};

static SNOWFLAKE: Engine = Engine {
    dialect: Dialect::Snowflake,
    holds: false,
    transactional: false,
    replaces_rows: true,
    begin: "begin transaction",
    settles: None,
    settings: &[],
    text: "varchar",
    views: false,
    schema: Where::Asked("select current_schema()"),
    tables: INFORMATION_SCHEMA,
    capitals: true,
};

static BIGQUERY: Engine = Engine {
    dialect: Dialect::BigQuery,
    holds: false,
    transactional: false,
    replaces_rows: false,
    begin: "begin transaction",
    settles: None,
    settings: &[],
    text: "string",
    views: false,
    schema: Where::Asked("select @@dataset_id"),
    tables: "select table_name, table_type from $in.INFORMATION_SCHEMA.TABLES",
    capitals: false,
};

static ANSI: Engine = Engine {
    dialect: Dialect::Ansi,
    holds: false,
    transactional: false,
    replaces_rows: false,
    begin: "start transaction",
    settles: None,
    settings: &[],
    text: "varchar",
    views: false,
    schema: Where::Asked("select current_schema"),
    tables: INFORMATION_SCHEMA,
    capitals: false,
};

impl Engine {
    pub fn of(dialect: Dialect) -> &'static Engine {
        match dialect {
            Dialect::DuckDb => &DUCKDB,
            Dialect::Sqlite => &SQLITE,
            Dialect::Postgres => &POSTGRES,
            Dialect::Snowflake => &SNOWFLAKE,
            Dialect::BigQuery => &BIGQUERY,
            Dialect::Ansi | Dialect::DataFusion => &ANSI,
        }
    }

    pub fn quoted(&self, name: &str) -> String {
        self.dialect.quoted(name)
    }

    /// What a table is called there, so that queries find it by a name that is not quoted.
    pub fn stored<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.capitals { name.to_uppercase().into() } else { name.into() }
    }

    /// A text as SQL, whatever is in it.
    pub fn literal(&self, text: &str) -> String {
        match self.dialect {
            Dialect::Snowflake | Dialect::BigQuery => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            _ => format!("'{}'", text.replace('\'', "''")),
        }
    }
}
