//! How a key may be spelt, and lists of keys in an order.
//!
//! Keys become names of files, arguments and words of `--partition`, so what means something there
//! is not for keys. Knows nothing of time.

use std::sync::Arc;

/// Why a text cannot be a key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadName {
    #[error("a key is empty")]
    Empty,
    #[error("a key is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("a key may not contain {0:?}")]
    Character(char),
    #[error("a key may not begin with {0:?}")]
    Begins(char),
    #[error("a key may not begin or end with white space")]
    Space,
    #[error("a key may not contain `..`, which is for ranges")]
    Range,
    #[error("`{0}` is a word of `--partition` and cannot be a key")]
    Word(&'static str),
}

/// With room for an ending below the 255 bytes of a file's name.
const BYTES_MAX: usize = 200;

/// What `--partition` takes for something else than a key.
pub const WORDS: [&str; 6] = ["all", "none", "latest", "missing", "stale", "failed"];

/// Whether `text` can be the key of a partition, or of one dimension of it.
pub fn check(text: &str) -> Result<(), BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > BYTES_MAX {
        return Err(BadName::TooLong);
    }
    if let Some(word) = WORDS.iter().find(|it| it.eq_ignore_ascii_case(text)) {
        return Err(BadName::Word(word));
    }
    if let Some(odd) = text.chars().find(|it| it.is_control() || "/\\|,;=*?".contains(*it)) {
        return Err(BadName::Character(odd));
    }
    if text.trim() != text {
        return Err(BadName::Space);
    }
    if text.contains("..") {
        return Err(BadName::Range);
    }
    match text.chars().next() {
        Some(first @ ('.' | '-')) => Err(BadName::Begins(first)),
        _ => Ok(()),
    }
}

/// Keys in an order, each once, found by name without looking at all of them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Names {
    listed: Arc<[Arc<str>]>,
    /// Places in `listed`, by name.
    by_name: Arc<[u32]>,
}

impl Names {
    /// In the order given.
    ///
    /// # Errors
    /// The place of the first name that is there already.
    pub fn new(listed: impl Into<Arc<[Arc<str>]>>) -> Result<Names, usize> {
        let listed = listed.into();
        let mut by_name: Vec<u32> = (0..listed.len()).map(|it| u32::try_from(it).unwrap_or(u32::MAX)).collect();
        by_name.sort_by(|a, b| listed[*a as usize].cmp(&listed[*b as usize]));
        let twice = by_name.windows(2).filter(|it| listed[it[0] as usize] == listed[it[1] as usize]);
        match twice.map(|it| it[1] as usize).min() {
            Some(again) => Err(again),
            None => Ok(Names { listed, by_name: by_name.into() }),
        }
    }

    /// By name, each once.
    pub fn sorted(names: impl IntoIterator<Item = Arc<str>>) -> Names {
        let mut listed: Vec<Arc<str>> = names.into_iter().collect();
        listed.sort();
        listed.dedup();
        let by_name = (0..listed.len()).map(|it| u32::try_from(it).unwrap_or(u32::MAX)).collect();
        Names { listed: listed.into(), by_name }
    }

    pub fn len(&self) -> usize {
        self.listed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub fn get(&self, place: usize) -> Option<&Arc<str>> {
        self.listed.get(place)
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        let found = self.by_name.binary_search_by(|it| (*self.listed[*it as usize]).cmp(name)).ok()?;
        Some(self.by_name[found] as usize)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.listed.iter().map(|it| &**it)
    }
}

/// Two lists are equal if they have the same names in the same order.
impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.listed, &other.listed) || self.listed == other.listed
    }
}

impl Eq for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_leave_room_for_the_language_around_them() {
        for good in ["jp", "New York", "2026-03-15T07", "v1.2", "東京", "a+b", "2026-03-15-07:00"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", BadName::Empty),
            ("a/b", BadName::Character('/')),
            ("a|b", BadName::Character('|')),
            ("a,b", BadName::Character(',')),
            ("a=b", BadName::Character('=')),
            ("a\nb", BadName::Character('\n')),
            ("a..b", BadName::Range),
            (".hidden", BadName::Begins('.')),
            ("-x", BadName::Begins('-')),
            (" a", BadName::Space),
            ("all", BadName::Word("all")),
            ("Latest", BadName::Word("latest")),
        ] {
            assert_eq!(check(bad), Err(why), "{bad:?}");
        }
        assert_eq!(check(&"x".repeat(201)), Err(BadName::TooLong));
    }

    #[test]
    fn names_are_found_in_any_order() {
        let names = Names::new(["us", "jp", "de"].map(Arc::from)).unwrap();
        assert_eq!(["us", "jp", "de", "kr"].map(|it| names.place(it)), [Some(0), Some(1), Some(2), None]);
        assert_eq!(names.get(1).map(|it| &**it), Some("jp"));
        assert_eq!(Names::new(["a", "b", "a", "b"].map(Arc::from)), Err(2));
        assert_eq!(Names::sorted(["b", "a", "b"].map(Arc::from)).iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
