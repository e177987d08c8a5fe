//! Tables on paper: random graphs of queries over files and databases, random changes, kills and second runs. After
//! each change the executed set must be the smallest that is right, and every table must hold the rows that a
//! plain evaluation gives.
//!
//! A case is named by its seed. `ASSETS_ORACLE_CASES=500` tries more of them, `ASSETS_ORACLE_SEED=7` one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    thread,
    time::Duration,
};

use rustix::process::Signal;

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

/// Rows in no order: how often each is there.
type Table = BTreeMap<(i64, i64), usize>;

/// Where a table is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Csv,
    Parquet,
    Sqlite,
    Postgres,
    Duckdb,
}

const PLACES: [Place; 5] = [Place::Csv, Place::Parquet, Place::Sqlite, Place::Postgres, Place::Duckdb];

/// What a query does with the rows of all that it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    All,
    /// Those with a value above the model's number.
    Above,
    /// The sum of each key.
    Sums,
    Distinct,
    /// How many there are: most changes end here.
    Count,
}

#[derive(Clone, Debug)]
struct Model {
    name: String,
    place: Place,
    kind: Kind,
    number: i64,
    /// Names of sources and of models before it.
    reads: Vec<String>,
    /// Only a matter of form.
    spaces: usize,
}

impl Model {
    fn sql(&self) -> String {
        let space = " ".repeat(1 + self.spaces);
        let all: Vec<String> = self.reads.iter().map(|it| format!("select k,{space}v from {it}")).collect();
        let all = all.join(" union all ");
        let number = self.number;
        match self.kind {
            Kind::All => all,
            Kind::Above => format!("select k,{space}v from ({all}) as t where v > {number} or k = 0"),
            Kind::Sums => {
                format!("select k,{space}cast(sum(v) + {number} as bigint) as v from ({all}) as t group by k")
            }
            Kind::Distinct => format!("select distinct k,{space}{number} as v from ({all}) as t"),
            Kind::Count => format!("select {number} as k,{space}cast(count(*) as bigint) as v from ({all}) as t"),
        }
    }

    fn evaluate(&self, inputs: &[Table]) -> Table {
        let mut all = Table::new();
        for (row, count) in inputs.iter().flatten() {
            *all.entry(*row).or_default() += count;
        }
        let total: usize = all.values().sum();
        match self.kind {
            Kind::All => all,
            Kind::Above => all.into_iter().filter(|((k, v), _)| *v > self.number || *k == 0).collect(),
            Kind::Sums => {
                let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
                for ((k, v), count) in all {
                    *sums.entry(k).or_insert(self.number) += v * i64::try_from(count).unwrap();
                }
                sums.into_iter().map(|it| (it, 1)).collect()
            }
            Kind::Distinct => all.into_keys().map(|it| ((it.0, self.number), 1)).collect(),
            Kind::Count => Table::from([((self.number, i64::try_from(total).unwrap()), 1)]),
        }
    }
}

/// All that a query's rows depend on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Trace {
    /// However it is set out.
    sql: String,
    /// Bytes of sources.
    files: BTreeMap<String, String>,
    tables: BTreeMap<String, Table>,
}

struct Bench<'a> {
    seed: u64,
    random: Random,
    project: Project,
    database: Database<'a>,
    sources: BTreeMap<String, Vec<(i64, i64)>>,
    models: Vec<Model>,
    records: BTreeMap<String, (Trace, Table)>,
    damaged: BTreeSet<String>,
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
            models.push(Model {
                name,
                place: *random.pick(&PLACES),
                kind: *random.pick(&[Kind::All, Kind::Above, Kind::Sums, Kind::Distinct, Kind::Count]),
                number: 0,
                reads,
                spaces: 0,
            });
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
            history: Vec::new(),
        };
        for name in sources {
            let rows = (1..4).map(|it| (it, it)).collect();
            bench.write_source(&name, rows);
        }
        bench.project.write_manifest(&bench.manifest());
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
            let place = match it.place {
                Place::Csv => "format = \"csv\"",
                Place::Parquet => "format = \"parquet\"",
                Place::Sqlite => "io = \"lite\"",
                Place::Postgres => "io = \"pg\"",
                Place::Duckdb => "io = \"duck\"",
            };
            let _ = writeln!(text, "[asset.{}]\nsql = '{}'\n{place}", it.name, it.sql());
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
        let Model { name, place, .. } = self.models[at].clone();
        let deleted = self.random.one_in(2);
        if !self.records.contains_key(&name) || self.damaged.contains(&name) {
            return format!("nothing to damage at {name}");
        }
        let sql = if deleted { format!("drop table {name}") } else { format!("update {name} set v = v + 1") };
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
        format!("{name}: {sql}")
    }

    /// What is stored of each, as recorded.
    fn trace(&self, model: &Model) -> Option<Trace> {
        let (files, tables): (Vec<_>, Vec<_>) = model.reads.iter().partition(|it| self.sources.contains_key(*it));
        let tables: Option<_> =
            tables.into_iter().map(|it| Some((it.clone(), self.records.get(it)?.1.clone()))).collect();
        Some(Trace {
            sql: Model { spaces: 0, ..model.clone() }.sql(),
            files: files.into_iter().map(|it| (it.clone(), self.source_text(it))).collect(),
            tables: tables?,
        })
    }

    /// Every model that is not as it must be, or is made from one.
    fn stale(&self) -> BTreeSet<String> {
        let mut stale = BTreeSet::new();
        for it in &self.models {
            let changed = self.records.get(&it.name).map(|it| &it.0) != self.trace(it).as_ref();
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
            if self.records.get(&it.name).is_some_and(|it| it.0 == trace) && !self.damaged.contains(&it.name) {
                continue;
            }
            let inputs: Vec<Table> = it
                .reads
                .iter()
                .map(|it| self.records.get(it).map_or_else(|| self.source_table(it), |it| it.1.clone()))
                .collect();
            self.records.insert(it.name.clone(), (trace, it.evaluate(&inputs)));
            self.damaged.remove(&it.name);
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
            assert_eq!(self.rows(it), self.records[&it.name].1, "{}", it.name);
        }
        let again = self.project.materialized(&[]);
        assert_eq!(again.iter().filter(|it| it.1 != "fresh").count(), 0, "a second run ran something: {again:?}");
    }

    /// What is stored, as its own engine tells it.
    fn rows(&self, model: &Model) -> Table {
        let query = format!("select k, v from {}", model.name);
        let rows: Vec<(i64, i64)> = match model.place {
            Place::Sqlite => {
                let database = rusqlite::Connection::open(self.project.path("shop.sqlite")).unwrap();
                let mut statement = database.prepare(&query).unwrap();
                let rows = statement.query_map([], |it| Ok((it.get(0)?, it.get(1)?))).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Place::Postgres => self.database.rows(&query).iter().map(|it| pair(it, '|')).collect(),
            Place::Duckdb => {
                duckdb::rows(&self.project.path("shop.duckdb"), &query).iter().map(|it| pair(it, '|')).collect()
            }
            Place::Csv => {
                self.project.read(&format!("data/{}.csv", model.name)).lines().skip(1).map(|it| pair(it, ',')).collect()
            }
            Place::Parquet => {
                let told = self.project.run(&["preview", &model.name, "-n", "10000", "--format", "csv"]).succeeded();
                told.stdout.lines().skip(1).map(|it| pair(it, ',')).collect()
            }
        };
        let mut table = Table::new();
        for row in rows {
            *table.entry(row).or_default() += 1;
        }
        table
    }

    /// Killed at some moment: the next run alone makes everything right, and nothing that was not needed.
    fn killed_run(&mut self) {
        let pause = self.random.below(150);
        self.history.push(format!("killed after {pause} ms"));
        let running = self.project.start(&["materialize", "-q"]);
        thread::sleep(Duration::from_millis(pause as u64));
        running.signal(Signal::KILL);
        running.finish();
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
