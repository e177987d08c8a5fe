//! Whether the state is still what it was, told from the stamps of its files: what a no-op asks instead
//! of opening the database.
//!
//! Every commit writes to the log or to the database, so that it moves a stamp of theirs. The stamps are
//! taken while nobody has the state open for writing, believed only if no later write could get the same
//! ones, and the generation is read after that. Whatever does not hold costs opening the database.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{Disk, Place, SqliteStore};
use crate::{
    base::{digest::Digest, fs, sabotage::Protection},
    plan::{
        hash::{Links, Seen, Signature, Sweep, boot},
        store::{
            StateStore,
            encode::{Coded, Malformed, Reader, coded_struct, decode, encode},
        },
    },
};

const FORM: &str = "assets state stamps 1";

/// A generation, and what the files looked like while it was that of the state.
struct Still {
    generation: u64,
    database: Signature,
    log: Signature,
}

coded_struct!(Still { generation, database, log });

/// Whether the state in `folder` is whole and of this generation. Remembers by what to tell it next time.
pub fn is_at(folder: &Path, generation: u64, sweep: &Sweep) -> bool {
    let place = Place::within(folder);
    let paths = [place.database.clone(), place.beside("-wal")];
    let kept = folder.join("state.idx");
    if read(&kept).is_some_and(|it| it.generation == generation && it.holds(&paths, sweep)) {
        return true;
    }
    if boot::is_on_network(folder) {
        // An answer from before it was moved there; its stamps prove nothing any more.
        return false;
    }
    let Ok(opened) = SqliteStore::open_read_only(folder, Disk::Local) else { return false };
    let is_it = || opened.store.generation().is_ok_and(|it| it == generation);
    if !opened.notes.is_empty() || !is_it() {
        return false;
    }
    if let Some(_alone) = place.hold_alone_now()
        && let Some(seen) = sweep.settled(paths.len(), |at| paths[at].as_os_str().as_bytes(), Links::Keep)
        && let [Seen::Found(database), Seen::Found(log)] = seen[..]
        && is_it()
    {
        // Nothing but speed depends on it.
        let _ = fs::write_atomic(&kept, &Still { generation, database, log }.write());
    }
    true
}

fn read(path: &Path) -> Option<Still> {
    let bytes = fs::read_if_there(path).ok()??;
    let (check, body) = bytes.split_first_chunk::<32>()?;
    (Digest::derive(FORM, body).0 == *check).then(|| decode(body).ok())?
}

impl Still {
    fn write(&self) -> Vec<u8> {
        let body = encode(self);
        [&Digest::derive(FORM, &body).0[..], &body].concat()
    }

    fn holds(&self, paths: &[PathBuf; 2], sweep: &Sweep) -> bool {
        let seen = sweep.signatures(paths.len(), |at| paths[at].as_os_str().as_bytes(), Links::Keep);
        seen == [Seen::Found(self.database), Seen::Found(self.log)] || Protection::StateStamps.is_off()
    }
}
