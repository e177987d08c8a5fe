//! Partitions: what is declared of them, the keys that there are at one moment, sets of them, and
//! which of one asset are made from which of another.
//!
//! ```text
//! Definition   what the manifest says                      time, static, dynamic, multi
//!   Keys       the keys that there are at one moment       key <-> place, without listing them
//!     PartitionSet   some of them, as ranges of places     union, intersection, difference
//!       text         `--partition` texts <-> sets
//!       Mapping      sets of one asset <-> sets of another
//! ```
//!
//! Pure: the moment and the names of dynamic partitions are passed in. Nothing here knows assets.

mod calendar;
mod cron;
mod hours;
mod keys;
mod label;
mod mapping;
mod name;
mod product;
mod recall;
mod set;
#[cfg(test)]
mod tests;
mod text;
mod ticks;
mod time;
mod zone;

use std::sync::Arc;

pub use cron::{BadCron, Cron};
pub use keys::{Keys, Moment, NoKey, TooMany};
pub use label::{BadFormat, check as check_format, moment as read_moment};
pub use mapping::{CannotMap, DimensionMapping, Mapping, Related, TableRow};
pub use name::{BadName, Names, check as check_name};
pub use recall::Recalled;
pub use set::PartitionSet;
pub use text::BadText;
pub use time::{Every, NoWindow, TimeDefinition, TimeKeys};
pub use zone::{UnknownZone, Zone};

/// What is declared under `[partitions.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Definition {
    /// Windows of time.
    Time(Arc<TimeDefinition>),
    /// Keys that the manifest lists.
    Static(Names),
    /// Keys that are kept elsewhere, under the name of the definition.
    Dynamic(Arc<str>),
    /// Every combination of a key of each dimension.
    Multi(Arc<[Dimension]>),
}

/// One part of the keys of partitions with several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dimension {
    pub name: Arc<str>,
    /// Not multi itself.
    pub definition: Definition,
}
