//! The hidden subcommand that runs one query of a run, and tells what is wrong with it in its place.

use std::{io::Write, ops::Range, path::Path};

use crate::{
    base::{
        diagnostic::Diagnostic,
        fs,
        span::{SourceMap, Span},
    },
    exec::query::{self, Failed, Request, Written, foreign::first_word},
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

/// A text that an engine is given, and where it was written.
pub struct Asked<'a> {
    /// What it is called.
    pub shown: &'a str,
    pub sql: &'a str,
    pub written: Option<&'a Written>,
    pub home: Option<&'a Home>,
    pub root: &'a Path,
}

/// Where it was written, if that can be told; otherwise in the query as it is run.
pub fn told(request: &Request, failed: &Failed) -> String {
    let Request { shown, sql, written, home, root, .. } = request;
    let asked = Asked { shown, sql, written: written.as_ref(), home: home.as_ref(), root };
    drawn_by(failed, |sources| placed_where_written(&asked, failed, sources))
}

/// The same, as a mistake among others; `None` if nobody knows its place.
pub fn placed_where_written(asked: &Asked<'_>, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let Asked { shown, sql, .. } = *asked;
    let Some(written) = asked.written else {
        let at_home = at_home(asked, sql, failed, sources);
        return at_home.or_else(|| placed(shown, sql, failed, sources));
    };
    let Some(place) = failed.at.and_then(|it| written.origin(it)) else {
        return placed(&format!("{shown} as it is run"), sql, failed, sources);
    };
    if written.text[place.clone()].starts_with("{{") {
        return Some(marked(shown, &written.text, place, failed, sources));
    }
    let failed = Failed { at: Some(place.start), ..failed.clone() };
    at_home(asked, &written.text, &failed, sources).or_else(|| placed(shown, &written.text, &failed, sources))
}

fn at_home(asked: &Asked<'_>, text: &str, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let home = asked.home.filter(|it| it.text == text)?;
    placed_within(asked.root, home, text, failed, sources)
}

/// As text, with a caret if `place` knows where.
pub fn drawn_by(failed: &Failed, place: impl FnOnce(&mut SourceMap) -> Option<Diagnostic>) -> String {
    let mut sources = SourceMap::default();
    match place(&mut sources) {
        Some(told) => diagnostic::render(&told, &sources, Style::PLAIN),
        None => {
            [Some(failed.message.as_str()), failed.help.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
    }
}

/// In the file in which a part of `sql` stands, if what is wrong is in that part, and nobody has edited the file
/// meanwhile.
pub fn placed_within(
    root: &Path,
    home: &Home,
    sql: &str,
    failed: &Failed,
    sources: &mut SourceMap,
) -> Option<Diagnostic> {
    let at = failed.at?;
    let mut parts = sql.match_indices(&*home.text).map(|it| it.0);
    let part = parts.find(|it| (*it..=*it + home.text.len()).contains(&at))?;
    let file = String::from_utf8(fs::read_if_there(&root.join(&home.file)).ok()??).ok()?;
    if file.get(home.at..home.at + home.text.len()) != Some(&*home.text) {
        return None;
    }
    placed(&home.file, &file, &Failed { at: Some(home.at + at - part), ..failed.clone() }, sources)
}

/// What is wrong with `sql`, which is called `shown`; `None` if nobody knows its place.
pub fn placed(shown: &str, sql: &str, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let at = failed.at.filter(|it| *it <= sql.len())?;
    let rest = sql.get(at..)?;
    let one = rest.chars().next().map_or(0, char::len_utf8);
    Some(marked(shown, sql, at..at + first_word(rest).len().max(one), failed, sources))
}

fn marked(shown: &str, text: &str, place: Range<usize>, failed: &Failed, sources: &mut SourceMap) -> Diagnostic {
    let known = sources.files().find(|(_, it)| it.path.to_str() == Some(shown) && &*it.text == text).map(|it| it.0);
    let file = known.unwrap_or_else(|| sources.add(shown, text));
    let told = Diagnostic::error(code::BAD_SQL, failed.message.clone()).at(Span::new(file, place));
    match &failed.help {
        Some(help) => told.help(help.clone()),
        None => told,
    }
}
