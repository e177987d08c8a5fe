//! Random changes to a project with partitions, held against a plain evaluation: what is built or put back is
//! exactly what has other inputs than it was made from, and holds what it would hold if all were made anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::Project;

const MANIFEST: &str = r#"
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-28"
end = "2025-02-04"
[partitions.monthly]
type = "time"
every = "month"
start = "2024-12-01"
end = "2025-03-01"
[source.raw]
files = ["raw/{{ partition.key }}.txt"]
partitions = "daily"
[asset.day]
command = "sed 's/ *#.*//' {{ inputs.raw }} > {{ output }}"
deps = ["raw"]
format = "txt"
partitions = "daily"
[asset.pair]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT", "sh", "{{ inputs.day }}"]
deps = [{ asset = "day", partitions = { window = [-1, 0] } }]
format = "txt"
partitions = "daily"
[asset.month]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT", "sh", "{{ inputs.day }}"]
deps = ["day"]
format = "txt"
partitions = "monthly"
[asset.before]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT", "sh", "{{ inputs.month }}"]
deps = [{ asset = "month", partitions = { offset = -1 } }]
format = "txt"
partitions = "monthly"
[partitions.region]
type = "static"
keys = ["jp", "us"]
[partitions.area]
type = "static"
keys = ["east", "west"]
[partitions.each]
type = "multi"
dimensions = { day = "daily", region = "region" }
[source.mark]
files = ["mark/{{ partition.key }}.txt"]
partitions = "region"
[asset.cell]
command = "cat {{ inputs.day }} {{ inputs.mark }} > {{ output }}"
deps = ["day", "mark"]
format = "txt"
partitions = "each"
[asset.over]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT", "sh", "{{ inputs.mark }}"]
deps = [{ asset = "mark", partitions = { table = { east = ["jp", "us"], west = ["us"] } } }]
format = "txt"
partitions = "area"
[asset.newest]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT", "sh", "{{ inputs.day }}"]
deps = [{ asset = "day", partitions = "last" }]
format = "txt"
[asset.total]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT", "sh", "{{ inputs.pair }}", "{{ inputs.month }}"]
deps = ["pair", "month"]
format = "txt"
"#;

const DAYS: [&str; 7] =
    ["2025-01-28", "2025-01-29", "2025-01-30", "2025-01-31", "2025-02-01", "2025-02-02", "2025-02-03"];
const MONTHS: [&str; 3] = ["2024-12", "2025-01", "2025-02"];
const REGIONS: [&str; 2] = ["jp", "us"];
/// What is read and not made.
const SOURCES: [&str; 2] = ["raw", "mark"];

/// The keys of both dimensions together.
fn cells() -> &'static [String] {
    static CELLS: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
        DAYS.iter().flat_map(|day| REGIONS.map(|it| format!("day={day},region={it}"))).collect()
    });
    &CELLS
}

/// One asset partition.
type Name = (&'static str, &'static str);

/// What it is made from, in the order in which it reads that; `None` if it would read something and nothing is there.
fn inputs(of: Name, there: &dyn Fn(Name) -> bool) -> Option<Vec<Name>> {
    let days = |them: &[&'static str]| them.iter().map(|it| ("day", *it)).collect::<Vec<_>>();
    let at = |all: &[&str]| all.iter().position(|it| *it == of.1).unwrap();
    let read: Vec<Name> = match of.0 {
        "day" => vec![("raw", of.1)],
        "pair" => days(&DAYS[at(&DAYS).saturating_sub(1)..=at(&DAYS)]),
        "month" => days(&DAYS.iter().copied().filter(|it| it.starts_with(of.1)).collect::<Vec<_>>()),
        "cell" => {
            let (day, region) = of.1.split_once(',').unwrap();
            let is = |it: &&&'static str, of: &str| of.ends_with(**it);
            let day = DAYS.iter().find(|it| is(it, day)).unwrap();
            vec![("day", *day), ("mark", *REGIONS.iter().find(|it| is(it, region)).unwrap())]
        }
        "over" => REGIONS[usize::from(of.1 == "west")..].iter().map(|it| ("mark", *it)).collect(),
        "newest" => days(&DAYS[DAYS.len() - 1..]),
        "before" => MONTHS[..at(&MONTHS)].last().map(|it| ("month", *it)).into_iter().collect(),
        _ => DAYS.iter().map(|it| ("pair", *it)).chain(MONTHS.iter().map(|it| ("month", *it))).collect(),
    };
    let found: Vec<Name> = read.iter().copied().filter(|it| there(*it)).collect();
    // Of each asset that it reads, something must be there.
    let asked: BTreeSet<&str> = read.iter().map(|it| it.0).collect();
    let answered: BTreeSet<&str> = found.iter().map(|it| it.0).collect();
    (asked == answered).then_some(found)
}

fn every() -> Vec<Name> {
    let of = |asset, keys: &'static [&'static str]| keys.iter().map(move |it| (asset, *it));
    let all = of("day", &DAYS).chain(of("pair", &DAYS)).chain(of("month", &MONTHS)).chain(of("before", &MONTHS));
    let all = all.chain(cells().iter().map(|it| ("cell", it.as_str())));
    all.chain([("over", "east"), ("over", "west"), ("newest", ""), ("total", "")]).collect()
}

fn path((asset, key): Name) -> String {
    match key {
        "" => format!("data/{asset}.txt"),
        _ => format!("data/{asset}/{}.txt", key.replace(',', "/")),
    }
}

#[derive(Default)]
struct Model {
    /// What each was made from, by content, and what came of it.
    made: BTreeMap<Name, (Vec<(Name, String)>, String)>,
    spoiled: BTreeSet<Name>,
}

impl Model {
    fn content(&self, raw: &BTreeMap<&str, String>, of: Name) -> Option<String> {
        if SOURCES.contains(&of.0) { raw.get(of.1).cloned() } else { self.made.get(&of).map(|it| it.1.clone()) }
    }

    /// Makes everything that must be; tells what that was.
    fn bring(&mut self, raw: &BTreeMap<&'static str, String>) -> BTreeSet<Name> {
        let mut done = BTreeSet::new();
        for of in every() {
            let Some(read) = inputs(of, &|it| self.content(raw, it).is_some()) else { continue };
            let now: Vec<(Name, String)> =
                read.into_iter().map(|it| (it, self.content(raw, it).expect("it is there"))).collect();
            let spoiled = self.spoiled.remove(&of);
            if self.made.get(&of).is_some_and(|it| it.0 == now) && !spoiled {
                continue;
            }
            let plain = |text: &str| text.split(" #").next().unwrap().trim_end().to_owned() + "\n";
            let content = match of.0 {
                "day" => plain(&now[0].1),
                _ => now.iter().map(|it| it.1.as_str()).collect(),
            };
            self.made.insert(of, (now, content));
            done.insert(of);
        }
        done
    }
}

#[test]
fn random_changes_make_what_they_must_and_nothing_else() {
    let project = Project::new().manifest(MANIFEST);
    let mut model = Model::default();
    let mut raw: BTreeMap<&'static str, String> = BTreeMap::new();
    let seed: u64 = std::env::var("ASSETS_ORACLE_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(7);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..25 {
        for _ in 0..=random(3) {
            match random(9) {
                8 => {
                    let region = REGIONS[random(2)];
                    let text = format!("{}\n", ["x", "y"][random(2)]);
                    project.write(&format!("mark/{region}.txt"), &text);
                    raw.insert(region, text);
                }
                0..=5 => {
                    let day = DAYS[random(DAYS.len())];
                    let comment = ["", " # seen", " # seen twice"][random(3)];
                    let text = format!("{}{comment}\n", ["a", "b", "c"][random(3)]);
                    project.write(&format!("raw/{day}.txt"), &text);
                    raw.insert(day, text);
                }
                _ => {
                    let made: Vec<Name> = model.made.keys().copied().collect();
                    if !made.is_empty() {
                        let of = made[random(made.len())];
                        if random(2) == 0 && project.exists(&path(of)) {
                            project.remove(&path(of));
                        } else {
                            project.write(&path(of), format!("spoiled {round}\n"));
                        }
                        model.spoiled.insert(of);
                    }
                }
            }
        }
        let is_killed = random(4) == 0;
        if is_killed {
            let started = project.start(&["materialize"]);
            std::thread::sleep(std::time::Duration::from_millis(random(250) as u64));
            started.signal(rustix::process::Signal::KILL);
            started.finish();
        }
        let document = project.run(&["materialize", "--json"]).succeeded().json();
        let made = |it: &&serde_json::Value| it["outcome"] == "built" || it["outcome"] == "restored";
        let name = |it: &serde_json::Value| {
            format!("{}@{}", it["key"].as_str().unwrap(), it["partition"].as_str().unwrap_or_default())
        };
        let found: BTreeSet<String> = document["steps"].as_array().unwrap().iter().filter(made).map(name).collect();
        let expected: BTreeSet<String> = model.bring(&raw).into_iter().map(|(a, b)| format!("{a}@{b}")).collect();
        // What the run that died had done is not done again.
        assert!(
            found == expected || is_killed && found.is_subset(&expected),
            "seed {seed}, round {round}: {found:?} {expected:?}"
        );
        for (of, (_, content)) in &model.made {
            assert_eq!(project.read(&path(*of)), *content, "seed {seed}, round {round}, {of:?}");
        }
        let again = project.run(&["materialize", "--json"]).succeeded().json();
        assert_eq!(again["steps"].as_array().unwrap().len(), 0, "seed {seed}, round {round}");
        // Of what has nothing to be made from it is said so.
        let all_there = every().iter().all(|it| model.made.keys().any(|made| made.0 == it.0));
        project.run(&["status", "-q"]).exited(if all_there { 0 } else { 3 });
    }
}
