//! The state folder `.assets/`: what is in it, whose it is, and how its store is opened.
//!
//! It ignores itself in git. Everything in it may be read by its owner alone.

use std::{
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    sqlite::{Disk, Opened, SqliteStore},
};
use crate::{
    base::fs::{self, FsError},
    model::project::Durability,
    plan::hash::Sweep,
};

/// What the folder is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing is made or changed, and it need not be there.
    Read,
    /// It is made if it is not there.
    Write,
}

/// An existing state folder, or for a reader one that might not exist.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
    access: Access,
    durability: Durability,
}

/// Bits of a mode that let others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

impl StateFolder {
    pub const NAME: &'static str = ".assets";

    /// # Errors
    /// [`StoreError::Foreign`] if somebody else could have put it there.
    pub fn open(root: &Path, access: Access) -> Result<Self, StoreError> {
        let folder = StateFolder { path: root.join(Self::NAME), access, durability: Durability::default() };
        folder.refuse_foreign(root)?;
        if access == Access::Write {
            folder.make()?;
        }
        Ok(folder)
    }

    /// The state of one target: records, runs and logs of its own, as its outputs may lie elsewhere.
    /// Locks stay those of the project, as they may also lie in the same place.
    pub fn of_target(&self, name: &str) -> Result<Self, StoreError> {
        let targets = self.path.join("targets");
        let folder = StateFolder { path: targets.join(name), ..self.clone() };
        if self.access == Access::Write {
            fs::create_private_folder(&targets)?;
            folder.make()?;
        }
        Ok(folder)
    }

    /// With a store that is forced to the disk as that says.
    #[must_use]
    pub fn durable(self, durability: Durability) -> Self {
        StateFolder { durability, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn locks(&self) -> PathBuf {
        self.path.join("locks")
    }

    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    pub fn store(&self, disk: Disk) -> Result<Opened, StoreError> {
        match self.access {
            Access::Read => SqliteStore::open_read_only(&self.path, disk),
            Access::Write => SqliteStore::open(&self.path, disk, self.durability),
        }
    }

    /// Whether the store is whole and of this generation: usually a look at two files.
    pub fn is_at(&self, generation: u64, sweep: &Sweep) -> bool {
        SqliteStore::is_at(&self.path, generation, sweep)
    }

    /// One sentence for each thing in the store that is not as it should be. Changes nothing.
    pub fn examine(&self, disk: Disk) -> Result<Vec<String>, StoreError> {
        SqliteStore::examine(&self.path, disk)
    }

    /// What secrets are hashed with: random, of this project alone. A reader gets none if none was
    /// ever made: then there is no hash either that it could be compared with.
    pub fn secret_key(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let path = self.path.join("key");
        match (fs::read_if_there(&path)?, self.access) {
            (Some(bytes), _) => match bytes.try_into() {
                Ok(key) => Ok(Some(key)),
                Err(_) => Err(StoreError::Unusable { path, cause: "the key does not have 32 bytes".to_owned() }),
            },
            (None, Access::Read) => Ok(None),
            (None, Access::Write) => {
                self.make_key(&path)?;
                self.secret_key()
            }
        }
    }

    /// Under another name first and then linked, so that of two processes one makes it, and whole.
    fn make_key(&self, path: &Path) -> Result<(), StoreError> {
        let mut random = [0; 40];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Unusable { path: path.to_owned(), cause: error.to_string() })?;
        let (key, name) = random.split_last_chunk::<8>().expect("40 bytes are more than 8");
        let beside = self.path.join(format!("key.new-{:016x}", u64::from_le_bytes(*name)));
        let written = fs::create_new_private(&beside)?.write_all(key);
        written.map_err(|source| FsError { doing: "write", path: beside.clone(), source })?;
        let linked = fs::link_if_free(&beside, path);
        fs::remove_file(&beside)?;
        Ok(linked?)
    }

    fn refuse_foreign(&self, root: &Path) -> Result<(), StoreError> {
        let Some(found) = fs::look(&self.path)? else { return Ok(()) };
        let foreign = |cause: &str| Err(StoreError::Foreign { path: self.path.clone(), cause: cause.to_owned() });
        if found.is_symlink() {
            return foreign("it is a link");
        }
        if !found.is_dir() {
            return foreign("it is not a folder");
        }
        let me = rustix::process::geteuid().as_raw();
        if found.uid() == me {
            return Ok(());
        }
        // Root works in other people's projects, as in containers, and their state is then theirs.
        let of_project = me == 0 && fs::look_through(root)?.is_some_and(|it| it.uid() == found.uid());
        if of_project { Ok(()) } else { foreign("it belongs to another user") }
    }

    fn make(&self) -> Result<(), StoreError> {
        match fs::look(&self.path)? {
            Some(found) if found.mode() & WRITABLE_BY_OTHERS != 0 => fs::make_private(&self.path)?,
            Some(_) => {}
            None => fs::create_private_folder(&self.path)?,
        }
        for name in ["locks", "logs", "journal"] {
            let path = self.path.join(name);
            if fs::look(&path)?.is_none() {
                fs::create_private_folder(&path)?;
            }
        }
        let ignore = self.path.join(".gitignore");
        if fs::look(&ignore)?.is_none() {
            fs::write_atomic(&ignore, b"# Made by assets; nothing in here belongs in a repository.\n*\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set up the world from outside")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, thread};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_folder_is_private_and_ignores_itself() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path(), Access::Write).unwrap();
        for part in ["", "locks", "logs", "journal"] {
            assert_eq!(mode(&folder.path().join(part)), 0o700, "{part}");
        }
        assert!(fs::read_to_string(folder.path().join(".gitignore")).unwrap().ends_with("\n*\n"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        StateFolder::open(root.path(), Access::Read).unwrap();
        assert_eq!(mode(folder.path()), 0o777, "a reader changes nothing");
        StateFolder::open(root.path(), Access::Write).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
    }

    #[test]
    fn a_folder_that_somebody_may_have_put_there_is_refused() {
        for access in [Access::Read, Access::Write] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(".assets");
            std::os::unix::fs::symlink("/tmp", &path).unwrap();
            assert!(matches!(StateFolder::open(root.path(), access), Err(StoreError::Foreign { .. })));
            fs::remove_file(&path).unwrap();
            fs::write(&path, "").unwrap();
            assert!(matches!(StateFolder::open(root.path(), access), Err(StoreError::Foreign { .. })));
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            // Only root can give a folder away.
            if std::os::unix::fs::chown(&path, Some(4321), None).is_ok() {
                assert!(matches!(StateFolder::open(root.path(), access), Err(StoreError::Foreign { .. })));
            }
        }
    }

    #[test]
    fn the_key_is_made_once() {
        let root = tempfile::tempdir().unwrap();
        let writer = StateFolder::open(root.path(), Access::Write).unwrap();
        let reader = StateFolder::open(root.path(), Access::Read).unwrap();
        assert_eq!(reader.secret_key().unwrap(), None);
        let keys: Vec<_> = thread::scope(|scope| {
            let made: Vec<_> = (0..4).map(|_| scope.spawn(|| writer.secret_key().unwrap())).collect();
            made.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(keys[0].is_some_and(|it| it != [0; 32]));
        assert!(keys.iter().all(|it| *it == keys[0]));
        assert_eq!(reader.secret_key().unwrap(), keys[0]);
        assert_eq!(mode(&writer.path().join("key")), 0o600);
        fs::write(writer.path().join("key"), "short").unwrap();
        assert!(matches!(writer.secret_key(), Err(StoreError::Unusable { .. })));
    }
}
