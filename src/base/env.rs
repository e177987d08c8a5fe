//! The only file that reads environment variables.

use std::{collections::BTreeMap, ffi::OsString};

/// The caller's environment, read once and passed in.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        Environment { variables: std::env::vars_os().collect() }
    }

    pub fn get_os(&self, name: &str) -> Option<&OsString> {
        self.variables.get(std::ffi::OsStr::new(name))
    }

    /// The value, if it is set and is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name)?.to_str()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(them: T) -> Self {
        Environment { variables: them.into_iter().map(|(k, v)| (k.into(), v.into())).collect() }
    }
}
