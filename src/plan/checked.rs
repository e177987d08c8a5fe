//! What checks said in the past: for each asset a file of its own in the state, a line of JSON for each look.
//!
//! Kept for people, and for checks that compare with the version before. Nothing that decides what is fresh
//! stands on it: a line that is lost, or cannot be read, is as if nobody had looked.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    base::{
        digest::Digest,
        fs::{self, FsError},
    },
    model::{event::CheckReport, key::AssetKey},
};

/// How many looks are kept of each asset.
const LOOKS_MAX: usize = 50;
/// A file this large is cut back to them.
const BYTES_MAX: u64 = 256 << 10;
/// Longer keys go by their digest.
const NAME_BYTES_MAX: usize = 200;

/// The files of one state.
#[derive(Clone, Debug)]
pub struct CheckHistory {
    folder: PathBuf,
}

/// All checks of an asset, once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Look {
    pub at: Timestamp,
    pub run: String,
    /// Of what is published: `blake3:` and 64 hex digits. `None`: what was looked at is not.
    pub data_version: Option<String>,
    pub checks: Vec<Said>,
}

/// What one check said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Said {
    pub name: String,
    /// `None`: it passed.
    pub failure: Option<String>,
    pub failing: Option<u64>,
    pub total: Option<u64>,
    pub metric: Option<f64>,
}

impl From<&CheckReport> for Said {
    fn from(it: &CheckReport) -> Self {
        Said {
            name: it.name.clone(),
            failure: it.finding.failure.clone(),
            failing: it.finding.failing,
            total: it.finding.total,
            metric: it.finding.metric,
        }
    }
}

impl Look {
    pub fn said(&self, check: &str) -> Option<&Said> {
        self.checks.iter().find(|it| it.name == check)
    }
}

impl CheckHistory {
    /// `folder` need not be there.
    pub fn new(folder: PathBuf) -> Self {
        CheckHistory { folder }
    }

    /// Every look that is kept, oldest first.
    pub fn of(&self, key: &AssetKey) -> Vec<Look> {
        let bytes = fs::read_if_there(&self.file(key)).ok().flatten().unwrap_or_default();
        bytes.split(|it| *it == b'\n').filter_map(|it| serde_json::from_slice(it).ok()).collect()
    }

    /// The number that a check judged in the last version that was published and is not `except`.
    pub fn last_number(&self, key: &AssetKey, check: &str, except: Option<&Digest>) -> Option<f64> {
        let except = except.map(ToString::to_string);
        let looks = self.of(key);
        let others = looks.iter().rev().filter(|it| it.data_version.is_some() && it.data_version != except);
        others.filter_map(|it| it.said(check)?.metric).next()
    }

    /// Adds a look.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn add(&self, key: &AssetKey, look: &Look) -> Result<(), FsError> {
        let mut line = serde_json::to_vec(look).expect("texts and finite numbers");
        line.push(b'\n');
        fs::create_private_folder(&self.folder)?;
        let path = self.file(key);
        let mut file = fs::open_append(&path)?;
        // One write, so that two of them do not meet in one line.
        file.write_all(&line).map_err(|source| FsError { doing: "write", path: path.clone(), source })?;
        if fs::look(&path)?.is_some_and(|it| it.len() > BYTES_MAX) {
            self.shorten(key, &path)?;
        }
        Ok(())
    }

    fn shorten(&self, key: &AssetKey, path: &Path) -> Result<(), FsError> {
        let looks = self.of(key);
        let mut bytes = Vec::new();
        for look in &looks[looks.len().saturating_sub(LOOKS_MAX)..] {
            bytes.extend(serde_json::to_vec(look).expect("texts and finite numbers"));
            bytes.push(b'\n');
        }
        fs::write_atomic(path, &bytes)
    }

    /// What is known of `old` is from now on known of `new`.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn rename(&self, old: &AssetKey, new: &AssetKey) -> Result<(), FsError> {
        let from = self.file(old);
        if fs::look(&from)?.is_some() { fs::rename(&from, &self.file(new)) } else { Ok(()) }
    }

    /// Keys hold no dots, so that no two assets share a file.
    fn file(&self, key: &AssetKey) -> PathBuf {
        let name = key.as_str().replace('/', ".");
        let name = if name.len() > NAME_BYTES_MAX { Digest::of(name.as_bytes()).to_string() } else { name };
        self.folder.join(format!("{}.jsonl", name.replace(':', "-")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(number: u32, published: bool) -> Look {
        let said = Said {
            name: "sum".to_owned(),
            failure: (!published).then(|| "no ".repeat(1000)),
            failing: None,
            total: None,
            metric: Some(f64::from(number)),
        };
        Look {
            at: Timestamp::UNIX_EPOCH,
            run: "r".to_owned(),
            data_version: published.then(|| Digest::of(&number.to_le_bytes()).to_string()),
            checks: vec![said],
        }
    }

    #[test]
    fn the_last_published_number_is_found_whatever_else_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        let history = CheckHistory::new(folder.path().join("checks"));
        let key = AssetKey::parse("mart/orders").unwrap();
        assert_eq!(history.last_number(&key, "sum", None), None);
        for (number, published) in [(1, true), (2, true), (3, false)] {
            history.add(&key, &look(number, published)).unwrap();
        }
        let file = folder.path().join("checks/mart.orders.jsonl");
        fs::open_append(&file).unwrap().write_all(b"{\"at\": torn").unwrap();
        assert_eq!(history.of(&key).len(), 3);
        assert_eq!(history.last_number(&key, "sum", None), Some(2.0));
        let now = Digest::of(&2_u32.to_le_bytes());
        assert_eq!(history.last_number(&key, "sum", Some(&now)), Some(1.0));
        assert_eq!(history.last_number(&key, "other", None), None);
        let new = AssetKey::parse("orders").unwrap();
        history.rename(&key, &new).unwrap();
        assert_eq!((history.of(&key).len(), history.of(&new).len()), (0, 3));
    }

    #[test]
    fn a_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let history = CheckHistory::new(folder.path().to_owned());
        let key = AssetKey::parse("a").unwrap();
        (0..200).for_each(|it| history.add(&key, &look(it, false)).unwrap());
        let kept = history.of(&key);
        assert!(kept.len() >= LOOKS_MAX && kept.len() < 150, "{}", kept.len());
        assert_eq!(kept.last().unwrap().checks[0].metric, Some(199.0));
    }
}
