//! A file that is read in parts, each part checked before it is believed.
//!
//! The file: magic, length and checksum of a head, the head, then the body. The head begins with a
//! checksum for each page of the body, so that a reader pays for the pages it touches and nothing else.
//! Knows nothing of what head and body mean.

use std::{fs::File, ops::Range, os::unix::fs::FileExt};

use crate::base::digest::Digest;

const MAGIC: &[u8; 16] = b"assets status 3\n";
const HEAD_CONTEXT: &str = "assets status index head 3";
const PAGE: usize = 16 * 1024;
/// Magic, length of the head, checksum of the head.
const FRONT: usize = 16 + 8 + 32;

/// The bytes of such a file.
pub fn encode(head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut all = (body.len() as u64).to_le_bytes().to_vec();
    for page in body.chunks(PAGE) {
        all.extend_from_slice(&check(page));
    }
    all.extend_from_slice(head);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(all.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&Digest::derive(HEAD_CONTEXT, &all).0);
    bytes.extend_from_slice(&all);
    bytes.extend_from_slice(body);
    bytes
}

fn check(page: &[u8]) -> [u8; 32] {
    Digest::of(page).0
}

/// The body of such a file, as far as it was asked for.
pub struct Pages {
    file: File,
    /// Where the body begins in the file.
    start: u64,
    /// As long as the body; what was not read is zero and no page of the system's.
    bytes: Vec<u8>,
    read: Vec<bool>,
    checks: Vec<u8>,
}

impl Pages {
    /// The head, and the body still to be read. `None` for anything that [`encode`] did not write.
    pub fn open(file: File) -> Option<(Vec<u8>, Pages)> {
        let len = file.metadata().ok()?.len();
        let mut front = [0; FRONT];
        file.read_exact_at(&mut front, 0).ok()?;
        let rest = front.strip_prefix(MAGIC)?;
        let (size, digest) = rest.split_first_chunk::<8>()?;
        let size = u64::from_le_bytes(*size);
        // Before anything of that size is made room for.
        let start = size.checked_add(FRONT as u64).filter(|it| *it <= len)?;
        let mut all = vec![0; usize::try_from(size).ok()?];
        file.read_exact_at(&mut all, FRONT as u64).ok()?;
        if Digest::derive(HEAD_CONTEXT, &all).0 != digest {
            return None;
        }
        let body = usize::try_from(u64::from_le_bytes(*all.first_chunk::<8>()?)).ok()?;
        if len - start != body as u64 {
            return None;
        }
        let pages = body.div_ceil(PAGE);
        let head = all.split_off(8 + pages * 32);
        let checks = all.split_off(8);
        Some((head, Pages { file, start, bytes: vec![0; body], read: vec![false; pages], checks }))
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reads and checks what of `range` was not read yet. `None`: it is not all there, or damaged.
    pub fn require(&mut self, range: Range<usize>) -> Option<()> {
        if range.start > range.end || range.end > self.bytes.len() {
            return None;
        }
        let mut page = range.start / PAGE;
        let end = range.end.div_ceil(PAGE);
        while page < end {
            let unread = self.read[page..end].iter().take_while(|it| !**it).count();
            if unread > 0 {
                self.read_pages(page..page + unread)?;
            }
            page += unread.max(1);
        }
        Some(())
    }

    fn read_pages(&mut self, pages: Range<usize>) -> Option<()> {
        let bytes = pages.start * PAGE..(pages.end * PAGE).min(self.bytes.len());
        let offset = self.start + bytes.start as u64;
        self.file.read_exact_at(&mut self.bytes[bytes.clone()], offset).ok()?;
        for (at, page) in pages.clone().zip(self.bytes[bytes].chunks(PAGE)) {
            if check(page) != self.checks[at * 32..][..32] {
                return None;
            }
        }
        self.read[pages].fill(true);
        Some(())
    }

    /// What was [required](Pages::require) before; nothing, if that lies outside.
    pub fn get(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// A number of four bytes, read if need be.
    pub fn number(&mut self, at: usize) -> Option<u32> {
        let range = at..at.checked_add(4)?;
        self.require(range.clone())?;
        self.get(range).first_chunk::<4>().map(|it| u32::from_le_bytes(*it))
    }
}
