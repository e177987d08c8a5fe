//! Rows into Snowflake: as a parquet file that is put on a stage of the connection, and copied from there.

use arrow::datatypes::DataType;

use super::session::{Refused, Session};
use crate::{
    base::fs,
    exec::table::{Rows, write::write_all},
    model::format::TableFormat,
};

/// Makes `table`, as it is written in a statement, of `rows`.
///
/// # Errors
/// Rows that cannot be read, types that are not kept there, what the server says.
pub fn load(session: &mut Session, table: &str, rows: Rows) -> Result<(), Refused> {
    let schema = rows.schema();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let kind = declared(field.data_type()).ok_or_else(|| {
            let told = format!("column `{}` is of type {}, which is not kept here", field.name(), field.data_type());
            Refused::plain(told)
        })?;
        columns.push(format!("{} {kind}", session.engine.quoted(field.name())));
    }
    fs::create_folder(&session.scratch).map_err(Refused::plain)?;
    let name: String = table.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
    // Of this connection, and of this table: not every server keeps those of connections apart.
    let stage = format!("LOAD_{}", name.to_ascii_uppercase());
    let file = session.scratch.join(format!("{name}.parquet"));
    let loaded = write_all(rows, &file, TableFormat::Parquet).map_err(Refused::plain).and_then(|_| {
        let path = file.to_str().ok_or_else(|| Refused::plain("the path of the project is not text"))?;
        for statement in [
            format!("create table {table} ({})", columns.join(", ")),
            format!("create or replace temporary stage {stage}"),
            format!("put 'file://{}' @{stage} auto_compress = false", path.replace('\'', "\\'")),
            format!(
                "copy into {table} from @{stage} file_format = (type = parquet) match_by_column_name = case_insensitive"
            ),
        ] {
            session.run(&statement)?;
        }
        Ok(())
    });
    // What stays is swept away by the next run.
    let _ = fs::remove(&file);
    loaded
}

fn declared(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Boolean => "boolean".to_owned(),
        it if it.is_integer() => "number(38, 0)".to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            format!("number({precision}, {scale})")
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp_tz".to_owned(),
        DataType::Dictionary(_, values) => return declared(values),
        _ => return None,
    })
}
