//! Tables of a SQLite database as Arrow, and back.
//!
//! SQLite has integers, floats, texts and byte strings; a column is what all its values are. What it has no
//! type for (dates, times, decimals) is kept as text or number, and comes back as that.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryBuilder, Float64Builder, Int64Builder, LargeStringBuilder, StringBuilder},
    compute::cast,
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchIterator},
    util::display::{ArrayFormatter, FormatOptions},
};
use rusqlite::{
    Connection, OpenFlags, params_from_iter,
    types::{Value, ValueRef},
};

use super::table::{columns, is_view, quoted};
use crate::exec::{
    io::Target,
    table::{
        Rows, TableError,
        digest::TableVersion,
        stream::{BATCH_ROWS, stream},
    },
};

impl std::convert::From<rusqlite::Error> for TableError {
    fn from(error: rusqlite::Error) -> TableError {
        TableError::new(error)
    }
}

/// What becomes of a column whose values are of several types. Integers among floats are floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mixed {
    /// No other engine has such columns.
    Refused,
    /// Texts that begin with the type, so that `1` and `'1'` stay apart.
    Tagged,
}

/// The rows of a table, in the order in which they were stored.
///
/// # Errors
/// A database that cannot be read, a column whose values are of several types.
pub fn read(database: &Path, table: &str) -> Result<Rows, TableError> {
    read_where(database, table, "true")
}

/// The same of the rows that fulfil a condition.
///
/// # Errors
/// A database that cannot be read, a column whose values are of several types.
pub fn read_where(database: &Path, table: &str, condition: &str) -> Result<Rows, TableError> {
    rows(open(database)?, table, condition, Mixed::Refused)
}

/// The same for their identity: of a column whose values are of several types each says which.
///
/// # Errors
/// A table that cannot be read.
pub fn read_tagged(connection: Connection, table: &str, condition: &str) -> Result<Rows, TableError> {
    rows(connection, table, condition, Mixed::Tagged)
}

/// The identity of the rows as a transaction sees them that is on.
///
/// # Errors
/// A table that cannot be read.
pub fn version_within(connection: &Connection, target: &Target, table: &str) -> Result<TableVersion, TableError> {
    let condition = target.condition();
    let schema = Arc::new(schema(connection, table, &condition, Mixed::Tagged)?.0);
    target.version_of_sent(&schema, |put| send(connection, (table, &condition), &schema, put))
}

/// A connection that reads.
///
/// # Errors
/// A database that is not there, or cannot be read.
pub fn open(database: &Path) -> rusqlite::Result<Connection> {
    // What was written by way of a log beside the database cannot be read without room for locks.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(super::BUSY_MAX)?;
    Ok(connection)
}

fn rows(connection: Connection, table: &str, condition: &str, mixed: Mixed) -> Result<Rows, TableError> {
    // One look for its columns and its rows.
    connection.execute_batch("begin")?;
    let (schema, count) = schema(&connection, table, condition, mixed)?;
    let schema = Arc::new(schema);
    if count <= BATCH_ROWS {
        let mut batches = Vec::new();
        send(&connection, (table, condition), &schema, &mut |it| {
            batches.push(Ok(it));
            true
        })?;
        return Ok(Box::new(RecordBatchIterator::new(batches, schema)));
    }
    let (of_thread, table, condition) = (Arc::clone(&schema), table.to_owned(), condition.to_owned());
    Ok(stream(schema, move |to| send(&connection, (&table, &condition), &of_thread, &mut |it| to.put(it))))
}

/// What the columns hold, and the number of rows.
fn schema(connection: &Connection, table: &str, condition: &str, mixed: Mixed) -> Result<(Schema, usize), TableError> {
    let declared = columns(connection, "main", table)?;
    let kinds: Vec<String> = declared
        .iter()
        .map(|(name, _)| format!("group_concat(distinct case when {0} is not null then typeof({0}) end)", quoted(name)))
        .collect();
    let kinds = kinds.join(", ");
    let text = format!("select count(*), {kinds} from main.{} where {condition}", quoted(table));
    let (count, found) = connection.query_row(&text, [], |row| {
        let found: rusqlite::Result<Vec<Option<String>>> = (0..declared.len()).map(|it| row.get(it + 1)).collect();
        Ok((row.get::<_, i64>(0)?, found?))
    })?;
    let fields = declared.iter().zip(found).map(|((name, declared), found)| {
        let data_type = match found.as_deref() {
            None => by_declaration(&declared.to_ascii_uppercase()),
            Some("integer") => DataType::Int64,
            Some("real") => DataType::Float64,
            Some("text") => DataType::Utf8,
            Some("blob") => DataType::Binary,
            Some("integer,real" | "real,integer") => DataType::Float64,
            Some(_) if mixed == Mixed::Tagged => DataType::LargeUtf8,
            Some(several) => {
                let several = several.replace(',', " and ");
                return Err(TableError(format!("column `{name}` holds values of several types: {several}")));
            }
        };
        Ok(Field::new(name, data_type, true))
    });
    Ok((Schema::new(fields.collect::<Result<Vec<_>, _>>()?), usize::try_from(count).unwrap_or(usize::MAX)))
}

/// Of a column without values.
fn by_declaration(declared: &str) -> DataType {
    match declared {
        it if it.contains("INT") => DataType::Int64,
        it if ["REAL", "FLOA", "DOUB"].iter().any(|word| it.contains(word)) => DataType::Float64,
        it if it.contains("BLOB") => DataType::Binary,
        _ => DataType::Utf8,
    }
}

enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Tagged(LargeStringBuilder),
}

impl Builder {
    fn of(data_type: &DataType) -> Builder {
        match data_type {
            DataType::Int64 => Builder::Int(Int64Builder::new()),
            DataType::Float64 => Builder::Float(Float64Builder::new()),
            DataType::Binary => Builder::Bytes(BinaryBuilder::new()),
            DataType::LargeUtf8 => Builder::Tagged(LargeStringBuilder::new()),
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    fn add(&mut self, value: ValueRef<'_>) -> Result<(), TableError> {
        match (self, value) {
            (Builder::Int(it), ValueRef::Null) => it.append_null(),
            (Builder::Float(it), ValueRef::Null) => it.append_null(),
            (Builder::Text(it), ValueRef::Null) => it.append_null(),
            (Builder::Bytes(it), ValueRef::Null) => it.append_null(),
            (Builder::Tagged(it), ValueRef::Null) => it.append_null(),
            (Builder::Tagged(it), value) => it.append_value(tagged(value)),
            (Builder::Int(it), ValueRef::Integer(value)) => it.append_value(value),
            (Builder::Float(it), ValueRef::Real(value)) => it.append_value(value),
            (Builder::Float(it), ValueRef::Integer(value)) => it.append_value(value as f64),
            (Builder::Text(it), ValueRef::Text(value)) => {
                let text = std::str::from_utf8(value).map_err(|_| TableError("a text is not UTF-8".to_owned()))?;
                it.append_value(text);
            }
            (Builder::Bytes(it), ValueRef::Blob(value)) => it.append_value(value),
            _ => return Err(TableError("a column holds values of several types".to_owned())),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Int(it) => Arc::new(it.finish()),
            Builder::Float(it) => Arc::new(it.finish()),
            Builder::Text(it) => Arc::new(it.finish()),
            Builder::Bytes(it) => Arc::new(it.finish()),
            Builder::Tagged(it) => Arc::new(it.finish()),
        }
    }
}

fn tagged(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(it) => format!("int {it}"),
        ValueRef::Real(it) => format!("float {:x}", it.to_bits()),
        ValueRef::Text(it) => format!("text {}", hex(it)),
        ValueRef::Blob(it) => format!("bytes {}", hex(it)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn send(
    connection: &Connection,
    (table, condition): (&str, &str),
    schema: &SchemaRef,
    put: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), TableError> {
    // Of a view nobody knows in which order its rows were stored.
    let order = if is_view(connection, table)? { "" } else { " order by rowid" };
    let mut statement =
        connection.prepare(&format!("select * from main.{} where {condition}{order}", quoted(table)))?;
    let mut rows = statement.query([])?;
    let mut builders: Vec<Builder> = schema.fields().iter().map(|it| Builder::of(it.data_type())).collect();
    let mut count = 0;
    loop {
        let row = rows.next()?;
        if count == BATCH_ROWS || row.is_none() && count > 0 {
            let batch = RecordBatch::try_new(Arc::clone(schema), builders.iter_mut().map(Builder::finish).collect())?;
            count = 0;
            if !put(batch) {
                return Ok(());
            }
        }
        let Some(row) = row else { return Ok(()) };
        for (index, builder) in builders.iter_mut().enumerate() {
            builder.add(row.get_ref(index)?)?;
        }
        count += 1;
    }
}

/// Makes `table`, as it is written in a statement, of `rows`.
///
/// # Errors
/// Rows that cannot be read, names that are there already.
pub fn insert(connection: &Connection, table: &str, rows: Rows) -> Result<(), TableError> {
    let schema = rows.schema();
    if schema.fields().is_empty() {
        return Err(TableError("a table has at least one column".to_owned()));
    }
    let columns: Vec<String> =
        schema.fields().iter().map(|it| format!("{} {}", quoted(it.name()), declared(it.data_type()))).collect();
    connection.execute_batch(&format!("create table {table} ({}); begin", columns.join(", ")))?;
    let places = vec!["?"; columns.len()].join(", ");
    {
        let mut insert = connection.prepare(&format!("insert into {table} values ({places})"))?;
        for batch in rows {
            let batch = batch?;
            let columns = batch.columns().iter().map(Values::of).collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                insert.execute(params_from_iter(columns.iter().map(|it| it.get(row))))?;
            }
        }
    }
    connection.execute_batch("commit")?;
    Ok(())
}

fn declared(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        it if it.is_integer() => "INT",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "REAL",
        it if it.is_decimal() => "NUMERIC",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BLOB",
        _ => "TEXT",
    }
}

/// A column as SQLite takes its values.
enum Values {
    Int(ArrayRef),
    Float(ArrayRef),
    Bytes(ArrayRef),
    Text(ArrayRef),
    /// As people write them.
    Shown(ArrayRef, Vec<Option<String>>),
}

impl Values {
    fn of(array: &ArrayRef) -> Result<Values, TableError> {
        Ok(match array.data_type() {
            DataType::Boolean => Values::Int(cast(array, &DataType::Int64)?),
            it if it.is_integer() => {
                let signed = cast(array, &DataType::Int64)?;
                if signed.null_count() > array.null_count() {
                    return Err(TableError("an integer is beyond the 64 bits that SQLite has".to_owned()));
                }
                Values::Int(signed)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Values::Float(cast(array, &DataType::Float64)?)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Values::Text(cast(array, &DataType::Utf8View)?)
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Values::Bytes(cast(array, &DataType::BinaryView)?)
            }
            _ => {
                let options = FormatOptions::default();
                let formatter = ArrayFormatter::try_new(array, &options)?;
                let text = |row| (!array.is_null(row)).then(|| formatter.value(row).to_string());
                let shown = (0..array.len()).map(text).collect();
                Values::Shown(Arc::clone(array), shown)
            }
        })
    }

    fn get(&self, row: usize) -> Value {
        let (Values::Int(array)
        | Values::Float(array)
        | Values::Bytes(array)
        | Values::Text(array)
        | Values::Shown(array, _)) = self;
        if array.is_null(row) {
            return Value::Null;
        }
        match self {
            Values::Int(it) => Value::Integer(it.as_primitive::<Int64Type>().value(row)),
            Values::Float(it) => Value::Real(it.as_primitive::<Float64Type>().value(row)),
            Values::Bytes(it) => Value::Blob(it.as_binary_view().value(row).to_vec()),
            Values::Text(it) => Value::Text(it.as_string_view().value(row).to_owned()),
            Values::Shown(_, shown) => shown[row].clone().map_or(Value::Null, Value::Text),
        }
    }
}
