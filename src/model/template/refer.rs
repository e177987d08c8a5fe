//! `ref("KEY")` in SQL: the name of an asset or source, quoted for the engine, and remembered as read.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Object, ObjectRepr},
};

use crate::model::sql::Dialect;

/// What one text may refer to, and what it did refer to.
#[derive(Debug)]
pub struct Refs {
    keys: Arc<BTreeSet<String>>,
    dialect: Dialect,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    known: BTreeSet<String>,
    unknown: Option<String>,
}

impl Refs {
    pub fn new(keys: Arc<BTreeSet<String>>, dialect: Dialect) -> Arc<Refs> {
        Arc::new(Refs { keys, dialect, asked: Mutex::default() })
    }

    /// The keys that were referred to so far.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).known.clone()
    }

    /// The first key that is nowhere declared.
    pub fn unknown(&self) -> Option<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).unknown.clone()
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.keys.iter().map(String::as_str)
    }

    fn refer(&self, key: &str) -> Option<String> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.keys.contains(key) {
            asked.known.insert(key.to_owned());
            return Some(self.dialect.quoted(key));
        }
        asked.unknown.get_or_insert_with(|| key.to_owned());
        None
    }
}

/// The function that a template sees.
#[derive(Debug)]
pub(super) struct Function(pub Arc<Refs>);

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        let key = match arguments {
            [key] => key.as_str(),
            _ => None,
        };
        let wrong = |text: String| Error::new(ErrorKind::InvalidOperation, text);
        let Some(key) = key else {
            return Err(wrong("`ref` takes one key: `ref(\"KEY\")`".to_owned()));
        };
        let found = self.0.refer(key).map(Value::from);
        found.ok_or_else(|| wrong(format!("there is no asset or source `{key}`")))
    }
}
