//! What the codes of errors mean: `assets explain A0012`. Owns those that are not the manifest's.

use crate::{
    base::diagnostic::Code,
    model::manifest::code::{self, CodeInfo},
};

/// A selection that cannot be understood, or names what is not there.
pub const SELECTION: Code = Code("A0901");

/// Codes that are not of the manifest begin with A09.
const OWN: [CodeInfo; 1] = [CodeInfo {
    code: SELECTION.0,
    title: "a selection cannot be understood, or names what is not there",
    explanation: "\
A selection is names and tests, joined by operators: `orders+`, `tag:pii=no`, `+report,group:marts`.
Every name must be that of an asset or source; `*` stands for any run of characters.

    assets list 'orderz+'             # did you mean `orders`?
    assets list 'group:staging and'   # something must follow `and`

Quote a selection for the shell: `*`, parentheses and blanks mean something to it.
`assets help selection` tells the whole language.",
}];

/// The long text of a code; `None` if it is not the name of one.
pub fn explanation(name: &str) -> Option<String> {
    let name = name.trim_start_matches("error[").trim_end_matches(']').to_ascii_uppercase();
    let info = code::CODES.iter().chain(&OWN).find(|it| it.code == name)?;
    Some(format!("{}: {}\n\n{}\n", info.code, info.title, info.explanation.trim_end()))
}
