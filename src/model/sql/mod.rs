//! SQL as text: which tables a query reads, and which parts of it count.
//!
//! Knows no engine and runs nothing. Two views of one text: `tables` parses it, for dependencies;
//! `tokens` cuts it up, for fingerprints, and is right also where parsing fails.

pub mod inputs;
mod statements;
mod tables;
mod tokens;

use std::ops::Range;

use sqlparser::dialect::{
    AnsiDialect, BigQueryDialect, Dialect as Rules, DuckDbDialect, GenericDialect, PostgreSqlDialect, SQLiteDialect,
    SnowflakeDialect,
};

pub use statements::{check_statements, statements};
pub use tables::{TableName, tables, tables_of_expression};
pub use tokens::normal_form;

/// Whose SQL it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Of the engine that is built in.
    DataFusion,
    Sqlite,
    Postgres,
    DuckDb,
    Snowflake,
    BigQuery,
    /// What all others have in common.
    Ansi,
}

impl Dialect {
    pub const ALL: [Dialect; 7] = [
        Dialect::DataFusion,
        Dialect::Sqlite,
        Dialect::Postgres,
        Dialect::DuckDb,
        Dialect::Snowflake,
        Dialect::BigQuery,
        Dialect::Ansi,
    ];

    fn rules(self) -> &'static dyn Rules {
        match self {
            Dialect::DataFusion => &GenericDialect {},
            Dialect::Sqlite => &SQLiteDialect {},
            Dialect::Postgres => &PostgreSqlDialect {},
            Dialect::DuckDb => &DuckDbDialect {},
            Dialect::Snowflake => &SnowflakeDialect {},
            Dialect::BigQuery => &BigQueryDialect {},
            Dialect::Ansi => &AnsiDialect {},
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Dialect::DataFusion => "datafusion",
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
            Dialect::DuckDb => "duckdb",
            Dialect::Snowflake => "snowflake",
            Dialect::BigQuery => "bigquery",
            Dialect::Ansi => "ansi",
        }
    }

    pub fn named(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|it| it.name() == name)
    }

    /// `name` as the engine takes it for a name, whatever is in it.
    pub fn quoted(self, name: &str) -> String {
        match self {
            Dialect::BigQuery => format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

/// Why a text is not a query.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    pub message: String,
    /// Bytes of the text, if known.
    pub at: Option<Range<usize>>,
}

/// Byte offset of a line and column, both from 1, columns counted in characters.
pub fn offset(text: &str, line: u64, column: u64) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1));
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[start..];
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |it| it.0)
}
