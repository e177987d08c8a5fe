//! What the codes of errors mean: `assets explain A0012`.

use crate::model::manifest::code;

/// The long text of a code; `None` if it is not the name of one.
pub fn explanation(name: &str) -> Option<String> {
    let name = name.trim_start_matches("error[").trim_end_matches(']').to_ascii_uppercase();
    let info = code::CODES.iter().find(|it| it.code == name)?;
    Some(format!("{}: {}\n\n{}\n", info.code, info.title, info.explanation.trim_end()))
}
