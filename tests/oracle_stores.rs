//! Stores on paper: random graphs of tables, views, partitions and commands over files and databases, and random actions that
//! leave things half done: runs of a part, runs that are killed, writers from outside, before, between and during runs. After
//! each action, whatever is called fresh must hold what a build from scratch would give.
//!
//! Unlike the other oracles this one does not say what must be run; so it can do anything to the world.
//!
//! A case is named by its seed. `ASSETS_ORACLE_CASES=500` tries more of them (`ASSETS_ORACLE_FROM=400` only the last hundred),
//! `ASSETS_ORACLE_SEED=7` one, and with that `ASSETS_ORACLE_ONLY=0,3,7` only those of its actions, to find out which it takes.

#[path = "oracle/store_model.rs"]
mod model;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs, panic, thread,
    time::Duration,
};

use model::{Asset, Form, Graph, KEYS, Place, Rows};
use postgres::{Client, NoTls};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    oracle::{graph::Random, number},
    support::{
        Output, Project, duckdb,
        postgres::{Database, Server},
        told::{steps, text},
    },
};

const CASES: u64 = 2;

/// Something that is done to a project. What it is done to is told by numbers, so that actions can be left out.
#[derive(Clone, Debug)]
enum Action {
    /// Rows of a source.
    Edit(usize, Vec<(i64, i64)>),
    EditBack(usize),
    Touch(usize),
    Number(usize, i64),
    Spaces(usize),
    Rewire(usize, Vec<usize>),
    Reform(usize, Form),
    Move(usize, Place),
    /// Something else than the tool writes to where an asset is kept.
    Outside(usize, Harm),
    WriteBack,
    Run(Arguments),
    Kill(Arguments, u64),
    /// Published, and then lost before it was written down.
    Forget(usize),
    Two(Arguments, Arguments),
    Meanwhile(Arguments, u64, Box<Action>),
    LoseState(bool),
    Status,
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Add,
    AddToOne(i64),
    Delete,
    Insert(i64),
    Drop,
    /// Dropped, and there again with the same rows.
    Anew,
}

/// Of `materialize`.
#[derive(Clone, Debug)]
struct Arguments {
    terms: Vec<(bool, usize, bool)>,
    is_forced: bool,
    partition: Option<i64>,
}

impl Arguments {
    const ALL: Arguments = Arguments { terms: Vec::new(), is_forced: false, partition: None };

    fn one(at: usize, is_forced: bool) -> Arguments {
        Arguments { terms: vec![(false, at, false)], is_forced, partition: None }
    }

    fn random(random: &mut Random, count: usize) -> Arguments {
        if random.one_in(4) { Arguments::ALL } else { Arguments::some(random, count) }
    }

    fn some(random: &mut Random, count: usize) -> Arguments {
        let terms = (0..1 + random.below(3))
            .map(|_| (random.one_in(3), random.below(count), random.one_in(4)))
            .collect::<Vec<_>>();
        let is_forced = random.one_in(4);
        let partition = random.one_in(8).then(|| random.below(KEYS as usize) as i64);
        match is_forced || partition.is_some() {
            true => Arguments { terms: vec![(false, terms[0].1, false)], is_forced, partition },
            false => Arguments { terms, is_forced, partition },
        }
    }
}

impl Action {
    /// A few of them. Mostly a way there and back with something that is made in between: what was made of something that is no
    /// more must not look right.
    fn some(random: &mut Random, graph: &Graph) -> Vec<Action> {
        if random.one_in(3) {
            return vec![Action::random(random, graph)];
        }
        // What is made without looking at all that it shows is made wrong: mostly something that reads a view.
        let of_views = graph.that_read_views();
        let below = match of_views.is_empty() || random.one_in(2) {
            true => random.below(graph.assets.len()),
            false => *random.pick(&of_views),
        };
        let above: Vec<usize> = graph.above(below);
        let at = *random.pick(if above.is_empty() { std::slice::from_ref(&below) } else { &above });
        let (there, back) = match random.below(4) {
            0 | 1 => (Action::Outside(at, Harm::random(random)), Action::WriteBack),
            2 => {
                let source = random.below(graph.sources.len());
                (Action::Edit(source, vec![(1, random.below(9) as i64)]), Action::EditBack(source))
            }
            _ => (Action::Number(at, 5), Action::Number(at, graph.assets[at].number)),
        };
        let made = |random: &mut Random| match random.below(4) {
            0 => Action::random(random, graph),
            1 => Action::Run(Arguments::some(random, graph.assets.len())),
            2 => Action::Run(Arguments::one(*random.pick(&[at, below]), true)),
            _ => Action::Run(Arguments::one(*random.pick(&[at, below]), false)),
        };
        let forced = Arguments::one(below, true);
        match random.below(4) {
            0 => return vec![there, Action::Run(forced), back],
            1 => return vec![Action::Meanwhile(forced, random.below(400) as u64, Box::new(there)), back],
            _ => {}
        }
        let mut all = vec![there];
        for _ in 0..1 + random.below(3) {
            all.push(match (made(random), random.below(8)) {
                (Action::Run(arguments), 0) => Action::Kill(arguments, random.below(700) as u64),
                (it, _) => it,
            });
        }
        match made(random) {
            Action::Run(arguments) if random.one_in(4) => {
                all.push(Action::Meanwhile(arguments, random.below(500) as u64, Box::new(back)));
            }
            _ => all.push(back),
        }
        if random.one_in(2) {
            all.push(made(random));
        }
        all
    }

    fn random(random: &mut Random, graph: &Graph) -> Action {
        let at = random.below(graph.assets.len());
        let source = random.below(graph.sources.len());
        match random.below(29) {
            0..=2 => Action::Edit(
                source,
                (0..random.below(5))
                    .map(|_| (random.below(KEYS as usize) as i64, random.below(7) as i64 - 3))
                    .collect(),
            ),
            3 => Action::EditBack(source),
            4 => Action::Touch(source),
            5 | 6 => Action::Number(at, random.below(4) as i64),
            7 => Action::Spaces(at),
            8 => Action::Rewire(at, (0..1 + random.below(2)).map(|_| random.below(9)).collect()),
            9 => Action::Reform(at, *random.pick(&[Form::Table, Form::View, Form::Merge, Form::Command])),
            10 => Action::Move(at, *random.pick(&Place::ALL)),
            11..=13 => Action::Outside(at, Harm::random(random)),
            14 | 15 => Action::WriteBack,
            16..=20 => Action::Run(Arguments::random(random, graph.assets.len())),
            21 | 22 => Action::Kill(Arguments::random(random, graph.assets.len()), random.below(700) as u64),
            23 => Action::Forget(at),
            24 => Action::Two(
                Arguments::random(random, graph.assets.len()),
                Arguments::random(random, graph.assets.len()),
            ),
            25 | 26 => {
                let action = match random.below(5) {
                    0 => Action::Edit(source, vec![(1, random.below(9) as i64)]),
                    1 => Action::Number(at, random.below(4) as i64),
                    2 => Action::WriteBack,
                    _ => Action::Outside(at, Harm::random(random)),
                };
                let arguments = Arguments::random(random, graph.assets.len());
                Action::Meanwhile(arguments, random.below(500) as u64, Box::new(action))
            }
            27 => Action::LoseState(random.one_in(2)),
            _ => Action::Status,
        }
    }
}

impl Harm {
    fn random(random: &mut Random) -> Harm {
        let key = random.below(KEYS as usize) as i64;
        *random.pick(&[
            Harm::Add,
            Harm::Add,
            Harm::AddToOne(key),
            Harm::Delete,
            Harm::Insert(key),
            Harm::Drop,
            Harm::Anew,
        ])
    }
}

/// How what was written from outside is taken back.
enum Undo {
    Sql(Place, String),
    File(String, Vec<u8>),
}

type Fallible<T> = Result<T, Box<dyn Error>>;

struct Bench<'a> {
    seed: u64,
    project: Project,
    database: Database<'a>,
    graph: Graph,
    /// As they were before the last edit.
    before: BTreeMap<String, Vec<(i64, i64)>>,
    undo: Option<Undo>,
    history: Vec<String>,
    first: String,
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}:\n{}\n{}\n", self.seed, self.first, self.history.join("\n"));
            eprintln!("and then the manifest was:\n{}", self.graph.manifest());
        }
    }
}

impl<'a> Bench<'a> {
    fn new(seed: u64, graph: Graph, database: Database<'a>) -> Self {
        let project = Project::new()
            .env("DATABASE_URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        let first = graph.manifest();
        let before = graph.sources.clone();
        let bench = Bench { seed, project, database, graph, before, undo: None, history: Vec::new(), first };
        bench.write();
        bench
    }

    /// The manifest and the sources.
    fn write(&self) {
        self.project.write_manifest(&self.graph.manifest());
        for name in self.graph.sources.keys() {
            self.write_source(name);
        }
    }

    fn write_source(&self, name: &str) {
        let (path, text) = (format!("raw/{name}.csv"), self.graph.source_text(name));
        if !self.project.exists(&path) || self.project.read(&path) != text {
            self.project.write(&path, text);
        }
    }

    /// Another manifest, if it is one.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Graph, usize)) -> String {
        let old = self.graph.clone();
        change(&mut self.graph, at);
        if !self.graph.fits() {
            self.graph = old;
            return "nothing that fits".to_owned();
        }
        self.project.write_manifest(&self.graph.manifest());
        self.graph.assets[at].table(&BTreeSet::new())
    }

    fn step(&mut self, index: usize, action: &Action) {
        self.history.push(format!("{index}: {action:?}"));
        // Something is to happen while it runs.
        match action {
            Action::Kill(..) | Action::Two(..) | Action::Meanwhile(..) => self.project.write("slow", ""),
            _ => drop(fs::remove_file(self.project.path("slow"))),
        }
        let told = match action {
            Action::Run(arguments) => return self.run(arguments),
            Action::Status => String::new(),
            Action::Kill(arguments, pause) => self.kill(arguments, *pause),
            Action::Forget(at) => self.forget(*at),
            Action::Two(one, other) => self.two(one, other),
            Action::Meanwhile(arguments, pause, action) => self.meanwhile(arguments, *pause, action),
            it => self.world(it),
        };
        self.tell(told);
        self.compare();
    }

    fn tell(&mut self, told: impl Into<String>) {
        self.history.push(format!("   {}", told.into().replace('\n', "\n   ")));
    }

    /// What the tool has no part in.
    fn world(&mut self, action: &Action) -> String {
        let source = |graph: &Graph, at: usize| graph.sources.keys().nth(at).expect("there are so many").clone();
        match action {
            Action::Edit(at, rows) => {
                let name = source(&self.graph, *at);
                let old = self.graph.sources.insert(name.clone(), rows.clone());
                self.before.insert(name.clone(), old.expect("it was there"));
                self.write_source(&name);
                name
            }
            Action::EditBack(at) => {
                let name = source(&self.graph, *at);
                let rows = self.before[&name].clone();
                let old = self.graph.sources.insert(name.clone(), rows);
                self.before.insert(name.clone(), old.expect("it was there"));
                self.write_source(&name);
                format!("{name}: {:?}", self.graph.sources[&name])
            }
            Action::Touch(at) => {
                let path = format!("raw/{}.csv", source(&self.graph, *at));
                self.project.write(&path, self.project.read(&path));
                path
            }
            Action::Number(at, number) => self.change(*at, |graph, at| graph.assets[at].number = *number),
            Action::Spaces(at) => self.change(*at, |graph, at| graph.assets[at].spaces += 1),
            Action::Rewire(at, to) => self.change(*at, |graph, at| {
                let known = graph.sources.keys().chain(graph.assets[..at].iter().map(|it| &it.name));
                let known: Vec<String> = known.cloned().collect();
                let all: BTreeSet<&String> = to.iter().map(|it| &known[it % known.len()]).collect();
                graph.assets[at].reads = all.into_iter().cloned().collect();
            }),
            Action::Reform(at, form) => self.change(*at, |graph, at| graph.assets[at].form = *form),
            Action::Move(at, place) => self.change(*at, |graph, at| graph.assets[at].place = *place),
            Action::Outside(at, harm) => {
                let asset = self.graph.assets[*at].clone();
                self.outside(&asset, *harm).unwrap_or_else(|it| format!("it cannot be written: {it}"))
            }
            Action::WriteBack => match self.undo.take() {
                None => "nothing to write back".to_owned(),
                Some(Undo::Sql(place, sql)) => match self.write_to(place, &sql) {
                    Ok(()) => format!("{place:?}: {sql}"),
                    Err(it) => format!("{place:?}: {sql} cannot be written: {it}"),
                },
                Some(Undo::File(path, bytes)) => {
                    self.project.write(&path, bytes);
                    path
                }
            },
            Action::LoseState(and_index) => {
                let index = if *and_index { &[".assets/state.idx"][..] } else { &[] };
                for path in [".assets/state.db", ".assets/state.db-wal", ".assets/state.db-shm"].iter().chain(index) {
                    let _ = fs::remove_file(self.project.path(path));
                }
                String::new()
            }
            it => panic!("{it:?} is a command"),
        }
    }
}

/// Writers from outside.
impl Bench<'_> {
    fn outside(&mut self, asset: &Asset, harm: Harm) -> Fallible<String> {
        let (name, place) = (&asset.name, asset.place);
        if let Some(path) = path_of(asset) {
            let Ok(bytes) = fs::read(self.project.path(&path)) else { return Ok(format!("no {path}")) };
            match harm {
                Harm::Drop => self.project.remove(&path),
                Harm::Anew => self.project.write(&path, &bytes),
                _ => self.project.write(&path, format!("k,v\n0,{}\n", bytes.len())),
            }
            self.undo = Some(Undo::File(path.clone(), bytes));
            return Ok(path);
        }
        let (sql, back) = match self.definition(asset)? {
            Some(definition) => {
                let cascade = if place == Place::Postgres { " cascade" } else { "" };
                let drop = format!("drop view {name}{cascade}");
                let read = &asset.reads[0];
                let other = match harm {
                    Harm::Drop => String::new(),
                    Harm::Anew => definition.clone(),
                    Harm::Insert(_) => format!("create table {name} as select k, v from {read}"),
                    Harm::AddToOne(_) => format!("create view {name} as select k, v from {read} where k > 0"),
                    _ => format!("create view {name} as select k, v + 1 as v from {read}"),
                };
                let is_table = matches!(harm, Harm::Insert(_));
                let drop_other = match harm {
                    Harm::Drop => String::new(),
                    _ => format!("drop {} {name}{cascade}; ", if is_table { "table" } else { "view" }),
                };
                (format!("{drop}; {other}"), format!("{drop_other}{definition}"))
            }
            None => self.harm(asset, harm)?,
        };
        self.write_to(place, &sql)?;
        self.undo = Some(Undo::Sql(place, back));
        Ok(format!("{place:?}: {sql}"))
    }

    /// What does harm to a table, and what takes it back.
    fn harm(&self, asset: &Asset, harm: Harm) -> Fallible<(String, String)> {
        let name = &asset.name;
        let columns = if asset.form == Form::Parts { "p, k, v" } else { "k, v" };
        let rows = self.ask(asset.place, &format!("select {columns} from {name}"))?;
        let row = |it: &String| match it.split_once('|').filter(|_| asset.form == Form::Parts) {
            Some((p, numbers)) => format!("('{p}', {})", numbers.replace('|', ", ")),
            None => format!("({})", it.replace('|', ", ")),
        };
        let all = rows.iter().map(row).collect::<Vec<_>>().join(", ");
        let fill = match rows.is_empty() {
            true => String::new(),
            false => format!("; insert into {name} ({columns}) values {all}"),
        };
        let cascade = if asset.place == Place::Postgres { " cascade" } else { "" };
        // Of the same types, whatever they are called.
        let keep = format!("drop table if exists kept_{name}; create table kept_{name} as select * from {name}");
        let create = format!("create table {name} as select * from kept_{name}");
        let sql = match harm {
            Harm::Add => format!("update {name} set v = v + 1"),
            Harm::AddToOne(key) => format!("update {name} set v = v + 5 where k = {key}"),
            Harm::Delete => format!("delete from {name}"),
            Harm::Insert(key) if asset.form == Form::Parts => {
                format!("insert into {name} (p, k, v) values ('{key}', {key}, 77)")
            }
            Harm::Insert(key) => format!("insert into {name} (k, v) values ({key}, 77)"),
            Harm::Drop => format!("{keep}; drop table {name}{cascade}"),
            Harm::Anew => format!("{keep}; drop table {name}{cascade}; {create}"),
        };
        let back = match harm {
            Harm::Drop => create,
            _ => format!("delete from {name}{fill}"),
        };
        Ok((sql, back))
    }

    /// How a view is made, by its own database; nothing if it is none.
    fn definition(&self, asset: &Asset) -> Fallible<Option<String>> {
        let name = &asset.name;
        let found = match asset.place {
            Place::Sqlite => self.ask(
                Place::Sqlite,
                &format!("select sql from sqlite_master where name = '{name}' and type = 'view'"),
            )?,
            Place::Duckdb => {
                self.ask(Place::Duckdb, &format!("select sql from duckdb_views() where view_name = '{name}'"))?
            }
            _ => {
                let query =
                    format!("select pg_get_viewdef(oid) from pg_class where relname = '{name}' and relkind = 'v'");
                let body = self.ask(Place::Postgres, &query)?;
                body.iter().map(|it| format!("create view {name} as {it}")).collect()
            }
        };
        Ok(found.into_iter().next())
    }

    fn write_to(&self, place: Place, sql: &str) -> Fallible<()> {
        let all = sql.split(';').map(str::trim).filter(|it| !it.is_empty());
        match place {
            Place::Sqlite => {
                let database = rusqlite::Connection::open(self.project.path("shop.sqlite"))?;
                database.busy_timeout(Duration::from_secs(5))?;
                database.execute_batch(&format!("begin immediate; {sql}; commit"))?;
            }
            Place::Duckdb => {
                let mut database = duckdb::Opened::tried(&self.project.path("shop.duckdb"))?;
                for it in ["begin"].into_iter().chain(all).chain(["commit"]) {
                    database.table(it)?;
                }
            }
            Place::Postgres => Client::connect(&self.database.url(), NoTls)?.batch_execute(sql)?,
            Place::Csv | Place::Parquet => return Err("it is no database".into()),
        }
        Ok(())
    }

    /// Rows as texts with `|` between columns.
    fn ask(&self, place: Place, query: &str) -> Fallible<Vec<String>> {
        Ok(match place {
            Place::Sqlite => {
                let database = rusqlite::Connection::open(self.project.path("shop.sqlite"))?;
                database.busy_timeout(Duration::from_secs(5))?;
                let mut statement = database.prepare(query)?;
                let count = statement.column_count();
                let mut rows = statement.query([])?;
                let mut told = Vec::new();
                while let Some(row) = rows.next()? {
                    let cell = |at: usize| {
                        Ok(match row.get::<_, rusqlite::types::Value>(at)? {
                            rusqlite::types::Value::Text(it) => it,
                            rusqlite::types::Value::Integer(it) => it.to_string(),
                            it => format!("{it:?}"),
                        })
                    };
                    let cells: Vec<String> = (0..count).map(cell).collect::<rusqlite::Result<_>>()?;
                    told.push(cells.join("|"));
                }
                told
            }
            Place::Postgres => {
                let messages = Client::connect(&self.database.url(), NoTls)?.simple_query(query)?;
                let row = |it: &postgres::SimpleQueryMessage| match it {
                    postgres::SimpleQueryMessage::Row(row) => {
                        Some((0..row.len()).map(|it| row.get(it).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
                    }
                    _ => None,
                };
                messages.iter().filter_map(row).collect()
            }
            Place::Duckdb => duckdb::Opened::tried(&self.project.path("shop.duckdb"))?.table(query)?.1,
            Place::Csv | Place::Parquet => duckdb::Opened::tried(std::path::Path::new(":memory:"))?.table(query)?.1,
        })
    }

    /// What is stored of an asset, as its own engine tells it.
    fn rows(&self, asset: &Asset) -> Fallible<Rows> {
        let told = match path_of(asset) {
            Some(path) if asset.place == Place::Csv => {
                let text = fs::read_to_string(self.project.path(&path))?;
                text.lines().skip(1).map(|it| it.replace(',', "|")).collect()
            }
            Some(path) => {
                self.ask(asset.place, &format!("select k, v from '{}'", self.project.path(&path).display()))?
            }
            None => self.ask(asset.place, &format!("select k, v from {}", asset.name))?,
        };
        let mut rows = Rows::new();
        for it in told {
            let (k, v) = it.split_once('|').ok_or_else(|| format!("{it:?} is no row"))?;
            *rows.entry((k.parse()?, v.parse()?)).or_default() += 1;
        }
        Ok(rows)
    }
}

/// Commands.
impl Bench<'_> {
    fn terms(&self, arguments: &Arguments) -> Vec<String> {
        let term = |it: &(bool, usize, bool)| {
            let plus = |it: bool| if it { "+" } else { "" };
            format!("{}{}{}", plus(it.0), self.graph.assets[it.1].name, plus(it.2))
        };
        arguments.terms.iter().map(term).collect()
    }

    fn arguments(&self, arguments: &Arguments) -> Vec<String> {
        let mut all = vec!["materialize".to_owned(), "--json".to_owned()];
        all.extend(self.terms(arguments).into_iter().flat_map(|it| ["-s".to_owned(), it]));
        if arguments.is_forced {
            all.push("--force".to_owned());
        }
        let only = arguments.terms.first().map(|it| &self.graph.assets[it.1]);
        if let Some(key) = arguments.partition.filter(|_| only.is_some_and(|it| it.form == Form::Parts)) {
            all.extend(["--partition".to_owned(), key.to_string()]);
        }
        all
    }

    fn run(&mut self, arguments: &Arguments) {
        let told = self.arguments(arguments);
        self.tell(format!("assets {}", told.join(" ")));
        let output = self.project.run(&told.iter().map(String::as_str).collect::<Vec<_>>());
        self.tell(format!("exit {}: {}", output.code, said(&output)));
        let terms = self.terms(arguments);
        let all: BTreeSet<String> = self.graph.assets.iter().map(|it| it.name.clone()).collect();
        let selected = if terms.is_empty() { all.clone() } else { self.graph.selected(&terms) };
        let is_closed = selected.iter().all(|it| self.graph.upstream(it).is_subset(&selected));
        // Nothing that was needed is missing, so nothing can be said against it.
        assert!(output.code == 0 || output.code == 1 && !is_closed, "it failed, though nothing it needs is left out");
        let fresh = self.compare();
        if output.code == 0 && arguments.partition.is_none() {
            for name in &selected {
                let can_be = self.graph.upstream(name).is_subset(&fresh);
                assert!(!can_be || fresh.contains(name), "{name} was selected and is not fresh");
            }
        }
        if selected == all && arguments.partition.is_none() {
            assert_eq!(fresh, all, "not fresh after a run of everything");
            let again = self.project.run(&["materialize", "--json"]).succeeded();
            let again: Vec<_> = steps(&again, "outcome").into_iter().filter(|it| it.1 != "fresh").collect();
            assert_eq!(again, [], "a second run ran something");
        }
    }

    /// Whatever is called fresh, with and without asking servers, must be right. Returns the former.
    fn compare(&mut self) -> BTreeSet<String> {
        let (asked, told) = self.status(&["--refresh"]);
        let (here, told_here) = self.status(&[]);
        if told != told_here {
            self.tell(format!("not asked: {told_here}"));
        }
        self.tell(format!("not fresh: {told}"));
        let wanted = self.graph.made_from_scratch();
        let mut wrong = Vec::new();
        for asset in &self.graph.assets {
            // What lies on a server is not looked at unless one asks for that.
            let is_told = asset.place != Place::Postgres && here.contains(&asset.name);
            if !asked.contains(&asset.name) && !is_told {
                continue;
            }
            let wanted = &wanted[&asset.name];
            match self.rows(asset) {
                Ok(found) if found == *wanted => {}
                Ok(found) => wrong.push(format!("{}: {found:?} and not {wanted:?}", asset.name)),
                Err(it) => wrong.push(format!("{}: {it} and not {wanted:?}", asset.name)),
            }
        }
        assert!(
            wrong.is_empty(),
            "called fresh (asked: {asked:?}, not asked: {here:?}), and wrong:\n{}",
            wrong.join("\n")
        );
        asked
    }

    fn status(&self, arguments: &[&str]) -> (BTreeSet<String>, String) {
        let output = self.project.run(&[&["status", "--json", "--exit-zero"], arguments].concat()).succeeded().json();
        let all = output["assets"].as_array().expect("there are assets");
        let reason = |it: &Value| format!(" {} {}", text(&it["code"]), text(&it["subject"]));
        let reasons = |it: &Value| it["reasons"].as_array().expect("a list").iter().map(reason).collect::<String>();
        let stale = all.iter().filter(|it| it["state"] != "fresh");
        let told: Vec<String> =
            stale.map(|it| format!("{} {}{}", text(&it["key"]), text(&it["state"]), reasons(it))).collect();
        let fresh = all.iter().filter(|it| it["state"] == "fresh").map(|it| text(&it["key"])).collect();
        (fresh, told.join("; "))
    }

    fn kill(&mut self, arguments: &Arguments, pause_ms: u64) -> String {
        let told = self.arguments(arguments);
        let running = self.project.start(&told.iter().map(String::as_str).collect::<Vec<_>>());
        thread::sleep(Duration::from_millis(pause_ms));
        running.signal(Signal::KILL);
        let code = running.finish().code;
        self.wait_for_servers();
        format!("assets {} & sleep 0.{pause_ms:03}; kill -9 $!: exit {code}", told.join(" "))
    }

    /// A server may still be at what a killed client has asked for.
    fn wait_for_servers(&self) {
        let others =
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        while self.database.rows(others) != ["0"] {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn forget(&mut self, at: usize) -> String {
        let place = format!("recording {}", self.graph.assets[at].name);
        self.project.set_env("ASSETS_PANIC", &place);
        let output = self.project.run(&["materialize", "-q"]);
        self.project.unset_env("ASSETS_PANIC");
        self.wait_for_servers();
        format!("ASSETS_PANIC='{place}' assets materialize -q: exit {}", output.code)
    }

    fn two(&mut self, one: &Arguments, other: &Arguments) -> String {
        let told = [self.arguments(one), self.arguments(other)];
        let both = told.each_ref().map(|it| self.project.start(&it.iter().map(String::as_str).collect::<Vec<_>>()));
        let outputs = both.map(|it| it.finish());
        outputs.iter().for_each(assert_ended);
        let [one, other] = told.map(|it| it.join(" "));
        format!("assets {one} & assets {other}: {}", outputs.each_ref().map(said).join("\n"))
    }

    fn meanwhile(&mut self, arguments: &Arguments, pause_ms: u64, action: &Action) -> String {
        let told = self.arguments(arguments);
        let running = self.project.start(&told.iter().map(String::as_str).collect::<Vec<_>>());
        thread::sleep(Duration::from_millis(pause_ms));
        let done = self.world(action);
        let output = running.finish();
        assert_ended(&output);
        format!("assets {} & sleep 0.{pause_ms:03}; {done}; wait: {}", told.join(" "), said(&output))
    }
}

/// Well or not, but in words.
fn assert_ended(output: &Output) {
    assert!(matches!(output.code, 0 | 1) && !output.stderr.contains("panicked"), "{output:?}");
}

/// How each step ended, and why not well.
fn said(output: &Output) -> String {
    let document: Value = serde_json::from_str(&output.raw_stdout).unwrap_or_default();
    let step = |it: &Value| {
        let partition = it["partition"].as_str().map(|it| format!("@{it}")).unwrap_or_default();
        format!("{}{partition} {}", text(&it["key"]), text(&it["outcome"]))
    };
    let steps = document["steps"].as_array().into_iter().flatten().map(step);
    let words = if output.code == 0 { "" } else { &output.stderr };
    [steps.collect::<Vec<_>>().join(", "), words.to_owned()].join("\n").trim_end().to_owned()
}

fn path_of(asset: &Asset) -> Option<String> {
    match asset.place {
        Place::Csv => Some(format!("data/{}.csv", asset.name)),
        Place::Parquet => Some(format!("data/{}.parquet", asset.name)),
        _ => None,
    }
}

fn only() -> Option<BTreeSet<usize>> {
    let only = std::env::var("ASSETS_ORACLE_ONLY").ok()?;
    Some(only.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().expect("a number")).collect())
}

fn case(seed: u64) {
    let mut random = Random::new(seed ^ 0x5704);
    let graph = Graph::random(&mut random);
    let mut actions = Vec::new();
    if !random.one_in(4) {
        actions.push(Action::Run(Arguments::ALL));
    }
    let count = 10 + random.below(16);
    while actions.len() < count {
        actions.extend(Action::some(&mut random, &graph));
    }
    actions.push(Action::Run(Arguments::ALL));
    let mut bench = Bench::new(seed, graph, Server::shared().database());
    let only = only();
    for (index, action) in actions.iter().enumerate() {
        if only.as_ref().is_none_or(|it| it.contains(&index)) {
            bench.step(index, action);
        }
    }
}

/// Seeds `start`, `start + 2`, ...: two tests share the work. One that fails does not end the others.
fn cases(start: u64) {
    let from = number("ASSETS_ORACLE_FROM").unwrap_or(0).next_multiple_of(2) + start;
    let all = number("ASSETS_ORACLE_CASES").unwrap_or(2 * CASES);
    let seeds = (from..from.max(all)).step_by(2);
    let seeds = seeds.filter(|it| number("ASSETS_ORACLE_SEED").is_none_or(|only| only == *it));
    let failed: Vec<u64> = seeds.filter(|it| panic::catch_unwind(|| case(*it)).is_err()).collect();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

#[test]
fn stores_0() {
    cases(0);
}

#[test]
fn stores_1() {
    cases(1);
}
