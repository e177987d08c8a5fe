//! What changed between two texts, as a unified diff.

use std::fmt::Write;

use similar::TextDiff;

use crate::face::{
    report::Layout,
    ui::{Role, words},
};

const CONTEXT_LINES: usize = 3;
/// Larger texts are not compared line by line.
const BYTES_MAX: usize = 1024 * 1024;
/// Of a longer diff, the beginning is shown.
const SHOWN_LINES_MAX: usize = 40;

/// Hunks without file names; empty if nothing differs, `None` if the texts are too large.
pub fn unified(old: &str, new: &str) -> Option<String> {
    if old.len() + new.len() > BYTES_MAX {
        return None;
    }
    Some(TextDiff::from_lines(old, new).unified_diff().context_radius(CONTEXT_LINES).to_string())
}

/// A diff for people: indented, coloured, cut to what is bearable. Every line ends in a newline.
pub fn shown(diff: &str, indent: usize, layout: Layout) -> String {
    let mut text = String::new();
    let room = layout.width.map_or(usize::MAX, |it| it.saturating_sub(indent));
    let indent = " ".repeat(indent);
    let lines: Vec<&str> = diff.lines().collect();
    // One line alone is not worth saying that it was left out.
    let shown = if lines.len() > SHOWN_LINES_MAX + 1 { SHOWN_LINES_MAX } else { lines.len() };
    for line in &lines[..shown] {
        let cut = words::visible_lines(line);
        let cut = words::cut(&cut, room, layout.style);
        let painted = match line.as_bytes().first() {
            Some(b'+') => layout.style.paint(Role::Added, &cut),
            Some(b'-') => layout.style.paint(Role::Removed, &cut),
            Some(b'@') => layout.style.paint(Role::Dim, &cut),
            _ => cut.into_owned(),
        };
        let _ = writeln!(text, "{}", format!("{indent}{painted}").trim_end());
    }
    if shown < lines.len() {
        let _ = writeln!(text, "{indent}... and {}", words::count(lines.len() - shown, "more line"));
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::face::report::status::tests::layout;

    #[test]
    fn a_diff_is_short_and_safe() {
        let diff = unified("import csv\n\nprint(1)\n", "import csv\n\nprint(\x1b[2J2)").unwrap();
        expect![[r#"
            |    @@ -1,3 +1,3 @@
            |     import csv
            |
            |    -print(1)
            |    +print(\u{1b}[2J2)
            |    \ No newline at end of file
        "#]]
        .assert_eq(&words::ruled(&shown(&diff, 4, layout())));
        assert_eq!(unified("a\n", "a\n").unwrap(), "");
        let long = unified("", &"a line\n".repeat(100)).unwrap();
        let shown = shown(&long, 2, layout());
        assert_eq!(shown.lines().count(), SHOWN_LINES_MAX + 1);
        assert!(shown.ends_with("  ... and 61 more lines\n"), "{shown}");
        assert_eq!(unified(&"a".repeat(BYTES_MAX), "b"), None);
    }
}
