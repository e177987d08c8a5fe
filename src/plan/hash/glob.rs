//! Patterns of files and the files they mean.
//!
//! Patterns are seen from the folder of their [`FileSet`] and read as in gitignore:
//!
//! - `*`, `?` and `[a-z]` match within one name, `**` any number of folders; `\` takes the next
//!   character as it is. There is no other magic: `{` and `,` are letters.
//! - A pattern without magic is a path; a folder means everything in it. With magic, a pattern means
//!   files only, unless it ends in `/`: then it means folders, each with everything in it.
//! - `!` in front takes files away again; the last pattern that matches decides. Without a `/` but at
//!   its end, such a pattern holds at any depth (`!*.tmp`, `!__pycache__/`); a folder takes everything
//!   in it along. All other patterns hold where they say, never deeper.
//! - `..` may climb, but only in front, and not out of the project.
//! - `.git`, `.assets` and what the tool stages beside outputs is never meant, not even by name.
//! - Linked folders that a path names are followed; those that magic finds are not walked into but
//!   stand in the list as one path.
//!
//! A pattern that means nothing is an error: a misspelt source must not look like an empty one.

use std::{collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::{
    base::{digest::Digest, path::ProjectPath, suggest},
    model::project::FileSet,
    plan::hash::{
        FileKind, Links, Seen,
        file::Reader,
        file_system::World,
        folder::{Name, join, list, project_path},
        listing::{FILE, FOLDER, LINK, LINKED_FOLDER, Listing, Stamp, Visited},
        signature::{look_at, look_at_all},
    },
};

mod pattern;

use pattern::{Part, Progress, Rule};

/// Why a set of patterns means nothing definite. `pattern` is its place in the set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GlobError {
    #[error("nothing matches")]
    NoMatch {
        pattern: usize,
        /// A path that is there and may have been meant.
        nearest: Option<String>,
    },
    #[error("not a pattern: {why}")]
    Bad { pattern: usize, why: String },
    #[error("cannot list {path}: {why}")]
    Unreadable { path: ProjectPath, why: String },
}

/// Never part of a set: the tool's own, and that of git.
fn is_reserved(name: &[u8]) -> bool {
    name == b".git" || name == b".assets" || name.starts_with(b".assets-tmp-") || name.starts_with(b".assets-old-")
}

/// What a set is remembered by.
pub(super) fn key(set: &FileSet) -> Digest {
    let mut bytes = Vec::new();
    for text in std::iter::once(set.folder.as_bytes()).chain(set.patterns.iter().map(|it| it.text.as_bytes())) {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text);
    }
    Digest::derive("assets file set 2", &bytes)
}

/// The paths of a set that names each of its files, in the order written; `None` if it must be
/// expanded. Asks the file system nothing: whether they are there, a look at them tells.
pub fn named_files(set: &FileSet) -> Option<Vec<ProjectPath>> {
    set.patterns
        .iter()
        .map(|it| {
            let rule = Rule::parse(set, &it.text).ok()?;
            let reserved = rule.parts.iter().any(|it| matches!(it, Part::Name(name) if is_reserved(name)));
            (rule.is_plain() && !rule.takes_away && !rule.folders_only && !reserved).then(|| rule.plain_path())
        })
        .collect()
}

/// Whether every folder that was listed is still what it was. Names that were looked up and found are not
/// looked up again: the look at the files themselves, which every caller takes, answers for them.
pub(super) fn still_valid(world: &World, listing: &Listing) -> bool {
    let listed: Vec<_> = listing.visited.iter().filter_map(|it| Some((&*it.path, it.stamp?))).collect();
    if listed.iter().any(|it| it.1.1) {
        return false;
    }
    let seen = look_at_all(world.root(), listed.len(), |index| listed[index].0, Links::Follow);
    seen.iter().zip(&listed).all(|(seen, (path, (stamp, _)))| match seen {
        Seen::Found(raw) => world.system(raw.dev, path).stable(*raw) == *stamp,
        _ => false,
    })
}

/// The files that `set` means, sorted by the bytes of their paths. What `before` knows of folders that
/// did not change is taken over.
///
/// # Errors
/// Every pattern that means nothing, and every folder that cannot be listed.
pub(super) fn expand(world: &World, set: &FileSet, before: Option<&Listing>) -> Result<Listing, Vec<GlobError>> {
    let mut rules = Vec::new();
    let mut errors = Vec::new();
    for (pattern, it) in set.patterns.iter().enumerate() {
        match Rule::parse(set, &it.text) {
            Ok(rule) => rules.push(rule),
            Err(why) => errors.push(GlobError::Bad { pattern, why }),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let before = before.iter().flat_map(|it| &it.visited).map(|it| (&*it.path, it)).collect();
    let hit = rules.iter().map(|it| it.takes_away).collect();
    let mut walk = Walk { world, rules: &rules, hit, before, clock: Reader::new(world), errors };
    let listing = walk.run();
    let unmatched = walk.hit.iter().enumerate().filter(|it| !it.1).map(|it| it.0);
    let mut errors: Vec<_> =
        unmatched.map(|pattern| GlobError::NoMatch { pattern, nearest: nearest(world, &rules[pattern]) }).collect();
    errors.append(&mut walk.errors);
    if errors.is_empty() { Ok(listing) } else { Err(errors) }
}

/// A name that is meant.
struct Found {
    name: Box<[u8]>,
    tag: u8,
    /// Of a folder to walk into: how far the rules have come there.
    inside: Option<Vec<Progress>>,
}

struct Walk<'a> {
    world: &'a World,
    rules: &'a [Rule],
    /// Of each rule, whether something in the result is due to it, or need not be.
    hit: Vec<bool>,
    before: HashMap<&'a [u8], &'a Visited>,
    clock: Reader<'a>,
    errors: Vec<GlobError>,
}

impl Walk<'_> {
    fn run(&mut self) -> Listing {
        let mut listing = Listing::default();
        let start: Vec<Progress> = self.rules.iter().map(Rule::start).collect();
        let mut open: Vec<(usize, std::vec::IntoIter<Found>)> = Vec::new();
        if self.leads_on(&start) {
            open.push(self.visit(Vec::new(), start, &mut listing));
        }
        while let Some((folder, found)) = open.last_mut() {
            match found.next() {
                None => {
                    open.pop();
                }
                Some(Found { inside: None, .. }) => {}
                Some(Found { name, inside: Some(progress), .. }) => {
                    let path = join(&listing.visited[*folder].path, &name);
                    open.push(self.visit(path, progress, &mut listing));
                }
            }
        }
        listing
    }

    /// Finds what is meant in one folder, and notes it.
    fn visit(
        &mut self,
        path: Vec<u8>,
        progress: Vec<Progress>,
        listing: &mut Listing,
    ) -> (usize, std::vec::IntoIter<Found>) {
        for (index, rule) in self.rules.iter().enumerate() {
            self.hit[index] |= progress[index].whole && !rule.takes_away;
        }
        let (stamp, mut found) = match self.plain_names(&progress) {
            Some(names) => self.by_name(&path, &progress, names),
            None => self.by_listing(&path, &progress),
        };
        // A folder stands where its contents will.
        if found.iter().any(|it| it.inside.is_some()) {
            found.sort_by(by_path);
        }
        let mut names = Vec::new();
        for it in &found {
            names.push(it.tag);
            names.extend_from_slice(&it.name);
            names.push(0);
        }
        listing.visited.push(Visited { path: path.into(), stamp, names: names.into() });
        found.retain(|it| it.inside.is_some());
        (listing.visited.len() - 1, found.into_iter())
    }

    fn by_listing(&mut self, path: &[u8], progress: &[Progress]) -> (Stamp, Vec<Found>) {
        let (stamp, entries) = self.list(path);
        (stamp, entries.into_iter().filter_map(|(name, kind)| self.meant(path, progress, name, kind)).collect())
    }

    /// Without a stamp: the look at what was found answers for it. Nothing answers for a name that is not
    /// there, or is not what it must be, but may be one day: then the folder itself is followed.
    fn by_name(&mut self, path: &[u8], progress: &[Progress], names: Vec<Box<[u8]>>) -> (Stamp, Vec<Found>) {
        let wanted = names.len();
        let there = self.look_up(path, names);
        let found: Vec<Found> =
            there.into_iter().filter_map(|(name, kind)| self.meant(path, progress, name, kind)).collect();
        if found.len() == wanted { (None, found) } else { self.by_listing(path, progress) }
    }

    /// The only names that could lead on, if every rule that still could match goes by name here.
    fn plain_names(&self, progress: &[Progress]) -> Option<Vec<Box<[u8]>>> {
        let mut names = Vec::new();
        for (rule, progress) in self.rules.iter().zip(progress).filter(|it| !it.0.takes_away) {
            if progress.whole {
                return None;
            }
            for (_, part) in rule.reached(*progress) {
                match part {
                    Part::Name(name) => names.push(name.clone()),
                    _ => return None,
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    fn look_up(&self, path: &[u8], names: Vec<Box<[u8]>>) -> Vec<Name> {
        let kind = |name: &[u8]| match look_at(self.world.root(), &join(path, name), Links::Keep) {
            Seen::Found(it) => Some(it.kind),
            // What cannot be looked at is left to who looks at files.
            Seen::Failed(_) => Some(FileKind::File),
            Seen::Missing => None,
        };
        names.into_iter().filter_map(|name| kind(&name).map(|kind| (name, kind))).collect()
    }

    /// What is in a folder; nothing if it is gone.
    fn list(&mut self, path: &[u8]) -> (Stamp, Vec<Name>) {
        let Seen::Found(seen) = look_at(self.world.root(), path, Links::Follow) else { return Default::default() };
        let (system, moment) = self.clock.moment(&seen, path);
        if let Some(Visited { stamp: Some((stamp, false)), .. }) = self.before.get(path)
            && *stamp == system.stable(seen)
        {
            let entries = self.before[path].entries();
            let kind = |tag| match tag {
                FILE => FileKind::File,
                FOLDER => FileKind::Folder,
                _ => FileKind::Link,
            };
            return (Some((*stamp, false)), entries.map(|(tag, name)| (name.into(), kind(tag))).collect());
        }
        match list(self.world, path, Links::Follow) {
            Ok(None) => Default::default(),
            Ok(Some(names)) => {
                let racy = system.is_network() || names.signature.dev != seen.dev || moment.is_racy(&names.signature);
                (Some((system.stable(names.signature), racy)), names.entries)
            }
            Err(why) => {
                self.errors.push(GlobError::Unreadable { path: project_path(path), why });
                Default::default()
            }
        }
    }

    /// Whether a name is meant, or leads on to what is.
    fn meant(&mut self, path: &[u8], progress: &[Progress], name: Box<[u8]>, kind: FileKind) -> Option<Found> {
        if is_reserved(&name) {
            return None;
        }
        if kind == FileKind::Folder || kind == FileKind::Link {
            let linked = kind == FileKind::Link;
            let rules = self.rules.iter().zip(progress);
            let inside: Vec<Progress> = rules.map(|(rule, at)| rule.enter(*at, &name, linked)).collect();
            if self.leads_on(&inside) && (!linked || self.is_folder(&join(path, &name))) {
                return Some(Found { name, tag: if linked { LINKED_FOLDER } else { FOLDER }, inside: Some(inside) });
            }
            if kind == FileKind::Folder {
                return None;
            }
        }
        let matches = |(rule, at): (&Rule, &Progress)| rule.matches_file(*at, &name);
        let last = (0..self.rules.len()).rev().find(|it| matches((&self.rules[*it], &progress[*it])))?;
        if self.rules[last].takes_away {
            return None;
        }
        for (hit, it) in self.hit.iter_mut().zip(self.rules.iter().zip(progress)).take(last + 1) {
            *hit = *hit || matches(it);
        }
        Some(Found { name, tag: if kind == FileKind::Link { LINK } else { FILE }, inside: None })
    }

    fn is_folder(&self, path: &[u8]) -> bool {
        matches!(look_at(self.world.root(), path, Links::Follow), Seen::Found(it) if it.kind == FileKind::Folder)
    }

    /// Whether anything can be meant in a folder that the rules came to like this.
    fn leads_on(&self, progress: &[Progress]) -> bool {
        for (rule, at) in self.rules.iter().zip(progress).rev() {
            if rule.takes_away && at.whole {
                return false;
            }
            if !rule.takes_away && (at.whole || at.next != 0) {
                return true;
            }
        }
        false
    }
}

/// By the bytes that paths would have, where a folder goes on with `/`.
fn by_path(a: &Found, b: &Found) -> std::cmp::Ordering {
    let slash = |it: &Found| it.inside.is_some().then_some(&b'/');
    a.name.iter().chain(slash(a)).cmp(b.name.iter().chain(slash(b)))
}

/// The existing name that was probably meant where the plain part of a pattern goes astray.
fn nearest(world: &World, rule: &Rule) -> Option<String> {
    let mut folder = ProjectPath::root();
    for part in &rule.parts[..rule.plain] {
        let Part::Name(name) = part else { return None };
        let path = folder.join(OsStr::from_bytes(name));
        if !matches!(look_at(world.root(), path.as_bytes(), Links::Follow), Seen::Missing) {
            folder = path;
            continue;
        }
        let names = list(world, folder.as_bytes(), Links::Follow).ok()??;
        let there = names
            .entries
            .iter()
            .filter_map(|it| std::str::from_utf8(&it.0).ok())
            .filter(|it| !is_reserved(it.as_bytes()));
        let near = suggest::nearest(std::str::from_utf8(name).ok()?, there)?;
        return Some(folder.join(near).to_string());
    }
    None
}

#[cfg(test)]
mod tests;
