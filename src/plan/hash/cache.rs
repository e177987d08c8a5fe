//! What files were found to be, kept between runs in one flat file that may be lost at any time.
//!
//! # The file
//!
//! Magic, then three sections, each framed by its length (u64) and blake3 checksum: what is compared at every
//! look (folders, names, signatures), digests, and listings of patterns. Numbers are little endian.
//! Columns, not records: it is read in one go and nothing is allocated per file; entries are found by
//! binary search of the folder, then of the name, or at once where questions come in order. Anything
//! that does not fit (damage, another version) makes the cache empty, with a note.
//!
//! A million files make it a hundred megabytes. So it is neither read for a few files that are read as
//! soon, nor written for what is learnt anew as soon: [`FileCache::is_dearer`].

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{digest::Digest, fs},
    plan::hash::{
        Signature,
        cache::{
            columns::{Columns, ColumnsBuilder},
            listings::Listings,
        },
        listing::Listing,
        signature::split,
    },
};

mod columns;
mod frame;
mod listings;

const MAGIC: &[u8; 16] = b"assets files 01\n";

const DAMAGED: &str = "damaged or of another version; files are read anew";

/// What a file was found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub signature: Signature,
    pub digest: Digest,
    pub racy: bool,
}

impl Entry {
    /// Only one of the two can be true, and this one was believed.
    fn contradicts(&self, other: &Entry) -> bool {
        !self.racy && self.signature == other.signature && self.digest != other.digest
    }
}

/// Paths below one project and what was found there.
#[derive(Default)]
pub struct FileCache {
    columns: Columns,
    /// What is newer than the columns; `None`: forgotten.
    fresh: HashMap<Box<[u8]>, Option<Entry>>,
    listings: Listings,
    /// What is kept is wrong or not enough, whatever it costs to write it.
    changed: bool,
    /// What it cost to learn what is not kept, in bytes read.
    learnt: u64,
    /// The length of what is kept.
    kept: u64,
    /// Where that lies, until it is read.
    unread: Option<PathBuf>,
    note: Option<String>,
}

/// To open a file, ask about it and close it takes as long as to read so many bytes.
const OPENING: u64 = 16 << 10;

/// What it costs to learn the digest of a file, in bytes read.
pub(super) fn cost(signature: &Signature) -> u64 {
    OPENING.saturating_add(signature.size)
}

/// So many fresh entries are at least kept apart; merging them costs a pass over all.
const FRESH_MIN: usize = 4096;

impl FileCache {
    /// What was kept in `file`. Empty if that is not there or not whole.
    pub fn load(file: &Path) -> Self {
        let bytes = match fs::read_if_there(file) {
            Ok(None) => return FileCache::default(),
            Ok(Some(bytes)) => bytes,
            Err(error) => return FileCache { note: Some(error.to_string()), ..FileCache::default() },
        };
        let kept = bytes.len() as u64;
        let cache = FileCache::decode(bytes).unwrap_or_else(|| {
            let note = format!("{} is {DAMAGED}", file.display());
            FileCache { note: Some(note), changed: true, ..FileCache::default() }
        });
        FileCache { kept, ..cache }
    }

    /// The same, read only when so much is asked that it is worth it.
    pub fn later(file: &Path) -> Self {
        match fs::look(file) {
            Ok(None) => FileCache::default(),
            Ok(Some(there)) => FileCache { kept: there.len(), unread: Some(file.to_owned()), ..FileCache::default() },
            Err(_) => FileCache::load(file),
        }
    }

    /// Reads what was left unread.
    pub(super) fn read(&mut self) {
        if let Some(file) = self.unread.take() {
            let FileCache { columns, listings, changed, note, .. } = FileCache::load(&file);
            self.changed |= changed;
            (self.columns, self.listings, self.note) = (columns, listings, note);
        }
    }

    /// Whether it was left unread and to read it takes longer than to learn what costs so much, and what
    /// was learnt already.
    pub(super) fn is_dearer(&self, cost: u64) -> bool {
        self.unread.is_some() && self.learnt.saturating_add(cost) < self.kept
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// Why nothing is remembered, if that should be known. Damage may show only when it is met.
    pub fn note(&self) -> Option<String> {
        let damaged = self.columns.is_damaged().then(|| format!("what is remembered of files is {DAMAGED}"));
        self.note.clone().or(damaged)
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let [hot, digests, listings] = frame::read(MAGIC, bytes)?;
        let columns = Columns::decode(&hot, digests)?;
        Some(FileCache { columns, listings: Listings::new(listings), ..FileCache::default() })
    }

    fn encode(&self) -> Vec<u8> {
        frame::write(MAGIC, [&self.columns.encode(), self.columns.digests(), &self.listings.encode()])
    }

    /// Writes everything, if it is worth it.
    pub(super) fn save(&mut self, file: &Path) -> fs::Result<()> {
        if !self.changed && self.learnt <= self.kept {
            return Ok(());
        }
        self.merge(Vec::new());
        if self.columns.is_damaged() {
            self.columns = Columns::default();
        }
        let bytes = self.encode();
        fs::write_atomic(file, &bytes)?;
        (self.changed, self.learnt, self.kept) = (false, 0, bytes.len() as u64);
        Ok(())
    }

    /// Finds entries; fastest for paths in order.
    pub(super) fn reader(&self) -> CacheReader<'_> {
        CacheReader { cache: self, place: columns::Place::default() }
    }

    /// Takes over what was found; `None` forgets.
    pub(super) fn update(&mut self, news: Vec<(&[u8], Option<Entry>)>) {
        if self.fresh.len() + news.len() > FRESH_MIN.max(self.columns.len() / 8) {
            self.changed = true;
            self.merge(news);
            return;
        }
        for (path, entry) in news {
            let before = self.reader().get(path);
            self.changed |= match (&before, &entry) {
                (Some(before), Some(entry)) => before.contradicts(entry),
                (Some(_), None) => true,
                (None, _) => false,
            };
            self.learnt = self.learnt.saturating_add(entry.map_or(0, |it| cost(&it.signature)));
            if entry.is_some() || before.is_some() || self.unread.is_some() {
                self.fresh.insert(path.into(), entry);
            }
        }
    }

    pub(super) fn remove(&mut self, path: &[u8]) {
        self.read();
        self.update(vec![(path, None)]);
    }

    pub(super) fn listing(&self, key: &Digest) -> Option<Arc<Listing>> {
        self.listings.get(key)
    }

    pub(super) fn set_listing(&mut self, key: Digest, listing: Arc<Listing>) {
        self.read();
        self.changed = true;
        self.listings.set(key, listing);
    }

    /// Puts what is fresh, and `news` over it, into the columns.
    fn merge(&mut self, news: Vec<(&[u8], Option<Entry>)>) {
        self.read();
        let fresh = std::mem::take(&mut self.fresh);
        let mut updates: Vec<(&[u8], Option<Entry>)> = fresh.iter().map(|(path, it)| (&**path, *it)).collect();
        updates.extend(news);
        if updates.is_empty() {
            return;
        }
        // The sort is stable: of two about one path the later stays last, and wins.
        updates.sort_by(|a, b| split(a.0).cmp(&split(b.0)));
        let mut merged = ColumnsBuilder::default();
        let mut old = self.columns.iter().peekable();
        let mut updates = updates.into_iter().peekable();
        while let Some((path, entry)) = updates.next() {
            if updates.peek().is_some_and(|next| next.0 == path) {
                continue;
            }
            while let Some((folder, name, entry)) = old.next_if(|it| (it.0, it.1) < split(path)) {
                merged.push(folder, name, &entry);
            }
            let _replaced = old.next_if(|it| (it.0, it.1) == split(path));
            if let Some(entry) = entry {
                let (folder, name) = split(path);
                merged.push(folder, name, &entry);
            }
        }
        for (folder, name, entry) in old {
            merged.push(folder, name, &entry);
        }
        self.columns = merged.finish();
    }
}

/// Looks things up in a cache, from where it last found something.
pub(super) struct CacheReader<'a> {
    cache: &'a FileCache,
    place: columns::Place,
}

impl CacheReader<'_> {
    pub(super) fn get(&mut self, path: &[u8]) -> Option<Entry> {
        if !self.cache.fresh.is_empty()
            && let Some(fresh) = self.cache.fresh.get(path)
        {
            return *fresh;
        }
        let (folder, name) = split(path);
        self.cache.columns.find(folder, name, &mut self.place)
    }
}

#[cfg(test)]
mod tests;
