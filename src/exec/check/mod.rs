//! Asking the rows of one asset whether they are as they should be: in a process of its own, told in a
//! file what to ask, and answering in a file.
//!
//! Knows what is asked and how it is judged. How an engine is asked is behind [`Examiner`].

pub mod adbc;
pub mod datafusion;
pub mod postgres;
pub mod sqlite;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    base::{fs, suggest},
    exec::query::{Failed, Input, foreign::suggesting, postgres::Connection},
    model::{
        check::{
            Finding, Rule, Sample, Share,
            judge::{self, many},
            sql::{self, Subject},
        },
        project::Home,
        sql::Dialect,
    },
};

/// What a worker is told to do; followed by a [`Request`].
pub const SUBCOMMAND: &str = "__check";
/// Longer values are cut: rows are shown to tell which they are.
const CELL_CHARACTERS_MAX: usize = 200;

/// Everything that is needed to check one asset.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    pub engine: Engine,
    /// What the asset is called in the checks; one of `inputs`.
    pub table: String,
    pub inputs: Vec<Input>,
    pub checks: Vec<Asked>,
    /// Where the [`Answer`] goes.
    pub answer: PathBuf,
    pub root: PathBuf,
}

/// Who is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The embedded engine, with a folder for what does not fit into memory.
    DataFusion { spill: PathBuf },
    /// The database whose published tables are read, if it is there.
    Sqlite { database: PathBuf },
    /// The database whose tables are read.
    Postgres { connection: Connection },
    /// One that this very process has open: see [`adbc::INSIDE`].
    Adbc { database: String },
}

/// One check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub name: String,
    pub rule: Rule,
    pub filter: Option<String>,
    pub threshold: Share,
    /// How many wrong rows are wanted.
    pub sample: usize,
    /// The number of the version published before, if it is known.
    pub last: Option<f64>,
    /// Texts of its SQL that stand in files of the project.
    pub homes: Vec<Home>,
}

/// What came of each check of a [`Request`], in the same order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub findings: Vec<Finding>,
}

/// An engine that can be asked about the tables of a request by their names.
pub trait Examiner {
    fn dialect(&self) -> Dialect;

    /// What a query gives.
    ///
    /// # Errors
    /// What the engine says of the query.
    fn rows(&self, sql: &str, limit: usize) -> Result<Found, Failed>;

    /// The names of a table's columns and their types, as the engine spells them.
    ///
    /// # Errors
    /// A table that is not there.
    fn columns(&self, table: &str) -> Result<Vec<(String, String)>, Failed> {
        self.rows(&sql::columns_of(table, self.dialect()), 0).map(|it| it.columns)
    }
}

/// Columns, the first rows, and how many there are in all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Names and types, the latter as the engine spells them; empty if it has none.
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Option<String>>>,
    pub count: u64,
}

/// A query that could not be asked, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub sql: String,
    pub failed: Failed,
}

/// Reads what is asked.
///
/// # Errors
/// A text that is something else.
pub fn request(text: &[u8]) -> Result<Request, Failed> {
    serde_json::from_slice(text).map_err(Failed::plain)
}

/// Writes what was found.
///
/// # Errors
/// A place that cannot be written to.
pub fn answer(request: &Request, findings: Vec<Finding>) -> Result<(), Failed> {
    let bytes = serde_json::to_vec(&Answer { findings }).map_err(Failed::plain)?;
    fs::write_atomic(&request.answer, &bytes).map_err(Failed::plain)
}

/// Asks everything, whatever comes of the first ones.
///
/// # Errors
/// A table that is not there.
pub fn examine(
    request: &Request,
    examiner: &dyn Examiner,
    now: Timestamp,
) -> Result<Vec<(Finding, Option<Trouble>)>, Failed> {
    let columns = examiner.columns(&request.table)?;
    let names: Vec<String> = columns.iter().map(|it| it.0.clone()).collect();
    let one = |asked: &Asked| {
        let mut asked = asked.clone();
        if let Err(why) = spell(&mut asked.rule, &request.table, &names, examiner) {
            return (failure(why), None);
        }
        let subject = Subject { table: &request.table, columns: &names, filter: asked.filter.as_deref() };
        look(&asked, &subject, &columns, examiner, now)
    };
    Ok(request.checks.iter().map(one).collect())
}

fn look(
    asked: &Asked,
    subject: &Subject<'_>,
    columns: &[(String, String)],
    examiner: &dyn Examiner,
    now: Timestamp,
) -> (Finding, Option<Trouble>) {
    let looked = if matches!(asked.rule, Rule::Schema { .. }) {
        Ok(contract(asked, columns))
    } else if asked.rule.is_of_whole() {
        value(asked, subject, examiner, now)
    } else {
        rows(asked, subject, examiner)
    };
    looked.map_or_else(
        |it| {
            let failed = suggesting(it.failed, &it.sql, examiner.dialect());
            let help = failed.help.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
            let why = format!("it could not be looked at: {}{help}", failed.message);
            (failure(why), Some(Trouble { failed, ..it }))
        },
        |it| (it, None),
    )
}

fn failure(why: String) -> Finding {
    Finding { failure: Some(why), ..Finding::default() }
}

/// Columns are spelt as their table spells them, and those that are not there are told.
fn spell(rule: &mut Rule, table: &str, names: &[String], examiner: &dyn Examiner) -> Result<(), String> {
    for column in rule.columns_mut() {
        *column = found(column, table, names)?;
    }
    let Some(other) = rule.other().map(str::to_owned) else { return Ok(()) };
    let there = examiner.columns(&other).map_err(|it| format!("`{other}` could not be read: {}", it.message))?;
    let there: Vec<String> = there.into_iter().map(|it| it.0).collect();
    match rule {
        Rule::Relationships { field, .. } => *field = found(field, &other, &there)?,
        Rule::Compare { columns, .. } if columns.is_empty() => {
            for name in names {
                found(name, &other, &there)?;
            }
            if let Some(more) = there.iter().find(|it| found(it, table, names).is_err()) {
                return Err(format!("`{other}` has a column `{more}` that `{table}` has not; name those that count"));
            }
        }
        Rule::Compare { columns, .. } => {
            for name in columns {
                found(name, &other, &there)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The column as its table spells it.
fn found(column: &str, table: &str, names: &[String]) -> Result<String, String> {
    let exact = names.iter().find(|it| *it == column);
    let alike = || names.iter().filter(|it| it.eq_ignore_ascii_case(column));
    if let Some(name) = exact.or_else(|| alike().next().filter(|_| alike().count() == 1)) {
        return Ok(name.clone());
    }
    let hint = match suggest::nearest(column, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has `{}`", names.join("`, `")),
    };
    Err(format!("`{table}` has no column `{column}`; {hint}"))
}

fn ask(examiner: &dyn Examiner, sql: String, limit: usize) -> Result<Found, Trouble> {
    examiner.rows(&sql, limit).map_err(|failed| Trouble { sql, failed })
}

/// A rule of rows: the wrong ones are counted, and the first are shown.
fn rows(asked: &Asked, subject: &Subject<'_>, examiner: &dyn Examiner) -> Result<Finding, Trouble> {
    let dialect = examiner.dialect();
    let query = sql::failing_rows(&asked.rule, subject, dialect).expect("a rule of rows has a query of rows");
    let wrong = ask(examiner, query, asked.sample)?;
    let all = ask(examiner, sql::total(subject, dialect), 1)?;
    let total = single(&all).and_then(|it| it.parse().ok()).unwrap_or(0);
    let sample = (!wrong.rows.is_empty())
        .then(|| Sample { columns: wrong.columns.into_iter().map(|it| it.0).collect(), rows: wrong.rows });
    Ok(Finding {
        failure: judge::rows(&asked.rule, asked.threshold, wrong.count, total),
        failing: Some(wrong.count),
        total: Some(total),
        metric: None,
        sample,
    })
}

/// A rule of one value.
fn value(asked: &Asked, subject: &Subject<'_>, examiner: &dyn Examiner, now: Timestamp) -> Result<Finding, Trouble> {
    let query = sql::value(&asked.rule, subject, examiner.dialect()).expect("a rule of a value has a query of one");
    let found = ask(examiner, query, 1)?;
    let text = single(&found);
    if matches!(asked.rule, Rule::Freshness { .. }) {
        return Ok(Finding { failure: judge::age(&asked.rule, text, now), ..Finding::default() });
    }
    let number: Option<f64> = text.and_then(|it| it.parse().ok());
    let failure = match (text, number) {
        (Some(text), None) => Some(format!("{text} is no number")),
        // More rows than one: a value is made of all of them, and this is one of each.
        _ if found.count > 1 => Some(format!("there are {}, not one", many(found.count, "value"))),
        _ => judge::number(&asked.rule, number, asked.last),
    };
    Ok(Finding { failure, metric: number, ..Finding::default() })
}

fn contract(asked: &Asked, columns: &[(String, String)]) -> Finding {
    let mut sample = judge::contract(&asked.rule, columns);
    let failing = sample.rows.len() as u64;
    sample.rows.truncate(asked.sample);
    Finding {
        failure: (failing > 0).then(|| format!("{} not as agreed", many(failing, "column"))),
        failing: Some(failing),
        sample: (!sample.rows.is_empty()).then_some(sample),
        ..Finding::default()
    }
}

/// The one cell of a query with one value.
fn single(found: &Found) -> Option<&str> {
    found.rows.first()?.first()?.as_deref()
}
