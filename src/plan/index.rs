//! The answer "everything is fresh", kept with all that it rests on, so that the same question about
//! the same world costs one look at each file and nothing else.
//!
//! It holds no decision of its own: it is written only after the planner found every asset fresh, and
//! it is believed only while nothing that the planner looked at has moved. Anything else (another
//! question, one changed stamp, damage, an older version) is no answer, and the planner is asked.
//! Deleting it loses only time.
//!
//! The file: magic, checksum of the rest, then a header and two lists of paths with signatures. Numbers
//! are little endian, lists are columns, so that reading it allocates nothing per file.

use crate::{
    base::{digest::Digest, path::ProjectPath},
    plan::hash::{FileKind, Links, Seen, Signature, Sweep},
};

const MAGIC: &[u8; 16] = b"assets status 1\n";
const CHECK_CONTEXT: &str = "assets status index 1";
/// dev, ino, size, mtime, ctime, kind and mode.
const SIGNATURE_BYTES: usize = 48;

/// What the answer rests on, as it was looked at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ground {
    /// Everything that is no file: target, variables, environment, version.
    pub question: Option<Digest>,
    /// Names of the environment whose values are part of `question`.
    pub env: Vec<String>,
    pub boot: String,
    /// Of the state.
    pub generation: u64,
    pub assets: u64,
    /// A run would ask sources for their version first.
    pub asks: bool,
    /// Nanoseconds since 1970 after which a source counts as too old.
    pub valid_until_ns: Option<i64>,
    /// Inputs, manifests and listed folders: links stand for what they lead to.
    pub followed: Vec<(ProjectPath, Signature)>,
    /// Outputs: links are looked at themselves.
    pub kept: Vec<(ProjectPath, Signature)>,
    /// Paths that were looked for and not there.
    pub absent: Vec<ProjectPath>,
}

impl Ground {
    /// The bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.question.map_or([0; 32], |it| it.0));
        for number in [
            self.generation,
            self.assets,
            u64::from(self.asks),
            self.valid_until_ns.unwrap_or(i64::MAX).cast_unsigned(),
        ] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        write_text(&mut body, self.boot.as_bytes());
        write_number(&mut body, self.env.len());
        for name in &self.env {
            write_text(&mut body, name.as_bytes());
        }
        write_number(&mut body, self.absent.len());
        for path in &self.absent {
            write_text(&mut body, path.as_bytes());
        }
        for list in [&self.followed, &self.kept] {
            write_list(&mut body, list);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&Digest::derive(CHECK_CONTEXT, &body).0);
        bytes.extend_from_slice(&body);
        bytes
    }
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    write_number(out, text.len());
    out.extend_from_slice(text);
}

/// Ends of the paths (u32 each), the signatures, then all paths; sorted, so that a folder is together.
fn write_list(out: &mut Vec<u8>, list: &[(ProjectPath, Signature)]) {
    let mut sorted: Vec<&(ProjectPath, Signature)> = list.iter().collect();
    sorted.sort_by(|a, b| (a.0.parent(), a.0.as_bytes()).cmp(&(b.0.parent(), b.0.as_bytes())));
    sorted.dedup_by(|b, a| a.0 == b.0);
    write_number(out, sorted.len());
    let mut end = 0u32;
    for (path, _) in &sorted {
        end = end.saturating_add(u32::try_from(path.as_bytes().len()).unwrap_or(u32::MAX));
        out.extend_from_slice(&end.to_le_bytes());
    }
    for (_, it) in &sorted {
        let odd = u64::from(it.kind as u8) << 1 | u64::from(it.executable);
        for number in [it.dev, it.ino, it.size, it.mtime_ns.cast_unsigned(), it.ctime_ns.cast_unsigned(), odd] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    write_number(out, end as usize);
    for (path, _) in &sorted {
        out.extend_from_slice(path.as_bytes());
    }
}

/// An index that was read and is whole.
pub struct StatusIndex<'a> {
    pub question: Digest,
    pub env: Vec<&'a str>,
    pub boot: &'a [u8],
    pub generation: u64,
    pub assets: u64,
    pub asks: bool,
    pub valid_until_ns: i64,
    absent: Vec<&'a [u8]>,
    followed: List<'a>,
    kept: List<'a>,
}

#[derive(Clone, Copy)]
struct List<'a> {
    ends: &'a [u8],
    signatures: &'a [u8],
    paths: &'a [u8],
}

impl<'a> StatusIndex<'a> {
    /// `None` for anything that [`Ground::encode`] did not write, whole.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (check, body) = rest.split_first_chunk::<32>()?;
        if Digest::derive(CHECK_CONTEXT, body).0 != *check {
            return None;
        }
        let mut reader = Reader(body);
        let question = Digest(*reader.take(32)?.first_chunk::<32>()?);
        let (generation, assets, asks) = (reader.number()?, reader.number()?, reader.number()? != 0);
        let valid_until_ns = reader.number()?.cast_signed();
        let boot = reader.text()?;
        let env = (0..reader.number()?).map(|_| std::str::from_utf8(reader.text()?).ok()).collect::<Option<_>>()?;
        let absent = (0..reader.number()?).map(|_| reader.text()).collect::<Option<_>>()?;
        let (followed, kept) = (reader.list()?, reader.list()?);
        reader.0.is_empty().then_some(StatusIndex {
            question,
            env,
            boot,
            generation,
            assets,
            asks,
            valid_until_ns,
            absent,
            followed,
            kept,
        })
    }

    /// Whether every file is still what it was: one `statx` each.
    pub fn holds(&self, sweep: &Sweep) -> bool {
        self.kept.holds(sweep, Links::Keep)
            && self.followed.holds(sweep, Links::Follow)
            && sweep
                .signatures(self.absent.len(), |at| self.absent[at], Links::Keep)
                .iter()
                .all(|it| matches!(it, Seen::Missing))
    }
}

impl<'a> List<'a> {
    fn len(self) -> usize {
        self.ends.len() / 4
    }

    fn end(self, at: usize) -> usize {
        self.ends[at * 4..].first_chunk::<4>().map_or(0, |it| u32::from_le_bytes(*it) as usize)
    }

    fn path(self, at: usize) -> &'a [u8] {
        let start = if at == 0 { 0 } else { self.end(at - 1) };
        self.paths.get(start..self.end(at)).unwrap_or_default()
    }

    fn signature(self, at: usize) -> Signature {
        let numbers: [u64; 6] = std::array::from_fn(|field| {
            let from = at * SIGNATURE_BYTES + field * 8;
            self.signatures[from..].first_chunk::<8>().map_or(0, |it| u64::from_le_bytes(*it))
        });
        let [dev, ino, size, mtime, ctime, odd] = numbers;
        let kind = match odd >> 1 {
            0 => FileKind::File,
            1 => FileKind::Folder,
            2 => FileKind::Link,
            _ => FileKind::Odd,
        };
        let (mtime_ns, ctime_ns) = (mtime.cast_signed(), ctime.cast_signed());
        Signature { dev, ino, size, mtime_ns, ctime_ns, kind, executable: odd & 1 == 1 }
    }

    fn holds(self, sweep: &Sweep, links: Links) -> bool {
        let seen = sweep.signatures(self.len(), |at| self.path(at), links);
        seen.iter().enumerate().all(|(at, it)| *it == Seen::Found(self.signature(at)))
    }
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

    fn list(&mut self) -> Option<List<'a>> {
        let len = usize::try_from(self.number()?).ok()?;
        let ends = self.take(len.checked_mul(4)?)?;
        let signatures = self.take(len.checked_mul(SIGNATURE_BYTES)?)?;
        Some(List { ends, signatures, paths: self.text()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::resolve(&ProjectPath::root(), text).unwrap()
    }

    fn ground() -> Ground {
        let signature = |ino| Signature { ino, size: 7, mtime_ns: -1, kind: FileKind::Link, ..Signature::default() };
        Ground {
            question: Some(Digest([3; 32])),
            env: vec!["STAGE".to_owned()],
            boot: "b".to_owned(),
            generation: 9,
            assets: 2,
            asks: false,
            valid_until_ns: Some(-5),
            followed: vec![(path("b/x"), signature(1)), (path("a"), signature(2)), (path("a"), signature(2))],
            kept: vec![],
            absent: vec![path("assets.local.toml")],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = ground().encode();
        let read = StatusIndex::decode(&bytes).unwrap();
        assert_eq!((read.question, read.generation, read.assets, read.valid_until_ns), (Digest([3; 32]), 9, 2, -5));
        assert_eq!(
            (read.boot, &*read.env, &*read.absent),
            (&b"b"[..], &["STAGE"][..], &[&b"assets.local.toml"[..]][..])
        );
        let listed: Vec<_> =
            (0..read.followed.len()).map(|at| (read.followed.path(at), read.followed.signature(at))).collect();
        assert_eq!(listed.iter().map(|it| it.0).collect::<Vec<_>>(), [&b"a"[..], b"b/x"]);
        assert_eq!(listed[1].1, ground().followed[0].1);
    }

    #[test]
    fn no_damage_is_an_answer() {
        let bytes = ground().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(StatusIndex::decode(&damaged).is_none(), "byte {at}");
            assert!(StatusIndex::decode(&bytes[..at]).is_none(), "cut at {at}");
        }
    }
}
