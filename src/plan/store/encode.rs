//! The written form of records: compact, framed by lengths, one form for each value.
//!
//! Read by rows of the database and by frames of the journal. What decodes encodes to the same bytes
//! again, so nothing is read as something that nobody wrote. Knows nothing of where bytes are kept.

mod records;
#[cfg(test)]
mod tests;

use crate::base::digest::Digest;

/// Bytes that nothing is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the written form of a record: {0}")]
pub struct Malformed(pub &'static str);

/// Has a written form. Every form takes at least one byte.
pub trait Coded: Sized {
    fn write(&self, out: &mut Vec<u8>);

    /// # Errors
    /// Anything that [`Coded::write`] does not write.
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// First byte of every record; a later form gets another number and this one is still read.
const FORM: u8 = 1;

/// The whole written form of one record.
pub fn encode<T: Coded>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(FORM);
    value.write(&mut out);
    out
}

/// # Errors
/// Anything that [`encode`] does not write; also if bytes are left over.
pub fn decode<T: Coded>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != FORM {
        return Err(Malformed("unknown form"));
    }
    let value = T::read(&mut reader)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Malformed("bytes are left over")) }
}

/// Fields in the order given, each by its own form.
macro_rules! coded_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Coded for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok($name { $($field: Coded::read(from)?),* })
            }
        }
    };
}

pub(in crate::plan) use coded_struct;

/// One byte for each case of a plain enum.
macro_rules! coded_cases {
    ($name:ident { $($number:literal = $case:ident),* $(,)? }) => {
        impl Coded for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(match self { $($name::$case => $number),* });
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                match from.byte()? {
                    $($number => Ok($name::$case),)*
                    _ => Err(Malformed(concat!("unknown ", stringify!($name)))),
                }
            }
        }
    };
}
pub(in crate::plan) use coded_cases;

/// What is still to be read.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What was not read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(first)
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed("shorter than its length"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Seven bits a byte, low ones first; no needless zero bytes.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed("a number is too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if bits == 0 && shift > 0 { Err(Malformed("a number is too long")) } else { Ok(value) };
            }
        }
        Err(Malformed("a number is too long"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.number()?;
        self.take(usize::try_from(len).map_err(|_| Malformed("a length is too large"))?)
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text is not UTF-8"))
    }
}

pub fn write_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

impl Coded for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        write_number(out, *self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.number()
    }
}

impl Coded for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        write_number(out, u64::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        u32::try_from(from.number()?).map_err(|_| Malformed("a number is too large"))
    }
}

/// Small numbers of either sign are short.
impl Coded for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        write_number(out, ((self << 1) ^ (self >> 63)) as u64);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let folded = from.number()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }
}

impl Coded for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }
}

impl Coded for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.text().map(str::to_owned)
    }
}

impl Coded for Digest {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = from.take(32)?;
        Ok(Digest(bytes.try_into().expect("32 bytes were taken")))
    }
}

impl<T: Coded> Coded for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(if bool::read(from)? { Some(T::read(from)?) } else { None })
    }
}

/// Room that is made on the word of a length alone.
const ITEMS_AT_ONCE: usize = 64;

impl<T: Coded> Coded for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_number(out, self.len() as u64);
        for item in self {
            item.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let len = from.number()?;
        // Every item takes a byte or more: a damaged length cannot ask for more memory than it came in.
        if len > from.rest.len() as u64 {
            return Err(Malformed("shorter than its length"));
        }
        let mut items = Vec::with_capacity(usize::try_from(len).map_or(0, |it| it.min(ITEMS_AT_ONCE)));
        for _ in 0..len {
            items.push(T::read(from)?);
        }
        Ok(items)
    }
}

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl<T: Coded> Coded for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::read(from).map(Box::new)
    }
}

/// A check against damage, not against people: any one changed word changes it.
#[derive(Clone, Copy)]
pub struct Check(u64);

/// Odd, so that multiplying loses nothing.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Check {
    pub fn new(seed: u64) -> Self {
        Check(seed ^ SPREAD)
    }

    /// Adds one part, length first, so that parts cannot flow into each other.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.word(bytes.len() as u64);
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !tail.is_empty() {
            let mut last = [0; 8];
            last[..tail.len()].copy_from_slice(tail);
            self.word(u64::from_le_bytes(last));
        }
        self
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(SPREAD).rotate_left(29);
    }

    pub fn value(self) -> u64 {
        let folded = (self.0 ^ (self.0 >> 32)).wrapping_mul(SPREAD);
        folded ^ (folded >> 29)
    }
}

/// The written form of a numbered record: what `decode::<(u64, T)>` reads, without a copy of it.
pub fn encode_numbered<T: Coded>(number: u64, value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    out.push(FORM);
    write_number(&mut out, number);
    value.write(&mut out);
    out
}

/// The number alone of what [`encode_numbered`] wrote.
pub fn number_of(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != FORM {
        return Err(Malformed("unknown form"));
    }
    reader.number()
}
