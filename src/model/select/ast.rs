//! A selection as a tree, and the tree as text again.

use std::{fmt, ops::Range};

use crate::model::{
    select::{
        pattern::has_wildcards,
        token::{written, written_name},
    },
    staleness::State,
};

/// What is selected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expr {
    /// `*`
    Everything,
    /// `orders`, `raw/*`
    Name(String, Place),
    /// `group:marts`
    Where(Test, Place),
    /// `2+x+1`; at least one side.
    Around {
        up: Option<Layers>,
        inner: Box<Expr>,
        down: Option<Layers>,
    },
    /// `@x`: it, what depends on it, and all that any of these are made from.
    At(Box<Expr>),
    /// `roots(x)`: what is not downstream of anything else in it.
    Roots(Box<Expr>),
    /// `sinks(x)`: what is not upstream of anything else in it.
    Sinks(Box<Expr>),
    Not(Box<Expr>),
    /// Intersection of two or more.
    And(Vec<Expr>),
    /// Union of two or more.
    Or(Vec<Expr>),
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layers {
    All,
    Some(u32),
}

/// A question about one node. Texts may hold wildcards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Test {
    /// Without a value: it has the tag at all.
    Tag(String, Option<String>),
    Group(String),
    Owner(String),
    Kind(String),
    Io(String),
    Path(String),
    /// A source of this name.
    Source(String),
    Status(State),
    /// Its code or sources differ from this revision of git.
    Changed(String),
    Is(Is),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Is {
    Asset,
    Source,
}

/// Where something was written. Equal to every other place: two trees are equal if they mean the same.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Which of the texts given, from 0.
    pub argument: usize,
    pub at: Range<usize>,
}

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Eq for Place {}

impl Test {
    /// The word before the colon.
    pub fn attribute(&self) -> &'static str {
        match self {
            Test::Tag(..) => "tag",
            Test::Group(_) => "group",
            Test::Owner(_) => "owner",
            Test::Kind(_) => "kind",
            Test::Io(_) => "io",
            Test::Path(_) => "path",
            Test::Source(_) => "source",
            Test::Status(_) => "status",
            Test::Changed(_) => "changed",
            Test::Is(_) => "is",
        }
    }
}

impl Expr {
    /// The names that it is a union of; `None` if it is anything else.
    pub fn plain_names(&self) -> Option<Vec<String>> {
        match self {
            Expr::Name(name, _) if !has_wildcards(name) => Some(vec![name.clone()]),
            Expr::Or(them) => Some(them.iter().map(Expr::plain_names).collect::<Option<Vec<_>>>()?.concat()),
            _ => None,
        }
    }

    /// Every expression inside this one and itself, outermost first.
    fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        match self {
            Expr::Everything | Expr::Name(..) | Expr::Where(..) => {}
            Expr::Around { inner, .. }
            | Expr::At(inner)
            | Expr::Roots(inner)
            | Expr::Sinks(inner)
            | Expr::Not(inner) => inner.walk(visit),
            Expr::And(them) | Expr::Or(them) => them.iter().for_each(|it| it.walk(visit)),
        }
    }

    /// Names and patterns in it, in the order written.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.walk(&mut |it| {
            if let Expr::Name(name, _) = it {
                names.push(name.as_str());
            }
        });
        names
    }

    /// Whether it asks for the status of anything.
    pub fn needs_status(&self) -> bool {
        let mut needs = false;
        self.walk(&mut |it| needs |= matches!(it, Expr::Where(Test::Status(_), _)));
        needs
    }

    /// The revisions of git that it compares with.
    pub fn changed_refs(&self) -> Vec<&str> {
        let mut refs = Vec::new();
        self.walk(&mut |it| {
            if let Expr::Where(Test::Changed(git_ref), _) = it {
                refs.push(git_ref.as_str());
            }
        });
        refs
    }

    /// How tightly it holds together: what binds looser needs parentheses.
    fn tightness(&self) -> u8 {
        match self {
            Expr::Or(_) => 0,
            Expr::And(_) => 1,
            Expr::Not(_) => 2,
            Expr::Around { .. } | Expr::At(_) => 3,
            _ => 4,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, tightness: u8) -> fmt::Result {
        if self.tightness() < tightness { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, them: &[Expr], between: &str, tightness: u8) -> fmt::Result {
    for (index, it) in them.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        it.write(f, tightness)?;
    }
    Ok(())
}

/// The one way of writing it that [`parse`](crate::model::select::parse()) reads as the same tree.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Everything => f.write_str("*"),
            Expr::Name(name, _) => f.write_str(&written_name(name)),
            Expr::Where(test, _) => write!(f, "{test}"),
            Expr::Around { up, inner, down } => {
                match up {
                    None => {}
                    Some(Layers::All) => f.write_str("+")?,
                    Some(Layers::Some(layers)) => write!(f, "{layers}+")?,
                }
                inner.write(f, 4)?;
                match down {
                    None => Ok(()),
                    Some(Layers::All) => f.write_str("+"),
                    Some(Layers::Some(layers)) => write!(f, "+{layers}"),
                }
            }
            Expr::At(inner) => {
                f.write_str("@")?;
                inner.write(f, 4)
            }
            Expr::Roots(inner) => write!(f, "roots({inner})"),
            Expr::Sinks(inner) => write!(f, "sinks({inner})"),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                inner.write(f, 2)
            }
            Expr::And(them) => write_joined(f, them, " and ", 2),
            Expr::Or(them) => write_joined(f, them, " or ", 1),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.attribute())?;
        match self {
            Test::Tag(name, None) => f.write_str(&written(name)),
            Test::Tag(name, Some(value)) => write!(f, "{}={}", written(name), written(value)),
            Test::Group(it)
            | Test::Owner(it)
            | Test::Kind(it)
            | Test::Io(it)
            | Test::Path(it)
            | Test::Source(it)
            | Test::Changed(it) => f.write_str(&written(it)),
            Test::Status(state) => f.write_str(state.name()),
            Test::Is(Is::Asset) => f.write_str("asset"),
            Test::Is(Is::Source) => f.write_str("source"),
        }
    }
}
