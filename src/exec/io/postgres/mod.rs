//! Tables in one schema of a Postgres database.
//!
//! What is staged is an ordinary table beside the others, with a name that nobody else uses. Publishing is one
//! transaction: the old table goes, the staged one takes its name, and a row of `_assets_tables` says whose it
//! is. The commit of that transaction is the commit point, and after a crash, or a connection that was cut
//! after COMMIT was sent, that row is asked; it is waited for until nobody can still be committing.
//!
//! Nothing is opened before something is asked.

pub mod connect;
pub mod copy;
pub mod rows;
mod slice;
mod stamp;
mod swap;
pub mod table;
mod values;
mod version;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use postgres::{Client, Error, GenericClient};
use serde::{Deserialize, Serialize};

use crate::{
    base::{digest::Digest, fs},
    exec::{
        io::{
            Capabilities, Content, IoError, IoManager, Loaded, Probed, Recovered, Staged, Target, Witness,
            hooked::{Hooked, gone},
            lines_of,
            maker::Maker,
            slice::strangers,
        },
        table::{TableError, read},
    },
    model::project::table_at,
    plan::record::{AttemptId, StoredOutput},
};
use connect::{Address, Session};
use stamp::{Look, Stamp};
use swap::{Swap, Unswapped};
use table::{STAGE, qualified};

/// What this tool knows of the tables that it made.
const OURS: &str = "_assets_tables";
/// Whoever makes that table or its schema holds it: two at once would trip over each other.
const OURS_LOCK: i64 = 0x6173_7365_7473;
/// A server gives up what we began and never ended.
const PUBLISH: &str = "begin; set local idle_in_transaction_session_timeout = '60s'";

/// The `postgres` IO manager.
pub struct PostgresManager {
    root: PathBuf,
    maker: Maker,
    address: Address,
    makes_schema: bool,
    /// By the table on which they rested: views that are gone until they are made again.
    gone: Mutex<HashMap<String, Vec<String>>>,
    hooked: Hooked,
}

/// What is recorded of an output.
#[derive(Serialize, Deserialize)]
struct Token {
    place: String,
    version: String,
    /// How the columns of a whole table are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declared: Option<String>,
}

/// What is asked of a table that was recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    State,
    Witness,
}

/// What was written down of a table.
struct Row {
    signature: String,
    data_version: Vec<u8>,
    stamp: Option<Stamp>,
}

impl PostgresManager {
    pub fn new(project_root: PathBuf, url: Result<String, String>, schema: Option<&str>, maker: Maker) -> Self {
        let address = Address::new(url, schema.map(str::to_owned));
        let makes_schema = schema.is_some();
        let (root, gone, hooked) = (project_root, Mutex::default(), Hooked::default());
        PostgresManager { root, maker, address, makes_schema, gone, hooked }
    }

    fn gone(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, target: &Target) -> String {
        match table_at(&target.path) {
            (Some(schema), name) => format!("{}/{schema}.{name}", self.address.shown()),
            (None, name) => self.address.shown_table(&name),
        }
    }

    /// A connection that looks where the table is.
    fn connect(&self, target: &Target) -> Result<Session, IoError> {
        let session = self.address.connect()?;
        let schema = table_at(&target.path).0.unwrap_or_else(|| session.schema.clone());
        Ok(Session { schema, ..session })
    }

    /// Where a command writes until its rows are loaded. It is called as the table of the attempt.
    fn folder(&self, target: &Target, attempt: &AttemptId) -> PathBuf {
        self.root.join(".assets/tmp").join(self.stage_table(target, attempt))
    }

    /// What the names of all tables begin with that this project stages for a target.
    fn stages(&self, target: &Target) -> String {
        let partition = target.partition.name().map(|it| format!("\0{it}")).unwrap_or_default();
        let shown = self.shown(target) + &partition;
        let name = [self.root.as_os_str().as_encoded_bytes(), b"\0", shown.as_bytes()].concat();
        format!("{STAGE}{}_", Digest::of(&name).short())
    }

    /// The table of one attempt until it is published.
    fn stage_table(&self, target: &Target, attempt: &AttemptId) -> String {
        format!("{}{}", self.stages(target), Digest::of(attempt.0.as_bytes()).short())
    }

    fn table_error(&self, target: &Target, error: &TableError) -> IoError {
        IoError::Other { path: self.shown(target), cause: error.to_string() }
    }

    fn told<T>(&self, result: Result<T, Error>) -> Result<T, IoError> {
        result.map_err(|it| self.address.told(&it))
    }

    /// The table or view that the command or query made. What a command handed over is loaded when it is first looked
    /// at.
    fn staged(&self, staged: &Staged, session: &mut Session) -> Result<String, IoError> {
        let name = self.stage_table(&staged.target, &staged.attempt);
        if self.told(table::find(&mut session.client, &session.schema, &name))?.is_some() {
            return Ok(name);
        }
        let missing = || IoError::OutputMissing(table_name(&staged.target));
        if staged.target.format.is_none() {
            return Err(missing());
        }
        let file = self.folder(&staged.target, &staged.attempt).join(file_name(&staged.target));
        match fs::look(&file)? {
            None => return Err(missing()),
            Some(it) if !it.is_file() => {
                let found = if it.is_dir() { "a folder" } else { "a link" };
                return Err(IoError::WrongKind { path: table_name(&staged.target), expected: "a file", found });
            }
            Some(_) => {}
        }
        let mut transaction = self.told(session.client.transaction())?;
        read::open(&[file], staged.target.handed_over())
            .and_then(|it| copy::insert_noted(&mut transaction, &qualified(&session.schema, &name), it))
            .map_err(|it| self.table_error(&staged.target, &it))?;
        self.told(transaction.commit())?;
        Ok(name)
    }

    fn content(&self, session: Session, target: &Target, table: &str, condition: &str) -> Result<Content, IoError> {
        let found = rows::read_where(session.client, &session.schema, table, condition);
        let found = found.and_then(|it| target.version_of(it));
        Ok(found.map_err(|it| self.table_error(target, &it))?.into())
    }

    /// The version of the table that is there, read in full.
    fn version(&self, target: &Target) -> Result<Option<Content>, IoError> {
        let mut session = self.connect(target)?;
        let name = table_name(target);
        if target.publishing.view {
            return self.told(swap::content_of_view(&mut session.client, &session.schema, &name));
        }
        match self.holds(target, &mut session)? {
            true => self.content(session, target, &name, &target.condition()).map(Some),
            false => Ok(None),
        }
    }

    /// Whether the table, or what is a partition of it, is there.
    fn holds(&self, target: &Target, session: &mut Session) -> Result<bool, IoError> {
        let (client, schema) = (&mut session.client, &session.schema);
        self.told(slice::holds(client, schema, &table_name(target), target))
    }

    /// Whether what was recorded is there, and what tells this moment from a later one.
    fn probed(&self, target: &Target, stored: &StoredOutput, asks: Asks) -> Result<(Probed, Option<Witness>), IoError> {
        let recorded = match self.version_recorded(target, stored) {
            Ok(recorded) => recorded,
            Err(probed) => return Ok((probed, None)),
        };
        let mut session = self.connect(target)?;
        let (client, schema, name) = (&mut session.client, &session.schema, table_name(target));
        let looked = (|| {
            let row = row(client, schema, &target.ledger_name())?;
            // Nothing was ever written down of a table that is to be read anyway.
            if row.is_none() && asks == Asks::State {
                return Ok((false, None));
            }
            let look = stamp::look(client, schema, &name, &target.condition())?;
            let stamp = look.as_ref().and_then(Look::stamp);
            let is_so = |it: Row| {
                it.stamp.is_some()
                    && it.stamp == stamp
                    && digest(&it.data_version).is_some_and(|it| it.to_string() == recorded.version)
            };
            let witness = match (&look, asks) {
                (_, Asks::State) => None,
                (Some(look), _) => Some(look.witness(client)?),
                (None, _) => stamp::witness_of_view(client, schema, &name)?,
            };
            Ok((row.is_some_and(is_so), witness.map(|it| Witness::Table(it.into()))))
        })();
        match self.told(looked)? {
            (true, witness) => Ok((Probed::Same, witness)),
            (false, witness) => Ok((self.read_in_full(target, session, &recorded)?, witness)),
        }
    }

    /// Swaps the staged table in, in one transaction, and tells what is there after its hooks.
    fn swap(&self, staged: &Staged, content: &Content, session: &mut Session) -> Result<Content, Unswapped> {
        let (client, schema, name) = (&mut session.client, &session.schema, table_name(&staged.target));
        let stage = self.stage_table(&staged.target, &staged.attempt);
        make_ours(client, schema)?;
        client.batch_execute(PUBLISH)?;
        let publishing = &staged.target.publishing;
        if publishing.does_more() {
            table::first_in_path(client, schema)?;
        }
        for hook in &publishing.pre_hooks {
            swap::asked(client, &hook.shown, &hook.text)?;
        }
        let (stamp, gone) = match &staged.target.slice {
            Some(slice) => {
                let hooks_follow = !publishing.post_hooks.is_empty();
                slice::taken_once(client, schema, &staged.target, slice)?;
                (slice::put(client, schema, (&name, &stage), (slice, hooks_follow))?, Vec::new())
            }
            None => Swap { staged, maker: &self.maker, schema, name: &name, stage: &stage }.run(client)?,
        };
        self.gone().insert(self.shown(&staged.target), gone);
        for hook in &publishing.post_hooks {
            swap::asked(client, &hook.shown, &hook.text)?;
        }
        // Triggers of people's own see the rows of a partition come and go.
        let does_more = !publishing.post_hooks.is_empty()
            || staged.target.slice.is_some() && table::has_triggers(client, schema, &name)?;
        let (stamp, left) = match does_more {
            false => (stamp, content.clone()),
            true => self.left(client, schema, &staged.target, (stamp, content))?,
        };
        let (columns, rows, transaction) = match stamp {
            Some(it) => (Some(it.columns), Some(it.rows), Some(it.transaction)),
            None => (None, None, None),
        };
        client.execute(
            &format!(
                "insert into {} values ($1, $2, $3, $4, $5, $6) on conflict (name) do update set \
                 attempt = $2, data_version = $3, columns = $4, rows = $5, transaction = $6",
                qualified(schema, OURS)
            ),
            &[
                &staged.target.ledger_name(),
                &self.maker.signature(&staged.attempt),
                &&left.data_version.0[..],
                &columns,
                &rows,
                &transaction,
            ],
        )?;
        client.batch_execute("commit")?;
        Ok(left)
    }

    /// What hooks have left of what was published: the same, if that can be told without reading it.
    fn left(
        &self,
        client: &mut Client,
        schema: &str,
        target: &Target,
        (stamp, content): (Option<Stamp>, &Content),
    ) -> Result<(Option<Stamp>, Content), Unswapped> {
        let name = table_name(target);
        if table::find(client, schema, &name)?.is_none() {
            return Err(Unswapped::Refused(gone(&self.shown(target))));
        }
        if target.publishing.view {
            let found = swap::content_of_view(client, schema, &name)?;
            return Ok((None, found.ok_or_else(|| Unswapped::Refused(gone(&self.shown(target))))?));
        }
        let now = stamp::look(client, schema, &name, &target.condition())?.as_ref().and_then(Look::stamp);
        // Rows of a partition are put there by the transaction in which its hooks are run.
        if target.slice.is_none() && now.is_some() && now == stamp {
            return Ok((stamp, content.clone()));
        }
        let found = rows::version_within(client, schema, &name, target);
        Ok((now, found.map_err(|it| Unswapped::Refused(self.table_error(target, &it)))?.into()))
    }

    /// What this attempt has published and its hooks have left, if it is still there.
    fn left_by(&self, target: &Target) -> Result<Option<Content>, IoError> {
        if target.publishing.post_hooks.is_empty() && target.slice.is_none() {
            return Ok(None);
        }
        let mut session = self.connect(target)?;
        let row = self.told(row(&mut session.client, &session.schema, &target.ledger_name()))?;
        let told = row.and_then(|it| digest(&it.data_version));
        Ok(self.version(target)?.filter(|it| told == Some(it.data_version)))
    }

    /// Whether the transaction of `attempt` was committed, once none can be on its way any more.
    fn is_published(&self, target: &Target, attempt: &AttemptId) -> Result<bool, IoError> {
        let mut session = self.connect(target)?;
        let (client, schema) = (&mut session.client, &session.schema);
        let found = (|| {
            if table::find(client, schema, OURS)?.is_none() {
                return Ok(false);
            }
            client.batch_execute(&format!("begin; lock table {} in share mode", qualified(schema, OURS)))?;
            let row = row(client, schema, &target.ledger_name())?;
            client.batch_execute("commit")?;
            Ok(row.is_some_and(|it| it.signature == self.maker.signature(attempt)))
        })();
        self.told(found)
    }

    fn recorded(&self, target: &Target, data_version: &Digest) -> Result<StoredOutput, IoError> {
        let declared = if target.slice.is_some() { None } else { self.declared(target, None)? };
        let (place, version) = (self.shown(target), data_version.to_string());
        let token = Token { place, version, declared: declared.map(String::from) };
        Ok(StoredOutput::Token(serde_json::to_vec(&token).expect("texts are JSON")))
    }

    /// What was recorded of this very place, or what is to be said instead.
    fn version_recorded(&self, target: &Target, stored: &StoredOutput) -> Result<Token, Probed> {
        let StoredOutput::Token(bytes) = stored else { return Err(Probed::Modified) };
        // Another kind of manager has other words.
        let Ok(token) = serde_json::from_slice::<Token>(bytes) else { return Err(Probed::Modified) };
        if token.place == self.shown(target) { Ok(token) } else { Err(Probed::Elsewhere(self.shown(target))) }
    }

    fn read_in_full(&self, target: &Target, mut session: Session, recorded: &Token) -> Result<Probed, IoError> {
        let (name, version) = (table_name(target), &recorded.version);
        if target.publishing.view {
            let found = self.told(swap::content_of_view(&mut session.client, &session.schema, &name))?;
            return Ok(match found {
                None => Probed::Missing,
                Some(it) if it.data_version.to_string() == *version => Probed::Same,
                Some(_) => Probed::Modified,
            });
        }
        if !self.holds(target, &mut session)? {
            return Ok(Probed::Missing);
        }
        // The same rows may be of another type.
        if let Some(recorded) = &recorded.declared {
            let declared = self.told(table::declared(&mut session.client, &session.schema, &name))?;
            if lines_of(&declared).is_some_and(|it| *it != **recorded) {
                return Ok(Probed::Modified);
            }
        }
        let found = self.content(session, target, &name, &target.condition())?;
        Ok(if found.data_version.to_string() == *version { Probed::Same } else { Probed::Modified })
    }
}

impl IoManager for PostgresManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            tables: true,
            sql: true,
            partitions: true,
            persistent: true,
            remote: true,
            ..Capabilities::default()
        }
    }

    /// Asks the server: what cannot be reached is told before anything runs. Takes away what attempts that died
    /// have left of the same target: its lock is held by us.
    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
        let mut session = self.connect(target)?;
        let (client, schema) = (&mut session.client, &session.schema);
        let cleared = (|| {
            if (self.makes_schema || table_at(&target.path).0.is_some())
                && client.query_opt("select 1 from pg_catalog.pg_namespace where nspname = $1", &[schema])?.is_none()
            {
                let mut transaction = client.transaction()?;
                transaction.execute("select pg_catalog.pg_advisory_xact_lock($1)", &[&OURS_LOCK])?;
                transaction.batch_execute(&format!("create schema if not exists {}", table::quoted(schema)))?;
                transaction.commit()?;
            }
            let left = client.query(
                "select c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where c.relkind in ('r', 'v') and n.nspname = $1 and starts_with(c.relname::text, $2)",
                &[schema, &self.stages(target)],
            )?;
            left.iter().try_for_each(|it| table::drop(client, schema, it.get(0)))
        })();
        self.told(cleared)?;
        let folder = self.folder(target, attempt);
        fs::remove(&folder)?;
        // A query writes into the database.
        if target.format.is_some() {
            fs::create_folder(&folder)?;
        }
        let token = attempt.0.as_bytes().to_vec();
        Ok(Staged { target: target.clone(), attempt: attempt.clone(), path: folder.join(file_name(target)), token })
    }

    fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
        let mut session = self.connect(&staged.target)?;
        let name = self.staged(staged, &mut session)?;
        if staged.target.publishing.view {
            let found = swap::content_of_view(&mut session.client, &session.schema, &name);
            return self.told(found)?.ok_or_else(|| IoError::OutputMissing(table_name(&staged.target)));
        }
        if let Some(slice) = &staged.target.slice {
            let shown = self.shown(&staged.target);
            let other = self.told(slice::strangers(&mut session.client, &session.schema, &name, slice))?;
            if other > 0 {
                return Err(strangers(&format!("table {shown}"), other, slice));
            }
            let names = (&*table_name(&staged.target), &*name);
            slice::shape(&mut session.client, &session.schema, names, slice, &self.address)?;
        } else if let Some(made) = self.told(version::noted(&mut session.client, &session.schema, &name))? {
            return Ok(made.into());
        }
        self.content(session, &staged.target, &name, "true")
    }

    fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
        self.version(target)
    }

    /// The staged table is not read again: it was made whole by one transaction, and nobody knows its name.
    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        let mut session = self.connect(&staged.target)?;
        self.staged(staged, &mut session)?;
        let swapped = self.swap(staged, content, &mut session);
        drop(session);
        let left = match swapped {
            Ok(left) => left,
            Err(error) => {
                let error = match error {
                    Unswapped::Refused(error) => return Err(error),
                    Unswapped::Server(error) => error,
                };
                // What became of it is not guessed: the server may have done all of it, and its answer been lost.
                let told = self.address.told(&error);
                match (self.is_published(&staged.target, &staged.attempt), told) {
                    (Ok(true), _) => self.left_by(&staged.target)?.unwrap_or_else(|| content.clone()),
                    (Ok(false), IoError::Other { path, cause }) => {
                        return Err(IoError::unpublished(path, cause));
                    }
                    (_, told) => return Err(told),
                }
            }
        };
        fs::remove(&self.folder(&staged.target, &staged.attempt))?;
        self.hooked.note(&staged.target, content, &left);
        self.recorded(&staged.target, &left.data_version)
    }

    fn discard(&self, staged: &Staged) -> Result<(), IoError> {
        fs::remove(&self.folder(&staged.target, &staged.attempt))?;
        let mut session = self.connect(&staged.target)?;
        let name = self.stage_table(&staged.target, &staged.attempt);
        self.told(table::drop(&mut session.client, &session.schema, &name))
    }

    /// The server counts the rows that are as we left them; where that does not tell, they are read in full.
    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        Ok(self.probed(target, stored, Asks::State)?.0)
    }

    fn probe_witnessed(&self, target: &Target, stored: &StoredOutput) -> Result<(Probed, Option<Witness>), IoError> {
        self.probed(target, stored, Asks::Witness)
    }

    fn witness(&self, target: &Target) -> Result<Option<Witness>, IoError> {
        let mut session = self.connect(target)?;
        let (client, schema, name) = (&mut session.client, &session.schema, table_name(target));
        let seen = (|| match stamp::look(client, schema, &name, &target.condition())? {
            Some(look) => look.witness(client).map(Some),
            None => stamp::witness_of_view(client, schema, &name),
        })();
        Ok(self.told(seen)?.map(|it| Witness::Table(it.into())))
    }

    fn probe_in_full(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        match self.version_recorded(target, stored) {
            Ok(recorded) => self.read_in_full(target, self.connect(target)?, &recorded),
            Err(probed) => Ok(probed),
        }
    }

    fn rename(&self, from: &Target, to: &Target) -> Result<bool, IoError> {
        if table_at(&from.path).0 != table_at(&to.path).0 {
            return Ok(false);
        }
        let mut session = self.connect(to)?;
        let (client, schema, old, new) = (&mut session.client, &session.schema, table_name(from), table_name(to));
        let renamed = (|| {
            let mut transaction = client.transaction()?;
            let there = table::find(&mut transaction, schema, &old)?;
            let Some(there) = there.filter(|it| matches!(it.kind, 'r' | 'v')) else { return Ok(false) };
            if table::find(&mut transaction, schema, &new)?.is_some() {
                return Ok(false);
            }
            let kind = if there.kind == 'v' { "view" } else { "table" };
            let statement = format!("alter {kind} {} rename to {}", qualified(schema, &old), table::quoted(&new));
            transaction.batch_execute(&statement)?;
            if table::find(&mut transaction, schema, OURS)?.is_some() {
                let rows = format!(
                    "update {} set name = $2 || substr(name, length($1) + 1) where name = $1 or starts_with(name, $1 || '@')",
                    qualified(schema, OURS)
                );
                transaction.execute(&rows, &[&old, &new])?;
            }
            transaction.commit().map(|()| true)
        })();
        self.told(renamed)
    }

    fn is_foreign(&self, target: &Target) -> Result<bool, IoError> {
        let mut session = self.connect(target)?;
        let (client, schema, name) = (&mut session.client, &session.schema, table_name(target));
        let found = (|| {
            if table::find(client, schema, &name)?.is_none() {
                return Ok(false);
            }
            if table::find(client, schema, OURS)?.is_none() {
                return Ok(true);
            }
            let ours = qualified(schema, OURS);
            let rows = format!(
                "select distinct attempt, name = $2 from {ours} where name = $1 or starts_with(name, $1 || '@') order by 2 desc"
            );
            let found = client.query(&rows, &[&name, &target.ledger_name()])?;
            // Of a partition that is written down itself it is not told by the others.
            let is_told = |it: &&postgres::Row| it.get(1);
            Ok(match found.iter().find(is_told) {
                Some(it) => !self.maker.is_own(it.get(0)),
                None => !found.iter().any(|it| self.maker.is_own(it.get(0))),
            })
        })();
        self.told(found)
    }

    fn believes(&self, target: &Target, stored: &StoredOutput) -> Probed {
        self.version_recorded(target, stored).map_or_else(|probed| probed, |_| Probed::Same)
    }

    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let found = self.version(target)?.filter(|it| it.data_version == *data_version);
        found.map(|it| self.recorded(target, &it.data_version)).transpose()
    }

    fn declared(&self, target: &Target, staged: Option<&Staged>) -> Result<Option<Box<str>>, IoError> {
        if target.publishing.view {
            return Ok(None);
        }
        let mut session = self.connect(target)?;
        let name = staged.map_or_else(|| table_name(target), |it| self.stage_table(target, &it.attempt));
        self.told(table::declared(&mut session.client, &session.schema, &name)).map(|it| lines_of(&it))
    }

    fn after_hooks(&self, target: &Target) -> Option<Content> {
        self.hooked.take(target)
    }

    fn taken_away(&self, target: &Target) -> Vec<String> {
        self.gone().remove(&self.shown(target)).unwrap_or_default()
    }

    fn recover(&self, target: &Target, token: &[u8], content: &Content) -> Result<Recovered, IoError> {
        let attempt = AttemptId(String::from_utf8_lossy(token).into_owned());
        let is_published = self.is_published(target, &attempt)?;
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
            return self.recorded(target, &left.data_version).map(Recovered::Published);
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

    /// A command reads a table as csv, written anew whenever the table has changed.
    fn load(&self, target: &Target) -> Result<Loaded, IoError> {
        let name = table_name(target);
        let mut session = self.connect(target)?;
        if !self.holds(target, &mut session)? {
            return Err(IoError::NotFound(self.shown(target)));
        }
        let rows = rows::read_where(session.client, &session.schema, &name, &target.condition());
        rows.map(Loaded::Rows).map_err(|it| self.table_error(target, &it))
    }

    fn delete(&self, target: &Target) -> Result<(), IoError> {
        let mut session = self.connect(target)?;
        let (client, schema, name) = (&mut session.client, &session.schema, table_name(target));
        let deleted = (|| {
            make_ours(client, schema)?;
            let mut transaction = client.transaction()?;
            match &target.slice {
                Some(slice) => slice::delete(&mut transaction, schema, &name, slice)?,
                None => table::drop(&mut transaction, schema, &name)?,
            }
            let forget = format!("delete from {} where name = $1", qualified(schema, OURS));
            transaction.execute(&forget, &[&target.ledger_name()])?;
            if target.slice.is_some() {
                // The table stays, without a partition, and is ours.
                let ours = qualified(schema, OURS);
                let mark = format!("insert into {ours} values ($1, $2, '', null, null, null) on conflict do nothing");
                transaction.execute(&mark, &[&name, &self.maker.mark()])?;
            }
            transaction.commit()
        })();
        self.told(deleted)
    }
}

/// The table of a target, without its schema.
pub fn table_name(target: &Target) -> String {
    table_at(&target.path).1
}

/// The table of an attempt that stages at `path`.
pub fn staged_table(path: &Path) -> Option<String> {
    Some(path.parent()?.file_name()?.to_str()?.to_owned())
}

/// What a command is to write; a query writes nothing there.
fn file_name(target: &Target) -> String {
    format!("{}.{}", table_name(target), target.format.as_deref().unwrap_or("none"))
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}

fn make_ours(client: &mut Client, schema: &str) -> Result<(), Error> {
    if table::find(client, schema, OURS)?.is_some() {
        return Ok(());
    }
    let mut transaction = client.transaction()?;
    transaction.execute("select pg_catalog.pg_advisory_xact_lock($1)", &[&OURS_LOCK])?;
    transaction.batch_execute(&format!(
        "create table if not exists {} (name text primary key, attempt text not null, data_version bytea not null, \
         columns text, rows bigint, transaction bigint)",
        qualified(schema, OURS)
    ))?;
    transaction.commit()
}

fn row(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<Option<Row>, Error> {
    if table::find(client, schema, OURS)?.is_none() {
        return Ok(None);
    }
    let row = client.query_opt(
        &format!(
            "select attempt, data_version, columns, rows, transaction from {} where name = $1",
            qualified(schema, OURS)
        ),
        &[&name],
    )?;
    let Some(row) = row else { return Ok(None) };
    let stamp = match (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?) {
        (Some(columns), Some(rows), Some(transaction)) => Some(Stamp { columns, rows, transaction }),
        _ => None,
    };
    Ok(Some(Row { signature: row.try_get(0)?, data_version: row.try_get(1)?, stamp }))
}
