//! One partition of a table: its rows go and others take their place, in a transaction that is neither begun nor
//! ended here.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction};

use super::{
    refused,
    table::{STAGED, columns, definition, exists, quoted},
    table_name,
};
use crate::exec::io::{IoError, Slice, Target, strangers};

/// Replaces the rows of the slice by those that are staged, in a database attached as `stage`.
pub fn put(transaction: &Transaction<'_>, name: &str, slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: rusqlite::Error| refused(&what, &it);
    if !exists(transaction, name).map_err(said)? {
        let columns = definition(transaction, "stage", STAGED).map_err(said)?;
        transaction.execute_batch(&format!("create table main.{} {columns}", quoted(name))).map_err(said)?;
    }
    let names = |schema: &str, table: &str| -> rusqlite::Result<Vec<String>> {
        Ok(columns(transaction, schema, table)?.into_iter().map(|it| it.0).collect())
    };
    let (old, new) = (names("main", name).map_err(said)?, names("stage", STAGED).map_err(said)?);
    let same = |a: &[String], b: &[String]| a.iter().all(|it| b.iter().any(|other| it.eq_ignore_ascii_case(other)));
    if !same(&old, &new) || !same(&new, &old) {
        return Err(IoError::Refused {
            what,
            cause: format!("it has the columns {}, and the new rows have {}", old.join(", "), new.join(", ")),
            help: "nothing was published; drop the table to make all partitions with the new columns".to_owned(),
        });
    }
    delete(transaction, name, slice).map_err(said)?;
    let list = new.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ");
    let insert = format!("insert into main.{} ({list}) select {list} from stage.{STAGED} order by rowid", quoted(name));
    transaction.execute_batch(&insert).map_err(said)
}

pub fn delete(transaction: &Transaction<'_>, name: &str, slice: &Slice) -> rusqlite::Result<()> {
    if !exists(transaction, name)? {
        return Ok(());
    }
    transaction.execute_batch(&format!("delete from main.{} where {}", quoted(name), slice.condition()))
}

/// Refuses rows that are of another partition: they would stay when this one is made again.
pub fn belongs(database: &Path, target: &Target, slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {}", table_name(target));
    let said = |it: rusqlite::Error| refused(&what, &it);
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(said)?;
    let text = format!("select count(*) from main.{STAGED} where ({}) is not true", slice.condition());
    let other: i64 = connection.query_row(&text, [], |it| it.get(0)).map_err(said)?;
    if other == 0 {
        return Ok(());
    }
    Err(strangers(&what, other, slice))
}
