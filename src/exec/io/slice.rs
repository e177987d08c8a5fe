//! Which rows of a table are one partition of it, and what is said of rows that are not.

use serde::{Deserialize, Serialize};

use super::{IoError, Target};

/// The rows of one partition in a table that holds them all: those with these values in these columns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slice {
    pub columns: Vec<(String, String)>,
}

impl Slice {
    /// As it stands behind `where`; names are quoted as every database of ours has it.
    pub fn condition(&self) -> String {
        let one = |(column, value): &(String, String)| {
            format!("\"{}\" = '{}'", column.replace('"', "\"\""), value.replace('\'', "''"))
        };
        self.columns.iter().map(one).collect::<Vec<_>>().join(" and ")
    }

    /// The columns, for people.
    pub fn names(&self) -> String {
        self.columns.iter().map(|it| it.0.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// What selects the rows of any of them.
    pub fn any(slices: &[Slice]) -> String {
        let each: Vec<String> = slices.iter().map(|it| format!("({})", it.condition())).collect();
        if each.is_empty() { "1 = 0".to_owned() } else { each.join(" or ") }
    }
}

/// What is said of rows that are of another partition.
pub fn strangers(what: &str, rows: i64, slice: &Slice) -> IoError {
    IoError::Refused {
        what: what.to_owned(),
        cause: format!("{rows} rows are of another partition: not all have {}", slice.condition()),
        help: "make the rows of one partition only: in SQL, where COLUMN = '{{ partition.key }}'".to_owned(),
    }
}

/// What is said of rows that another partition would take for its own, and replace.
fn claimed_twice(what: &str, slice: &Slice, other: &Slice) -> IoError {
    IoError::Refused {
        what: what.to_owned(),
        cause: format!(
            "rows with {} are rows with {} too: a column takes the two keys for one value",
            slice.condition(),
            other.condition()
        ),
        help: format!(
            "each of the two partitions would replace the rows of the other: make {} a text, or of a type that tells \
             the keys apart, or take away one of the keys",
            slice.names()
        ),
    }
}

/// Refuses what is staged if another partition would replace its rows, or it those of another: a column may take the two
/// keys for one value. Asked once what is staged has the columns of the table; `are_both` tells of a slice whether any row,
/// staged or there, is of this one and of that.
///
/// # Errors
/// There is such a row; those of asking.
pub fn claimed_once(target: &Target, mut are_both: impl FnMut(&Slice) -> Result<bool, IoError>) -> Result<(), IoError> {
    let Some(slice) = &target.slice else { return Ok(()) };
    for other in &target.alike {
        if are_both(other)? {
            let table = target.path.file_name().map(|it| it.to_string_lossy()).unwrap_or_default();
            return Err(claimed_twice(&format!("table {table}"), slice, other));
        }
    }
    Ok(())
}
