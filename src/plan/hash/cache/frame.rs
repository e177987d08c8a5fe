//! Sections of a file, each proved whole by its checksum before anything in it is believed.

use std::{
    ops::{Deref, Range},
    sync::{Arc, OnceLock},
};

use crate::{
    base::digest::Digest,
    plan::hash::{FileKind, Signature},
};

/// A part of bytes that are read once and shared.
#[derive(Clone, Default)]
pub(super) struct Shared {
    whole: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Shared {
    /// `None` if the range is not all there.
    pub(super) fn slice(&self, range: Range<usize>) -> Option<Self> {
        let range = self.range.start.checked_add(range.start)?..self.range.start.checked_add(range.end)?;
        (range.start <= range.end && range.end <= self.range.end).then(|| Shared { whole: self.whole.clone(), range })
    }
}

impl From<Vec<u8>> for Shared {
    fn from(bytes: Vec<u8>) -> Self {
        Shared { range: 0..bytes.len(), whole: Arc::new(bytes) }
    }
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.whole.get(self.range.clone()).unwrap_or_default()
    }
}

/// A section whose checksum is compared when it is first wanted: a run that needs nothing of it does
/// not pay for it.
#[derive(Clone, Default)]
pub(super) struct Section {
    bytes: Shared,
    checksum: Option<[u8; 32]>,
    whole: OnceLock<bool>,
}

impl Section {
    /// `None` if it is damaged.
    pub(super) fn get(&self) -> Option<&Shared> {
        let whole = || self.checksum.is_none_or(|it| Digest::of(&self.bytes).0 == it);
        self.whole.get_or_init(whole).then_some(&self.bytes)
    }
}

impl From<Vec<u8>> for Section {
    /// Just made: nothing to compare with.
    fn from(bytes: Vec<u8>) -> Self {
        Section { bytes: bytes.into(), checksum: None, whole: OnceLock::from(true) }
    }
}

/// Length and checksum of one section.
const HEAD: usize = 8 + 32;

pub(super) fn write(magic: &[u8], sections: [&[u8]; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(magic.len() + sections.iter().map(|it| HEAD + it.len()).sum::<usize>());
    out.extend_from_slice(magic);
    for section in sections {
        out.extend_from_slice(&(section.len() as u64).to_le_bytes());
        out.extend_from_slice(&Digest::of(section).0);
    }
    for section in sections {
        out.extend_from_slice(section);
    }
    out
}

/// `None` if it was not written with this magic, or not to its end.
pub(super) fn read(magic: &[u8], bytes: Vec<u8>) -> Option<[Section; 3]> {
    let bytes = Shared::from(bytes);
    let mut heads = Fields(bytes.strip_prefix(magic)?.get(..3 * HEAD)?);
    let mut start = magic.len() + 3 * HEAD;
    let mut sections = [Section::default(), Section::default(), Section::default()];
    for section in &mut sections {
        let end = start.checked_add(usize::try_from(heads.number()?).ok()?)?;
        section.checksum = Some(heads.take(32)?.try_into().ok()?);
        section.bytes = bytes.slice(start..end)?;
        start = end;
    }
    (start == bytes.len()).then_some(sections)
}

/// Takes fields off the front of bytes; `None` where they are too short.
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

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|it| it[0])
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text);
}

/// Inode, size, mtime, ctime; then kind, executable and racy in one byte. The device stands elsewhere.
pub(super) const SIGNATURE: usize = 8 * 4 + 1;

pub(super) fn put_signature(out: &mut Vec<u8>, it: &Signature, racy: bool) {
    for number in [it.ino, it.size, it.mtime_ns.cast_unsigned(), it.ctime_ns.cast_unsigned()] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(it.kind as u8 | u8::from(it.executable) << 2 | u8::from(racy) << 3);
}

pub(super) fn signature(fields: &mut Fields<'_>, dev: u64) -> Option<(Signature, bool)> {
    let (ino, size) = (fields.number()?, fields.number()?);
    let (mtime_ns, ctime_ns) = (fields.number()?.cast_signed(), fields.number()?.cast_signed());
    let flags = fields.byte()?;
    let kind = [FileKind::File, FileKind::Folder, FileKind::Link, FileKind::Odd][usize::from(flags & 3)];
    Some((Signature { dev, ino, size, mtime_ns, ctime_ns, kind, executable: flags & 4 != 0 }, flags & 8 != 0))
}
