//! Arrow into a Postgres table, streamed by COPY in its binary form.

use std::io::Write as _;

use arrow::datatypes::{DataType, TimeUnit};
use postgres::GenericClient;

use super::{
    rows::of_stream,
    table::quoted,
    values::{Values, plain},
    version,
};
use crate::exec::table::{Rows, TableError, digest::TableDigest};

const NAME_BYTES_MAX: usize = 63;
/// With which it begins; no flags, and nothing more before the rows.
const SIGNATURE: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Makes `table`, as it is written in a statement, of `rows`; `create` is how that begins.
///
/// # Errors
/// Rows that cannot be read, what Postgres has no type for, names that are there already.
pub fn insert(client: &mut impl GenericClient, create: &str, table: &str, rows: Rows) -> Result<(), TableError> {
    send(client, create, table, rows, None)
}

/// The same, with the identity of what is there then written beside it, if that is known without reading it again. To
/// be called in a transaction.
///
/// # Errors
/// As [`insert`].
pub fn insert_noted(client: &mut impl GenericClient, table: &str, rows: Rows) -> Result<(), TableError> {
    let schema = rows.schema();
    if !schema.fields().iter().all(|it| is_kept(it.data_type())) {
        return insert(client, "create table", table, rows);
    }
    let mut digest = TableDigest::new(&schema)?;
    send(client, "create table", table, rows, Some(&mut digest))?;
    Ok(client.batch_execute(&version::note(table, &digest.finish()))?)
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
    let mut to = client.copy_in(&format!("copy {table} from stdin (format binary)"))?;
    let mut bytes = SIGNATURE.to_vec();
    let fields = u16::try_from(columns.len()).map_err(TableError::new)?.to_be_bytes();
    for batch in rows {
        let batch = batch?;
        if let Some(digest) = &mut digest {
            digest.add(&batch)?;
        }
        let columns = batch.columns().iter().map(plain).collect::<Result<Vec<_>, _>>()?;
        let columns = columns.iter().map(Values::of).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            bytes.extend(fields);
            columns.iter().try_for_each(|it| it.write(row, &mut bytes))?;
        }
        to.write_all(&bytes).map_err(|it| of_stream(&it))?;
        bytes.clear();
    }
    bytes.extend((-1i16).to_be_bytes());
    to.write_all(&bytes).map_err(|it| of_stream(&it))?;
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
