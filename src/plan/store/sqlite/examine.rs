//! A thorough look at database and journal, for people who ask whether all is well. Changes nothing.

use rusqlite::Connection;

use super::{
    connect::Disk,
    place::Place,
    read::{self, Answer},
    standing::{self, Standing},
    trouble::Trouble,
};
use crate::plan::store::journal;

/// One sentence for each thing that is not as it should be.
pub fn examine(place: &Place, disk: Disk) -> Answer<Vec<String>> {
    let mut found = Vec::new();
    match standing::look_read_only(place, disk) {
        Ok(None) => {}
        Ok(Some((reader, standing))) => {
            found.extend(said_of(&standing));
            examine_rows(&reader.connection, &mut found)?;
        }
        Err(Trouble::Damaged(cause)) => found.push(format!("the database is damaged: {cause}")),
        Err(other) => return Err(other),
    }
    if let Some(damaged) = journal::read(&place.journal)?.said_of_damage() {
        found.push(format!("the journal has {damaged}"));
    }
    Ok(found)
}

fn said_of(standing: &Standing) -> Option<String> {
    Some(match standing {
        Standing::Ready | Standing::Absent => return None,
        Standing::Older(version) => format!("the database is of version {version}; the next run migrates it"),
        Standing::JournalBehind => "the journal is not complete; the next run completes it".to_owned(),
        Standing::JournalAhead => "the database has lost commits; the next run takes them from the journal".to_owned(),
        Standing::Outdated => "the database is an old copy; the next run rebuilds it from the journal".to_owned(),
    })
}

fn examine_rows(connection: &Connection, found: &mut Vec<String>) -> Answer<()> {
    let mut check = |asked: Answer<()>| match asked {
        Err(Trouble::Damaged(cause)) => {
            found.push(format!("the database is damaged: {cause}"));
            Ok(())
        }
        other => other,
    };
    check(quick_check(connection))?;
    check(read::verify(connection))?;
    check(read::observations(connection).map(drop))?;
    check(read::last_attempts(connection).map(drop))?;
    check(read::backfills(connection).map(drop))?;
    check(read::sessions(connection).map(drop))
}

fn quick_check(connection: &Connection) -> Answer<()> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(Trouble::Damaged(said.replace('\n', " "))) }
}
