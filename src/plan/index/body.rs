//! The tables of the status index: names, lists of numbers, files with signatures.
//!
//! Each table knows where its columns lie in the body and reads single rows of them through
//! [`Pages`]; what is read is checked there. A number that leads out of its table is no answer.

use std::ops::Range;

use crate::{
    base::digest::Digest,
    model::fingerprint::PartKind,
    plan::{
        hash::{FileKind, Signature},
        index::{GroundFile, GroundStep, pages::Pages},
    },
};

/// dev, ino, size, mtime, ctime, kind and mode.
pub const SIGNATURE_BYTES: usize = 48;

/// Takes the next column's place.
type Next<'a> = dyn FnMut() -> Option<Range<usize>> + 'a;

/// `number`, four bytes. What counts beyond it is not written by anyone: four thousand million files.
fn small(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn column(body: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let start = body.len();
    write(body);
    start..body.len()
}

/// Number `at` of a column of numbers.
fn number(pages: &mut Pages, column: &Range<usize>, at: usize) -> Option<usize> {
    let place = column.start.checked_add(at.checked_mul(4)?)?;
    if place + 4 > column.end {
        return None;
    }
    pages.number(place).map(|it| it as usize)
}

/// Texts one after the other, told apart by where they end.
#[derive(Debug)]
struct Texts {
    ends: Range<usize>,
    bytes: Range<usize>,
}

impl Texts {
    fn write<'a>(body: &mut Vec<u8>, texts: impl Iterator<Item = &'a [u8]> + Clone) -> Texts {
        let ends = column(body, |body| {
            let mut end = 0;
            for text in texts.clone() {
                end += text.len();
                body.extend_from_slice(&small(end));
            }
        });
        Texts { ends, bytes: column(body, |body| texts.for_each(|it| body.extend_from_slice(it))) }
    }

    fn of(next: &mut Next<'_>) -> Option<Texts> {
        Some(Texts { ends: next()?, bytes: next()? })
    }

    fn count(&self) -> usize {
        self.ends.len() / 4
    }

    fn require(&self, pages: &mut Pages, at: usize) -> Option<()> {
        let start = if at == 0 { 0 } else { number(pages, &self.ends, at - 1)? };
        let end = number(pages, &self.ends, at)?;
        let range = self.bytes.start.checked_add(start)?..self.bytes.start.checked_add(end)?;
        (range.end <= self.bytes.end).then(|| pages.require(range))?
    }

    /// Of what was required.
    fn get<'p>(&self, pages: &'p Pages, at: usize) -> &'p [u8] {
        let end = |at: usize| {
            let bytes = pages.get(self.ends.start + at * 4..self.ends.start + at * 4 + 4);
            bytes.first_chunk::<4>().map_or(0, |it| u32::from_le_bytes(*it) as usize)
        };
        let start = if at == 0 { 0 } else { end(at - 1) };
        pages.get(self.bytes.start + start..self.bytes.start + end(at))
    }
}

/// A list of numbers for each step.
#[derive(Debug)]
pub struct Lists {
    ends: Range<usize>,
    items: Range<usize>,
}

pub fn write_lists<'a>(body: &mut Vec<u8>, lists: impl Iterator<Item = &'a [u32]> + Clone) -> Lists {
    let ends = column(body, |body| {
        let mut end = 0;
        for list in lists.clone() {
            end += list.len();
            body.extend_from_slice(&small(end));
        }
    });
    let items = column(body, |body| lists.flatten().for_each(|it| body.extend_from_slice(&it.to_le_bytes())));
    Lists { ends, items }
}

impl Lists {
    pub fn of(next: &mut Next<'_>) -> Option<Lists> {
        Some(Lists { ends: next()?, items: next()? })
    }

    pub fn ranges(self) -> Vec<Range<usize>> {
        vec![self.ends, self.items]
    }

    /// Adds the list of `step` to `out`.
    pub fn read(&self, pages: &mut Pages, step: u32, out: &mut Vec<u32>) -> Option<()> {
        let items = self.places(pages, step)?;
        let place = |at: usize| self.items.start.checked_add(at.checked_mul(4)?);
        let range = place(items.start)?..place(items.end)?;
        if range.end > self.items.end {
            return None;
        }
        pages.require(range.clone())?;
        out.extend(pages.get(range).as_chunks().0.iter().map(|it| u32::from_le_bytes(*it)));
        Some(())
    }

    /// Which of all items are the list of `step`.
    fn places(&self, pages: &mut Pages, step: u32) -> Option<Range<usize>> {
        let step = step as usize;
        let start = if step == 0 { 0 } else { number(pages, &self.ends, step - 1)? };
        Some(start..number(pages, &self.ends, step)?)
    }
}

/// Asset keys, sorted, with the step that makes each; and how many assets a step makes.
#[derive(Debug)]
pub struct Names {
    texts: Texts,
    steps: Range<usize>,
    made: Range<usize>,
}

pub fn write_names(body: &mut Vec<u8>, steps: &[GroundStep]) -> Names {
    let mut keys: Vec<(&[u8], usize)> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        keys.extend(step.keys.iter().map(|it| (it.as_bytes(), at)));
    }
    keys.sort_unstable();
    let texts = Texts::write(body, keys.iter().map(|it| it.0));
    let of = column(body, |body| keys.iter().for_each(|it| body.extend_from_slice(&small(it.1))));
    let made = column(body, |body| steps.iter().for_each(|it| body.extend_from_slice(&small(it.keys.len()))));
    Names { texts, steps: of, made }
}

impl Names {
    pub fn of(next: &mut Next<'_>) -> Option<Names> {
        Some(Names { texts: Texts::of(next)?, steps: next()?, made: next()? })
    }

    pub fn ranges(self) -> Vec<Range<usize>> {
        vec![self.texts.ends, self.texts.bytes, self.steps, self.made]
    }

    pub fn count(&self) -> usize {
        self.texts.count()
    }

    /// The step that makes the asset `key`.
    pub fn find(&self, pages: &mut Pages, key: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            self.texts.require(pages, middle)?;
            match self.texts.get(pages, middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return u32::try_from(number(pages, &self.steps, middle)?).ok(),
            }
        }
        None
    }

    /// How many assets `step` makes.
    pub fn made(&self, pages: &mut Pages, step: u32) -> Option<usize> {
        number(pages, &self.made, step as usize)
    }
}

/// Paths with signatures, a folder's together, each once; and which of them a step rests on.
#[derive(Debug)]
pub struct Files {
    paths: Texts,
    signatures: Range<usize>,
    pub of_step: Lists,
    /// Of each file, what it held. Empty where no file is part of a fingerprint.
    digests: Range<usize>,
    /// For each item of `of_step` as what the file counts there: the number of a part's kind, or 0. As
    /// `digests`, it may be empty.
    kinds: Range<usize>,
}

pub fn write_files<'a>(body: &mut Vec<u8>, of_steps: impl Iterator<Item = &'a [GroundFile<'a>]> + Clone) -> Files {
    let all = || of_steps.clone().flatten();
    let path_of = |it: &GroundFile<'a>| it.file.path.as_bytes();
    let mut sorted: Vec<(&GroundFile<'a>, usize)> = all().zip(0..).collect();
    // The sort is one for lists that are nearly in order.
    sorted.sort_by(|(a, _), (b, _)| (folder(path_of(a)), path_of(a)).cmp(&(folder(path_of(b)), path_of(b))));
    let mut items = vec![[0; 4]; sorted.len()];
    let mut files: Vec<&GroundFile<'a>> = Vec::with_capacity(sorted.len());
    let signatures = column(body, |body| {
        for same in sorted.chunk_by(|a, b| path_of(a.0) == path_of(b.0)) {
            same.iter().for_each(|it| items[it.1] = small(files.len()));
            // Seen as two things, it was changing: no signature is that of both.
            let content = |it: &GroundFile<'a>| (it.file.signature, it.file.digest);
            let alike = same.iter().all(|it| content(it.0) == content(same[0].0));
            let signature = if alike { same[0].0.file.signature } else { Signature::default() };
            body.extend_from_slice(&signature_bytes(&signature));
            files.push(same[0].0);
        }
    });
    drop(sorted);
    let paths = Texts::write(body, files.iter().map(|it| path_of(it)));
    let ends = column(body, |body| {
        let mut end = 0;
        for files in of_steps.clone() {
            end += files.len();
            body.extend_from_slice(&small(end));
        }
    });
    let items = column(body, |body| body.extend_from_slice(items.as_flattened()));
    let told = all().any(|it| it.part.is_some());
    let digests = column(body, |body| {
        files.iter().filter(|_| told).for_each(|it| body.extend_from_slice(&it.file.digest.0));
    });
    let kinds = column(body, |body| body.extend(all().filter(|_| told).map(|it| it.part.map_or(0, |it| it as u8))));
    Files { paths, signatures, of_step: Lists { ends, items }, digests, kinds }
}

/// What is before the last slash.
fn folder(path: &[u8]) -> &[u8] {
    path.iter().rposition(|it| *it == b'/').map_or(&[], |at| &path[..at])
}

impl Files {
    pub fn of(next: &mut Next<'_>) -> Option<Files> {
        let paths = Texts::of(next)?;
        let (signatures, of_step) = (next()?, Lists::of(next)?);
        let files = Files { paths, signatures, of_step, digests: next()?, kinds: next()? };
        (files.signatures.len() == files.count() * SIGNATURE_BYTES).then_some(files)
    }

    pub fn ranges(self) -> Vec<Range<usize>> {
        let of_step = self.of_step.ranges();
        [vec![self.paths.ends, self.paths.bytes, self.signatures], of_step, vec![self.digests, self.kinds]].concat()
    }

    pub fn count(&self) -> usize {
        self.paths.count()
    }

    pub fn require(&self, pages: &mut Pages, at: usize) -> Option<()> {
        self.paths.require(pages, at)?;
        let start = self.signatures.start + at * SIGNATURE_BYTES;
        pages.require(start..start + SIGNATURE_BYTES)
    }

    /// Paths and signatures of all.
    pub fn require_all(&self, pages: &mut Pages) -> Option<()> {
        for column in [&self.paths.ends, &self.paths.bytes, &self.signatures] {
            pages.require(column.clone())?;
        }
        Some(())
    }

    /// Of what was required.
    pub fn path<'p>(&self, pages: &'p Pages, at: usize) -> &'p [u8] {
        self.paths.get(pages, at)
    }

    /// Of what was required.
    pub fn signature(&self, pages: &Pages, at: usize) -> Signature {
        let start = self.signatures.start + at * SIGNATURE_BYTES;
        signature(pages.get(start..start + SIGNATURE_BYTES)).unwrap_or_default()
    }

    /// What file `at` held.
    pub fn digest(&self, pages: &mut Pages, at: usize) -> Option<Digest> {
        let start = self.digests.start.checked_add(at.checked_mul(32)?)?;
        let range = start..start + 32;
        if range.end > self.digests.end {
            return None;
        }
        pages.require(range.clone())?;
        pages.get(range).first_chunk::<32>().map(|it| Digest(*it))
    }

    /// As what the item `at` of the list of `step` counts there. `None`: as no part of its own.
    pub fn part(&self, pages: &mut Pages, step: u32, at: usize) -> Option<PartKind> {
        let place = self.kinds.start.checked_add(self.of_step.places(pages, step)?.start)?.checked_add(at)?;
        if place >= self.kinds.end {
            return None;
        }
        pages.require(place..place + 1)?;
        let number = *pages.get(place..place + 1).first()?;
        PartKind::ALL.into_iter().find(|it| *it as u8 == number)
    }
}

/// As [`signature`] reads it.
pub fn signature_bytes(it: &Signature) -> [u8; SIGNATURE_BYTES] {
    let odd = u64::from(it.kind as u8) << 1 | u64::from(it.executable);
    let numbers = [it.dev, it.ino, it.size, it.mtime_ns.cast_unsigned(), it.ctime_ns.cast_unsigned(), odd];
    let mut bytes = [0; SIGNATURE_BYTES];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// `None` if these are fewer bytes than a signature has.
pub fn signature(bytes: &[u8]) -> Option<Signature> {
    let bytes = bytes.first_chunk::<SIGNATURE_BYTES>()?;
    let number = |field: usize| bytes[field * 8..].first_chunk::<8>().map_or(0, |it| u64::from_le_bytes(*it));
    let odd = number(5);
    let kind = match odd >> 1 {
        0 => FileKind::File,
        1 => FileKind::Folder,
        2 => FileKind::Link,
        _ => FileKind::Odd,
    };
    Some(Signature {
        dev: number(0),
        ino: number(1),
        size: number(2),
        mtime_ns: number(3).cast_signed(),
        ctime_ns: number(4).cast_signed(),
        kind,
        executable: odd & 1 == 1,
    })
}
