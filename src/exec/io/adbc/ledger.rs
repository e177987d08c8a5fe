//! What a database file holds, as far as this tool knows, told without opening it.
//!
//! A file beside the state: after each of our own transactions a line with what `stat` says of the database (and
//! of its log), and which version which table has. As long as the last line fits what is on disk, nobody else has
//! written; if it does not, nothing in it is believed. It holds no truth of its own: losing it costs time.

use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
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
}

impl Ledger {
    pub fn new(path: PathBuf, database: PathBuf) -> Ledger {
        Ledger { path, database }
    }

    /// What `stat` says; the same as long as nobody writes.
    fn stamp(&self) -> Result<String, IoError> {
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

    /// After a transaction of ours that gave `table` this version, or took it away.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn add(&self, table: &str, version: Option<&Digest>) -> Result<(), IoError> {
        let version = version.map_or_else(|| "-".to_owned(), ToString::to_string);
        let line = format!("{}\t{version}\t{table}\n", self.stamp()?);
        let mut file = fs::open_append(&self.path)?;
        file.write_all(line.as_bytes())
            .map_err(|it| IoError::Other { path: self.path.display().to_string(), cause: it.to_string() })
    }

    /// All that is known, anew.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn write(&self, versions: &Versions) -> Result<(), IoError> {
        let stamp = self.stamp()?;
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
