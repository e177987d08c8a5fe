//! What a key may hold: the words in which [`keys`](super::keys) describes the manifest, from which
//! both the checks at load and the JSON Schema are made.

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text; a NUL is refused everywhere.
    Text,
    /// Text that is not empty.
    Filled,
    /// Text that is not empty, on one line, without control characters: what people are shown.
    Label,
    Boolean,
    /// A whole number in a range, ends included.
    Count(i64, i64),
    /// A number with or without a fraction, not infinite.
    Number,
    /// Text, a number or a boolean: one value of a column.
    Scalar,
    /// `1h30m`, `5s`, `500ms`.
    Duration,
    Choice(&'static Choice),
    List(&'static Kind),
    /// A list of at least one.
    FilledList(&'static Kind),
    /// The first that is of the value's type.
    Either(&'static [Kind]),
    /// Keys of the user's own, values of one kind.
    Map(&'static Kind),
    Table(&'static Shape),
    /// `[asset.NAME]`: tables under names of the user's own.
    Named(Names, &'static Shape),
    /// What a variable may hold: everything but dates.
    Variable,
}

/// How the names of a table's entries may be spelt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// Parts of `[A-Za-z0-9_-]+` joined by `/`.
    Keys,
    /// `[A-Za-z0-9_-]+`.
    Words,
}

#[derive(Debug)]
pub struct Choice {
    pub now: &'static [&'static str],
    /// Known, and not supported yet.
    pub later: &'static [&'static str],
}

/// A table with known keys.
#[derive(Debug)]
pub struct Shape {
    /// Name in the schema's definitions.
    pub name: &'static str,
    pub about: &'static str,
    pub fields: &'static [Field],
    /// Other keys are let through.
    pub open: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub about: &'static str,
    /// Known and type-checked, but its behaviour is yet to come.
    pub later: bool,
    /// Must be there once everything is merged.
    pub required: bool,
}

pub const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, about, later: false, required: false }
}

impl Field {
    pub const fn later(self) -> Field {
        Field { later: true, ..self }
    }

    pub const fn required(self) -> Field {
        Field { required: true, ..self }
    }
}

impl Shape {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|it| it.name == name)
    }
}

impl Kind {
    /// What is asked for, with its article.
    pub fn expected(&self) -> String {
        match self {
            Kind::Text | Kind::Filled | Kind::Label => "a string".into(),
            Kind::Boolean => "`true` or `false`".into(),
            Kind::Count(..) => "a whole number".into(),
            Kind::Number => "a number".into(),
            Kind::Scalar => "a string, number or boolean".into(),
            Kind::Duration => "a duration such as \"1h30m\"".into(),
            Kind::Choice(_) => "a string".into(),
            Kind::List(of) | Kind::FilledList(of) => match of {
                Kind::Text | Kind::Filled | Kind::Label => "a list of strings".into(),
                _ => "a list".into(),
            },
            Kind::Either(them) => them.iter().map(Kind::expected).collect::<Vec<_>>().join(" or "),
            Kind::Map(_) | Kind::Table(_) | Kind::Named(..) => "a table".into(),
            Kind::Variable => "a string, number, boolean, list or table".into(),
        }
    }
}
