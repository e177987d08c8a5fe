//! A tiny project in a folder of its own, a command, and everything it printed.
//!
//! ```ignore
//! let project = Project::new().manifest(&asset("orders", "cp raw.csv {{ output }}")).file("raw.csv", "1\n");
//! project.run(&["materialize"]).succeeded();
//! assert_eq!(project.ran(), ["orders"]);
//! assert_eq!(project.run(&["status"]).code, 0);
//! ```
//!
//! Sealed: the command sees `PATH`, a home and a temporary folder of its own, and what the test gives it; nothing else.
//! Output is filtered so that it can be compared whole: the project's folder reads `[ROOT]`, durations
//! `[TIME]`, run ids `[RUN]`. With `KEEP=1` in the environment the folder stays and its path is printed.

pub mod adbc;
pub mod duckdb;
pub mod fakesnow;
mod filter;
pub mod gcs;
pub mod postgres;
pub mod pty;
pub mod s3;
pub mod told;

use std::{
    fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than any test takes on a busy machine; a hang fails by name instead of for ever.
const DEADLINE: Duration = Duration::from_secs(120);

/// Names the protection that a debug build of the tool leaves out.
pub const SABOTAGE: &str = assets::base::sabotage::VARIABLE;

/// What every test manifest begins with, if it does not care.
pub const HEAD: &str = "[project]\nname = \"test\"\n";

/// The program under test; `ASSETS_TEST_BINARY` names another one, say a copy that no build replaces.
pub fn binary() -> PathBuf {
    std::env::var_os("ASSETS_TEST_BINARY").map_or(env!("CARGO_BIN_EXE_assets").into(), PathBuf::from)
}

/// Fails if a program that tests need does not work here: a test that is left out would look green.
pub fn needs(package: &str, probe: &[&str]) {
    let works = Command::new(probe[0]).args(&probe[1..]).output().is_ok_and(|it| it.status.success());
    assert!(works, "`{}` does not work here: install {package} (`.ci/run` does)", probe.join(" "));
}

/// What a namespace in which mounts change nothing outside is made with.
pub fn needs_namespaces() {
    needs(
        "util-linux, and let users make namespaces (kernel.unprivileged_userns_clone=1)",
        &["unshare", "-Urm", "true"],
    );
}

pub fn needs_strace() {
    needs("strace", &["strace", "-V"]);
}

/// Where `.ci/run` puts what only tests need.
pub fn tools() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("tests need a HOME")).join(".cache");
    cache.unwrap_or_else(home).join("assets-test-tools")
}

/// A project in a temporary folder that goes with it.
pub struct Project {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Project {
    /// An empty folder: no manifest yet.
    pub fn new() -> Project {
        Project::below(&std::env::temp_dir())
    }

    /// The same in a temporary folder below this one.
    pub fn below(parent: &Path) -> Project {
        let folder = tempfile::Builder::new().prefix("assets-test-").tempdir_in(parent).expect("a temporary folder");
        for name in ["project", "home", "tmp"] {
            fs::create_dir(folder.path().join(name)).expect("a new folder");
        }
        let mut project = Project { folder, variables: Vec::new() };
        if std::env::var_os("KEEP").is_some() {
            project.folder.disable_cleanup(true);
            eprintln!("kept: {}", project.root().display());
        }
        project
    }

    /// A copy of `examples/<name>` without what was built there.
    pub fn example(name: &str) -> Project {
        let project = Project::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        copy_folder(&from, &project.root());
        project
    }

    /// The folder of the manifest, without symbolic links.
    pub fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("the folder is there").join("project")
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// With a file, made on the way together with its folders.
    pub fn file(self, relative: &str, text: &str) -> Project {
        self.write(relative, text);
        self
    }

    /// With `assets.toml`: [`HEAD`] and `body`.
    pub fn manifest(self, body: &str) -> Project {
        self.write_manifest(body);
        self
    }

    /// With a variable in the environment of every command.
    pub fn env(mut self, name: &str, value: &str) -> Project {
        self.set_env(name, value);
        self
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.variables.retain(|it| it.0 != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset_env(&mut self, name: &str) {
        self.variables.retain(|it| it.0 != name);
    }

    pub fn write(&self, relative: &str, text: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    pub fn write_manifest(&self, body: &str) {
        self.write("assets.toml", format!("{HEAD}{body}"));
    }

    /// Replaces the one place where `old` stands in a file.
    pub fn edit(&self, relative: &str, old: &str, new: &str) {
        let text = self.read(relative);
        assert_eq!(text.matches(old).count(), 1, "{relative} must say {old:?} once:\n{text}");
        self.write(relative, text.replace(old, new));
    }

    pub fn remove(&self, relative: &str) {
        let path = self.path(relative);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    pub fn read(&self, relative: &str) -> String {
        let path = self.path(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn exists(&self, relative: &str) -> bool {
        self.path(relative).symlink_metadata().is_ok()
    }

    /// What commands appended with [`log`] since the last question, sorted.
    pub fn ran(&self) -> Vec<String> {
        let mut ran = self.ran_in_order();
        ran.sort();
        ran
    }

    /// The same, in the order in which it happened.
    pub fn ran_in_order(&self) -> Vec<String> {
        let path = self.folder.path().join("home/ran");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(&path);
        text.lines().map(str::to_owned).collect()
    }

    /// Every file and folder below the project with its content, sorted: what a command must not change.
    pub fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(self.root()).sort_by_file_name().min_depth(1) {
            let entry = entry.expect("the folder can be read");
            let name = entry.path().strip_prefix(self.root()).expect("it is below").display().to_string();
            let content =
                if entry.file_type().is_file() { fs::read(entry.path()).expect("a file") } else { Vec::new() };
            found.push((name, content));
        }
        found
    }

    /// Waits until a command of a running [`Running`] has made this file.
    pub fn wait_for(&self, relative: &str) {
        let start = Instant::now();
        while !self.exists(relative) {
            assert!(start.elapsed() < DEADLINE, "{relative} did not appear");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs `assets` in the project's folder to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.start(arguments).finish()
    }

    /// The same in a folder of the project.
    pub fn run_in(&self, relative: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.current_dir(self.path(relative));
        self.start_command(command).finish()
    }

    /// Starts `assets` and goes on.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.start_command(self.command(arguments))
    }

    /// The sealed command itself, for tests that need more.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").expect("tests need a PATH"));
        command.env("HOME", self.folder.path().join("home")).env("TMPDIR", self.folder.path().join("tmp"));
        command.env("TZ", "UTC");
        // Set only by `tests/sabotage.rs`, for a test that must fail then.
        command.envs(std::env::var_os(SABOTAGE).map(|it| (SABOTAGE, it)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What a line of shell prints in the project's folder, both streams as they come; `assets` is the real one.
    pub fn shell(&self, line: &str) -> String {
        let binary = binary();
        let binary = binary.parent().expect("it is in a folder");
        let sealed = self.command(&[]);
        let mut path = binary.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").expect("tests need a PATH"));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1\n{line}")]).current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.envs(sealed.get_envs().filter_map(|it| Some((it.0, it.1?)))).env("PATH", path);
        let output = self.start_command(command).finish();
        output.raw_stdout.replace(self.root().to_str().expect("temporary folders are UTF-8"), "/project")
    }

    /// Output without what differs from run to run, the order of lines included.
    pub fn comparable(text: &str) -> Vec<String> {
        let cleaned = filter::clean(text, &[]);
        // Signs of life come on slow machines only.
        let lines = cleaned.lines().filter(|it| !it.ends_with(" so far"));
        let mut lines: Vec<String> = lines.map(filter::without_counters).collect();
        lines.sort();
        lines
    }

    pub fn start_command(&self, mut command: Command) -> Running {
        let shown = format!("{command:?}");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built");
        let stdout = drain(child.stdout.take().expect("it is piped"));
        let stderr = drain(child.stderr.take().expect("it is piped"));
        Running { child, stdout, stderr, root: self.root(), folder: self.folder.path().to_owned(), shown }
    }
}

/// A command that was started and not yet waited for.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    root: PathBuf,
    folder: PathBuf,
    shown: String,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid is small")).expect("a pid is not 0");
        kill_process(pid, signal).expect("it was not waited for yet");
    }

    /// Waits for its end, and for everything that it started to let go of its output.
    pub fn finish(mut self) -> Output {
        let stdout = self.stdout.recv_timeout(DEADLINE);
        let stderr = self.stderr.recv_timeout(DEADLINE);
        let (Ok(stdout), Ok(stderr)) = (stdout, stderr) else {
            let _ = self.child.kill();
            panic!("after {DEADLINE:?} it still ran, or something it started did: {}", self.shown);
        };
        let status = self.child.wait().expect("it is our child");
        let code = status.code().unwrap_or_else(|| 128 + status.signal().expect("it did not exit"));
        let clean = |text: &str| filter::clean(text, &[(&self.root, "[ROOT]"), (&self.folder, "[TEMP]")]);
        let shown = std::mem::take(&mut self.shown);
        Output { stdout: clean(&stdout), stderr: clean(&stderr), code, raw_stdout: stdout, shown }
    }
}

impl Drop for Running {
    /// What a test that has failed does not wait for must not go on for hours.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a command said.
#[derive(Debug)]
pub struct Output {
    /// Filtered, as `stderr` is.
    pub stdout: String,
    pub stderr: String,
    /// 128 and the signal's number if one ended it.
    pub code: i32,
    pub raw_stdout: String,
    shown: String,
}

impl Output {
    #[track_caller]
    pub fn exited(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{}\n--- stdout\n{}--- stderr\n{}", self.shown, self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn succeeded(self) -> Output {
        self.exited(0)
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.raw_stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}{}", self.shown, self.stdout, self.stderr))
    }

    /// Exit status, stdout and stderr as one text, for `expect_test`.
    pub fn transcript(&self) -> String {
        let mut text = format!("exit {}\n", self.code);
        for (name, part) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {name}\n{part}"));
            }
        }
        text
    }
}

/// Holds a document against its committed schema.
#[track_caller]
pub fn assert_document(name: &str, document: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let schema = serde_json::from_str(&text).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let wrong: Vec<String> =
        validator.iter_errors(document).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(wrong.is_empty(), "not what {name}.schema.json says: {wrong:#?}\n{document:#}");
}

/// Times told from now, as `[AGO]`.
pub fn without_ages(text: &str) -> String {
    let mut cleaned = text.replace("just now", "[AGO]");
    for unit in ["second", "seconds", "minute", "minutes"] {
        let end = format!(" {unit} ago");
        while let Some(at) = cleaned.find(&end) {
            let start = cleaned[..at].trim_end_matches(|it: char| it.is_ascii_digit()).len();
            cleaned.replace_range(start..at + end.len(), "[AGO]");
        }
    }
    cleaned
}

/// An asset whose shell command says that it ran and then does `command`.
pub fn asset(key: &str, command: &str) -> String {
    format!("[asset.{}]\ncommand = '''{}\n{command}'''\n", quoted(key), log(key))
}

/// The same with what it is made from, every name an asset or a source.
pub fn asset_of(key: &str, deps: &[&str], command: &str) -> String {
    format!("{}deps = {deps:?}\n", asset(key, command))
}

/// A screen without durations and run ids.
pub fn cleaned(text: &str) -> String {
    filter::clean(text, &[])
}

/// A line of shell that tells [`Project::ran`] of `key`. One write to the end of a file: safe in parallel.
pub fn log(key: &str) -> String {
    format!("echo {key} >> \"$HOME/ran\"")
}

fn quoted(key: &str) -> String {
    if key.contains('/') { format!("{key:?}") } else { key.to_owned() }
}

fn drain(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

fn copy_folder(from: &Path, to: &Path) {
    let built = |name: &std::ffi::OsStr| name == ".assets" || name == "data" || name == "build";
    let walk = walkdir::WalkDir::new(from).min_depth(1).into_iter().filter_entry(|it| !built(it.file_name()));
    for entry in walk {
        let entry = entry.unwrap_or_else(|error| panic!("{error}"));
        let target = to.join(entry.path().strip_prefix(from).expect("it is below"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).expect("folders can be made");
        } else {
            // Contents alone would lose the mode of scripts.
            fs::copy(entry.path(), &target).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
        }
    }
}

/// The builder itself: what it hides from a command and what it replaces in output.
mod tests {
    use super::*;

    #[test]
    fn a_command_sees_a_sealed_environment() {
        let project = Project::new().env("EXTRA", "1");
        let mut command = project.command(&[]);
        let names: Vec<_> = command.get_envs().map(|it| it.0.to_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["EXTRA", "HOME", "PATH", "TMPDIR", "TZ"]);
        assert!(command.get_current_dir().unwrap().ends_with("project"));
        command.arg("--version");
    }

    #[test]
    fn what_ran_is_told_once() {
        let project = Project::new();
        for key in ["b", "a"] {
            let mut shell = Command::new("sh");
            shell.env("HOME", project.folder.path().join("home")).arg("-c").arg(log(key));
            assert!(shell.status().unwrap().success());
        }
        assert_eq!(project.ran_in_order(), ["b", "a"]);
        assert!(project.ran().is_empty());
    }

    #[test]
    fn an_asset_is_written_as_toml() {
        let text = asset_of("raw/a", &["b"], "cp x {{ output }}");
        assert_eq!(
            text,
            "[asset.\"raw/a\"]\ncommand = '''echo raw/a >> \"$HOME/ran\"\ncp x {{ output }}'''\ndeps = [\"b\"]\n"
        );
    }
}
