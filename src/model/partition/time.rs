//! Partitions that are windows of time: what is declared of them, and the keys that there are at one
//! moment. A window is half-open: its start belongs to it, its end to the next one.

use std::{ops::Range, sync::Arc};

use jiff::{
    Timestamp, ToSpan,
    civil::{DateTime, Time, Weekday},
};

use super::{
    calendar::{Calendar, Unit},
    cron::Cron,
    hours::Hours,
    label,
    ticks::Ticks,
    zone::{Instant, Zone, as_if_utc, timestamp},
};

/// Where one window ends and the next begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Every {
    /// At this minute of every hour.
    Hour(i8),
    /// At this time of every day.
    Day(Time),
    Week(Weekday, Time),
    /// The day is one that every month has: 1 to 28.
    Month(i8, Time),
    Cron(Cron),
}

/// What is declared of partitions by time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeDefinition {
    pub every: Every,
    pub zone: Zone,
    /// The first window is the first that begins then or later.
    pub start: DateTime,
    /// Windows end then or earlier.
    pub end: Option<DateTime>,
    /// A strftime format of keys; `None` for that of the cadence.
    pub format: Option<Arc<str>>,
    /// How many windows there are more (or less) than those that are over: 1 for the current one too.
    pub end_offset: i64,
}

impl TimeDefinition {
    /// Whether windows of both begin and end together, wherever there are both.
    pub fn same_windows(&self, other: &TimeDefinition) -> bool {
        self.every == other.every && self.zone == other.zone
    }

    /// Whether any window is over by a time.
    pub fn any_until(&self, end: DateTime) -> bool {
        // No cadence comes more seldom than 29 February, and not every century has one at its turn.
        let soon = self.start.saturating_add(9.years());
        let end = end.min(soon);
        let alone = TimeDefinition { end: Some(end), end_offset: 0, ..self.clone() };
        TimeKeys::new(Arc::new(alone), timestamp(self.zone.first(end))).count() > 0
    }
}

/// Time cut into windows that follow each other, numbered by whole numbers.
#[derive(Clone, Debug)]
enum Grid {
    Calendar(Calendar),
    Hours(Hours),
    Ticks(Ticks),
}

impl Grid {
    fn new(of: &TimeDefinition, span: Range<Instant>) -> Grid {
        let zone = of.zone.clone();
        let calendar = |unit, at, zone| Grid::Calendar(Calendar { unit, at, zone });
        match &of.every {
            Every::Hour(minute) => Grid::Hours(Hours::new(&zone, *minute, span.end)),
            Every::Day(at) => calendar(Unit::Day, *at, zone),
            Every::Week(first, at) => calendar(Unit::Week(*first), *at, zone),
            Every::Month(day, at) => calendar(Unit::Month(*day), *at, zone),
            Every::Cron(cron) => Grid::Ticks(Ticks::new(zone, cron, span)),
        }
    }

    fn start(&self, number: i64) -> Instant {
        match self {
            Grid::Calendar(it) => it.start(number),
            Grid::Hours(it) => it.start(number),
            Grid::Ticks(it) => it.start(number),
        }
    }

    fn holding(&self, at: Instant) -> i64 {
        match self {
            Grid::Calendar(it) => it.holding(at),
            Grid::Hours(it) => it.holding(at),
            Grid::Ticks(it) => it.holding(at),
        }
    }

    fn label(&self, number: i64) -> (DateTime, Option<i64>) {
        match self {
            Grid::Calendar(it) => (it.label(number), None),
            Grid::Hours(it) => it.label(number),
            Grid::Ticks(it) => it.label(number),
        }
    }
}

/// The windows that there are at one moment, by place from 0 on. Cheap to clone.
///
/// Every function takes places outside of them too, and tells of the windows that would be there.
#[derive(Clone, Debug)]
pub struct TimeKeys {
    definition: Arc<TimeDefinition>,
    grid: Grid,
    /// The number of the first window.
    first: i64,
    count: u64,
}

/// Why a text names no window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoWindow {
    /// It is not written as keys are.
    Form,
    /// There is a window like it, but it is before the first.
    TooEarly,
    /// There is or will be one like it, but it is after the last.
    TooLate,
    /// Clocks show it twice: the two keys.
    Twice(String, String),
    /// It is a time that no window begins at: the key of the one that it lies in.
    Within(String),
}

impl TimeKeys {
    pub fn new(definition: Arc<TimeDefinition>, now: Timestamp) -> TimeKeys {
        let start = definition.zone.first(definition.start);
        let end = definition.end.map(|it| definition.zone.first(it));
        let over = now.as_second().min(end.unwrap_or(Instant::MAX)).max(start);
        let grid = Grid::new(&definition, start..over);
        let first = at_or_after(&grid, start);
        let until = grid.holding(now.as_second()).saturating_add(definition.end_offset);
        let until = end.map_or(until, |it| until.min(grid.holding(it)));
        let count = u64::try_from(until.saturating_sub(first)).unwrap_or(0);
        TimeKeys { definition, grid, first, count }
    }

    pub fn definition(&self) -> &TimeDefinition {
        &self.definition
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// From the start of a window to the start of the next. Empty for a day that a zone has skipped.
    pub fn window(&self, place: i64) -> Range<Timestamp> {
        timestamp(self.start(place))..timestamp(self.start(place.saturating_add(1)))
    }

    pub fn start(&self, place: i64) -> Instant {
        self.grid.start(self.first.saturating_add(place))
    }

    /// The place of the window that an instant is in.
    pub fn holding(&self, at: Instant) -> i64 {
        self.grid.holding(at).saturating_sub(self.first)
    }

    /// The place, among these, of the first window of others that begin and end as these do.
    pub fn place_of_first(&self, of: &TimeKeys) -> i64 {
        match &self.grid {
            // Ticks are numbered from where looking for them began, and known from there on.
            Grid::Ticks(_) if of.start(0) < self.start(0) => -of.holding(self.start(0)),
            Grid::Ticks(_) => self.holding(of.start(0)),
            Grid::Calendar(_) | Grid::Hours(_) => of.first.saturating_sub(self.first),
        }
    }

    /// How many windows before the first and after the last are known exactly.
    pub fn reach(&self) -> i64 {
        match &self.grid {
            Grid::Ticks(it) => {
                let after = it.count() - self.first - i64::try_from(self.count).unwrap_or(i64::MAX);
                self.first.min(after).max(0)
            }
            Grid::Calendar(_) | Grid::Hours(_) => i64::MAX,
        }
    }

    pub fn key(&self, place: i64) -> String {
        let (shown, ahead) = self.grid.label(self.first.saturating_add(place));
        label::written(&self.definition, shown, ahead)
    }

    /// The place of a key, among the windows that there are.
    pub fn place(&self, key: &str) -> Result<u64, NoWindow> {
        let place = self.anywhere(key)?;
        match u64::try_from(place) {
            Err(_) => Err(NoWindow::TooEarly),
            Ok(place) if place >= self.count => Err(NoWindow::TooLate),
            Ok(place) => Ok(place),
        }
    }

    /// The place of a key, also of one that there is not (yet).
    pub fn anywhere(&self, key: &str) -> Result<i64, NoWindow> {
        let (shown, ahead) = label::read(&self.definition, key).ok_or(NoWindow::Form)?;
        let near = match &self.grid {
            Grid::Calendar(it) => it.number_of(shown.date()),
            grid => grid.holding(match ahead {
                Some(ahead) => as_if_utc(shown) - ahead,
                None => self.definition.zone.first(shown),
            }),
        };
        let near = near.saturating_sub(self.first);
        // A format may name a window by another day than its first, and a changed clock move an hour.
        let around = [near, near.saturating_sub(1), near.saturating_add(1)];
        if let Some(found) = around.into_iter().find(|it| self.key(*it) == key) {
            return Ok(found);
        }
        let twice: Vec<String> = around.into_iter().map(|it| self.key(it)).filter(|it| tagged(it, key)).collect();
        match &twice[..] {
            [one, other] => Err(NoWindow::Twice(one.clone(), other.clone())),
            _ => Err(NoWindow::Within(self.key(near))),
        }
    }

    /// The place of the first window that begins at a bound of a range or later: a key, or a day
    /// (`2026-03-15`), a month (`2026-03`), a year or a time (`2026-03-15T07:00`).
    pub fn bound(&self, text: &str) -> Result<i64, NoWindow> {
        match self.anywhere(text) {
            Ok(place) => Ok(place),
            Err(why) => match label::moment(text) {
                Some(shown) if !matches!(why, NoWindow::Twice(..)) => {
                    Ok(at_or_after(&self.grid, self.definition.zone.first(shown)).saturating_sub(self.first))
                }
                _ => Err(why),
            },
        }
    }
}

fn at_or_after(grid: &Grid, at: Instant) -> i64 {
    let holding = grid.holding(at);
    if grid.start(holding) >= at { holding } else { holding.saturating_add(1) }
}

/// Whether `key` is the key `of` an hour that is there twice, without what tells it apart.
fn tagged(key: &str, of: &str) -> bool {
    key.strip_prefix(of).is_some_and(|it| it.len() >= label::TAG_MIN && it.starts_with(['+', '-']))
}
