//! SQL as text: which tables a query reads, and which parts of it count.
//!
//! Knows no engine and runs nothing. Two views of one text: `tables` parses it, for dependencies;
//! `tokens` cuts it up, for fingerprints, and is right also where parsing fails.

mod copied;
pub mod in_partition;
pub mod inputs;
mod made_rows;
mod respelt;
mod statements;
mod tables;
mod tokens;
mod unseen;
pub mod words;

use std::ops::Range;

use sqlparser::dialect::{
    AnsiDialect, BigQueryDialect, Dialect as Rules, DuckDbDialect, GenericDialect, PostgreSqlDialect, SQLiteDialect,
    SnowflakeDialect,
};

pub use copied::{Copied, copied};
pub use made_rows::tables_alone;
pub use statements::{check_statements, statements};
pub use tables::{Reads, TableName, reads, reads_of_expression, tables};
pub use tokens::normal_form;

/// Whose SQL it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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
    Lines::of(text).offset(line, column)
}

/// Where the lines of a text begin: for whoever asks for many places.
pub struct Lines<'t> {
    text: &'t str,
    /// With whether there is one byte for each character up to the next.
    starts: Vec<(usize, bool)>,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t str) -> Self {
        let mut starts = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            starts.push((start, line.is_ascii()));
            start += line.len();
        }
        starts.push((start, true));
        Lines { text, starts }
    }

    /// As [`offset`]; the end of the text, if there are not so many.
    pub fn offset(&self, line: u64, column: u64) -> usize {
        let before = |it: u64| usize::try_from(it.saturating_sub(1)).unwrap_or(usize::MAX);
        let (start, is_plain) = *self.starts.get(before(line)).unwrap_or(&(self.text.len(), true));
        let end = self.starts.get(before(line).saturating_add(1)).map_or(self.text.len(), |it| it.0);
        if is_plain && before(column) <= end - start {
            return start + before(column);
        }
        let rest = &self.text[start..];
        start + rest.char_indices().nth(before(column)).map_or(rest.len(), |it| it.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_line_and_column() {
        let text = "select 'é', x\n-- ñ\nfrom t\n";
        for (line, column, rest) in
            [(1, 1, "select"), (1, 13, "x\n"), (2, 4, "ñ\n"), (3, 6, "t\n"), (4, 1, ""), (9, 9, "")]
        {
            assert!(text[offset(text, line, column)..].starts_with(rest), "{line}:{column}");
        }
        assert_eq!(offset(text, 4, 1), text.len());
        assert_eq!(offset(text, 3, 9), text.len());
    }
}
