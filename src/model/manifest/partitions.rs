//! `[partitions.NAME]`: how assets are cut into partitions, from tables to definitions.
//!
//! Values are not templates: the same keys for everybody. Knows nothing of assets that use them.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::{DateTime, Time, Weekday};

use crate::{
    base::{
        diagnostic::Diagnostic,
        span::{SourceMap, Span},
    },
    model::partition::{self, BadCron, Cron, Definition, Dimension, Every, Names, TimeDefinition, UnknownZone, Zone},
};

use super::{
    code,
    gather::{Declared, Section},
    interpolate,
    keys::{PARTITIONS, WEEKDAYS},
    raw::{Data, Entry, Table, Value},
    report::Report,
};

/// Every definition that is without mistakes, by name. Of all others the mistakes are reported.
pub fn definitions(section: &Section, sources: &SourceMap, report: &mut Report) -> BTreeMap<String, Definition> {
    let mut reader = Reader { section, sources, report };
    let mut found = BTreeMap::new();
    // Those of several dimensions are made of others.
    for several in [false, true] {
        for declared in section.entries.iter().filter(|it| is_multi(it) == several) {
            if let Some(definition) = reader.definition(declared, &found) {
                found.insert(declared.key.to_string(), definition);
            }
        }
    }
    found
}

fn is_multi(declared: &Declared) -> bool {
    word(&declared.table, "type") == Some("multi")
}

struct Reader<'a> {
    section: &'a Section,
    sources: &'a SourceMap,
    report: &'a mut Report,
}

/// Keys of `type = "time"`.
const OF_TIME: [&str; 12] =
    ["type", "every", "cron", "start", "end", "timezone", "minute", "hour", "weekday", "day", "format", "end_offset"];

impl Reader<'_> {
    fn definition(&mut self, declared: &Declared, known: &BTreeMap<String, Definition>) -> Option<Definition> {
        let (kind, place) = self.required(declared, "type")?;
        let own: &[&str] = match &**kind {
            "time" => &OF_TIME,
            "static" => &["type", "keys"],
            "dynamic" => &["type"],
            "multi" => &["type", "dimensions"],
            // Told where the file was held against the shape.
            _ => return None,
        };
        for entry in declared.table.entries.iter().filter(|it| !own.contains(&&*it.key)) {
            self.means_nothing(entry, &format!("type = \"{kind}\""), place, own);
        }
        match &**kind {
            "time" => self.time(declared).map(|it| Definition::Time(Arc::new(it))),
            "static" => self.listed(declared).map(Definition::Static),
            "dynamic" => Some(Definition::Dynamic(declared.key.clone())),
            _ => self.multi(declared, known).map(|it| Definition::Multi(it.into())),
        }
    }

    fn time(&mut self, declared: &Declared) -> Option<TimeDefinition> {
        let table = &declared.table;
        let every = self.every(declared);
        let zone = self.zone(table);
        let format = text(table, "format");
        // All three are looked at, whichever of them is wrong.
        let start = self.required(declared, "start").and_then(|(text, place)| self.moment("start", text, place));
        let end = text(table, "end").map(|(text, place)| (self.moment("end", text, place), place));
        let definition = TimeDefinition {
            every: every?,
            zone: zone?,
            start: start?,
            end: match end {
                None => None,
                Some((end, _)) => Some(end?),
            },
            format: format.map(|it| it.0.clone()),
            end_offset: integer(table, "end_offset").unwrap_or(0),
        };
        if let (Some(end), Some((_, place))) = (definition.end, end) {
            self.not_empty(&definition, end, place)?;
        }
        let definition = Arc::new(definition);
        if let (Err(why), Some((_, place))) = (partition::check_format(&definition), format) {
            let told = Diagnostic::error(code::BAD_VALUE, why.to_string()).at(place);
            self.report.push(told.help("as strftime has it: %Y year, %m month, %d day, %H hour, %M minute"));
            return None;
        }
        Some(Arc::unwrap_or_clone(definition))
    }

    fn every(&mut self, declared: &Declared) -> Option<Every> {
        let table = &declared.table;
        let (every, cron) = match (table.entry("every"), table.entry("cron")) {
            (Some(every), Some(cron)) => {
                let told =
                    Diagnostic::error(code::BAD_VALUE, "partitions are made by `every` or by `cron`, not by both");
                let told = told.at(cron.place).label("one way").other(every.place, "another");
                self.report.push(told.help("take one of them out"));
                return None;
            }
            (None, None) => {
                let told =
                    Diagnostic::error(code::MISSING_KEY, format!("[partitions.{}] has no `every`", declared.key));
                let told = told.at(declared.place).label("`every` or `cron` is missing");
                self.report.push(told.help("as in every = \"day\""));
                return None;
            }
            (every, cron) => (every, cron),
        };
        let own: &[&str] = match every.and_then(|it| it.value.text()).map(|it| &**it) {
            Some("hour") => &["minute"],
            Some("day") => &["minute", "hour"],
            Some("week") => &["minute", "hour", "weekday"],
            Some("month") => &["minute", "hour", "day"],
            Some(_) => return None,
            None => &[],
        };
        let decides = every.or(cron)?;
        for entry in table.entries.iter().filter(|it| ["minute", "hour", "weekday", "day"].contains(&&*it.key)) {
            if !own.contains(&&*entry.key) {
                let what = every.and_then(|it| it.value.text()).map_or("cron".into(), |it| format!("every = \"{it}\""));
                self.means_nothing(entry, &what, decides.place, own);
            }
        }
        if let Some((text, place)) = text(table, "cron") {
            return self.cron(text, place).map(Every::Cron);
        }
        // What is out of range was told; the smallest will do to go on.
        let small = |key: &str, least: i8| integer(table, key).map_or(Some(least), |it| i8::try_from(it).ok());
        let (hour, minute) = (small("hour", 0)?, small("minute", 0)?);
        let at = Time::new(hour, minute, 0, 0).ok()?;
        Some(match &**every?.value.text()? {
            "hour" => Every::Hour(minute),
            "day" => Every::Day(at),
            "week" => {
                let named =
                    word(table, "weekday").map_or(Some(0), |it| WEEKDAYS.now.iter().position(|day| *day == it))?;
                Every::Week(Weekday::from_monday_zero_offset(i8::try_from(named).ok()?).ok()?, at)
            }
            _ => Every::Month(small("day", 1).filter(|it| (1..=28).contains(it))?, at),
        })
    }

    fn cron(&mut self, text: &Arc<str>, place: Span) -> Option<Cron> {
        match Cron::parse(text) {
            Ok(cron) => Some(cron),
            Err(BadCron { message, at, help }) => {
                let inside = interpolate::inside(text, place, at, self.sources);
                let told = Diagnostic::error(code::BAD_VALUE, message).at(inside);
                self.report.push(match help {
                    Some(help) => told.help(help),
                    None => told,
                });
                None
            }
        }
    }

    fn zone(&mut self, table: &Table) -> Option<Zone> {
        let Some((name, place)) = text(table, "timezone") else {
            return table.entry("timezone").is_none().then(Zone::utc);
        };
        match Zone::named(name) {
            Ok(zone) => Some(zone),
            Err(UnknownZone { near, .. }) => {
                let told = Diagnostic::error(code::BAD_VALUE, format!("there is no time zone {name:?}")).at(place);
                self.report.push(match near {
                    Some(near) => told.help(format!("did you mean \"{near}\"?")),
                    None => told.help("zones are named as in \"Asia/Seoul\", \"America/New_York\" or \"UTC\""),
                });
                None
            }
        }
    }

    fn moment(&mut self, key: &str, text: &str, place: Span) -> Option<DateTime> {
        let found = partition::read_moment(text);
        if found.is_none() {
            let told = Diagnostic::error(code::BAD_VALUE, format!("`{key}` is not a day: {text:?}")).at(place);
            self.report.push(told.help("write it as \"2026-01-31\", or with a time: \"2026-01-31T06:00\""));
        }
        found
    }

    /// Whether there is any window before the end.
    fn not_empty(&mut self, of: &TimeDefinition, end: DateTime, place: Span) -> Option<()> {
        let told = if end <= of.start {
            Diagnostic::error(code::BAD_VALUE, "`end` is not after `start`")
        } else if !of.any_until(end) {
            Diagnostic::error(code::BAD_VALUE, "no partition ends by then").label("all end later")
        } else {
            return Some(());
        };
        self.report.push(told.at(place).help("partitions begin at `start` or later and are over by `end`"));
        None
    }

    fn listed(&mut self, declared: &Declared) -> Option<Names> {
        let Some(value) = declared.table.get("keys") else {
            return self.missing(declared, "keys", "as in keys = [\"jp\", \"us\"]");
        };
        let mut listed: Vec<(Arc<str>, Span)> = Vec::with_capacity(value.items().len());
        let mut good = !value.items().is_empty();
        for item in value.items() {
            // What is empty or none at all was told already.
            let Some(text) = item.text().filter(|it| !it.trim().is_empty()) else {
                good = false;
                continue;
            };
            if let Err(why) = partition::check_name(text) {
                self.report.push(Diagnostic::error(code::BAD_NAME, why.to_string()).at(item.place));
                good = false;
            }
            listed.push((text.clone(), item.place));
        }
        match Names::new(listed.iter().map(|it| it.0.clone()).collect::<Vec<_>>()) {
            Ok(names) => good.then_some(names),
            Err(again) => {
                let (name, place) = &listed[again];
                let first = listed.iter().find(|it| it.0 == *name).map_or(*place, |it| it.1);
                let told = Diagnostic::error(code::REPEATED, format!("the key `{name}` is listed twice")).at(*place);
                self.report.push(told.label("again").other(first, "first here").help("remove one"));
                None
            }
        }
    }

    fn multi(&mut self, declared: &Declared, known: &BTreeMap<String, Definition>) -> Option<Vec<Dimension>> {
        let Some(value) = declared.table.get("dimensions") else {
            return self.missing(declared, "dimensions", "as in dimensions = { day = \"daily\", region = \"region\" }");
        };
        let entries = &value.table()?.entries;
        if entries.is_empty() {
            let told = Diagnostic::error(code::BAD_VALUE, "`dimensions` is empty").at(value.place);
            self.report.push(told.label("at least one"));
            return None;
        }
        // Each is looked at, whether the one before was good or not.
        let each: Vec<Option<Dimension>> = entries.iter().map(|it| self.dimension(it, known)).collect();
        each.into_iter().collect()
    }

    fn dimension(&mut self, entry: &Entry, known: &BTreeMap<String, Definition>) -> Option<Dimension> {
        let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
        if !entry.key.chars().all(plain) || entry.key.is_empty() {
            let told = Diagnostic::error(code::BAD_NAME, format!("{:?} cannot be the name of a dimension", entry.key));
            self.report.push(told.at(entry.place).help("a name is made of letters, digits, `_` and `-`"));
            return None;
        }
        let (name, place) = (entry.value.text().filter(|it| !it.trim().is_empty())?, entry.value.place);
        if let Some(definition) = known.get(&**name).filter(|it| !matches!(it, Definition::Multi(_))) {
            return Some(Dimension { name: entry.key.clone(), definition: definition.clone() });
        }
        match self.section.get(name) {
            Some(it) if is_multi(it) => {
                let told = Diagnostic::error(code::BAD_VALUE, format!("`{name}` has dimensions itself")).at(place);
                let told = told.label("not a dimension").other(it.place, "declared here");
                self.report.push(told.help("name its dimensions here, one by one"));
            }
            // Its own mistakes are told.
            Some(_) => {}
            None => {
                let told = Diagnostic::error(code::UNKNOWN_NAME, format!("there are no partitions `{name}`"));
                let help = self.report.meant(name, self.section.keys());
                let help = help.unwrap_or_else(|| format!("declare them: [partitions.{name}]"));
                self.report.push(told.at(place).label("unknown partitions").help(help));
            }
        }
        None
    }

    fn means_nothing(&mut self, entry: &Entry, to: &str, decided: Span, own: &[&str]) {
        // What is no key at all was told already.
        if PARTITIONS.field(&entry.key).is_none() {
            return;
        }
        let told = Diagnostic::error(code::UNKNOWN_KEY, format!("`{}` means nothing to {to}", entry.key))
            .at(entry.place)
            .label("of another kind")
            .other(decided, "decided here");
        self.report.push(if own.is_empty() { told } else { told.help(format!("it has `{}`", own.join("`, `"))) });
    }

    fn required<'t>(&mut self, of: &'t Declared, key: &str) -> Option<(&'t Arc<str>, Span)> {
        if of.table.entry(key).is_none() {
            let help = if key == "start" { "as in start = \"2026-01-01\"" } else { "as in type = \"time\"" };
            return self.missing(of, key, help);
        }
        text(&of.table, key)
    }

    fn missing<T>(&mut self, of: &Declared, key: &str, help: &str) -> Option<T> {
        let told = Diagnostic::error(code::MISSING_KEY, format!("[partitions.{}] has no `{key}`", of.key)).at(of.place);
        self.report.push(told.label(format!("`{key}` is missing")).help(help));
        None
    }
}

/// A text with something in it; what is none was told already.
fn text<'t>(table: &'t Table, key: &str) -> Option<(&'t Arc<str>, Span)> {
    let value = table.get(key)?;
    value.text().filter(|it| !it.trim().is_empty() && !it.contains('\0')).map(|it| (it, value.place))
}

fn word<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Value::text).map(|it| &**it)
}

fn integer(table: &Table, key: &str) -> Option<i64> {
    match table.get(key)?.data {
        Data::Integer(it) => Some(it),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        base::path::ProjectPath,
        model::{
            manifest::{self, Files, Options},
            partition::Moment,
        },
    };

    struct One(&'static str);

    impl Files for One {
        fn read(&mut self, path: &ProjectPath) -> Result<Option<Vec<u8>>, String> {
            Ok((path.to_string() == manifest::MAIN_FILE).then(|| self.0.as_bytes().to_vec()))
        }

        fn matches(&mut self, _: &ProjectPath, _: &str) -> Result<Vec<ProjectPath>, String> {
            Ok(Vec::new())
        }
    }

    /// Count, first and last key of each definition at one moment.
    fn declared(target: Option<&str>) -> Vec<String> {
        let mut files = One(include_str!("../../../tests/manifest/valid/partitions.toml"));
        let options = Options { target, vars: &[], env: &|_| None, project_root: "/project" };
        let loaded = manifest::load(&mut files, &options);
        assert!(loaded.project.is_some() && loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let now: Timestamp = "2026-12-05T00:00:00Z".parse().unwrap();
        let dynamic = |name: &str| Names::sorted([Arc::from(format!("a {name}"))]);
        let told = |(name, of): (&String, &Definition)| {
            let keys = of.keys(Moment { now, dynamic: &dynamic }).unwrap();
            let [first, last] = [0, keys.count() - 1].map(|it| keys.key(it).unwrap());
            format!("{name} {} {} {}", keys.count(), first.as_str(), last.as_str())
        };
        loaded.partitions.iter().map(told).collect()
    }

    #[test]
    fn what_is_declared_is_what_there_is() {
        assert_eq!(
            declared(None),
            [
                "cube 1017 day=2026-01-01,region=jp,customer=a customer day=2026-12-05,region=New York,customer=a customer",
                "customer 1 a customer a customer",
                "daily 339 2026-01-01 2026-12-05",
                "hourly 8107 2026-01-01T00 2026-12-04T18",
                "monthly 11 Jan 2026 Nov 2026",
                "region 3 jp New York",
                "weekly 47 2026-01-04 2026-11-22",
                "workdays 241 2026-01-01T0930 2026-12-03T0930",
            ]
        );
        assert_eq!(declared(Some("test"))[2], "daily 5 2026-12-01 2026-12-05");
    }
}
