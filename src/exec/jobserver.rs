//! GNU make's jobserver: one number of jobs for the tool and for every `make`, `cargo` or `ninja` below it.
//!
//! Jobs are tokens in a FIFO (GNU make 4.4, cargo, ninja 1.13). Everyone has one token for free, takes one
//! more for each further job, and puts it back. As a server we make the FIFO; started below somebody
//! else's jobserver we take from that one.

use std::{
    ffi::OsStr,
    fs::File,
    io::{ErrorKind, Read, Write},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{CWD, Mode};

use crate::base::fs;

/// What a server puts into the FIFO; clients put back whatever they took.
const TOKEN: u8 = b'+';

/// A pool of job tokens.
pub struct Jobserver {
    take: File,
    put: File,
    /// The FIFO that children can open; `None` for a caller's pipe, which they do not inherit.
    path: Option<PathBuf>,
    jobs: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    free_one: bool,
    tokens: usize,
}

/// The right to run one job; given back when dropped.
#[must_use = "dropping it gives the job back"]
pub struct JobToken {
    from: Arc<Jobserver>,
    /// `None` is the one that is free.
    byte: Option<u8>,
}

impl Jobserver {
    /// Makes a FIFO in `folder`, a private folder of this run, for `jobs` jobs in all.
    pub fn serve(folder: &Path, jobs: usize) -> Result<Arc<Self>, String> {
        fs::create_private_folder(folder).map_err(|it| it.to_string())?;
        let path = folder.join("jobs");
        fs::remove_file(&path).map_err(|it| it.to_string())?;
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR)
            .map_err(|it| format!("cannot make the FIFO {}: {it}", path.display()))?;
        let fifo = fs::open_fifo(&path).map_err(|it| it.to_string())?;
        let put = fifo.try_clone().map_err(|it| it.to_string())?;
        let server = Jobserver { take: fifo, put, path: Some(path), jobs: Some(jobs.max(1)), taken: Mutex::default() };
        server.fill()?;
        Ok(Arc::new(server))
    }

    /// The jobserver that the caller's `MAKEFLAGS` names, if it can be used.
    pub fn join(makeflags: &str) -> Option<Arc<Self>> {
        let flag = |it: &str| {
            makeflags.split_ascii_whitespace().rev().find_map(|word| Some(word.strip_prefix(it)?.to_owned()))
        };
        let auth = flag("--jobserver-auth=").or_else(|| flag("--jobserver-fds="))?;
        let (take, put, path) = if let Some(path) = auth.strip_prefix("fifo:") {
            let fifo = open_if_fifo(Path::new(path))?;
            (fifo.try_clone().ok()?, fifo, Some(PathBuf::from(path)))
        } else {
            // Opened anew through /proc, so that not waiting for a token is our own affair.
            let (read, write) = auth.split_once(',')?;
            let number = |it: &str| it.parse::<u32>().ok().map(|it| PathBuf::from(format!("/proc/self/fd/{it}")));
            (open_if_fifo(&number(read)?)?, open_if_fifo(&number(write)?)?, None)
        };
        Some(Arc::new(Jobserver { take, put, path, jobs: None, taken: Mutex::default() }))
    }

    /// A job, if one is free now. Others give theirs back without telling: ask again now and then.
    pub fn try_take(self: &Arc<Self>) -> Option<JobToken> {
        let mut taken = self.taken();
        if !taken.free_one {
            taken.free_one = true;
            return Some(JobToken { from: Arc::clone(self), byte: None });
        }
        let byte = self.read_token()?;
        taken.tokens += 1;
        Some(JobToken { from: Arc::clone(self), byte: Some(byte) })
    }

    /// What children are told in `MAKEFLAGS`; `None` if there is nothing that they could use.
    pub fn makeflags(&self) -> Option<String> {
        let path = self.path.as_ref()?.to_str()?;
        // The words of MAKEFLAGS are divided by white space, and clients do not unquote alike.
        if path.contains(char::is_whitespace) {
            return None;
        }
        let jobs = self.jobs.map(|it| it.to_string()).unwrap_or_default();
        Some(format!(" -j{jobs} --jobserver-auth=fifo:{path}"))
    }

    /// Variables for a command. GNU make before 4.4 refuses to start when `MAKEFLAGS` names a FIFO, so
    /// that is only set if `make` [speaks](make_speaks_fifo) it; cargo has a variable of its own.
    pub fn environment(&self, make_speaks_fifo: bool) -> Vec<(&'static str, String)> {
        let Some(flags) = self.makeflags() else { return Vec::new() };
        let mut them = vec![("CARGO_MAKEFLAGS", flags.clone())];
        if make_speaks_fifo {
            them.push(("MAKEFLAGS", flags));
        }
        them
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self) -> Result<(), String> {
        let tokens = vec![TOKEN; self.jobs.map_or(0, |it| it - 1)];
        (&self.put).write_all(&tokens).map_err(|it| format!("cannot fill the jobserver: {it}"))
    }

    fn read_token(&self) -> Option<u8> {
        let mut byte = [0];
        loop {
            match (&self.take).read(&mut byte) {
                Ok(1) => return Some(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    fn give_back(&self, byte: Option<u8>) {
        let mut taken = self.taken();
        match byte {
            None => taken.free_one = false,
            Some(byte) => {
                taken.tokens -= 1;
                // Cannot be full: it was in there. If the server is gone, so is its count.
                let _ = (&self.put).write(&[byte]);
            }
        }
        // A command that was killed does not give back what it took. Nothing runs now, so all are ours.
        if self.jobs.is_some() && !taken.free_one && taken.tokens == 0 {
            while self.read_token().is_some() {}
            let _ = self.fill();
        }
    }
}

impl Drop for JobToken {
    fn drop(&mut self) {
        self.from.give_back(self.byte);
    }
}

/// A served FIFO is removed with its server; the folder stays.
impl Drop for Jobserver {
    fn drop(&mut self) {
        if let (Some(path), Some(_)) = (&self.path, self.jobs) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether the `make` that `path` (a `PATH`) leads to may be given a FIFO; also if there is none.
/// Runs `make --version`.
pub fn make_speaks_fifo(path: &OsStr) -> bool {
    let mut make = Command::new("make");
    let output =
        make.arg("--version").env_clear().env("PATH", path).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map_or(true, |it| version_speaks_fifo(&String::from_utf8_lossy(&it.stdout)))
}

fn version_speaks_fifo(text: &str) -> bool {
    let Some(version) = text.lines().next().and_then(|it| it.strip_prefix("GNU Make ")) else { return false };
    let mut numbers = version.split(|it: char| !it.is_ascii_digit()).map(|it| it.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(4), Some(4))
}

fn open_if_fifo(path: &Path) -> Option<File> {
    let is_fifo = fs::look_through(path).ok().flatten().is_some_and(|it| it.file_type().is_fifo());
    is_fifo.then(|| fs::open_fifo(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(jobs: usize) -> (tempfile::TempDir, Arc<Jobserver>) {
        let folder = tempfile::tempdir().unwrap();
        let server = Jobserver::serve(&folder.path().join("run"), jobs).unwrap();
        (folder, server)
    }

    #[test]
    fn there_are_as_many_tokens_as_jobs() {
        let (_folder, server) = served(3);
        let mut tokens: Vec<_> = std::iter::from_fn(|| server.try_take()).collect();
        assert_eq!(tokens.len(), 3);
        tokens.pop();
        assert!(server.try_take().is_some());
    }

    #[test]
    fn a_client_shares_the_count_and_has_one_for_free() {
        let (_folder, server) = served(3);
        let client = Jobserver::join(&server.makeflags().unwrap()).unwrap();
        let ours = [server.try_take().unwrap(), server.try_take().unwrap()];
        // Its free one stands for the job of ours that it is.
        let theirs: Vec<_> = std::iter::from_fn(|| client.try_take()).collect();
        assert_eq!(theirs.len(), 2);
        assert!(server.try_take().is_none());
        drop((theirs, ours));
        assert_eq!(std::iter::from_fn(|| server.try_take()).collect::<Vec<_>>().len(), 3);
    }

    #[test]
    fn tokens_that_a_killed_client_kept_come_back_when_nothing_runs() {
        let (_folder, server) = served(4);
        let ours = server.try_take().unwrap();
        for _ in 0..2 {
            server.read_token().unwrap();
        }
        drop(ours);
        assert_eq!(std::iter::from_fn(|| server.try_take()).collect::<Vec<_>>().len(), 4);
    }

    #[test]
    fn what_is_no_jobserver_is_not_joined() {
        for flags in [
            "",
            "-j4",
            "kw -- X=--y",
            "--jobserver-auth=-2,-2",
            "--jobserver-auth=fifo:/dev/null",
            "--jobserver-auth=997,998",
        ] {
            assert!(Jobserver::join(flags).is_none(), "{flags}");
        }
    }

    #[test]
    fn only_a_make_that_knows_fifos_is_told_of_one() {
        let table = [
            ("GNU Make 4.3\n", false),
            ("GNU Make 4.4.1\nBuilt", true),
            ("GNU Make 5.0", true),
            ("GNU Make 3.81", false),
            ("bmake", false),
        ];
        for (text, expected) in table {
            assert_eq!(version_speaks_fifo(text), expected, "{text}");
        }
        let (_folder, server) = served(2);
        let names = |it: bool| server.environment(it).iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(names(false), ["CARGO_MAKEFLAGS"]);
        assert_eq!(names(true), ["CARGO_MAKEFLAGS", "MAKEFLAGS"]);
    }

    #[test]
    fn the_fifo_goes_with_its_server() {
        let (folder, server) = served(2);
        drop(server);
        assert!(fs::look(&folder.path().join("run/jobs")).unwrap().is_none());
    }
}
