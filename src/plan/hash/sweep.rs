//! Answers what paths are, hashing only what a remembered signature does not prove.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    ops::Range,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use rayon::prelude::*;

use crate::{
    base::{
        fs::{self, FsError},
        path::ProjectPath,
        sabotage::Protection,
    },
    model::project::FileSet,
    plan::{
        hash::{
            FileFact, FileKind, GlobError, Links, Listing, Seen, Signature, Tree,
            cache::{Entry, FileCache, cost},
            file::{Reader, absent, why},
            file_system::World,
            folder::list,
            glob,
            signature::{look_at, look_at_all, look_at_some, on_threads, shares, split},
            tree::{self, TreeError},
        },
        record::TrackedFile,
    },
};

/// What may stand for content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// An equal signature that is not racy.
    #[default]
    Signatures,
    /// Nothing: everything is read (`--verify`).
    Nothing,
}

/// What became of recorded files.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verified {
    /// Places in the list that are not what was recorded.
    pub changed: Vec<usize>,
    /// Same content under a new signature: what to record instead, so that it need not be read again.
    pub refreshed: Vec<(usize, TrackedFile)>,
}

/// Looks at files below one folder, and remembers what they were. Any thread may ask.
pub struct Sweep {
    world: World,
    cache: RwLock<FileCache>,
    trust: Trust,
}

/// Fewer files, and fewer bytes, are hashed where we are: starting threads costs more.
const FILES_WORTH_THREADS: usize = 64;
const BYTES_WORTH_THREADS: u64 = 4 << 20;

/// Hashed one after another by one thread.
const CHUNK: usize = 32;

/// Their facts are held twice for a moment.
const HASHED_AT_ONCE: usize = 1 << 16;

/// From this size on one file has all threads to itself.
const LARGE: u64 = 16 << 20;

impl Sweep {
    /// # Errors
    /// `root` is not a folder that can be opened.
    pub fn new(root: &Path, cache: FileCache) -> Result<Self, FsError> {
        Ok(Sweep { world: World::open(root)?, cache: RwLock::new(cache), trust: Trust::default() })
    }

    #[must_use]
    pub fn trusting(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// What each path is, in the order given; links are followed. Fastest where paths of one folder
    /// follow each other.
    pub fn look<P: Borrow<ProjectPath> + Sync>(&self, paths: &[P]) -> Vec<FileFact> {
        let (mut facts, folders) = self.facts(paths.len(), |index| paths[index].borrow().as_bytes(), Links::Follow);
        for index in folders {
            facts[index] = folder_fact(self.tree_through(paths[index].borrow(), &mut HashSet::new()));
        }
        facts
    }

    /// As [`Sweep::look`]; `None` for a folder, which is not gone through.
    pub fn look_at_files<P: Borrow<ProjectPath> + Sync>(&self, paths: &[P]) -> Vec<Option<FileFact>> {
        let (facts, folders) = self.facts(paths.len(), |index| paths[index].borrow().as_bytes(), Links::Follow);
        let mut facts: Vec<Option<FileFact>> = facts.into_iter().map(Some).collect();
        for index in folders {
            facts[index] = None;
        }
        facts
    }

    /// What one path is.
    pub fn look_at(&self, path: &ProjectPath) -> FileFact {
        self.look(std::slice::from_ref(path)).pop().expect("one answer for one question")
    }

    /// The folder at `path` and everything in it. A link is no folder here.
    ///
    /// # Errors
    /// It is not there, or something in it is not content or cannot be read.
    pub fn tree(&self, path: &ProjectPath) -> Result<Tree, TreeError> {
        let nodes = tree::walk(&self.world, path, Links::Keep)?;
        let inside: Vec<usize> = (0..nodes.len()).filter(|it| nodes[*it].folder.is_none()).collect();
        // What is a folder by now is not what was listed: its fact stays "missing", which a tree refuses.
        let (facts, _) = self.facts(inside.len(), |at| nodes[inside[at]].path.as_bytes(), Links::Keep);
        Tree::of(nodes, inside.into_iter().zip(facts))
    }

    /// The file or folder at `path` as nobody has read it: no content is opened, and what it is known by is that
    /// nobody wrote to it. Digests of its files are all zero.
    ///
    /// # Errors
    /// It is not there, or something in it is not content.
    pub fn unread(&self, path: &ProjectPath) -> Result<Tree, TreeError> {
        let nodes = match self.signatures(1, |_| path.as_bytes(), Links::Keep).pop() {
            Some(Seen::Found(it)) if it.kind == FileKind::Folder => tree::walk(&self.world, path, Links::Keep)?,
            _ => vec![tree::Node { path: path.clone(), depth: 0, folder: None }],
        };
        let seen = self.signatures(nodes.len(), |it| nodes[it].path.as_bytes(), Links::Keep);
        Tree::unread(path, nodes, seen)
    }

    /// The folder that `path` leads to as its reader gets it: links inside stand for what they lead to.
    /// A folder in `seen` counts already, so that a link to it is kept as it is: no link leads round in circles.
    fn tree_through(&self, path: &ProjectPath, seen: &mut HashSet<(u64, u64)>) -> Result<Tree, TreeError> {
        let nodes = tree::walk(&self.world, path, Links::Follow)?;
        seen.extend(nodes.iter().filter_map(|it| it.folder.as_ref()).map(|(it, _)| (it.dev, it.ino)));
        let inside: Vec<usize> = (0..nodes.len()).filter(|it| nodes[*it].folder.is_none()).collect();
        let path_of = |at: usize| nodes[inside[at]].path.as_bytes();
        let (mut facts, folders) = self.facts(inside.len(), path_of, Links::Follow);
        let mut stable = Stable::new(&self.world);
        for at in folders {
            let known = match look_at(self.world.root(), path_of(at), Links::Follow) {
                Seen::Found(raw) => seen.contains(&(stable.of(raw, path_of(at)).dev, raw.ino)),
                Seen::Missing | Seen::Failed(_) => false,
            };
            facts[at] = if known {
                self.facts(1, |_| path_of(at), Links::Keep).0.swap_remove(0)
            } else {
                folder_fact(self.tree_through(&nodes[inside[at]].path, seen))
            };
        }
        Tree::of(nodes, inside.into_iter().zip(facts))
    }

    /// The facts about files and links, and which of the paths are folders: their facts are still to be
    /// found.
    fn facts<'a>(
        &self,
        count: usize,
        path_of: impl Fn(usize) -> &'a [u8] + Sync,
        links: Links,
    ) -> (Vec<FileFact>, Vec<usize>) {
        let seen = look_at_all(self.world.root(), count, &path_of, links);
        let mut facts = vec![FileFact::Missing; count];
        let (mut doubtful, mut folders, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let cache = self.cache_for(&seen);
        let mut known = cache.reader();
        let mut stable = Stable::new(&self.world);
        for (index, seen) in seen.into_iter().enumerate() {
            let path = path_of(index);
            match seen {
                Seen::Missing => {
                    facts[index] = absent(&self.world, path);
                    gone.push(index);
                }
                Seen::Failed(errno) => facts[index] = FileFact::Unreadable(why(&self.world, path, errno)),
                Seen::Found(raw) => match raw.kind {
                    FileKind::Folder => folders.push(index),
                    FileKind::Odd => facts[index] = FileFact::Odd,
                    FileKind::File | FileKind::Link => {
                        let signature = stable.of(raw, path);
                        match known.get(path).filter(|it| self.proves(it, &signature)) {
                            Some(it) => facts[index] = FileFact::Present { signature, digest: it.digest, racy: false },
                            None => doubtful.push((index, raw)),
                        }
                    }
                },
            }
        }
        drop(cache);
        for some in doubtful.chunks(HASHED_AT_ONCE) {
            for (index, fact) in self.hash(some, &path_of, links) {
                match fact {
                    Some(fact) => facts[index] = fact,
                    None => folders.push(index),
                }
            }
        }
        self.remember(doubtful.iter().map(|it| it.0).chain(gone).map(|index| (path_of(index), &facts[index])));
        (facts, folders)
    }

    /// What many paths look like from outside, in the order given. Nothing is opened but folders.
    pub fn signatures<'a>(&self, count: usize, path_of: impl Fn(usize) -> &'a [u8] + Sync, links: Links) -> Vec<Seen> {
        let mut seen = look_at_all(self.world.root(), count, &path_of, links);
        let mut stable = Stable::new(&self.world);
        for (index, seen) in seen.iter_mut().enumerate() {
            if let Seen::Found(raw) = seen {
                *raw = stable.of(*raw, path_of(index));
            }
        }
        seen
    }

    /// Which of many paths do not look like that, in order: what a clean no-op asks. Nothing is opened but
    /// folders, nothing kept per path.
    pub fn moved<'a>(
        &self,
        count: usize,
        path_of: impl Fn(usize) -> &'a [u8] + Sync,
        signature_of: impl Fn(usize) -> Signature + Sync,
        links: Links,
    ) -> Vec<usize> {
        let moved = |range: Range<usize>| {
            let mut stable = Stable::new(&self.world);
            let mut moved = Vec::new();
            look_at_some(self.world.root(), range, &path_of, links, |index, seen| {
                let is_same = matches!(seen, Seen::Found(raw) if stable.of(raw, path_of(index)) == signature_of(index));
                if !is_same {
                    moved.push(index);
                }
            });
            moved
        };
        on_threads(shares(count), moved).concat()
    }

    /// What they look like, if every later write to any of them, or its coming to be, will change it.
    /// `None`: that cannot be promised yet, or not here.
    pub fn settled<'a>(
        &self,
        count: usize,
        path_of: impl Fn(usize) -> &'a [u8] + Sync,
        links: Links,
    ) -> Option<Vec<Seen>> {
        let first = (0..count).find_map(|at| match look_at(self.world.root(), path_of(at), links) {
            Seen::Found(raw) => Some((raw, at)),
            Seen::Missing | Seen::Failed(_) => None,
        });
        let (first, at) = first?;
        let (system, moment) = Reader::new(&self.world).moment(&first, path_of(at));
        let seen = look_at_all(self.world.root(), count, &path_of, links);
        let is_settled = |seen: &Seen| match seen {
            Seen::Found(raw) => raw.dev == first.dev && !moment.is_racy(raw),
            Seen::Missing => true,
            Seen::Failed(_) => false,
        };
        (!system.is_network() && seen.iter().all(is_settled)).then_some(seen)
    }

    /// The record of `before`, staged at `from` and read there, now that `from` was renamed to `to`. It need
    /// not be read again: a rename gives a new `ctime` to what is renamed and nothing else, and a later
    /// write would also move its `mtime`, which is proven old unless it is racy. `None`: what is at `to` is
    /// not what was staged.
    pub fn renamed(&self, before: &[TrackedFile], from: &ProjectPath, to: &ProjectPath) -> Option<Vec<TrackedFile>> {
        let mut after = Vec::with_capacity(before.len());
        for it in before {
            let inside = it.path.as_path().strip_prefix(from.as_path()).ok()?;
            let path = inside.iter().fold(to.clone(), |path, name| path.join(name));
            after.push(TrackedFile { path, ..it.clone() });
        }
        let seen = self.signatures(after.len(), |index| after[index].path.as_bytes(), Links::Keep);
        for (it, seen) in after.iter_mut().zip(seen) {
            let Seen::Found(now) = seen else { return None };
            let renamed = it.path == *to;
            let expected =
                Signature { ctime_ns: if renamed { now.ctime_ns } else { it.signature.ctime_ns }, ..it.signature };
            if now != expected {
                return None;
            }
            it.signature = now;
        }
        let files = after.iter().filter(|it| it.signature.kind == FileKind::File && !it.is_unread());
        let entry = |it: &TrackedFile| Entry { signature: it.signature, digest: it.digest, racy: it.racy };
        self.write_cache().update(files.map(|it| (it.path.as_bytes(), Some(entry(it)))).collect());
        Some(after)
    }

    /// Which of `tracked`, the record of an output, are not what was recorded. Links are kept: a file
    /// that became a link to the same content has changed. All entries of a folder must be in the list
    /// with it. Not for inputs, whose links are followed: look at those again and compare digests.
    pub fn verify(&self, tracked: &[TrackedFile]) -> Verified {
        let path_of = |index: usize| tracked[index].path.as_bytes();
        let seen = look_at_all(self.world.root(), tracked.len(), path_of, Links::Keep);
        let mut verified = Verified::default();
        let mut doubtful = Vec::new();
        let mut folders = Vec::new();
        let mut stable = Stable::new(&self.world);
        for (index, seen) in seen.into_iter().enumerate() {
            let recorded = &tracked[index];
            match seen {
                Seen::Found(raw) if raw.kind == recorded.signature.kind => {
                    let same = stable.of(raw, path_of(index)) == recorded.signature;
                    match raw.kind {
                        _ if same && !recorded.racy && self.trust == Trust::Signatures => {}
                        FileKind::Folder => folders.push((index, raw)),
                        _ => doubtful.push(index),
                    }
                }
                _ => verified.changed.push(index),
            }
        }
        // What was never read can only be what it was if nobody wrote to it.
        let (unread, doubtful): (Vec<_>, Vec<_>) = doubtful.into_iter().partition(|it| tracked[*it].is_unread());
        if !unread.is_empty() {
            self.verify_unread(tracked, &unread, &mut verified);
        }
        if !doubtful.is_empty() {
            self.verify_content(tracked, &doubtful, &mut verified);
        }
        if !folders.is_empty() && !Protection::FolderNames.is_off() {
            self.verify_names(tracked, &folders, &mut verified);
        }
        verified.changed.sort_unstable();
        verified.refreshed.sort_unstable_by_key(|it| it.0);
        verified
    }

    fn verify_unread(&self, tracked: &[TrackedFile], unread: &[usize], verified: &mut Verified) {
        let seen = self.signatures(unread.len(), |at| tracked[unread[at]].path.as_bytes(), Links::Keep);
        for (&index, seen) in unread.iter().zip(seen) {
            let recorded = &tracked[index];
            match seen {
                Seen::Found(now) if tree::written_as(&now) == tree::written_as(&recorded.signature) => {
                    if now != recorded.signature {
                        let now = TrackedFile { signature: now, ..recorded.clone() };
                        verified.refreshed.push((index, now));
                    }
                }
                _ => verified.changed.push(index),
            }
        }
    }

    fn verify_content(&self, tracked: &[TrackedFile], doubtful: &[usize], verified: &mut Verified) {
        let (facts, _) = self.facts(doubtful.len(), |at| tracked[doubtful[at]].path.as_bytes(), Links::Keep);
        let mut folders = None;
        for (&index, fact) in doubtful.iter().zip(facts) {
            let recorded = &tracked[index];
            let mut same = fact.digest() == Some(recorded.digest);
            if let FileFact::Present { signature, .. } = &fact
                && signature.executable != recorded.signature.executable
            {
                // Part of what a folder is, but not of what a file is.
                let folders = folders.get_or_insert_with(|| names_by_folder(tracked, |_| true));
                same &= !folders.contains_key(split(recorded.path.as_bytes()).0);
            }
            match fact.tracked(recorded.path.clone()) {
                Some(now) if same => {
                    if now != *recorded {
                        verified.refreshed.push((index, now));
                    }
                }
                _ => verified.changed.push(index),
            }
        }
    }

    /// A folder is what it was if it holds the same names; what they are is asked for each.
    fn verify_names(&self, tracked: &[TrackedFile], folders: &[(usize, Signature)], verified: &mut Verified) {
        let wanted: HashSet<&[u8]> = folders.iter().map(|it| tracked[it.0].path.as_bytes()).collect();
        let names = names_by_folder(tracked, |it| wanted.contains(it));
        let mut clock = Reader::new(&self.world);
        for (index, raw) in folders {
            let recorded = &tracked[*index];
            let path = recorded.path.as_bytes();
            let (system, moment) = clock.moment(raw, path);
            let expected = names.get(path).map_or(&[][..], |it| it);
            match list(&self.world, path, Links::Keep) {
                Ok(Some(found)) if found.entries.iter().map(|it| &*it.0).eq(expected.iter().copied()) => {
                    let racy =
                        system.is_network() || found.signature.dev != raw.dev || moment.is_racy(&found.signature);
                    let now = TrackedFile { signature: system.stable(found.signature), racy, ..recorded.clone() };
                    if now != *recorded {
                        verified.refreshed.push((*index, now));
                    }
                }
                _ => verified.changed.push(*index),
            }
        }
    }

    /// The files that a set of patterns means now. Folders that did not change are not listed again.
    ///
    /// # Errors
    /// Every pattern that means nothing, and every folder that cannot be read.
    pub fn expand(&self, set: &FileSet) -> Result<Arc<Listing>, Vec<GlobError>> {
        let key = glob::key(set);
        let before = if self.trust == Trust::Nothing { None } else { self.read_cache().listing(&key) };
        if let Some(before) = &before
            && (Protection::PatternFolders.is_off() || glob::still_valid(&self.world, before))
        {
            return Ok(before.clone());
        }
        let listing = Arc::new(glob::expand(&self.world, set, before.as_deref())?);
        // What was only looked up by name is looked up again as cheaply as it is remembered.
        if listing.folders().next().is_some() && before.is_none_or(|it| it != listing) {
            self.write_cache().set_listing(key, listing.clone());
        }
        Ok(listing)
    }

    /// Reads `path` anew when it is asked for next.
    pub fn forget(&self, path: &ProjectPath) {
        self.write_cache().remove(path.as_bytes());
    }

    /// Why nothing was remembered from before, if that should be known.
    pub fn note(&self) -> Option<String> {
        self.read_cache().note()
    }

    /// Keeps what was learnt in `file`, if there is something new. Nothing but speed depends on it.
    ///
    /// # Errors
    /// It could not be written; what was there is still there.
    pub fn save(&self, file: &Path) -> fs::Result<()> {
        self.write_cache().save(file)
    }

    fn proves(&self, entry: &Entry, signature: &Signature) -> bool {
        self.trust == Trust::Signatures && !entry.racy && entry.signature == *signature
    }

    /// Reads what is at the given places; `None` for what is a folder by now.
    fn hash<'a>(
        &self,
        wanted: &[(usize, Signature)],
        path_of: impl Fn(usize) -> &'a [u8] + Sync,
        links: Links,
    ) -> Vec<(usize, Option<FileFact>)> {
        let read = |reader: &mut Reader<'_>, (index, seen): &(usize, Signature)| {
            (*index, reader.fact(path_of(*index), links, *seen))
        };
        let (large, small): (Vec<_>, Vec<_>) = wanted.iter().partition(|it| it.1.size >= LARGE);
        let mut reader = Reader::new(&self.world);
        let mut found: Vec<_> = large.iter().map(|it| read(&mut reader, it)).collect();
        let bytes: u64 = small.iter().map(|it| it.1.size).sum();
        if small.len() < FILES_WORTH_THREADS && bytes < BYTES_WORTH_THREADS {
            found.extend(small.iter().map(|it| read(&mut reader, it)));
            return found;
        }
        found.par_extend(small.par_chunks(CHUNK).flat_map_iter(|chunk| {
            let mut reader = Reader::new(&self.world);
            chunk.iter().map(|it| read(&mut reader, it)).collect::<Vec<_>>()
        }));
        found
    }

    fn remember<'a>(&self, facts: impl Iterator<Item = (&'a [u8], &'a FileFact)>) {
        let news: Vec<_> = facts
            .map(|(path, fact)| match *fact {
                FileFact::Present { signature, digest, racy } if signature.kind == FileKind::File => {
                    (path, Some(Entry { signature, digest, racy }))
                }
                _ => (path, None),
            })
            .collect();
        if !news.is_empty() {
            self.write_cache().update(news);
        }
    }

    /// For a look at these: as it is, if to read the rest of it takes longer than to read them.
    fn cache_for(&self, seen: &[Seen]) -> RwLockReadGuard<'_, FileCache> {
        let cost = |seen: &Seen| if let Seen::Found(raw) = seen { cost(raw) } else { 0 };
        let total = seen.iter().map(cost).fold(0, u64::saturating_add);
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        // What is not trusted must be known, to be put right.
        if self.trust == Trust::Signatures && cache.is_dearer(total) {
            return cache;
        }
        drop(cache);
        self.read_cache()
    }

    fn read_cache(&self) -> RwLockReadGuard<'_, FileCache> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        if !cache.is_unread() {
            return cache;
        }
        drop(cache);
        self.write_cache().read();
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_cache(&self) -> RwLockWriteGuard<'_, FileCache> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn folder_fact(found: Result<Tree, TreeError>) -> FileFact {
    match found {
        Ok(tree) => {
            FileFact::Present { signature: tree.entries[0].signature, digest: tree.digest, racy: tree.is_racy() }
        }
        Err(TreeError::Missing(_)) => FileFact::Missing,
        Err(error) => FileFact::Unreadable(error.to_string()),
    }
}

/// Names by folder, in byte order, of those folders that are wanted.
fn names_by_folder(tracked: &[TrackedFile], wanted: impl Fn(&[u8]) -> bool) -> HashMap<&[u8], Vec<&[u8]>> {
    let mut names: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for it in tracked {
        if it.signature.kind == FileKind::Folder && wanted(it.path.as_bytes()) {
            names.entry(it.path.as_bytes()).or_default();
        }
    }
    for it in tracked {
        let (folder, name) = split(it.path.as_bytes());
        if let Some(them) = names.get_mut(folder)
            && !name.is_empty()
        {
            them.push(name);
        }
    }
    for them in names.values_mut() {
        them.sort_unstable();
    }
    names
}

/// Makes signatures stable, asking about a file system only where it changes from the last.
struct Stable<'a> {
    world: &'a World,
    last: Option<(u64, bool)>,
}

impl<'a> Stable<'a> {
    fn new(world: &'a World) -> Self {
        Stable { world, last: None }
    }

    fn of(&mut self, mut raw: Signature, path: &[u8]) -> Signature {
        let network = match self.last {
            Some((dev, network)) if dev == raw.dev => network,
            _ => self.world.system(raw.dev, path).is_network(),
        };
        self.last = Some((raw.dev, network));
        if network {
            raw.dev = 0;
        }
        raw
    }
}

#[cfg(test)]
mod tests;
