//! The journal of successes: what a damaged or deleted database is rebuilt from, with nothing rerun.
//!
//! A file of frames, appended to and never changed. A frame begins with a mark that a reader can find
//! again, so a torn or damaged frame costs itself alone. The database is the truth; this is insurance.
//! Attempts and single steps are not in it: nothing is decided from them that a look at the world
//! would not tell.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use super::{
    Change, StoreError,
    encode::{self, Check, Coded, Malformed, Reader},
};
use crate::base::fs;

/// Which file: each rewriting of the journal makes the next generation, with a seed of its own that
/// goes into every check, so that the text of one journal inside another is not taken for frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct JournalName {
    pub generation: u64,
    pub seed: u64,
}

impl JournalName {
    pub fn path_in(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:08}-{:016x}.log", self.generation, self.seed))
    }

    fn parse(name: &str) -> Option<Self> {
        let (generation, seed) = name.strip_suffix(".log")?.split_once('-')?;
        Some(JournalName { generation: generation.parse().ok()?, seed: u64::from_str_radix(seed, 16).ok()? })
    }
}

/// Whether a change is needed to rebuild what decisions are made from.
pub fn holds(change: &Change) -> bool {
    match change {
        Change::AttemptStarted(_) | Change::AttemptCommitting { .. } | Change::AttemptEnded { .. } => false,
        Change::RunStep { .. } => false,
        Change::RunStarted(_) | Change::RunEnded { .. } | Change::RunForgotten(_) => true,
        Change::Materialized(_) | Change::Refreshed(_) | Change::Observed(_) | Change::Text { .. } => true,
        Change::SessionOpened(_) | Change::SessionSealed(_) => true,
        Change::Renamed { .. } | Change::Forgotten(_) => true,
        Change::BackfillAsked(_) | Change::BackfillTurned { .. } | Change::BackfillBegun { .. } => true,
    }
}

/// Changes that were committed together.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    /// The order of commits. Frames of two processes may stand in another order.
    pub sequence: u64,
    /// Everything before is left behind: what follows is the whole state.
    pub starts_over: bool,
    pub changes: Vec<Change>,
}

const MARK: [u8; 8] = *b"\n\xf0assets";
/// Mark, length of the payload (u32), check (u64), sequence (u64); numbers are little endian.
const HEAD: usize = 28;

/// What a frame holds beside its sequence; made before that is known.
pub struct Payload(Vec<u8>);

impl Payload {
    pub fn new(starts_over: bool, changes: &[&Change]) -> Self {
        let mut bytes = encode::encode(&starts_over);
        encode::write_number(&mut bytes, changes.len() as u64);
        changes.iter().for_each(|it| it.write(&mut bytes));
        Payload(bytes)
    }

    /// Appends the frame to `out`.
    pub fn frame(&self, name: JournalName, sequence: u64, out: &mut Vec<u8>) {
        let len = u32::try_from(self.0.len()).expect("one commit is smaller than 4 GiB");
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&check(name, sequence, &self.0).to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&self.0);
    }
}

impl Coded for Frame {
    fn write(&self, out: &mut Vec<u8>) {
        self.starts_over.write(out);
        self.changes.write(out);
    }

    /// The sequence stands outside.
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Frame { sequence: 0, starts_over: Coded::read(from)?, changes: Coded::read(from)? })
    }
}

fn check(name: JournalName, sequence: u64, payload: &[u8]) -> u64 {
    Check::new(name.seed).part(&sequence.to_le_bytes()).part(payload).value()
}

/// What a journal was found to hold.
#[derive(Default)]
pub struct Contents {
    pub frames: Vec<Frame>,
    /// Stretches of bytes that are no frames.
    pub damaged: usize,
    pub files: Vec<PathBuf>,
    /// The highest generation of all files.
    pub generation: u64,
}

impl Contents {
    /// Everything that is there, in the order in which it was committed.
    pub fn changes(mut self) -> Vec<Change> {
        self.frames.sort_by_key(|it| it.sequence);
        let start = self.frames.iter().rposition(|it| it.starts_over).unwrap_or(0);
        self.frames.drain(start..).flat_map(|it| it.changes).collect()
    }

    pub fn sequence(&self) -> u64 {
        self.frames.iter().map(|it| it.sequence).max().unwrap_or(0)
    }

    /// "2 damaged stretches"; `None` if all is whole.
    pub fn said_of_damage(&self) -> Option<String> {
        match self.damaged {
            0 => None,
            1 => Some("1 damaged stretch".to_owned()),
            more => Some(format!("{more} damaged stretches")),
        }
    }

    fn scan(&mut self, name: JournalName, bytes: &[u8]) {
        let mut rest = bytes;
        let mut lost = false;
        while !rest.is_empty() {
            if let Some((frame, after)) = first_frame(name, rest) {
                self.frames.push(frame);
                rest = after;
                lost = false;
                continue;
            }
            self.damaged += usize::from(!lost);
            lost = true;
            let next = rest[1..].windows(MARK.len()).position(|it| it == MARK);
            rest = next.map_or(&[], |at| &rest[at + 1..]);
        }
    }
}

fn first_frame(name: JournalName, bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (mark, head) = head.split_first_chunk::<8>()?;
    let (len, head) = head.split_first_chunk::<4>()?;
    let (stored, sequence) = head.split_first_chunk::<8>()?;
    let sequence = u64::from_le_bytes(sequence.try_into().ok()?);
    let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    if *mark != MARK || u64::from_le_bytes(*stored) != check(name, sequence, payload) {
        return None;
    }
    let frame = encode::decode::<Frame>(payload).ok()?;
    Some((Frame { sequence, ..frame }, rest))
}

/// The files of a journal, oldest generation first.
pub fn files(folder: &Path) -> Result<Vec<JournalName>, StoreError> {
    let entries = fs::list(folder)?.unwrap_or_default();
    let mut names: Vec<_> = entries.iter().filter_map(|it| JournalName::parse(it.file_name().to_str()?)).collect();
    names.sort();
    Ok(names)
}

/// Reads all files. What is damaged is left out and counted.
pub fn read(folder: &Path) -> Result<Contents, StoreError> {
    let mut contents = Contents::default();
    for name in files(folder)? {
        let path = name.path_in(folder);
        // A file may go while it is looked for: then there is a newer one.
        let Some(bytes) = fs::read_if_there(&path)? else { continue };
        contents.scan(name, &bytes);
        contents.generation = name.generation;
        contents.files.push(path);
    }
    Ok(contents)
}

/// How long the file is; `None` if it is not there.
pub fn len(folder: &Path, name: JournalName) -> Result<Option<u64>, StoreError> {
    Ok(fs::look(&name.path_in(folder))?.map(|it| it.len()))
}

/// The open end of the journal.
pub struct Journal {
    folder: PathBuf,
    open: Option<(JournalName, File)>,
}

impl Journal {
    pub fn new(folder: PathBuf) -> Self {
        Journal { folder, open: None }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends by one write, so that frames of two processes do not mix.
    pub fn append(&mut self, name: JournalName, frames: &[u8]) -> Result<(), StoreError> {
        let path = name.path_in(&self.folder);
        let mut file = match self.open.take() {
            Some((open, file)) if open == name => file,
            _ => fs::open_append(&path)?,
        };
        file.write_all(frames).map_err(|source| fs::FsError { doing: "append to", path, source })?;
        self.open = Some((name, file));
        Ok(())
    }
}

/// Makes everything appended so far survive a power loss.
pub fn sync(folder: &Path, name: JournalName) -> Result<(), StoreError> {
    let path = name.path_in(folder);
    if fs::look(&path)?.is_some() {
        fs::sync(&path)?;
        fs::sync(folder)?;
    }
    Ok(())
}
