//! What a query says that its engine does not know, found without any of its tables: words of another dialect.
//!
//! Asks the engines that are built in, and no others: what is installed in a server is not known here. Whatever an
//! engine may know is let pass; it tells when the query is run.

use std::collections::HashMap;

use ::datafusion::{error::DataFusionError, prelude::SessionContext};
use rusqlite::Connection;

use super::{Failed, datafusion};
use crate::{
    exec::check,
    model::sql::{
        Dialect,
        words::{Use, Word, words, written_here},
    },
};

/// `value::type`, where that is not known.
const CAST: &str = "::";

/// Engines that are asked, opened when they first are.
#[derive(Default)]
pub struct Engines {
    datafusion: Option<SessionContext>,
    sqlite: Option<Connection>,
    /// What was said of a question that may come again.
    told: HashMap<(Dialect, Use, String), Option<String>>,
}

impl Engines {
    /// As they are asked by checks, which may call more.
    pub fn of_checks() -> Engines {
        Engines { sqlite: check::sqlite::bare().ok(), ..Engines::default() }
    }

    /// What is wrong with a query whatever its tables are. Nothing, of an engine that cannot be asked.
    pub fn mistakes(&mut self, sql: &str, dialect: Dialect) -> Vec<Failed> {
        let mut found: Vec<Failed> = match dialect {
            Dialect::Sqlite => self.syntax_of_sqlite(sql).into_iter().collect(),
            Dialect::DataFusion => Vec::new(),
            _ => return Vec::new(),
        };
        for word in words(sql, dialect) {
            let Some(message) = self.told(&word, dialect) else { continue };
            let help = help(&word.text, dialect);
            found.push(Failed { message, at: Some(word.at.start), help });
        }
        found.sort_by_key(|it| it.at);
        found
    }

    fn told(&mut self, word: &Word, dialect: Dialect) -> Option<String> {
        let asked = (dialect, word.is, word.text.clone());
        if let Some(told) = self.told.get(&asked) {
            return told.clone();
        }
        let told = match dialect {
            Dialect::Sqlite => told_by_sqlite(self.sqlite()?, word),
            _ => told_by_datafusion(self.datafusion.get_or_insert_with(datafusion::bare), word),
        };
        self.told.insert(asked, told.clone());
        told
    }

    fn sqlite(&mut self) -> Option<&Connection> {
        if self.sqlite.is_none() {
            self.sqlite = Connection::open_in_memory().ok();
        }
        self.sqlite.as_ref()
    }

    /// A text is read to its end before any name in it is looked up.
    fn syntax_of_sqlite(&mut self, sql: &str) -> Option<Failed> {
        let failed = Failed::of_sqlite(self.sqlite()?.prepare(sql).err()?, 0);
        let of_syntax = ["near \"", "unrecognized token", "incomplete input"];
        let is_syntax = of_syntax.iter().any(|it| failed.message.starts_with(it));
        is_syntax.then(|| suggesting(failed, sql, Dialect::Sqlite))
    }
}

/// With how the word that the engine did not take is written there, if it is one of another engine.
pub fn suggesting(failed: Failed, sql: &str, dialect: Dialect) -> Failed {
    let rest = failed.at.and_then(|it| sql.get(it..)).unwrap_or_default();
    let word = if rest.starts_with(CAST) { CAST } else { first_word(rest) };
    // A column may be called as a function of another engine is.
    let is_column = failed.message.contains("column") && !rest[word.len()..].trim_start().starts_with('(');
    let is_meant = word == CAST || failed.message.to_lowercase().contains(&word.to_lowercase()) && !is_column;
    match help(word, dialect).filter(|_| is_meant) {
        Some(help) => Failed { help: Some(help), ..failed },
        None => failed,
    }
}

/// How it would be written, for somebody who brought it from another engine.
fn help(word: &str, dialect: Dialect) -> Option<String> {
    let here = written_here(word, dialect)?;
    Some(format!("in {} it is written {here}", shown(dialect)))
}

fn shown(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::DataFusion => "queries over files",
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "Postgres",
        Dialect::DuckDb => "DuckDB",
        Dialect::Snowflake => "Snowflake",
        Dialect::BigQuery => "BigQuery",
        Dialect::Ansi => "SQL",
    }
}

pub fn first_word(text: &str) -> &str {
    let end = text.find(|it: char| !(it.is_alphanumeric() || it == '_')).unwrap_or(text.len());
    &text[..end]
}

/// Called with nothing, a function that is known complains of what it is called with.
fn told_by_sqlite(connection: &Connection, word: &Word) -> Option<String> {
    let question = match word.is {
        Use::Function | Use::WindowFunction => format!("select {}()", word.text),
        // Every name is a type, and functions in FROM may be of an extension.
        Use::TableFunction | Use::Type => return None,
    };
    let told = Failed::of_sqlite(connection.prepare(&question).err()?, 0).message;
    told.starts_with("no such function").then(|| format!("there is no function `{}`", word.text))
}

fn told_by_datafusion(context: &SessionContext, word: &Word) -> Option<String> {
    let text = &word.text;
    let (question, unknown) = match word.is {
        Use::Function => (format!("select {text}()"), "Invalid function"),
        Use::WindowFunction => (format!("select {text}() over ()"), "Invalid function"),
        Use::TableFunction => (format!("select * from {text}()"), "table function"),
        Use::Type => (format!("select cast(null as {text})"), "Unsupported SQL type"),
    };
    let planned = futures::executor::block_on(context.state().create_logical_plan(&question));
    let error = planned.err()?;
    let told = match error.find_root() {
        DataFusionError::Plan(it) | DataFusionError::NotImplemented(it) => it,
        _ => return None,
    };
    let is_unknown = told.starts_with(unknown) && (word.is != Use::TableFunction || told.ends_with("not found"));
    let kind = if word.is == Use::Type { "type" } else { "function" };
    is_unknown.then(|| format!("there is no {kind} `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sql::words::all_written_here;

    fn told(sql: &str, dialect: Dialect) -> Vec<String> {
        let one = |it: Failed| {
            let at = it.at.map_or(String::new(), |at| first_word(&sql[at..]).to_owned());
            format!("{at}: {} ({})", it.message, it.help.unwrap_or_default())
        };
        Engines::default().mistakes(sql, dialect).into_iter().map(one).collect()
    }

    #[test]
    fn what_the_embedded_engine_does_not_know_is_told() {
        let sql = "select strftime('%Y', day), x::jsonb, y::numeric(9, 2), lower(z), count(*) filter (where x > 1),\n\
                   row_number() over (order by x), frobnicate(x) over (), unnest(list), own.made(x), \"Lower\"(z)\n\
                   from t, generate_series(1, 3) s, read_csv('x')";
        assert_eq!(
            told(sql, Dialect::DataFusion),
            [
                "strftime: there is no function `strftime` (in queries over files it is written to_char(moment, '%Y-%m-%d'))",
                "jsonb: there is no type `JSONB` (in queries over files it is written cast(value as text))",
                "frobnicate: there is no function `frobnicate` ()",
                ": there is no function `\"Lower\"` ()",
                "read_csv: there is no function `read_csv` ()",
            ]
        );
    }

    #[test]
    fn what_sqlite_does_not_know_is_told() {
        assert_eq!(
            told("select to_char(day, 'YYYY'), lower(x), sum(y) over (), max(1, 2) from t", Dialect::Sqlite),
            ["to_char: there is no function `to_char` (in SQLite it is written strftime('%Y-%m-%d', moment))"]
        );
        assert_eq!(
            told("select amount::numeric from t", Dialect::Sqlite),
            [": unrecognized token: \":\" (in SQLite it is written cast(value as text))"]
        );
        assert_eq!(told("select a from t where b ilike 'x'", Dialect::Sqlite).len(), 1);
        assert!(told("select * from t join u using (k)", Dialect::Sqlite).is_empty());
    }

    #[test]
    fn what_is_known_is_never_refused() {
        let (context, sqlite) = (datafusion::bare(), Connection::open_in_memory().unwrap());
        let state = context.state();
        let plain = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
        let plain = plain.chain(state.higher_order_functions().keys()).map(|it| format!("{it}(x)"));
        let windows = state.window_functions().keys().map(|it| format!("{it}(x) over ()"));
        let special =
            ["extract(year from x)", "position('a' in x)", "ceil(x)", "unnest(x)", "map('a', 1)", "grouping(x)"];
        let special = special.into_iter().map(str::to_owned);
        for call in plain.chain(windows).chain(special) {
            assert_eq!(told(&format!("select {call} from t"), Dialect::DataFusion), [""; 0], "{call}");
        }
        for table in state.table_functions().keys() {
            assert_eq!(told(&format!("select * from {table}(1)"), Dialect::DataFusion), [""; 0], "{table}");
        }
        let mut of_sqlite = sqlite.prepare("select distinct name from pragma_function_list").unwrap();
        let names = of_sqlite.query_map([], |it| it.get::<_, String>(0)).unwrap().map(Result::unwrap);
        for name in names.filter(|it| it.chars().all(|it| it.is_alphanumeric() || it == '_')) {
            assert_eq!(told(&format!("select \"{name}\"(x) from t"), Dialect::Sqlite), [""; 0], "{name}");
        }
    }

    #[test]
    fn what_is_suggested_is_known() {
        for dialect in [Dialect::DataFusion, Dialect::Sqlite] {
            for here in all_written_here(dialect).filter(|it| !it.contains([',', ' ']) || it.ends_with(')')) {
                let here = here.replace(" or ", ", ");
                assert_eq!(told(&format!("select {here} from t"), dialect), [""; 0], "{here}");
            }
        }
    }
}
