//! A backfill: a named order to make partitions, kept until they are made or it is called off.
//!
//! Holds what was asked for and whether it is still wanted. Which partitions are made is not in it: that is
//! told by their own records, so that it cannot be wrong.

use jiff::Timestamp;

use crate::{model::key::AssetKey, plan::record::RunId};

/// What was asked for, and what became of the wish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backfill {
    /// Never used twice as long as it is known.
    pub name: String,
    pub asked_at: Timestamp,
    /// As typed.
    pub command: Vec<String>,
    /// Upstream first.
    pub assets: Vec<BackfillAsset>,
    pub order: Order,
    /// Steps at work at once, if that was said.
    pub jobs: Option<u64>,
    /// Variables of the command line, which its assets may be made from.
    pub vars: Vec<(String, String)>,
    pub state: BackfillState,
    /// When the state became what it is.
    pub since: Timestamp,
    /// If fresh partitions are made too, the runs that worked on it: what they made is not made again.
    pub forced: Option<Vec<RunId>>,
}

/// Some partitions of one asset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackfillAsset {
    pub key: AssetKey,
    /// As `Keys::written` writes them; `None` of an asset without partitions.
    pub partitions: Option<String>,
    /// How many they were.
    pub count: u64,
}

/// Which partitions come first. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl Order {
    pub const ALL: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];

    pub fn name(self) -> &'static str {
        match self {
            Order::OldestFirst => "oldest_first",
            Order::NewestFirst => "newest_first",
        }
    }
}

/// Whether it is wanted. That a process works on it is no part of it: a lock of the kernel tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackfillState {
    /// It is to go on until all is made.
    Wanted,
    /// Nothing more is to be started for now.
    Paused,
    Cancelled,
    /// It came to its end, and nothing failed.
    Done,
    /// It came to its end, and something failed.
    Failed,
}

impl BackfillState {
    /// Nothing more will be made unless somebody asks again.
    pub fn has_ended(self) -> bool {
        matches!(self, BackfillState::Cancelled | BackfillState::Done | BackfillState::Failed)
    }
}

/// How many that have ended are kept.
pub const ENDED_KEPT: usize = 100;

impl Backfill {
    /// Takes a new state if the present one is among `from`; whether it did.
    pub fn turn(&mut self, from: &[BackfillState], to: BackfillState, at: Timestamp) -> bool {
        let turns = from.contains(&self.state);
        if turns {
            (self.state, self.since) = (to, at);
        }
        turns
    }

    /// Remembers a run that works on it; whether that changed anything.
    pub fn begin(&mut self, run: &RunId) -> bool {
        let Some(runs) = self.forced.as_mut().filter(|it| !it.contains(run)) else { return false };
        runs.push(run.clone());
        true
    }

    /// Takes a new name for an asset; whether that changed anything.
    pub fn rename(&mut self, old: &AssetKey, new: &AssetKey) -> bool {
        let mut found = self.assets.iter_mut().filter(|it| it.key == *old).peekable();
        let any = found.peek().is_some();
        found.for_each(|it| it.key = new.clone());
        any
    }
}

/// Of all, oldest first, the names of those that are dropped when one more is asked for.
pub fn spare(all: &[Backfill]) -> Vec<String> {
    let ended: Vec<&Backfill> = all.iter().filter(|it| it.state.has_ended()).collect();
    let spare = ended.len().saturating_sub(ENDED_KEPT);
    ended[..spare].iter().map(|it| it.name.clone()).collect()
}
