//! Values as Postgres takes them in the binary form of COPY: the length, then the bytes, most significant first.
//!
//! The server checks them as it checks those of any client; what it has no room for is refused here, because there it
//! would be another value.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimeUnit,
        TimestampMicrosecondType,
    },
};

use super::rows::{DAYS, DIGITS_MAX, MICROSECONDS};
use crate::exec::table::TableError;

/// A number is kept in groups of so many digits.
const GROUP: usize = 4;
const GROUP_BASE: u128 = 10_000;
const NUMERIC_NEGATIVE: u16 = 0x4000;

/// The same values in one of the few forms that are written.
///
/// # Errors
/// Values that Postgres has no room for.
pub fn plain(array: &ArrayRef) -> Result<ArrayRef, TableError> {
    let fits = |to: &DataType, trouble: &str| {
        let made = cast(array, to)?;
        if made.null_count() > array.null_count() { Err(TableError(trouble.to_owned())) } else { Ok(made) }
    };
    let out_of_range = "a time is beyond what Postgres has";
    match array.data_type() {
        DataType::Int64 | DataType::Float64 | DataType::Boolean | DataType::Date32 | DataType::Null => {
            Ok(Arc::clone(array))
        }
        DataType::Utf8View | DataType::BinaryView => Ok(Arc::clone(array)),
        it if it.is_integer() => fits(&DataType::Int64, "an integer is beyond the 64 bits that Postgres has"),
        DataType::Float16 | DataType::Float32 => Ok(cast(array, &DataType::Float64)?),
        DataType::Utf8 | DataType::LargeUtf8 => Ok(cast(array, &DataType::Utf8View)?),
        DataType::Binary | DataType::LargeBinary => Ok(cast(array, &DataType::BinaryView)?),
        DataType::FixedSizeBinary(_) => Ok(cast(&cast(array, &DataType::Binary)?, &DataType::BinaryView)?),
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
            Ok(cast(array, &DataType::Decimal128(DIGITS_MAX, *scale))?)
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) => Ok(Arc::clone(array)),
        DataType::Date64 => fits(&DataType::Date32, "a day is beyond what Postgres has"),
        DataType::Timestamp(unit, zone) => {
            if *unit == TimeUnit::Nanosecond {
                whole_microseconds(array)?;
            }
            let to = DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "+00:00".into()));
            fits(&to, out_of_range)
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            if *array.data_type() == DataType::Time64(TimeUnit::Nanosecond) {
                whole_microseconds(array)?;
            }
            fits(&DataType::Time64(TimeUnit::Microsecond), out_of_range)
        }
        DataType::Dictionary(_, values) => plain(&cast(array, values)?),
        other => Err(TableError(format!("{other} is not kept in Postgres"))),
    }
}

/// Postgres would not have the rest.
fn whole_microseconds(array: &ArrayRef) -> Result<(), TableError> {
    let counts = cast(array, &DataType::Int64)?;
    let finer = counts.as_primitive::<Int64Type>().iter().flatten().any(|it| it % 1000 != 0);
    if finer { Err(TableError("a time is finer than the microseconds that Postgres has".to_owned())) } else { Ok(()) }
}

/// One column of a batch that is [`plain`].
pub struct Values<'a> {
    array: &'a ArrayRef,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Decimal(usize),
    LargeDecimal(usize),
}

impl<'a> Values<'a> {
    /// # Errors
    /// What is not plain.
    pub fn of(array: &'a ArrayRef) -> Result<Values<'a>, TableError> {
        let digits = |scale: i8| usize::try_from(scale).map_err(TableError::new);
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Bool,
            DataType::Int64 => Kind::Int,
            DataType::Float64 => Kind::Float,
            DataType::Utf8View => Kind::Text,
            DataType::BinaryView => Kind::Bytes,
            DataType::Date32 => Kind::Date,
            DataType::Time64(TimeUnit::Microsecond) => Kind::Time,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Timestamp,
            DataType::Decimal128(_, scale) => Kind::Decimal(digits(*scale)?),
            DataType::Decimal256(_, scale) => Kind::LargeDecimal(digits(*scale)?),
            other => return Err(TableError(format!("{other} is not kept in Postgres"))),
        };
        Ok(Values { array, kind })
    }

    /// # Errors
    /// A value that Postgres has no room for.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), TableError> {
        let array = self.array;
        // An array of nulls has no list of which are.
        if matches!(self.kind, Kind::Null) || array.is_null(row) {
            out.extend((-1i32).to_be_bytes());
            return Ok(());
        }
        let beyond = || TableError("a time is beyond what Postgres has".to_owned());
        match self.kind {
            Kind::Null => {}
            Kind::Bool => sized(out, &[u8::from(array.as_boolean().value(row))]),
            Kind::Int => sized(out, &array.as_primitive::<Int64Type>().value(row).to_be_bytes()),
            Kind::Float => sized(out, &array.as_primitive::<Float64Type>().value(row).to_be_bytes()),
            Kind::Text => long(out, array.as_string_view().value(row).as_bytes())?,
            Kind::Bytes => long(out, array.as_binary_view().value(row))?,
            Kind::Date => {
                let days = array.as_primitive::<Date32Type>().value(row);
                // The least of all means that there is no beginning.
                let days = days.checked_sub(DAYS).filter(|it| *it != i32::MIN).ok_or_else(beyond)?;
                sized(out, &days.to_be_bytes());
            }
            Kind::Time => sized(out, &array.as_primitive::<Time64MicrosecondType>().value(row).to_be_bytes()),
            Kind::Timestamp => {
                let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                let micros = micros.checked_sub(MICROSECONDS).filter(|it| *it != i64::MIN).ok_or_else(beyond)?;
                sized(out, &micros.to_be_bytes());
            }
            Kind::Decimal(scale) => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                number(out, value < 0, value.unsigned_abs(), scale)?;
            }
            Kind::LargeDecimal(scale) => {
                let value = array.as_primitive::<Decimal256Type>().value(row).to_string();
                let (is_negative, digits) = value.strip_prefix('-').map_or((false, &*value), |it| (true, it));
                match digits.parse() {
                    Ok(magnitude) => number(out, is_negative, magnitude, scale)?,
                    Err(_) => large_number(out, is_negative, digits, scale)?,
                }
            }
        }
        Ok(())
    }
}

fn sized<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    // At most eight.
    out.extend((N as u32).to_be_bytes());
    out.extend(bytes);
}

fn long(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TableError> {
    let length = i32::try_from(bytes.len()).map_err(|_| TableError("a value is larger than 2 GB".to_owned()))?;
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    Ok(())
}

/// `magnitude` in units of the last of `scale` digits after the point, which stands between two groups.
fn number(out: &mut Vec<u8>, is_negative: bool, magnitude: u128, scale: usize) -> Result<(), TableError> {
    // Thirty-nine digits at most, and the first of them not at the beginning of a group.
    let mut groups = [0u16; 16];
    let (mut count, mut rest) = (0, magnitude);
    if !scale.is_multiple_of(GROUP) {
        let unit = 10u128.pow(u32::try_from(scale % GROUP).map_err(TableError::new)?);
        groups[0] = u16::try_from(rest % unit * (GROUP_BASE / unit)).map_err(TableError::new)?;
        (count, rest) = (1, rest / unit);
    }
    while rest > 0 {
        groups[count] = u16::try_from(rest % GROUP_BASE).map_err(TableError::new)?;
        (count, rest) = (count + 1, rest / GROUP_BASE);
    }
    grouped(out, is_negative, &groups[..count], scale)
}

/// The same of more digits than there are numbers for.
fn large_number(out: &mut Vec<u8>, is_negative: bool, digits: &str, scale: usize) -> Result<(), TableError> {
    let digits = format!("{digits}{}", "0".repeat(scale.next_multiple_of(GROUP) - scale));
    let groups =
        digits.as_bytes().rchunks(GROUP).map(|it| it.iter().fold(0, |all, it| all * 10 + u16::from(it - b'0')));
    grouped(out, is_negative, &groups.collect::<Vec<_>>(), scale)
}

/// How many groups, what the first is a multiple of, sign and scale, and the groups, the first and the last not zero;
/// given from the last to the first.
fn grouped(out: &mut Vec<u8>, is_negative: bool, groups: &[u16], scale: usize) -> Result<(), TableError> {
    let short = |it: usize| u16::try_from(it).map_err(TableError::new);
    let skipped = groups.iter().take_while(|it| **it == 0).count();
    let used = &groups[skipped..];
    let used = &used[..used.len() - used.iter().rev().take_while(|it| **it == 0).count()];
    // Counted from the point to the left.
    let place = |it: usize| i16::try_from(it).map_err(TableError::new);
    let weight = if used.is_empty() { 0 } else { place(skipped + used.len())? - 1 - place(scale.div_ceil(GROUP))? };
    let sign = if is_negative && !used.is_empty() { NUMERIC_NEGATIVE } else { 0 };
    let count = short(used.len())?;
    out.extend((8 + 2 * u32::from(count)).to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(short(scale)?.to_be_bytes());
    used.iter().rev().for_each(|it| out.extend(it.to_be_bytes()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Count, weight, sign, scale, groups: as the server tells them of the same numbers.
    #[test]
    fn numbers_are_groups_of_four_digits() {
        let told = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits = format!("{whole}{fraction}").replace('-', "");
            let mut out = Vec::new();
            number(&mut out, text.starts_with('-'), digits.parse().unwrap(), fraction.len()).unwrap();
            assert_eq!(out[..4], ((out.len() - 4) as u32).to_be_bytes());
            out[4..].chunks(2).map(|it| i16::from_be_bytes([it[0], it[1]])).collect::<Vec<_>>()
        };
        assert_eq!(told("0"), [0, 0, 0, 0]);
        assert_eq!(told("0.00"), [0, 0, 0, 2]);
        assert_eq!(told("1"), [1, 0, 0, 0, 1]);
        assert_eq!(told("12345"), [2, 1, 0, 0, 1, 2345]);
        assert_eq!(told("10000"), [1, 1, 0, 0, 1]);
        assert_eq!(told("1.5"), [2, 0, 0, 1, 1, 5000]);
        assert_eq!(told("-1.50"), [2, 0, 0x4000, 2, 1, 5000]);
        assert_eq!(told("0.0001"), [1, -1, 0, 4, 1]);
        assert_eq!(told("0.00012"), [2, -1, 0, 5, 1, 2000]);
        assert_eq!(told("0.00000012"), [1, -2, 0, 8, 12]);
        assert_eq!(told("100000000.00000001"), [5, 2, 0, 8, 1, 0, 0, 0, 1]);
        assert_eq!(told(&"9".repeat(38)).len(), 4 + 10);
        for text in ["0", "1", "12345", "100000000", "98765432109876543210987654321098765432"] {
            for scale in 0..12 {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                number(&mut one, true, text.parse().unwrap(), scale).unwrap();
                large_number(&mut other, true, text, scale).unwrap();
                assert_eq!(one, other, "{text} {scale}");
            }
        }
    }
}
