//! Tables on paper: random graphs of queries over files and databases, some of them views or added to, random changes,
//! kills and second runs. After each change the executed set must be the smallest that is right, every table must
//! hold the rows that a plain evaluation gives, and every hook must have been run once for each publication.
//!
//! A case is named by its seed. `ASSETS_ORACLE_CASES=500` tries more of them, `ASSETS_ORACLE_SEED=7` one.

#[path = "oracle/sql_model.rs"]
mod model;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    thread,
    time::Duration,
};

use model::{Kind, Model, Place, Shape, Table, Trace, Version};
use rustix::process::Signal;

use rusqlite::types::ValueRef;

use crate::{
    oracle::{graph::Random, number},
    support::{
        Project,
        duckdb::{self, Opened},
        postgres::{Database, Server},
    },
};

const STEPS: usize = 6;
const CASES: u64 = 4;

/// What was made, of what.
struct Record {
    trace: Trace,
    rows: Table,
}

struct Bench<'a> {
    seed: u64,
    random: Random,
    project: Project,
    database: Database<'a>,
    sources: BTreeMap<String, Vec<(i64, i64)>>,
    models: Vec<Model>,
    records: BTreeMap<String, Record>,
    damaged: BTreeSet<String>,
    /// How often each model was published.
    published: BTreeMap<String, usize>,
    history: Vec<String>,
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}:\n{}\n{}", self.seed, self.manifest(), self.history.join("\n"));
        }
    }
}

impl<'a> Bench<'a> {
    fn new(seed: u64, database: Database<'a>) -> Self {
        let mut random = Random::new(seed ^ 0x5153);
        let sources: Vec<String> = (0..1 + random.below(3)).map(|it| format!("s{it}")).collect();
        let mut known = sources.clone();
        let mut models = Vec::new();
        for index in 0..2 + random.below(7) {
            let mut reads = known.clone();
            while reads.len() > 3 || reads.len() > 1 && random.one_in(3) {
                reads.remove(random.below(reads.len()));
            }
            let name = format!("m{index}");
            known.push(name.clone());
            let place = *random.pick(&Place::ALL);
            let kind = *random.pick(&[Kind::All, Kind::Above, Kind::Sums, Kind::Distinct, Kind::Count]);
            let shape = match random.below(6) {
                0 | 1 if place.is_database() => Shape::View,
                2 => Shape::Append,
                3 if matches!(kind, Kind::Sums | Kind::Distinct | Kind::Count) => Shape::Merge,
                _ => Shape::Table,
            };
            let is_logged = place.is_database() && random.one_in(2);
            let mut model = Model { name, place, kind, shape, is_logged, number: 0, reads, spaces: 0 };
            if shape == Shape::View {
                view_of(&mut model, &models);
            }
            models.push(model);
        }
        let project = Project::new()
            .env("DATABASE_URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        let mut bench = Bench {
            seed,
            random,
            project,
            database,
            sources: BTreeMap::new(),
            models,
            records: BTreeMap::new(),
            damaged: BTreeSet::new(),
            published: BTreeMap::new(),
            history: Vec::new(),
        };
        for name in sources {
            let rows = (1..4).map(|it| (it, it)).collect();
            bench.write_source(&name, rows);
        }
        bench.project.write_manifest(&bench.manifest());
        let log = "create table log (name text)";
        rusqlite::Connection::open(bench.project.path("shop.sqlite")).unwrap().execute_batch(log).unwrap();
        duckdb::run(&bench.project.path("shop.duckdb"), log);
        bench.database.run(log);
        bench
    }

    fn manifest(&self) -> String {
        let mut text = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.lite]
type = "sqlite"
path = "shop.sqlite"
[io.pg]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
[io.duck]
type = "duckdb"
path = "shop.duckdb"
"#
        .to_owned();
        for name in self.sources.keys() {
            let _ = writeln!(text, "[source.{name}]\nfiles = [\"raw/{name}.csv\"]");
        }
        for it in &self.models {
            text += &it.table();
        }
        text
    }

    /// Every table has a row with the key 0, so none is empty and without types.
    fn write_source(&mut self, name: &str, rows: Vec<(i64, i64)>) {
        self.sources.insert(name.to_owned(), rows);
        self.project.write(&format!("raw/{name}.csv"), self.source_text(name));
    }

    fn source_text(&self, name: &str) -> String {
        let rows: String = self.sources[name].iter().map(|(k, v)| format!("{k},{v}\n")).collect();
        format!("k,v\n0,0\n{rows}")
    }

    fn source_table(&self, name: &str) -> Table {
        let mut table = Table::from([((0, 0), 1)]);
        for row in &self.sources[name] {
            *table.entry(*row).or_default() += 1;
        }
        table
    }

    fn change(&mut self) -> String {
        let name = self.random.pick(&self.sources.keys().cloned().collect::<Vec<_>>()).clone();
        let mut rows = self.sources[&name].clone();
        let at = self.random.below(self.models.len());
        match self.random.below(8) {
            0 => {
                rows.reverse();
                self.write_source(&name, rows);
                format!("{name} in another order")
            }
            1 | 2 => {
                let row = (1 + self.random.below(3) as i64, self.random.below(9) as i64 - 4);
                rows.push(row);
                self.write_source(&name, rows);
                format!("{name} gets {row:?}")
            }
            3 if !rows.is_empty() => {
                let row = rows.remove(self.random.below(rows.len()));
                self.write_source(&name, rows);
                format!("{name} loses {row:?}")
            }
            4 => {
                self.models[at].number = self.random.below(4) as i64;
                self.project.write_manifest(&self.manifest());
                format!("{} has the number {}", self.models[at].name, self.models[at].number)
            }
            5 => {
                self.models[at].spaces += 1;
                self.project.write_manifest(&self.manifest());
                format!("{} is set out anew", self.models[at].name)
            }
            _ => self.damage(at),
        }
    }

    /// Somebody changes a table by hand, or deletes it.
    fn damage(&mut self, at: usize) -> String {
        let Model { name, place, shape, .. } = self.models[at].clone();
        let deleted = shape == Shape::View || self.random.one_in(2);
        if !self.records.contains_key(&name) || self.damaged.contains(&name) {
            return format!("nothing to damage at {name}");
        }
        let kind = if shape == Shape::View { "view" } else { "table" };
        let cascade = if place == Place::Postgres { " cascade" } else { "" };
        let sql = match deleted {
            true => format!("drop {kind} {name}{cascade}"),
            false => format!("update {name} set v = v + 1"),
        };
        match place {
            Place::Sqlite => {
                let database = rusqlite::Connection::open(self.project.path("shop.sqlite")).unwrap();
                database.execute_batch(&sql).unwrap();
            }
            Place::Postgres => self.database.run(&sql),
            Place::Duckdb => Opened::new(&self.project.path("shop.duckdb")).run(&sql),
            Place::Csv if deleted => self.project.remove(&format!("data/{name}.csv")),
            Place::Csv => self.project.write(&format!("data/{name}.csv"), "k,v\n0,1\n"),
            Place::Parquet if deleted => self.project.remove(&format!("data/{name}.parquet")),
            Place::Parquet => self.project.write(&format!("data/{name}.parquet"), "spoilt"),
        }
        self.damaged.insert(name.clone());
        if deleted && place == Place::Postgres {
            let mut gone = BTreeSet::from([name.clone()]);
            for it in &self.models {
                let rests = it.shape == Shape::View && it.reads.iter().any(|it| gone.contains(it));
                if rests && it.place == place && self.records.contains_key(&it.name) {
                    gone.insert(it.name.clone());
                }
            }
            self.damaged.extend(gone);
        }
        format!("{name}: {sql}")
    }

    /// What is stored of each, as recorded.
    fn trace(&self, model: &Model) -> Option<Trace> {
        let (files, tables): (Vec<_>, Vec<_>) = model.reads.iter().partition(|it| self.sources.contains_key(*it));
        let tables: Option<_> = tables.into_iter().map(|it| Some((it.clone(), self.version(it)?))).collect();
        Some(Trace {
            sql: Model { spaces: 0, ..model.clone() }.sql(),
            files: files.into_iter().map(|it| (it.clone(), self.source_text(it))).collect(),
            tables: tables?,
        })
    }

    fn version(&self, name: &str) -> Option<Version> {
        let record = self.records.get(name)?;
        let is_view = self.models.iter().any(|it| it.name == name && it.shape == Shape::View);
        Some(match is_view {
            true => Version::View(Box::new(record.trace.clone())),
            false => Version::Rows(record.rows.clone()),
        })
    }

    /// Every model that is not as it must be, or is made from one.
    fn stale(&self) -> BTreeSet<String> {
        let mut stale = BTreeSet::new();
        for it in &self.models {
            let changed = self.records.get(&it.name).map(|it| &it.trace) != self.trace(it).as_ref();
            if changed || self.damaged.contains(&it.name) || it.reads.iter().any(|it| stale.contains(it)) {
                stale.insert(it.name.clone());
            }
        }
        stale
    }

    /// A run to its end, on paper: the models that must be made.
    fn run_on_paper(&mut self) -> BTreeSet<String> {
        let mut made = BTreeSet::new();
        for it in self.models.clone() {
            let trace = self.trace(&it).expect("what it reads was made");
            let old = self.records.get(&it.name).filter(|_| !self.damaged.contains(&it.name));
            if old.is_some_and(|it| it.trace == trace) {
                continue;
            }
            let inputs: Vec<Table> = it
                .reads
                .iter()
                .map(|it| self.records.get(it).map_or_else(|| self.source_table(it), |it| it.rows.clone()))
                .collect();
            let rows = it.evaluate(&inputs, old.filter(|it| it.trace.sql == trace.sql).map(|it| &it.rows));
            self.records.insert(it.name.clone(), Record { trace, rows });
            self.damaged.remove(&it.name);
            *self.published.entry(it.name.clone()).or_default() += 1;
            made.insert(it.name);
        }
        made
    }

    fn step(&mut self) {
        for _ in 0..=self.random.below(2) {
            let told = self.change();
            self.history.push(told);
        }
        self.compare_status();
        match self.random.below(6) {
            0 | 1 => self.killed_run(),
            2 => self.two_runs(),
            _ => self.run(true),
        }
    }

    fn compare_status(&self) {
        // What lies on a server is not looked at unless one asks for that.
        let arguments: &[&str] = match self.models.iter().any(|it| it.place == Place::Postgres) {
            true => &["--refresh"],
            false => &[],
        };
        let told = self.project.states(arguments).into_iter().filter(|it| it.1 != "fresh");
        assert_eq!(told.map(|it| it.0).collect::<BTreeSet<_>>(), self.stale(), "status");
    }

    fn run(&mut self, exactly: bool) {
        let needed = self.run_on_paper();
        let outcomes = self.project.materialized(&[]);
        let made = |it: &&(String, String)| matches!(it.1.as_str(), "built" | "restored");
        let made: BTreeSet<String> = outcomes.iter().filter(made).map(|it| it.0.clone()).collect();
        match exactly {
            true => assert_eq!(made, needed, "what is run is not what must be: {outcomes:?}"),
            false => assert!(made.is_subset(&needed), "{made:?} ran, of {needed:?}"),
        }
        for it in &self.models {
            assert_eq!(self.rows(it), self.records[&it.name].rows, "{}", it.name);
        }
        self.compare_hooks();
        let again = self.project.materialized(&[]);
        assert_eq!(again.iter().filter(|it| it.1 != "fresh").count(), 0, "a second run ran something: {again:?}");
    }

    /// What is stored, as its own engine tells it.
    fn rows(&self, model: &Model) -> Table {
        let query = format!("select k, v from {}", model.name);
        let rows: Vec<(i64, i64)> = match model.place {
            Place::Csv => {
                self.project.read(&format!("data/{}.csv", model.name)).lines().skip(1).map(|it| pair(it, ',')).collect()
            }
            Place::Parquet => {
                let told = self.project.run(&["preview", &model.name, "-n", "1000000", "--format", "csv"]).succeeded();
                told.stdout.lines().skip(1).map(|it| pair(it, ',')).collect()
            }
            database => self.asked(database, &query).iter().map(|it| pair(it, '|')).collect(),
        };
        let mut table = Table::new();
        for row in rows {
            *table.entry(row).or_default() += 1;
        }
        table
    }

    /// Two columns, as a database tells them.
    fn asked(&self, database: Place, query: &str) -> Vec<String> {
        match database {
            Place::Sqlite => {
                let database = rusqlite::Connection::open(self.project.path("shop.sqlite")).unwrap();
                let mut statement = database.prepare(query).unwrap();
                let text = |it: ValueRef<'_>| match it {
                    ValueRef::Text(it) => String::from_utf8_lossy(it).into_owned(),
                    it => it.as_i64().unwrap().to_string(),
                };
                let row = |it: &rusqlite::Row<'_>| Ok([text(it.get_ref(0)?), text(it.get_ref(1)?)].join("|"));
                statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
            }
            Place::Postgres => self.database.rows(query),
            _ => duckdb::rows(&self.project.path("shop.duckdb"), query),
        }
    }

    /// However often a run was killed: a hook is run once for each publication, and never without one.
    fn compare_hooks(&self) {
        let mut found = BTreeMap::new();
        for database in [Place::Sqlite, Place::Postgres, Place::Duckdb] {
            for row in self.asked(database, "select name, count(*) from log group by name") {
                let (name, count) = row.split_once('|').unwrap();
                found.insert(name.to_owned(), count.parse::<usize>().unwrap());
            }
        }
        let logged = self.models.iter().filter(|it| it.is_logged);
        let told = logged.map(|it| (it.name.clone(), self.published[&it.name])).collect::<BTreeMap<_, _>>();
        assert_eq!(found, told, "hooks");
    }

    /// Killed at some moment: the next run alone makes everything right, and nothing that was not needed.
    fn killed_run(&mut self) {
        if cfg!(debug_assertions) && self.random.one_in(2) {
            return self.run_that_forgets();
        }
        let pause = self.random.below(150);
        self.history.push(format!("killed after {pause} ms"));
        let running = self.project.start(&["materialize", "-q"]);
        thread::sleep(Duration::from_millis(pause as u64));
        running.signal(Signal::KILL);
        running.finish();
        self.run(false);
    }

    /// Published, and then lost before it was written down.
    fn run_that_forgets(&mut self) {
        let name = self.random.pick(&self.models).name.clone();
        self.history.push(format!("lost {name} before it was recorded"));
        self.project.set_env("ASSETS_PANIC", &format!("recording {name}"));
        self.project.run(&["materialize", "-q"]);
        self.project.unset_env("ASSETS_PANIC");
        self.run(false);
    }

    fn two_runs(&mut self) {
        self.history.push("two runs".to_owned());
        let both = [self.project.start(&["materialize", "-q"]), self.project.start(&["materialize", "-q"])];
        for running in both {
            running.finish().succeeded();
        }
        self.run(false);
    }
}

/// A view reads what its database has; without anything there it is a table.
fn view_of(model: &mut Model, others: &[Model]) {
    let there: Vec<&String> = others.iter().filter(|it| it.place == model.place).map(|it| &it.name).collect();
    match there.first() {
        None => model.shape = Shape::Table,
        Some(first) => {
            model.reads.retain(|it| there.contains(&it));
            if model.reads.is_empty() {
                model.reads.push((*first).clone());
            }
        }
    }
}

fn pair(text: &str, between: char) -> (i64, i64) {
    let (k, v) = text.split_once(between).unwrap_or_else(|| panic!("{text:?} is no row"));
    (k.parse().unwrap(), v.parse().unwrap())
}

/// Seeds `start`, `start + 3`, ...: three tests share the work.
fn cases(start: u64) {
    let all = number("ASSETS_ORACLE_CASES").unwrap_or(3 * CASES);
    for seed in (start..all).step_by(3).filter(|it| number("ASSETS_ORACLE_SEED").is_none_or(|only| only == *it)) {
        let mut bench = Bench::new(seed, Server::shared().database());
        for _ in 0..STEPS {
            bench.step();
        }
    }
}

#[test]
fn tables_0() {
    cases(0);
}

#[test]
fn tables_1() {
    cases(1);
}

#[test]
fn tables_2() {
    cases(2);
}
