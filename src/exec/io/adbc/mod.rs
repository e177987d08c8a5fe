//! Tables of a database behind an ADBC driver, DuckDB first of all.
//!
//! What is staged is a table beside the others, with a name that nobody else uses. In DuckDB it is one that no
//! other connection sees: query and publication are one transaction, so that a crash leaves nothing;
//! it has its own name at once if that is free and nothing is to happen before others see it. It is committed where checks
//! follow, as one that fails would take the transaction with it, and in engines that do not let others write meanwhile.
//!
//! Publishing is one transaction: the old table goes, the staged one takes its name, and a row of
//! `_assets_tables` says whose it is. Its commit is the commit point, and that row is asked after a crash. It is
//! left out where nobody else writes to the database and nothing was done that the rows do not tell: then those are
//! asked. An engine that cannot rename inside of a transaction replaces the table in one statement instead, and what
//! is there is compared after a crash.
//!
//! Of a table that is kept by partition the rows of one are deleted and the staged ones inserted, in one transaction
//! too. What is staged is committed first: partitions of one table are made beside each other, and a transaction that
//! began before the table was made would not see it.
//!
//! Everything happens in this process: a driver is a library. Nothing is loaded before something is asked that
//! cannot be known without.

pub mod bring;
pub mod database;
pub mod declared;
pub mod driver;
pub mod engine;
pub mod ledger;
mod names;
pub mod open;
pub mod session;
pub mod slice;
pub mod snowflake;
pub mod threads;
mod view;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    base::{digest::Digest, fs},
    exec::{
        io::{
            Capabilities, Content, IoError, IoManager, Loaded, Probed, Recovered, Slice, Staged, Target,
            hooked::{Hooked, gone},
            lines_of,
            slice::{strangers, taken_once},
        },
        lock::LockName,
        table::{Rows, TableError, read},
    },
    model::sql::Dialect,
    plan::record::{AttemptId, StoredOutput},
};
use database::{Database, Held, OURS, STAGE};
use declared::Declared;
use session::{Refused, Session};
use threads::SMALL_BYTES;

/// The `duckdb` and `adbc` IO manager.
pub struct AdbcManager {
    database: Arc<Database>,
    hooked: Hooked,
}

/// What is recorded of an output.
#[derive(Serialize, Deserialize)]
struct Token {
    place: String,
    version: String,
    /// How the columns of a whole table are declared, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declared: Option<String>,
}

impl AdbcManager {
    pub fn new(database: Arc<Database>) -> AdbcManager {
        AdbcManager { database, hooked: Hooked::default() }
    }

    /// What it is written down as.
    fn ledger_name(&self, target: &Target) -> String {
        self.database.called(&target.ledger_name()).into_owned()
    }

    fn shown(&self, target: &Target) -> String {
        format!("{}: {}", self.database.place.shown, table_name(target))
    }

    /// Where a command writes until its rows are loaded. It is called as the table of the attempt.
    fn folder(&self, target: &Target, attempt: &AttemptId) -> PathBuf {
        self.database.place.project_root.join(".assets/tmp").join(self.stage_table(target, attempt))
    }

    /// What the names of all tables begin with that this project stages for a target.
    fn stages(&self, target: &Target) -> String {
        let root = self.database.place.project_root.as_os_str().as_encoded_bytes();
        let partition = target.partition.name().map(|it| format!("\0{it}")).unwrap_or_default();
        let name = [root, b"\0", self.shown(target).as_bytes(), partition.as_bytes()].concat();
        format!("{STAGE}{}_", Digest::of(&name).short())
    }

    /// The table of one attempt until it is published.
    fn stage_table(&self, target: &Target, attempt: &AttemptId) -> String {
        format!("{}{}", self.stages(target), Digest::of(attempt.0.as_bytes()).short())
    }

    fn told(&self, target: &Target) -> impl Fn(Refused) -> IoError {
        let path = self.shown(target);
        move |it| IoError::Other { path: path.clone(), cause: it.message }
    }

    /// What the command or query made; what a command handed over is loaded when it is first looked at.
    fn staged(&self, staged: &Staged) -> Result<Held, IoError> {
        let (target, engine) = (&staged.target, self.database.place.engine);
        let name = self.stage_table(target, &staged.attempt);
        let told = self.told(target);
        if let Some(held) = self.database.take(&name) {
            return Ok(held);
        }
        let file = self.folder(target, &staged.attempt).join(file_name(target));
        let handed_over = fs::look(&file)?;
        let mut session = self.database.session()?;
        if handed_over.as_ref().is_some_and(|it| it.len() > SMALL_BYTES) {
            self.database.widen(&mut session);
        }
        if session.kind_of(&name).map_err(&told)?.is_some() {
            return Ok(Held::default());
        }
        match handed_over {
            Some(it) if it.is_file() && target.format.is_some() => {}
            Some(it) if target.format.is_some() => {
                let found = if it.is_dir() { "a folder" } else { "a link" };
                return Err(IoError::WrongKind { path: table_name(target), expected: "a file", found });
            }
            _ => return Err(IoError::OutputMissing(table_name(target))),
        }
        if engine.holds {
            session.run(engine.begin).map_err(&told)?;
        }
        let rows = read::open(&[file], target.handed_over());
        rows.map_err(Refused::plain).and_then(|it| bring::table(&mut session, &name, it)).map_err(&told)?;
        Ok(Held { session: engine.holds.then_some(session), ..Held::default() })
    }

    /// Looks at what is staged, with the session that sees it.
    fn look<T>(
        &self,
        staged: &Staged,
        held: &mut Held,
        at: impl FnOnce(&mut Session, &str) -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        let stage = self.stage_table(&staged.target, &staged.attempt);
        match &mut held.session {
            Some(session) if held.is_named => at(session, &table_name(&staged.target)),
            Some(session) => at(session, &stage),
            None => at(&mut self.database.session_over([&*stage])?, &stage),
        }
    }

    /// What is staged: its rows, and its columns where the engine is asked for them.
    fn seen(&self, session: &mut Session, target: &Target, stage: &str) -> Result<(Content, Declared), IoError> {
        let told = self.told(target);
        if let Some(slice) = &target.slice {
            let other = slice::strangers(session, stage, slice).map_err(&told)?;
            if other > 0 {
                return Err(strangers(&format!("table {}", table_name(target)), other, slice));
            }
            slice::shape(session, (&table_name(target), stage), slice)?;
        }
        if !self.declares(target) {
            return self.content(session, target, stage, None).map(|it| (it, Vec::new()));
        }
        let (content, declared) = match session.is_wide() {
            // Told with each row of many it would cost more.
            true => (self.content(session, target, stage, None)?, None),
            false => {
                let (rows, declared) = declared::rows(session, stage).map_err(&told)?;
                (self.content_of(target, rows)?, declared)
            }
        };
        let declared = declared.map_or_else(|| declared::of_table(session, stage), Ok).map_err(&told)?;
        if let Some((name, _)) = declared.iter().find(|it| it.1.contains("TIME WITH TIME ZONE")) {
            let help = "its rows would be told apart by the time of day alone: cast it to time or text".to_owned();
            let cause = format!("column `{name}` is a time with an offset, which is not supported");
            return Err(IoError::Refused { what: format!("table {}", table_name(target)), cause, help });
        }
        Ok((content, declared))
    }

    /// Whether the engine is asked what columns are declared as. Of engines that nobody asked it is not said.
    fn declares(&self, target: &Target) -> bool {
        self.database.place.engine.dialect == Dialect::DuckDb && !target.publishing.view
    }

    fn content(
        &self,
        session: &mut Session,
        target: &Target,
        table: &str,
        condition: Option<&str>,
    ) -> Result<Content, IoError> {
        if target.publishing.view {
            let found = view::content(session, table).map_err(self.told(target))?;
            return found.ok_or_else(|| IoError::OutputMissing(table_name(target)));
        }
        let condition = condition.map(|it| format!(" where {it}")).unwrap_or_default();
        let query = format!("select * from {}{condition}", session.qualified(table));
        let rows = session.rows(&query).map_err(self.told(target))?;
        self.content_of(target, rows)
    }

    fn content_of(&self, target: &Target, rows: Rows) -> Result<Content, IoError> {
        let found = target.version_of(rows).map_err(|it| self.table_error(target, &it))?;
        Ok(found.into())
    }

    fn table_error(&self, target: &Target, error: &TableError) -> IoError {
        IoError::Other { path: self.shown(target), cause: error.to_string() }
    }

    /// The version of the table that is there, read in full.
    fn version(&self, target: &Target) -> Result<Option<Content>, IoError> {
        if !self.database.may_be_there()? {
            return Ok(None);
        }
        let since = self.database.doubts();
        let mut session = self.database.session_over([&*table_name(target)])?;
        let Some(condition) = self.holds(&mut session, target).map_err(self.told(target))? else { return Ok(None) };
        let content = self.content(&mut session, target, &table_name(target), Some(&condition))?;
        self.database.learn(&self.ledger_name(target), &content.data_version, since);
        Ok(Some(content))
    }

    /// What selects the rows, if the table is there and, of a partition, some of them; or none, and it was written
    /// down so.
    fn holds(&self, session: &mut Session, target: &Target) -> Result<Option<String>, Refused> {
        let name = table_name(target);
        if session.kind_of(&name)?.is_none() {
            return Ok(None);
        }
        let Some(slice) = &target.slice else { return Ok(Some("1 = 1".to_owned())) };
        let Some(condition) = slice::condition(session, &name, slice)? else { return Ok(None) };
        let (table, ours) = (session.qualified(&name), session.qualified(OURS));
        let written =
            format!("select 1 from {ours} where name = {}", session.engine.literal(&self.ledger_name(target)));
        let is_there = !session.texts(&format!("select 1 from {table} where {condition} limit 1"))?.is_empty()
            || !session.texts(&written)?.is_empty();
        Ok(is_there.then_some(condition))
    }

    /// That of the query, if it is held. Statements of people's own may take long, and rows of a partition are copied.
    fn session_to_publish(&self, staged: &Staged, held: Option<Session>) -> Result<Session, IoError> {
        let mut session = held.map_or_else(|| self.database.session(), Ok)?;
        let stage = self.stage_table(&staged.target, &staged.attempt);
        let is_copied = staged.target.slice.is_some();
        let is_small = |it: &Self| !is_copied || it.database.is_small([&*table_name(&staged.target), &stage]);
        if staged.target.publishing.does_more() || !is_small(self) {
            self.database.widen(&mut session);
        }
        Ok(session)
    }

    /// From now on there is a table of that name, and whatever hooks make; whether one may have been there.
    fn takes_name(&self, target: &Target) -> bool {
        if target.publishing.does_more() {
            self.database.doubt_names();
        }
        self.database.takes_name(&table_name(target))
    }

    /// Makes the staged table the visible one, and tells what is there after its hooks.
    fn swap(&self, staged: &Staged, content: &Content, held: Held) -> Result<Content, IoError> {
        if let Some(slice) = &staged.target.slice {
            return self.put(staged, content, slice, held.session);
        }
        let (told, is_begun) = (self.told(&staged.target), held.session.is_some());
        let mut session = self.session_to_publish(staged, held.session)?;
        if session.engine.transactional && !is_begun {
            session.run(session.engine.begin).map_err(&told)?;
        }
        match session.engine.transactional {
            true => self.swap_in(staged, content, session, held.is_named),
            false => self.replace(staged, content, session).map_err(told).map(|()| content.clone()),
        }
    }

    /// In one transaction, which `session` has begun, with everything that is to be done along with it.
    fn swap_in(
        &self,
        staged: &Staged,
        content: &Content,
        mut session: Session,
        is_named: bool,
    ) -> Result<Content, IoError> {
        session.stopped_by(None);
        let session = &mut session;
        let (told, publishing) = (self.told(&staged.target), &staged.target.publishing);
        let (engine, name) = (session.engine, table_name(&staged.target));
        let was_there = !is_named && self.takes_name(&staged.target);
        view::hooks(session, &publishing.pre_hooks)?;
        if was_there {
            session.drop_table(&name).map_err(&told)?;
        }
        if !is_named {
            let kind = if publishing.view { "view" } else { "table" };
            let from = session.qualified(&self.stage_table(&staged.target, &staged.attempt));
            session.run(&format!("alter {kind} {from} rename to {}", engine.quoted(&name))).map_err(&told)?;
        }
        view::indexes(session, staged, &name)?;
        let left = self.hook(session, &staged.target, content)?;
        let by_rows = self.is_told_by_rows(&staged.target);
        if !by_rows || self.database.is_written(&name) {
            let of = (&staged.attempt, &left.data_version);
            self.database.write_down(session, &name, Some(of).filter(|_| !by_rows)).map_err(&told)?;
        }
        let left = self.commit(session, &staged.target, left)?;
        if by_rows {
            self.database.mark(&name);
        }
        Ok(left)
    }

    /// Runs what is to be run after the table has its name, and tells what that has left of it.
    fn hook(&self, session: &mut Session, target: &Target, content: &Content) -> Result<Content, IoError> {
        let hooks = &target.publishing.post_hooks;
        if hooks.is_empty() {
            return Ok(content.clone());
        }
        view::hooks(session, hooks)?;
        let (name, told) = (table_name(target), self.told(target));
        if session.kind_of(&name).map_err(&told)?.is_none() {
            return Err(gone(&self.shown(target)));
        }
        let condition = match &target.slice {
            None => None,
            Some(slice) => Some(
                slice::condition(session, &name, slice).map_err(&told)?.ok_or_else(|| told(slice::without(slice)))?,
            ),
        };
        self.content(session, target, &name, condition.as_deref())
    }

    /// Commits what is published. What hooks did to other tables nobody told.
    fn commit(&self, session: &mut Session, target: &Target, left: Content) -> Result<Content, IoError> {
        let name = self.ledger_name(target);
        let committed = match target.publishing.has_hooks() {
            true => self.database.commit_alone(session, &name, &left.data_version),
            false => self.database.commit(session, &name, Some(&left.data_version)),
        };
        committed.map_err(self.told(target)).map(|()| left)
    }

    /// What an attempt has published and its hooks have left, if it is still there.
    fn left_by(&self, target: &Target) -> Result<Option<Content>, IoError> {
        if target.publishing.post_hooks.is_empty() {
            return Ok(None);
        }
        let mut session = self.database.session()?;
        let (engine, ours) = (session.engine, session.qualified(OURS));
        let query =
            format!("select data_version from {ours} where name = {}", engine.literal(&self.ledger_name(target)));
        let told = session.texts(&query).map_err(self.told(target))?.into_iter().flatten().flatten().next();
        drop(session);
        Ok(self.version(target)?.filter(|it| told == Some(it.data_version.to_string())))
    }

    /// Puts the staged rows in the place of those of one partition, with everything that is to be done along with it.
    fn put(
        &self,
        staged: &Staged,
        content: &Content,
        slice: &Slice,
        held: Option<Session>,
    ) -> Result<Content, IoError> {
        let (told, publishing) = (self.told(&staged.target), &staged.target.publishing);
        let stage = self.stage_table(&staged.target, &staged.attempt);
        let mut session = self.session_to_publish(staged, held)?;
        let (session, name, engine) = (&mut session, table_name(&staged.target), self.database.place.engine);
        self.database.mixes();
        let one = self.database.alone();
        // Before the table may be made anew.
        let own = self.ledger_name(&staged.target);
        if !self.database.is_published(session, &own).map_err(&told)?
            && slice::is_taken(session, &name, slice).map_err(&told)?
        {
            let others = self.database.published(session, &name).map_err(&told)?;
            taken_once(&staged.target, others, |it| slice::has_both(session, &name, slice, it)).map_err(&told)??;
        }
        if !engine.transactional {
            slice::make(session, (&name, &stage), slice).map_err(&told)?;
        }
        session.run(engine.begin).map_err(&told)?;
        self.takes_name(&staged.target);
        let published = (|| {
            view::hooks(session, &publishing.pre_hooks)?;
            if engine.transactional {
                slice::make(session, (&name, &stage), slice).map_err(&told)?;
            }
            slice::put(session, (&name, &stage), slice)?;
            let left = self.hook(session, &staged.target, content)?;
            let of = Some((&staged.attempt, &left.data_version));
            self.database.write_down(session, &self.ledger_name(&staged.target), of).map_err(&told)?;
            self.commit(session, &staged.target, left)
        })();
        if published.is_err() {
            // What became of it is asked, not guessed.
            let _ = session.run("rollback");
        }
        drop(one);
        // What is left of a stage is taken away when its place is needed again.
        let _ = session.drop_table(&stage);
        published
    }

    fn replace(&self, staged: &Staged, content: &Content, mut session: Session) -> Result<(), Refused> {
        session.stopped_by(None);
        let session = &mut session;
        let name = table_name(&staged.target);
        let stage = self.stage_table(&staged.target, &staged.attempt);
        let (from, to) = (session.qualified(&stage), session.qualified(&name));
        if session.kind_of(&name)?.is_some_and(|it| it.contains("view")) {
            session.drop_table(&name)?;
        }
        session.run(&format!("create or replace table {to} as select * from {from}"))?;
        self.database.write_down(session, &name, Some((&staged.attempt, &content.data_version)))?;
        session.drop_table(&stage)
    }

    /// Whether a table that holds some rows was published with all that was to be done along with them.
    fn is_told_by_rows(&self, target: &Target) -> bool {
        let publishing = &target.publishing;
        self.database.place.engine.holds && target.slice.is_none() && !publishing.view && !publishing.does_more()
    }

    /// Whether the transaction of `attempt` was committed, once none can be on its way any more.
    fn is_published(&self, target: &Target, attempt: &AttemptId, content: &Content) -> Result<bool, IoError> {
        if !self.database.may_be_there()? {
            return Ok(false);
        }
        if self.is_told_by_rows(target) {
            return Ok(self.version(target)?.is_some_and(|it| it.data_version == content.data_version));
        }
        let mut session = self.database.session()?;
        let (engine, ours) = (session.engine, session.qualified(OURS));
        let query = format!("select attempt from {ours} where name = {}", engine.literal(&self.ledger_name(target)));
        let signature = self.database.place.maker.signature(attempt);
        let found = (|| {
            let Some(settles) = engine.settles else { return session.texts(&query) };
            session.run(engine.begin)?;
            session.run(&settles.replace("$table", &ours))?;
            let found = session.texts(&query)?;
            session.run("commit").map(|()| found)
        })();
        Ok(found.map_err(self.told(target))?.iter().flatten().flatten().any(|it| *it == signature))
    }

    fn recorded(&self, data_version: &Digest, declared: Option<Box<str>>) -> StoredOutput {
        let place = self.database.place.shown.clone();
        let token = Token { place, version: data_version.to_string(), declared: declared.map(String::from) };
        StoredOutput::Token(serde_json::to_vec(&token).expect("texts are JSON"))
    }

    /// How the columns of the table are declared that is there; of a part of one it is not asked.
    fn declared_now(&self, target: &Target) -> Result<Option<Box<str>>, IoError> {
        if target.slice.is_some() { Ok(None) } else { self.declared(target, None) }
    }

    /// Whether columns are declared as they were: the same rows may be of another type.
    fn is_declared_as(&self, target: &Target, recorded: &Token) -> Result<bool, IoError> {
        let Some(recorded) = &recorded.declared else { return Ok(true) };
        Ok(self.declared_now(target)?.is_none_or(|it| *it == **recorded))
    }

    /// What was recorded of this very place, or what is to be said instead.
    fn version_recorded(&self, stored: &StoredOutput) -> Result<(Digest, Token), Probed> {
        let StoredOutput::Token(bytes) = stored else { return Err(Probed::Modified) };
        // Another kind of manager has other words.
        let Ok(token) = serde_json::from_slice::<Token>(bytes) else { return Err(Probed::Modified) };
        if token.place != self.database.place.shown {
            return Err(Probed::Elsewhere(self.database.place.shown.clone()));
        }
        match token.version.parse() {
            Ok(version) => Ok((version, token)),
            Err(_) => Err(Probed::Modified),
        }
    }
}

impl IoManager for AdbcManager {
    fn capabilities(&self) -> Capabilities {
        let (remote, partitions) = (self.database.place.file.is_none(), self.database.place.engine.replaces_rows);
        Capabilities { tables: true, sql: true, partitions, persistent: true, remote, ..Capabilities::default() }
    }

    fn admit(&self) -> Result<Option<LockName>, IoError> {
        self.database.admit()
    }

    fn rest(&self) {
        self.database.rest();
    }

    /// Connects: what cannot be reached is told before anything runs. Takes away what attempts that died have
    /// left of the same target: its lock is held by us.
    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
        self.database.sweep(&self.stages(target))?;
        let folder = self.folder(target, attempt);
        fs::remove(&folder)?;
        // A query writes into the database.
        if target.format.is_some() {
            fs::create_folder(&folder)?;
        }
        let token = attempt.0.as_bytes().to_vec();
        Ok(Staged { target: target.clone(), attempt: attempt.clone(), path: folder.join(file_name(target)), token })
    }

    /// Looked at once: nobody else knows its name, and in DuckDB nobody else sees it.
    fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
        let name = self.stage_table(&staged.target, &staged.attempt);
        let mut held = self.staged(staged)?;
        if staged.target.slice.is_some()
            && let Some(mut session) = held.session.take()
        {
            session.stopped_by(None);
            self.database.commit_stage(&mut session).map_err(self.told(&staged.target))?;
        }
        if held.content.is_none() {
            let target = &staged.target;
            // This session does nothing after it but publish, and of all rows of a table there is but one plan.
            let is_last = held.session.is_some() && self.is_told_by_rows(target);
            let (content, declared) = self.look(staged, &mut held, |session, table| {
                if is_last {
                    session.ahead("pragma disable_optimizer").map_err(self.told(target))?;
                }
                self.seen(session, target, table)
            })?;
            (held.content, held.declared) = (Some(content), declared);
        }
        let content = held.content.clone().expect("set above");
        self.database.has_rows(&name, content.rows, false);
        self.database.hold(&name, held);
        Ok(content)
    }

    fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
        self.version(target)
    }

    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        let (held, publishing) = (self.staged(staged)?, &staged.target.publishing);
        let declared = lines_of(&held.declared).filter(|_| staged.target.slice.is_none());
        let left = match self.swap(staged, content, held) {
            Ok(left) => left,
            Err(error) => {
                // What became of it is not guessed: an answer may have been lost.
                let is_published = match error {
                    IoError::Refused { .. } => return Err(error),
                    _ => self.is_published(&staged.target, &staged.attempt, content),
                };
                match (is_published, error) {
                    (Ok(true), _) => self.left_by(&staged.target)?.unwrap_or_else(|| content.clone()),
                    // Here nobody else is asked, and the transaction is gone.
                    (Ok(false), IoError::Other { path, cause }) if self.database.place.engine.holds => {
                        return Err(IoError::unpublished(path, cause));
                    }
                    (_, error) => return Err(error),
                }
            }
        };
        fs::remove(&self.folder(&staged.target, &staged.attempt))?;
        self.database.has_rows(&table_name(&staged.target), left.rows, staged.target.slice.is_some());
        self.database.has_rows(&self.stage_table(&staged.target, &staged.attempt), None, false);
        self.hooked.note(&staged.target, content, &left);
        let declared = match publishing.has_hooks() {
            true => self.declared_now(&staged.target).unwrap_or_default(),
            false => declared,
        };
        Ok(self.recorded(&left.data_version, declared))
    }

    fn discard(&self, staged: &Staged) -> Result<(), IoError> {
        fs::remove(&self.folder(&staged.target, &staged.attempt))?;
        let name = self.stage_table(&staged.target, &staged.attempt);
        match self.database.take(&name) {
            // Its connection goes, and the transaction with it.
            Some(Held { session: Some(_), .. }) => return Ok(()),
            // What a crash left is found when its place is needed again.
            None if self.database.place.engine.holds && staged.target.slice.is_none() => return Ok(()),
            None if !self.database.may_be_there()? => return Ok(()),
            _ => {}
        }
        self.database.session()?.drop_table(&name).map_err(self.told(&staged.target))
    }

    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        let version = match self.version_recorded(stored) {
            Ok((version, _)) => version,
            Err(probed) => return Ok(probed),
        };
        if !self.database.may_be_there()? {
            return Ok(Probed::Missing);
        }
        if let Some(known) = self.database.known(&self.ledger_name(target))? {
            return Ok(if known == version { Probed::Same } else { Probed::Modified });
        }
        self.probe_in_full(target, stored)
    }

    fn probe_in_full(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        let (version, recorded) = match self.version_recorded(stored) {
            Ok(recorded) => recorded,
            Err(probed) => return Ok(probed),
        };
        Ok(match self.version(target)? {
            None => Probed::Missing,
            Some(it) if it.data_version != version => Probed::Modified,
            Some(_) if self.is_declared_as(target, &recorded)? => Probed::Same,
            Some(_) => {
                self.database.forget(&self.ledger_name(target));
                Probed::Modified
            }
        })
    }

    fn rename(&self, from: &Target, to: &Target) -> Result<bool, IoError> {
        let (old, new, engine) = (table_name(from), table_name(to), self.database.place.engine);
        if !engine.transactional || !self.database.may_be_there()? {
            return Ok(false);
        }
        let mut session = self.database.session()?;
        let renamed = (|| {
            let Some(kind) = session.kind_of(&old)? else { return Ok(false) };
            if session.kind_of(&new)?.is_some() {
                return Ok(false);
            }
            let (was, kind) = (session.qualified(&old), if kind.contains("view") { "view" } else { "table" });
            session.run(engine.begin)?;
            session.run(&format!("alter {kind} {was} rename to {}", engine.quoted(&engine.stored(&new))))?;
            self.database.rename(&mut session, &old, &new).map(|()| true)
        })();
        renamed.map_err(self.told(to))
    }

    fn is_foreign(&self, target: &Target) -> Result<bool, IoError> {
        let name = table_name(target);
        if !self.database.may_be_there()? || !self.database.may_have(&name) {
            return Ok(false);
        }
        let mut session = self.database.session()?;
        let found = (|| {
            // More is known once it is open.
            let is_there = self.database.may_have(&name) && session.kind_of(&name)?.is_some();
            // Asked after that: another partition may have made the table meanwhile.
            Ok(is_there && !self.database.is_ours(&mut session, &name, &target.ledger_name())?)
        })();
        found.map_err(self.told(target))
    }

    fn believes(&self, _target: &Target, stored: &StoredOutput) -> Probed {
        self.version_recorded(stored).map_or_else(|probed| probed, |_| Probed::Same)
    }

    fn declared(&self, target: &Target, staged: Option<&Staged>) -> Result<Option<Box<str>>, IoError> {
        if !self.declares(target) {
            return Ok(None);
        }
        let told = self.told(target);
        let Some(staged) = staged else {
            let mut session = self.database.session()?;
            return declared::of_table(&mut session, &table_name(target)).map_err(told).map(|it| lines_of(&it));
        };
        let name = self.stage_table(target, &staged.attempt);
        let mut held = self.staged(staged)?;
        if held.content.is_none() {
            let look = |session: &mut Session, table: &str| declared::of_table(session, table).map_err(told);
            held.declared = self.look(staged, &mut held, look)?;
        }
        let declared = lines_of(&held.declared);
        self.database.hold(&name, held);
        Ok(declared)
    }

    fn after_hooks(&self, target: &Target) -> Option<Content> {
        self.hooked.take(target)
    }

    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        match self.version(target)?.filter(|it| it.data_version == *data_version) {
            Some(found) => Ok(Some(self.recorded(&found.data_version, self.declared_now(target)?))),
            None => Ok(None),
        }
    }

    fn recover(&self, target: &Target, token: &[u8], content: &Content) -> Result<Recovered, IoError> {
        let attempt = AttemptId(String::from_utf8_lossy(token).into_owned());
        let is_published = self.is_published(target, &attempt, content)?;
        let staged = Staged { target: target.clone(), attempt, path: PathBuf::new(), token: token.to_vec() };
        // Of the same rows it cannot be told whether everything else was done too.
        if (is_published || !target.publishing.does_more())
            && let Some(stored) = self.adopt(target, &content.data_version)?
        {
            self.discard(&staged)?;
            return Ok(Recovered::Published(stored));
        }
        if is_published {
            // If it is not what its hooks have left, somebody else has changed it since.
            let Some(left) = self.left_by(target)? else { return Ok(Recovered::Lost) };
            self.discard(&staged)?;
            self.hooked.note(target, content, &left);
            return Ok(Recovered::Published(self.recorded(&left.data_version, self.declared_now(target)?)));
        }
        match self.inspect(&staged) {
            Ok(found) if found.data_version == content.data_version => match self.publish(&staged, content) {
                Err(IoError::Refused { .. }) => Ok(Recovered::Lost),
                published => published.map(Recovered::Published),
            },
            Ok(_) | Err(IoError::OutputMissing(_)) => Ok(Recovered::Lost),
            Err(error) => Err(error),
        }
    }

    fn load(&self, target: &Target) -> Result<Loaded, IoError> {
        let missing = || IoError::NotFound(self.shown(target));
        if !self.database.may_be_there()? {
            return Err(missing());
        }
        let mut session = self.database.session_over([&*table_name(target)])?;
        let condition = self.holds(&mut session, target).map_err(self.told(target))?.ok_or_else(missing)?;
        let query = format!("select * from {} where {condition}", session.qualified(&table_name(target)));
        session.rows(&query).map(Loaded::Rows).map_err(self.told(target))
    }

    fn delete(&self, target: &Target) -> Result<(), IoError> {
        if !self.database.may_be_there()? {
            return Ok(());
        }
        let (mut session, name) = (self.database.session()?, self.ledger_name(target));
        let in_transaction = session.engine.transactional || target.slice.is_some();
        let deleted = (|| {
            if in_transaction {
                session.run(session.engine.begin)?;
            }
            match &target.slice {
                Some(slice) => {
                    self.database.mixes();
                    slice::delete(&mut session, &table_name(target), slice)?;
                }
                None => session.drop_table(&name)?,
            }
            self.database.write_down(&mut session, &name, None)?;
            if target.slice.is_some() {
                // The table stays, without a partition, and is ours.
                self.database.mark_now(&mut session, &table_name(target))?;
            }
            if in_transaction { self.database.commit(&mut session, &name, None) } else { Ok(()) }
        })();
        deleted.map_err(self.told(target))
    }
}

/// The table of a target: its path has one part.
pub fn table_name(target: &Target) -> String {
    target.path.to_string()
}

/// The table of an attempt that stages at `path`.
pub fn staged_table(path: &Path) -> Option<String> {
    Some(path.parent()?.file_name()?.to_str()?.to_owned())
}

/// What a command is to write; a query writes nothing there.
fn file_name(target: &Target) -> String {
    format!("{}.{}", table_name(target), target.format.as_deref().unwrap_or("none"))
}
