//! Windows from one time that a cron expression names to the next, in a time zone.
//!
//! An expression whose hour begins with `*` goes by what clocks show: twice in an hour that is there
//! twice, never in one that is skipped. Any other comes once a day: at the first of two, and where
//! its time is skipped, at that instant. Kept as runs of days, so a million ticks are a few numbers.

use std::{ops::Range, sync::Arc};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, date},
};

use super::{
    cron::Cron,
    zone::{Instant, Zone, as_if_utc, shown_in_utc},
};

const DAY: i64 = 86_400;

/// So many days before and after what is asked for are known too, for mappings that reach beyond it.
const BEYOND_DAYS: i64 = 12 * 366;

#[derive(Clone, Debug)]
pub struct Ticks {
    zone: Zone,
    by_the_clock: bool,
    /// Seconds into a day, in order.
    times: Arc<[i64]>,
    runs: Arc<[Run]>,
    count: i64,
}

/// Ticks that follow each other.
#[derive(Clone, Debug)]
struct Run {
    /// Ticks before it.
    before: i64,
    opens: Instant,
    ticks: RunTicks,
}

#[derive(Clone, Debug)]
enum RunTicks {
    /// Days in a row on which clocks are not changed: the first (from 1970), how many, ahead of UTC.
    Even { first: i64, days: i64, ahead: i64 },
    /// Around a change of clocks: each tick, and the time (as if in UTC) that it is named after.
    Listed(Vec<(Instant, i64)>),
}

impl Ticks {
    /// Exact for some years before and after `span`; farther off there are no more ticks.
    pub fn new(zone: Zone, cron: &Cron, span: Range<Instant>) -> Ticks {
        let times: Vec<i64> = cron.times().iter().map(|it| seconds_into(it.to_datetime(EPOCH))).collect();
        let from = day_of(span.start).saturating_sub(BEYOND_DAYS).max(day_of(Timestamp::MIN.as_second()) + 2);
        let until = day_of(span.end).saturating_add(BEYOND_DAYS).min(day_of(Timestamp::MAX.as_second()) - 2);
        let mut made = Maker { zone: &zone, cron, times: &times, runs: Vec::new(), count: 0 };
        let stretches = zone.stretches(from * DAY..until * DAY);
        let mut day = from;
        for (index, stretch) in stretches.iter().enumerate() {
            let ends = stretches.get(index + 1).map_or(i64::MAX, |it| it.from);
            // The days that clocks show before and after they are changed, and one more on each side.
            let (last, next) = (day_of(ends.saturating_add(stretch.ahead)), stretches.get(index + 1));
            let next = next.map_or(last, |it| day_of(it.from.saturating_add(it.ahead)));
            made.even(day..(last.min(next) - 1).min(until), stretch.ahead);
            let changed = day.max(last.min(next) - 1)..(last.max(next).saturating_add(2)).min(until);
            day = day.max(changed.end);
            made.listed(changed);
        }
        let Maker { runs, count, .. } = made;
        Ticks { by_the_clock: cron.by_the_clock(), times: times.into(), runs: runs.into(), count, zone }
    }

    /// How many are known; they are numbered from 0.
    pub fn count(&self) -> i64 {
        self.count
    }

    pub fn start(&self, number: i64) -> Instant {
        if number >= self.count {
            return Timestamp::MAX.as_second();
        }
        let Some(run) = self.run_of(number) else { return Timestamp::MIN.as_second() };
        let at = number - run.before;
        match &run.ticks {
            RunTicks::Even { ahead, .. } => self.named(run, at) - ahead,
            RunTicks::Listed(them) => them[usize::try_from(at).unwrap_or(0)].0,
        }
    }

    /// The window that an instant is in.
    pub fn holding(&self, at: Instant) -> i64 {
        let after = self.runs.partition_point(|it| it.opens <= at);
        let Some(run) = after.checked_sub(1).map(|it| &self.runs[it]) else { return -1 };
        let ticks = match &run.ticks {
            RunTicks::Even { first, days, ahead } => {
                let (day, into) = ((at + ahead).div_euclid(DAY) - first, (at + ahead).rem_euclid(DAY));
                let a_day = count(self.times.len());
                (day * a_day + count(self.times.partition_point(|it| *it <= into))).min(days * a_day)
            }
            RunTicks::Listed(them) => count(them.partition_point(|it| it.0 <= at)),
        };
        run.before + ticks - 1
    }

    /// The time that the window's beginning is named after, and how far clocks are ahead of UTC if they
    /// show it twice.
    pub fn label(&self, number: i64) -> (DateTime, Option<i64>) {
        let known = number.clamp(0, self.count - 1);
        let Some(run) = self.run_of(known) else { return (DateTime::MIN, None) };
        let shown = shown_in_utc(self.named(run, known - run.before));
        let again = self.by_the_clock && self.zone.all(shown).len() > 1;
        (shown, again.then(|| self.zone.ahead(self.start(known))))
    }

    /// The time that a tick of a run is named after, as if in UTC.
    fn named(&self, run: &Run, at: i64) -> i64 {
        match &run.ticks {
            RunTicks::Even { first, .. } => {
                let a_day = count(self.times.len());
                let time = usize::try_from(at.rem_euclid(a_day)).unwrap_or(0);
                (first + at.div_euclid(a_day)) * DAY + self.times[time]
            }
            RunTicks::Listed(them) => them[usize::try_from(at).unwrap_or(0)].1,
        }
    }

    fn run_of(&self, number: i64) -> Option<&Run> {
        let after = self.runs.partition_point(|it| it.before <= number);
        after.checked_sub(1).map(|it| &self.runs[it])
    }
}

struct Maker<'a> {
    zone: &'a Zone,
    cron: &'a Cron,
    times: &'a [i64],
    runs: Vec<Run>,
    count: i64,
}

impl Maker<'_> {
    fn even(&mut self, days: Range<i64>, ahead: i64) {
        let mut day = days.start;
        while day < days.end {
            let first = day;
            while day < days.end && self.cron.on(date_of(day)) {
                day += 1;
            }
            if day > first {
                let opens = first * DAY + self.times[0] - ahead;
                let ticks = RunTicks::Even { first, days: day - first, ahead };
                self.add(opens, ticks, (day - first) * count(self.times.len()));
            }
            day += 1;
        }
    }

    fn listed(&mut self, days: Range<i64>) {
        let mut ticks = Vec::new();
        for day in days.filter(|it| self.cron.on(date_of(*it))) {
            for named in self.times.iter().map(|it| day * DAY + it) {
                let shown = shown_in_utc(named);
                let them = if self.cron.by_the_clock() { self.zone.all(shown) } else { vec![self.zone.first(shown)] };
                ticks.extend(them.into_iter().map(|it| (it, named)));
            }
        }
        // Of several times that one change of clocks skips, the first names the tick.
        ticks.sort_unstable();
        ticks.dedup_by_key(|it| it.0);
        if let Some((opens, _)) = ticks.first() {
            self.add(*opens, RunTicks::Listed(ticks.clone()), count(ticks.len()));
        }
    }

    fn add(&mut self, opens: Instant, ticks: RunTicks, count: i64) {
        self.runs.push(Run { before: self.count, opens, ticks });
        self.count += count;
    }
}

const EPOCH: Date = date(1970, 1, 1);

fn seconds_into(time: DateTime) -> i64 {
    as_if_utc(time)
}

fn day_of(seconds: i64) -> i64 {
    seconds.div_euclid(DAY)
}

fn date_of(day: i64) -> Date {
    EPOCH.saturating_add(SignedDuration::from_secs(day.saturating_mul(DAY)))
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::{super::zone::timestamp, *};

    fn ticks(cron: &str, zone: &str, years: Range<i16>) -> Ticks {
        let year = |it: i16| as_if_utc(datetime(it, 1, 1, 0, 0, 0, 0));
        Ticks::new(Zone::named(zone).unwrap(), &Cron::parse(cron).unwrap(), year(years.start)..year(years.end))
    }

    fn from(of: &Ticks, at: DateTime, how_many: i64) -> Vec<String> {
        let first = of.holding(of.zone.first(at) - 1) + 1;
        let told = |it: i64| {
            let (label, ahead) = of.label(it);
            let ahead = ahead.map(|it| format!(" {:+}", it / 3600)).unwrap_or_default();
            format!("{}{ahead} {}", label.strftime("%d %H:%M"), timestamp(of.start(it)).strftime("%H:%MZ"))
        };
        (first..first + how_many).map(told).collect()
    }

    #[test]
    fn once_a_day_is_once_on_days_of_23_and_25_hours() {
        let of = ticks("30 2 * * *", "America/New_York", 2026..2027);
        assert_eq!(
            from(&of, datetime(2026, 3, 7, 0, 0, 0, 0), 3),
            ["07 02:30 07:30Z", "08 02:30 07:00Z", "09 02:30 06:30Z"]
        );
        let of = ticks("30 1 * * *", "America/New_York", 2026..2027);
        assert_eq!(from(&of, datetime(2026, 11, 1, 0, 0, 0, 0), 2), ["01 01:30 05:30Z", "02 01:30 06:30Z"]);
    }

    #[test]
    fn every_half_hour_goes_by_the_clock() {
        let of = ticks("*/30 * * * *", "America/New_York", 2026..2027);
        assert_eq!(
            from(&of, datetime(2026, 11, 1, 0, 30, 0, 0), 6),
            [
                "01 00:30 04:30Z",
                "01 01:00 -4 05:00Z",
                "01 01:30 -4 05:30Z",
                "01 01:00 -5 06:00Z",
                "01 01:30 -5 06:30Z",
                "01 02:00 07:00Z"
            ]
        );
        assert_eq!(from(&of, datetime(2026, 3, 8, 1, 30, 0, 0), 2), ["08 01:30 06:30Z", "08 03:00 07:00Z"]);
    }

    #[test]
    fn a_million_ticks_are_a_few_runs() {
        let of = ticks("* * * * *", "Asia/Seoul", 2024..2026);
        assert!(of.count > 1_000_000 && of.runs.len() < 10, "{} {}", of.count, of.runs.len());
        assert!(ticks("0 9 * * mon-fri", "America/New_York", 2024..2026).runs.len() < 53 * 28);
    }

    #[test]
    fn ticks_are_those_that_a_look_at_every_quarter_of_an_hour_finds() {
        for zone in
            ["UTC", "America/New_York", "America/Havana", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo"]
        {
            for cron in ["*/15 * * * *", "45 */5 * * *", "0 0 1,15 * mon", "15,45 */1 * mar,apr,oct,nov sun,sat"] {
                let of = ticks(cron, zone, 2010..2011);
                let parsed = Cron::parse(cron).unwrap();
                let times = parsed.times();
                let mut wanted = Vec::new();
                let span = as_if_utc(datetime(2010, 1, 1, 0, 0, 0, 0))..as_if_utc(datetime(2011, 1, 1, 0, 0, 0, 0));
                for at in span.clone().step_by(900) {
                    let shown = of.zone.clock(at);
                    if parsed.on(shown.date()) && times.binary_search(&shown.time()).is_ok() {
                        wanted.push(at);
                    }
                }
                if !parsed.by_the_clock() {
                    wanted.retain(|it| of.zone.first(of.zone.clock(*it)) == *it);
                }
                let first = of.holding(span.start - 1) + 1;
                let found: Vec<Instant> = (first..=of.holding(span.end - 1)).map(|it| of.start(it)).collect();
                assert!(found == wanted, "{zone} {cron}: {} {}", found.len(), wanted.len());
                for (at, next) in found.iter().zip(&found[1..]) {
                    assert_eq!((of.start(of.holding(*at)), of.start(of.holding(next - 1))), (*at, *at));
                }
            }
        }
    }
}
