//! Sections of a file, each proved whole by its checksum, and the written form of listings.

use std::collections::HashMap;

use crate::{
    base::digest::Digest,
    plan::hash::{
        FileKind, Signature,
        listing::{Listing, Visited},
    },
};

/// Length and checksum of one section.
const HEAD: usize = 8 + 32;

pub(super) fn write(magic: &[u8], sections: [&[u8]; 3]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(magic.len() + sections.iter().map(|it| HEAD + it.len()).sum::<usize>());
    out.extend_from_slice(magic);
    for section in sections {
        out.extend_from_slice(&u64::try_from(section.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&Digest::of(section).0);
    }
    for section in sections {
        out.extend_from_slice(section);
    }
    Some(out)
}

/// `None` unless every byte is as it was written.
pub(super) fn read<'a>(magic: &[u8], bytes: &'a [u8]) -> Option<[&'a [u8]; 3]> {
    let bytes = bytes.strip_prefix(magic)?;
    let (heads, mut rest) = bytes.split_at_checked(3 * HEAD)?;
    let mut sections = [&[][..]; 3];
    for (section, head) in sections.iter_mut().zip(heads.chunks_exact(HEAD)) {
        let (length, checksum) = head.split_at(8);
        let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        (*section, rest) = rest.split_at_checked(length)?;
        if Digest::of(section).0 != *checksum {
            return None;
        }
    }
    rest.is_empty().then_some(sections)
}

pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn signed(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text);
}

/// Kind, executable and racy in one byte.
pub(super) fn flags(signature: &Signature, racy: bool) -> u8 {
    signature.kind as u8 | u8::from(signature.executable) << 2 | u8::from(racy) << 3
}

/// Kind, executable and racy out of it.
pub(super) fn unflag(flags: u8) -> (FileKind, bool, bool) {
    let kind = [FileKind::File, FileKind::Folder, FileKind::Link, FileKind::Odd][usize::from(flags & 3)];
    (kind, flags & 4 != 0, flags & 8 != 0)
}

pub(super) fn write_listings(listings: &HashMap<Digest, Listing>) -> Option<Vec<u8>> {
    let mut sorted: Vec<_> = listings.iter().collect();
    sorted.sort_unstable_by_key(|it| it.0);
    let mut out = Vec::new();
    for (key, listing) in sorted {
        out.extend_from_slice(&key.0);
        out.extend_from_slice(&(listing.visited.len() as u64).to_le_bytes());
        for Visited { path, stamp, names } in &listing.visited {
            put_text(&mut out, path);
            put_text(&mut out, names);
            out.push(u8::from(stamp.is_some()));
            if let Some((it, racy)) = stamp {
                for number in [it.dev, it.ino, it.size] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                for number in [it.mtime_ns, it.ctime_ns] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.push(flags(it, *racy));
            }
        }
    }
    Some(out)
}

pub(super) fn read_listings(bytes: &[u8]) -> Option<HashMap<Digest, Listing>> {
    let mut fields = Fields(bytes);
    let mut listings = HashMap::new();
    while !fields.0.is_empty() {
        let key = Digest(fields.take(32)?.try_into().ok()?);
        let mut visited = Vec::new();
        for _ in 0..fields.number()? {
            let (path, names) = (fields.text()?.into(), fields.text()?.into());
            let stamp = if fields.take(1)? == [0] { None } else { Some(read_stamp(&mut fields)?) };
            visited.push(Visited { path, stamp, names });
        }
        listings.insert(key, Listing { visited });
    }
    Some(listings)
}

fn read_stamp(fields: &mut Fields<'_>) -> Option<(Signature, bool)> {
    let (dev, ino, size) = (fields.number()?, fields.number()?, fields.number()?);
    let (mtime_ns, ctime_ns) = (fields.signed()?, fields.signed()?);
    let (kind, executable, racy) = unflag(fields.take(1)?[0]);
    Some((Signature { dev, ino, size, mtime_ns, ctime_ns, kind, executable }, racy))
}
