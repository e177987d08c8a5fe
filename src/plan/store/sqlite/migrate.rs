//! From an older version of the database to this one.
//!
//! Each step is one transaction; before the first, the database is copied beside itself.

use rusqlite::{Connection, Transaction};

use super::{place::Place, read::Answer, schema, standing::begin};
use crate::base::fs;

/// Leads from the version before it to `to`. It also saves the summary with the new version.
pub struct Step {
    pub to: u32,
    pub apply: fn(&Transaction<'_>) -> Answer<()>,
}

/// In order, without gaps. Released steps are never changed.
const STEPS: &[Step] = &[];

/// Returns what people should know.
pub fn migrate(connection: &mut Connection, place: &Place, from: u32) -> Answer<String> {
    migrate_by(connection, place, from, schema::VERSION, STEPS)
}

/// See [`migrate`]; tests bring their own steps.
pub fn migrate_by(connection: &mut Connection, place: &Place, from: u32, to: u32, steps: &[Step]) -> Answer<String> {
    let backup = place.beside(&format!(".backup-v{from}"));
    let unfinished = place.beside(".backup-new");
    fs::remove_file(&unfinished)?;
    connection.execute("VACUUM INTO ?1", [unfinished.to_string_lossy()])?;
    fs::rename(&unfinished, &backup)?;
    for step in steps.iter().filter(|it| it.to > from && it.to <= to) {
        let transaction = begin(connection)?;
        (step.apply)(&transaction)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {}", step.to))?;
        transaction.commit()?;
    }
    let name = backup.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(format!("the state was brought from version {from} to {to}; the old one is kept as {name}"))
}
