//! The hidden subcommand that runs one query of a run, and tells what is wrong with it in its place.

use std::{io::Write, ops::Range, path::Path};

use crate::{
    base::{
        diagnostic::Diagnostic,
        fs,
        span::{SourceMap, Span},
    },
    exec::query::{self, Failed, Request},
    face::{
        exit::Exit,
        ui::{Style, diagnostic},
    },
    model::{manifest::code, project::Home},
};

/// Runs what stands in the file at `request`, as a step of its own.
pub fn step(request: Option<&Path>) -> Exit {
    let Err(failed) = run(request) else { return Exit::Done };
    // Into the log of the step; there is nowhere to say that this is gone.
    let _ = writeln!(std::io::stderr(), "{}", failed.trim_end());
    Exit::Failed
}

/// Runs it, or says why not.
pub fn run(request: Option<&Path>) -> Result<(), String> {
    let asked = request.ok_or_else(|| Failed::plain("no query is given"));
    let request = asked.and_then(query::request).map_err(|it| it.message)?;
    query::run(&request).map_err(|it| told(&request, &it))
}

/// Where it was written, if that can be told; otherwise in the query as it is run.
pub fn told(request: &Request, failed: &Failed) -> String {
    let at_home = |text: &str, failed: &Failed| {
        let home = request.home.as_ref().filter(|it| it.text == text)?;
        drawn_within(&request.root, home, text, failed)
    };
    let Some(written) = &request.written else {
        return at_home(&request.sql, failed).unwrap_or_else(|| drawn(&request.shown, &request.sql, failed));
    };
    let Some(place) = failed.at.and_then(|it| written.origin(it)) else {
        return drawn(&format!("{} as it is run", request.shown), &request.sql, failed);
    };
    let (told, sources) = match written.text[place.clone()].starts_with("{{") {
        true => marked(&request.shown, &written.text, place, failed),
        false => {
            let failed = Failed { at: Some(place.start), ..failed.clone() };
            let told = at_home(&written.text, &failed);
            return told.unwrap_or_else(|| drawn(&request.shown, &written.text, &failed));
        }
    };
    diagnostic::render(&told, &sources, Style::PLAIN)
}

/// What is wrong with `sql`, which is called `shown`, with a caret if the place is known.
pub fn drawn(shown: &str, sql: &str, failed: &Failed) -> String {
    match placed(shown, sql, failed) {
        Some((told, sources)) => diagnostic::render(&told, &sources, Style::PLAIN),
        None => {
            [Some(failed.message.as_str()), failed.help.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
    }
}

/// The same in the file in which a part of `sql` stands, if what is wrong is in that part, and nobody has edited the
/// file meanwhile.
pub fn drawn_within(root: &Path, home: &Home, sql: &str, failed: &Failed) -> Option<String> {
    let at = failed.at?;
    let mut parts = sql.match_indices(&*home.text).map(|it| it.0);
    let part = parts.find(|it| (*it..=*it + home.text.len()).contains(&at))?;
    let file = String::from_utf8(fs::read_if_there(&root.join(&home.file)).ok()??).ok()?;
    if file.get(home.at..home.at + home.text.len()) != Some(&*home.text) {
        return None;
    }
    Some(drawn(&home.file, &file, &Failed { at: Some(home.at + at - part), ..failed.clone() }))
}

/// The same, to be shown as other mistakes are; `None` if nobody knows its place.
pub fn placed(shown: &str, sql: &str, failed: &Failed) -> Option<(Diagnostic, SourceMap)> {
    let at = failed.at.filter(|it| *it <= sql.len())?;
    let rest = sql.get(at..)?;
    let word = rest.find(|it: char| !(it.is_alphanumeric() || it == '_')).unwrap_or(rest.len());
    let one = rest.chars().next().map_or(0, char::len_utf8);
    Some(marked(shown, sql, at..at + word.max(one), failed))
}

fn marked(shown: &str, text: &str, place: Range<usize>, failed: &Failed) -> (Diagnostic, SourceMap) {
    let mut sources = SourceMap::default();
    let file = sources.add(shown, text);
    let told = Diagnostic::error(code::BAD_SQL, failed.message.clone()).at(Span::new(file, place));
    let told = match &failed.help {
        Some(help) => told.help(help.clone()),
        None => told,
    };
    (told, sources)
}
