//! Changes as the system tells them. The only user of the `notify` crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use notify::{
    ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, ModifyKind},
};

use crate::{
    base::fs,
    face::watch::{Change, Changes, Folder, Waker, Watched},
};

/// More paths than this are not told apart.
const PATHS_MAX: usize = 1000;
/// Where the system cannot tell of changes, everything is looked at this often.
const POLL: Duration = Duration::from_secs(1);

pub struct SystemChanges {
    /// `None`: the system cannot tell, everything is looked at from time to time.
    watcher: Option<RecommendedWatcher>,
    arrived: Arc<Arrived>,
    /// With the device and number of each folder: another one of the same name has to be watched anew,
    /// and so does one that was gone for a while, as numbers come back.
    watched: BTreeMap<Folder, (u64, u64)>,
    /// Said by the next `watch`.
    trouble: Option<String>,
}

#[derive(Default)]
struct Arrived {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    paths: BTreeSet<PathBuf>,
    overflow: bool,
    woken: bool,
    /// Removed or renamed since folders were looked at last; they may be there again.
    gone: BTreeSet<PathBuf>,
    /// More than can be named.
    much_is_gone: bool,
}

impl Arrived {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: notify::Result<notify::Event>) {
        let mut state = self.lock();
        match event {
            // Reading is no change; closing after writing is.
            Ok(it) if matches!(it.kind, EventKind::Access(kind) if !matches!(kind, AccessKind::Close(_))) => return,
            Ok(it) if !it.need_rescan() => {
                if matches!(it.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
                    state.gone.extend(it.paths.iter().cloned());
                }
                state.paths.extend(it.paths);
            }
            Ok(_) | Err(_) => {
                state.overflow = true;
                state.much_is_gone = true;
            }
        }
        state.overflow |= state.paths.len() > PATHS_MAX;
        if state.overflow {
            state.paths.clear();
        }
        state.much_is_gone |= state.gone.len() > PATHS_MAX;
        if state.much_is_gone {
            state.gone.clear();
        }
        self.moved.notify_all();
    }

    fn wake(&self) {
        self.lock().woken = true;
        self.moved.notify_all();
    }
}

impl SystemChanges {
    /// Where the system offers no way to watch, the first call of [`Changes::watch`] says so.
    pub fn new() -> Self {
        let arrived = Arc::<Arrived>::default();
        let handler = Arc::clone(&arrived);
        let (watcher, trouble) = match notify::recommended_watcher(move |event| handler.take(event)) {
            Ok(it) => (Some(it), None),
            Err(error) => (None, Some(format!("the system does not tell of changes: {error}"))),
        };
        SystemChanges { watcher, arrived, watched: BTreeMap::new(), trouble }
    }

    pub fn waker(&self) -> Waker {
        let arrived = Arc::clone(&self.arrived);
        Box::new(move || arrived.wake())
    }
}

impl Default for SystemChanges {
    fn default() -> Self {
        Self::new()
    }
}

impl Changes for SystemChanges {
    fn watch(&mut self, folders: &[Folder]) -> Result<Watched, String> {
        if let Some(why) = self.trouble.take() {
            return Err(why);
        }
        let Some(watcher) = &mut self.watcher else { return Ok(Watched::AsBefore) };
        let (gone, all) = {
            let mut state = self.arrived.lock();
            (std::mem::take(&mut state.gone), std::mem::take(&mut state.much_is_gone))
        };
        self.watched.retain(|it, _| {
            let stays = !all && !gone.contains(&it.path);
            if !stays {
                // One that was removed from disk is unwatched already.
                let _ = watcher.unwatch(&it.path);
            }
            stays
        });
        let number = |it: &Folder| {
            let found = fs::look_through(&it.path).ok().flatten().filter(|it| it.is_dir())?;
            Some((it.clone(), (found.dev(), found.ino())))
        };
        let wanted: BTreeMap<Folder, (u64, u64)> = folders.iter().filter_map(number).collect();
        let stays =
            |it: &Folder, number: &(u64, u64), them: &BTreeMap<Folder, (u64, u64)>| them.get(it) == Some(number);
        for (gone, _) in self.watched.iter().filter(|(it, number)| !stays(it, number, &wanted)) {
            let _ = watcher.unwatch(&gone.path);
        }
        let mut came = Watched::AsBefore;
        for (new, _) in wanted.iter().filter(|(it, number)| !stays(it, number, &self.watched)) {
            let mode = if new.deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            match watcher.watch(&new.path, mode) {
                Ok(()) => came = Watched::More,
                // It went away just now, which its parent tells of.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                Err(error) => {
                    self.watcher = None;
                    return Err(match error.kind {
                        ErrorKind::MaxFilesWatch => {
                            "the system allows no more watches (raise fs.inotify.max_user_watches)".to_owned()
                        }
                        _ => format!("cannot watch {}: {error}", new.path.display()),
                    });
                }
            }
        }
        self.watched = wanted;
        Ok(came)
    }

    fn next(&mut self, wait: Option<Duration>) -> Option<Change> {
        let polls = self.watcher.is_none();
        let wait = if polls { Some(wait.map_or(POLL, |it| it.min(POLL))) } else { wait };
        let sleeps = |it: &mut State| !it.woken && !it.overflow && it.paths.is_empty();
        let state = self.arrived.lock();
        let mut state = match wait {
            Some(wait) => {
                self.arrived.moved.wait_timeout_while(state, wait, sleeps).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.arrived.moved.wait_while(state, sleeps).unwrap_or_else(PoisonError::into_inner),
        };
        let woken = std::mem::take(&mut state.woken);
        if std::mem::take(&mut state.overflow) {
            return Some(Change::Overflow);
        }
        if !state.paths.is_empty() {
            return Some(Change::Paths(std::mem::take(&mut state.paths).into_iter().collect()));
        }
        (polls && !woken && wait == Some(POLL)).then_some(Change::Overflow)
    }
}
