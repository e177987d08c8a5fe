//! Whether to use colour and characters beyond ASCII: the flag, then the environment, then the stream.

use crate::base::env::Environment;

/// `--color`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// `--color`, then `NO_COLOR`, then `FORCE_COLOR` and `CLICOLOR_FORCE`, then `CLICOLOR=0`, then
/// whether a terminal that knows colours is there.
pub fn decide(choice: ColorChoice, environment: &Environment, terminal: bool) -> bool {
    let is_set = |name| environment.get_os(name).is_some_and(|it| !it.is_empty());
    let is_zero = |name| environment.get(name) == Some("0");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if is_set("NO_COLOR") => false,
        ColorChoice::Auto if ["FORCE_COLOR", "CLICOLOR_FORCE"].iter().any(|it| is_set(it) && !is_zero(it)) => true,
        ColorChoice::Auto if is_zero("CLICOLOR") => false,
        ColorChoice::Auto => terminal && !is_dumb(environment),
    }
}

/// A terminal that cannot move its cursor.
pub fn is_dumb(environment: &Environment) -> bool {
    environment.get("TERM") == Some("dumb")
}

/// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set decides.
pub fn is_unicode(environment: &Environment) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|it| environment.get(it).filter(|it| !it.is_empty()))
        .unwrap_or_default()
        .to_ascii_uppercase();
    (locale.contains("UTF-8") || locale.contains("UTF8")) && !is_dumb(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    #[test]
    fn the_first_word_wins() {
        let on_terminal = |variables: &[(&str, &str)]| decide(ColorChoice::Auto, &environment(variables), true);
        let in_pipe = |variables: &[(&str, &str)]| decide(ColorChoice::Auto, &environment(variables), false);
        assert!(on_terminal(&[]));
        assert!(!in_pipe(&[]));
        assert!(!on_terminal(&[("TERM", "dumb")]));
        assert!(!on_terminal(&[("NO_COLOR", "1"), ("FORCE_COLOR", "1")]));
        assert!(on_terminal(&[("NO_COLOR", "")]));
        assert!(in_pipe(&[("FORCE_COLOR", "1")]));
        assert!(in_pipe(&[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")]));
        assert!(!in_pipe(&[("CLICOLOR_FORCE", "0")]));
        assert!(!on_terminal(&[("CLICOLOR", "0")]));
        assert!(on_terminal(&[("CLICOLOR", "1")]));
        let loud = environment(&[("NO_COLOR", "1"), ("TERM", "dumb")]);
        assert!(decide(ColorChoice::Always, &loud, false));
        assert!(!decide(ColorChoice::Never, &environment(&[("FORCE_COLOR", "1")]), true));
    }

    #[test]
    fn the_locale_says_what_can_be_drawn() {
        assert!(is_unicode(&environment(&[("LANG", "en_US.UTF-8")])));
        assert!(is_unicode(&environment(&[("LC_ALL", ""), ("LANG", "C.utf8")])));
        assert!(!is_unicode(&environment(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")])));
        assert!(!is_unicode(&environment(&[("TERM", "dumb"), ("LANG", "en_US.UTF-8")])));
        assert!(!is_unicode(&environment(&[])));
    }
}
