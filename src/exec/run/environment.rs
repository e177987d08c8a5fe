//! The whole environment of a command: what is declared, what is ours, and a short list of what
//! every program needs. Nothing else of the caller's environment reaches it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use crate::{
    base::{env::Environment, sabotage::Protection},
    model::project::{EnvName, Project},
};

/// Variables that are passed on because programs do not start, print or connect well without them.
/// None of them is fingerprinted; `docs/commands.md` lists them.
pub const PASSED: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TMPDIR",
    "TERM",
    "COLORTERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "LD_LIBRARY_PATH",
];

/// Parts of names that mark a value as one that must not be shown.
const SECRET_WORDS: [&str; 6] = ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PRIVATE_KEY", "CREDENTIAL"];

/// What a command is given, and which of the values must never be shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommandEnvironment {
    pub variables: BTreeMap<OsString, OsString>,
    pub secrets: Vec<String>,
}

impl CommandEnvironment {
    /// The caller's share of it: passed, passed by the project's word, declared.
    /// `declared` are its own variables, `used` those that its templates name.
    pub fn of(
        caller: &Environment,
        project: &Project,
        declared: &[EnvName],
        used: impl Iterator<Item = String>,
    ) -> Self {
        let mut made = CommandEnvironment::default();
        for (name, value) in caller.iter() {
            let Some(text) = name.to_str() else { continue };
            let passed = Protection::SealedEnvironment.is_off() || PASSED.iter().any(|it| matches(it, text));
            let by_project = project.pass_env.iter().any(|it| matches(it, text));
            if passed || by_project {
                made.variables.insert(name.clone(), value.clone());
            }
            if by_project && SECRET_WORDS.iter().any(|it| text.to_ascii_uppercase().contains(it)) {
                made.hide(value);
            }
        }
        let used = used.map(|name| EnvName { name, secret: false });
        for declared in declared.iter().cloned().chain(used) {
            if let Some(value) = caller.get_os(&declared.name) {
                made.variables.insert(declared.name.as_str().into(), value.clone());
                if declared.secret {
                    made.hide(value);
                }
            }
        }
        made
    }

    /// What a template may name: variables that are declared, and with that fingerprinted, and set.
    pub fn of_templates(&self, declared: &[EnvName]) -> BTreeMap<String, String> {
        let value = |it: &EnvName| self.variables.get(OsStr::new(&it.name))?.to_str().map(str::to_owned);
        declared.iter().filter_map(|it| Some((it.name.clone(), value(it)?))).collect()
    }

    fn hide(&mut self, value: &OsString) {
        if let Some(text) = value.to_str()
            && !text.is_empty()
        {
            self.secrets.push(text.to_owned());
        }
    }

    /// One of which these parts must not be shown.
    pub fn set_secret(&mut self, name: &str, value: String, parts: Vec<String>) {
        self.secrets.extend(parts);
        self.variables.insert(name.into(), value.into());
    }

    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    pub fn into_pairs(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.variables.into_iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
    }
}

/// `AWS_*` takes every name that begins so; any other pattern is the name itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn only_a_star_at_the_end_is_a_pattern() {
        assert!(matches("LC_*", "LC_ALL"));
        assert!(!matches("LC_*", "LANG"));
        assert!(matches("PATH", "PATH"));
        assert!(!matches("PATH", "PATHEXT"));
    }
}
