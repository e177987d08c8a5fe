//! Putting what is staged in the place of what is there, and what rests on that.
//!
//! Inside of one transaction, which is neither begun nor ended here. Views of ours that rest on a table are made
//! again over the new one; those of other people are never dropped: nothing is published then.

pub mod carried;

use postgres::{Client, Error};

use self::carried::{Carried, Onto};
use super::{
    connect::words,
    row,
    stamp::{Stamp, stamp},
    table::{STAGE, drop, find, qualified, quoted},
    version,
};
use crate::{
    base::digest::Digest,
    exec::io::{Content, IoError, Staged, maker::Maker},
};

const CONTEXT: &str = "assets view 1";
/// Whoever takes views away to make them again holds it.
const VIEWS_LOCK: i64 = 0x6173_7365_7476;

/// Why nothing was put there.
pub enum Unswapped {
    Server(Error),
    Refused(IoError),
}

impl From<Error> for Unswapped {
    fn from(error: Error) -> Self {
        Unswapped::Server(error)
    }
}

/// What is put where.
pub struct Swap<'a> {
    pub staged: &'a Staged,
    pub maker: &'a Maker,
    pub schema: &'a str,
    pub name: &'a str,
    pub stage: &'a str,
}

/// A view that reads what is to be replaced, by itself or by way of others.
struct Resting {
    oid: u32,
    schema: String,
    name: String,
    is_ours: bool,
}

impl Swap<'_> {
    /// Everything but what is done after it; the stamp is that of a table. With the views that are gone.
    pub fn run(&self, client: &mut Client) -> Result<(Option<Stamp>, Vec<String>), Unswapped> {
        let publishing = &self.staged.target.publishing;
        for (number, index) in publishing.indexes.iter().enumerate() {
            let made = index.statement(&self.staged.index_name(number), &qualified(self.schema, self.stage), "");
            asked(client, &format!("index on {}", self.name), &made)?;
        }
        let stamp = if publishing.view { None } else { stamp(client, self.schema, self.stage)? };
        if !publishing.view {
            client.batch_execute(&version::forgotten(&qualified(self.schema, self.stage)))?;
        }
        let mut resting = self.resting(client)?;
        if !resting.is_empty() {
            // Whoever replaces another table beneath the same view takes that away too. Asked before anything of ours is
            // locked, and again after that.
            client.execute("select pg_catalog.pg_advisory_xact_lock($1)", &[&VIEWS_LOCK])?;
            resting = self.resting(client)?;
        }
        if publishing.view && !resting.is_empty() && self.in_place(client)? {
            return Ok((None, Vec::new()));
        }
        if let Some(it) = resting.iter().find(|it| !it.is_ours) {
            return Err(Unswapped::Refused(self.rests(it)));
        }
        let carried = self.carried(client)?;
        let again = resting.iter().map(|it| it.again(client)).collect::<Result<Vec<_>, _>>()?;
        for it in resting.iter().rev() {
            drop(client, &it.schema, &it.name)?;
        }
        drop(client, self.schema, self.name)?;
        let kind = if publishing.view { "view" } else { "table" };
        let (stage, name) = (qualified(self.schema, self.stage), quoted(self.name));
        client.batch_execute(&format!("alter {kind} {stage} rename to {name}"))?;
        carried.put(client)?;
        let mut gone = Vec::new();
        for (it, again) in resting.iter().zip(again) {
            let Some((made, carried)) = again else { continue };
            // One that cannot be made over the new columns is remade when its own turn comes.
            match tried(client, &made)? {
                true => carried.put(client)?,
                false => gone.push(format!("{}.{}", it.schema, it.name)),
            }
        }
        Ok((stamp, gone))
    }

    /// From what is there to what is staged.
    fn carried(&self, client: &mut Client) -> Result<Carried, Error> {
        let Some(old) = find(client, self.schema, self.name)? else { return Ok(Carried::default()) };
        let Some(new) = find(client, self.schema, self.stage)? else { return Ok(Carried::default()) };
        Carried::from(client, &self.onto(old.oid, new.oid, &qualified(self.schema, self.name)))
    }

    fn onto<'n>(&self, old: u32, new: u32, name: &'n str) -> Onto<'n> {
        let publishing = &self.staged.target.publishing;
        Onto { old, new, name, is_view: publishing.view, hooks_follow: !publishing.post_hooks.is_empty() }
    }

    /// Whether the view that is there could be made the new one, and nothing that rests on it had to go.
    fn in_place(&self, client: &mut Client) -> Result<bool, Unswapped> {
        let found = |client: &mut Client, name| find(client, self.schema, name);
        let (Some(old), Some(new)) = (found(client, self.name)?, found(client, self.stage)?) else { return Ok(false) };
        if old.kind != 'v' {
            return Ok(false);
        }
        let (body, name) = (definition(client, new.oid)?, qualified(self.schema, self.name));
        // To replace a view is to take away its options, and nothing else.
        let carried = Carried::in_place(client, &self.onto(old.oid, new.oid, &name))?;
        if !tried(client, &format!("create or replace view {name} as {body}"))? {
            return Ok(false);
        }
        carried.put(client)?;
        drop(client, self.schema, self.stage)?;
        Ok(true)
    }

    /// Those that read it directly first.
    fn resting(&self, client: &mut Client) -> Result<Vec<Resting>, Error> {
        let found = client.query(
            "with recursive resting(oid, depth) as ( \
                 select c.oid, 0 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = $1 and c.relname = $2 \
                 union \
                 select r.ev_class, it.depth + 1 from resting it \
                 join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = it.oid \
                     and d.classid = 'pg_catalog.pg_rewrite'::regclass \
                 join pg_catalog.pg_rewrite r on r.oid = d.objid \
                 where r.ev_class <> it.oid and it.depth < 100) \
             select c.oid, n.nspname::text, c.relname::text, c.relkind::text from resting it \
             join pg_catalog.pg_class c on c.oid = it.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where it.depth > 0 group by 1, 2, 3, 4 order by max(it.depth), 1",
            &[&self.schema, &self.name],
        )?;
        let mut resting = Vec::with_capacity(found.len());
        for it in found {
            let (schema, name, kind): (String, String, String) = (it.get(1), it.get(2), it.get(3));
            let is_ours = kind == "v"
                && (name.starts_with(STAGE)
                    || row(client, &schema, &name)?.is_some_and(|it| self.maker.is_own(&it.signature)));
            resting.push(Resting { oid: it.get(0), schema, name, is_ours });
        }
        Ok(resting)
    }

    fn rests(&self, on: &Resting) -> IoError {
        IoError::Refused {
            what: self.name.to_owned(),
            cause: format!("{}.{} rests on it and was not made by this project", on.schema, on.name),
            help: format!(
                "it would be dropped with what it reads, so nothing was published: make it an asset with materialized = \"view\", \
                 or drop it: drop view {}",
                qualified(&on.schema, &on.name)
            ),
        }
    }
}

impl Resting {
    /// What makes it again, and what is put on it then; nothing of what a dead attempt has left.
    fn again(&self, client: &mut Client) -> Result<Option<(String, Carried)>, Error> {
        if self.name.starts_with(STAGE) {
            return Ok(None);
        }
        let name = qualified(&self.schema, &self.name);
        let made = format!("create view {name} as {}", definition(client, self.oid)?);
        let onto = Onto { old: self.oid, new: self.oid, name: &name, is_view: true, hooks_follow: false };
        Ok(Some((made, Carried::from(client, &onto)?)))
    }
}

/// Whether it could be done; if not, nothing of it was.
fn tried(client: &mut Client, statements: &str) -> Result<bool, Error> {
    client.batch_execute("savepoint assets_try")?;
    match client.batch_execute(statements) {
        Ok(()) => client.batch_execute("release savepoint assets_try").map(|()| true),
        Err(error) if error.as_db_error().is_some() => {
            client.batch_execute("rollback to savepoint assets_try").map(|()| false)
        }
        Err(error) => Err(error),
    }
}

/// A statement of people's own.
pub fn asked(client: &mut Client, what: &str, statement: &str) -> Result<(), Unswapped> {
    client.batch_execute(statement).map_err(|error| match error.as_db_error() {
        None => Unswapped::Server(error),
        Some(_) => Unswapped::Refused(IoError::unpublished(what, words(&error))),
    })
}

/// How a view is made, every name with its schema.
fn definition(client: &mut Client, oid: u32) -> Result<String, Error> {
    let asked = "select pg_catalog.pg_get_viewdef($1::oid)";
    let found: Option<String> = qualifying(client, |client| client.query_one(asked, &[&oid]))?.get(0);
    Ok(found.unwrap_or_default())
}

/// Asks while every name that the server writes has its schema.
fn qualifying<T>(client: &mut Client, ask: impl FnOnce(&mut Client) -> Result<T, Error>) -> Result<T, Error> {
    let path: String = client.query_one("select current_setting('search_path')", &[])?.get(0);
    let set = "select set_config('search_path', $1, false)";
    client.execute(set, &[&"pg_catalog"])?;
    let found = ask(client)?;
    client.execute(set, &[&path])?;
    Ok(found)
}

/// What a view is known by: how it is made. Something else under its name is known by what it is not.
pub fn content_of_view(client: &mut Client, schema: &str, name: &str) -> Result<Option<Content>, Error> {
    let Some(found) = find(client, schema, name)? else { return Ok(None) };
    let how = if found.kind == 'v' { definition(client, found.oid)? } else { format!("not a view: {}", found.kind) };
    Ok(Some(Content { data_version: Digest::derive(CONTEXT, how.as_bytes()), bytes: None, rows: None }))
}
