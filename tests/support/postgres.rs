//! A real Postgres server, started by whoever needs one as a user without rights, and a connection to it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI32, Ordering},
    },
};

use postgres::{Client, NoTls};

use super::Project;

/// A server of its own. Ends with it, or with this process: a shell waits for its input to be closed.
pub struct Server {
    folder: tempfile::TempDir,
    pub port: u16,
    process: Mutex<Option<std::process::Child>>,
}

/// Where Debian puts them, and where others do.
fn program(name: &str) -> PathBuf {
    let mut places: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|them| them.flatten().map(|it| it.path().join("bin")).collect())
        .unwrap_or_default();
    places.sort();
    places.reverse();
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = places.iter().map(|it| it.join(name)).find(|it| it.exists());
    found.unwrap_or_else(|| panic!("`{name}` is not there: install the Debian package postgresql (`.ci/run` does)"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The server refuses to be root.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]).arg(program);
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|it| panic!("{command:?}: {it}"));
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

impl Server {
    /// Stops it in the middle of a run, while a query with `pg_sleep` makes a table, and starts it again. What the run said.
    pub fn lose_in_mid_run(&self, project: &Project, database: &Database<'_>) -> String {
        let run = project.start(&["materialize"]);
        let busy =
            "select count(*) from pg_stat_activity where query like 'create table%pg_sleep%' and state = 'active'";
        while database.rows(busy) != ["1"] {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self.stop();
        let run = run.finish();
        assert_ne!(run.code, 0);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains("panicked"), "{said}");
        self.start();
        said
    }

    /// One for all tests that do not stop it.
    pub fn shared() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Server::new)
    }

    pub fn new() -> Server {
        let folder = tempfile::Builder::new().prefix("assets-postgres-").tempdir().expect("a temporary folder");
        if is_root() {
            done(Command::new("chown").arg("nobody:nogroup").arg(folder.path()));
        }
        let data = folder.path().join("data");
        let mut init = as_nobody(&program("initdb"));
        done(init.args(["-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Server { folder, port, process: Mutex::new(None) };
        server.start();
        server
    }

    pub fn start(&self) {
        let mut command = as_nobody(Path::new("/bin/sh"));
        // Its last breath is this process's: the shell's input ends, and it ends the server.
        let script = "\"$@\" >\"$0/log\" 2>&1 & cat >/dev/null; kill -QUIT $!; wait";
        command.args(["-c", script]).arg(self.folder.path()).arg(program("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "fsync=off"]);
        command.stdin(std::process::Stdio::piped());
        *self.process.lock().unwrap() = Some(command.spawn().expect("there is a shell"));
        let start = std::time::Instant::now();
        while Client::connect(&self.url("postgres"), NoTls).is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(start.elapsed().as_secs() < 60, "postgres did not start: {}", log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// At once, as by a crash; what was committed is there when it is started again.
    pub fn stop(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            drop(process.stdin.take());
            process.wait().expect("it ends");
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tester:not-so-secret@127.0.0.1:{}/{database}", self.port)
    }

    /// A new database.
    pub fn database(&self) -> Database<'_> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let name = format!("shop{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Client::connect(&self.url("postgres"), NoTls)
            .unwrap()
            .batch_execute(&format!("create database {name}"))
            .unwrap();
        Database { server: self, name }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub struct Database<'a> {
    pub server: &'a Server,
    name: String,
}

impl Database<'_> {
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub fn run(&self, sql: &str) {
        Client::connect(&self.url(), NoTls).unwrap().batch_execute(sql).unwrap_or_else(|it| panic!("{sql}: {it:?}"));
    }

    /// Rows as texts, with `|` between columns.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let messages = Client::connect(&self.url(), NoTls).unwrap().simple_query(sql);
        let messages = messages.unwrap_or_else(|it| panic!("{sql}: {it:?}"));
        let row = |it: &postgres::SimpleQueryMessage| match it {
            postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|it| row.get(it).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    }
}

/// Between a project and a server: everything goes through, until a COMMIT is to be answered.
pub struct Proxy {
    pub port: u16,
    left: Arc<AtomicI32>,
}

impl Proxy {
    /// Cuts the connection on which the `nth` commit is sent, when the server has it.
    pub fn that_cuts(server: u16, nth: i32) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicI32::new(nth));
        let of_thread = Arc::clone(&left);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (left, mut from, mut to) =
                    (Arc::clone(&of_thread), client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let mut bytes = [0; 65536];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        let is_commit = bytes[..count].windows(7).any(|it| it == b"commit\0");
                        let cuts = is_commit && left.fetch_sub(1, Ordering::SeqCst) == 1;
                        if cuts {
                            // Its answer goes nowhere.
                            let _ = from.shutdown(Shutdown::Both);
                        }
                        if to.write_all(&bytes[..count]).is_err() || cuts {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
                std::thread::spawn(move || {
                    let (mut from, mut to) = (server, client);
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        });
        Proxy { port, left }
    }

    pub fn has_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }
}
