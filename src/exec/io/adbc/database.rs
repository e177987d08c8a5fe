//! One database of this process: opened when it is first asked, by everybody who means it, and once only.
//!
//! DuckDB lets one process at a time write to a file, and cannot bear being opened twice in one process. So there
//! is one [`Database`] for each, found by what it is, and a kernel lock of ours before DuckDB's own, so that runs
//! wait for each other and can tell for whom.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use adbc_core::{
    Database as _, Driver as _,
    options::{OptionDatabase, OptionValue},
};
use adbc_driver_manager::ManagedDatabase;

use super::{
    declared::Declared,
    driver::Driver,
    engine::{Engine, Where},
    ledger::{Ledger, Versions},
    names::{Names, is_other_cut},
    session::{Refused, Session},
    threads::{SMALL_ROWS, Threads},
};
use crate::{
    base::{digest::Digest, fs},
    exec::{
        io::{Content, IoError, maker::Maker},
        lock::{LockGuard, LockName, LockTable},
        log::Redactor,
    },
};

/// Of what is staged: the target first, then the attempt.
pub const STAGE: &str = "_assets_stage_";
/// What this tool knows of the tables that it made.
pub const OURS: &str = "_assets_tables";
/// What is less is not worth being compressed.
const COMPRESSED_BYTES_MIN: u64 = 1 << 20;
/// A file that somebody else has open is asked for again so often, each time after this.
const FOREIGN_TRIES: usize = 5;
const FOREIGN_PAUSE: Duration = Duration::from_millis(200);

/// Which database, and how it is opened.
#[derive(Clone, Debug)]
pub struct Place {
    pub driver: Driver,
    pub engine: &'static Engine,
    /// `Err`: why an option has no value.
    pub options: BTreeMap<String, Result<String, String>>,
    /// Values that must not be shown.
    pub secrets: Vec<String>,
    /// The file that it is, if it is one of ours.
    pub file: Option<PathBuf>,
    pub schema: Option<String>,
    /// For people.
    pub shown: String,
    /// The same for the same database: see [`Database::of`].
    pub name: String,
    pub project_root: PathBuf,
    pub maker: Maker,
}

/// What an attempt has staged, between its query and its end.
#[derive(Default)]
pub struct Held {
    /// With a transaction that nobody else sees into.
    pub session: Option<Session>,
    /// Its table is called what it is to be called: nobody sees it before it is published.
    pub is_named: bool,
    pub content: Option<Content>,
    /// Its columns, as the engine declares them; none, where that is not asked.
    pub declared: Declared,
}

/// A database that may be open.
pub struct Database {
    pub place: Place,
    pub(super) state: Mutex<State>,
    held: Mutex<HashMap<String, Held>>,
    /// One commit at a time, and nobody's files change between it and what is written down.
    committing: Mutex<()>,
    /// One partition of a table at a time: two would both make the table.
    slicing: Mutex<()>,
    ledger: Option<Ledger>,
}

#[derive(Default)]
pub(super) struct State {
    open: Option<ManagedDatabase>,
    lock: Option<LockGuard>,
    /// What is known of the tables of a file: of one that is open, also what was learnt since.
    known: Versions,
    /// While it is closed: what is known was read, and nobody let in since.
    is_read: bool,
    /// The schema that is meant, once it was asked for.
    schema: Option<String>,
    /// What was staged when it was opened: by attempts that are no more.
    left: Vec<String>,
    pub(super) names: Names,
    threads: Option<Arc<Threads>>,
    /// How many rows tables have at most; what is staged too.
    pub(super) rows: BTreeMap<String, u64>,
    /// How often everything that was known was doubted.
    doubts: u64,
    /// Rows were put beside others that were there, or nobody told what was done.
    mixed: bool,
}

static DATABASES: Mutex<BTreeMap<String, Weak<Database>>> = Mutex::new(BTreeMap::new());

pub(super) fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    /// The one of this process.
    pub fn of(place: Place) -> Arc<Database> {
        let mut all = locked(&DATABASES);
        if let Some(there) = all.get(&place.name).and_then(Weak::upgrade) {
            return there;
        }
        let ledger = place.file.as_ref().map(|file| {
            let name = Digest::of(file.as_os_str().as_encoded_bytes()).short();
            Ledger::new(place.project_root.join(".assets/databases").join(name), file.clone())
        });
        let name = place.name.clone();
        let made = Arc::new(Database {
            place,
            state: Mutex::default(),
            held: Mutex::default(),
            committing: Mutex::new(()),
            slicing: Mutex::new(()),
            ledger,
        });
        all.insert(name, Arc::downgrade(&made));
        made
    }

    /// The one that was made with this [`Place::name`], if it is still there.
    pub fn named(name: &str) -> Option<Arc<Database>> {
        locked(&DATABASES).get(name).and_then(Weak::upgrade)
    }

    fn lock_name(&self) -> LockName {
        LockName::of_text(&format!("database\0{}", self.place.name))
    }

    /// Takes the lock of a file; `Some`: another process has it.
    ///
    /// # Errors
    /// A lock file that cannot be used.
    pub fn admit(&self) -> Result<Option<LockName>, IoError> {
        let mut state = locked(&self.state);
        if self.place.file.is_none() || state.lock.is_some() {
            return Ok(None);
        }
        let failed = |it: crate::exec::lock::LockError| self.failed(it.to_string());
        let table = LockTable::open(&self.place.project_root.join(".assets/locks/assets")).map_err(failed)?;
        let name = self.lock_name();
        state.lock = table.try_exclusive(&[name]).map_err(failed)?.guard();
        state.is_read = false;
        Ok(state.lock.is_none().then_some(name))
    }

    /// Whether the file is there; of what is no file nobody knows.
    ///
    /// # Errors
    /// A place that cannot be looked at.
    pub fn may_be_there(&self) -> Result<bool, IoError> {
        match &self.place.file {
            Some(file) => Ok(fs::look_through(file)?.is_some()),
            None => Ok(true),
        }
    }

    /// A connection of its own to go through these tables.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    pub fn session_over<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> Result<Session, IoError> {
        let mut session = self.session()?;
        if !self.is_small(tables) {
            self.widen(&mut session);
        }
        Ok(session)
    }

    /// Lets all threads of the engine work, as long as `session` lives.
    pub fn widen(&self, session: &mut Session) {
        if let Some(threads) = &locked(&self.state).threads {
            session.wide(threads);
        }
    }

    /// Whether none of these tables takes more than a thread to go through. Of one that nobody here knows, it is not said.
    pub fn is_small<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> bool {
        let rows = &locked(&self.state).rows;
        tables.into_iter().all(|it| rows.get(it).is_some_and(|it| *it <= SMALL_ROWS))
    }

    /// From now on a table has so many rows, as far as anybody here knows; `more`: beside those that it had.
    pub fn has_rows(&self, table: &str, rows: Option<u64>, more: bool) {
        let known = &mut locked(&self.state).rows;
        let before = if more { known.get(table).copied() } else { Some(0) };
        match rows.zip(before) {
            Some((rows, before)) => drop(known.insert(table.to_owned(), before.saturating_add(rows))),
            None => drop(known.remove(table)),
        }
    }

    /// A connection of its own, for what is done in a moment.
    ///
    /// # Errors
    /// A library that is not there, a database that cannot be opened, or that another process has.
    pub fn session(&self) -> Result<Session, IoError> {
        if self.admit()?.is_some() {
            return Err(self.busy());
        }
        let mut state = locked(&self.state);
        let (engine, secrets) = (self.place.engine, Arc::new(self.place.secrets.clone()));
        let is_new = state.open.is_none();
        if is_new {
            let open = self.open()?;
            // Not before: whoever had it until then may have written.
            if let Some(ledger) = &self.ledger {
                state.known = ledger.begin()?;
            }
            state.open = Some(open);
        }
        let open = state.open.as_ref().expect("opened above");
        let connection = open.new_connection().map_err(|it| self.failed(it.message))?;
        let mut session = Session::new(connection, engine, secrets);
        session.scratch = self.place.project_root.join(".assets/tmp").join(format!("load-{}", std::process::id()));
        let refused = |it: Refused| self.failed(it.message);
        // What holds for all connections of DuckDB is said once.
        if is_new || !engine.holds {
            engine.settings.iter().try_for_each(|it| session.run(it)).map_err(refused)?;
        }
        session.schema = match (&state.schema, &self.place.schema, engine.schema) {
            (Some(known), ..) => known.clone(),
            (None, Some(schema), _) => schema.clone(),
            (None, None, Where::Named(schema)) => schema.to_owned(),
            (None, None, Where::Asked(query)) => {
                let found = session.texts(query).map_err(refused)?.pop().and_then(|it| it.into_iter().next().flatten());
                found
                    .ok_or_else(|| self.failed("the connection has no schema; say which: schema = \"..\"".to_owned()))?
            }
        };
        if is_new {
            state.schema = Some(session.schema.clone());
            self.prepare(&mut session).map_err(refused)?;
            state.threads = Some(session.threads().map_err(refused)?);
            if engine.holds {
                let names = session.tables().map_err(refused)?;
                state.names = Names::of(&names, &mut session, &self.place.maker).map_err(refused)?;
                state.left = names.into_iter().filter(|it| it.starts_with(STAGE)).collect();
                state.rows = session.row_counts().map_err(refused)?;
            }
        }
        Ok(session)
    }

    fn open(&self) -> Result<ManagedDatabase, IoError> {
        let mut driver = self.place.driver.load()?;
        let mut options: Vec<(OptionDatabase, OptionValue)> = Vec::new();
        if let Some(file) = &self.place.file {
            if let Some(folder) = file.parent() {
                fs::create_folder(folder)?;
            }
            let path = file.to_str().ok_or_else(|| self.failed("its path is not text".to_owned()))?;
            options.push((OptionDatabase::Other("path".to_owned()), path.into()));
            // Nothing is fetched that nobody asked for.
            let off = OptionDatabase::Other("autoinstall_known_extensions".to_owned());
            options.push((off, "false".into()));
        }
        for (key, value) in &self.place.options {
            let value = value.as_ref().map_err(|it| self.failed(format!("option {key}: {it}")))?;
            let key = match key.as_str() {
                "uri" => OptionDatabase::Uri,
                "username" => OptionDatabase::Username,
                "password" => OptionDatabase::Password,
                other => OptionDatabase::Other(other.to_owned()),
            };
            options.push((key, value.as_str().into()));
        }
        let mut tries = 0;
        loop {
            match driver.new_database_with_opts(options.clone()) {
                Ok(open) => return Ok(open),
                Err(error) if error.message.contains("Conflicting lock is held") => {
                    tries += 1;
                    if tries == FOREIGN_TRIES {
                        return Err(self.taken(&error.message));
                    }
                    std::thread::sleep(FOREIGN_PAUSE);
                }
                Err(error) => return Err(self.failed(error.message)),
            }
        }
    }

    /// Once for each opening: what is ours must be there before two transactions want to make it.
    fn prepare(&self, session: &mut Session) -> Result<(), Refused> {
        let (engine, text) = (self.place.engine, self.place.engine.text);
        if self.place.schema.is_some() && engine.dialect != crate::model::sql::Dialect::Sqlite {
            session.run(&format!("create schema if not exists {}", engine.quoted(&session.schema)))?;
        }
        if session.kind_of(OURS)?.is_none() {
            session.run(&format!(
                "create table if not exists {} (name {text}, attempt {text}, data_version {text})",
                session.qualified(OURS)
            ))?;
        }
        Ok(())
    }

    /// Another run of ours has the file.
    fn busy(&self) -> IoError {
        let table = LockTable::open(&self.place.project_root.join(".assets/locks/assets")).ok();
        let holder = table.and_then(|it| it.holder(self.lock_name()));
        let who = holder.map_or_else(
            || "another process of this project".to_owned(),
            |it| format!("process {} ({})", it.pid, it.command),
        );
        IoError::Store {
            place: self.place.shown.clone(),
            cause: format!("it is used by {who}"),
            help: "a DuckDB file is open to one process at a time: wait until that one is done",
        }
    }

    /// Somebody else has the file, and DuckDB says who.
    fn taken(&self, message: &str) -> IoError {
        let who = message.split_once("Conflicting lock is held in ").map_or(message, |it| it.1);
        let who = who.split(". See also").next().unwrap_or(who).trim_end_matches(['"', '}', '.']);
        IoError::Store {
            place: self.place.shown.clone(),
            cause: format!("it is open in {who}"),
            help: "a DuckDB file is open to one process at a time: close it there, then run again",
        }
    }

    /// An error of the database as a whole.
    pub fn failed(&self, cause: String) -> IoError {
        let cause = match self.place.secrets.is_empty() {
            true => cause,
            false => Redactor::new(&self.place.secrets).redact_text(&cause),
        };
        IoError::Other { path: self.place.shown.clone(), cause }
    }

    /// Takes away what attempts that are no more have staged, of all names that begin so. Opens what is not open.
    ///
    /// # Errors
    /// As [`session`](Self::session); what the engine says.
    pub fn sweep(&self, stages: &str) -> Result<(), IoError> {
        let is_open = locked(&self.state).open.is_some();
        let mut session = if is_open && self.place.engine.holds { None } else { Some(self.session()?) };
        let refused = |it: Refused| self.failed(it.message);
        let left = match &mut session {
            Some(session) if !self.place.engine.holds => {
                let (stored, mut there) = (session.engine.stored(stages), session.tables().map_err(refused)?);
                there.retain(|it| it.starts_with(&*stored));
                there
            }
            _ => locked(&self.state).left.extract_if(.., |it| it.starts_with(stages)).collect::<Vec<_>>(),
        };
        for it in &left {
            let session = match &mut session {
                Some(session) => session,
                none => none.insert(self.session()?),
            };
            session.drop_table(it).map_err(refused)?;
        }
        Ok(())
    }

    /// Until it is let go, no other partition of a table is replaced by this process.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        locked(&self.slicing)
    }

    /// Commits what an attempt has staged, and nothing else.
    ///
    /// # Errors
    /// What the engine says.
    pub fn commit_stage(&self, session: &mut Session) -> Result<(), Refused> {
        self.commit(session, "", None)
    }

    /// Keeps what an attempt has staged.
    pub fn hold(&self, stage: &str, held: Held) {
        locked(&self.held).insert(stage.to_owned(), held);
    }

    /// What an attempt has staged; whoever takes it gives it back by [`hold`](Self::hold), or ends it.
    pub fn take(&self, stage: &str) -> Option<Held> {
        locked(&self.held).remove(stage)
    }

    /// The version of a table, if it was written down and nobody else has written since.
    ///
    /// # Errors
    /// Files that cannot be looked at.
    pub fn known(&self, table: &str) -> Result<Option<Digest>, IoError> {
        let mut state = locked(&self.state);
        // A file that is open is open to nobody else.
        if state.open.is_none() {
            let Some(ledger) = &self.ledger else { return Ok(None) };
            if !std::mem::replace(&mut state.is_read, true) {
                state.known = ledger.read()?.unwrap_or_default();
            }
        }
        Ok(state.known.get(table).copied())
    }

    /// What [`learn`](Self::learn) wants to know was so before a table was looked at.
    pub fn doubts(&self) -> u64 {
        locked(&self.state).doubts
    }

    /// It was looked at, while the file is open; nothing is learnt if somebody may have changed it meanwhile.
    pub fn learn(&self, table: &str, version: &Digest, since: u64) {
        let mut state = locked(&self.state);
        if self.ledger.is_some() && state.open.is_some() && state.doubts == since {
            state.known.insert(table.to_owned(), *version);
        }
    }

    /// It was looked at, and is another though its rows are the same.
    pub fn forget(&self, table: &str) {
        locked(&self.state).known.remove(table);
    }

    /// As [`commit`](Self::commit), where any other table may have been changed too: what is known of them is not.
    ///
    /// # Errors
    /// What the engine says.
    pub fn commit_alone(&self, session: &mut Session, table: &str, version: &Digest) -> Result<(), Refused> {
        let _one = locked(&self.committing);
        session.run("commit")?;
        let Some(ledger) = &self.ledger else { return Ok(()) };
        {
            let mut state = locked(&self.state);
            state.doubts += 1;
            state.mixed = true;
            state.known = Versions::from([(table.to_owned(), *version)]);
            // How many rows there are is not known any more either.
            state.rows.clear();
        }
        ledger.write(&Versions::from([(table.to_owned(), *version)]));
        Ok(())
    }

    /// Commits what `session` has begun, after which `table` has this version, or is gone.
    ///
    /// # Errors
    /// What the engine says.
    pub fn commit(&self, session: &mut Session, table: &str, version: Option<&Digest>) -> Result<(), Refused> {
        let _one = locked(&self.committing);
        session.run("commit")?;
        if let Some(ledger) = &self.ledger {
            let gone: Vec<String> =
                locked(&self.state).known.extract_if(.., |it, _| is_other_cut(it, table)).map(|it| it.0).collect();
            match version {
                Some(it) => self.learn(table, it, self.doubts()),
                None => drop(locked(&self.state).known.remove(table)),
            }
            gone.iter().for_each(|it| ledger.add(it, None));
            ledger.add(table, version);
        }
        Ok(())
    }

    /// Rows of a large table may be written again when the file is closed.
    pub fn mixes(&self) {
        locked(&self.state).mixed = true;
    }

    /// Moves into the file what its log holds, so that nothing is left to be written when it is closed, and tells what
    /// `stat` says of it from then on.
    fn settle(&self) -> Option<String> {
        let ledger = self.ledger.as_ref().filter(|_| locked(&self.state).open.is_some())?;
        let log_bytes = ledger.log_bytes();
        if log_bytes > 0 {
            let mut session = self.session().ok()?;
            // To try all the ways in which it could be compressed is most of what a small table costs there.
            if log_bytes <= COMPRESSED_BYTES_MIN && !locked(&self.state).mixed {
                session.run("set global force_compression = 'uncompressed'").ok()?;
            }
            session.run("checkpoint").ok()?;
        }
        ledger.stamp().ok()
    }

    /// Closes the file and lets others have it.
    pub fn rest(&self) {
        locked(&self.held).clear();
        self.mark_all();
        let settled = self.settle();
        let mut state = locked(&self.state);
        if state.open.take().is_some()
            && let (Some(ledger), Some(settled)) = (&self.ledger, settled)
        {
            // Somebody else may have written as soon as it was closed.
            ledger.close(&state.known, &settled);
        }
        *state = State::default();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.rest();
    }
}
