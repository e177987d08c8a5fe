//! Tables of a Postgres database as Arrow, streamed by COPY in its binary form.
//!
//! Integers, floats, booleans, texts, byte strings, dates, times and timestamps are what they are; an instant is
//! in UTC. A `numeric` has the scale that it is declared with, or, without one, the largest that is found in
//! it. What Arrow has no type for (uuid, json, enums) is text; arrays and others are refused.

use std::{io::Read, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    record_batch::RecordBatch,
};
use postgres::Client;

use super::{
    connect::words,
    table::{find, qualified, quoted},
};
use crate::exec::{
    io::{Target, fit},
    table::{
        Rows, TableError,
        digest::TableVersion,
        stream::{BATCH_ROWS, stream},
    },
};

pub(super) const DIGITS_MAX: u8 = 38;
/// Days from 1970 to 2000, where Postgres counts from.
pub(super) const DAYS: i32 = 10_957;
pub(super) const MICROSECONDS: i64 = 946_684_800_000_000;

impl std::convert::From<postgres::Error> for TableError {
    fn from(error: postgres::Error) -> TableError {
        TableError(words(&error))
    }
}

/// The rows of a table, in one look.
///
/// # Errors
/// A table that is not there, a column of a type that cannot be read.
pub fn read(client: Client, schema: &str, table: &str) -> Result<Rows, TableError> {
    read_where(client, schema, table, "true")
}

/// The same of the rows that fulfil a condition.
///
/// # Errors
/// As [`read`].
pub fn read_where(mut client: Client, schema: &str, table: &str, condition: &str) -> Result<Rows, TableError> {
    client.batch_execute("begin transaction isolation level repeatable read read only")?;
    let (found, copy) = asked(&mut client, schema, table, condition)?;
    let of_thread = Arc::clone(&found);
    Ok(stream(found, move |to| send(&mut client, &copy, &of_thread, &mut |it| to.put(it))))
}

/// The identity of the rows as a transaction sees them that is on.
///
/// # Errors
/// As [`read`].
pub fn version_within(
    client: &mut Client,
    schema: &str,
    table: &str,
    target: &Target,
) -> Result<TableVersion, TableError> {
    let (found, copy) = asked(client, schema, table, &target.condition())?;
    target.version_of_sent(&found, |put| send(client, &copy, &found, put))
}

/// What the columns hold, and how the rows are asked for.
fn asked(client: &mut Client, schema: &str, table: &str, condition: &str) -> Result<(SchemaRef, String), TableError> {
    let columns = columns(client, schema, table, condition)?;
    let fields: Vec<Field> = columns.iter().map(|it| Field::new(&it.name, it.data_type.clone(), true)).collect();
    let list: Vec<&str> = columns.iter().map(|it| it.expression.as_str()).collect();
    let (list, from) = (list.join(", "), qualified(schema, table));
    let copy = format!("copy (select {list} from {from} where {condition}) to stdout (format binary)");
    Ok((Arc::new(Schema::new(fields)), copy))
}

/// The columns of a table, and what they are here.
///
/// # Errors
/// As [`read`].
pub fn kinds(client: &mut Client, schema: &str, table: &str) -> Result<Vec<fit::Column>, TableError> {
    let found = columns(client, schema, table, "true")?;
    // A number without a declared scale has room for all of them, whatever is there now.
    let text = "select attname::text from pg_catalog.pg_attribute \
                where attrelid = $1::text::regclass and attnum > 0 and atttypid = 1700 and atttypmod < 4";
    let rows = client.query(text, &[&qualified(schema, table)])?;
    let free: Vec<String> = rows.iter().map(|it| it.get(0)).collect();
    let of = |it: Column| {
        let data_type = if free.contains(&it.name) { DataType::Decimal256(76, 0) } else { it.data_type };
        fit::Column { name: it.name, data_type }
    };
    Ok(found.into_iter().map(of).collect())
}

struct Column {
    name: String,
    data_type: DataType,
    /// What is selected for it.
    expression: String,
}

fn columns(client: &mut Client, schema: &str, table: &str, condition: &str) -> Result<Vec<Column>, TableError> {
    let found = find(client, schema, table)?.ok_or_else(|| TableError(format!("there is no table {table}")))?;
    // Of a domain, what it is made of.
    let rows = client.query(
        "select a.attname::text, b.oid, case when t.typtype = 'd' then t.typtypmod else a.atttypmod end, \
         b.typtype::text, pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a \
         join pg_catalog.pg_type t on t.oid = a.atttypid \
         join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end \
         where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum",
        &[&found.oid],
    )?;
    if rows.is_empty() {
        return Err(TableError("a table has at least one column".to_owned()));
    }
    let mut columns = Vec::with_capacity(rows.len());
    for row in rows {
        let (name, oid, modifier, kind): (String, u32, i32, String) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let plain = quoted(&name);
        let (data_type, expression) = match oid {
            16 => (DataType::Boolean, plain),
            20 => (DataType::Int64, plain),
            21 | 23 => (DataType::Int64, format!("{plain}::bigint")),
            700 | 701 => (DataType::Float64, format!("{plain}::double precision")),
            17 => (DataType::Binary, plain),
            1082 => (DataType::Date32, plain),
            1083 => (DataType::Time64(TimeUnit::Microsecond), plain),
            1114 => (DataType::Timestamp(TimeUnit::Microsecond, None), plain),
            1184 => (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), plain),
            1700 => {
                (decimal(client, (&qualified(schema, table), condition), &name, modifier)?, format!("{plain}::text"))
            }
            25 | 1043 | 1042 | 19 | 114 | 3802 | 2950 => (DataType::Utf8, format!("{plain}::text")),
            _ if kind == "e" => (DataType::Utf8, format!("{plain}::text")),
            _ => {
                let told = row.get::<_, String>(4);
                return Err(TableError(format!(
                    "column `{name}` is of type {told}, which cannot be read; cast it to text"
                )));
            }
        };
        columns.push(Column { name, data_type, expression });
    }
    Ok(columns)
}

/// With the scale that was declared; without one, the largest that is there.
fn decimal(
    client: &mut Client,
    (table, condition): (&str, &str),
    name: &str,
    modifier: i32,
) -> Result<DataType, TableError> {
    let scale = if modifier >= 4 {
        // Eleven bits with a sign, after the precision.
        (((modifier - 4) & 0x7ff) ^ 1024) - 1024
    } else {
        let largest = format!("select max(pg_catalog.scale({})) from {table} where {condition}", quoted(name));
        let row = client.query_one(&largest, &[])?;
        row.get::<_, Option<i32>>(0).unwrap_or(0)
    };
    let scale = i8::try_from(scale.max(0)).ok().filter(|it| *it <= DIGITS_MAX as i8);
    let scale =
        scale.ok_or_else(|| TableError(format!("column `{name}` has numbers of more than 38 digits; round them")))?;
    Ok(DataType::Decimal128(DIGITS_MAX, scale))
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, u32),
}

impl Builder {
    fn of(data_type: &DataType) -> Builder {
        match data_type {
            DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
            DataType::Int64 => Builder::Int(Int64Builder::new()),
            DataType::Float64 => Builder::Float(Float64Builder::new()),
            DataType::Binary => Builder::Bytes(BinaryBuilder::new()),
            DataType::Date32 => Builder::Date(Date32Builder::new()),
            DataType::Time64(_) => Builder::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(..) => {
                Builder::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()))
            }
            DataType::Decimal128(_, scale) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Builder::Decimal(builder, u32::try_from(*scale).unwrap_or(0))
            }
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    fn add(&mut self, value: Option<&[u8]>) -> Result<(), TableError> {
        let Some(value) = value else {
            match self {
                Builder::Bool(it) => it.append_null(),
                Builder::Int(it) => it.append_null(),
                Builder::Float(it) => it.append_null(),
                Builder::Text(it) => it.append_null(),
                Builder::Bytes(it) => it.append_null(),
                Builder::Date(it) => it.append_null(),
                Builder::Time(it) => it.append_null(),
                Builder::Timestamp(it) => it.append_null(),
                Builder::Decimal(it, _) => it.append_null(),
            }
            return Ok(());
        };
        match self {
            Builder::Bool(it) => it.append_value(value == [1]),
            Builder::Int(it) => it.append_value(i64::from_be_bytes(exact(value)?)),
            Builder::Float(it) => it.append_value(f64::from_be_bytes(exact(value)?)),
            Builder::Text(it) => it.append_value(text(value)?),
            Builder::Bytes(it) => it.append_value(value),
            Builder::Date(it) => match i32::from_be_bytes(exact(value)?) {
                i32::MIN | i32::MAX => return Err(infinite("date")),
                days => it.append_value(days.checked_add(DAYS).ok_or_else(malformed)?),
            },
            Builder::Time(it) => it.append_value(i64::from_be_bytes(exact(value)?)),
            Builder::Timestamp(it) => match i64::from_be_bytes(exact(value)?) {
                i64::MIN | i64::MAX => return Err(infinite("timestamp")),
                micros => it.append_value(micros.checked_add(MICROSECONDS).ok_or_else(malformed)?),
            },
            Builder::Decimal(it, scale) => it.append_value(number(text(value)?, *scale)?),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Bool(it) => Arc::new(it.finish()),
            Builder::Int(it) => Arc::new(it.finish()),
            Builder::Float(it) => Arc::new(it.finish()),
            Builder::Text(it) => Arc::new(it.finish()),
            Builder::Bytes(it) => Arc::new(it.finish()),
            Builder::Date(it) => Arc::new(it.finish()),
            Builder::Time(it) => Arc::new(it.finish()),
            Builder::Timestamp(it) => Arc::new(it.finish()),
            Builder::Decimal(it, _) => Arc::new(it.finish()),
        }
    }
}

fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], TableError> {
    value.try_into().map_err(|_| malformed())
}

fn text(value: &[u8]) -> Result<&str, TableError> {
    std::str::from_utf8(value).map_err(|_| TableError("a text is not UTF-8".to_owned()))
}

fn malformed() -> TableError {
    TableError("the server sent what is no row of this table".to_owned())
}

fn infinite(what: &str) -> TableError {
    TableError(format!("an infinite {what} cannot be read; use null"))
}

/// A number as Postgres writes it, in units of the last of so many digits after the point.
fn number(text: &str, scale: u32) -> Result<i128, TableError> {
    let odd = || TableError(format!("the number {text} cannot be read as a decimal of 38 digits"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = usize::try_from(scale).ok().and_then(|it| it.checked_sub(fraction.len())).ok_or_else(odd)?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    let number: i128 = digits.parse().map_err(|_| odd())?;
    if number.unsigned_abs() >= 10u128.pow(u32::from(DIGITS_MAX)) { Err(odd()) } else { Ok(number) }
}

fn send(
    client: &mut Client,
    copy: &str,
    schema: &SchemaRef,
    put: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), TableError> {
    let mut from = client.copy_out(copy)?;
    let mut exactly = |bytes: &mut [u8]| from.read_exact(bytes).map_err(|it| of_stream(&it));
    // A signature, flags, and the length of what nobody uses.
    exactly(&mut [0; 19])?;
    let mut builders: Vec<Builder> = schema.fields().iter().map(|it| Builder::of(it.data_type())).collect();
    let (mut count, mut value) = (0, Vec::new());
    loop {
        let mut fields = [0; 2];
        exactly(&mut fields)?;
        let fields = i16::from_be_bytes(fields);
        if count == BATCH_ROWS || fields == -1 && count > 0 {
            let batch = RecordBatch::try_new(Arc::clone(schema), builders.iter_mut().map(Builder::finish).collect())?;
            count = 0;
            if !put(batch) {
                return Ok(());
            }
        }
        if fields == -1 {
            return Ok(());
        }
        if usize::try_from(fields) != Ok(builders.len()) {
            return Err(malformed());
        }
        for builder in &mut builders {
            let mut length = [0; 4];
            exactly(&mut length)?;
            match i32::from_be_bytes(length) {
                -1 => builder.add(None)?,
                length => {
                    value.resize(usize::try_from(length).map_err(|_| malformed())?, 0);
                    exactly(&mut value)?;
                    builder.add(Some(&value))?;
                }
            }
        }
        count += 1;
    }
}

/// What the server said, if it was the server.
pub fn of_stream(error: &std::io::Error) -> TableError {
    let told = error.get_ref().and_then(|it| it.downcast_ref::<postgres::Error>());
    TableError(told.map_or_else(|| error.to_string(), words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(number("12.30", 2), Ok(1230));
        assert_eq!(number("-0.5", 3), Ok(-500));
        assert_eq!(number("7", 0), Ok(7));
        assert_eq!(number(&"9".repeat(38), 0), Ok(10i128.pow(38) - 1));
        for odd in ["NaN", "Infinity", "1.234", &"9".repeat(39)] {
            assert!(number(odd, 2).is_err(), "{odd}");
        }
    }
}
