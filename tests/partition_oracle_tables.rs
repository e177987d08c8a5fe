//! Random changes to a project whose partitions lie in tables of a database, and in files between them, held against a
//! plain evaluation: what is built is exactly what has other inputs than it was made from, alone or in batches, through
//! kills and rows that somebody spoils.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    oracle::graph::Random,
    support::{Project, duckdb, postgres::Server},
};

const DAYS: [&str; 6] = ["2025-01-29", "2025-01-30", "2025-01-31", "2025-02-01", "2025-02-02", "2025-02-03"];
const MONTHS: [&str; 3] = ["2024-12", "2025-01", "2025-02"];
const ROUNDS: usize = 12;

/// Of each asset its query, its partitions, what it reads and how, and whether it may be made in batches.
struct Made {
    name: &'static str,
    keys: &'static [&'static str],
    sql: &'static str,
    more: &'static str,
    in_files: bool,
    in_batches: bool,
}

const WHOLE: [&str; 1] = [""];
const PLAIN: Made = Made { name: "", keys: &DAYS, sql: "", more: "", in_files: false, in_batches: false };

const ASSETS: [Made; 8] = [
    Made {
        name: "day",
        sql: "select cast(day as text) as k, cast(sum(cast(n as bigint)) as bigint) as n, cast(count(*) as bigint) as c from raw group by day",
        in_batches: true,
        ..PLAIN
    },
    Made {
        name: "pair",
        sql: "select '{{ partition.key }}' as k, cast(coalesce(sum(n), 0) as bigint) as n, cast(count(*) as bigint) as c from day",
        more: "deps = [{ asset = \"day\", partitions = { window = [-1, 0] } }]",
        ..PLAIN
    },
    Made {
        name: "month",
        keys: &MONTHS,
        sql: "select substr(k, 1, 7) as k, cast(sum(n) as bigint) as n, cast(sum(c) as bigint) as c from day group by substr(k, 1, 7)",
        in_batches: true,
        ..PLAIN
    },
    Made {
        name: "before",
        keys: &MONTHS,
        sql: "select '{{ partition.key }}' as k, cast(coalesce(sum(n), 0) as bigint) as n, cast(count(*) as bigint) as c from month",
        more: "deps = [{ asset = \"month\", partitions = { offset = -1 } }]",
        ..PLAIN
    },
    Made {
        name: "filed",
        sql: "select k, n, cast(7 as bigint) as c from pair",
        in_files: true,
        in_batches: true,
        ..PLAIN
    },
    Made { name: "back", sql: "select k, n, c from filed where n > 0", in_batches: true, ..PLAIN },
    Made {
        name: "newest",
        keys: &WHOLE,
        sql: "select '' as k, cast(coalesce(sum(n), 0) as bigint) as n, cast(count(*) as bigint) as c from day",
        more: "deps = [{ asset = \"day\", partitions = \"last\" }]",
        ..PLAIN
    },
    Made {
        name: "total",
        keys: &WHOLE,
        sql: "select '' as k, cast(coalesce(sum(n), 0) as bigint) as n, cast(count(*) as bigint) as c from (select n from back union all select n from month) as t",
        ..PLAIN
    },
];

fn manifest(io: &str, random: &mut Random) -> String {
    let mut text = format!(
        "default_io = \"db\"\n{io}\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n\
         [partitions.daily]\ntype = \"time\"\nevery = \"day\"\nstart = \"2025-01-29\"\nend = \"2025-02-04\"\n\
         [partitions.monthly]\ntype = \"time\"\nevery = \"month\"\nstart = \"2024-12-01\"\nend = \"2025-03-01\"\n\
         [source.raw]\nfiles = [\"raw/{{{{ partition.key }}}}.csv\"]\npartitions = \"daily\"\n"
    );
    for it in &ASSETS {
        text += &format!("[asset.{}]\nsql = \"{}\"\n{}\n", it.name, it.sql, it.more);
        if it.keys.len() > 1 {
            let name = if it.keys.len() == DAYS.len() { "daily" } else { "monthly" };
            text += &format!("partitions = \"{name}\"\npartition_column = \"k\"\n");
        }
        if it.in_files {
            text += "io = \"files\"\nformat = \"parquet\"\n";
        }
        if it.in_batches {
            text += ["", "batch = 2\n", "batch = \"all\"\n"][random.below(3)];
        }
    }
    text
}

type Name = (&'static str, &'static str);
/// What was read, by its content.
type Read = Vec<(Name, String)>;
/// Key, sum and count.
type Row = (String, i64, i64);

/// What it is made from; `None` if it would read something and nothing is there.
fn inputs(of: Name, there: &dyn Fn(Name) -> bool) -> Option<Vec<Name>> {
    let at = |all: &[&str]| all.iter().position(|it| *it == of.1).unwrap_or_default();
    let all = |asset, keys: &[&'static str]| keys.iter().map(|it| (asset, *it)).collect::<Vec<Name>>();
    let read: Vec<Name> = match of.0 {
        "day" => vec![("raw", of.1)],
        "pair" => all("day", &DAYS[at(&DAYS).saturating_sub(1)..=at(&DAYS)]),
        "month" => all("day", &DAYS.iter().copied().filter(|it| it.starts_with(of.1)).collect::<Vec<_>>()),
        "before" => all("month", &MONTHS[at(&MONTHS).saturating_sub(1)..at(&MONTHS)]),
        "filed" => vec![("pair", of.1)],
        "back" => vec![("filed", of.1)],
        "newest" => all("day", &DAYS[DAYS.len() - 1..]),
        _ => [all("back", &DAYS), all("month", &MONTHS)].concat(),
    };
    let found: Vec<Name> = read.iter().copied().filter(|it| there(*it)).collect();
    let assets = |them: &[Name]| them.iter().map(|it| it.0).collect::<BTreeSet<_>>();
    (assets(&read) == assets(&found)).then_some(found)
}

fn rows_of(text: &str) -> Vec<i64> {
    text.lines().skip(1).map(|it| it.split(',').nth(1).unwrap().parse().unwrap()).collect()
}

#[derive(Default)]
struct Model {
    raw: BTreeMap<&'static str, String>,
    /// What each was made from, and the rows that came of it.
    made: BTreeMap<Name, (Read, Vec<Row>)>,
    spoiled: BTreeSet<Name>,
}

impl Model {
    fn content(&self, of: Name) -> Option<String> {
        if of.0 == "raw" { self.raw.get(of.1).cloned() } else { self.made.get(&of).map(|it| format!("{:?}", it.1)) }
    }

    fn bring(&mut self) -> BTreeSet<Name> {
        let mut done = BTreeSet::new();
        for of in ASSETS.iter().flat_map(|it| it.keys.iter().map(|key| (it.name, *key))) {
            let Some(read) = inputs(of, &|it| self.content(it).is_some()) else { continue };
            let now: Read = read.iter().map(|it| (*it, self.content(*it).unwrap())).collect();
            let spoiled = self.spoiled.remove(&of);
            if self.made.get(&of).is_some_and(|it| it.0 == now) && !spoiled {
                continue;
            }
            let rows: Vec<Row> = read.iter().filter_map(|it| self.made.get(it)).flat_map(|it| it.1.clone()).collect();
            let (sum, count) = (rows.iter().map(|it| it.1).sum::<i64>(), rows.len() as i64);
            let key = of.1.to_owned();
            let made: Vec<Row> = match of.0 {
                "day" => {
                    let values = rows_of(&self.raw[of.1]);
                    let some = !values.is_empty();
                    some.then(|| (key, values.iter().sum(), values.len() as i64)).into_iter().collect()
                }
                "month" => {
                    let counts = rows.iter().map(|it| it.2).sum();
                    (count > 0).then_some((key, sum, counts)).into_iter().collect()
                }
                "filed" => rows.iter().map(|it| (key.clone(), it.1, 7)).collect(),
                "back" => rows.into_iter().filter(|it| it.1 > 0).collect(),
                _ => vec![(key, sum, count)],
            };
            self.made.insert(of, (now, made));
            done.insert(of);
        }
        done
    }
}

/// Told by the tool itself: what is read from files is in no database.
fn rows(project: &Project, asset: &str) -> Vec<Row> {
    let told = project.run(&["query", &format!("select k, n, c from {asset} order by k"), "--json"]).succeeded().json();
    let number = |it: &serde_json::Value| it.to_string().trim_matches('"').parse().unwrap();
    let row = |it: &serde_json::Value| (it["k"].as_str().unwrap().to_owned(), number(&it["n"]), number(&it["c"]));
    told["rows"].as_array().unwrap().iter().map(row).collect()
}

fn names(project: &Project, arguments: &[&str]) -> BTreeSet<String> {
    let document = project.run(arguments).succeeded().json();
    let made = |it: &&serde_json::Value| it["outcome"] == "built" || it["outcome"] == "restored";
    let name = |it: &serde_json::Value| {
        format!("{}@{}", it["key"].as_str().unwrap(), it["partition"].as_str().unwrap_or_default())
    };
    document["steps"].as_array().unwrap().iter().filter(made).map(name).collect()
}

/// `spoil` runs a statement in the database, as somebody else would.
fn held_against_a_model(project: &Project, io: &str, spoil: &dyn Fn(&str)) {
    let given = std::env::var("ASSETS_ORACLE_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs()));
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let mut model = Model::default();
    for round in 0..ROUNDS {
        let told = format!("seed {seed}, round {round}, {io}");
        project.write_manifest(&manifest(io, &mut random));
        for _ in 0..=random.below(3) {
            if random.below(4) > 0 || model.made.is_empty() {
                let day = DAYS[random.below(DAYS.len())];
                let values = (0..random.below(4)).map(|_| format!("{day},{}\n", random.below(3)));
                let text = format!("day,n\n{}", values.collect::<String>());
                project.write(&format!("raw/{day}.csv"), &text);
                model.raw.insert(day, text);
                continue;
            }
            let of = *model.made.keys().nth(random.below(model.made.len())).unwrap();
            if of.0 == "filed" || model.made[&of].1.is_empty() {
                continue;
            }
            let of_it = format!("where k = '{}'", of.1);
            spoil(&match random.below(2) {
                0 => format!("delete from {} {of_it}", of.0),
                _ => format!("update {} set n = n + 1000 {of_it}", of.0),
            });
            model.spoiled.insert(of);
        }
        let is_killed = random.one_in(4);
        if is_killed {
            let started = project.start(&["materialize"]);
            std::thread::sleep(std::time::Duration::from_millis(random.below(400) as u64));
            started.signal(rustix::process::Signal::KILL);
            started.finish();
        }
        let found = names(project, &["materialize", "--json"]);
        let expected: BTreeSet<String> = model.bring().into_iter().map(|(a, b)| format!("{a}@{b}")).collect();
        assert!(found == expected || is_killed && found.is_subset(&expected), "{told}: {found:?} {expected:?}");
        for it in ASSETS.iter().filter(|it| it.keys.iter().any(|key| model.made.contains_key(&(it.name, *key)))) {
            let of_it = it.keys.iter().filter_map(|key| model.made.get(&(it.name, *key)));
            let expected: Vec<Row> = of_it.flat_map(|it| it.1.clone()).collect();
            assert_eq!(rows(project, it.name), expected, "{told}, {}", it.name);
        }
        // Everything is what it was recorded as, read in full.
        assert_eq!(names(project, &["materialize", "--verify", "--json"]), BTreeSet::new(), "{told}");
    }
}

#[test]
fn random_changes_of_tables_in_sqlite() {
    let project = Project::new();
    let spoil = |sql: &str| {
        rusqlite::Connection::open(project.path("db.sqlite")).unwrap().execute_batch(sql).unwrap();
    };
    held_against_a_model(&project, "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"", &spoil);
}

#[test]
fn random_changes_of_tables_in_duckdb() {
    let project = Project::new().env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
    let spoil = |sql: &str| duckdb::run(&project.path("db.duckdb"), sql);
    held_against_a_model(&project, "[io.db]\ntype = \"duckdb\"\npath = \"db.duckdb\"", &spoil);
}

#[test]
fn random_changes_of_tables_in_postgres() {
    let database = Server::shared().database();
    let project = Project::new().env("URL", &database.url());
    let spoil = |sql: &str| database.run(sql);
    held_against_a_model(&project, "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.URL }}\"", &spoil);
}
