//! Whose the tables of a database are: what `_assets_tables` says, and what is known of their names as long as a file
//! is open and nobody else can change it.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    database::{Database, OURS, State, locked},
    session::{Refused, Session},
};
use crate::{
    base::digest::Digest,
    exec::io::maker::{Maker, is_mark},
    plan::record::AttemptId,
};

/// What is known of the names of a file that is open.
#[derive(Default)]
pub struct Names {
    /// Tables, and partitions, of which it is written down in the database more than that they are ours.
    written: BTreeSet<String>,
    /// Tables of which it says no more than that they are ours, and those of which it is to say so.
    marked: BTreeSet<String>,
    unmarked: BTreeSet<String>,
    /// Those among the written ones that are of other projects.
    foreign: BTreeSet<String>,
    /// Names that tables and views may have, in lower case; `None`: any.
    taken: Option<BTreeSet<String>>,
}

impl Names {
    /// Of a database in which these tables and views are.
    ///
    /// # Errors
    /// What the engine says.
    pub fn of(there: &[String], session: &mut Session, maker: &Maker) -> Result<Names, Refused> {
        let taken = Some(there.iter().map(|it| it.to_ascii_lowercase()).collect());
        let mut names = Names { taken, ..Names::default() };
        for row in session.texts(&format!("select name, attempt from {}", session.qualified(OURS)))? {
            let [Some(name), signature] = &row[..] else { continue };
            let signature = signature.as_deref().unwrap_or_default();
            let is_own = maker.is_own(signature);
            if !is_own {
                names.foreign.insert(folded(name));
            }
            let them = if is_own && is_mark(signature) { &mut names.marked } else { &mut names.written };
            them.insert(folded(name));
        }
        Ok(names)
    }
}

/// To DuckDB case is nothing in the name of a table; keys of partitions are values.
fn folded(name: &str) -> String {
    match name.split_once('@') {
        Some((table, part)) => format!("{}@{part}", table.to_ascii_lowercase()),
        None => name.to_ascii_lowercase(),
    }
}

/// Whether one is a table and the other a partition of it: what is known of one is not, after the other was written.
pub fn is_other_cut(one: &str, other: &str) -> bool {
    let of = |part: &str, table: &str| part.split_once('@').is_some_and(|it| it.0 == table);
    of(one, other) || of(other, one)
}

impl Database {
    /// A table, or a partition of one, as it is written down: by one name, however it is spelt.
    pub fn called<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.place.engine.holds { folded(name).into() } else { name.into() }
    }

    /// From now on a table or view may have this name; whether one may have had it before.
    pub fn takes_name(&self, name: &str) -> bool {
        let taken = &mut locked(&self.state).names.taken;
        taken.as_mut().is_none_or(|it| !it.insert(name.to_ascii_lowercase()))
    }

    /// From now on tables and views may have any name: statements of people's own make whatever they like.
    pub fn doubt_names(&self) {
        locked(&self.state).names.taken = None;
    }

    /// Writes down, as a part of the transaction, whose a table is from now on.
    ///
    /// # Errors
    /// What the engine says.
    pub fn write_down(
        &self,
        session: &mut Session,
        name: &str,
        of: Option<(&AttemptId, &Digest)>,
    ) -> Result<(), Refused> {
        let name = &*self.called(name);
        let (engine, ours) = (session.engine, session.qualified(OURS));
        // Of a file that is open nobody else knows better.
        if !engine.holds || self.is_written(name) || locked(&self.state).names.marked.remove(name) {
            let other = match name.split_once('@') {
                Some((table, _)) => format!("name = {}", engine.literal(table)),
                None => {
                    let parts = format!("{name}@");
                    format!("substr(name, 1, {}) = {}", parts.chars().count(), engine.literal(&parts))
                }
            };
            session.run(&format!("delete from {ours} where name = {} or {other}", engine.literal(name)))?;
            locked(&self.state).names.foreign.retain(|it| it != name && !is_other_cut(it, name));
        }
        let Some((attempt, version)) = of else { return Ok(()) };
        let signature = self.place.maker.signature(attempt);
        let values = [name, &signature, &version.to_string()].map(|it| engine.literal(it)).join(", ");
        session.run(&format!("insert into {ours} values ({values})"))?;
        // If it is not committed after all, there is one row less to take away than is believed.
        locked(&self.state).names.written.insert(name.to_owned());
        Ok(())
    }

    /// Writes down of a table whose rows tell the rest that it is ours: before the file is closed, of all at once.
    pub fn mark(&self, name: &str) {
        let name = &*self.called(name);
        let names = &mut locked(&self.state).names;
        if !names.marked.contains(name) {
            names.unmarked.insert(name.to_owned());
        }
    }

    /// The same as a part of the transaction.
    ///
    /// # Errors
    /// What the engine says.
    pub fn mark_now(&self, session: &mut Session, name: &str) -> Result<(), Refused> {
        let name = &*self.called(name);
        let (ours, literal) = (session.qualified(OURS), session.engine.literal(name));
        let is_there = format!("select 1 from {ours} where name = {literal}");
        if session.texts(&is_there)?.is_empty() {
            session.run(&format!(
                "insert into {ours} values ({literal}, {}, '')",
                session.engine.literal(&self.place.maker.mark())
            ))?;
        }
        Ok(())
    }

    /// Commits that a table has another name, with all that is written down of it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn rename(&self, session: &mut Session, from: &str, to: &str) -> Result<(), Refused> {
        let (from, to) = (&*self.called(from), &*self.called(to));
        let (engine, ours, parts) = (session.engine, session.qualified(OURS), format!("{from}@"));
        let length = from.chars().count();
        let [old, new, parts] = [from, to, &parts].map(|it| engine.literal(it));
        session.run(&format!(
            "update {ours} set name = concat({new}, substr(name, {})) where name = {old} or substr(name, 1, {}) = {parts}",
            length + 1,
            length + 1
        ))?;
        self.commit(session, from, None)?;
        let mut state = locked(&self.state);
        let State { names: Names { written, marked, unmarked, foreign, taken }, rows, .. } = &mut *state;
        for names in [written, marked, unmarked, foreign] {
            let of =
                |it: &str| it.strip_prefix(from).filter(|it| it.is_empty() || it.starts_with('@')).map(str::to_owned);
            let renamed: Vec<String> = names.iter().filter_map(|it| of(it)).collect();
            names.retain(|it| of(it).is_none());
            names.extend(renamed.into_iter().map(|it| format!("{to}{it}")));
        }
        if let Some(count) = rows.remove(from) {
            rows.insert(to.to_owned(), count);
        }
        taken.iter_mut().for_each(|it| _ = it.insert(to.to_ascii_lowercase()));
        Ok(())
    }

    /// Whether a partition is written down.
    ///
    /// # Errors
    /// What the engine says.
    pub fn is_published(&self, session: &mut Session, part: &str) -> Result<bool, Refused> {
        let part = &*self.called(part);
        if session.engine.holds {
            return Ok(locked(&self.state).names.written.contains(part));
        }
        let row = format!("select 1 from {} where name = {}", session.qualified(OURS), session.engine.literal(part));
        Ok(!session.texts(&row)?.is_empty())
    }

    /// The names under which the partitions of a table are written down.
    ///
    /// # Errors
    /// What the engine says.
    pub fn published(&self, session: &mut Session, table: &str) -> Result<Vec<String>, Refused> {
        let parts = format!("{}@", self.called(table));
        let (length, of) = (parts.chars().count(), session.engine.literal(&parts));
        let query = format!("select name from {} where substr(name, 1, {length}) = {of}", session.qualified(OURS));
        Ok(session.texts(&query)?.into_iter().flatten().flatten().collect())
    }

    /// Whether more is written down of a table, or of partitions of it, than that they are ours.
    pub fn is_written(&self, name: &str) -> bool {
        let name = &*self.called(name);
        locked(&self.state).names.written.iter().any(|it| it == name || is_other_cut(it, name))
    }

    /// Whether a table was made for this project, or some partition of it. Of a partition that is written down itself, as
    /// `part`, it is not told by the others.
    ///
    /// # Errors
    /// What the engine says.
    pub fn is_ours(&self, session: &mut Session, table: &str, part: &str) -> Result<bool, Refused> {
        let (table, part) = (&*self.called(table), &*self.called(part));
        let (engine, ours) = (session.engine, session.qualified(OURS));
        if engine.holds {
            let names = &locked(&self.state).names;
            if names.written.contains(part) {
                return Ok(!names.foreign.contains(part));
            }
            let is_of = |it: &String| it == table || is_other_cut(it, table);
            let is_written = names.written.difference(&names.foreign).any(is_of);
            return Ok(is_written || names.marked.contains(table) || names.unmarked.contains(table));
        }
        let own = format!("select attempt from {ours} where name = {}", engine.literal(part));
        if let Some(signature) = session.texts(&own)?.into_iter().flatten().flatten().next() {
            return Ok(self.place.maker.is_own(&signature));
        }
        let parts = format!("{table}@");
        let (length, parts, table) = (parts.chars().count(), engine.literal(&parts), engine.literal(table));
        let asked =
            format!("select distinct attempt from {ours} where name = {table} or substr(name, 1, {length}) = {parts}");
        let is_own = |it: Option<String>| self.place.maker.is_own(&it.unwrap_or_default());
        Ok(session.texts(&asked)?.into_iter().flatten().any(is_own))
    }

    /// Whether there may be a table or view of this name.
    pub fn may_have(&self, name: &str) -> bool {
        locked(&self.state).names.taken.as_ref().is_none_or(|it| it.contains(&name.to_ascii_lowercase()))
    }

    /// Says of all tables at once that they are ours. If it cannot be said now, people are asked about them should all
    /// that the project knows of them be lost.
    pub(super) fn mark_all(&self) {
        let unmarked = std::mem::take(&mut locked(&self.state).names.unmarked);
        if unmarked.is_empty() {
            return;
        }
        let Ok(mut session) = self.session() else { return };
        let mark = session.engine.literal(&self.place.maker.mark());
        let row = |it: &String| format!("({}, {mark}, '')", session.engine.literal(it));
        let rows = unmarked.iter().map(row).collect::<Vec<_>>().join(", ");
        let _ = session.run(&format!("insert into {} values {rows}", session.qualified(OURS)));
    }
}
