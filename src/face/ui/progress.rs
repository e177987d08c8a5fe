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
    let is_set = |name| environment.get_os(name).is_some_and(|it| !it.is_empty());
    let can_draw = ui.err().is_terminal() && !color::is_dumb(environment);
    let bar = match choice {
        _ if ui.is_quiet() || !can_draw => false,
        ProgressChoice::Auto => !is_set("CI"),
        ProgressChoice::Bar => true,
        ProgressChoice::Plain | ProgressChoice::None => false,
    };
    if bar {
        return Box::new(BarListener::new(ui, setting));
    }
    let groups = if environment.get("GITHUB_ACTIONS") == Some("true") { Groups::Used } else { Groups::None };
    Box::new(PlainListener::new(ui, setting, groups, choice == ProgressChoice::None))
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
