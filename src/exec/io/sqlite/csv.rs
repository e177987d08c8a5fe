//! Rows as csv: how commands hand tables over, and how they are given them.
//!
//! The first line names the columns. A column is INT if every value is a whole number, REAL if every value
//! is a number, else TEXT; nothing between two commas is NULL. Numbers with leading zeros are names, not numbers.

use std::path::Path;

use ::csv::{ReaderBuilder, StringRecord, WriterBuilder};
use rusqlite::{Connection, params_from_iter, types::Value, types::ValueRef};

use super::table::{STAGED, quoted};
use crate::exec::io::IoError;

/// What all values of a column are so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Nothing,
    Int,
    Real,
    Text,
}

impl Kind {
    fn of(text: &str) -> Kind {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let led_by_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        let numeric = digits.starts_with(|it: char| it.is_ascii_digit()) && !led_by_zero;
        match text {
            "" => Kind::Nothing,
            _ if numeric && text.parse::<i64>().is_ok() => Kind::Int,
            _ if numeric && text.parse::<f64>().is_ok_and(f64::is_finite) => Kind::Real,
            _ => Kind::Text,
        }
    }

    fn value(self, text: &str) -> Value {
        match self {
            _ if text.is_empty() => Value::Null,
            Kind::Int => text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Integer),
            Kind::Real => text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Real),
            Kind::Nothing | Kind::Text => Value::Text(text.to_owned()),
        }
    }

    fn declared(self) -> &'static str {
        match self {
            Kind::Int => "INT",
            Kind::Real => "REAL",
            Kind::Nothing | Kind::Text => "TEXT",
        }
    }
}

/// Makes a database at `to` with the rows of the csv file `from` as its one table.
///
/// # Errors
/// A file that is missing or no csv, with its line.
pub fn import(from: &Path, to: &Path, shown: &str) -> Result<(), IoError> {
    let connection = Connection::open(to).map_err(|it| failed(shown, &it))?;
    connection.execute_batch("pragma journal_mode = off; pragma synchronous = off").map_err(|it| failed(shown, &it))?;
    read_into(&connection, &[from.to_owned()], &format!("main.{STAGED}"), shown)
}

/// Makes `table` of `connection` from csv files with the same columns.
///
/// # Errors
/// As [`import`].
pub fn read_into(
    connection: &Connection,
    files: &[std::path::PathBuf],
    table: &str,
    shown: &str,
) -> Result<(), IoError> {
    let mut names: Option<StringRecord> = None;
    let mut kinds: Vec<Kind> = Vec::new();
    each(files, shown, &mut |header, record| {
        let first = names.get_or_insert_with(|| header.clone());
        if first != header {
            return Err(IoError::Other {
                path: shown.to_owned(),
                cause: "its files do not have the same columns".to_owned(),
            });
        }
        kinds.resize(header.len(), Kind::Nothing);
        if let Some(record) = record {
            for (kind, text) in kinds.iter_mut().zip(record) {
                *kind = (*kind).max(Kind::of(text));
            }
        }
        Ok(())
    })?;
    let Some(names) = names.filter(|it| !it.is_empty()) else {
        return Err(IoError::Other { path: shown.to_owned(), cause: "a table has at least one column".to_owned() });
    };
    let columns: Vec<String> =
        names.iter().zip(&kinds).map(|(name, kind)| format!("{} {}", quoted(name), kind.declared())).collect();
    let places = vec!["?"; names.len()].join(", ");
    let wrong = |it: rusqlite::Error| failed(shown, &it);
    connection.execute_batch(&format!("create table {table} ({}); begin", columns.join(", "))).map_err(wrong)?;
    {
        let mut insert = connection.prepare(&format!("insert into {table} values ({places})")).map_err(wrong)?;
        each(files, shown, &mut |_, record| {
            let Some(record) = record else { return Ok(()) };
            let values = record.iter().zip(&kinds).map(|(text, kind)| kind.value(text));
            insert.execute(params_from_iter(values)).map(drop).map_err(wrong)
        })?;
    }
    connection.execute_batch("commit").map_err(wrong)
}

type Record<'a> = &'a mut dyn FnMut(&StringRecord, Option<&StringRecord>) -> Result<(), IoError>;

/// Hands over each record, after once none, so that a file without rows has its say.
fn each(files: &[std::path::PathBuf], shown: &str, take: Record<'_>) -> Result<(), IoError> {
    for file in files {
        let opened = crate::base::fs::open(file).map_err(|error| match error.is_not_found() {
            true => IoError::OutputMissing(shown.to_owned()),
            false => IoError::from(error),
        })?;
        let mut reader = ReaderBuilder::new().from_reader(std::io::BufReader::new(opened));
        let odd = |it: ::csv::Error| IoError::Other { path: shown.to_owned(), cause: format!("is not csv: {it}") };
        let header = reader.headers().map_err(odd)?.clone();
        take(&header, None)?;
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(odd)? {
            take(&header, Some(&record))?;
        }
    }
    Ok(())
}

/// The rows of a table, in the order in which they were stored.
///
/// # Errors
/// What the database says.
pub fn export(connection: &Connection, table: &str) -> rusqlite::Result<Vec<u8>> {
    let mut statement = connection.prepare(&format!("select * from main.{} order by rowid", quoted(table)))?;
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    let memory = "memory takes everything";
    writer.write_record(statement.column_names()).expect(memory);
    let count = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for index in 0..count {
            let field = match row.get_ref(index)? {
                ValueRef::Null => Vec::new(),
                ValueRef::Integer(it) => it.to_string().into_bytes(),
                // `4.0`, not `4`: read again it is the same kind of number.
                ValueRef::Real(it) => format!("{it:?}").into_bytes(),
                ValueRef::Text(it) | ValueRef::Blob(it) => it.to_vec(),
            };
            writer.write_field(field).expect(memory);
        }
        writer.write_record(None::<&[u8]>).expect(memory);
    }
    Ok(writer.into_inner().expect(memory))
}

fn failed(shown: &str, error: &rusqlite::Error) -> IoError {
    IoError::Other { path: shown.to_owned(), cause: error.to_string() }
}
