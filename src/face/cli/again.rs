//! Commands that people are told to type: they work from where the one that tells them was started.

use crate::{face::app::Opening, model::template::shell::argument};

/// The same command once more.
pub fn as_typed(typed: &[String]) -> String {
    line(typed)
}

/// Only what failed, in the same project and for the same target.
pub fn retry(opening: &Opening) -> String {
    let mut words = of(opening);
    for (name, value) in &opening.vars {
        words.extend(["--var".to_owned(), format!("{name}={value}")]);
    }
    words.push("retry".to_owned());
    line(&words)
}

/// Of a backfill, which knows its variables.
pub fn backfill(opening: &Opening, what: &str, name: &str) -> String {
    let mut words = of(opening);
    words.extend(["backfill", what, name].map(str::to_owned));
    line(&words)
}

fn of(opening: &Opening) -> Vec<String> {
    let mut words = Vec::new();
    if opening.start.as_os_str() != "." {
        words.extend(["-C".to_owned(), opening.start.to_string_lossy().into_owned()]);
    }
    if let Some(target) = &opening.target {
        words.extend(["-t".to_owned(), target.clone()]);
    }
    words
}

fn line(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|it| argument(it)).collect();
    format!("assets {}", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::env::Environment;

    #[test]
    fn what_is_told_can_be_pasted() {
        let typed = ["run", "-s", "raw/* +b", "it's", ""].map(str::to_owned);
        assert_eq!(as_typed(&typed), r"assets run -s 'raw/* +b' 'it'\''s' ''");
        let mut opening =
            Opening { start: PathBuf::from("."), target: None, vars: Vec::new(), env: Environment::default() };
        assert_eq!(retry(&opening), "assets retry");
        opening.start = PathBuf::from("../my shop");
        opening.target = Some("prod".to_owned());
        opening.vars.push(("country".to_owned(), "kr".to_owned()));
        assert_eq!(retry(&opening), "assets -C '../my shop' -t prod --var country=kr retry");
    }
}
