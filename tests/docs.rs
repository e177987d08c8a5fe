//! The documentation is true where a machine can tell: links lead somewhere, lists are those of the
//! code, generated pages are current. `UPDATE=1` rewrites what is generated.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use assets::model::{
    manifest,
    staleness::{ReasonCode, State},
};

use crate::support::Project;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page of ours, from the root.
fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "examples"] {
        let depth = if folder == "examples" { 2 } else { 1 };
        for entry in walkdir::WalkDir::new(root().join(folder)).max_depth(depth).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|it| it == "md") {
                pages.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    assert!(pages.iter().any(|it| it == "README.md") && pages.len() > 10, "{pages:?}");
    pages
}

/// Text outside of fenced code, with code spans taken out.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            let parts = line.split('`').enumerate().filter(|it| it.0 % 2 == 0).map(|it| it.1);
            kept.push_str(&parts.collect::<Vec<_>>().join(" "));
            kept.push('\n');
        }
    }
    kept
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    prose(text).split("](").skip(1).filter_map(|it| Some(it.split_once(')')?.0.to_owned())).collect()
}

/// Headings as GitHub names them in addresses.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !inside) {
            let name = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = name.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
            found.insert(kept.collect::<String>().replace(' ', "-"));
        }
    }
    found
}

/// What is written in backquotes at the start of list items: "- `name`: ...".
fn items(text: &str) -> Vec<String> {
    text.lines().filter_map(|it| Some(it.strip_prefix("- `")?.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        for link in links(&read(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&page).parent().unwrap();
            let target: PathBuf = if path.is_empty() { page.clone().into() } else { folder.join(path) };
            let there = root().join(&target);
            let known = there.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&there).unwrap_or_default()).contains(anchor));
            if !known {
                wrong.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn pages_that_the_code_names_are_there() {
    let mut lost = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root().join("src")) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for part in text.split("docs/").skip(1) {
                if let Some((name, _)) = part.split_once(".md")
                    && name.chars().all(|it| it.is_ascii_lowercase() || it == '-')
                    && !root().join(format!("docs/{name}.md")).exists()
                {
                    lost.insert(name.to_owned());
                }
            }
        }
    }
    assert!(lost.is_empty(), "the code speaks of pages that are not there: {lost:?}");
}

#[test]
fn every_page_is_linked() {
    let mut linked = BTreeSet::new();
    for page in pages() {
        let folder = Path::new(&page).parent().unwrap();
        for link in links(&read(&page)) {
            let path = link.split('#').next().unwrap();
            if let Ok(it) = fs::canonicalize(root().join(folder).join(path)) {
                linked.insert(it);
            }
        }
    }
    let is_docs = |it: &String| it.starts_with("docs/") || it.starts_with("examples/");
    let lost: Vec<String> = pages()
        .into_iter()
        .filter(is_docs)
        .filter(|it| !linked.contains(&fs::canonicalize(root().join(it)).unwrap()))
        .collect();
    assert!(lost.is_empty(), "pages that nothing links to: {lost:?}");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let page = read("docs/dependencies.md");
    let (binary, tests) = page.split_once("## In tests only").unwrap();
    for (section, text) in [("dependencies", binary), ("dev-dependencies", tests)] {
        let declared: Vec<String> = manifest[section].as_table().unwrap().keys().cloned().collect();
        let mut sorted = declared;
        sorted.sort();
        assert_eq!(items(text), sorted, "docs/dependencies.md does not list [{section}], sorted");
    }
}

#[test]
fn the_page_on_selection_is_the_help_topic() {
    let page = root().join("docs/selection.md");
    let reference = read("src/model/select/reference.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&page, &reference).unwrap();
    }
    assert!(read("docs/selection.md") == reference, "docs/selection.md is not current: run the tests with UPDATE=1");
}

/// The whole command line, as `--help` tells it.
fn command_line() -> String {
    use assets::face::cli::args::Cli;
    use clap::CommandFactory;
    let mut whole = Cli::command().term_width(100);
    whole.build();
    let mut page = String::from(
        "# The command line\n\n<!-- Generated from src/face/cli/args.rs: UPDATE=1 cargo test --test it docs:: -->\n\n\
         Also as `assets help COMMAND`, `assets COMMAND --help` and, with `assets man FOLDER`, as manual pages.\n\
         What the options under *Everywhere* mean is told once, here:\n\n",
    );
    page.push_str(&format!("```text\n{}\n```\n", whole.render_long_help().to_string().trim_end()));
    for command in whole.get_subcommands_mut() {
        let help = command.render_long_help().to_string();
        let own = help.split_once("\nEverywhere:\n").map_or(help.clone(), |(before, after)| {
            // The section ends where the next unindented text begins.
            let rest = after.split("\n\n").skip_while(|it| it.starts_with(' ') || it.is_empty());
            format!("{before}\n{}", rest.collect::<Vec<_>>().join("\n\n"))
        });
        page.push_str(&format!("\n## {}\n\n```text\n{}\n```\n", command.get_name(), own.trim_end()));
    }
    // Empty lines of clap's have blanks.
    page.lines().map(|it| format!("{}\n", it.trim_end())).collect()
}

#[test]
fn the_command_line_is_described_as_it_is() {
    let page = command_line();
    let path = root().join("docs/cli.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == page, "docs/cli.md is not current: run with UPDATE=1");
}

#[test]
fn every_command_has_examples() {
    use clap::CommandFactory;
    let whole = assets::face::cli::args::Cli::command();
    for command in whole.get_subcommands() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        assert!(after.contains("Examples:\n  "), "the help of {name} has no examples");
        let aliases: Vec<&str> = command.get_name_and_visible_aliases();
        let own = after
            .split("Examples:")
            .nth(1)
            .unwrap()
            .lines()
            .filter(|it| aliases.iter().any(|alias| it.contains(&format!("assets {alias}"))));
        assert!(own.count() > 0, "no example of {name} uses it");
    }
}

#[test]
fn every_key_of_the_manifest_is_described() {
    fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(map) => {
                if let Some(properties) = map.get("properties").and_then(|it| it.as_object()) {
                    found.extend(properties.keys().cloned());
                }
                map.values().for_each(|it| keys(it, found));
            }
            serde_json::Value::Array(them) => them.iter().for_each(|it| keys(it, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    keys(&manifest::json_schema(), &mut found);
    assert!(found.len() > 50, "{found:?}");
    let page = read("docs/manifest.md");
    // Of the sections that are to come, only the names are told.
    let later =
        ["every", "cron", "start", "timezone", "job", "severity", "not_null", "unique", "asset", "files", "models"];
    let told = |key: &String| {
        page.contains(&format!("`{key}`")) || page.contains(&format!("[{key}")) || later.contains(&key.as_str())
    };
    let lost: Vec<&String> = found.iter().filter(|it| !told(it)).collect();
    assert!(lost.is_empty(), "docs/manifest.md does not tell of {lost:?}");
}

#[test]
fn every_reason_and_state_is_described() {
    let page = read("docs/staleness.md");
    let names = ReasonCode::ALL.map(ReasonCode::name).into_iter().chain(State::ALL.map(State::name));
    let lost: Vec<&str> = names.filter(|it| !page.contains(&format!("`{it}`"))).collect();
    assert!(lost.is_empty(), "docs/staleness.md does not tell of {lost:?}");
}

#[test]
fn every_variable_that_is_passed_is_named() {
    let page = read("docs/commands.md");
    let (_, rest) = page.split_once("<!-- passed -->").expect("the list is marked");
    let (list, _) = rest.split_once("<!-- /passed -->").expect("its end too");
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, assets::exec::run::environment::PASSED);
}

/// The lines of the first fenced block below `heading`.
fn block_below(text: &str, heading: &str) -> Vec<String> {
    let (_, below) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading:?}"));
    let block = below.split("```").nth(1).unwrap_or_else(|| panic!("nothing to run below {heading:?}"));
    block.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn two_commands_set_up_a_fresh_machine_and_the_gate_runs_them() {
    let commands = block_below(&read("README.md"), "## Set up");
    assert_eq!(commands, ["cargo run -- -C examples/shop materialize", "cargo test"]);
    let gate = read(".ci/run");
    for command in commands {
        assert!(gate.lines().any(|it| it == command), ".ci/run does not run {command:?} as it stands");
    }
}

/// Runs the commands of a page's `console` blocks one after the other and compares what they print;
/// with `UPDATE=1` it is written into the page.
fn tour(page: &str, heading: &str, project: &Project) {
    let text = read(page);
    let (before, section) = text.split_once(&format!("\n{heading}\n")).expect("the page has this heading");
    let end = section.find("\n## ").unwrap_or(section.len());
    let (section, after) = section.split_at(end);
    let mut told = String::new();
    let mut wrong = Vec::new();
    for (index, part) in section.split("```").enumerate() {
        told.push_str(if index > 0 { "```" } else { "" });
        let Some(block) = part.strip_prefix("console\n").filter(|_| index % 2 == 1) else {
            told.push_str(part);
            continue;
        };
        told.push_str("console\n");
        for step in block.split("$ ").skip(1) {
            let (command, expected) = step.split_once('\n').expect("a command ends its line");
            let output = project.shell(command);
            if Project::comparable(&output) == Project::comparable(expected) {
                told.push_str(&format!("$ {command}\n{expected}"));
            } else {
                wrong.push(format!("$ {command}\n--- told\n{expected}--- true\n{output}"));
                told.push_str(&format!("$ {command}\n{output}"));
            }
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(page), format!("{before}\n{heading}\n{told}{after}")).unwrap();
    } else {
        assert!(wrong.is_empty(), "{page} tells otherwise (UPDATE=1 writes it anew):\n{}", wrong.join("\n"));
    }
}

#[test]
fn the_tour_of_the_readme_is_true() {
    tour("README.md", "## Two minutes", &Project::example("shop"));
}

#[test]
fn the_checks_of_this_file_can_fail() {
    let page = "# A (b): c\n[x](y.md#z) `[no](code.md)`\n```\n[no](block.md)\n# no\n```\n- `item`: why\n";
    assert_eq!(links(page), ["y.md#z"]);
    assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), ["a-b-c"]);
    assert_eq!(items(page), ["item"]);
    assert_eq!(block_below("\n## Do\nso:\n```sh\na\nb\n```\n", "## Do"), ["a", "b"]);
}
