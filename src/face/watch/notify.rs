//! Changes as the system tells them. The only user of the `notify` crate.

use std::{
    collections::BTreeSet,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};

use crate::face::watch::{Change, Changes, Folder};

pub struct SystemChanges {
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<notify::Event>>,
    watched: BTreeSet<Folder>,
}

impl SystemChanges {
    /// # Errors
    /// One sentence: the system offers no way to watch.
    pub fn new() -> Result<Self, String> {
        let (sender, events) = channel();
        let watcher = notify::recommended_watcher(move |event| {
            // The receiver is gone when watching is over.
            let _ = sender.send(event);
        })
        .map_err(|it| it.to_string())?;
        Ok(SystemChanges { watcher, events, watched: BTreeSet::new() })
    }
}

impl Changes for SystemChanges {
    fn watch(&mut self, folders: &[Folder]) -> Result<(), String> {
        let wanted: BTreeSet<Folder> = folders.iter().filter(|it| it.path.is_dir()).cloned().collect();
        for gone in self.watched.difference(&wanted) {
            // One that was removed from disk is unwatched already.
            let _ = self.watcher.unwatch(&gone.path);
        }
        for new in wanted.difference(&self.watched) {
            let mode = if new.deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            self.watcher.watch(&new.path, mode).map_err(|it| match it.kind {
                notify::ErrorKind::MaxFilesWatch => {
                    "the system allows no more watches: raise fs.inotify.max_user_watches".to_owned()
                }
                _ => format!("cannot watch {}: {it}", new.path.display()),
            })?;
        }
        self.watched = wanted;
        Ok(())
    }

    fn next(&mut self, wait: Duration) -> Option<Change> {
        match self.events.recv_timeout(wait) {
            Ok(Ok(event)) if event.need_rescan() => Some(Change::Overflow),
            // Reading is no change; closing after writing is.
            Ok(Ok(event)) if matches!(event.kind, EventKind::Access(kind) if !matches!(kind, AccessKind::Close(_))) => {
                Some(Change::Paths(Vec::new()))
            }
            Ok(Ok(event)) => Some(Change::Paths(event.paths)),
            Ok(Err(_)) => Some(Change::Overflow),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }
}
