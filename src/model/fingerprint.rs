//! The identity of everything that a materialization depends on.
//!
//! A fingerprint is a sorted list of named parts and the hash of their written form. The parts are
//! stored, not only the hash, so that one walk over the same list both hashes and explains.
//!
//! | in | kept out, on purpose |
//! |---|---|
//! | the command as written, before substitution | times, sizes, inodes of files |
//! | content of code files, declared `version` | absolute paths, the project's folder |
//! | values of `vars` and `env` that it names, declared variables or their absence | the rest of the environment |
//! | data versions of upstream assets and sources, content of source files | description, group, tags, owners, pool, retries, timeout |
//! | format and shape of what is stored | where it is stored |
//! | how columns are declared that a query reads in its own database | the same elsewhere |
//! | keyed hashes of secrets | secrets |
//! | the partition's key | the version of `assets` |

use crate::base::digest::Digest;

/// blake3 derive-key context; the number is the version of the written form.
const CONTEXT: &str = "assets fingerprint 1";

/// What a part is. The number is written; never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum PartKind {
    /// The action, as written. One part, named ``.
    Command = 1,
    /// A code file: project path, content.
    Code = 2,
    /// A variable of `[vars]` that a template names.
    Var = 3,
    /// A variable of the environment, in clear.
    Env = 4,
    /// A variable of the environment, as a keyed hash.
    Secret = 5,
    /// A setting that changes content: format, shape, in_place.
    Config = 6,
    /// A file of an unnamed source: project path, content.
    SourceFile = 7,
    /// A named source: key, data version.
    Source = 8,
    /// An upstream asset: key, data version.
    Input = 9,
    /// The declared version.
    Version = 10,
    /// The partition's key.
    Partition = 11,
    /// The version of a named tool.
    Tool = 12,
    /// A query with all values inserted, where they are told of by parts of their own.
    Rendered = 13,
    /// An upstream table in the same database: key, how its columns are declared.
    Declared = 14,
}

impl PartKind {
    pub const ALL: [PartKind; 14] = [
        PartKind::Command,
        PartKind::Code,
        PartKind::Var,
        PartKind::Env,
        PartKind::Secret,
        PartKind::Config,
        PartKind::SourceFile,
        PartKind::Source,
        PartKind::Input,
        PartKind::Version,
        PartKind::Partition,
        PartKind::Tool,
        PartKind::Rendered,
        PartKind::Declared,
    ];
}

/// One ingredient. `name` is bytes, because a file's name may be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Part {
    pub kind: PartKind,
    pub name: Box<[u8]>,
    pub value: PartValue,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PartValue {
    /// Looked for and not there: an unset variable, an asset never built.
    Absent,
    Text(Box<str>),
    Digest(Digest),
}

impl Part {
    pub fn new(kind: PartKind, name: impl AsRef<[u8]>, value: PartValue) -> Self {
        Part { kind, name: name.as_ref().into(), value }
    }

    /// The name as people are shown it.
    pub fn shown_name(&self) -> String {
        match std::str::from_utf8(&self.name) {
            Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
            _ => self.name.escape_ascii().to_string(),
        }
    }
}

/// Parts sorted by kind and name, each (kind, name) once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fingerprint {
    parts: Vec<Part>,
}

/// Bytes that no fingerprint is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the written form of a fingerprint: {0}")]
pub struct Malformed(&'static str);

impl Fingerprint {
    /// Sorts; of two parts with one kind and name the later wins.
    pub fn new(mut parts: Vec<Part>) -> Self {
        parts.reverse();
        parts.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        parts.dedup_by(|b, a| (a.kind, &a.name) == (b.kind, &b.name));
        Fingerprint { parts }
    }

    /// Of parts that are in order already; `None` if they are not.
    pub fn from_sorted(parts: Vec<Part>) -> Option<Self> {
        let sorted = parts.is_sorted_by(|a, b| (a.kind, &a.name) < (b.kind, &b.name));
        sorted.then_some(Fingerprint { parts })
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub fn get(&self, kind: PartKind, name: &[u8]) -> Option<&PartValue> {
        let at = self.parts.binary_search_by(|it| (it.kind, &*it.name).cmp(&(kind, name))).ok()?;
        Some(&self.parts[at].value)
    }

    pub fn digest(&self) -> Digest {
        Digest::derive(CONTEXT, &self.encode())
    }

    /// The written form: for each part, kind (1 byte), name length (u64, little endian), name,
    /// value tag (1 byte), value length (u64), value. What decodes cannot collide.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.parts.iter().map(|it| it.name.len() + 50).sum());
        for part in &self.parts {
            out.push(part.kind as u8);
            write_bytes(&mut out, &part.name);
            match &part.value {
                PartValue::Absent => out.push(0),
                PartValue::Text(text) => {
                    out.push(1);
                    write_bytes(&mut out, text.as_bytes());
                }
                PartValue::Digest(digest) => {
                    out.push(2);
                    write_bytes(&mut out, &digest.0);
                }
            }
        }
        out
    }

    /// # Errors
    /// Anything that [`Fingerprint::encode`] does not write, parts out of order included.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let mut parts: Vec<Part> = Vec::new();
        while let Some((&kind, rest)) = bytes.split_first() {
            let kind = *PartKind::ALL.get(usize::from(kind).wrapping_sub(1)).ok_or(Malformed("unknown kind"))?;
            let (name, rest) = read_bytes(rest)?;
            let (&tag, rest) = rest.split_first().ok_or(Malformed("no value"))?;
            let (value, rest) = match tag {
                0 => (PartValue::Absent, rest),
                1 => {
                    let (text, rest) = read_bytes(rest)?;
                    let text = std::str::from_utf8(text).map_err(|_| Malformed("text is not UTF-8"))?;
                    (PartValue::Text(text.into()), rest)
                }
                2 => {
                    let (digest, rest) = read_bytes(rest)?;
                    let digest = digest.try_into().map_err(|_| Malformed("a digest has 32 bytes"))?;
                    (PartValue::Digest(Digest(digest)), rest)
                }
                _ => return Err(Malformed("unknown value")),
            };
            if parts.last().is_some_and(|last| (last.kind, &*last.name) >= (kind, name)) {
                return Err(Malformed("parts are out of order"));
            }
            parts.push(Part { kind, name: name.into(), value });
            bytes = rest;
        }
        Ok(Fingerprint { parts })
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn read_bytes(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (len, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed("no length"))?;
    let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| Malformed("length is too large"))?;
    rest.split_at_checked(len).ok_or(Malformed("shorter than its length"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = PartValue> {
        prop_oneof![
            Just(PartValue::Absent),
            ".{0,20}".prop_map(|it| PartValue::Text(it.into())),
            any::<[u8; 32]>().prop_map(|it| PartValue::Digest(Digest(it))),
        ]
    }

    fn fingerprint() -> impl Strategy<Value = Fingerprint> {
        let part = (0..PartKind::ALL.len(), prop::collection::vec(any::<u8>(), 0..12), value())
            .prop_map(|(kind, name, value)| Part::new(PartKind::ALL[kind], name, value));
        prop::collection::vec(part, 0..12).prop_map(Fingerprint::new)
    }

    proptest! {
        /// What decodes to itself cannot collide: the written form is injective.
        #[test]
        fn what_is_written_is_read_back(it in fingerprint()) {
            prop_assert_eq!(Fingerprint::decode(&it.encode()), Ok(it));
        }

        #[test]
        fn any_bytes_are_refused_or_are_exactly_what_is_written(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(it) = Fingerprint::decode(&bytes) {
                prop_assert_eq!(it.encode(), bytes);
            }
        }

        /// One bit, and it is refused or another fingerprint.
        #[test]
        fn no_bit_is_idle(it in fingerprint(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let mut bytes = it.encode();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 1u8 << bit;
                prop_assert_ne!(Fingerprint::decode(&bytes), Ok(it));
            }
        }

        #[test]
        fn order_of_writing_does_not_count(it in fingerprint()) {
            let mut parts = it.parts().to_vec();
            parts.reverse();
            prop_assert_eq!(Fingerprint::new(parts).digest(), it.digest());
        }
    }

    /// Names and values that run together when they are only strung together.
    #[test]
    fn parts_do_not_run_together() {
        let text = |name: &str, value: &str| Part::new(PartKind::Env, name, PartValue::Text(value.into()));
        let a = Fingerprint::new(vec![text("a", "bc")]);
        let b = Fingerprint::new(vec![text("ab", "c")]);
        assert_ne!(a.digest(), b.digest());
        let unset = Fingerprint::new(vec![Part::new(PartKind::Env, "a", PartValue::Absent)]);
        assert_ne!(unset.digest(), Fingerprint::new(vec![text("a", "")]).digest());
        assert_ne!(unset.digest(), Fingerprint::default().digest());
    }

    /// Stored fingerprints outlive this program: the written form never changes under one context.
    #[test]
    fn the_written_form_is_fixed() {
        let parts = vec![
            Part::new(PartKind::Command, "", PartValue::Text("[\"cp\"]".into())),
            Part::new(PartKind::Env, "MODE", PartValue::Absent),
            Part::new(PartKind::Input, "orders", PartValue::Digest(Digest([7; 32]))),
        ];
        let written = Fingerprint::new(parts).digest();
        assert_eq!(written.to_string(), "blake3:321ce5b00307a05d902af8a8c284589c3daaf53c4dd1b7494bd8c50e26595e41");
    }
}
