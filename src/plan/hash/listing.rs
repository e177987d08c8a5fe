//! The files that a set of patterns meant at one time, kept small.

use crate::{
    base::path::ProjectPath,
    plan::hash::{
        Signature,
        folder::{join, project_path},
    },
};

/// What a name in a [`Visited`] folder is: a file, or a folder or link to one that was walked into.
pub(super) const FILE: u8 = b'f';
pub(super) const LINK: u8 = b'l';
pub(super) const FOLDER: u8 = b'd';
pub(super) const LINKED_FOLDER: u8 = b'm';

/// What a folder was when it was listed, and whether that is racy. `None`: it was not listed, only names
/// in it were looked up.
pub(super) type Stamp = Option<(Signature, bool)>;

/// One folder on the way to the files of a listing.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Visited {
    pub(super) path: Box<[u8]>,
    pub(super) stamp: Stamp,
    /// For each name that is meant, in byte order of their paths: what it is, the name, NUL.
    pub(super) names: Box<[u8]>,
}

/// The files that a set of patterns meant at one time.
///
/// Kept as names by folder, not as paths: a million files must fit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Listing {
    /// Each folder before those in it, in the order in which their names stand.
    pub(super) visited: Vec<Visited>,
}

impl Listing {
    /// In byte order of the paths, each once. One that has since become a folder means all of it.
    pub fn files(&self) -> Vec<ProjectPath> {
        let mut files = Vec::with_capacity(self.len());
        let mut folders = self.visited.iter();
        let mut open: Vec<(&[u8], Entries<'_>)> = Vec::new();
        open.extend(folders.next().map(|it| (&*it.path, it.entries())));
        while let Some((folder, entries)) = open.last_mut() {
            match entries.next() {
                None => {
                    open.pop();
                }
                Some((FILE | LINK, name)) => files.push(project_path(&join(folder, name))),
                Some(_) => open.extend(folders.next().map(|it| (&*it.path, it.entries()))),
            }
        }
        files
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.visited.iter().map(|it| it.entries().filter(|it| matches!(it.0, FILE | LINK)).count()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The folders that were listed, and what they were: while none has changed and none is racy, the
    /// listing holds.
    pub fn folders(&self) -> impl Iterator<Item = (ProjectPath, Signature, bool)> {
        self.visited.iter().filter_map(|it| it.stamp.map(|(signature, racy)| (project_path(&it.path), signature, racy)))
    }
}

pub(super) struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    /// What it is, and its name.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.0.split_first()?;
        let end = rest.iter().position(|it| *it == 0)?;
        self.0 = &rest[end + 1..];
        Some((kind, &rest[..end]))
    }
}

impl Visited {
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(&self.names)
    }
}
