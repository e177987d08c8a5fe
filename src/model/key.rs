//! The name of an asset or source, and of one of its partitions.

use std::{fmt, sync::Arc};

use crate::model::format::TableFormat;

/// One or more parts of `[A-Za-z0-9_-]+` joined by `/`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetKey(Arc<str>);

/// Why a text is not an asset key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadKey {
    #[error("an asset key is empty")]
    Empty,
    #[error("an asset key has an empty part")]
    EmptyPart,
    #[error("an asset key may not contain {0:?}")]
    Character(char),
    #[error("an asset key is longer than {} bytes", AssetKey::BYTES_MAX)]
    TooLong,
}

impl AssetKey {
    pub const BYTES_MAX: usize = 512;

    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if text.is_empty() {
            return Err(BadKey::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(BadKey::TooLong);
        }
        if let Some(odd) = text.chars().find(|it| !(it.is_ascii_alphanumeric() || "_-/".contains(*it))) {
            return Err(BadKey::Character(odd));
        }
        if text.split('/').any(str::is_empty) {
            return Err(BadKey::EmptyPart);
        }
        Ok(AssetKey(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The key in capitals, every character that is not a letter or digit as `_`.
    pub fn env_name(&self) -> String {
        self.0.chars().map(|it| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' }).collect()
    }
}

impl fmt::Display for AssetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AssetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How what is called `name`, and is not there, can be declared: for people.
pub fn declaring(name: &str) -> String {
    if AssetKey::parse(name).is_ok() {
        let name = if name.contains('/') { format!("\"{name}\"") } else { name.to_owned() };
        return format!("declare it: [asset.{name}] or [source.{name}]");
    }
    match TableFormat::of_path(name) {
        Some(_) => format!("declare the file as a source, and read that: [source.NAME] files = [{name:?}]"),
        None => "what is declared is called by letters, digits, `_` and `-`, with `/` between parts".to_owned(),
    }
}

/// One partition of an asset. An asset without partitions has exactly one: the empty key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartitionKey(Arc<str>);

impl PartitionKey {
    /// The one partition of an asset that has none.
    pub fn whole() -> Self {
        PartitionKey::default()
    }

    pub fn new(text: &str) -> Self {
        PartitionKey(text.into())
    }

    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` for the one partition of an unpartitioned asset.
    pub fn name(&self) -> Option<&str> {
        if self.is_whole() { None } else { Some(&self.0) }
    }
}

impl fmt::Debug for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_plain() {
        assert_eq!(AssetKey::parse("raw/daily-sales").unwrap().env_name(), "RAW_DAILY_SALES");
        assert_eq!(AssetKey::parse(""), Err(BadKey::Empty));
        assert_eq!(AssetKey::parse("a//b"), Err(BadKey::EmptyPart));
        assert_eq!(AssetKey::parse("/a"), Err(BadKey::EmptyPart));
        assert_eq!(AssetKey::parse("a/.."), Err(BadKey::Character('.')));
    }
}
