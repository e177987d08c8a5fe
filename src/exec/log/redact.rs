//! Blots declared secrets out of a stream of bytes, however the stream is cut into pieces.
//!
//! A secret is found in clear, in base64 (at any alignment, both alphabets), in URL encoding and as it
//! stands in JSON. What was transformed in another way is not found; `docs/security.md` says so.

use aho_corasick::AhoCorasick;

const BLOT: &[u8] = b"***";
/// Shorter encoded forms would blot out ordinary text.
const ENCODED_BYTES_MIN: usize = 6;
/// A line of a secret of many lines is looked for by itself from this length on.
const LINE_BYTES_MIN: usize = 8;

/// A filter for one stream.
pub struct Redactor {
    /// `None` if there is nothing to find.
    search: Option<AhoCorasick>,
    forms: Vec<Vec<u8>>,
    longest: usize,
    /// The end of what arrived, which may be the start of a secret.
    carry: Vec<u8>,
    /// How many bytes of `carry` were already blotted out.
    covered: usize,
}

impl Redactor {
    pub fn new(secrets: &[String]) -> Self {
        let mut forms: Vec<Vec<u8>> = secrets.iter().flat_map(|it| forms_of(it)).collect();
        forms.sort();
        forms.dedup();
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        // Too many or too long forms to search for is the only way to fail; then everything is a secret.
        let search = if forms.is_empty() { None } else { AhoCorasick::new(&forms).ok() };
        Redactor { search, forms, longest, carry: Vec::new(), covered: 0 }
    }

    /// Nothing is looked for: the stream passes as it is.
    pub fn is_idle(&self) -> bool {
        self.forms.is_empty()
    }

    /// Appends to `out` what is certain by now.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.carry.extend_from_slice(bytes);
        let hold = self.first_possible_start();
        self.emit(hold, out);
    }

    /// Appends the rest: the stream ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let hold = self.carry.len();
        self.emit(hold, out);
    }

    /// A text by itself, apart from the stream.
    pub fn redact_text(&self, text: &str) -> String {
        if self.is_idle() {
            return text.to_owned();
        }
        let mut alone = Redactor {
            search: self.search.clone(),
            forms: self.forms.clone(),
            longest: self.longest,
            carry: text.as_bytes().to_vec(),
            covered: 0,
        };
        let mut out = Vec::new();
        alone.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Where, near the end of `carry`, something begins that more bytes could make a secret of.
    fn first_possible_start(&self) -> usize {
        let bytes = &self.carry;
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len())
            .find(|at| {
                let end = &bytes[*at..];
                self.forms.iter().any(|it| it.len() > end.len() && it.starts_with(end))
            })
            .unwrap_or(bytes.len())
    }

    /// Moves `carry[..hold]` to `out`, every secret that begins there blotted out.
    fn emit(&mut self, hold: usize, out: &mut Vec<u8>) {
        let bytes = std::mem::take(&mut self.carry);
        let mut at = self.covered;
        for (start, end) in self.found(&bytes) {
            if start >= hold {
                break;
            }
            // What overlaps the blot before it needs none of its own.
            if start >= self.covered {
                out.extend_from_slice(&bytes[at..start]);
                out.extend_from_slice(BLOT);
            }
            at = at.max(end);
        }
        if at < hold {
            out.extend_from_slice(&bytes[at..hold]);
        }
        self.covered = at.saturating_sub(hold);
        self.carry = bytes[hold..].to_vec();
    }

    /// The places of secrets in `bytes`, in order, those that touch made one.
    fn found(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let Some(search) = &self.search else { return if self.is_idle() { vec![] } else { vec![(0, bytes.len())] } };
        if !search.is_match(bytes) {
            return Vec::new();
        }
        let mut them: Vec<(usize, usize)> =
            search.find_overlapping_iter(bytes).map(|it| (it.start(), it.end())).collect();
        them.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in them {
            match merged.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }
}

/// Every way in which `secret` is looked for.
fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let whole = secret.trim_matches(['\n', '\r']);
    if whole.is_empty() {
        return Vec::new();
    }
    let mut forms = vec![whole.as_bytes().to_vec()];
    forms.extend(whole.lines().map(str::trim).filter(|it| it.len() >= LINE_BYTES_MIN).map(|it| it.as_bytes().to_vec()));
    let mut encoded = vec![percent(whole, false, false), percent(whole, true, false), percent(whole, false, true)];
    for shift in 0..3 {
        let standard = base64_core(whole.as_bytes(), shift);
        encoded.push(
            standard
                .iter()
                .map(|it| {
                    if *it == b'+' {
                        b'-'
                    } else if *it == b'/' {
                        b'_'
                    } else {
                        *it
                    }
                })
                .collect(),
        );
        encoded.push(standard);
    }
    let json = serde_json::to_string(whole).unwrap_or_default();
    encoded.extend(json.get(1..json.len().saturating_sub(1)).map(|it| it.as_bytes().to_vec()));
    forms.extend(encoded.into_iter().filter(|it| it.len() >= ENCODED_BYTES_MIN));
    forms
}

/// URL encoding: everything but letters, digits and `-._~`.
fn percent(text: &str, lower: bool, plus: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b' ' if plus => out.push(b'+'),
            _ if lower => out.extend(format!("%{byte:02x}").into_bytes()),
            _ => out.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    out
}

/// The letters of base64 that depend on `secret` alone, when `shift` bytes stand before it in its group
/// of three, whatever stands before and after.
fn base64_core(secret: &[u8], shift: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let first_bit = shift * 8;
    let end_bit = first_bit + secret.len() * 8;
    let bit = |at: usize| {
        let byte = secret[(at - first_bit) / 8];
        usize::from(byte >> (7 - (at - first_bit) % 8) & 1)
    };
    (first_bit.div_ceil(6)..end_bit / 6)
        .map(|letter| ALPHABET[(letter * 6..letter * 6 + 6).fold(0, |value, at| value << 1 | bit(at))])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "hunter2/+pa ss";

    fn redact(parts: &[&[u8]], secrets: &[&str]) -> String {
        let secrets: Vec<String> = secrets.iter().map(|it| (*it).to_owned()).collect();
        let mut redactor = Redactor::new(&secrets);
        let mut out = Vec::new();
        for part in parts {
            redactor.feed(part, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn found_in_every_form() {
        let table = [
            ("x hunter2/+pa ss y", "x *** y"),
            ("q=hunter2%2F%2Bpa%20ss&", "q=***&"),
            ("q=hunter2%2f%2bpa%20ss&", "q=***&"),
            ("q=hunter2%2F%2Bpa+ss&", "q=***&"),
            // base64 of the secret behind 0, 1 and 2 other bytes
            ("aHVudGVyMi8rcGEgc3M=", "***M="),
            ("Omh1bnRlcjIvK3BhIHNz", "Om***"),
            ("YTpodW50ZXIyLytwYSBzcw==", "YTp***w=="),
        ];
        for (given, expected) in table {
            assert_eq!(redact(&[given.as_bytes()], &[SECRET]), expected, "{given}");
        }
    }

    #[test]
    fn found_however_the_stream_is_cut() {
        let text = b"a hunter2/+pa ss and hunter2/+pa, hunter2/+pa sshunter2/+pa ss end";
        for size in 1..text.len() {
            let parts: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(redact(&parts, &[SECRET]), "a *** and hunter2/+pa, ****** end", "pieces of {size}");
        }
    }

    #[test]
    fn overlapping_secrets_leave_nothing_of_either() {
        let text = b"-ababab- -abcdef-";
        for size in 1..text.len() {
            let parts: Vec<&[u8]> = text.chunks(size).collect();
            let shown = redact(&parts, &["abab", "abcd", "cdef"]);
            assert_eq!(shown, "-***- -***-", "pieces of {size}");
        }
    }

    #[test]
    fn lines_of_a_key_are_found_by_themselves_and_nothing_is_found_for_nothing() {
        assert_eq!(redact(&[b"line: SECOND-LINE-OF-KEY!"], &["FIRST-LINE\nSECOND-LINE-OF-KEY\n"]), "line: ***!");
        assert_eq!(redact(&[b"\nnothing\n"], &["", "\n"]), "\nnothing\n");
        assert_eq!(redact(&[b"pin 7!"], &["7"]), "pin ***!");
    }

    #[test]
    fn only_what_may_become_a_secret_is_held_back() {
        let mut redactor = Redactor::new(&[SECRET.to_owned()]);
        let mut out = Vec::new();
        redactor.feed(b"progress 10% hunt", &mut out);
        assert_eq!(out, b"progress 10% ");
        redactor.feed(b"ing\n", &mut out);
        assert_eq!(out, b"progress 10% hunting\n");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[ab]{0,60}", cuts in prop::collection::vec(1_usize..9, 1..20)) {
            let whole = redact(&[text.as_bytes()], &["aab", "bb", "abab"]);
            let mut parts: Vec<&[u8]> = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (part, left) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = left;
            }
            prop_assert_eq!(redact(&parts, &["aab", "bb", "abab"]), whole.clone());
            prop_assert!(!whole.contains("bb") && !whole.contains("aab"));
        }
    }
}
