//! The loop of watching: sleep, wait for a pause, look. Knows nothing of what a look is.

use std::{path::Path, time::Duration};

use crate::{
    base::clock::Clock,
    face::{
        exit::Exit,
        watch::{Change, Changes, Folder, Watched, debounce::Debounce},
    },
};

/// Whoever keeps something up to date.
pub trait Keeper {
    /// Looks at everything and does what is to be done; what is wrong is told and waits for the next
    /// look. An exit ends it all.
    fn look(&mut self) -> Option<Exit>;

    /// Where a change is a reason to look.
    fn folders(&self) -> Vec<Folder>;

    /// It changes whenever we work, and matters to nobody.
    fn is_own(&self, path: &Path) -> bool;

    /// The next signal that arrived, if it ends it all.
    fn ended(&mut self) -> Option<Exit>;

    fn warn(&self, message: &str);
}

/// Looks whenever something changed, until a signal ends it.
pub fn keep(changes: &mut dyn Changes, keeper: &mut dyn Keeper, clock: &dyn Clock, mut debounce: Debounce) -> Exit {
    follow(changes, keeper, clock, &mut debounce);
    loop {
        if let Some(exit) = keeper.ended() {
            return exit;
        }
        let due = debounce.due_in(clock.monotonic_ms());
        if due == Some(0) {
            debounce.reset();
            if let Some(exit) = keeper.look() {
                return exit;
            }
            follow(changes, keeper, clock, &mut debounce);
            continue;
        }
        let changed = match changes.next(due.map(Duration::from_millis)) {
            Some(Change::Paths(paths)) => paths.iter().any(|it| !keeper.is_own(it)),
            Some(Change::Overflow) => true,
            None => false,
        };
        if changed {
            debounce.changed(clock.monotonic_ms());
        }
    }
}

/// What happened in a folder before it was watched was told to nobody: it is looked at once more.
fn follow(changes: &mut dyn Changes, keeper: &dyn Keeper, clock: &dyn Clock, debounce: &mut Debounce) {
    match changes.watch(&keeper.folders()) {
        Ok(Watched::AsBefore) => {}
        Ok(Watched::More) => debounce.changed(clock.monotonic_ms()),
        Err(why) => keeper.warn(&format!("{why}; looking at everything once a second instead")),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        path::PathBuf,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use jiff::Timestamp;

    use super::*;

    /// Time that passes only while somebody sleeps.
    #[derive(Clone, Default)]
    struct Slept(Arc<AtomicU64>);

    impl Clock for Slept {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Changes after so many milliseconds each, in order.
    struct Scripted {
        clock: Slept,
        script: VecDeque<(u64, Change)>,
        watched: Vec<Folder>,
        fails: bool,
    }

    impl Changes for Scripted {
        fn watch(&mut self, folders: &[Folder]) -> Result<Watched, String> {
            if std::mem::take(&mut self.fails) {
                return Err("no more watches".to_owned());
            }
            let came = if folders == self.watched { Watched::AsBefore } else { Watched::More };
            self.watched = folders.to_vec();
            Ok(came)
        }

        fn next(&mut self, wait: Option<Duration>) -> Option<Change> {
            let wait = wait.map(|it| u64::try_from(it.as_millis()).unwrap());
            match self.script.front_mut() {
                Some((in_ms, _)) if wait.is_none_or(|it| *in_ms <= it) => {
                    self.clock.0.fetch_add(*in_ms, Ordering::Relaxed);
                    self.script.pop_front().map(|(_, change)| change)
                }
                Some((in_ms, _)) => {
                    let slept = wait.expect("it sleeps no longer than asked");
                    *in_ms -= slept;
                    self.clock.0.fetch_add(slept, Ordering::Relaxed);
                    None
                }
                None => {
                    self.clock.0.fetch_add(wait.unwrap_or(1), Ordering::Relaxed);
                    None
                }
            }
        }
    }

    /// Notes when it looked; ends when the script has been over for a while.
    struct Looks {
        clock: Slept,
        at: Vec<u64>,
        until: u64,
        folders: Vec<Folder>,
        warned: std::cell::RefCell<Vec<String>>,
    }

    impl Keeper for Looks {
        fn look(&mut self) -> Option<Exit> {
            self.at.push(self.clock.monotonic_ms());
            if self.at.len() == 2 {
                self.folders.push(Folder { path: PathBuf::from("/new"), deep: true });
            }
            None
        }

        fn folders(&self) -> Vec<Folder> {
            self.folders.clone()
        }

        fn is_own(&self, path: &Path) -> bool {
            path.starts_with("/own")
        }

        fn ended(&mut self) -> Option<Exit> {
            (self.clock.monotonic_ms() >= self.until).then_some(Exit::Interrupted)
        }

        fn warn(&self, message: &str) {
            self.warned.borrow_mut().push(message.to_owned());
        }
    }

    fn looks(script: &[(u64, Change)], fails: bool) -> (Vec<u64>, Vec<String>) {
        let clock = Slept::default();
        let script = script.iter().cloned().collect();
        let mut changes = Scripted { clock: clock.clone(), script, watched: Vec::new(), fails };
        let mut keeper = Looks {
            clock: clock.clone(),
            at: Vec::new(),
            until: 9_000,
            folders: Vec::new(),
            warned: Vec::new().into(),
        };
        let exit = keep(&mut changes, &mut keeper, &clock, Debounce::new(50, 1_000));
        assert_eq!(exit, Exit::Interrupted);
        (keeper.at, keeper.warned.into_inner())
    }

    fn path(text: &str) -> Change {
        Change::Paths(vec![PathBuf::from(text)])
    }

    #[test]
    fn it_looks_once_changes_pause() {
        let script = [(100, path("/a")), (30, path("/b")), (400, path("/c"))];
        // The second look finds a folder that nobody watched so far.
        assert_eq!(looks(&script, false).0, [180, 580, 630]);
    }

    #[test]
    fn what_is_missed_is_looked_for() {
        assert_eq!(looks(&[(100, Change::Overflow)], false).0, [150]);
    }

    #[test]
    fn our_own_work_is_no_reason() {
        assert_eq!(looks(&[(100, path("/own/state.db")), (5, Change::Paths(Vec::new()))], false).0, [0; 0]);
    }

    #[test]
    fn where_nothing_is_told_people_are() {
        let (at, warned) = looks(&[(100, Change::Overflow)], true);
        // The folders are not as before for the script, whose first answer failed.
        assert_eq!(at, [150]);
        assert_eq!(warned, ["no more watches; looking at everything once a second instead"]);
    }
}
