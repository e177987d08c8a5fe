//! Views: what is staged is how one is made, and what it is known by is that.
//!
//! Beside it stands what the database itself said of it when it was made, so that one that somebody changes is found.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::table::quoted;
use crate::{
    base::{digest::Digest, fs},
    exec::io::{Content, IoError},
};

const CONTEXT: &str = "assets view 1";
const OURS: &str = "create table if not exists main._assets_views (
    name text primary key collate nocase, attempt text not null, data_version blob not null, definition text not null
) without rowid;";

/// How the view that was staged is to be made: what stands after AS.
///
/// # Errors
/// Nothing was staged.
pub fn staged(file: &Path, name: &str) -> Result<String, IoError> {
    let bytes = fs::read_if_there(file)?.ok_or_else(|| IoError::OutputMissing(name.to_owned()))?;
    String::from_utf8(bytes).map_err(|it| IoError::Other { path: name.to_owned(), cause: it.to_string() })
}

pub fn content(body: &str) -> Content {
    Content { data_version: Digest::derive(CONTEXT, body.as_bytes()), bytes: None, rows: None }
}

/// Makes the view; what had its name is gone already.
pub fn make(transaction: &Transaction<'_>, name: &str, signature: &str, body: &str) -> rusqlite::Result<()> {
    transaction.execute_batch(OURS)?;
    transaction.execute_batch(&format!("create view main.{} as {body}", quoted(name)))?;
    // A name that it reads and that is not there would be told by whoever reads it first.
    transaction.prepare(&format!("select * from main.{}", quoted(name)))?;
    let definition = definition(transaction, name)?;
    transaction.execute(
        "insert or replace into main._assets_views values (?, ?, ?, ?)",
        params![name, signature, content(body).data_version.0, definition],
    )?;
    Ok(())
}

/// Nobody asks about it any more.
pub fn forget(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    if super::table::exists(transaction, "_assets_views")? {
        transaction.execute("delete from main._assets_views where name = ?", [name])?;
    }
    Ok(())
}

/// What is there under the name: as it was made, or something else; `None` if there is nothing.
pub fn found(connection: &Connection, name: &str) -> rusqlite::Result<Option<Content>> {
    let Some(now) = definition(connection, name)? else { return Ok(None) };
    let Some((version, was, _)) = written(connection, name)? else {
        return Ok(Some(content(&format!("not ours: {now}"))));
    };
    let same = was == now;
    Ok(Some(if same {
        Content { data_version: Digest(version), bytes: None, rows: None }
    } else {
        content(&format!("changed: {now}"))
    }))
}

/// Whether it is what this attempt made.
pub fn is_of(connection: &Connection, name: &str, signature: &str) -> rusqlite::Result<bool> {
    Ok(written(connection, name)?.is_some_and(|it| it.2 == signature))
}

/// Who made a view of this name; `None` if nobody here did.
pub fn signature(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    Ok(written(connection, name)?.map(|it| it.2))
}

type Written = ([u8; 32], String, String);

fn written(connection: &Connection, name: &str) -> rusqlite::Result<Option<Written>> {
    if !super::table::exists(connection, "_assets_views")? {
        return Ok(None);
    }
    let row = "select data_version, definition, attempt from main._assets_views where name = ?";
    connection.query_row(row, [name], |it| Ok((it.get(0)?, it.get(1)?, it.get(2)?))).optional()
}

/// As the database has it, a table's included.
fn definition(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let found = "select type || ' ' || coalesce(sql, '') from main.sqlite_master where name = ? collate nocase";
    connection.query_row(found, [name], |it| it.get(0)).optional()
}
