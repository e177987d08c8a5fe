//! How what is not an output yet, or no longer, is called beside the outputs; and the tokens that
//! find it again after a crash.
//!
//! `.assets-tmp-<attempt>-<name>` may be thrown away once its attempt is over;
//! `.assets-old-<attempt>/<name>` is what an `in_place` attempt moved aside, and is moved back.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use crate::{
    base::{digest::Digest, path::ProjectPath},
    exec::io::IoError,
    plan::record::AttemptId,
};

const TEMPORARY: &[u8] = b".assets-tmp-";
const ASIDE: &[u8] = b".assets-old-";

/// What Linux and macOS allow in one name.
const NAME_BYTES_MAX: usize = 255;
const ATTEMPT_BYTES_MAX: usize = 128;

/// Where the new content of `name` is written.
pub fn staging(attempt: &AttemptId, name: &OsStr) -> OsString {
    temporary(attempt, b"", name)
}

/// Where content that was replaced waits to be kept or removed.
pub fn replaced(attempt: &AttemptId, name: &OsStr) -> OsString {
    temporary(attempt, b"was-", name)
}

/// The folder in which an `in_place` attempt puts what was there, under its own name.
pub fn aside(attempt: &AttemptId) -> OsString {
    OsString::from_vec([ASIDE, attempt.0.as_bytes()].concat())
}

/// A name that would be too long is cut and ends in a hash of it and its extension: commands choose
/// formats by extension.
fn temporary(attempt: &AttemptId, mark: &[u8], name: &OsStr) -> OsString {
    let start = [TEMPORARY, attempt.0.as_bytes(), b"-", mark].concat();
    let room = NAME_BYTES_MAX.saturating_sub(start.len());
    let name = name.as_bytes();
    if name.len() <= room {
        return OsString::from_vec([&start, name].concat());
    }
    let extension = name.iter().rposition(|it| *it == b'.').map_or(&[][..], |at| &name[at..]);
    let extension = if extension.len() <= 16 { extension } else { &[] };
    let hash = format!("~{}", Digest::of(name).short());
    let kept = room.saturating_sub(hash.len() + extension.len());
    OsString::from_vec([&start, &name[..kept], hash.as_bytes(), extension].concat())
}

/// Attempts become parts of names: short, plain, and never a way up.
pub fn check_attempt(attempt: &AttemptId) -> Result<(), IoError> {
    let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    if !attempt.0.is_empty() && attempt.0.len() <= ATTEMPT_BYTES_MAX && attempt.0.bytes().all(plain) {
        return Ok(());
    }
    Err(IoError::Other { path: attempt.0.clone(), cause: "is not a name for an attempt".to_owned() })
}

/// What a name found in a folder says of itself, if it is one of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leftover {
    /// Of one of these attempts: where the attempt ends and the name begins cannot be told.
    Temporary(Vec<AttemptId>),
    Aside(AttemptId),
}

pub fn leftover(name: &OsStr) -> Option<Leftover> {
    let name = name.as_bytes();
    if let Some(attempt) = name.strip_prefix(ASIDE) {
        return Some(Leftover::Aside(AttemptId(String::from_utf8(attempt.to_vec()).ok()?)));
    }
    let rest = name.strip_prefix(TEMPORARY)?;
    let dashes = rest.iter().enumerate().take(ATTEMPT_BYTES_MAX + 1).filter(|(_, it)| **it == b'-');
    let attempts = dashes.filter_map(|(at, _)| String::from_utf8(rest[..at].to_vec()).ok().map(AttemptId));
    Some(Leftover::Temporary(attempts.collect()))
}

/// What is told to the caller about a stage, in bytes: version, attempt, manner, project path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    pub attempt: AttemptId,
    pub in_place: bool,
    pub path: ProjectPath,
}

impl Token {
    pub fn encode(&self) -> Vec<u8> {
        let manner = if self.in_place { "in_place" } else { "staged" };
        [format!("fs1\0{}\0{manner}\0", self.attempt.0).as_bytes(), self.path.as_bytes()].concat()
    }

    pub fn decode(token: &[u8]) -> Result<Token, IoError> {
        let malformed = || IoError::Other {
            path: token.escape_ascii().to_string(),
            cause: "is not a token of this IO manager".to_owned(),
        };
        let mut parts = token.splitn(4, |it| *it == 0);
        let mut next = || parts.next().ok_or_else(malformed);
        let (version, attempt, manner, path) = (next()?, next()?, next()?, next()?);
        let in_place = match (version, manner) {
            (b"fs1", b"staged") => false,
            (b"fs1", b"in_place") => true,
            _ => return Err(malformed()),
        };
        let attempt = AttemptId(String::from_utf8(attempt.to_vec()).map_err(|_| malformed())?);
        check_attempt(&attempt)?;
        let path = ProjectPath::resolve(&ProjectPath::root(), OsStr::from_bytes(path)).map_err(|_| malformed())?;
        Ok(Token { attempt, in_place, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> AttemptId {
        AttemptId("20261120-231502-4f2a-3-1".to_owned())
    }

    #[test]
    fn long_names_are_cut_but_stay_apart_and_keep_their_extension() {
        let long = |last: char| format!("{}{last}.csv", "x".repeat(250));
        let (one, two) = (long('a'), long('b'));
        let (one, two) = (staging(&attempt(), one.as_ref()), staging(&attempt(), two.as_ref()));
        assert!(one.len() <= 255 && one != two);
        assert!(one.as_bytes().ends_with(b".csv"));
        assert_eq!(staging(&attempt(), "a.csv".as_ref()), ".assets-tmp-20261120-231502-4f2a-3-1-a.csv");
    }

    #[test]
    fn leftovers_are_known_by_their_names() {
        let Some(Leftover::Temporary(them)) = leftover(&staging(&attempt(), "daily-sales.csv".as_ref())) else {
            panic!("not a leftover");
        };
        assert!(them.contains(&attempt()));
        assert_eq!(leftover(&aside(&attempt())), Some(Leftover::Aside(attempt())));
        assert_eq!(leftover("orders.csv".as_ref()), None);
        assert!(leftover(&staging(&attempt(), OsStr::from_bytes(b"\xff-\xfe"))).is_some());
    }

    #[test]
    fn tokens_are_read_back_and_strange_ones_are_refused() {
        let path = ProjectPath::resolve(&ProjectPath::root(), "data/a.csv").unwrap();
        let token = Token { attempt: attempt(), in_place: true, path };
        assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        for strange in [&b""[..], b"fs1", b"fs2\0a\0staged\0x", b"fs1\0../a\0staged\0x", b"fs1\0a\0staged\0/etc/passwd"]
        {
            assert!(Token::decode(strange).is_err(), "{}", strange.escape_ascii());
        }
    }
}
