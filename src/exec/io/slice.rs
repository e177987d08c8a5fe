//! Which rows of a table are one partition of it, and what is said of rows that are not.

use std::{fmt, sync::Arc};

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

/// Tells the slice of a partition of one asset by its key.
#[derive(Clone)]
pub struct Slices(Arc<ByKey>);

type ByKey = dyn Fn(&str) -> Option<Slice> + Send + Sync;

impl Slices {
    pub fn new(of: impl Fn(&str) -> Option<Slice> + Send + Sync + 'static) -> Slices {
        Slices(Arc::new(of))
    }

    pub fn of(&self, key: &str) -> Option<Slice> {
        (self.0)(key)
    }
}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slices")
    }
}

/// What is not a part of what a target is.
impl PartialEq for Slices {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Refuses to take away the rows of another partition: a column may take the keys of the two for one value, as `1` and
/// `01`, or two hours of a day. Asked when a partition is published for the first time and rows with its key are there
/// already. `published` are the names under which the others are written down; `are_both` tells whether there is a row of
/// this one and of that.
///
/// # Errors
/// There is such a row; those of asking.
pub fn taken_once<E>(
    target: &Target,
    published: impl IntoIterator<Item = String>,
    mut are_both: impl FnMut(&Slice) -> Result<bool, E>,
) -> Result<Result<(), IoError>, E> {
    let (Some(slice), Some(slices)) = (&target.slice, &target.slices) else { return Ok(Ok(())) };
    let others = published.into_iter().filter_map(|it| it.split_once('@').and_then(|(_, key)| slices.of(key)));
    for other in others.filter(|it| it != slice) {
        if are_both(&other)? {
            let table = target.path.file_name().map(|it| it.to_string_lossy()).unwrap_or_default();
            return Ok(Err(taken_twice(&format!("table {table}"), slice, &other)));
        }
    }
    Ok(Ok(()))
}

fn taken_twice(what: &str, slice: &Slice, other: &Slice) -> IoError {
    let (own, others) = (slice.condition(), other.condition());
    IoError::Refused {
        what: what.to_owned(),
        cause: format!("rows with {own} are those with {others}: its column takes the two keys for one value"),
        help: format!(
            "each of the two partitions would replace the rows of the other: take away one of the keys, or make {} a text, or \
             of a type that tells them apart, and drop the table so that it is made anew",
            slice.names()
        ),
    }
}
