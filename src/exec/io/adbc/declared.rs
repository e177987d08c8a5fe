//! What columns in DuckDB are declared as.

use arrow::datatypes::{DataType, IntervalUnit, Schema, TimeUnit};

use super::session::{Refused, Session};

/// Names of columns, and what they are declared as.
pub type Columns = Vec<(String, String)>;

/// As the engine says it, the values of an enum among it.
///
/// # Errors
/// What the engine says.
pub fn asked(session: &mut Session, name: &str) -> Result<Columns, Refused> {
    let table = session.engine.literal(&session.qualified(name));
    let rows = session.texts(&format!("select name, type from pragma_table_info({table})"))?;
    let text = |it: Option<String>| it.unwrap_or_default();
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        (text(row.next().flatten()), text(row.next().flatten()))
    };
    Ok(rows.into_iter().map(pair).collect())
}

/// The same, told from the columns of all its rows, handed over without any loss; `None` if they do not tell: types of Arrow's
/// that stand for several.
pub fn told(schema: &Schema) -> Option<Columns> {
    let of = |kind: &DataType| {
        Some(match kind {
            DataType::Boolean => "BOOLEAN".to_owned(),
            DataType::Int8 => "TINYINT".to_owned(),
            DataType::Int16 => "SMALLINT".to_owned(),
            DataType::Int32 => "INTEGER".to_owned(),
            DataType::Int64 => "BIGINT".to_owned(),
            DataType::UInt8 => "UTINYINT".to_owned(),
            DataType::UInt16 => "USMALLINT".to_owned(),
            DataType::UInt32 => "UINTEGER".to_owned(),
            DataType::UInt64 => "UBIGINT".to_owned(),
            DataType::Float32 => "FLOAT".to_owned(),
            DataType::Float64 => "DOUBLE".to_owned(),
            DataType::Utf8 => "VARCHAR".to_owned(),
            DataType::Date32 => "DATE".to_owned(),
            DataType::Decimal128(digits, scale) => format!("DECIMAL({digits},{scale})"),
            DataType::Time64(TimeUnit::Microsecond) => "TIME".to_owned(),
            DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP".to_owned(),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
            DataType::Interval(IntervalUnit::MonthDayNano) => "INTERVAL".to_owned(),
            _ => return None,
        })
    };
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        // What is more than its type says so there.
        let is_plain = field.metadata().is_empty();
        is_plain.then(|| Some((field.name().clone(), of(field.data_type())?))).flatten()
    };
    schema.fields().iter().map(column).collect()
}
