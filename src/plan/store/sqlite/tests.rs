//! The store on disk: the common promises, and what a disk adds to them.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::plan::store::{
    conformance::{
        self,
        sample::{made, materialization},
    },
    folder::{Access, StateFolder},
};

fn project() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(root: &Path) -> Opened {
    StateFolder::open(root, Access::Write).unwrap().store(Disk::Local).unwrap()
}

#[test]
fn the_store_on_disk_conforms() {
    for disk in [Disk::Local, Disk::Network] {
        let folders = std::sync::Mutex::new(Vec::new());
        conformance::check(&|| {
            let root = project();
            let opened = StateFolder::open(root.path(), Access::Write).unwrap().store(disk).unwrap();
            assert_eq!(opened.notes, [""; 0]);
            folders.lock().unwrap().push(root);
            Box::new(opened.store)
        });
    }
}

#[test]
fn a_store_opened_again_knows_what_it_was_told() {
    let root = project();
    let first = open(root.path());
    first.store.commit(&[made("a", "", 1), made("b", "p", 2)]).unwrap();
    let generation = first.store.generation().unwrap();
    drop(first);
    let second = open(root.path());
    assert_eq!(second.notes, [""; 0]);
    assert_eq!(second.store.latest_all().unwrap(), [materialization("a", "", 1), materialization("b", "p", 2)]);
    assert_eq!(second.store.generation().unwrap(), generation);
}
