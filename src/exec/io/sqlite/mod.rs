//! Tables of one SQLite database.
//!
//! What is staged is a database of its own beside the state, so that nobody waits for a command and a crash
//! leaves nothing in the database itself. Publishing copies it over in one transaction together with a row
//! that says what the table holds: the commit of that transaction is the commit point. The database keeps
//! its own journal and its own durability; nothing here changes either.

mod kept;
pub mod rows;
pub mod seal;
mod slice;
pub mod table;
#[cfg(test)]
mod tests;
pub mod view;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    base::{digest::Digest, fs, path::ProjectPath},
    exec::io::{
        Capabilities, Content, IoError, IoManager, Loaded, Probed, Recovered, Staged, Target, Witness,
        hooked::{Hooked, gone},
        lines_of,
        maker::Maker,
        slice::taken_once,
        sqlite::{
            kept::Connections,
            seal::Seal,
            table::{STAGED, quoted},
        },
    },
    exec::table::{TableError, read},
    model::materialized::Hook,
    plan::record::{AttemptId, StoredOutput},
};

/// How long another writer of the database is waited for.
pub const BUSY_MAX: Duration = Duration::from_secs(600);
/// The same where nothing is lost if it goes on.
const SEALING_MAX: Duration = Duration::from_millis(100);
/// What this tool knows of the tables that it made.
const OURS: &str = "create table if not exists main._assets_tables (
    name text primary key collate nocase, attempt text not null, data_version blob not null, doubted integer not null
) without rowid;";

/// The `sqlite` IO manager.
pub struct SqliteManager {
    root: PathBuf,
    maker: Maker,
    database: PathBuf,
    shown: String,
    connections: Connections,
    hooked: Hooked,
    /// By the folders of their attempts. Nobody else knows what is staged, so it is looked at once.
    looked: Mutex<HashMap<PathBuf, Looked>>,
}

/// What was found staged.
#[derive(Clone)]
struct Looked {
    database: PathBuf,
    content: Content,
    declared: Vec<(String, String)>,
}

impl SqliteManager {
    pub fn new(project_root: PathBuf, path: &ProjectPath, maker: Maker) -> Self {
        let (database, shown) = (path.under(&project_root), path.to_string());
        let connections = Connections::new(database.clone(), shown.clone());
        SqliteManager {
            root: project_root,
            maker,
            database,
            shown,
            connections,
            hooked: Hooked::default(),
            looked: Mutex::default(),
        }
    }

    fn looked(&self) -> MutexGuard<'_, HashMap<PathBuf, Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where everything of one attempt at one target lies until it is published.
    fn folder(&self, target: &Target, attempt: &AttemptId) -> PathBuf {
        let name = [self.shown.as_bytes(), b"\0", target.path.as_bytes(), b"\0", attempt.0.as_bytes()].concat();
        self.root.join(".assets/tmp").join(format!("table-{}", Digest::of(&name).short()))
    }

    /// What the command or query made: a database with the one table [`STAGED`].
    fn staged(&self, staged: &Staged) -> Result<(PathBuf, Connection), IoError> {
        let folder = self.folder(&staged.target, &staged.attempt);
        let made = folder.join(file_name(&staged.target));
        let database = staged_database(&staged.target, &folder);
        // What a command handed over becomes one when it is first looked at.
        if staged.target.format.is_some() && fs::look(&database)?.is_none() {
            let partial = folder.join("partial.sqlite");
            fs::remove(&partial)?;
            import(&made, &partial, &staged.target)?;
            fs::rename(&partial, &database)?;
        }
        match fs::look(&database)? {
            None => return Err(IoError::OutputMissing(table_name(&staged.target))),
            Some(it) if !it.is_file() => {
                return Err(IoError::WrongKind {
                    path: table_name(&staged.target),
                    expected: "a table",
                    found: "no file",
                });
            }
            Some(_) => {}
        }
        let connection = rows::open(&database).map_err(|it| self.error(&it))?;
        // Nobody else looks at it: it is not locked anew for each statement.
        connection.execute_batch("pragma main.locking_mode = exclusive").map_err(|it| self.error(&it))?;
        match table::exists(&connection, STAGED).map_err(|it| self.error(&it))? {
            true => Ok((database, connection)),
            false => Err(IoError::OutputMissing(table_name(&staged.target))),
        }
    }

    /// What is staged, and the database that holds it; a view has none.
    fn look(&self, staged: &Staged) -> Result<(Option<PathBuf>, Content), IoError> {
        if staged.target.publishing.view {
            let body = view::staged(&self.view_file(staged), &table_name(&staged.target))?;
            return Ok((None, view::content(&body)));
        }
        let folder = self.folder(&staged.target, &staged.attempt);
        if let Some(Looked { database, content, .. }) = self.looked().get(&folder).cloned() {
            return Ok((Some(database), content));
        }
        let (database, connection) = self.staged(staged)?;
        if let Some(slice) = &staged.target.slice {
            slice::belongs(&connection, &staged.target, slice)?;
            let name = table_name(&staged.target);
            // The database is let go before the rows are gone through.
            let old = self.ask(|live| slice::settled(live, &name, slice))?.unwrap_or_default();
            if !old.is_empty() {
                slice::shape(&old, &connection, &name)?;
            }
        }
        // Whether a partition fits the table is asked again: another may have made that meanwhile.
        let is_settled = staged.target.slice.is_none();
        let columns = is_settled.then(|| table::columns(&connection, "main", STAGED)).transpose();
        let columns = columns.map_err(|it| self.error(&it))?;
        let content = self.content(connection, &staged.target, STAGED, "true")?;
        if let Some(declared) = columns {
            let looked = Looked { database: database.clone(), content: content.clone(), declared };
            self.looked().insert(folder, looked);
        }
        Ok((Some(database), content))
    }

    fn content(
        &self,
        connection: Connection,
        target: &Target,
        name: &str,
        condition: &str,
    ) -> Result<Content, IoError> {
        let found = rows::read_tagged(connection, name, condition).and_then(|it| target.version_of(it));
        Ok(found.map_err(|it| self.table_error(name, &it))?.into())
    }

    fn table_error(&self, name: &str, error: &TableError) -> IoError {
        IoError::Other { path: format!("{}: {name}", self.shown), cause: error.to_string() }
    }

    fn error(&self, error: &rusqlite::Error) -> IoError {
        self.connections.error(error)
    }

    /// Publishes what is staged in one transaction, with everything that is to be done along with it.
    fn copy(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        let (from, found) = self.look(staged)?;
        if found.data_version != content.data_version {
            return Err(IoError::Unstable { path: table_name(&staged.target) });
        }
        let error = |it: rusqlite::Error| self.error(&it);
        let publishing = &staged.target.publishing;
        let (mut left, name) = (content.clone(), table_name(&staged.target));
        self.connections.write(|connection| {
            if let Some(from) = &from {
                connection.execute("attach ? as stage", [from.to_string_lossy()]).map_err(error)?;
                // Nothing is written to it. Without being told, SQLite would prepare to commit to both at once.
                let alone = "pragma stage.locking_mode = exclusive; pragma stage.synchronous = off";
                connection.execute_batch(alone).map_err(error)?;
            }
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
            let seal = Seal::taken(&transaction, &self.database).map_err(error)?;
            publishing.pre_hooks.iter().try_for_each(|it| run_hook(&transaction, it))?;
            self.put(&transaction, staged, content)?;
            self.index(&transaction, staged)?;
            publishing.post_hooks.iter().try_for_each(|it| run_hook(&transaction, it))?;
            // Triggers of people's own see the rows of a partition come and go.
            let does_more = publishing.has_hooks()
                || staged.target.slice.is_some() && table::has_triggers(&transaction, &name).map_err(error)?;
            if does_more {
                left = self.left(&transaction, &staged.target)?;
            }
            seal.renew(&transaction).and_then(|()| transaction.commit()).map_err(error)?;
            // Nobody knows what statements of people's own have set.
            Ok(!publishing.has_hooks() && (from.is_none() || connection.execute("detach stage", []).is_ok()))
        })?;
        self.hooked.note(&staged.target, content, &left);
        Ok(token(&left.data_version))
    }

    /// What hooks have left of what was published. What they did to other tables nobody told.
    fn left(&self, transaction: &Transaction<'_>, target: &Target) -> Result<Content, IoError> {
        let (name, error) = (table_name(target), |it: rusqlite::Error| self.error(&it));
        let left = match table::exists(transaction, &name).map_err(error)? {
            false => return Err(gone(&name)),
            true if target.publishing.view => view::found(transaction, &name).map_err(error)?,
            true => {
                let found = rows::version_within(transaction, target, &name);
                Some(found.map_err(|it| self.table_error(&name, &it))?.into())
            }
        };
        let left = left.ok_or_else(|| gone(&name))?;
        let ledger = target.ledger_name();
        transaction
            .execute("update main._assets_tables set doubted = 1 where name <> ?", [&ledger])
            .and_then(|_| {
                let now = "update main._assets_tables set data_version = ? where name = ?";
                transaction.execute(now, params![left.data_version.0, ledger])
            })
            .map_err(error)?;
        Ok(left)
    }

    /// What this attempt has published and its hooks have left, if it is still there.
    fn left_by(&self, target: &Target, attempt: &AttemptId) -> Result<Option<Content>, IoError> {
        let may_be_other = !target.publishing.post_hooks.is_empty() || target.slice.is_some();
        if !may_be_other || !self.is_published(target, attempt)? {
            return Ok(None);
        }
        let row = "select data_version from main._assets_tables where name = ?";
        let told = self.ask(|it| it.query_row(row, [target.ledger_name()], |it| it.get(0)).optional())?.flatten();
        Ok(self.version(target)?.filter(|it| told == Some(it.data_version.0)))
    }

    /// The new table or view under its name.
    fn put(&self, transaction: &Transaction<'_>, staged: &Staged, content: &Content) -> Result<(), IoError> {
        let (name, signature) = (table_name(&staged.target), self.maker.signature(&staged.attempt));
        let error = |it: rusqlite::Error| self.error(&it);
        if let Some(slice) = &staged.target.slice {
            transaction.execute_batch(OURS).map_err(error)?;
            if slice::is_taken(transaction, &staged.target, slice).map_err(error)? {
                let others = slice::published(transaction, &name).map_err(error)?;
                taken_once(&staged.target, others, |it| slice::has_both(transaction, &name, slice, it))
                    .map_err(error)??;
            }
            slice::put(transaction, &name, slice)?;
            // Of the table as a whole it was not said since.
            transaction.execute("delete from main._assets_tables where name = ?", [&name]).map_err(error)?;
            let row = params![staged.target.ledger_name(), signature, content.data_version.0];
            return transaction
                .execute("insert or replace into main._assets_tables values (?, ?, ?, 0)", row)
                .map(drop)
                .map_err(error);
        }
        transaction.execute_batch(OURS).and_then(|()| drop_table(transaction, &name)).map_err(error)?;
        slice::forget(transaction, &name).map_err(error)?;
        if staged.target.publishing.view {
            let body = view::staged(&self.view_file(staged), &name)?;
            transaction.execute("delete from main._assets_tables where name = ?", [&name]).map_err(error)?;
            let made = view::make(transaction, &name, &signature, &body);
            return made.map_err(|it| refused(&format!("view {name}"), &it));
        }
        let copied = (|| {
            view::forget(transaction, &name)?;
            let columns = table::definition(transaction, "stage", STAGED)?;
            transaction.execute_batch(&format!(
                "create table main.{name} {columns}; insert into main.{name} select * from stage.{STAGED} order by rowid;",
                name = quoted(&name)
            ))?;
            transaction.execute(
                "insert or replace into main._assets_tables values (?, ?, ?, 0)",
                params![name, signature, content.data_version.0],
            )
        })();
        copied.map(drop).map_err(error)
    }

    fn index(&self, transaction: &Transaction<'_>, staged: &Staged) -> Result<(), IoError> {
        let name = table_name(&staged.target);
        let indexes = &staged.target.publishing.indexes;
        let columns = match indexes.is_empty() {
            true => Vec::new(),
            false => table::columns(transaction, "main", &name).map_err(|it| self.error(&it))?,
        };
        for (number, index) in indexes.iter().enumerate() {
            // SQLite would take its name in quotes for a text.
            let is_there = |it: &&String| columns.iter().any(|(name, _)| name.eq_ignore_ascii_case(it));
            if let Some(missing) = index.columns.iter().find(|it| !is_there(it)) {
                let cause = format!("there is no column `{missing}`");
                return Err(IoError::unpublished(format!("index on {name}"), cause));
            }
            let called = staged.index_name(number);
            let made = transaction.execute_batch(&index.statement(&called, &quoted(&name), "main."));
            made.map_err(|it| refused(&format!("index on {name}"), &it))?;
        }
        Ok(())
    }

    /// Whether what is there is what this attempt made, hooks and all.
    fn is_published(&self, target: &Target, attempt: &AttemptId) -> Result<bool, IoError> {
        let (name, signature) = (target.ledger_name(), self.maker.signature(attempt));
        let found = self.ask(|connection| {
            if target.publishing.view {
                return view::is_of(connection, &name, &signature);
            }
            if !table::exists(connection, "_assets_tables")? {
                return Ok(false);
            }
            let row = "select attempt = ? from main._assets_tables where name = ?";
            let found: Option<bool> = connection.query_row(row, [&signature, &name], |it| it.get(0)).optional()?;
            Ok(found == Some(true))
        });
        Ok(found?.unwrap_or(false))
    }

    /// Where it is written how a view is to be made.
    fn view_file(&self, staged: &Staged) -> PathBuf {
        self.folder(&staged.target, &staged.attempt).join(file_name(&staged.target))
    }

    /// The version of the table that is there, read in full.
    fn version(&self, target: &Target) -> Result<Option<Content>, IoError> {
        let name = table_name(target);
        if target.publishing.view {
            return self.ask(|connection| view::found(connection, &name)).map(Option::flatten);
        }
        match self.is_there(target)? {
            true => {
                let connection = rows::open(&self.database).map_err(|it| self.error(&it))?;
                self.content(connection, target, &name, &target.condition()).map(Some)
            }
            false => Ok(None),
        }
    }

    fn is_there(&self, target: &Target) -> Result<bool, IoError> {
        let found = self.ask(|connection| {
            Ok(table::exists(connection, &table_name(target))?
                && (target.slice.is_none() || holds(connection, target)?))
        });
        Ok(found?.unwrap_or(false))
    }

    fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>, IoError> {
        self.connections.ask(|connection| question(connection).map_err(|it| self.error(&it)))
    }

    /// What this tool wrote down of the table, if nobody else has written to the database since, and the seal that tells.
    fn written_down(&self, target: &Target) -> Result<(Option<Digest>, Option<i64>), IoError> {
        let found = self.ask(|connection| {
            if !table::exists(connection, "_assets_tables")? {
                return Ok((None, None));
            }
            let Some(seal) = Seal::holding(connection, &self.database)? else { return Ok((None, None)) };
            let row = "select data_version from main._assets_tables where name = ? and doubted = 0";
            let version =
                connection.prepare_cached(row)?.query_row([target.ledger_name()], |it| it.get(0)).optional()?;
            Ok((version.map(Digest), Some(seal)))
        });
        Ok(found?.unwrap_or_default())
    }

    /// Seals what others have written to: from then on it shows whether they write again. Where that cannot be done at
    /// once, it is not.
    fn seal(&self) -> Result<(), IoError> {
        let possible =
            |it: &Connection| Ok(table::exists(it, "_assets_tables")? && Seal::is_possible(it, &self.database)?);
        if self.ask(possible)? != Some(true) {
            return Ok(());
        }
        self.connections.write(|connection| {
            let sealed = (|| {
                connection.busy_timeout(SEALING_MAX)?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                Seal::taken(&transaction, &self.database)?.renew(&transaction)?;
                transaction.commit()?;
                connection.busy_timeout(BUSY_MAX)
            })();
            Ok(sealed.is_ok())
        })
    }
}

impl IoManager for SqliteManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities { tables: true, sql: true, partitions: true, persistent: true, ..Capabilities::default() }
    }

    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
        let folder = self.folder(target, attempt);
        self.looked().remove(&folder);
        fs::remove(&folder)?;
        fs::create_folder(&folder)?;
        let token = attempt.0.as_bytes().to_vec();
        Ok(Staged { target: target.clone(), attempt: attempt.clone(), path: folder.join(file_name(target)), token })
    }

    fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
        Ok(self.look(staged)?.1)
    }

    fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
        self.version(target)
    }

    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        let stored = match self.copy(staged, content) {
            // It is not guessed what became of it: an answer may have been lost.
            Err(IoError::Other { path, cause }) => {
                return Err(match self.is_published(&staged.target, &staged.attempt) {
                    Ok(false) => IoError::unpublished(path, cause),
                    _ => IoError::Other { path, cause },
                });
            }
            other => other?,
        };
        self.discard(staged)?;
        Ok(stored)
    }

    fn discard(&self, staged: &Staged) -> Result<(), IoError> {
        let folder = self.folder(&staged.target, &staged.attempt);
        self.looked().remove(&folder);
        Ok(fs::remove(&folder)?)
    }

    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        if self.written_down(target)?.0.is_some_and(|it| token(&it) == *stored) {
            return Ok(Probed::Same);
        }
        self.probe_in_full(target, stored)
    }

    fn probe_witnessed(&self, target: &Target, stored: &StoredOutput) -> Result<(Probed, Option<Witness>), IoError> {
        let (mut written, mut seal) = self.written_down(target)?;
        if seal.is_none() {
            self.seal()?;
            (written, seal) = self.written_down(target)?;
        }
        let witness = seal.map(Witness::Database);
        if written.is_some_and(|it| token(&it) == *stored) {
            return Ok((Probed::Same, witness));
        }
        Ok((self.probe_in_full(target, stored)?, witness))
    }

    fn witness(&self, _: &Target) -> Result<Option<Witness>, IoError> {
        let seal = self.ask(|it| Seal::holding(it, &self.database))?.flatten();
        Ok(seal.map(Witness::Database))
    }

    fn probe_in_full(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        Ok(match self.version(target)? {
            None => Probed::Missing,
            Some(it) if token(&it.data_version) == *stored => Probed::Same,
            Some(_) => Probed::Modified,
        })
    }

    fn rename(&self, from: &Target, to: &Target) -> Result<bool, IoError> {
        let (old, new) = (table_name(from), table_name(to));
        let is_possible = self.ask(|connection| {
            let is_table = table::exists(connection, &old)? && !table::is_view(connection, &old)?;
            Ok(is_table && !table::exists(connection, &new)? && !table::is_view(connection, &new)?)
        })?;
        if is_possible != Some(true) {
            return Ok(false);
        }
        self.connections.write(|connection| {
            let renamed = (|| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let seal = Seal::taken(&transaction, &self.database)?;
                let statement = format!("alter table main.{} rename to {}", quoted(&old), quoted(&new));
                transaction.execute_batch(&statement)?;
                transaction.execute_batch(OURS)?;
                transaction.execute(
                    "update main._assets_tables set name = ?2 || substr(name, length(?1) + 1) \
                     where name = ?1 or substr(name, 1, length(?1) + 1) = ?1 || '@'",
                    [&old, &new],
                )?;
                seal.renew(&transaction)?;
                transaction.commit()
            })();
            renamed.map(|()| true).map_err(|it: rusqlite::Error| self.error(&it))
        })?;
        Ok(true)
    }

    fn is_foreign(&self, target: &Target) -> Result<bool, IoError> {
        let name = table_name(target);
        let found = self.ask(|connection| {
            let is_there = table::exists(connection, &name)? || table::is_view(connection, &name)?;
            Ok(is_there && !is_ours(connection, target, &self.maker)?)
        });
        Ok(found?.unwrap_or(false))
    }

    fn declared(&self, target: &Target, staged: Option<&Staged>) -> Result<Option<Box<str>>, IoError> {
        if target.publishing.view {
            return Ok(None);
        }
        let found = match staged {
            Some(staged) => {
                let looked = self.looked().get(&self.folder(target, &staged.attempt)).cloned();
                if let Some(it) = looked {
                    return Ok(lines_of(&it.declared));
                }
                let connection = self.staged(staged)?.1;
                Some(table::columns(&connection, "main", STAGED).map_err(|it| self.error(&it))?)
            }
            None => self.ask(|it| table::columns(it, "main", &table_name(target)))?,
        };
        Ok(found.as_deref().and_then(lines_of))
    }

    fn after_hooks(&self, target: &Target) -> Option<Content> {
        self.hooked.take(target)
    }

    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let found = self.version(target)?;
        Ok(found.filter(|it| it.data_version == *data_version).map(|it| token(&it.data_version)))
    }

    fn recover(&self, target: &Target, words: &[u8], content: &Content) -> Result<Recovered, IoError> {
        let attempt = AttemptId(String::from_utf8_lossy(words).into_owned());
        // Of the same rows it cannot be told whether everything else was done too.
        let all_told = !target.publishing.does_more() || self.is_published(target, &attempt)?;
        if all_told && let Some(stored) = self.adopt(target, &content.data_version)? {
            return Ok(Recovered::Published(stored));
        }
        if let Some(left) = self.left_by(target, &attempt)? {
            self.hooked.note(target, content, &left);
            return Ok(Recovered::Published(token(&left.data_version)));
        }
        let staged = Staged { target: target.clone(), attempt, path: PathBuf::new(), token: words.to_vec() };
        match self.publish(&staged, content) {
            Ok(stored) => Ok(Recovered::Published(stored)),
            Err(
                IoError::OutputMissing(_) | IoError::Unstable { .. } | IoError::NotFound(_) | IoError::Refused { .. },
            ) => Ok(Recovered::Lost),
            Err(error) => Err(error),
        }
    }

    fn load(&self, target: &Target) -> Result<Loaded, IoError> {
        let name = table_name(target);
        if !self.is_there(target)? {
            return Err(IoError::NotFound(name));
        }
        rows::read_where(&self.database, &name, &target.condition())
            .map(Loaded::Rows)
            .map_err(|it| self.table_error(&name, &it))
    }

    fn delete(&self, target: &Target) -> Result<(), IoError> {
        if fs::look_through(&self.database)?.is_none() {
            return Ok(());
        }
        self.connections.write(|connection| {
            let deleted = (|| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let seal = Seal::taken(&transaction, &self.database)?;
                transaction.execute_batch(OURS)?;
                match &target.slice {
                    Some(slice) => slice::delete(&transaction, &table_name(target), slice)?,
                    None => {
                        drop_table(&transaction, &table_name(target))?;
                        slice::forget(&transaction, &table_name(target))?;
                        view::forget(&transaction, &table_name(target))?;
                    }
                }
                transaction.execute("delete from main._assets_tables where name = ?", [target.ledger_name()])?;
                if target.slice.is_some() {
                    // The table stays, without a partition, and is ours.
                    let mark = "insert or ignore into main._assets_tables values (?, ?, zeroblob(32), 0)";
                    transaction.execute(mark, [table_name(target), self.maker.mark()])?;
                }
                seal.renew(&transaction)?;
                transaction.commit()
            })();
            deleted.map(|()| true).map_err(|it: rusqlite::Error| self.error(&it))
        })
    }
}

/// Whether a partition is there: it may have been made of no rows.
fn holds(connection: &Connection, target: &Target) -> rusqlite::Result<bool> {
    let known = "select 1 from main._assets_tables where name = ?";
    let is_known = table::exists(connection, "_assets_tables")?
        && connection.query_row(known, [target.ledger_name()], |_| Ok(())).optional()?.is_some();
    let rows = format!("select 1 from main.{} where {} limit 1", quoted(&table_name(target)), target.condition());
    Ok(is_known || connection.query_row(&rows, [], |_| Ok(())).optional()?.is_some())
}

/// Whether a table or view was made for this project, or some partition of it.
fn is_ours(connection: &Connection, target: &Target, maker: &Maker) -> rusqlite::Result<bool> {
    let name = &table_name(target);
    if let Some(signature) = view::signature(connection, name)? {
        return Ok(maker.is_own(&signature));
    }
    if !table::exists(connection, "_assets_tables")? {
        return Ok(false);
    }
    // Of a partition that is written down itself it is not told by the others.
    let own = "select attempt from main._assets_tables where name = ?";
    let told: Option<String> = connection.query_row(own, [target.ledger_name()], |it| it.get(0)).optional()?;
    if let Some(signature) = told {
        return Ok(maker.is_own(&signature));
    }
    let rows = "select distinct attempt from main._assets_tables where name = ?1 collate nocase \
                or substr(name, 1, length(?2)) = ?2 collate nocase";
    let mut found = connection.prepare_cached(rows)?;
    let mut signatures = found.query_map([name, &format!("{name}@")], |it| it.get::<_, String>(0))?;
    signatures.try_fold(false, |any, it| Ok(any || maker.is_own(&it?)))
}

/// The table of a target: its path has one part.
pub fn table_name(target: &Target) -> String {
    target.path.to_string()
}

/// Where what was staged in `folder` is a database with the one table [`STAGED`], once it was looked at.
pub fn staged_database(target: &Target, folder: &Path) -> PathBuf {
    match target.format {
        None => folder.join(file_name(target)),
        Some(_) => folder.join("staged.sqlite"),
    }
}

/// Statements of people's own, which see what is published so far.
fn run_hook(transaction: &Transaction<'_>, hook: &Hook) -> Result<(), IoError> {
    transaction.execute_batch(&hook.text).map_err(|it| refused(&hook.shown, &it))
}

fn refused(what: &str, error: &rusqlite::Error) -> IoError {
    let cause = match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    IoError::unpublished(what, cause)
}

/// What a command or a query is to write.
fn file_name(target: &Target) -> String {
    format!("{}.{}", table_name(target), target.format.as_deref().unwrap_or("sqlite"))
}

/// A view of the same name gives way too.
fn drop_table(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    if !table::exists(transaction, name)? {
        return Ok(());
    }
    let kind = if table::is_view(transaction, name)? { "view" } else { "table" };
    transaction.execute_batch(&format!("drop {kind} main.{}", quoted(name)))
}

/// Makes a database at `to` with the rows of the file `from` as its one table.
fn import(from: &Path, to: &Path, target: &Target) -> Result<(), IoError> {
    let shown = table_name(target);
    if fs::look(from)?.is_none() {
        return Err(IoError::OutputMissing(shown));
    }
    let made = read::open(&[from.to_owned()], target.handed_over()).and_then(|it| {
        let connection = Connection::open(to)?;
        connection.execute_batch("pragma journal_mode = off; pragma synchronous = off")?;
        rows::insert(&connection, &format!("main.{STAGED}"), it)
    });
    made.map_err(|it| IoError::Other { path: shown, cause: it.to_string() })
}

fn token(data_version: &Digest) -> StoredOutput {
    StoredOutput::Token(data_version.0.to_vec())
}
