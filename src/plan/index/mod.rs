//! The answer "this is fresh", kept with all that it rests on, so that the same question about the same
//! world costs one look at each file and nothing else; and a question about a part, one look at each
//! file of that part and of what is upstream of it.
//!
//! It holds no decision of its own: a step is in it only after the planner found what it makes fresh,
//! and it is believed only while nothing that the planner looked at has moved. Anything else (another
//! question, damage, an older version) is no answer, and the planner is asked; one changed stamp takes
//! away what rests on it, and the planner is asked about that. Of code and source files it also keeps
//! what they held: the planner can then decide about an edit from the edited files alone.
//! Deleting it loses only time.
//!
//! A file of [`pages`]: in the head what every question needs, in the body tables that are read as far as
//! they are asked for. Numbers are little endian, tables are columns, so that reading allocates nothing
//! per file.

mod body;
mod pages;
pub mod project;
#[cfg(test)]
mod tests;

use std::{fs::File, ops::Range};

use crate::{
    base::{digest::Digest, path::ProjectPath},
    model::fingerprint::{Part, PartKind, PartValue},
    plan::{
        hash::{Links, Seen, Signature, Sweep},
        index::{
            body::{Files, Lists, Names, write_files, write_lists, write_names},
            pages::Pages,
        },
        record::TrackedFile,
    },
};

/// What the answer rests on, as it was looked at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ground<'a> {
    /// Everything that is no file: target, variables, environment, version.
    pub question: Option<Digest>,
    /// Names of the environment whose values are part of `question`.
    pub env: Vec<String>,
    pub boot: String,
    /// Of the state.
    pub generation: u64,
    /// A run would ask sources for their version first.
    pub asks: bool,
    /// Nanoseconds since 1970 after which a source counts as too old.
    pub valid_until_ns: Option<i64>,
    /// Files of the manifest, and folders that were searched for them.
    pub manifests: Vec<(ProjectPath, Signature)>,
    /// Paths that were looked for and not there.
    pub absent: Vec<ProjectPath>,
    /// Every computation, upstream first.
    pub steps: Vec<GroundStep<'a>>,
}

/// One computation and what it rests on by itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GroundStep<'a> {
    /// The assets that it makes.
    pub keys: Vec<String>,
    /// Steps, by their place, whose assets it reads.
    pub upstream: Vec<u32>,
    /// `None`: not fresh, or not to be told from files alone.
    pub files: Option<GroundFiles<'a>>,
}

/// Files that must still be what they were.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GroundFiles<'a> {
    /// Inputs and listed folders: links stand for what they lead to.
    pub followed: Vec<GroundFile<'a>>,
    /// Outputs: links are looked at themselves.
    pub kept: Vec<GroundFile<'a>>,
}

/// One of these files.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GroundFile<'a> {
    pub file: &'a TrackedFile,
    /// If it is, by itself, part of the computation's fingerprint: a code file or one of its sources.
    pub part: Option<PartKind>,
}

impl Ground<'_> {
    /// The bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let files = |of: for<'f> fn(&'f GroundFiles<'_>) -> &'f [GroundFile<'f>]| {
            self.steps.iter().map(move |it| it.files.as_ref().map_or(&[][..], of))
        };
        let names = write_names(&mut body, &self.steps);
        let upstream = write_lists(&mut body, self.steps.iter().map(|it| it.upstream.as_slice()));
        let known = body.len()..body.len() + self.steps.len();
        body.extend(self.steps.iter().map(|it| u8::from(it.files.is_some())));
        let followed = write_files(&mut body, files(|it| &it.followed));
        let kept = write_files(&mut body, files(|it| &it.kept));

        let mut head = self.question.map_or([0; 32], |it| it.0).to_vec();
        let fresh = self.steps.iter().all(|it| it.files.is_some());
        let valid_until = self.valid_until_ns.unwrap_or(i64::MAX).cast_unsigned();
        for number in [self.generation, u64::from(self.asks), u64::from(fresh), valid_until] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        write_text(&mut head, self.boot.as_bytes());
        write_number(&mut head, self.env.len());
        self.env.iter().for_each(|it| write_text(&mut head, it.as_bytes()));
        write_number(&mut head, self.absent.len());
        self.absent.iter().for_each(|it| write_text(&mut head, it.as_bytes()));
        write_number(&mut head, self.manifests.len());
        for (path, signature) in &self.manifests {
            write_text(&mut head, path.as_bytes());
            head.extend_from_slice(&body::signature_bytes(signature));
        }
        for range in
            [names.ranges(), upstream.ranges(), vec![known], followed.ranges(), kept.ranges()].into_iter().flatten()
        {
            write_number(&mut head, range.start);
            write_number(&mut head, range.end);
        }
        pages::encode(&head, &body)
    }
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    write_number(out, text.len());
    out.extend_from_slice(text);
}

/// An index whose head was read and is whole.
pub struct StatusIndex {
    pub question: Digest,
    pub env: Vec<String>,
    pub boot: Vec<u8>,
    pub generation: u64,
    pub asks: bool,
    pub valid_until_ns: i64,
    /// Every step is fresh.
    all_fresh: bool,
    absent: Vec<Vec<u8>>,
    manifests: Vec<(Vec<u8>, Signature)>,
    names: Names,
    upstream: Lists,
    known: Range<usize>,
    followed: Files,
    kept: Files,
    pages: Pages,
}

impl StatusIndex {
    /// `None` for anything that [`Ground::encode`] did not write, whole.
    pub fn open(file: File) -> Option<Self> {
        let (head, pages) = Pages::open(file)?;
        let mut reader = Reader(&head);
        let question = Digest(*reader.take(32)?.first_chunk::<32>()?);
        let (generation, asks, all_fresh) = (reader.number()?, reader.number()? != 0, reader.number()? != 0);
        let valid_until_ns = reader.number()?.cast_signed();
        let boot = reader.text()?.to_vec();
        let env = (0..reader.number()?)
            .map(|_| std::str::from_utf8(reader.text()?).ok().map(str::to_owned))
            .collect::<Option<_>>()?;
        let absent = (0..reader.number()?).map(|_| reader.text().map(<[u8]>::to_vec)).collect::<Option<_>>()?;
        let manifests = (0..reader.number()?)
            .map(|_| Some((reader.text()?.to_vec(), body::signature(reader.take(body::SIGNATURE_BYTES)?)?)))
            .collect::<Option<_>>()?;
        let mut range = || {
            let (start, end) = (usize::try_from(reader.number()?).ok()?, usize::try_from(reader.number()?).ok()?);
            (start <= end && end <= pages.len()).then_some(start..end)
        };
        let names = Names::of(&mut range)?;
        let upstream = Lists::of(&mut range)?;
        let known = range()?;
        let (followed, kept) = (Files::of(&mut range)?, Files::of(&mut range)?);
        reader.0.is_empty().then_some(StatusIndex {
            question,
            env,
            boot,
            generation,
            asks,
            valid_until_ns,
            all_fresh,
            absent,
            manifests,
            names,
            upstream,
            known,
            followed,
            kept,
            pages,
        })
    }

    /// One look at every file. `None` if the manifest has moved: then it tells nothing.
    pub fn look(&mut self, sweep: &Sweep) -> Option<Looked> {
        if !self.same_manifest(sweep) {
            return None;
        }
        let mut look = |files: &Files, links| {
            files.require_all(&mut self.pages)?;
            let pages = &self.pages;
            let path_of = |at: usize| files.path(pages, at);
            Some(sweep.moved(files.count(), path_of, |at| files.signature(pages, at), links))
        };
        Some(Looked { followed: look(&self.followed, Links::Follow)?, kept: look(&self.kept, Links::Keep)? })
    }

    /// How many assets there are, if all are fresh.
    pub fn all_fresh(&self, looked: &Looked) -> Option<usize> {
        (self.all_fresh && looked.followed.is_empty() && looked.kept.is_empty()).then(|| self.names.count())
    }

    /// What these looks leave of every step.
    pub fn after(&mut self, looked: &Looked) -> Option<Vec<Still>> {
        let mut after: Vec<Still> = Vec::with_capacity(self.known.len());
        let mut upstream = Vec::new();
        for step in 0..u32::try_from(self.known.len()).ok()? {
            let known = self.known.start + step as usize;
            self.pages.require(known..known + 1)?;
            upstream.clear();
            self.upstream.read(&mut self.pages, step, &mut upstream)?;
            // A step stands after what it reads.
            let rests_on_fresh = upstream.iter().all(|it| after.get(*it as usize) == Some(&Still::Fresh));
            let known = self.pages.get(known..known + 1) == [1] && rests_on_fresh;
            after.push(if known { self.moved_of(step, looked)? } else { Still::Unknown });
        }
        Some(after)
    }

    /// The same of one that was fresh and rests on what is.
    fn moved_of(&mut self, step: u32, looked: &Looked) -> Option<Still> {
        let mut files = Vec::new();
        if !looked.kept.is_empty() {
            self.kept.of_step.read(&mut self.pages, step, &mut files)?;
            if files.iter().any(|it| looked.kept.binary_search(&(*it as usize)).is_ok()) {
                return Some(Still::Unknown);
            }
        }
        files.clear();
        if !looked.followed.is_empty() {
            self.followed.of_step.read(&mut self.pages, step, &mut files)?;
        }
        let mut parts = Vec::new();
        for (at, file) in files.iter().map(|it| *it as usize).enumerate() {
            if looked.followed.binary_search(&file).is_err() {
                continue;
            }
            let Some(kind) = self.followed.part(&mut self.pages, step, at) else { return Some(Still::Unknown) };
            let digest = self.followed.digest(&mut self.pages, file)?;
            self.followed.require(&mut self.pages, file)?;
            parts.push(Part::new(kind, self.followed.path(&self.pages, file), PartValue::Digest(digest)));
        }
        Some(if parts.is_empty() { Still::Fresh } else { Still::But(parts) })
    }

    /// Whether it was made from a manifest that these files are of.
    pub fn is_of(&self, manifests: &Ground<'_>) -> bool {
        let files = manifests.manifests.iter().map(|(path, signature)| (path.as_bytes(), *signature));
        files.eq(self.manifests.iter().map(|(path, signature)| (&**path, *signature)))
            && manifests.absent.iter().map(ProjectPath::as_bytes).eq(self.absent.iter().map(|it| &**it))
    }

    /// The steps that make `keys`, if they and everything upstream of them are fresh: one look at each
    /// file that this rests on. A name that is no asset's gives `None`.
    pub fn fresh_steps(&mut self, keys: &[&str], sweep: &Sweep) -> Option<Vec<u32>> {
        let mut asked = Vec::with_capacity(keys.len());
        for key in keys {
            asked.push(self.names.find(&mut self.pages, key.as_bytes())?);
        }
        asked.sort_unstable();
        asked.dedup();
        let scope = self.with_upstream(&asked)?;
        if !self.same_manifest(sweep) {
            return None;
        }
        for (files, links) in [(&self.followed, Links::Follow), (&self.kept, Links::Keep)] {
            let mut wanted = Vec::new();
            for step in &scope {
                files.of_step.read(&mut self.pages, *step, &mut wanted)?;
            }
            wanted.sort_unstable();
            wanted.dedup();
            for at in &wanted {
                files.require(&mut self.pages, *at as usize)?;
            }
            let path_of = |at: usize| files.path(&self.pages, wanted[at] as usize);
            let signature_of = |at: usize| files.signature(&self.pages, wanted[at] as usize);
            if !sweep.moved(wanted.len(), path_of, signature_of, links).is_empty() {
                return None;
            }
        }
        Some(asked)
    }

    /// How many assets `steps` make.
    pub fn made_by(&mut self, steps: &[u32]) -> Option<usize> {
        steps.iter().map(|it| self.names.made(&mut self.pages, *it)).sum()
    }

    /// `steps` and all that is upstream of them; `None` if one of these is not known to be fresh.
    fn with_upstream(&mut self, steps: &[u32]) -> Option<Vec<u32>> {
        let mut seen = vec![false; self.known.len()];
        let mut scope = steps.to_vec();
        let mut next = 0;
        while let Some(step) = scope.get(next).copied() {
            next += 1;
            if std::mem::replace(seen.get_mut(step as usize)?, true) {
                continue;
            }
            let known = self.known.start + step as usize;
            self.pages.require(known..known + 1)?;
            if self.pages.get(known..known + 1) != [1] {
                return None;
            }
            self.upstream.read(&mut self.pages, step, &mut scope)?;
        }
        Some(scope)
    }

    fn same_manifest(&self, sweep: &Sweep) -> bool {
        let missing = sweep.signatures(self.absent.len(), |at| &self.absent[at], Links::Keep);
        let (path_of, signature_of) = (|at: usize| &*self.manifests[at].0, |at: usize| self.manifests[at].1);
        missing.iter().all(|it| matches!(it, Seen::Missing))
            && sweep.moved(self.manifests.len(), path_of, signature_of, Links::Follow).is_empty()
    }
}

/// What is left of "this step is fresh" when files have moved.
#[derive(Clone, PartialEq, Debug)]
pub enum Still {
    Fresh,
    /// It was, and nothing that it rests on has moved but the files of these parts, told as they were.
    But(Vec<Part>),
    Unknown,
}

/// Places of files that are not what they were any more, in order.
pub struct Looked {
    followed: Vec<usize>,
    kept: Vec<usize>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk::<8>()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }
}
