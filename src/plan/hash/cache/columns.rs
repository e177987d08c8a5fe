//! Entries by folder and name, sorted, in columns that are also their written form.

use std::ops::Range;

use crate::{
    base::digest::Digest,
    plan::hash::{
        Signature,
        cache::{
            Entry,
            frame::{Fields, flags, unflag},
        },
    },
};

/// Inode, size, mtime, ctime, place of the device among the devices, flags.
const RECORD: usize = 8 * 4 + 2 + 1;

#[derive(Default)]
pub(super) struct Columns {
    devices: Vec<u64>,
    folders: Texts,
    /// For each folder, the end of its entries.
    ends: Vec<u8>,
    names: Texts,
    records: Vec<u8>,
    digests: Vec<u8>,
}

/// Texts one after another, and where each ends.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    /// u32 each, little endian.
    ends: Vec<u8>,
}

fn number_at(numbers: &[u8], index: usize) -> usize {
    let at = index * 4;
    numbers.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, |it| u32::from_le_bytes(it) as usize)
}

impl Texts {
    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { number_at(&self.ends, index - 1) };
        self.bytes.get(start..number_at(&self.ends, index)).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.ends.len() / 4
    }

    /// `false` if there is no room for it.
    fn push(&mut self, text: &[u8]) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + text.len()) else { return false };
        self.bytes.extend_from_slice(text);
        self.ends.extend_from_slice(&end.to_le_bytes());
        true
    }
}

/// Where something was found last, so that what comes next is found at once.
#[derive(Default)]
pub(super) struct Place {
    folder: Option<usize>,
    entries: Range<usize>,
    next: usize,
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn digests(&self) -> &[u8] {
        &self.digests
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let devices: Vec<u8> = self.devices.iter().flat_map(|it| it.to_le_bytes()).collect();
        let columns: [&[u8]; 7] = [
            &devices,
            &self.folders.bytes,
            &self.folders.ends,
            &self.ends,
            &self.names.bytes,
            &self.names.ends,
            &self.records,
        ];
        let mut out = Vec::with_capacity(columns.iter().map(|it| it.len() + 8).sum());
        for column in columns {
            out.extend_from_slice(&(column.len() as u64).to_le_bytes());
        }
        for column in columns {
            out.extend_from_slice(column);
        }
        out
    }

    /// `None` if the columns do not fit each other.
    pub(super) fn decode(bytes: &[u8], digests: &[u8]) -> Option<Self> {
        let (mut lengths, mut rest) = (Fields(bytes.get(..56)?), Fields(bytes.get(56..)?));
        let mut column = || rest.take(usize::try_from(lengths.number()?).ok()?);
        let devices =
            column()?.chunks_exact(8).map(|it| it.try_into().map(u64::from_le_bytes)).collect::<Result<_, _>>();
        let folders = Texts { bytes: column()?.to_vec(), ends: column()?.to_vec() };
        let ends = column()?.to_vec();
        let names = Texts { bytes: column()?.to_vec(), ends: column()?.to_vec() };
        let records = column()?.to_vec();
        let them = Columns { devices: devices.ok()?, folders, ends, names, records, digests: digests.to_vec() };
        let count = them.len();
        let fits = them.records.len() == count * RECORD
            && them.digests.len() == count * 32
            && them.ends.len() == them.folders.ends.len();
        fits.then_some(them)
    }

    fn entries_of(&self, folder: usize) -> Range<usize> {
        let start = if folder == 0 { 0 } else { number_at(&self.ends, folder - 1) };
        start..number_at(&self.ends, folder)
    }

    pub(super) fn find(&self, folder: &[u8], name: &[u8], place: &mut Place) -> Option<Entry> {
        if place.folder.is_none_or(|it| self.folders.get(it) != folder) {
            let at = search(0..self.folders.len(), |index| self.folders.get(index).cmp(folder))?;
            let entries = self.entries_of(at);
            *place = Place { folder: Some(at), next: entries.start, entries };
        }
        if place.entries.contains(&place.next) && self.names.get(place.next) == name {
            place.next += 1;
            return self.entry(place.next - 1);
        }
        let at = search(place.entries.clone(), |index| self.names.get(index).cmp(name))?;
        place.next = at + 1;
        self.entry(at)
    }

    fn entry(&self, index: usize) -> Option<Entry> {
        let record = self.records.get(index * RECORD..(index + 1) * RECORD)?;
        let mut fields = Fields(record);
        let (ino, size) = (fields.number()?, fields.number()?);
        let (mtime_ns, ctime_ns) = (fields.number()?.cast_signed(), fields.number()?.cast_signed());
        let dev = *self.devices.get(usize::from(u16::from_le_bytes(fields.take(2)?.try_into().ok()?)))?;
        let (kind, executable, racy) = unflag(fields.take(1)?[0]);
        let digest = Digest(self.digests.get(index * 32..(index + 1) * 32)?.try_into().ok()?);
        let signature = Signature { dev, ino, size, mtime_ns, ctime_ns, kind, executable };
        Some(Entry { signature, digest, racy })
    }

    /// Folder, name and entry of each, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Entry)> {
        (0..self.folders.len()).flat_map(move |folder| {
            let entries = self.entries_of(folder);
            entries.filter_map(move |at| Some((self.folders.get(folder), self.names.get(at), self.entry(at)?)))
        })
    }
}

/// Binary search among sorted places.
fn search(mut within: Range<usize>, compare: impl Fn(usize) -> std::cmp::Ordering) -> Option<usize> {
    while !within.is_empty() {
        let middle = within.start + within.len() / 2;
        match compare(middle) {
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Less => within.start = middle + 1,
            std::cmp::Ordering::Greater => within.end = middle,
        }
    }
    None
}

/// Takes entries in order of folder, then name.
#[derive(Default)]
pub(super) struct ColumnsBuilder {
    columns: Columns,
}

impl ColumnsBuilder {
    /// What there is no room for is left out: it will be read anew.
    pub(super) fn push(&mut self, folder: &[u8], name: &[u8], entry: &Entry) {
        let them = &mut self.columns;
        let signature = &entry.signature;
        let device = them.devices.iter().position(|it| *it == signature.dev).unwrap_or_else(|| {
            them.devices.push(signature.dev);
            them.devices.len() - 1
        });
        let Ok(device) = u16::try_from(device) else { return };
        let last = them.folders.len().wrapping_sub(1);
        let same_folder = them.folders.len() > 0 && them.folders.get(last) == folder;
        if !same_folder && !them.folders.push(folder) {
            return;
        }
        if !same_folder {
            let start = if last == usize::MAX { 0 } else { number_at(&them.ends, last) };
            them.ends.extend_from_slice(&(start as u32).to_le_bytes());
        }
        if !them.names.push(name) {
            return;
        }
        let end = them.ends.len() - 4;
        them.ends.truncate(end);
        them.ends.extend_from_slice(&(them.names.len() as u32).to_le_bytes());
        them.records.extend_from_slice(&signature.ino.to_le_bytes());
        them.records.extend_from_slice(&signature.size.to_le_bytes());
        them.records.extend_from_slice(&signature.mtime_ns.to_le_bytes());
        them.records.extend_from_slice(&signature.ctime_ns.to_le_bytes());
        them.records.extend_from_slice(&device.to_le_bytes());
        them.records.push(flags(signature, entry.racy));
        them.digests.extend_from_slice(&entry.digest.0);
    }

    pub(super) fn finish(self) -> Columns {
        self.columns
    }
}
