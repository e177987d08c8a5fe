//! Whether the rows of one partition go into the table that holds the others, and as what they are there. A database
//! would round, cut or convert silently; nothing may be lost. Asks nothing itself.

use arrow::datatypes::{DataType, Field};

use super::IoError;
use crate::exec::table::columns::kind;

/// Beyond that not every integer is a float.
const EXACT_MAX: i64 = 9_007_199_254_740_992;

/// A column that is there, or is staged.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
}

impl Column {
    pub fn of(field: &Field) -> Column {
        Column { name: field.name().clone(), data_type: field.data_type().clone() }
    }
}

/// How staged rows are copied: columns of the table, and those that go there. One that is left out is NULL.
pub type Copied = Vec<(String, String)>;

/// Where the column `name` is among these: spelt so, or else but for its letter case.
pub fn place_of<'a>(name: &str, among: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
    let (mut exact, mut alike) = (among.clone(), among);
    exact.position(|it| it == name).or_else(|| alike.position(|it| it.eq_ignore_ascii_case(name)))
}

/// `None` if they can be taken as they are. `count` tells how many of the staged rows fulfil a condition, in which `$`
/// stands for a column of theirs.
///
/// # Errors
/// Other columns, values that the table has no room for, and what `count` returns.
pub fn fit(
    what: &str,
    (old, new): (&[Column], &[Column]),
    count: &mut dyn FnMut(&Column, &str) -> Result<i64, IoError>,
) -> Result<Option<Copied>, IoError> {
    let names = |them: &[Column]| them.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    same_names(what, &names(old), &names(new))?;
    let (mut copied, mut as_is) = (Vec::new(), true);
    for (place, column) in old.iter().enumerate() {
        let at = place_of(&column.name, new.iter().map(|it| &*it.name)).unwrap_or(place);
        let staged = &new[at];
        as_is &= at == place && staged.name == column.name;
        if alike(&column.data_type, &staged.data_type) {
            copied.push((column.name.clone(), staged.name.clone()));
            continue;
        }
        as_is = false;
        if count(staged, "$ is not null")? == 0 {
            continue;
        }
        let (is, was) = (&staged.data_type, &column.data_type);
        let takes = match (is.is_integer(), was) {
            (true, DataType::Float64) => count(staged, &format!("abs($) > {EXACT_MAX}"))? == 0,
            (
                true,
                DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..),
            ) => true,
            _ => false,
        };
        if !takes {
            let word = |it: &DataType| kind(it).unwrap_or_else(|_| it.to_string());
            let cause = format!("its column `{}` is {}, and {} in the new rows", column.name, word(was), word(is));
            return Err(lossy(what, cause));
        }
        copied.push((column.name.clone(), staged.name.clone()));
    }
    Ok((!as_is).then_some(copied))
}

/// Refuses rows of other columns; their order and the case of their names do not count.
pub fn same_names(what: &str, old: &[String], new: &[String]) -> Result<(), IoError> {
    if old.len() == new.len() && old.iter().all(|it| new.iter().any(|other| it.eq_ignore_ascii_case(other))) {
        return Ok(());
    }
    let cause = format!("it has the columns {}, and the new rows have {}", old.join(", "), new.join(", "));
    Err(other_columns(what, cause))
}

fn alike(old: &DataType, new: &DataType) -> bool {
    let same = || kind(old).ok().is_some_and(|it| kind(new).is_ok_and(|other| it == other));
    old == new || (!old.is_floating() && same())
}

/// Said of rows whose columns the table does not have.
pub fn other_columns(what: &str, cause: String) -> IoError {
    let help = "nothing was published; drop the table to make all partitions with the new columns".to_owned();
    IoError::Refused { what: what.to_owned(), cause, help }
}

/// Said of values that would be others there.
pub fn lossy(what: &str, cause: String) -> IoError {
    let help = "nothing was published; cast it in the query, or drop the table to make all partitions anew".to_owned();
    IoError::Refused { what: what.to_owned(), cause, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(them: &[(&str, DataType)]) -> Vec<Column> {
        them.iter().map(|(name, it)| Column { name: (*name).to_owned(), data_type: it.clone() }).collect()
    }

    /// `found` is what every question is answered with.
    fn told(old: &[(&str, DataType)], new: &[(&str, DataType)], found: i64) -> Result<Option<usize>, String> {
        let fitted = fit("table t", (&columns(old), &columns(new)), &mut |_, _| Ok(found));
        fitted.map(|it| it.map(|it| it.len())).map_err(|it| it.to_string())
    }

    #[test]
    fn nothing_is_lost_on_the_way_into_a_table() {
        use DataType::{Float64, Int32, Int64, Utf8};
        let old = [("n", Int64), ("part", Utf8)];
        assert_eq!(told(&old, &old, 1), Ok(None));
        assert_eq!(told(&old, &[("n", Int32), ("part", Utf8)], 1), Ok(None));
        assert_eq!(told(&old, &[("part", Utf8), ("n", Int64)], 1), Ok(Some(2)));
        assert_eq!(told(&old, &[("n", Utf8), ("part", Utf8)], 0), Ok(Some(1)), "no values, so of any type");
        let lost = told(&old, &[("n", Float64), ("part", Utf8)], 1).unwrap_err();
        assert_eq!(lost, "table t: its column `n` is int, and float in the new rows");
        let float = [("n", Float64), ("part", Utf8)];
        assert!(told(&float, &old, 1).is_err(), "too large to be exact");
        assert!(told(&old, &[("n", Int64)], 1).is_err());
        assert!(told(&old, &[("n", Int64), ("other", Utf8)], 1).is_err());
    }
}
