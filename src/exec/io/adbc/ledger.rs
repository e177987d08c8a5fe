//! What a database file holds, as far as this tool knows, told without opening it.
//!
//! A file beside the state: after each of our own transactions a line with what `stat` says of the database (and
//! of its log), and which version which table has. As long as the last line fits what is on disk, nobody else has
//! written; if it does not, nothing in it is believed. It holds no truth of its own: losing it costs time.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    base::{digest::Digest, fs},
    exec::io::IoError,
};

/// Which version each table has.
pub type Versions = BTreeMap<String, Digest>;

/// One database file and what was written down of it.
pub struct Ledger {
    path: PathBuf,
    database: PathBuf,
    /// Where lines are put; none while the database is closed, and after one that could not be written.
    lines: Mutex<Option<File>>,
}

impl Ledger {
    pub fn new(path: PathBuf, database: PathBuf) -> Ledger {
        Ledger { path, database, lines: Mutex::default() }
    }

    /// What `stat` says; the same as long as nobody writes.
    ///
    /// # Errors
    /// Files that cannot be looked at.
    pub fn stamp(&self) -> Result<String, IoError> {
        let of = |path: &Path| -> Result<String, IoError> {
            Ok(match fs::look_through(path)? {
                None => "-".to_owned(),
                Some(it) => format!(
                    "{}.{}.{}.{:09}.{}.{:09}",
                    it.ino(),
                    it.len(),
                    it.mtime(),
                    it.mtime_nsec(),
                    it.ctime(),
                    it.ctime_nsec()
                ),
            })
        };
        Ok(format!("{}+{}", of(&self.database)?, of(&self.log())?))
    }

    /// What the log of the database holds; 0 also if that cannot be told.
    pub fn log_bytes(&self) -> u64 {
        fs::look_through(&self.log()).ok().flatten().map_or(0, |it| it.len())
    }

    fn log(&self) -> PathBuf {
        let mut name = self.database.clone().into_os_string();
        name.push(".wal");
        name.into()
    }

    /// `None` if somebody else wrote since, or nothing was ever written down.
    ///
    /// # Errors
    /// Files that cannot be looked at.
    pub fn read(&self) -> Result<Option<Versions>, IoError> {
        let Some(bytes) = fs::read_if_there(&self.path)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let (mut versions, mut last) = (Versions::new(), "");
        for line in text.split_inclusive('\n') {
            let Some((stamp, rest)) = line.strip_suffix('\n').and_then(|it| it.split_once('\t')) else {
                return Ok(None);
            };
            last = stamp;
            match rest.split_once('\t') {
                Some(("-", name)) => drop(versions.remove(name)),
                Some((version, name)) => match version.parse::<Digest>() {
                    Ok(version) => drop(versions.insert(name.to_owned(), version)),
                    Err(_) => return Ok(None),
                },
                None => {}
            }
        }
        Ok((last == self.stamp()?).then_some(versions))
    }

    /// The same of a database that was just opened, from when on [`add`](Self::add) writes down more. What was not
    /// believed is gone first: a line after it would have all of it believed again.
    ///
    /// # Errors
    /// Files that cannot be looked at.
    pub fn begin(&self) -> Result<Versions, IoError> {
        let known = self.read()?;
        let opened = match &known {
            Some(_) => fs::open_append(&self.path),
            None => self.path.parent().map_or(Ok(()), fs::create_folder).and_then(|()| fs::create_private(&self.path)),
        };
        *self.lines() = opened.ok();
        Ok(known.unwrap_or_default())
    }

    fn lines(&self) -> MutexGuard<'_, Option<File>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a transaction of ours that gave `table` this version, or took it away. What cannot be written down is
    /// read in full next time, and so is all that comes after it.
    pub fn add(&self, table: &str, version: Option<&Digest>) {
        let mut lines = self.lines();
        let written = lines.as_ref().is_some_and(|mut file| {
            let version = version.map_or_else(|| "-".to_owned(), ToString::to_string);
            self.stamp().is_ok_and(|it| file.write_all(format!("{it}\t{version}\t{table}\n").as_bytes()).is_ok())
        });
        if !written {
            *lines = None;
        }
    }

    /// All that is known, anew, of a database that is open. What cannot be written down is read in full next time.
    pub fn write(&self, versions: &Versions) {
        let mut lines = self.lines();
        let written = self.stamp().and_then(|it| self.written(versions, &it));
        *lines = written.and_then(|()| Ok(fs::open_append(&self.path)?)).ok();
    }

    /// The same of one that is closed by now, if it is what it was when `stamp` was taken.
    pub fn close(&self, versions: &Versions, stamp: &str) {
        *self.lines() = None;
        if self.stamp().is_ok_and(|it| it == stamp) {
            let _ = self.written(versions, stamp);
        }
    }

    fn written(&self, versions: &Versions, stamp: &str) -> Result<(), IoError> {
        let mut text = format!("{stamp}\t\n");
        for (name, version) in versions {
            text.push_str(&format!("{stamp}\t{version}\t{name}\n"));
        }
        if let Some(folder) = self.path.parent() {
            fs::create_folder(folder)?;
        }
        Ok(fs::write_atomic(&self.path, text.as_bytes())?)
    }
}
