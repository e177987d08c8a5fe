//! Why an asset is what it is: `assets.why/1`, and a page that leads to the root cause.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    face::{
        report::{Last, LastDocument, Layout, ReasonDocument, diff},
        ui::{Role, reason, words},
    },
    model::staleness::{Reason, ReasonCode, State},
};

pub const SCHEMA: &str = "assets.why/1";

/// Old and new values are cut to this.
const VALUE_COLUMNS_MAX: usize = 32;
const ROOTS_SHOWN_MAX: usize = 5;
/// Of a longer chain the middle is left out.
const CHAIN_SHOWN_MAX: usize = 8;

/// What is to be explained.
#[derive(Clone, PartialEq, Debug)]
pub struct Why {
    /// Key, with `@partition` if there is one.
    pub name: String,
    pub state: State,
    /// Its own reasons, the most telling first; those that lie upstream are there too.
    pub causes: Vec<Cause>,
    /// Where reasons that lie upstream come from in the end.
    pub roots: Vec<Root>,
    pub last: Option<Last>,
    /// How many assets depend on it.
    pub downstream: usize,
    /// The command to run next.
    pub next: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    pub reason: Reason,
    /// See [`diff::unified`].
    pub diff: Option<String>,
}

/// An asset or source upstream that changed on its own account.
#[derive(Clone, PartialEq, Debug)]
pub struct Root {
    /// From the asset asked about (left out) to the root (the last).
    pub chain: Vec<String>,
    pub cause: Cause,
}

/// The answer to `assets why`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.why/1"))]
pub struct WhyDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub key: String,
    #[cfg_attr(test, schemars(extend("enum" = crate::face::report::schema::states())))]
    pub state: &'static str,
    /// The most telling first; empty if it is fresh.
    pub reasons: Vec<ReasonDocument>,
    /// What changed on its own account, here or upstream.
    pub roots: Vec<RootDocument>,
    /// Null if it was never built.
    pub last: Option<LastDocument>,
    /// How many assets depend on it.
    pub downstream: usize,
}

/// A cause that has no further cause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Root"))]
pub struct RootDocument {
    /// The asset or source that changed.
    pub key: String,
    #[serde(flatten)]
    pub reason: ReasonDocument,
    /// Unified, without file names; null if there is no text to compare.
    pub diff: Option<String>,
    /// From the asset asked about to `key`, both included.
    pub chain: Vec<String>,
}

pub fn document(why: &Why) -> WhyDocument {
    let own = why.causes.iter().filter(|it| !reason::is_upstream(it.reason.code)).map(|it| (&[][..], it));
    let upstream = why.roots.iter().map(|it| (it.chain.as_slice(), &it.cause));
    let roots = own.chain(upstream).map(|(chain, cause)| RootDocument {
        key: chain.last().unwrap_or(&why.name).clone(),
        reason: (&cause.reason).into(),
        diff: cause.diff.clone(),
        chain: std::iter::once(&why.name).chain(chain).cloned().collect(),
    });
    WhyDocument {
        schema: SCHEMA,
        key: why.name.clone(),
        state: why.state.name(),
        reasons: why.causes.iter().map(|it| (&it.reason).into()).collect(),
        roots: roots.collect(),
        last: why.last.as_ref().map(LastDocument::from),
        downstream: why.downstream,
    }
}

/// The verdict, the causes with what they were and are, the way to the root, what to run next.
pub fn text(why: &Why, layout: Layout) -> String {
    let mut text = verdict(why, layout);
    // What is missing upstream has no root that could be told instead.
    let own: Vec<&Cause> = why.causes.iter().filter(|it| it.reason.code != ReasonCode::UpstreamStale).collect();
    if !own.is_empty() && !is_said_by_verdict(&own, why) {
        text.push('\n');
        text.push_str(&causes(&own, 2, layout));
    }
    for root in why.roots.iter().take(ROOTS_SHOWN_MAX) {
        text.push('\n');
        text.push_str(&chain(&root.chain, layout));
        text.push_str(&causes(&[&root.cause], 4, layout));
    }
    if why.roots.len() > ROOTS_SHOWN_MAX {
        let _ = writeln!(text, "\n  and {}", words::count(why.roots.len() - ROOTS_SHOWN_MAX, "more cause"));
    }
    if why.roots.is_empty() && own.is_empty() && !why.causes.is_empty() {
        let upstream: Vec<&Cause> = why.causes.iter().collect();
        text.push('\n');
        text.push_str(&causes(&upstream, 2, layout));
    }
    text.push_str(&ending(why, layout));
    text
}

fn verdict(why: &Why, layout: Layout) -> String {
    let name = layout.style.paint(Role::Strong, &why.name);
    let (state, role) = match why.state {
        State::Fresh => ("is fresh", Role::Good),
        State::Stale => ("is stale", Role::Warn),
        State::Missing => ("is missing", Role::Warn),
        State::Failed => ("failed", Role::Bad),
        State::Blocked => ("is blocked", Role::Bad),
        State::Running => ("is being built", Role::Info),
    };
    let state = layout.style.paint(role, state);
    let own: Vec<&Cause> = why.causes.iter().filter(|it| it.reason.code != ReasonCode::UpstreamStale).collect();
    let total = own.len() + why.roots.len();
    let cause = match (own.first(), why.roots.first()) {
        // What is missing has no name of its own, but words.
        (Some(own), _) if own.reason.subject == why.name && own.reason.code == ReasonCode::UpstreamMissing => {
            format!(", {}", told(&own.reason))
        }
        (Some(own), _) => format!(", {}", reason::one(&own.reason, &why.name)),
        (None, Some(root)) => {
            let key = root.chain.last().unwrap_or(&why.name);
            format!(" because of {key}, {}", reason::one(&root.cause.reason, key))
        }
        (None, None) => match why.causes.first() {
            Some(first) => format!(", {}", reason::one(&first.reason, &why.name)),
            None => String::new(),
        },
    };
    let more = if total > 1 { format!(" (and {})", words::count(total - 1, "more cause")) } else { String::new() };
    format!("{name} {state}{cause}{more}\n")
}

/// Whether the first line already told all that there is to tell.
fn is_said_by_verdict(own: &[&Cause], why: &Why) -> bool {
    let [Cause { reason, diff: None }] = own else { return false };
    reason.old.is_none()
        && reason.new.is_none()
        && (reason.subject.is_empty() || reason.subject == why.name)
        && told(reason) == reason::words_of(reason.code)
}

/// The message where it adds to what the columns say (an exit status, "only formatting changed").
fn told(reason: &Reason) -> &str {
    match reason.message.as_str() {
        "" => reason::words_of(reason.code),
        message if !reason.subject.is_empty() && message.contains(&reason.subject) => reason::words_of(reason.code),
        message => message,
    }
}

/// A line for each cause, in columns, with its diff below.
fn causes(causes: &[&Cause], indent: usize, layout: Layout) -> String {
    let subjects: Vec<String> = causes.iter().map(|it| words::visible(&it.reason.subject).into_owned()).collect();
    let changes: Vec<String> = causes.iter().map(|it| change(&it.reason, layout)).collect();
    let widest = |texts: &[String]| texts.iter().map(|it| words::width(it)).max().unwrap_or(0);
    let (subject_columns, change_columns) = (widest(&subjects), widest(&changes));
    let mut text = String::new();
    for ((cause, subject), change) in causes.iter().zip(&subjects).zip(&changes) {
        let columns = [
            (words::pad_right(subject, subject_columns), Role::Strong, subject_columns),
            (words::pad_right(change, change_columns), Role::Info, change_columns),
            (words::visible(told(&cause.reason)).into_owned(), Role::Dim, 1),
        ];
        let painted: Vec<String> =
            columns.iter().filter(|it| it.2 > 0).map(|(column, role, _)| layout.style.paint(*role, column)).collect();
        let _ = writeln!(text, "{}{}", " ".repeat(indent), painted.join("  ").trim_end());
        if let Some(diff) = &cause.diff {
            text.push_str(&diff::shown(diff, indent + 4, layout));
        }
    }
    text
}

/// `old -> new`; empty if neither is known.
fn change(reason: &Reason, layout: Layout) -> String {
    let shown = |value: &Option<String>| match value {
        None => "(absent)".to_owned(),
        Some(value) => words::cut(&words::visible(value), VALUE_COLUMNS_MAX, layout.style).into_owned(),
    };
    if reason.old.is_none() && reason.new.is_none() {
        return String::new();
    }
    format!("{} -> {}", shown(&reason.old), shown(&reason.new))
}

/// `because KEY` lines, the root last.
fn chain(keys: &[String], layout: Layout) -> String {
    let mut text = String::new();
    let left_out = if keys.len() > CHAIN_SHOWN_MAX { keys.len() - CHAIN_SHOWN_MAX } else { 0 };
    let half = CHAIN_SHOWN_MAX / 2;
    for (index, key) in keys.iter().enumerate() {
        if left_out > 0 && index == half {
            let _ = writeln!(text, "  because of {left_out} more in between");
        }
        if left_out > 0 && (half..half + left_out).contains(&index) {
            continue;
        }
        let is_root = index + 1 == keys.len();
        let key = words::visible(key);
        let key = if is_root { layout.style.paint(Role::Strong, &key) } else { key.into_owned() };
        let _ = writeln!(text, "  because {key} {}", if is_root { "changed:" } else { "is stale" });
    }
    text
}

fn ending(why: &Why, layout: Layout) -> String {
    let mut text = String::new();
    if let Some(last) = &why.last {
        let since = if why.state == State::Fresh { "; nothing that it depends on changed since" } else { "" };
        let _ = writeln!(text, "\nLast built {} in run {}{since}.", words::ago(last.at, layout.now), last.run);
    }
    if why.state != State::Fresh {
        if why.downstream > 0 {
            let separator = if why.last.is_none() { "\n" } else { "" };
            let verb = if why.downstream == 1 { "depends" } else { "depend" };
            let _ = writeln!(text, "{separator}{} {verb} on it.", words::count(why.downstream, "asset"));
        }
        if let Some(next) = &why.next {
            let _ = writeln!(text, "\nNext: {}", layout.style.paint(Role::Strong, next));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{
        face::{
            report::status::tests::{last, layout, reason},
            ui::Style,
        },
        model::staleness::ReasonCode,
    };

    fn tells(why: &Why, expected: Expect) {
        let plain = text(why, layout());
        let color = text(why, Layout { style: Style { color: true, ..Style::PLAIN }, ..layout() });
        assert_eq!(words::without_escapes(&color), plain);
        expected.assert_eq(&words::ruled(&plain));
    }

    fn code_changed() -> Cause {
        let diff = diff::unified("import csv\nlimit = 10\n", "import csv\nlimit = 20\n").unwrap();
        Cause {
            reason: reason(ReasonCode::CodeChanged, "clean.py", Some(("4f2a11aa01b2", "9c0b77123456"))),
            diff: Some(diff),
        }
    }

    fn why(name: &str, state: State, causes: Vec<Cause>, roots: Vec<Root>) -> Why {
        let next = Some(format!("assets materialize -s {name}"));
        Why { name: name.to_owned(), state, causes, roots, last: Some(last()), downstream: 3, next }
    }

    fn plain(reason: Reason) -> Cause {
        Cause { reason, diff: None }
    }

    fn upstream() -> Why {
        let chain = vec!["daily_sales".to_owned(), "orders".to_owned()];
        let causes = vec![plain(reason(ReasonCode::UpstreamStale, "daily_sales", None))];
        why("report", State::Stale, causes, vec![Root { chain, cause: code_changed() }])
    }

    #[test]
    fn own_causes_are_told_with_what_they_were() {
        let mut absent = reason(ReasonCode::EnvChanged, "MODE", None);
        absent.new = Some("slow\x1b[2J".to_owned());
        let mut failed = reason(ReasonCode::PreviousFailed, "orders", None);
        failed.message = "exit status 3".to_owned();
        tells(
            &why("orders", State::Stale, vec![code_changed(), plain(absent), plain(failed)], vec![]),
            expect![[r#"
                |orders is stale, code changed: clean.py (and 2 more causes)
                |
                |  clean.py  4f2a11aa01b2 -> 9c0b77123456  code changed
                |      @@ -1,2 +1,2 @@
                |       import csv
                |      -limit = 10
                |      +limit = 20
                |  MODE      (absent) -> slow\u{1b}[2J     environment changed
                |  orders                                  exit status 3
                |
                |Last built 3 minutes ago in run 20261120-115700-4f2a.
                |3 assets depend on it.
                |
                |Next: assets materialize -s orders
            "#]],
        );
    }

    #[test]
    fn causes_upstream_lead_to_the_root() {
        tells(
            &upstream(),
            expect![[r#"
                |report is stale because of orders, code changed: clean.py
                |
                |  because daily_sales is stale
                |  because orders changed:
                |    clean.py  4f2a11aa01b2 -> 9c0b77123456  code changed
                |        @@ -1,2 +1,2 @@
                |         import csv
                |        -limit = 10
                |        +limit = 20
                |
                |Last built 3 minutes ago in run 20261120-115700-4f2a.
                |3 assets depend on it.
                |
                |Next: assets materialize -s report
            "#]],
        );
    }

    #[test]
    fn an_asset_that_was_never_built_says_so() {
        let mut never =
            why("orders", State::Missing, vec![plain(reason(ReasonCode::NeverBuilt, "orders", None))], vec![]);
        never.last = None;
        tells(
            &never,
            expect![[r#"
                |orders is missing, never built
                |
                |3 assets depend on it.
                |
                |Next: assets materialize -s orders
            "#]],
        );
    }

    #[test]
    fn a_fresh_asset_has_nothing_to_explain() {
        tells(
            &why("orders", State::Fresh, vec![], vec![]),
            expect![[r#"
            |orders is fresh
            |
            |Last built 3 minutes ago in run 20261120-115700-4f2a; nothing that it depends on changed since.
        "#]],
        );
    }

    #[test]
    fn long_chains_and_many_roots_are_cut() {
        let chain: Vec<String> = (0..30).map(|it| format!("a{it}")).collect();
        let cause = plain(reason(ReasonCode::SourceChanged, "raw/1.csv", Some(("0d6c", "77aa"))));
        let roots = vec![Root { chain, cause }; 8];
        let blocked = plain(reason(ReasonCode::UpstreamMissing, "a0", None));
        let told = text(&why("end", State::Blocked, vec![blocked], roots), layout());
        let first: Vec<&str> = told.lines().take(13).collect();
        expect![[r#"
            |end is blocked, upstream is missing: a0 (and 8 more causes)
            |
            |  a0  upstream is missing
            |
            |  because a0 is stale
            |  because a1 is stale
            |  because a2 is stale
            |  because a3 is stale
            |  because of 22 more in between
            |  because a26 is stale
            |  because a27 is stale
            |  because a28 is stale
            |  because a29 changed:
        "#]]
        .assert_eq(&words::ruled(&first.join("\n")));
        assert!(told.contains("\n  and 3 more causes\n"), "{told}");
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let own = document(&why("orders", State::Stale, vec![code_changed()], vec![]));
        let upstream = document(&upstream());
        crate::face::report::schema::check::<WhyDocument>("why", &[&own, &upstream]);
        let json = serde_json::to_value(&upstream).unwrap();
        assert_eq!(json["roots"][0]["key"], "orders");
        assert_eq!(json["roots"][0]["code"], "code_changed");
        assert_eq!(json["roots"][0]["chain"], serde_json::json!(["report", "daily_sales", "orders"]));
        assert!(json["roots"][0]["diff"].as_str().unwrap().contains("+limit = 20"));
        assert_eq!(serde_json::to_value(&own).unwrap()["roots"][0]["key"], "orders");
    }
}
