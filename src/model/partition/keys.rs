//! The keys that there are at one moment: from a key to its place and back, without listing them.

use std::{fmt, ops::Range, sync::Arc};

use jiff::Timestamp;

use crate::{base::suggest, model::key::PartitionKey};

use super::{
    Definition, Names, PartitionSet,
    time::{NoWindow, TimeKeys},
};

/// What counting keys needs of the world.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub now: Timestamp,
    /// The keys of dynamic partitions, by the name of their definition.
    pub dynamic: &'a dyn Fn(&str) -> Names,
}

/// The keys of one asset at one moment, by place from 0 on. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Of an asset without partitions: the one empty key.
    Whole,
    Time(TimeKeys),
    Names(Names),
    Multi(MultiKeys),
}

/// Every combination of a key of each dimension. The first dimension changes fastest, so that a range
/// of days of one region is one range of places.
#[derive(Clone, Debug)]
pub struct MultiKeys {
    dimensions: Arc<[(Arc<str>, Keys)]>,
    count: u64,
}

/// There are more combinations than can be numbered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there are more combinations of keys than can be counted")]
pub struct TooMany;

/// Why a text is not the key of a partition.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct NoKey {
    /// One sentence, lower case.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Definition {
    /// The keys that there are at a moment.
    pub fn keys(&self, moment: Moment<'_>) -> Result<Keys, TooMany> {
        Ok(match self {
            Definition::Time(it) => Keys::Time(TimeKeys::new(it.clone(), moment.now)),
            Definition::Static(names) => Keys::Names(names.clone()),
            Definition::Dynamic(name) => Keys::Names((moment.dynamic)(name)),
            Definition::Multi(them) => {
                let each = them.iter().map(|it| Ok((it.name.clone(), it.definition.keys(moment)?)));
                Keys::Multi(MultiKeys::new(each.collect::<Result<Vec<_>, TooMany>>()?)?)
            }
        })
    }
}

impl Keys {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Keys::Whole => 1,
            Keys::Time(it) => it.count(),
            Keys::Names(it) => it.len() as u64,
            Keys::Multi(it) => it.count,
        }
    }

    pub fn all(&self) -> PartitionSet {
        PartitionSet::range(0..self.count())
    }

    /// The key at a place; `None` if there are not so many.
    pub fn key(&self, place: u64) -> Option<PartitionKey> {
        (place < self.count()).then(|| PartitionKey::new(&self.text(place)))
    }

    /// The key at a place that there is; of time, also one that is yet to come.
    pub(super) fn text(&self, place: u64) -> String {
        match self {
            Keys::Whole => String::new(),
            Keys::Time(it) => it.key(i64::try_from(place).unwrap_or(i64::MAX)),
            Keys::Names(it) => usize::try_from(place).ok().and_then(|at| it.get(at)).map_or("", |it| it).to_owned(),
            Keys::Multi(it) => {
                let mut rest = place;
                let parts = it.dimensions.iter().map(|(name, keys)| {
                    let count = keys.count().max(1);
                    let part = format!("{name}={}", keys.text(rest % count));
                    rest /= count;
                    part
                });
                parts.collect::<Vec<_>>().join(",")
            }
        }
    }

    /// The time that a partition is of; of several dimensions, that of the only one by time.
    pub fn window(&self, place: u64) -> Option<Range<Timestamp>> {
        match self {
            Keys::Whole | Keys::Names(_) => None,
            Keys::Time(it) => Some(it.window(i64::try_from(place).ok()?)),
            Keys::Multi(it) => {
                let mut unit = 1;
                let mut windows = it.dimensions.iter().filter_map(|(_, keys)| {
                    let own = place / unit % keys.count().max(1);
                    unit *= keys.count().max(1);
                    keys.window(own)
                });
                let window = windows.next();
                if windows.next().is_some() { None } else { window }
            }
        }
    }

    /// The place of a key, which must be spelt as [`Keys::key`] spells it.
    pub fn place(&self, key: &str) -> Result<u64, NoKey> {
        match self {
            Keys::Whole if key.is_empty() => Ok(0),
            Keys::Whole => Err(NoKey::new("the asset has no partitions", None)),
            Keys::Time(it) => it.place(key).map_err(|why| no_window(it, key, why)),
            Keys::Names(it) => it.place(key).map(|it| it as u64).ok_or_else(|| no_name(it, key)),
            Keys::Multi(it) => it.place(key),
        }
    }
}

impl MultiKeys {
    pub fn new(dimensions: Vec<(Arc<str>, Keys)>) -> Result<MultiKeys, TooMany> {
        let count = dimensions.iter().try_fold(1_u64, |all, (_, keys)| all.checked_mul(keys.count()));
        // Places are also counted with a sign, for windows before the first.
        let count = count.filter(|it| i64::try_from(*it).is_ok()).ok_or(TooMany)?;
        Ok(MultiKeys { dimensions: dimensions.into(), count })
    }

    pub fn dimensions(&self) -> &[(Arc<str>, Keys)] {
        &self.dimensions
    }

    /// How many keys each dimension has.
    pub fn sizes(&self) -> Vec<u64> {
        self.dimensions.iter().map(|it| it.1.count()).collect()
    }

    fn place(&self, key: &str) -> Result<u64, NoKey> {
        let parts: Vec<&str> = key.split(',').collect();
        let (mut place, mut unit) = (0, 1);
        for (index, (name, keys)) in self.dimensions.iter().enumerate() {
            let part = parts.get(index).and_then(|it| it.split_once('=')).filter(|it| it.0 == &**name);
            let Some((_, part)) = part.filter(|_| parts.len() == self.dimensions.len()) else {
                return Err(self.malformed(key));
            };
            place += keys.place(part)? * unit;
            unit *= keys.count();
        }
        Ok(place)
    }

    fn malformed(&self, key: &str) -> NoKey {
        let form = self.dimensions.iter().map(|it| format!("{}=..", it.0)).collect::<Vec<_>>().join(",");
        NoKey::new(format!("{key:?} does not name a key of each dimension"), format!("write it as {form}"))
    }
}

impl NoKey {
    pub(super) fn new(message: impl Into<String>, help: impl Into<Option<String>>) -> NoKey {
        NoKey { message: message.into(), help: help.into() }
    }
}

/// Why there is no such window, for people.
pub(super) fn no_window(keys: &TimeKeys, key: &str, why: NoWindow) -> NoKey {
    let (first, last) = (keys.key(0), i64::try_from(keys.count()).unwrap_or(i64::MAX) - 1);
    let there_is = match last {
        ..0 => "there is none yet".to_owned(),
        0 => format!("there is {first}"),
        _ => format!("there are {first} to {}", keys.key(last)),
    };
    match why {
        NoWindow::Form => NoKey::new(format!("{key:?} is not a key"), format!("keys are written as in {first}")),
        NoWindow::TooEarly => NoKey::new(format!("{key} is before the first partition"), there_is),
        NoWindow::TooLate if keys.definition().end.is_some() => {
            NoKey::new(format!("{key} is after the last partition"), there_is)
        }
        NoWindow::TooLate => NoKey::new(format!("{key} is not over yet"), there_is),
        NoWindow::Twice(a, b) => {
            NoKey::new(format!("{key} is there twice: the clocks are put back"), format!("write {a} or {b}"))
        }
        NoWindow::Within(of) => {
            NoKey::new(format!("no partition begins at {key}"), format!("it would be in the one of {of}"))
        }
    }
}

/// As many names as are compared to find the one that was meant.
const COMPARED_MAX: usize = 10_000;
/// As many names as are listed in a help.
const LISTED_MAX: usize = 8;

fn no_name(names: &Names, key: &str) -> NoKey {
    let near = suggest::nearest(key, names.iter().take(COMPARED_MAX));
    let help = match (near, names.len()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, 0) => "there is none yet".to_owned(),
        (None, 1..=LISTED_MAX) => format!("there is `{}`", names.iter().collect::<Vec<_>>().join("`, `")),
        (None, count) => format!("there are {count}"),
    };
    NoKey::new(format!("there is no partition `{key}`"), help)
}

impl fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.now)
    }
}
