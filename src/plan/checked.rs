//! What checks said in the past: for each asset a file of its own in the state, a line of JSON for each look. What they
//! said of its partitions is in that file too, as far as it is recent, and in one for each.
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
    model::{
        event::CheckReport,
        key::{AssetKey, PartitionKey},
    },
};

/// How many looks are kept of each asset.
const LOOKS_MAX: usize = 50;
/// A file this large is cut back to them.
const BYTES_MAX: u64 = 256 << 10;
/// The same of each partition.
const LOOKS_OF_PART_MAX: usize = 5;
const BYTES_OF_PART_MAX: u64 = 16 << 10;
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
    /// The one that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
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
        looks(&self.file(key))
    }

    /// The number that a check judged in the last version of a partition that was published and is not `except`.
    pub fn last_number(
        &self,
        (key, partition): (&AssetKey, &PartitionKey),
        check: &str,
        except: Option<&Digest>,
    ) -> Option<f64> {
        let except = except.map(ToString::to_string);
        let looks = looks(&self.file_of_part(key, partition).unwrap_or_else(|| self.file(key)));
        let others = looks.iter().rev().filter(|it| it.data_version.is_some() && it.data_version != except);
        others.filter_map(|it| it.said(check)?.metric).next()
    }

    /// Adds a look at a partition.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn add(&self, key: &AssetKey, partition: &PartitionKey, look: &Look) -> Result<(), FsError> {
        let look = Look { partition: partition.name().map(str::to_owned), ..look.clone() };
        fs::create_private_folder(&self.folder)?;
        append(&self.file(key), &look, (LOOKS_MAX, BYTES_MAX))?;
        let Some(path) = self.file_of_part(key, partition) else { return Ok(()) };
        fs::create_private_folder(&self.folder_of_parts(key))?;
        append(&path, &look, (LOOKS_OF_PART_MAX, BYTES_OF_PART_MAX))
    }

    /// What is known of `old` is from now on known of `new`.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn rename(&self, old: &AssetKey, new: &AssetKey) -> Result<(), FsError> {
        let places = [(self.file(old), self.file(new)), (self.folder_of_parts(old), self.folder_of_parts(new))];
        for (from, to) in places {
            if fs::look(&from)?.is_some() {
                fs::rename(&from, &to)?;
            }
        }
        Ok(())
    }

    fn file(&self, key: &AssetKey) -> PathBuf {
        self.folder.join(format!("{}.jsonl", name_of(key)))
    }

    fn folder_of_parts(&self, key: &AssetKey) -> PathBuf {
        self.folder.join(name_of(key))
    }

    /// `None` of an asset without partitions.
    fn file_of_part(&self, key: &AssetKey, partition: &PartitionKey) -> Option<PathBuf> {
        Some(self.folder_of_parts(key).join(format!("{}.jsonl", partition.name()?)))
    }
}

/// Keys hold no dots, so that no two assets share a file.
fn name_of(key: &AssetKey) -> String {
    let name = key.as_str().replace('/', ".");
    let name = if name.len() > NAME_BYTES_MAX { Digest::of(name.as_bytes()).to_string() } else { name };
    name.replace(':', "-")
}

fn looks(path: &Path) -> Vec<Look> {
    let bytes = fs::read_if_there(path).ok().flatten().unwrap_or_default();
    bytes.split(|it| *it == b'\n').filter_map(|it| serde_json::from_slice(it).ok()).collect()
}

fn line(look: &Look) -> Vec<u8> {
    let mut line = serde_json::to_vec(look).expect("texts and finite numbers");
    line.push(b'\n');
    line
}

fn append(path: &Path, look: &Look, (looks_max, bytes_max): (usize, u64)) -> Result<(), FsError> {
    let mut file = fs::open_append(path)?;
    // One write, so that two of them do not meet in one line.
    file.write_all(&line(look)).map_err(|source| FsError { doing: "write", path: path.to_owned(), source })?;
    if fs::look(path)?.is_none_or(|it| it.len() <= bytes_max) {
        return Ok(());
    }
    let looks = looks(path);
    let kept: Vec<u8> = looks[looks.len().saturating_sub(looks_max)..].iter().flat_map(line).collect();
    fs::write_atomic(path, &kept)
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
            partition: None,
            data_version: published.then(|| Digest::of(&number.to_le_bytes()).to_string()),
            checks: vec![said],
        }
    }

    #[test]
    fn the_last_published_number_is_found_whatever_else_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        let history = CheckHistory::new(folder.path().join("checks"));
        let key = AssetKey::parse("mart/orders").unwrap();
        let (whole, day) = (PartitionKey::whole(), PartitionKey::new("2026-01-01"));
        assert_eq!(history.last_number((&key, &whole), "sum", None), None);
        for (number, published) in [(1, true), (2, true), (3, false)] {
            history.add(&key, &PartitionKey::whole(), &look(number, published)).unwrap();
        }
        let file = folder.path().join("checks/mart.orders.jsonl");
        fs::open_append(&file).unwrap().write_all(b"{\"at\": torn").unwrap();
        assert_eq!(history.of(&key).len(), 3);
        assert_eq!(history.last_number((&key, &whole), "sum", None), Some(2.0));
        let now = Digest::of(&2_u32.to_le_bytes());
        assert_eq!(history.last_number((&key, &whole), "sum", Some(&now)), Some(1.0));
        assert_eq!(history.last_number((&key, &whole), "other", None), None);
        // Of a partition it is the last number of that one.
        history.add(&key, &day, &look(7, true)).unwrap();
        history.add(&key, &PartitionKey::new("2026-01-02"), &look(8, true)).unwrap();
        assert_eq!(history.last_number((&key, &day), "sum", None), Some(7.0));
        // The first of them ended the torn line.
        assert_eq!(history.of(&key)[3].partition.as_deref(), Some("2026-01-02"));
        let new = AssetKey::parse("orders").unwrap();
        history.rename(&key, &new).unwrap();
        assert_eq!((history.of(&key).len(), history.of(&new).len()), (0, 4));
        assert_eq!(history.last_number((&new, &day), "sum", None), Some(7.0));
    }

    #[test]
    fn a_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let history = CheckHistory::new(folder.path().to_owned());
        let key = AssetKey::parse("a").unwrap();
        (0..200).for_each(|it| history.add(&key, &PartitionKey::whole(), &look(it, false)).unwrap());
        let kept = history.of(&key);
        assert!(kept.len() >= LOOKS_MAX && kept.len() < 150, "{}", kept.len());
        assert_eq!(kept.last().unwrap().checks[0].metric, Some(199.0));
    }
}
