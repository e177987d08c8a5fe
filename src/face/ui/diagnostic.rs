//! Draws diagnostics the way rustc does: message, place, the line with a caret, help.
//!
//! Knows nothing of what the mistakes mean. Bounded: however long a line or a list of mistakes is,
//! what is printed stays short; nothing of a file reaches the terminal as a control character.

use std::{borrow::Cow, collections::BTreeSet, fmt::Write, ops::Range};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::{
    base::{
        diagnostic::{Diagnostic, Severity},
        span::{FileId, SourceMap, Span},
    },
    face::ui::{Style, words},
};

/// A list of mistakes is cut after so many.
const SHOWN_MAX: usize = 50;
/// Of a longer line, only what surrounds the mistake is shown.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// What is drawn on each side of a mistake in such a line.
const WINDOW_BYTES: usize = 200;
/// Mistakes of one file further apart than this are drawn apart.
const EXCERPT_BYTES_MAX: usize = 64 * 1024;
/// A longer range is marked on its first line alone.
const SPAN_LINES_MAX: usize = 6;

/// One diagnostic, ending in a newline.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = words::visible(&diagnostic.message);
    let mut report = vec![Group::with_title(level.clone().primary_title(message).id(diagnostic.code.0))];
    for part in parts(diagnostic, sources) {
        part.onto(&mut report, &level);
    }
    for help in &diagnostic.help {
        report.push(Group::with_title(Level::HELP.secondary_title(words::visible(help))));
    }
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let mut drawn = renderer.term_width(style.width.max(40)).render(&report);
    if !drawn.ends_with('\n') {
        drawn.push('\n');
    }
    drawn
}

/// The diagnostics in order, each followed by an empty line, then a line that counts them; nothing for none.
pub fn render_all(diagnostics: &[Diagnostic], sources: &SourceMap, style: Style) -> String {
    let mut drawn = String::new();
    if diagnostics.is_empty() {
        return drawn;
    }
    for diagnostic in diagnostics.iter().take(SHOWN_MAX) {
        drawn.push_str(&render(diagnostic, sources, style));
        drawn.push('\n');
    }
    let more = diagnostics.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(drawn, "... and {more} more\n");
    }
    let _ = writeln!(drawn, "{}", count(diagnostics, sources));
    drawn
}

/// `2 errors and 1 warning in assets.toml`.
fn count(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let errors = diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(words::count(errors, "error"));
    }
    if warnings > 0 {
        parts.push(words::count(warnings, "warning"));
    }
    let mut line = parts.join(" and ");
    let files: BTreeSet<FileId> = diagnostics.iter().filter_map(|it| Some(it.place?.file)).collect();
    match files.len() {
        0 => {}
        1 => {
            for file in files {
                let _ = write!(line, " in {}", shown_path(sources, file));
            }
        }
        many => {
            let _ = write!(line, " in {many} files");
        }
    }
    line
}

fn shown_path(sources: &SourceMap, file: FileId) -> String {
    words::visible(&sources.file(file).path.to_string_lossy()).into_owned()
}

/// One piece of a file to draw, with what is marked in it.
struct Part<'a> {
    path: String,
    /// Line and column to name, where the drawing cannot know them itself.
    origin: Option<(usize, usize)>,
    line_start: usize,
    text: Cow<'a, str>,
    marks: Vec<Mark>,
}

struct Mark {
    range: Range<usize>,
    label: String,
    kind: AnnotationKind,
}

impl<'a> Part<'a> {
    fn onto(self, report: &mut Vec<Group<'a>>, level: &Level<'a>) {
        let marks = self.marks.into_iter().map(|it| {
            let label = (!it.label.is_empty()).then(|| words::visible(&it.label).into_owned());
            it.kind.span(it.range).label(label)
        });
        let snippet: Snippet<'a, Annotation<'a>> =
            Snippet::source(self.text).line_start(self.line_start).annotations(marks);
        let group = report.pop().expect("a report begins with its title");
        match self.origin {
            Some((line, column)) => {
                report.push(group.element(Origin::path(self.path).line(line).char_column(column)));
                report.push(Group::with_level(level.clone()).element(snippet));
            }
            None => report.push(group.element(snippet.path(self.path))),
        }
    }
}

/// What is to be drawn, the place of the mistake itself first.
fn parts<'a>(diagnostic: &Diagnostic, sources: &'a SourceMap) -> Vec<Part<'a>> {
    let mut places = Vec::new();
    if let Some(place) = diagnostic.place {
        places.push((place, diagnostic.label.clone(), AnnotationKind::Primary));
    }
    places.extend(diagnostic.others.iter().map(|(it, label)| (*it, label.clone(), AnnotationKind::Context)));
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut files: Vec<FileId> = Vec::new();
    for (place, _, _) in &places {
        if !files.contains(&place.file) {
            files.push(place.file);
        }
    }
    for file in files {
        let text = &*sources.file(file).text;
        let here: Vec<_> = places
            .iter()
            .filter(|it| it.0.file == file)
            .map(|(place, label, kind)| Mark { range: narrowed(text, *place), label: label.clone(), kind: *kind })
            .collect();
        match together(text, &here) {
            Some(excerpt) => parts.push(Part {
                path: shown_path(sources, file),
                origin: None,
                line_start: line_number(text, excerpt.start),
                marks: here.into_iter().map(|it| it.moved_by(excerpt.start)).collect(),
                text: Cow::Borrowed(&text[excerpt]),
            }),
            None => parts.extend(here.into_iter().map(|it| windowed(sources, file, it))),
        }
    }
    parts
}

impl Mark {
    fn moved_by(mut self, start: usize) -> Mark {
        self.range = self.range.start - start..self.range.end - start;
        self
    }
}

/// The lines that hold all `marks`, if they are short enough to be drawn as they are.
fn together(text: &str, marks: &[Mark]) -> Option<Range<usize>> {
    let start = marks.iter().map(|it| it.range.start).min()?;
    let end = marks.iter().map(|it| it.range.end).max()?;
    if end - start > EXCERPT_BYTES_MAX {
        return None;
    }
    let excerpt = line_start(text, start)..line_end(text, end);
    let short =
        excerpt.len() <= EXCERPT_BYTES_MAX && text[excerpt.clone()].lines().all(|it| it.len() <= LINE_BYTES_MAX);
    short.then_some(excerpt)
}

/// One mark alone, with as much of its line as fits.
fn windowed(sources: &SourceMap, file: FileId, mark: Mark) -> Part<'static> {
    let text = &*sources.file(file).text;
    let line = line_start(text, mark.range.start)..line_end(text, mark.range.start);
    let end = mark.range.end.min(line.end).min(ceil(text, mark.range.start + WINDOW_BYTES)).max(mark.range.start);
    let from = floor(text, mark.range.start.saturating_sub(WINDOW_BYTES)).max(line.start);
    let to = ceil(text, end.saturating_add(WINDOW_BYTES)).min(line.end);
    let before = if from > line.start { "..." } else { "" };
    let after = if to < line.end { "..." } else { "" };
    let moved = |at: usize| at - from + before.len();
    Part {
        path: shown_path(sources, file),
        origin: Some(sources.line_column(Span::new(file, mark.range.clone()))),
        line_start: line_number(text, from),
        text: Cow::Owned(format!("{before}{}{after}", &text[from..to])),
        marks: vec![Mark { range: moved(mark.range.start)..moved(end), ..mark }],
    }
}

/// The range of a span inside `text`: on character boundaries, and not over more lines than can be drawn.
fn narrowed(text: &str, span: Span) -> Range<usize> {
    let start = floor(text, span.range().start);
    let end = ceil(text, span.range().end).max(start);
    let many = text[start..end].bytes().filter(|it| *it == b'\n').nth(SPAN_LINES_MAX - 1).is_some();
    if many { start..line_end(text, start) } else { start..end }
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

fn ceil(text: &str, at: usize) -> usize {
    text.ceil_char_boundary(at.min(text.len()))
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |it| it + 1)
}

/// Before the newline, and before a carriage return that belongs to it.
fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |it| at + it);
    if end > at && text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end }
}

fn line_number(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|it| *it == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::base::diagnostic::Code;

    fn draws(sources: &SourceMap, diagnostic: Diagnostic, expected: Expect) {
        expected.assert_eq(&render(&diagnostic, sources, Style::PLAIN));
    }

    fn span_of(sources: &SourceMap, file: FileId, what: &str) -> Span {
        let at = sources.file(file).text.find(what).unwrap();
        Span::new(file, at..at + what.len())
    }

    const MANIFEST: &str = "[project]\nname = \"shop\"\n\n[asset.orders]\ncommand = \"true\"\ndeps = [\"order_csv\"]\n\n[asset.x]\n\n\n\n[asset.orders]\n";

    #[test]
    fn a_mistake_is_shown_in_its_line() {
        let mut sources = SourceMap::default();
        let file = sources.add("assets.toml", MANIFEST);
        let place = span_of(&sources, file, "\"order_csv\"");
        let diagnostic = Diagnostic::error(Code("A0012"), "there is no asset or source `order_csv`")
            .at(place)
            .label("not declared")
            .help("did you mean `orders_csv`?")
            .help("a source is declared with `[source.NAME]`");
        draws(
            &sources,
            diagnostic,
            expect![[r#"
            error[A0012]: there is no asset or source `order_csv`
             --> assets.toml:6:9
              |
            6 | deps = ["order_csv"]
              |         ^^^^^^^^^^^ not declared
              |
            help: did you mean `orders_csv`?
            help: a source is declared with `[source.NAME]`
        "#]],
        );
    }

    #[test]
    fn other_places_are_shown_too() {
        let mut sources = SourceMap::default();
        let file = sources.add("assets.toml", MANIFEST);
        let second = sources.add("more/assets.toml", "[asset.orders]\n");
        let first = span_of(&sources, file, "orders");
        let again = MANIFEST.rfind("orders").unwrap();
        let diagnostic = Diagnostic::warning(Code("A0003"), "the key `orders` is declared twice")
            .at(Span::new(file, again..again + 6))
            .label("again here")
            .other(first, "first declared here")
            .other(span_of(&sources, second, "orders"), "and here");
        draws(
            &sources,
            diagnostic,
            expect![[r#"
            warning[A0003]: the key `orders` is declared twice
              --> assets.toml:12:8
               |
             4 | [asset.orders]
               |        ------ first declared here
            ...
            12 | [asset.orders]
               |        ^^^^^^ again here
               |
              ::: more/assets.toml:1:8
               |
             1 | [asset.orders]
               |        ------ and here
        "#]],
        );
    }

    #[test]
    fn a_mistake_without_a_place_is_a_sentence() {
        let diagnostic =
            Diagnostic::error(Code("A0001"), "there is no assets.toml here or above").help("`assets init` makes one");
        draws(
            &SourceMap::default(),
            diagnostic,
            expect![[r#"
            error[A0001]: there is no assets.toml here or above
             |
            help: `assets init` makes one
        "#]],
        );
    }

    #[test]
    fn control_characters_are_made_visible() {
        let mut sources = SourceMap::default();
        let file = sources.add("a\x1b[31m.toml", "name = \"\x1b[2J\u{202e}\"\r\n");
        let diagnostic =
            Diagnostic::error(Code("A0002"), "bad name \"\x1b[2J\"").at(Span::new(file, 7..15)).label("\x07here");
        draws(
            &sources,
            diagnostic,
            expect![[r#"
            error[A0002]: bad name "\u{1b}[2J"
             --> a\u{1b}[31m.toml:1:8
              |
            1 | name = "␛[2J�"
              |        ^^^^^^ \u{7}here
        "#]],
        );
    }

    #[test]
    fn of_a_huge_line_only_a_window_is_shown() {
        let mut sources = SourceMap::default();
        let text = format!("a = 1\nb = \"{}é!{}\"\n", "x".repeat(1_500_000), "y".repeat(1_500_000));
        let at = text.find('!').unwrap();
        let file = sources.add("assets.toml", text);
        let point = Diagnostic::error(Code("A0002"), "odd").at(Span::new(file, at..at + 1)).label("this");
        draws(
            &sources,
            point,
            expect![[r#"
            error[A0002]: odd
             --> assets.toml:2:1500007
              |
              |
            2 | ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxé!yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...
              |                                    ^ this
        "#]],
        );
        let whole = Diagnostic::error(Code("A0002"), "odd").at(Span::new(file, 10..3_000_000)).label("all of it");
        draws(
            &sources,
            whole,
            expect![[r#"
            error[A0002]: odd
             --> assets.toml:2:5
              |
              |
            2 | b = "xxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx...
              |     ^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^ all of it
        "#]],
        );
    }

    #[test]
    fn odd_spans_are_no_reason_to_fail() {
        let mut sources = SourceMap::default();
        let file = sources.add("assets.toml", "é = 1\nb = 2\n");
        let long = sources.add("long.toml", format!("é{}", "é\n".repeat(2_000)));
        let empty = sources.add("empty.toml", "");
        let last = sources.add("last.toml", "é".repeat(1_000));
        for file in [file, long, empty, last] {
            for range in [0..0, 1..1, 1..3, 0..12, 12..12, 500..500, 13..90, 4_000_000_000..4_000_000_001, 0..5_000] {
                let diagnostic = Diagnostic::error(Code("A0002"), "odd")
                    .at(Span::new(file, range.clone()))
                    .other(Span::new(file, range.end..range.end + 1), "also");
                assert!(render(&diagnostic, &sources, Style::PLAIN).len() < 4_000, "{range:?}");
            }
        }
    }

    #[test]
    fn a_list_is_counted_and_cut() {
        let mut sources = SourceMap::default();
        let file = sources.add("assets.toml", "a = 1\n");
        let one = Diagnostic::error(Code("A0002"), "odd").at(Span::new(file, 0..1));
        assert_eq!(render_all(&[], &sources, Style::PLAIN), "");
        let drawn = render_all(&vec![one.clone(); 60], &sources, Style::PLAIN);
        assert_eq!(drawn.matches("error[A0002]").count(), 50);
        assert!(drawn.ends_with("\n\n... and 10 more\n\n60 errors in assets.toml\n"), "{drawn}");
        let both = [one, Diagnostic::warning(Code("A0009"), "hm")];
        assert!(render_all(&both, &sources, Style::PLAIN).ends_with("\n\n1 error and 1 warning in assets.toml\n"));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let mut sources = SourceMap::default();
        let file = sources.add("assets.toml", MANIFEST);
        let diagnostic = Diagnostic::error(Code("A0012"), "odd").at(span_of(&sources, file, "true")).help("do it");
        let plain = render(&diagnostic, &sources, Style::PLAIN);
        let color = render(&diagnostic, &sources, Style { color: true, ..Style::PLAIN });
        assert_ne!(plain, color);
        assert_eq!(plain, words::without_escapes(&color));
    }
}
