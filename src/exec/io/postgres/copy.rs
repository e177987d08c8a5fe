//! Arrow into a Postgres table, streamed by COPY in its text form.

use std::{fmt::Write as _, io::Write as _, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use postgres::GenericClient;

use super::{rows::of_stream, table::quoted};
use crate::exec::table::{
    Rows, TableError,
    digest::{TableDigest, TableVersion},
};

const NAME_BYTES_MAX: usize = 63;

/// Makes `table`, as it is written in a statement, of `rows`; `create` is how that begins.
///
/// # Errors
/// Rows that cannot be read, what Postgres has no type for, names that are there already.
pub fn insert(client: &mut impl GenericClient, create: &str, table: &str, rows: Rows) -> Result<(), TableError> {
    send(client, create, table, rows, None)
}

/// The same; gives the identity of what is there then, if that is known without reading it again.
///
/// # Errors
/// As [`insert`].
pub fn insert_hashed(
    client: &mut impl GenericClient,
    table: &str,
    rows: Rows,
) -> Result<Option<TableVersion>, TableError> {
    let schema = rows.schema();
    if !schema.fields().iter().all(|it| is_kept(it.data_type())) {
        return send(client, "create table", table, rows, None).map(|()| None);
    }
    let mut digest = TableDigest::new(&schema)?;
    send(client, "create table", table, rows, Some(&mut digest))?;
    Ok(Some(digest.finish()))
}

fn send(
    client: &mut impl GenericClient,
    create: &str,
    table: &str,
    rows: Rows,
    mut digest: Option<&mut TableDigest>,
) -> Result<(), TableError> {
    let schema = rows.schema();
    if schema.fields().is_empty() {
        return Err(TableError("a table has at least one column".to_owned()));
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        if name.len() > NAME_BYTES_MAX {
            return Err(TableError(format!("Postgres would cut off the name of a column: {name}")));
        }
        let declared = declared(field.data_type()).ok_or_else(|| {
            TableError(format!("column `{name}` is of type {}, which is not kept in Postgres", field.data_type()))
        })?;
        columns.push(format!("{} {declared}", quoted(name)));
    }
    client.batch_execute(&format!("{create} {table} ({})", columns.join(", ")))?;
    let mut to = client.copy_in(&format!("copy {table} from stdin"))?;
    let mut text = String::new();
    for batch in rows {
        let batch = batch?;
        if let Some(digest) = &mut digest {
            digest.add(&batch)?;
        }
        let columns = batch.columns().iter().map(plain).collect::<Result<Vec<_>, _>>()?;
        let options = FormatOptions::default();
        let columns = columns.iter().map(|it| Values::of(it, &options)).collect::<Result<Vec<_>, _>>()?;
        text.clear();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                text.push_str(if index > 0 { "\t" } else { "" });
                column.write(row, &mut text)?;
            }
            text.push('\n');
        }
        to.write_all(text.as_bytes()).map_err(|it| of_stream(&it))?;
    }
    to.finish()?;
    Ok(())
}

/// Whether values of a type come back from Postgres as they were, and of the same kind.
fn is_kept(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::Float64 | DataType::Date32 => true,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => *scale >= 0,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            zone.as_ref().is_none_or(|it| ["UTC", "+00:00"].contains(&&**it))
        }
        it => it.is_integer(),
    }
}

fn declared(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Boolean => "boolean".to_owned(),
        it if it.is_integer() => "bigint".to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            format!("numeric({precision}, {scale})")
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::Dictionary(_, values) => return declared(values),
        _ => return None,
    })
}

/// The same values in one of the few forms that are written.
fn plain(array: &ArrayRef) -> Result<ArrayRef, TableError> {
    Ok(match array.data_type() {
        DataType::UInt64 => {
            let signed = cast(array, &DataType::Int64)?;
            if signed.null_count() > array.null_count() {
                return Err(TableError("an integer is beyond the 64 bits that Postgres has".to_owned()));
            }
            signed
        }
        DataType::Float16 | DataType::Float32 => cast(array, &DataType::Float64)?,
        DataType::Utf8 | DataType::LargeUtf8 => cast(array, &DataType::Utf8View)?,
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            cast(&cast(array, &DataType::Binary)?, &DataType::BinaryView)?
        }
        DataType::Date64 => cast(array, &DataType::Date32)?,
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            whole_microseconds(array)?;
            cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "+00:00".into())))?
        }
        DataType::Timestamp(unit, Some(_)) => cast(array, &DataType::Timestamp(*unit, Some("+00:00".into())))?,
        DataType::Time64(TimeUnit::Nanosecond) => {
            whole_microseconds(array)?;
            Arc::clone(array)
        }
        DataType::Dictionary(_, values) => return plain(&cast(array, values)?),
        _ => Arc::clone(array),
    })
}

/// Postgres would round silently.
fn whole_microseconds(array: &ArrayRef) -> Result<(), TableError> {
    let counts = cast(array, &DataType::Int64)?;
    let finer = counts.as_primitive::<Int64Type>().iter().flatten().any(|it| it % 1000 != 0);
    if finer { Err(TableError("a time is finer than the microseconds that Postgres has".to_owned())) } else { Ok(()) }
}

enum Values<'a> {
    Int(&'a ArrayRef),
    Float(&'a ArrayRef),
    Text(&'a ArrayRef),
    Bytes(&'a ArrayRef),
    Shown(&'a ArrayRef, ArrayFormatter<'a>),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef, options: &'a FormatOptions<'a>) -> Result<Values<'a>, TableError> {
        Ok(match array.data_type() {
            DataType::Int64 => Values::Int(array),
            DataType::Float64 => Values::Float(array),
            DataType::Utf8View => Values::Text(array),
            DataType::BinaryView => Values::Bytes(array),
            _ => Values::Shown(array, ArrayFormatter::try_new(array, options)?),
        })
    }

    fn write(&self, row: usize, out: &mut String) -> Result<(), TableError> {
        let (Values::Int(array)
        | Values::Float(array)
        | Values::Text(array)
        | Values::Bytes(array)
        | Values::Shown(array, _)) = self;
        // An array of nulls has no list of which are.
        if array.is_null(row) || *array.data_type() == DataType::Null {
            out.push_str("\\N");
            return Ok(());
        }
        match self {
            Values::Int(it) => write!(out, "{}", it.as_primitive::<Int64Type>().value(row)).map_err(TableError::new)?,
            Values::Float(it) => match it.as_primitive::<Float64Type>().value(row) {
                it if it.is_infinite() => out.push_str(if it > 0.0 { "Infinity" } else { "-Infinity" }),
                it => write!(out, "{it:?}").map_err(TableError::new)?,
            },
            Values::Text(it) => escaped(it.as_string_view().value(row), out),
            Values::Bytes(it) => {
                out.push_str("\\\\x");
                for byte in it.as_binary_view().value(row) {
                    write!(out, "{byte:02x}").map_err(TableError::new)?;
                }
            }
            Values::Shown(_, it) => it.value(row).write(out)?,
        }
        Ok(())
    }
}

fn escaped(text: &str, out: &mut String) {
    let mut rest = text;
    // What is escaped is one byte long, and no part of any other character.
    while let Some(at) = rest.bytes().position(|it| matches!(it, b'\\' | b'\n' | b'\r' | b'\t')) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\t",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}
