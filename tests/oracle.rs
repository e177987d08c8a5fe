//! The tool against paper: random graphs, random changes, and after each change every answer of the tool
//! is compared with what a plain evaluation says: what is fresh, exactly why the rest is not, exactly
//! which commands run, what is stored, and that questions change nothing.
//!
//! A case is named by its seed. `ASSETS_ORACLE_CASES=500` tries more of them, `ASSETS_ORACLE_SEED=7` one.

#[path = "oracle/graph.rs"]
pub mod graph;
#[path = "oracle/model.rs"]
mod model;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    thread,
    time::{Duration, SystemTime},
};

use graph::{Graph, Op, Random};
use model::{Damage, Fate, Model, Why};
use rustix::process::Signal;

use crate::support::{
    Project,
    told::{steps, text},
};

const STEPS: usize = 8;
const CASES: u64 = 3;

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().expect("a number"))
}

/// Seeds `start`, `start + 4`, ...: four tests share the work.
fn cases(start: u64) {
    let all = number("ASSETS_ORACLE_CASES").unwrap_or(4 * CASES);
    let seeds = (start..all).step_by(4);
    for seed in seeds.filter(|it| number("ASSETS_ORACLE_SEED").is_none_or(|only| only == *it)) {
        let mut bench = Bench::new(seed);
        for _ in 0..STEPS {
            bench.step();
        }
    }
}

#[test]
fn oracle_0() {
    cases(0);
}

#[test]
fn oracle_1() {
    cases(1);
}

#[test]
fn oracle_2() {
    cases(2);
}

#[test]
fn oracle_3() {
    cases(3);
}

/// A project and the paper on which it is worked out. `tests/soak.rs` torments it too.
pub struct Bench {
    pub seed: u64,
    pub random: Random,
    pub graph: Graph,
    pub model: Model,
    pub project: Project,
    /// What was done, for the message of a failure.
    pub history: Vec<String>,
    fresh_words: usize,
    /// Nothing is written that makes an op fail. While a run goes on, that would leave it open which
    /// version the tool knows last.
    calm: bool,
    /// Commands that were executed, and answers that were compared.
    pub executed: usize,
    pub compared: usize,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}:\n{}\n{}", self.seed, self.graph.manifest(), self.history.join("\n"));
        }
    }
}

impl Bench {
    fn new(seed: u64) -> Self {
        Bench::with(seed, Project::new())
    }

    pub fn with(seed: u64, project: Project) -> Self {
        let mut random = Random::new(seed);
        let graph = Graph::random(&mut random);
        let mut bench = Bench {
            seed,
            random,
            graph,
            model: Model::default(),
            project: project.env("E0", "zero"),
            history: Vec::new(),
            fresh_words: 0,
            calm: false,
            executed: 0,
            compared: 0,
        };
        for op in bench.graph.ops.clone() {
            bench.model.own.entry(op.name.clone()).or_default();
            if op.code {
                bench.write_code(&op, "echo code\n");
            }
            if op.reads {
                for name in ["1", "2"] {
                    bench.write_source(&op, &format!("raw/{}/{name}", op.name), "word\n");
                }
            }
            if op.variable.as_deref() == Some("E0") {
                bench.model.own.get_mut(&op.name).unwrap().value = Some("zero".to_owned());
            }
        }
        bench.project.write_manifest(&bench.graph.manifest());
        bench
    }

    fn write_source(&mut self, op: &Op, path: &str, content: &str) {
        self.project.write(path, content);
        self.model.own.get_mut(&op.name).unwrap().files.insert(path.to_owned(), content.to_owned());
    }

    fn write_code(&mut self, op: &Op, content: &str) {
        self.project.write(&format!("code/{}.sh", op.name), content);
        self.model.own.get_mut(&op.name).unwrap().code = Some(content.to_owned());
    }

    /// Five letters, sometimes ones that were there before.
    fn word(&mut self) -> String {
        match self.random.below(6) {
            0 if !self.calm => "boom!".to_owned(),
            1 => "again".to_owned(),
            _ => {
                self.fresh_words += 1;
                format!("w{:04}", self.fresh_words)
            }
        }
    }

    /// What ran since the last question, sorted; and counted.
    pub fn ran(&mut self) -> Vec<String> {
        let ran = self.project.ran();
        self.executed += ran.len();
        ran
    }

    fn step(&mut self) {
        for _ in 0..=self.random.below(2) {
            let told = self.change();
            self.history.push(told);
        }
        self.compare_answers();
        match self.random.below(10) {
            0 => self.killed_run(),
            1 => self.two_runs(),
            2 => self.edited_run(),
            3 | 4 => {
                let key = self.any_key();
                let selected = self.graph.with_upstream(&key).into_iter().collect();
                self.run(&["-s", &format!("+{key}")], &selected);
            }
            _ => self.run_all(),
        }
    }

    pub fn all_keys(&self) -> BTreeSet<String> {
        self.graph.ops.iter().flat_map(|it| &it.outputs).map(|it| it.key.clone()).collect()
    }

    pub fn any_key(&mut self) -> String {
        let keys: Vec<String> = self.all_keys().into_iter().collect();
        self.random.pick(&keys).clone()
    }

    fn run_all(&mut self) {
        let all = self.all_keys();
        self.run(&[], &all);
    }
}

/// Changes to the world.
impl Bench {
    pub fn change(&mut self) -> String {
        let op = self.random.pick(&self.graph.ops.clone()).clone();
        match self.random.below(8) {
            0..=2 if op.reads => self.change_source(&op),
            3 if op.code => self.change_code(&op),
            4 => self.change_variable(),
            5 => {
                let at = self.graph.ops.iter().position(|it| it.name == op.name).unwrap();
                self.graph.ops[at].label += 1;
                self.model.own.get_mut(&op.name).unwrap().label += 1;
                self.project.write_manifest(&self.graph.manifest());
                format!("command of {}", op.name)
            }
            _ => self.damage(&op),
        }
    }

    /// An edit in the middle of a run.
    pub fn change_source_calmly(&mut self, op: &Op) -> String {
        self.calm = true;
        let told = self.change_source(op);
        self.calm = false;
        told
    }

    fn change_source(&mut self, op: &Op) -> String {
        let files = self.model.own[&op.name].files.clone();
        let names: Vec<String> = files.keys().cloned().collect();
        let name = self.random.pick(&names).clone();
        let word = self.word();
        let time = self.project.path(&name).metadata().unwrap().modified().unwrap();
        match self.random.below(7) {
            0 => {
                self.write_source(op, &name, &format!("{word}\nand more {word}\n"));
                format!("edited {name} to {word} and more")
            }
            1 => {
                self.write_source(op, &name, &format!("{word}\n"));
                format!("edited {name} to {word}")
            }
            2 => {
                self.write_source(op, &name, &format!("{word}\n"));
                self.set_time(&name, time);
                format!("edited {name} to {word}, time put back")
            }
            3 => {
                self.set_time(&name, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
                format!("touched {name}")
            }
            4 if files.len() > 1 => {
                self.project.remove(&name);
                self.model.own.get_mut(&op.name).unwrap().files.remove(&name);
                format!("removed {name}")
            }
            5 => {
                let new = format!("raw/{}/{}", op.name, self.random.below(5));
                fs::rename(self.project.path(&name), self.project.path(&new)).unwrap();
                let files = &mut self.model.own.get_mut(&op.name).unwrap().files;
                let content = files.remove(&name).unwrap();
                files.insert(new.clone(), content);
                format!("renamed {name} to {new}")
            }
            _ => {
                let new = format!("raw/{}/{}", op.name, self.random.below(5));
                self.write_source(op, &new, &format!("{word}\n"));
                format!("wrote {new}: {word}")
            }
        }
    }

    fn set_time(&self, relative: &str, time: SystemTime) {
        File::options().append(true).open(self.project.path(relative)).unwrap().set_modified(time).unwrap();
    }

    fn change_code(&mut self, op: &Op) -> String {
        let word = self.word();
        let content = if self.random.one_in(2) {
            format!("echo {word}\n")
        } else {
            let old = self.model.own[&op.name].code.clone().unwrap();
            let meaning = old.lines().find(|it| it.starts_with("echo")).unwrap().to_owned();
            format!("# {word}\n{meaning}\n")
        };
        self.write_code(op, &content);
        format!("code of {} is {content:?}", op.name)
    }

    fn change_variable(&mut self) -> String {
        let name = *self.random.pick(&["E0", "E1"]);
        let value = (!self.random.one_in(3)).then(|| self.word());
        match &value {
            Some(value) => self.project.set_env(name, value),
            None => self.project.unset_env(name),
        }
        for op in self.graph.ops.iter().filter(|it| it.variable.as_deref() == Some(name)) {
            self.model.own.get_mut(&op.name).unwrap().value.clone_from(&value);
        }
        format!("{name} is {value:?}")
    }

    fn damage(&mut self, op: &Op) -> String {
        let output = self.random.pick(&op.outputs).clone();
        let path = output.path();
        if !self.project.exists(&path) {
            return format!("nothing to damage at {path}");
        }
        if self.random.one_in(2) {
            self.project.remove(&path);
            self.model.damaged.insert(output.key, Damage::Deleted);
            return format!("deleted {path}");
        }
        self.fresh_words += 1;
        let place = match (output.folder, self.random.below(2)) {
            (false, _) => path.clone(),
            (true, 0) => format!("{path}/in/b"),
            (true, _) => format!("{path}/more"),
        };
        self.project.write(&place, format!("spoilt {}\n", self.fresh_words));
        self.model.damaged.insert(output.key, Damage::Edited);
        format!("spoilt {place}")
    }
}

/// Questions.
impl Bench {
    /// Everything that must stay as it is while questions are answered.
    fn frozen(&self) -> Vec<(String, Vec<u8>)> {
        let derived = ["files.idx", "status.idx", "state.idx", "project.idx", "state.db-shm"];
        let derived = derived.map(|it| format!(".assets/{it}"));
        self.project.snapshot().into_iter().filter(|it| !derived.contains(&it.0)).collect()
    }

    pub fn compare_answers(&mut self) {
        let before = self.frozen();
        let expected = self.model.reasons(&self.graph);
        assert_eq!(self.told_reasons(), expected, "status");

        let stale: BTreeSet<&String> = expected.iter().filter(|it| !it.1.is_empty()).map(|it| it.0).collect();
        // The short answer may come from another place than the long one.
        let code = if stale.is_empty() { 0 } else { 3 };
        assert_eq!(self.project.run(&["status"]).code, code, "a plain status");
        let planned = self.project.planned(&[]);
        assert_eq!(planned.iter().map(|it| &it.0).collect::<BTreeSet<_>>(), stale, "plan");
        for (key, action) in &planned {
            let op = self.graph.maker(key);
            let own = |it: &BTreeSet<Why>| it.iter().any(|it| it.0 != "upstream_stale");
            let is_decided = op.outputs.iter().any(|it| own(&expected[&it.key]));
            assert_eq!(action != "maybe", is_decided, "{key} is planned to {action}");
        }
        let dry = steps(&self.project.run(&["materialize", "-n", "--json"]).succeeded(), "action");
        assert_eq!(dry, planned, "a dry run is not the plan");

        if let Some(key) = stale.first() {
            self.compare_why(key, &expected);
        }
        assert_eq!(self.ran(), [""; 0], "a question ran something");
        self.compared += expected.len();
        let after = self.frozen();
        let changed: Vec<_> = after.iter().filter(|it| !before.contains(it)).map(|it| &it.0).collect();
        assert!(before == after, "a question changed something: {changed:?}");
    }

    fn told_reasons(&self) -> BTreeMap<String, BTreeSet<Why>> {
        let mut told: BTreeMap<_, BTreeSet<Why>> =
            self.all_keys().into_iter().map(|it| (it, BTreeSet::new())).collect();
        for (key, code, subject) in self.project.reasons(&[]) {
            let shown = code != "output_modified" || !self.graph.output(&key).folder;
            let subject = if shown { subject } else { String::new() };
            if code != "previous_failed" {
                told.get_mut(&key).unwrap().insert((code, subject));
            }
        }
        told
    }

    /// The roots that `why` names are the reasons, that are none of upstream, of what is upstream.
    fn compare_why(&self, key: &str, expected: &BTreeMap<String, BTreeSet<Why>>) {
        let document = self.project.run(&["why", key, "--json"]).succeeded().json();
        let roots = document["roots"].as_array().unwrap();
        let told: BTreeSet<(String, String)> = roots
            .iter()
            .map(|it| (text(&it["key"]), text(&it["code"])))
            .filter(|it| it.1 != "previous_failed")
            .collect();
        assert!(!told.is_empty(), "`why {key}` names no root: {document}");
        for (asset, code) in told {
            assert!(expected[&asset].iter().any(|it| it.0 == code), "`why {key}` says {code} of {asset}");
        }
    }
}

/// Runs.
impl Bench {
    fn run(&mut self, arguments: &[&str], selected: &BTreeSet<String>) {
        self.history.push(format!("run {arguments:?}"));
        let stored = self.stored();
        let seen = self.model.made.clone();
        let fates = self.model.run(&self.graph, selected);
        let failed = fates.values().any(|it| *it == Fate::Failed);
        let output = self.project.run(&[&["materialize", "--json"], arguments].concat());
        let output = output.exited(i32::from(failed));
        let outcomes: BTreeMap<String, String> = steps(&output, "outcome").into_iter().collect();
        let ran = self.ran();

        for op in &self.graph.ops {
            let fate = fates.get(&op.name).copied().unwrap_or(Fate::Left);
            let times = ran.iter().filter(|it| **it == op.name).count();
            let outcome = outcomes.get(&op.outputs[0].key).map_or("fresh", String::as_str);
            let right = match fate {
                Fate::Left => times == 0 && matches!(outcome, "fresh" | "cut_off"),
                Fate::Failed => times == 1 && outcome == "failed",
                Fate::Skipped => times == 0 && outcome == "skipped",
                Fate::Made if outcome == "restored" => {
                    let trace = self.model.records[&op.outputs[0].key].0.clone();
                    times == 0 && seen.contains(&(op.name.clone(), trace))
                }
                Fate::Made => times == 1 && outcome == "built",
            };
            assert!(right, "{}: it was to be {fate:?}, is {outcome}, and ran {times} times", op.name);
        }
        self.compare_stored(&stored, &fates);
        self.run_again(arguments, &fates);
    }

    /// Content of every file of every output; what is not there is left out.
    pub fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        let data = self.project.snapshot().into_iter().filter(|it| it.0.starts_with("data/"));
        data.filter(|it| !self.project.path(&it.0).is_dir()).collect()
    }

    fn compare_stored(&mut self, before: &BTreeMap<String, Vec<u8>>, fates: &BTreeMap<String, Fate>) {
        let mut expected = BTreeMap::new();
        for output in self.graph.ops.iter().flat_map(|it| &it.outputs) {
            let fate = fates.get(&self.graph.maker(&output.key).name).copied().unwrap_or(Fate::Skipped);
            let inside = format!("{}/", output.path());
            match (fate, self.model.records.get(&output.key)) {
                (Fate::Left | Fate::Made, Some((_, text))) => {
                    expected.extend(output.files(text).into_iter().map(|(path, text)| (path, text.into_bytes())));
                }
                // What was not made is as it was, be it old, spoilt or not there.
                _ => expected.extend(
                    before
                        .iter()
                        .filter(|it| *it.0 == output.path() || it.0.starts_with(&inside))
                        .map(|it| (it.0.clone(), it.1.clone())),
                ),
            }
        }
        let shown = |it: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
            it.iter().map(|(path, text)| format!("{path}: {}", String::from_utf8_lossy(text))).collect()
        };
        assert_eq!(shown(&self.stored()), shown(&expected), "stored");
        self.compared += expected.len();
    }

    /// Only what failed is tried again.
    fn run_again(&mut self, arguments: &[&str], fates: &BTreeMap<String, Fate>) {
        let mut failed: Vec<&str> = fates.iter().filter(|it| *it.1 == Fate::Failed).map(|it| it.0.as_str()).collect();
        failed.sort_unstable();
        let output = self.project.run(&[&["materialize", "-q"], arguments].concat());
        assert_eq!(output.code, i32::from(!failed.is_empty()), "{}", output.stderr);
        assert_eq!(self.ran(), failed, "a second run ran something");
    }

    /// Killed at some moment: what was recorded is not known, but it must be true.
    fn killed_run(&mut self) {
        let pause = self.random.below(60);
        self.history.push(format!("killed after {pause} ms"));
        let running = self.project.start(&["materialize", "-q"]);
        thread::sleep(Duration::from_millis(pause as u64));
        running.signal(Signal::KILL);
        running.finish();
        self.catch_up(true);
    }

    /// Something is edited while the run goes on: whatever it made of that must be true in the end.
    fn edited_run(&mut self) {
        let pause = self.random.below(60);
        self.history.push(format!("run, and after {pause} ms"));
        let running = self.project.start(&["materialize", "-q"]);
        thread::sleep(Duration::from_millis(pause as u64));
        let op = self.random.pick(&self.graph.ops.clone()).clone();
        let told = if op.reads { self.change_source_calmly(&op) } else { "nothing".to_owned() };
        self.history.push(told);
        let output = running.finish();
        assert!(matches!(output.code, 0 | 1), "{}", output.stderr);
        self.catch_up(false);
    }

    /// Two at once: nothing that can be made is made twice.
    fn two_runs(&mut self) {
        self.history.push("two runs".to_owned());
        let mut paper = self.model.clone();
        let all = self.all_keys();
        let fates = paper.run(&self.graph, &all);
        let both = [self.project.start(&["materialize", "-q"]), self.project.start(&["materialize", "-q"])];
        for running in both {
            let output = running.finish();
            assert!(matches!(output.code, 0 | 1), "{}", output.stderr);
        }
        let ran = self.ran();
        for (name, fate) in &fates {
            let times = ran.iter().filter(|it| *it == name).count();
            let most = match fate {
                Fate::Left | Fate::Skipped => 0,
                Fate::Made => 1,
                Fate::Failed => 2,
            };
            assert!(times <= most, "{name} was to be {fate:?} and ran {times} times");
        }
        self.catch_up(true);
    }

    /// One more run makes everything right and, if the world was `still`, runs nothing that was never
    /// needed; then paper and tool agree again.
    pub fn catch_up(&mut self, still: bool) {
        let stored_before = self.stored();
        let all = self.all_keys();
        self.ran();
        let fates = self.model.run(&self.graph, &all);
        let failed = fates.values().any(|it| *it == Fate::Failed);
        let output = self.project.run(&["materialize", "-q"]);
        assert_eq!(output.code, i32::from(failed), "{}", output.stderr);
        for name in self.ran() {
            let needed = matches!(fates[&name], Fate::Made | Fate::Failed);
            assert!(needed || !still, "{name} ran and is {:?}", fates[&name]);
        }
        self.compare_stored(&stored_before, &fates);
        self.run_again(&[], &fates);
    }
}
