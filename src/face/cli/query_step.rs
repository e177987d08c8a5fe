//! Runs one query of a run, and tells what is wrong with it in its place.

use std::{ops::Range, path::Path};

use crate::{
    base::{
        diagnostic::Diagnostic,
        fs,
        span::{SourceMap, Span},
    },
    exec::query::{self, Failed, Request, Written, foreign::first_word},
    face::ui::{Style, diagnostic},
    model::{manifest::code, project::Home},
};

/// Runs what `request` says, or says why not.
pub fn run(request: &[u8]) -> Result<(), String> {
    let request = query::request(request).map_err(|it| it.message)?;
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

/// Where it was written, if that can be told; otherwise in the query as it is run. What has no place has a file.
pub fn told(request: &Request, failed: &Failed) -> String {
    let Request { shown, sql, written, home, root, .. } = request;
    let asked = Asked { shown, sql, written: written.as_ref(), home: home.as_ref(), root };
    let failed = &Failed { message: below(root, &failed.message), ..failed.clone() };
    let told = drawn_by(failed, |sources| placed_where_written(&asked, failed, sources));
    // What is wrong with an input is told with the input.
    let is_of_input = request.inputs.iter().any(|it| told.starts_with(&format!("{}: ", it.name)));
    if is_of_input || !told.starts_with(&failed.message) {
        return told;
    }
    format!("{}: {told}", home.as_ref().map_or(shown, |it| &it.file))
}

/// Files of the project, as people know them.
fn below(root: &Path, message: &str) -> String {
    match root.to_str() {
        Some(root) if root.len() > 1 => message.replace(&format!("{root}/"), ""),
        _ => message.to_owned(),
    }
}

/// The same, as a mistake among others; `None` if nobody knows its place.
pub fn placed_where_written(asked: &Asked<'_>, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let Asked { shown, sql, .. } = *asked;
    let at_home = asked.home.and_then(|it| placed_within(asked.root, it, sql, failed, sources));
    if at_home.is_some() {
        return at_home;
    }
    let Some(written) = asked.written else { return placed(shown, sql, failed, sources) };
    let Some(place) = failed.at.and_then(|it| written.places.origin(it)) else {
        return placed(&format!("{shown} as it is run"), sql, failed, sources);
    };
    Some(marked(shown, &written.text, whole_or_word(&written.text, place), failed, sources))
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
    let place = home.places.origin(at - part)?;
    let file = String::from_utf8(fs::read_if_there(&root.join(&home.file)).ok()??).ok()?;
    let mut plain = home.places.pieces().iter().filter(|it| it.plain);
    let is_as_it_was = plain.all(|it| file.get(it.from.clone()) == home.text.get(it.at.clone()));
    is_as_it_was.then(|| marked(&home.file, &file, whole_or_word(&file, place), failed, sources))
}

/// What is wrong with `sql`, which is called `shown`; `None` if nobody knows its place.
pub fn placed(shown: &str, sql: &str, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let at = failed.at.filter(|it| sql.is_char_boundary(*it))?;
    Some(marked(shown, sql, whole_or_word(sql, at..sql.len()), failed, sources))
}

/// A tag that inserts something, or the first word there.
fn whole_or_word(text: &str, place: Range<usize>) -> Range<usize> {
    let rest = text.get(place.clone()).unwrap_or_default();
    if rest.starts_with("{{") && rest.ends_with("}}") {
        return place;
    }
    let one = rest.chars().next().map_or(0, char::len_utf8);
    let mut end = first_word(rest).len();
    // With what it is of: some engines tell the place of the table, and mean the column.
    while let Some(more) = rest[end..].strip_prefix('.').map(first_word).filter(|it| !it.is_empty()) {
        end += 1 + more.len();
    }
    place.start..place.start + end.max(one)
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
