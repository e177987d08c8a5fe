//! What the columns of text files are: of csv, which says nothing of types, and of JSON lines.
//!
//! Every row is looked at, so that none of them can turn out later not to fit. A column of csv is a number, a
//! truth, a date or a time only if all its values are; nothing between two commas is NULL; and numbers that
//! begin with a zero are names (`007`), not numbers.

use std::{
    fmt::{self, Formatter},
    fs::File,
    io::{BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{base::fs, exec::table::TableError, model::format::TableFormat};

/// What all values of a column are so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Nothing,
    Bool,
    Int,
    Float,
    Date,
    Time,
    Instant,
    Text,
}

impl Kind {
    fn of(text: &str) -> Kind {
        let first = text.trim_start_matches('-').chars().next();
        match (text, first) {
            ("", _) => Kind::Nothing,
            ("true" | "false", _) => Kind::Bool,
            (_, Some('0'..='9')) => number(text).or_else(|| time(text)).unwrap_or(Kind::Text),
            _ => Kind::Text,
        }
    }

    fn and(self, other: Kind) -> Kind {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Nothing, it) | (it, Kind::Nothing) => it,
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
            (Kind::Date, Kind::Time) | (Kind::Time, Kind::Date) => Kind::Time,
            _ => Kind::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Date => DataType::Date32,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Nothing | Kind::Text => DataType::Utf8,
        }
    }
}

fn number(text: &str) -> Option<Kind> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
        return None;
    }
    if text.parse::<i64>().is_ok() {
        return Some(Kind::Int);
    }
    // Beyond what a float tells apart, an integer is a name.
    let whole = digits.bytes().all(|it| it.is_ascii_digit());
    (!whole && text.parse::<f64>().is_ok_and(f64::is_finite)).then_some(Kind::Float)
}

/// `2026-03-15`, with or without a time of day, with or without an offset.
fn time(text: &str) -> Option<Kind> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-';
    if !shaped {
        return None;
    }
    if bytes.len() == 10 {
        return text.parse::<jiff::civil::Date>().ok().map(|_| Kind::Date);
    }
    if !matches!(bytes[10], b'T' | b' ') || bytes.len() < 19 {
        return None;
    }
    if text.parse::<jiff::Timestamp>().is_ok() {
        return Some(Kind::Instant);
    }
    text.parse::<jiff::civil::DateTime>().ok().map(|_| Kind::Time)
}

/// The columns of csv files, whose first lines name them, all alike.
///
/// # Errors
/// A file that is missing or no csv, with its line; files that do not have the same columns.
pub fn csv(files: &[PathBuf]) -> Result<Schema, TableError> {
    let fields = csv_kinds(files)?.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns of text files that do not say all of what they are, as other files of the same kind tell it; `None` if
/// they say it, or those do not tell either.
///
/// # Errors
/// As [`csv`] and [`jsonl`].
pub fn filled(
    files: &[PathBuf],
    others: &dyn Fn() -> Vec<PathBuf>,
    format: TableFormat,
) -> Result<Option<Schema>, TableError> {
    if format == TableFormat::Jsonl {
        // Without a line there is not even a name.
        let is_told = !jsonl(files)?.fields().is_empty();
        return if is_told {
            Ok(None)
        } else {
            jsonl(&others()).map(|it| Some(it).filter(|it| !it.fields().is_empty()))
        };
    }
    let mut own = csv_kinds(files)?;
    if own.iter().all(|it| it.1 != Kind::Nothing) {
        return Ok(None);
    }
    let others = csv_kinds(&others())?;
    let mut any = false;
    for (name, kind) in own.iter_mut().filter(|it| it.1 == Kind::Nothing) {
        if let Some((_, told)) = others.iter().find(|it| it.0 == *name).filter(|it| it.1 != Kind::Nothing) {
            (*kind, any) = (*told, true);
        }
    }
    let fields = own.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
    Ok(any.then(|| Schema::new(fields.collect::<Vec<_>>())))
}

fn csv_kinds(files: &[PathBuf]) -> Result<Vec<(String, Kind)>, TableError> {
    let mut names: Option<::csv::StringRecord> = None;
    let mut kinds: Vec<Kind> = Vec::new();
    let odd = |it: ::csv::Error| TableError(format!("is not csv: {it}"));
    for file in files {
        let mut reader = ::csv::ReaderBuilder::new().from_reader(opened(file)?);
        let header = reader.headers().map_err(odd)?.clone();
        match &names {
            Some(first) if *first != header => {
                return Err(TableError("its files do not have the same columns".to_owned()));
            }
            Some(_) => {}
            None => {
                kinds.resize(header.len(), Kind::Nothing);
                names = Some(header);
            }
        }
        let mut record = ::csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(odd)? {
            for (kind, text) in kinds.iter_mut().zip(&record) {
                if *kind != Kind::Text {
                    *kind = kind.and(Kind::of(text));
                }
            }
        }
    }
    let names = names.filter(|it| !it.is_empty());
    let names = names.ok_or_else(|| TableError("a table has at least one column".to_owned()))?;
    Ok(names.iter().map(str::to_owned).zip(kinds).collect())
}

/// The columns of files with a JSON object a line.
///
/// # Errors
/// A file that is missing or holds something else.
pub fn jsonl(files: &[PathBuf]) -> Result<Schema, TableError> {
    let mut all: Box<dyn BufRead> = Box::new(Cursor::new([]));
    for file in files {
        // A last line may not have an end.
        all = Box::new(all.chain(opened(file)?).chain(Cursor::new(b"\n")));
    }
    let (schema, _) = arrow::json::reader::infer_json_schema(all, None)?;
    in_order(files, schema)
}

/// With its columns in the order in which their names are first read.
fn in_order(files: &[PathBuf], schema: Schema) -> Result<Schema, TableError> {
    let mut order: Vec<usize> = Vec::new();
    for file in files {
        for line in opened(file)?.lines() {
            if order.len() == schema.fields().len() {
                break;
            }
            let line = line.map_err(TableError::new)?;
            if line.trim().is_empty() {
                continue;
            }
            let Names(names) = serde_json::from_str(&line).map_err(TableError::new)?;
            for at in names.iter().filter_map(|it| schema.index_of(it).ok()) {
                if !order.contains(&at) {
                    order.push(at);
                }
            }
        }
    }
    Ok(schema.project(&order)?)
}

/// The names in an object, as they are written.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Names;

            fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        from.deserialize_map(Object)
    }
}

pub(super) fn opened(file: &Path) -> Result<BufReader<File>, TableError> {
    fs::open(file).map(BufReader::new).map_err(TableError::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_csv(text: &str) -> Result<Vec<String>, TableError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, text.as_bytes()).unwrap();
        let schema = csv(&[path])?;
        Ok(schema.fields().iter().map(|it| it.data_type().to_string()).collect())
    }

    #[test]
    fn a_column_is_what_all_its_values_are() {
        for (values, expected) in [
            ("1\n-2", "Int64"),
            ("1\n2.5", "Float64"),
            ("1\n", "Int64"),
            ("007\n8", "Utf8"),
            ("0.5\n0", "Float64"),
            ("9223372036854775808\n1", "Utf8"),
            ("true\nfalse", "Boolean"),
            ("true\n1", "Utf8"),
            ("2026-03-15\n2026-03-16", "Date32"),
            ("2026-13-15", "Utf8"),
            ("2026-03-15\n2026-03-15 10:00:00", "Timestamp(µs)"),
            ("2026-03-15T10:00:00Z", "Timestamp(µs, \"UTC\")"),
            ("1e400", "Utf8"),
            ("NaN", "Utf8"),
            ("x\n1", "Utf8"),
        ] {
            assert_eq!(of_csv(&format!("a\n{values}\n")).unwrap(), [expected], "{values:?}");
        }
        assert_eq!(of_csv("a,b\n1,x\n").unwrap(), ["Int64", "Utf8"]);
    }

    #[test]
    fn columns_of_objects_are_in_the_order_in_which_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, b"{\"z\": 1, \"b\": null}\n\n{\"a\": true, \"b\": \"x\"}\n").unwrap();
        let schema = jsonl(&[path]).unwrap();
        assert_eq!(schema.fields().iter().map(|it| it.name().as_str()).collect::<Vec<_>>(), ["z", "b", "a"]);
    }

    #[test]
    fn what_is_no_csv_is_told_with_its_line() {
        let error = of_csv("a,b\n1,2\n3\n").unwrap_err();
        assert!(error.0.contains("line: 3"), "{error}");
        assert_eq!(of_csv("").unwrap_err().0, "a table has at least one column");
    }
}
