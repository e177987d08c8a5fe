//! What the columns of JSON lines are: an object a line, whose names are the columns.
//!
//! No number is rounded: whole numbers that no column of numbers holds exactly are a text, as they are in csv, and so
//! are all values of a column that has texts and something else. What is in lists and objects is left to Arrow.

use std::{
    collections::HashMap,
    fmt::{self, Formatter},
    io::{BufRead, Cursor, Read},
    path::{Path, PathBuf},
};

use arrow::datatypes::{DataType, Field, Schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    TableError,
    infer::{Kind, is_exact, opened},
    plain::LINE_BYTES_MAX,
    read::{Looked, Reader},
};

/// A number of at least so many digits may be one that was rounded when it was read.
const DIGITS: usize = 16;

/// What a value is.
#[derive(Clone, Copy)]
enum Value {
    Nothing,
    Bool,
    Whole(i64),
    /// A float, or a whole number that only one would hold.
    Number(f64),
    Text,
    /// A list or an object; whether some whole number in it might be rounded.
    Nested(bool),
}

struct Column {
    name: String,
    kind: Kind,
    /// Some value is no text.
    other: bool,
    nested: Option<Nested>,
}

#[derive(Clone, Copy)]
struct Nested {
    large: bool,
}

/// The columns of files with a JSON object a line.
///
/// # Errors
/// A file that is missing or holds something else.
pub fn look(files: &[PathBuf]) -> Result<Looked, TableError> {
    let mut columns: Vec<Column> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut is_plain = true;
    for file in files {
        for (number, line) in opened(file)?.lines().enumerate() {
            let line = line.map_err(|it| TableError(format!("{}: {it}", file.display())))?;
            if line.trim().is_empty() {
                is_plain = false;
                continue;
            }
            is_plain &= line.len() < LINE_BYTES_MAX;
            let Object(members) = serde_json::from_str(&line).map_err(|it| unread(file, number + 1, &it))?;
            for (name, value) in members {
                let place = *places.entry(name).or_insert_with_key(|name| {
                    columns.push(Column { name: name.clone(), kind: Kind::Nothing, other: false, nested: None });
                    columns.len() - 1
                });
                columns[place].take(value, &line);
            }
        }
    }
    let nested = match columns.iter().any(|it| it.nested.is_some()) {
        true => Some(by_arrow(files)?),
        false => None,
    };
    let fields = columns.iter().map(|it| it.field(nested.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let given_as_text = columns.iter().any(|it| it.nested.is_none() && it.kind == Kind::Text && it.other);
    let reader = match (given_as_text, is_plain && !fields.is_empty()) {
        (true, _) => Reader::Ours,
        (false, true) => Reader::Any,
        (false, false) => Reader::OfArrow,
    };
    Ok(Looked { schema: Schema::new(fields), reader })
}

fn unread(file: &Path, line: usize, error: &serde_json::Error) -> TableError {
    let why = error.to_string();
    let why = why.split(" at line ").next().unwrap_or_default();
    TableError(format!("{}, line {line}: no JSON object: {why}", file.display()))
}

/// As Arrow finds them, which knows lists and objects.
fn by_arrow(files: &[PathBuf]) -> Result<Schema, TableError> {
    let mut all: Box<dyn BufRead> = Box::new(Cursor::new([]));
    for file in files {
        // A last line may not have an end.
        all = Box::new(all.chain(opened(file)?).chain(Cursor::new(b"\n")));
    }
    Ok(arrow::json::reader::infer_json_schema(all, None)?.0)
}

impl Column {
    fn take(&mut self, value: Value, line: &str) {
        let kind = match value {
            Value::Nothing => return,
            Value::Nested(large) => {
                let before = self.nested.is_some_and(|it| it.large);
                self.nested = Some(Nested { large: large && has_long_number(line) || before });
                return;
            }
            Value::Text => Kind::Text,
            Value::Bool => Kind::Bool,
            Value::Whole(it) if is_exact(it) => Kind::Int,
            Value::Whole(_) => Kind::Large,
            Value::Number(it) if is_huge(it) && has_long_number(line) => Kind::Text,
            Value::Number(_) => Kind::Float,
        };
        self.other |= !matches!(value, Value::Text);
        self.kind = self.kind.and(kind);
    }

    fn field(&self, by_arrow: Option<&Schema>) -> Result<Field, TableError> {
        let Some(nested) = self.nested else {
            let kind = if self.kind == Kind::Nothing { DataType::Null } else { self.kind.data_type() };
            return Ok(Field::new(&self.name, kind, true));
        };
        let found = by_arrow.and_then(|it| it.field_with_name(&self.name).ok().cloned());
        let found = found.ok_or_else(|| TableError(format!("`{}` is of no kind", self.name)))?;
        if nested.large && found.data_type().to_string().contains("Float64") {
            return Err(TableError(format!(
                "`{}` holds whole numbers in lists or objects that would be rounded: write them as texts",
                self.name
            )));
        }
        Ok(found)
    }
}

/// Whether there are whole numbers beside it that no float holds.
fn is_huge(number: f64) -> bool {
    number.abs() >= (1_u64 << f64::MANTISSA_DIGITS) as f64
}

/// Whether a whole number may stand in a line that a float would round.
fn has_long_number(line: &str) -> bool {
    let mut digits = 0;
    let mut before = b' ';
    for byte in line.bytes() {
        match byte {
            // What follows a point is no whole number.
            b'0'..=b'9' if digits > 0 || before != b'.' => digits += 1,
            b'0'..=b'9' => continue,
            _ => {
                before = byte;
                digits = 0;
            }
        }
        if digits >= DIGITS {
            return true;
        }
    }
    false
}

/// The names in an object and what their values are, as they are written.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(it) = map.next_entry()? {
                    members.push(it);
                }
                Ok(Object(members))
            }
        }
        from.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
        from.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Bool)
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Whole(it))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or(Value::Number(it as f64), Value::Whole))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Value::Number(it))
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut large = false;
        while let Some(it) = items.next_element()? {
            large |= may_round(it);
        }
        Ok(Value::Nested(large))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut large = false;
        while let Some((_, it)) = map.next_entry::<String, Value>()? {
            large |= may_round(it);
        }
        Ok(Value::Nested(large))
    }
}

fn may_round(value: Value) -> bool {
    match value {
        Value::Whole(it) => !is_exact(it),
        Value::Number(it) => is_huge(it),
        Value::Nested(large) => large,
        Value::Nothing | Value::Bool | Value::Text => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::fs,
        exec::table::{read, show::cells},
        model::format::TableFormat,
    };

    /// Types of the columns, rows, and who may read them.
    type Told = (Vec<String>, Vec<Vec<Option<String>>>, Reader);

    /// What a file with these lines is to our own reader.
    fn read(lines: &str) -> Result<Told, TableError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, lines.as_bytes()).unwrap();
        let looked = look(std::slice::from_ref(&path))?;
        let types = looked.schema.fields().iter().map(|it| it.data_type().to_string()).collect();
        let rows = read::open(&[path], TableFormat::Jsonl)?;
        let rows = rows.flat_map(|it| cells(&it.unwrap(), usize::MAX, usize::MAX).unwrap()).collect();
        Ok((types, rows, looked.reader))
    }

    #[test]
    fn no_number_is_rounded() {
        for (values, kind, rows) in [
            ("1 -2", "Int64", "1 -2"),
            ("1 2.5", "Float64", "1.0 2.5"),
            ("9007199254740993 1", "Int64", "9007199254740993 1"),
            ("18446744073709551615 1", "Utf8", "18446744073709551615 1"),
            ("-123456789012345678901234567890 1", "Utf8", "-123456789012345678901234567890 1"),
            ("9007199254740993 2.5", "Utf8", "9007199254740993 2.5"),
            ("1 \"x\" true 2.50", "Utf8", "1 x true 2.50"),
            ("true false", "Boolean", "true false"),
        ] {
            let lines: String = values.split(' ').map(|it| format!("{{\"a\": {it}}}\n")).collect();
            let (types, found, _) = read(&lines).unwrap();
            let found: Vec<String> = found.into_iter().map(|it| it[0].clone().unwrap()).collect();
            assert_eq!((types[0].as_str(), found.join(" ").as_str()), (kind, rows), "{values}");
        }
        assert!(read("{\"a\": [18446744073709551615]}\n").unwrap_err().0.contains("would be rounded"));
        assert!(read("{\"a\": [9007199254740993], \"b\": {\"c\": [0.1234567890123456789]}}\n").is_ok());
    }

    #[test]
    fn who_reads_it_is_told() {
        for (lines, reader) in [
            ("{\"a\": 1}\n{\"a\": null, \"b\": \"x\"}", Reader::Any),
            ("{\"a\": 1}\n\n{\"a\": 2}\n", Reader::OfArrow),
            ("", Reader::OfArrow),
            ("{\"a\": 1}\n{\"a\": \"x\"}\n", Reader::Ours),
        ] {
            assert_eq!(read(lines).unwrap().2, reader, "{lines}");
        }
        let error = read("{\"a\": 1}\n[2]\n").unwrap_err();
        assert!(error.0.contains("a.jsonl, line 2: no JSON object"), "{error}");
    }

    #[test]
    fn columns_of_objects_are_in_the_order_in_which_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, b"{\"z\": 1, \"b\": null}\n\n{\"a\": true, \"b\": \"x\"}\n").unwrap();
        let schema = look(&[path]).unwrap().schema;
        assert_eq!(schema.fields().iter().map(|it| it.name().as_str()).collect::<Vec<_>>(), ["z", "b", "a"]);
    }
}
