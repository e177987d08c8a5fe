//! The oracle's random projects with everything at once: runs that are killed, alone or with all that
//! they started, disks that are full, several runs beside each other, questions and edits in between,
//! damaged state. What is seen during a round and after it must be true, and the next run alone must
//! make everything right.
//!
//! `ASSETS_SOAK_SECONDS` says for how long, `ASSETS_SOAK_SEED` tries the graph of one seed again and
//! again; the moments of kills are never twice the same.

#[path = "soak/state.rs"]
mod state;
#[path = "soak/tree.rs"]
pub mod tree;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;
use walkdir::WalkDir;

use crate::{
    oracle::Bench,
    support::{Project, Running, needs_namespaces, told::text},
};

/// The folder that is a small disk of its own; set for the copy of this program that sees it.
const DISK: &str = "ASSETS_SOAK_DISK";
const ROUNDS: usize = 12;
/// Mounts change nothing outside of the namespace that this is run in.
const SCRIPT: &str =
    "mount -t tmpfs -o size=48m disk \"$ASSETS_SOAK_DISK\"; exec \"$0\" --exact soak::everything_at_once --nocapture";

#[test]
fn everything_at_once() {
    if let Some(disk) = std::env::var_os(DISK) {
        eprintln!("{}", soak(Path::new(&disk)));
        return;
    }
    needs_namespaces();
    let disk = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-ec", SCRIPT]).arg(std::env::current_exe().unwrap()).env(DISK, disk.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    let counts = said.lines().find(|it| it.starts_with("soak: ")).expect("it says what it did");
    eprintln!("{counts}");
}

/// Goes on until the time is up.
fn soak(disk: &Path) -> String {
    let number = |name| std::env::var(name).ok().map(|it| it.parse::<u64>().expect("a number"));
    let time = Duration::from_secs(number("ASSETS_SOAK_SECONDS").unwrap_or(8));
    let only = number("ASSETS_SOAK_SEED");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut seed = only.unwrap_or(now.as_secs() % 1_000_000_000);
    let start = Instant::now();
    let mut counts = Counts::default();
    while start.elapsed() < time {
        let small = seed.is_multiple_of(2);
        let project = if small { Project::below(disk) } else { Project::new() };
        let mut soak = Soak { bench: Bench::with(seed, project), disk: small.then(|| disk.join("filler")), counts };
        for _ in (0..ROUNDS).take_while(|_| start.elapsed() < time) {
            soak.round();
        }
        soak.verify();
        counts = soak.counts.clone();
        counts.graphs += 1;
        counts.executed += soak.bench.executed;
        counts.compared += soak.bench.compared;
        seed = only.unwrap_or(seed + 1);
    }
    format!("soak: {} s: {counts}", start.elapsed().as_secs())
}

/// What was done, for the line at the end.
#[derive(Clone, Default)]
struct Counts {
    graphs: usize,
    rounds: usize,
    changes: usize,
    runs: usize,
    killed_alone: usize,
    killed_with_tree: usize,
    on_full_disk: usize,
    beside_others: usize,
    edited_during: usize,
    damaged_states: usize,
    questions: usize,
    executed: usize,
    compared: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Counts { graphs, rounds, changes, runs, questions, .. } = self;
        write!(f, "{graphs} projects, {rounds} rounds, {changes} changes, {questions} questions, {runs} runs ")?;
        let Counts { killed_alone, killed_with_tree, on_full_disk, .. } = self;
        write!(
            f,
            "({killed_alone} killed alone, {killed_with_tree} killed with their tree, {on_full_disk} on a full "
        )?;
        let Counts { beside_others, edited_during, damaged_states, .. } = self;
        write!(
            f,
            "disk, {beside_others} beside others, {edited_during} with an edit), {damaged_states} damaged states, "
        )?;
        write!(f, "{} commands executed, {} answers and files compared", self.executed, self.compared)
    }
}

struct Soak {
    bench: Bench,
    /// What fills the disk that the project is on, if that is a small one.
    disk: Option<PathBuf>,
    counts: Counts,
}

/// What an asset may hold, seen from outside.
struct Allowed {
    before: BTreeMap<String, Vec<u8>>,
    /// As made in each world that there was.
    truths: Vec<BTreeMap<String, String>>,
}

impl Allowed {
    fn new(bench: &Bench) -> Self {
        Allowed { before: bench.stored(), truths: vec![bench.model.truth(&bench.graph)] }
    }

    /// Whether what lies at the output's place is a version that ends with these files.
    fn holds(&self, bench: &Bench, key: &str, found: &BTreeMap<String, Vec<u8>>) -> bool {
        let output = bench.graph.output(key);
        let made = |text: &String| -> BTreeMap<String, Vec<u8>> {
            output.files(text).into_iter().map(|(path, text)| (path, text.into_bytes())).collect()
        };
        of(&self.before, &output.path()) == *found
            || self.truths.iter().filter_map(|it| it.get(key)).any(|it| made(it) == *found)
    }
}

/// Those files that are at `path` or below it.
fn of(files: &BTreeMap<String, Vec<u8>>, path: &str) -> BTreeMap<String, Vec<u8>> {
    let inside = format!("{path}/");
    let own = files.iter().filter(|it| *it.0 == path || it.0.starts_with(&inside));
    own.map(|it| (it.0.clone(), it.1.clone())).collect()
}

impl Soak {
    fn note(&mut self, told: String) {
        self.bench.history.push(told);
    }

    fn round(&mut self) {
        self.counts.rounds += 1;
        for _ in 0..=self.bench.random.below(3) {
            let told = self.bench.change();
            self.counts.changes += 1;
            self.note(told);
        }
        if self.bench.random.one_in(3) {
            let told = state::damage(&mut self.bench);
            self.counts.damaged_states += usize::from(told.is_some());
            self.note(told.unwrap_or("no state yet".to_owned()));
        }
        if self.bench.random.one_in(4) {
            self.bench.compare_answers();
            self.counts.questions += 6;
        }
        let mut allowed = Allowed::new(&self.bench);
        let still = self.trouble(&mut allowed);
        self.see_outputs(&allowed);
        self.see_claims();
        self.bench.catch_up(still);
        self.counts.runs += 2;
        let left: Vec<String> =
            self.bench.project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains(".assets-")).collect();
        assert_eq!(left, [""; 0], "left behind");
    }

    /// Runs in trouble. Tells whether the world was still meanwhile.
    fn trouble(&mut self, allowed: &mut Allowed) -> bool {
        let random = &mut self.bench.random;
        let several = *random.pick(&[1, 1, 2, 4]);
        let full = self.disk.is_some() && random.one_in(3);
        let edited = several == 1 && !full && random.one_in(2);
        let slow = random.one_in(2);
        let kills = if random.one_in(2) { random.below(several + 1) } else { 0 };
        let time = Duration::from_millis(random.below(300) as u64);
        let room = full.then(|| 4096 * random.below(80) as u64);
        if let (Some(room), Some(filler)) = (room, &self.disk) {
            tree::fill(filler, room);
            self.counts.on_full_disk += several;
        }
        if slow {
            // Commands are between reading and writing for longer.
            self.bench.project.write("../home/slow", "");
        }
        self.note(format!("{several} runs for {time:?}, room {room:?}, killed {kills}, edited {edited}, slow {slow}"));
        let mut running: Vec<Running> = (0..several).map(|_| self.start()).collect();
        self.counts.beside_others += if several > 1 { several } else { 0 };
        self.watch(time, allowed);
        if edited {
            self.edit(allowed);
        }
        for victim in running.drain(..kills) {
            self.kill(victim);
        }
        for it in running {
            let output = it.finish();
            let fine = if full { matches!(output.code, 0 | 1 | 5) } else { matches!(output.code, 0 | 1) };
            assert!(fine && !output.stderr.contains("panicked"), "exit {}: {}", output.code, output.stderr);
        }
        if full {
            self.see_outputs(allowed);
            tree::free(self.disk.as_deref().expect("it is full"));
        }
        if slow {
            self.bench.project.remove("../home/slow");
        }
        !edited
    }

    fn start(&mut self) -> Running {
        self.counts.runs += 1;
        let jobs = format!("-j{}", 1 + self.bench.random.below(4));
        let mut arguments = vec!["materialize".to_owned(), "-q".to_owned(), jobs];
        if self.bench.random.one_in(3) {
            arguments.extend(["-s".to_owned(), format!("+{}", self.bench.any_key())]);
        }
        self.note(arguments.join(" "));
        self.bench.project.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Looks again and again while runs go on.
    fn watch(&mut self, time: Duration, allowed: &Allowed) {
        let start = Instant::now();
        while start.elapsed() < time {
            if self.bench.random.one_in(6) {
                self.see_claims();
            }
            self.see_files(allowed);
            thread::sleep(Duration::from_millis(2).min(time.saturating_sub(start.elapsed())));
        }
    }

    fn edit(&mut self, allowed: &mut Allowed) {
        // The first op has no upstream, so it reads.
        let reading: Vec<_> = self.bench.graph.ops.iter().filter(|it| it.reads).cloned().collect();
        let op = self.bench.random.pick(&reading).clone();
        let told = self.bench.change_source_calmly(&op);
        self.counts.edited_during += 1;
        self.note(told);
        allowed.truths.push(self.bench.model.truth(&self.bench.graph));
    }

    fn kill(&mut self, victim: Running) {
        if self.bench.random.one_in(2) {
            self.note("one was killed alone".to_owned());
            self.counts.killed_alone += 1;
            victim.signal(Signal::KILL);
        } else {
            self.note("one was killed with its tree".to_owned());
            self.counts.killed_with_tree += 1;
            tree::kill(victim.pid());
        }
        victim.finish();
    }

    /// A file that is looked at while runs go on is one whole version at every moment.
    fn see_files(&mut self, allowed: &Allowed) {
        for output in self.bench.graph.ops.iter().flat_map(|it| &it.outputs).filter(|it| !it.folder) {
            let path = output.path();
            let found = fs::read(self.bench.project.path(&path)).ok().map(|it| (path.clone(), it));
            let found = found.into_iter().collect();
            assert!(allowed.holds(&self.bench, &output.key, &found), "in a run, {path} is no version: {found:?}");
            self.counts.compared += 1;
        }
    }

    /// I2: every visible output is one complete version.
    fn see_outputs(&mut self, allowed: &Allowed) {
        let stored = self.bench.stored();
        for output in self.bench.graph.ops.iter().flat_map(|it| &it.outputs) {
            let found = of(&stored, &output.path());
            assert!(allowed.holds(&self.bench, &output.key, &found), "{} is no version: {found:?}", output.path());
            self.counts.compared += 1;
        }
    }

    /// What is said to be fresh holds what it must hold.
    fn see_claims(&mut self) {
        let output = self.bench.project.run(&["status", "--json", "--exit-zero"]).succeeded();
        self.counts.questions += 1;
        let truth = self.bench.model.truth(&self.bench.graph);
        let document = output.json();
        let assets = document["assets"].as_array().expect("a list");
        assert_eq!(assets.len(), self.bench.all_keys().len());
        for asset in assets.iter().filter(|it| it["state"] == "fresh") {
            let key = text(&asset["key"]);
            let output = self.bench.graph.output(&key);
            let made = truth.get(&key).map(|it| output.files(it)).expect("what cannot be made is not fresh");
            let made: BTreeMap<_, _> = made.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
            assert_eq!(self.lying_at(&output.path()), made, "{key} is said to be fresh");
            self.counts.compared += 1;
        }
    }

    /// Content of one output, which holds still; beside it runs may go on.
    fn lying_at(&self, path: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.bench.project.root();
        let files = WalkDir::new(root.join(path)).into_iter().map(|it| it.expect("what is fresh is there"));
        let files = files.filter(|it| it.file_type().is_file()).map(|it| {
            let name = it.path().strip_prefix(&root).expect("it is below").display().to_string();
            (name, fs::read(it.path()).expect("what is fresh stays"))
        });
        files.collect()
    }

    /// Every byte is read again at the end.
    fn verify(&mut self) {
        let quick = self.bench.project.states(&[]);
        assert_eq!(quick, self.bench.project.states(&["--verify"]), "with every byte read");
        self.counts.questions += 2;
        let problems = self.bench.project.run(&["doctor"]);
        assert_eq!(problems.code, 0, "{}{}", problems.stdout, problems.stderr);
    }
}
