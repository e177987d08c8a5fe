//! What the columns of csv are, which says nothing of types.
//!
//! Every row is looked at, so that none of them can turn out later not to fit. A column of csv is a number, a
//! truth, a date or a time only if all its values are; nothing between two commas is NULL; and numbers that
//! begin with a zero are names (`007`), not numbers.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::{
    base::fs,
    exec::table::{
        TableError, lines,
        plain::Watched,
        read::{Looked, Reader},
    },
    model::format::TableFormat,
};

/// What all values of a column are so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Nothing,
    Bool,
    Int,
    /// A whole number that no float holds exactly.
    Large,
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

    pub(super) fn and(self, other: Kind) -> Kind {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Nothing, it) | (it, Kind::Nothing) => it,
            (Kind::Int, Kind::Large) | (Kind::Large, Kind::Int) => Kind::Large,
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
            (Kind::Date, Kind::Time) | (Kind::Time, Kind::Date) => Kind::Time,
            _ => Kind::Text,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int | Kind::Large => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Date => DataType::Date32,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Nothing | Kind::Text => DataType::Utf8,
        }
    }
}

/// Whether a float holds it exactly.
pub(super) fn is_exact(whole: i64) -> bool {
    whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS
}

fn number(text: &str) -> Option<Kind> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(if is_exact(whole) { Kind::Int } else { Kind::Large });
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
pub fn csv(files: &[PathBuf]) -> Result<Looked, TableError> {
    let (kinds, is_plain) = csv_kinds(files)?;
    let is_plain = is_plain && kinds.iter().all(|it| !it.0.is_empty());
    let fields = kinds.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
    let reader = if is_plain { Reader::Any } else { Reader::OfArrow };
    Ok(Looked { schema: Schema::new(fields.collect::<Vec<_>>()), reader })
}

/// The columns of text files that do not say all of what they are, as other files of the same kind tell it; `None` if
/// they say it, or those do not tell either.
///
/// # Errors
/// As [`csv`] and [`lines::look`].
pub fn filled(
    files: &[PathBuf],
    others: &dyn Fn() -> Vec<PathBuf>,
    format: TableFormat,
) -> Result<Option<Schema>, TableError> {
    if format == TableFormat::Jsonl {
        // Without a line there is not even a name.
        let is_told = !lines::look(files)?.schema.fields().is_empty();
        return if is_told {
            Ok(None)
        } else {
            lines::look(&others()).map(|it| Some(it.schema).filter(|it| !it.fields().is_empty()))
        };
    }
    let (mut own, _) = csv_kinds(files)?;
    if own.iter().all(|it| it.1 != Kind::Nothing) {
        return Ok(None);
    }
    let (others, _) = csv_kinds(&others())?;
    let mut any = false;
    for (name, kind) in own.iter_mut().filter(|it| it.1 == Kind::Nothing) {
        if let Some((_, told)) = others.iter().find(|it| it.0 == *name).filter(|it| it.1 != Kind::Nothing) {
            (*kind, any) = (*told, true);
        }
    }
    let fields = own.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
    Ok(any.then(|| Schema::new(fields.collect::<Vec<_>>())))
}

/// What each column is, and whether every reader would read the files alike.
fn csv_kinds(files: &[PathBuf]) -> Result<(Vec<(String, Kind)>, bool), TableError> {
    let mut first: Option<(&Path, ::csv::StringRecord)> = None;
    let mut kinds: Vec<Kind> = Vec::new();
    let mut is_plain = true;
    for file in files {
        let odd = |it: ::csv::Error| TableError(format!("{}: is not csv: {it}", file.display()));
        let mut reader = ::csv::ReaderBuilder::new().from_reader(Watched::new(opened(file)?));
        let header = reader.headers().map_err(odd)?.clone();
        match &first {
            Some((other, names)) if *names != header => {
                let (other, file) = (other.display(), file.display());
                return Err(TableError(format!(
                    "its files do not have the same columns: {file} has others than {other}"
                )));
            }
            Some(_) => {}
            None => {
                kinds.resize(header.len(), Kind::Nothing);
                first = Some((file, header));
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
        is_plain &= reader.get_ref().is_plain();
    }
    let names = first.map(|it| it.1).filter(|it| !it.is_empty());
    let names = names.ok_or_else(|| TableError("a table has at least one column".to_owned()))?;
    Ok((names.iter().map(str::to_owned).zip(kinds).collect(), is_plain))
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
        let schema = csv(&[path])?.schema;
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
            ("9007199254740993\n1", "Int64"),
            ("9007199254740993\n1.5", "Utf8"),
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
    fn what_is_no_csv_is_told_with_its_line() {
        let error = of_csv("a,b\n1,2\n3\n").unwrap_err();
        assert!(error.0.contains("line: 3"), "{error}");
        assert_eq!(of_csv("").unwrap_err().0, "a table has at least one column");
    }
}
