//! How bytes that are nearly always text are sent: as text if they are UTF-8, else as numbers.
//!
//! Keeps what is sent small and readable, and still carries every argument and path there is.

use std::{
    borrow::Cow,
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

/// Bytes on their way.
struct Sent<'a>(Cow<'a, [u8]>);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => to.serialize_str(text),
            Err(_) => self.0.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Sent<'static> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextOrNumbers;
        impl<'de> Visitor<'de> for TextOrNumbers {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "text or a list of bytes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.as_bytes().to_vec())
            }

            fn visit_string<E>(self, text: String) -> Result<Vec<u8>, E> {
                Ok(text.into_bytes())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut them: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(it) = them.next_element()? {
                    bytes.push(it);
                }
                Ok(bytes)
            }
        }
        from.deserialize_any(TextOrNumbers).map(|it| Sent(Cow::Owned(it)))
    }
}

/// For `#[serde(with)]` on a list of byte strings.
pub mod list {
    use super::{Cow, Deserialize, Deserializer, Sent, Serializer};

    pub fn serialize<S: Serializer>(them: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(them.iter().map(|it| Sent(Cow::Borrowed(it))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let them = Vec::<Sent<'static>>::deserialize(from)?;
        Ok(them.into_iter().map(|it| it.0.into_owned()).collect())
    }
}

/// For `#[serde(with)]` on pairs of byte strings.
pub mod pairs {
    use super::{Cow, Deserialize, Deserializer, Sent, Serializer};

    type Pair = (Vec<u8>, Vec<u8>);

    pub fn serialize<S: Serializer>(them: &[Pair], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(them.iter().map(|(name, value)| (Sent(Cow::Borrowed(name)), Sent(Cow::Borrowed(value)))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pair>, D::Error> {
        let them = Vec::<(Sent<'static>, Sent<'static>)>::deserialize(from)?;
        Ok(them.into_iter().map(|(name, value)| (name.0.into_owned(), value.0.into_owned())).collect())
    }
}

/// For `#[serde(with)]` on a path.
pub mod path {
    use super::{Cow, Deserialize, Deserializer, OsStrExt, OsStringExt, Path, PathBuf, Sent, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        Sent(Cow::Borrowed(path.as_os_str().as_bytes())).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        let bytes = Sent::deserialize(from)?.0.into_owned();
        Ok(std::ffi::OsString::from_vec(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Carried {
        #[serde(with = "list")]
        list: Vec<Vec<u8>>,
        #[serde(with = "pairs")]
        pairs: Vec<(Vec<u8>, Vec<u8>)>,
        #[serde(with = "path")]
        path: PathBuf,
    }

    #[test]
    fn text_is_sent_as_text_and_every_byte_arrives() {
        let odd = std::ffi::OsString::from_vec(vec![b'/', 0xff]);
        let them = Carried {
            list: vec![b"a\n\"".to_vec(), vec![0xc3, 0x28], vec![]],
            pairs: vec![(b"N".to_vec(), vec![0x80]), (b"M".to_vec(), b"x".to_vec())],
            path: odd.into(),
        };
        let text = serde_json::to_string(&them).unwrap();
        assert_eq!(text, r#"{"list":["a\n\"",[195,40],""],"pairs":[["N",[128]],["M","x"]],"path":[47,255]}"#);
        assert_eq!(serde_json::from_str::<Carried>(&text).unwrap(), them);
    }
}
