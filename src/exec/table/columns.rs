//! Values as bytes: what is the same value has the same bytes in every engine, and what is not has others.
//!
//! Integers of every width are one kind, as are floats, texts and byte strings of every layout; times count
//! from 1970 in nanoseconds. A decimal counts with its scale, an instant with its time zone (one name for UTC).
//! Injective within one kind: a tag, and a length where the tag does not tell it.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Decimal128Array, Decimal256Array, Float64Array,
        Int64Array, StringViewArray, StructArray, UInt64Array,
    },
    compute::cast,
    datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, IntervalUnit, TimeUnit, UInt64Type},
};

use super::{TableError, digest::write_bytes};

const NULL: u8 = 0;
const VALUE: u8 = 1;
/// An integer beyond 64 bits with a sign.
const LARGE: u8 = 2;

/// What kind of values a column has, in words that never change.
///
/// # Errors
/// A type that has no identity.
pub fn kind(of: &DataType) -> Result<String, TableError> {
    Ok(match of {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        it if it.is_integer() => "int".to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float".to_owned(),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => format!("decimal {scale}"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytes".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(zone)) => format!("timestamp {}", zone_name(zone)),
        DataType::Duration(_) => "duration".to_owned(),
        DataType::Interval(_) => "interval".to_owned(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("list({})", kind(item.data_type())?),
        DataType::Struct(fields) => {
            let mut text = "struct(".to_owned();
            for field in fields {
                text.push_str(&format!("{:?} {},", field.name(), kind(field.data_type())?));
            }
            text + ")"
        }
        DataType::Map(entries, _) => format!("list({})", kind(entries.data_type())?),
        DataType::Dictionary(_, values) => kind(values)?,
        DataType::RunEndEncoded(_, values) => kind(values.data_type())?,
        DataType::Union(..) => return Err(TableError("a column of a union type cannot be compared".to_owned())),
        other => return Err(TableError(format!("a column of type {other} cannot be compared"))),
    })
}

fn zone_name(zone: &str) -> &str {
    match zone {
        "UTC" | "utc" | "+00:00" | "+0000" | "Etc/UTC" | "Z" => "UTC",
        other => other,
    }
}

/// A column whose values can be written one by one.
pub enum Column {
    Null,
    Bool(BooleanArray),
    Int(Int64Array),
    Unsigned(UInt64Array),
    Float(Float64Array),
    Decimal(Decimal128Array),
    LargeDecimal(Decimal256Array),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    /// A count, and what one is worth in the unit of the kind.
    Times(Int64Array, i64),
    /// Items, and which of them are whose.
    List(ArrayRef, Box<Column>),
    Struct(StructArray, Vec<Column>),
}

impl Column {
    /// # Errors
    /// A type that has no identity.
    pub fn of(array: &ArrayRef) -> Result<Column, TableError> {
        let as_type = |it: &DataType| cast(array, it);
        let ints = |it: &ArrayRef| cast(it, &DataType::Int64).map(|it| it.as_primitive::<Int64Type>().clone());
        Ok(match array.data_type() {
            DataType::Null => Column::Null,
            DataType::Boolean => Column::Bool(array.as_boolean().clone()),
            DataType::UInt64 => Column::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            it if it.is_integer() => Column::Int(ints(array)?),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Column::Float(as_type(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Decimal256(..) => Column::LargeDecimal(array.as_primitive::<Decimal256Type>().clone()),
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                let wide = as_type(&DataType::Decimal128(38, *scale))?;
                Column::Decimal(wide.as_primitive::<Decimal128Type>().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Column::Text(as_type(&DataType::Utf8View)?.as_string_view().clone())
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                let array = match array.data_type() {
                    DataType::FixedSizeBinary(_) => as_type(&DataType::Binary)?,
                    _ => Arc::clone(array),
                };
                Column::Bytes(cast(&array, &DataType::BinaryView)?.as_binary_view().clone())
            }
            DataType::Date32 => Column::Times(ints(&as_type(&DataType::Int32)?)?, 1),
            DataType::Date64 => {
                Column::Times(ints(&as_type(&DataType::Date32).and_then(|it| cast(&it, &DataType::Int32))?)?, 1)
            }
            DataType::Time32(unit) => Column::Times(ints(&as_type(&DataType::Int32)?)?, nanoseconds(*unit)),
            DataType::Time64(unit) | DataType::Timestamp(unit, _) | DataType::Duration(unit) => {
                Column::Times(ints(array)?, nanoseconds(*unit))
            }
            DataType::Interval(unit) => Column::of(&intervals(array, *unit))?,
            DataType::Dictionary(_, values) => Column::of(&as_type(values)?)?,
            DataType::RunEndEncoded(_, values) => Column::of(&as_type(values.data_type())?)?,
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => {
                let list = as_type(&DataType::LargeList(Arc::clone(item)))?;
                let items = Column::of(list.as_list::<i64>().values())?;
                Column::List(list, Box::new(items))
            }
            DataType::Map(..) => {
                let entries = array.as_map();
                let items = Column::of(&(Arc::new(entries.entries().clone()) as ArrayRef))?;
                Column::List(Arc::clone(array), Box::new(items))
            }
            DataType::Struct(_) => {
                let fields = array.as_struct();
                let columns = fields.columns().iter().map(Column::of).collect::<Result<_, _>>()?;
                Column::Struct(fields.clone(), columns)
            }
            other => return Err(TableError(format!("a column of type {other} cannot be compared"))),
        })
    }

    /// Appends the value in `row`.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.push(NULL);
            return;
        }
        match self {
            Column::Null => {}
            Column::Bool(them) => out.extend_from_slice(&[VALUE, u8::from(them.value(row))]),
            Column::Int(them) => fixed(out, them.value(row).to_le_bytes()),
            Column::Unsigned(them) => match i64::try_from(them.value(row)) {
                Ok(it) => fixed(out, it.to_le_bytes()),
                Err(_) => {
                    out.push(LARGE);
                    out.extend_from_slice(&them.value(row).to_le_bytes());
                }
            },
            // There are many that are no number, and they mean the same.
            Column::Float(them) if them.value(row).is_nan() => fixed(out, f64::NAN.to_bits().to_le_bytes()),
            Column::Float(them) => fixed(out, them.value(row).to_bits().to_le_bytes()),
            Column::Decimal(them) => fixed(out, them.value(row).to_le_bytes()),
            Column::LargeDecimal(them) => match them.value(row).to_i128() {
                Some(it) => fixed(out, it.to_le_bytes()),
                None => {
                    out.push(LARGE);
                    out.extend_from_slice(&them.value(row).to_le_bytes());
                }
            },
            Column::Text(them) => variable(out, them.value(row).as_bytes()),
            Column::Bytes(them) => variable(out, them.value(row)),
            Column::Times(them, unit) => fixed(out, (i128::from(them.value(row)) * i128::from(*unit)).to_le_bytes()),
            Column::List(lists, items) => {
                let range = match lists.data_type() {
                    DataType::Map(..) => {
                        let offsets = lists.as_map().offsets();
                        offsets[row] as usize..offsets[row + 1] as usize
                    }
                    _ => {
                        let offsets = lists.as_list::<i64>().offsets();
                        offsets[row] as usize..offsets[row + 1] as usize
                    }
                };
                fixed(out, (range.len() as u64).to_le_bytes());
                range.for_each(|it| items.write(it, out));
            }
            Column::Struct(_, fields) => {
                out.push(VALUE);
                fields.iter().for_each(|it| it.write(row, out));
            }
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Column::Null => true,
            Column::Bool(it) => it.is_null(row),
            Column::Int(it) | Column::Times(it, _) => it.is_null(row),
            Column::Unsigned(it) => it.is_null(row),
            Column::Float(it) => it.is_null(row),
            Column::Decimal(it) => it.is_null(row),
            Column::LargeDecimal(it) => it.is_null(row),
            Column::Text(it) => it.is_null(row),
            Column::Bytes(it) => it.is_null(row),
            Column::List(it, _) => it.is_null(row),
            Column::Struct(it, _) => it.is_null(row),
        }
    }
}

fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.push(VALUE);
    out.extend_from_slice(&bytes);
}

fn variable(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(VALUE);
    write_bytes(out, bytes);
}

fn nanoseconds(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Months, days and nanoseconds, as a struct of three numbers.
fn intervals(array: &ArrayRef, unit: IntervalUnit) -> ArrayRef {
    use arrow::{
        array::Int64Builder,
        datatypes::{Field, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalYearMonthType},
    };
    let mut parts = [Int64Builder::new(), Int64Builder::new(), Int64Builder::new()];
    for row in 0..array.len() {
        let (months, days, nanoseconds) = match unit {
            IntervalUnit::YearMonth => (array.as_primitive::<IntervalYearMonthType>().value(row), 0, 0),
            IntervalUnit::DayTime => {
                let it = array.as_primitive::<IntervalDayTimeType>().value(row);
                (0, it.days, i64::from(it.milliseconds) * 1_000_000)
            }
            IntervalUnit::MonthDayNano => {
                let it = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                (it.months, it.days, it.nanoseconds)
            }
        };
        for (part, value) in parts.iter_mut().zip([i64::from(months), i64::from(days), nanoseconds]) {
            part.append_value(value);
        }
    }
    let names = ["months", "days", "nanoseconds"];
    let fields: Vec<Field> = names.iter().map(|it| Field::new(*it, DataType::Int64, false)).collect();
    let arrays = parts.iter_mut().map(|it| Arc::new(it.finish()) as ArrayRef).collect();
    Arc::new(StructArray::new(fields.into(), arrays, array.nulls().cloned()))
}
