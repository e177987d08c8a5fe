//! Rows of data as a small table: aligned, each on one line, whatever is in them.

use std::fmt::Write;

use crate::{
    face::ui::{Role, Style, words},
    model::{check::Sample, event::CheckReport, project::Severity},
};

/// Wider cells are cut, so that the others are seen too.
const CELL_COLUMNS_MAX: usize = 40;

/// What checks that failed saw: of each its sentence and its rows, if it has any to show. Every line is indented
/// and ends in a newline.
pub fn of_checks(checks: &[CheckReport], style: Style) -> String {
    let mut text = String::new();
    for check in checks.iter().filter(|it| it.failed()) {
        let why = check.finding.failure.as_deref().unwrap_or_default();
        let said = check.said.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        let warns = if check.severity == Severity::Warn { " (warns)" } else { "" };
        let heading = format!("{}{warns}: {why}{said}", check.name);
        let _ = writeln!(text, "    {}", style.paint(Role::Strong, &words::visible(&heading)));
        if let Some(sample) = &check.finding.sample {
            text.push_str(&table(sample, check.finding.failing, style));
        }
    }
    text
}

/// The rows below the names of their columns, and how many there are beside them.
pub fn table(sample: &Sample, all: Option<u64>, style: Style) -> String {
    let head: Vec<String> = sample.columns.iter().map(|it| cell(Some(it), style)).collect();
    let rows: Vec<Vec<String>> =
        sample.rows.iter().map(|row| row.iter().map(|it| cell(it.as_deref(), style)).collect()).collect();
    let wide = |at: usize| {
        let cells = rows.iter().filter_map(|it| it.get(at)).chain(head.get(at));
        cells.map(|it| words::width(it)).max().unwrap_or(0)
    };
    // Numbers stand below each other by their last digits.
    let right: Vec<bool> = (0..head.len())
        .map(|at| {
            let mut there = sample.rows.iter().filter_map(|it| it.get(at)?.as_deref()).peekable();
            there.peek().is_some() && there.all(|it| it.parse::<f64>().is_ok())
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(at, it)| match right.get(at) {
            Some(true) => words::pad_left(it, wide(at)),
            _ => words::pad_right(it, wide(at)),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = String::new();
    let _ = writeln!(text, "      {}", style.paint(Role::Dim, &line(&head)));
    for row in &rows {
        let _ = writeln!(text, "      {}", line(row));
    }
    let shown = sample.rows.len() as u64;
    if let Some(all) = all.filter(|it| *it > shown) {
        let more = words::thousands(all - shown);
        let _ = writeln!(text, "      {}", style.paint(Role::Dim, &format!("and {more} more")));
    }
    text
}

fn cell(text: Option<&str>, style: Style) -> String {
    match text {
        None => "NULL".to_owned(),
        // What cannot be seen is told from what is not there.
        Some(it) if it.is_empty() || it.trim() != it => {
            words::cut(&format!("{it:?}"), CELL_COLUMNS_MAX, style).into_owned()
        }
        Some(it) => words::cut(&words::visible(it), CELL_COLUMNS_MAX, style).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn rows_are_aligned_and_hold_no_surprise() {
        let row = |them: [Option<&str>; 3]| them.map(|it| it.map(str::to_owned)).to_vec();
        let sample = Sample {
            columns: ["id", "name", "total"].map(str::to_owned).to_vec(),
            rows: vec![
                row([Some("7"), Some("Rio\n\u{1b}[2J de"), Some("12.5")]),
                row([Some("10"), None, Some("-3.0")]),
                row([None, Some(""), Some("1000.0")]),
                row([Some("8"), Some("long ".repeat(20).trim_end()), None]),
            ],
        };
        expect![[r#"
            |        id  name                                       total
            |         7  Rio\n\u{1b}[2J de                           12.5
            |        10  NULL                                        -3.0
            |      NULL  ""                                        1000.0
            |         8  long long long long long long long long…    NULL
            |      and 1,200 more
        "#]]
        .assert_eq(&words::ruled(&table(&sample, Some(1204), Style::PLAIN)));
    }
}
