//! What could go wrong on this machine: `assets.doctor/1`, and a line for each check.

use std::fmt::Write;

use serde::Serialize;

use crate::face::{
    report::Layout,
    ui::{Role, line, words},
};

pub const SCHEMA: &str = "assets.doctor/1";

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Verdict {
    Ok,
    /// It works, with less.
    Warn,
    /// Something will not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    pub name: &'static str,
    pub verdict: Verdict,
    /// What was found, in words.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The answer to `assets doctor`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.doctor/1"))]
pub struct DoctorDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// Of assets.
    pub version: &'static str,
    pub checks: Vec<Check>,
}

impl Check {
    pub fn ok(name: &'static str, message: impl Into<String>) -> Check {
        Check { name, verdict: Verdict::Ok, message: message.into(), help: None }
    }

    pub fn warn(name: &'static str, message: impl Into<String>, help: impl Into<String>) -> Check {
        Check { name, verdict: Verdict::Warn, message: message.into(), help: said(help) }
    }

    pub fn fail(name: &'static str, message: impl Into<String>, help: impl Into<String>) -> Check {
        Check { name, verdict: Verdict::Fail, message: message.into(), help: said(help) }
    }
}

fn said(help: impl Into<String>) -> Option<String> {
    Some(help.into()).filter(|it| !it.is_empty())
}

pub fn document(checks: Vec<Check>) -> DoctorDocument {
    DoctorDocument { schema: SCHEMA, version: env!("CARGO_PKG_VERSION"), checks }
}

/// A line for each check; below one that is not well, what to do.
pub fn text(checks: &[Check], layout: Layout) -> String {
    let columns = checks.iter().map(|it| words::width(it.name)).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let (word, role) = match check.verdict {
            Verdict::Ok => ("ok", Role::Good),
            Verdict::Warn => ("warn", Role::Warn),
            Verdict::Fail => ("fail", Role::Bad),
        };
        let rest = format!("{}  {}", words::pad_right(check.name, columns), words::visible(&check.message));
        let _ = writeln!(text, "{}", line::with_status(word, role, &rest, layout.style, None));
        if let Some(help) = &check.help {
            let _ = writeln!(text, "{}{}", " ".repeat(13 + columns + 2), layout.style.paint(Role::Dim, help));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::face::report::status::tests::layout;

    #[test]
    fn every_check_is_a_line_and_trouble_says_what_to_do() {
        let checks = vec![
            Check::ok("manifest", "4 assets"),
            Check::warn("file system", "the project is on nfs", "keep it on a local disk"),
            Check::fail("programs", "`duckdb` is not on PATH", "install it"),
        ];
        expect![[r#"
            |          ok manifest     4 assets
            |        warn file system  the project is on nfs
            |                          keep it on a local disk
            |        fail programs     `duckdb` is not on PATH
            |                          install it
        "#]]
        .assert_eq(&words::ruled(&text(&checks, layout())));
        crate::face::report::schema::check::<DoctorDocument>("doctor", &[document(checks)]);
    }
}
