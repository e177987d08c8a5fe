//! Which listeners tell people of a run: a live block on a terminal, plain lines elsewhere.

use crate::{
    base::env::Environment,
    face::ui::{Ui, color, github::Groups, line::Columns, plain::PlainListener, progress_bar::BarListener},
    model::event::{Listener, RunEvent},
};

/// `--progress`, `ASSETS_PROGRESS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProgressChoice {
    #[default]
    Auto,
    Bar,
    Plain,
    None,
}

impl ProgressChoice {
    pub fn parse(text: &str) -> Option<ProgressChoice> {
        match text {
            "auto" => Some(ProgressChoice::Auto),
            "bar" => Some(ProgressChoice::Bar),
            "plain" => Some(ProgressChoice::Plain),
            "none" => Some(ProgressChoice::None),
            _ => None,
        }
    }
}

/// What a listener must know of a run before it starts.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Selected assets that are fresh already and are no step of the run.
    pub fresh: usize,
    pub columns: Columns,
    /// The command that runs only what failed.
    pub retry: String,
    /// The command that goes on with a run that was interrupted.
    pub resume: String,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            fresh: 0,
            columns: Columns::default(),
            retry: "assets retry".to_owned(),
            resume: "assets materialize".to_owned(),
        }
    }
}

/// The listener that talks to a person on standard error.
pub fn listener(ui: &Ui, choice: ProgressChoice, setting: Setting, environment: &Environment) -> Box<dyn Listener> {
    if draws_bar(ui, choice, environment) {
        return Box::new(BarListener::new(ui, setting));
    }
    let groups = if environment.get("GITHUB_ACTIONS") == Some("true") { Groups::Used } else { Groups::None };
    Box::new(PlainListener::new(ui, setting, groups, choice == ProgressChoice::None))
}

fn draws_bar(ui: &Ui, choice: ProgressChoice, environment: &Environment) -> bool {
    let in_ci = environment.get_os("CI").is_some_and(|it| !it.is_empty());
    let can_draw = ui.err().is_terminal() && !color::is_dumb(environment) && !ui.is_quiet();
    match choice {
        ProgressChoice::Auto => can_draw && !in_ci,
        ProgressChoice::Bar => can_draw,
        ProgressChoice::Plain | ProgressChoice::None => false,
    }
}

/// Hands every event on to several listeners, in order.
#[derive(Default)]
pub struct MultiListener<'a>(pub Vec<Box<dyn Listener + 'a>>);

impl Listener for MultiListener<'_> {
    fn on_event(&mut self, event: &RunEvent) {
        for listener in &mut self.0 {
            listener.on_event(event);
        }
    }

    fn on_tick(&mut self, now_ms: u64) {
        for listener in &mut self.0 {
            listener.on_tick(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::ui::{Volume, stream::Stream};

    #[test]
    fn a_bar_is_drawn_only_where_someone_looks() {
        let ui = |terminal: bool, volume| {
            let (out, _) = Stream::captured();
            let (err, _) = if terminal { Stream::captured_terminal(80, 24) } else { Stream::captured() };
            Ui::new(out, err, volume)
        };
        let none = Environment::default();
        let ci: Environment = [("CI", "true")].into_iter().collect();
        let dumb: Environment = [("TERM", "dumb")].into_iter().collect();
        let here = ui(true, Volume::Normal);
        assert!(draws_bar(&here, ProgressChoice::Auto, &none));
        assert!(!draws_bar(&here, ProgressChoice::Auto, &ci));
        assert!(draws_bar(&here, ProgressChoice::Bar, &ci));
        assert!(!draws_bar(&here, ProgressChoice::Bar, &dumb));
        assert!(!draws_bar(&here, ProgressChoice::Plain, &none));
        assert!(!draws_bar(&ui(false, Volume::Normal), ProgressChoice::Bar, &none));
        assert!(!draws_bar(&ui(true, Volume::Quiet), ProgressChoice::Auto, &none));
    }

    #[test]
    fn several_listeners_hear_the_same_and_can_be_asked_later() {
        #[derive(Default)]
        struct Heard(Vec<String>);
        impl Listener for Heard {
            fn on_event(&mut self, event: &RunEvent) {
                self.0.push(format!("{event:?}"));
            }
            fn on_tick(&mut self, now_ms: u64) {
                self.0.push(now_ms.to_string());
            }
        }
        let (mut one, mut two) = (Heard::default(), Heard::default());
        let mut both = MultiListener(vec![Box::new(&mut one), Box::new(&mut two)]);
        both.on_tick(7);
        both.on_event(&RunEvent::Paused);
        drop(both);
        assert_eq!(one.0, ["7", "Paused"]);
        assert_eq!(one.0, two.0);
    }
}
