//! Entries by folder and name, sorted, in columns that are also their written form.

use std::ops::Range;

use crate::{
    base::digest::Digest,
    plan::hash::cache::{
        Entry,
        frame::{Fields, SIGNATURE, Section, Shared, put_signature, signature},
    },
};

/// A signature, and the place of its device among the devices.
const RECORD: usize = SIGNATURE + 2;

/// Columns of the first section.
const COLUMNS: usize = 7;

/// The digests are a section of their own: where nothing is the same, nobody asks for them.
#[derive(Default)]
pub(super) struct Columns {
    devices: Vec<u64>,
    folders: Texts<Shared>,
    /// For each folder, the end of its entries: u32, little endian, as all ends.
    ends: Shared,
    names: Texts<Shared>,
    records: Shared,
    digests: Section,
}

/// Texts one after another, and where each ends.
#[derive(Default)]
struct Texts<B> {
    bytes: B,
    ends: B,
}

fn number_at(numbers: &[u8], index: usize) -> usize {
    let at = index * 4;
    numbers.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, |it| u32::from_le_bytes(it) as usize)
}

/// From the end of the one before to its own.
fn range_at(ends: &[u8], index: usize) -> Range<usize> {
    let start = if index == 0 { 0 } else { number_at(ends, index - 1) };
    start..number_at(ends, index)
}

impl<B: std::ops::Deref<Target = [u8]>> Texts<B> {
    fn get(&self, index: usize) -> &[u8] {
        self.bytes.get(range_at(&self.ends, index)).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.ends.len() / 4
    }
}

impl Texts<Vec<u8>> {
    /// `false` if there is no room for it.
    fn push(&mut self, text: &[u8]) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + text.len()) else { return false };
        self.bytes.extend_from_slice(text);
        self.ends.extend_from_slice(&end.to_le_bytes());
        true
    }

    fn finish(self) -> Texts<Shared> {
        Texts { bytes: self.bytes.into(), ends: self.ends.into() }
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

    /// Whether the digests are not what was written: then nothing is found.
    pub(super) fn is_damaged(&self) -> bool {
        self.digests().len() != self.len() * 32
    }

    /// Empty if they are damaged.
    pub(super) fn digests(&self) -> &[u8] {
        self.digests.get().map_or(&[], |it| it)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let devices: Vec<u8> = self.devices.iter().flat_map(|it| it.to_le_bytes()).collect();
        let columns: [&[u8]; COLUMNS] = [
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

    /// `None` if the section is damaged.
    pub(super) fn decode(section: &Section, digests: Section) -> Option<Self> {
        let bytes = section.get()?;
        let mut lengths = Fields(bytes.get(..COLUMNS * 8)?);
        let mut start = COLUMNS * 8;
        let mut column = || {
            let end = start.checked_add(usize::try_from(lengths.number()?).ok()?)?;
            let column = bytes.slice(start..end);
            start = end;
            column
        };
        let devices = column()?;
        let folders = Texts { bytes: column()?, ends: column()? };
        let ends = column()?;
        let names = Texts { bytes: column()?, ends: column()? };
        let records = column()?;
        let devices = devices.as_chunks().0.iter().map(|it| u64::from_le_bytes(*it)).collect();
        Some(Columns { devices, folders, ends, names, records, digests })
    }

    pub(super) fn find(&self, folder: &[u8], name: &[u8], place: &mut Place) -> Option<Entry> {
        if place.folder.is_none_or(|it| self.folders.get(it) != folder) {
            let at = search(0..self.folders.len(), |index| self.folders.get(index).cmp(folder))?;
            let entries = range_at(&self.ends, at);
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
        let dev = *self.devices.get(usize::from(u16::from_le_bytes(fields.take(2)?.try_into().ok()?)))?;
        let (signature, racy) = signature(&mut fields, dev)?;
        let digest = self.digests.get()?.get(index * 32..(index + 1) * 32)?.try_into().ok()?;
        Some(Entry { signature, digest: Digest(digest), racy })
    }

    /// Folder, name and entry of each, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Entry)> {
        (0..self.folders.len()).flat_map(move |folder| {
            let entries = range_at(&self.ends, folder);
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
    devices: Vec<u64>,
    folders: Texts<Vec<u8>>,
    /// Of all folders but the last, which is still open.
    ends: Vec<u8>,
    names: Texts<Vec<u8>>,
    records: Vec<u8>,
    digests: Vec<u8>,
}

impl ColumnsBuilder {
    /// What there is no room for is left out: it will be read anew.
    pub(super) fn push(&mut self, folder: &[u8], name: &[u8], entry: &Entry) {
        let known = self.devices.iter().position(|it| *it == entry.signature.dev);
        let Ok(device) = u16::try_from(known.unwrap_or(self.devices.len())) else { return };
        let folders = self.folders.len();
        if folders == 0 || self.folders.get(folders - 1) != folder {
            if !self.folders.push(folder) {
                return;
            }
            if folders > 0 {
                self.end_folder();
            }
        }
        if !self.names.push(name) {
            return;
        }
        if known.is_none() {
            self.devices.push(entry.signature.dev);
        }
        self.records.extend_from_slice(&device.to_le_bytes());
        put_signature(&mut self.records, &entry.signature, entry.racy);
        self.digests.extend_from_slice(&entry.digest.0);
    }

    fn end_folder(&mut self) {
        let end = u32::try_from(self.names.len()).expect("names whose ends are u32 are fewer than that");
        self.ends.extend_from_slice(&end.to_le_bytes());
    }

    pub(super) fn finish(mut self) -> Columns {
        if self.folders.len() > 0 {
            self.end_folder();
        }
        Columns {
            devices: self.devices,
            folders: self.folders.finish(),
            ends: self.ends.into(),
            names: self.names.finish(),
            records: self.records.into(),
            digests: self.digests.into(),
        }
    }
}
