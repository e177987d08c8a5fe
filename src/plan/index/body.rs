//! The tables of the status index: names, lists of numbers, files with signatures.
//!
//! Each table knows where its columns lie in the body and reads single rows of them through
//! [`Pages`]; what is read is checked there. A number that leads out of its table is no answer.

use std::{collections::HashMap, ops::Range};

use crate::{
    base::path::ProjectPath,
    plan::{
        hash::{FileKind, Signature},
        index::{GroundStep, pages::Pages},
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
        let step = step as usize;
        let start = if step == 0 { 0 } else { number(pages, &self.ends, step - 1)? };
        for at in start..number(pages, &self.ends, step)? {
            out.push(u32::try_from(number(pages, &self.items, at)?).ok()?);
        }
        Some(())
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
}

pub fn write_files<'a>(
    body: &mut Vec<u8>,
    of_steps: impl Iterator<Item = &'a [(ProjectPath, Signature)]> + Clone,
) -> Files {
    let mut sorted: Vec<&(ProjectPath, Signature)> = of_steps.clone().flatten().collect();
    sorted.sort_unstable_by_key(|it| (folder(it.0.as_bytes()), it.0.as_bytes()));
    sorted.dedup_by(|b, a| a.0 == b.0);
    let places: HashMap<&[u8], usize> = sorted.iter().enumerate().map(|(at, it)| (it.0.as_bytes(), at)).collect();
    let place = |path: &ProjectPath| u32::try_from(places[path.as_bytes()]).unwrap_or(u32::MAX);
    let lists: Vec<Vec<u32>> = of_steps.map(|them| them.iter().map(|it| place(&it.0)).collect()).collect();
    let paths = Texts::write(body, sorted.iter().map(|it| it.0.as_bytes()));
    let signatures = column(body, |body| sorted.iter().for_each(|it| body.extend_from_slice(&signature_bytes(&it.1))));
    Files { paths, signatures, of_step: write_lists(body, lists.iter().map(Vec::as_slice)) }
}

/// What is before the last slash.
fn folder(path: &[u8]) -> &[u8] {
    path.iter().rposition(|it| *it == b'/').map_or(&[], |at| &path[..at])
}

impl Files {
    pub fn of(next: &mut Next<'_>) -> Option<Files> {
        let files = Files { paths: Texts::of(next)?, signatures: next()?, of_step: Lists::of(next)? };
        (files.signatures.len() == files.count() * SIGNATURE_BYTES).then_some(files)
    }

    pub fn ranges(self) -> Vec<Range<usize>> {
        let of_step = self.of_step.ranges();
        [vec![self.paths.ends, self.paths.bytes, self.signatures], of_step].concat()
    }

    pub fn count(&self) -> usize {
        self.paths.count()
    }

    pub fn require(&self, pages: &mut Pages, at: usize) -> Option<()> {
        self.paths.require(pages, at)?;
        let start = self.signatures.start + at * SIGNATURE_BYTES;
        pages.require(start..start + SIGNATURE_BYTES)
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
