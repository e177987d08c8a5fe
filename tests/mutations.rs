//! One change at a time: exactly the right assets are stale for exactly the right reason, `why` names
//! what changed with its old and new value, the run runs exactly what it must, and taking the change
//! back is recognised without running anything.

use std::{collections::BTreeSet, fs::File, time::SystemTime};

use crate::support::Project;

/// Each asset and the assets that it is made from.
const GRAPH: [(&str, &[&str]); 6] = [
    ("clean", &[]),
    ("counted", &["clean"]),
    ("first", &["clean"]),
    ("last", &["clean"]),
    ("parts", &["first", "last"]),
    ("report", &["counted", "parts"]),
];

const MANIFEST: &str = r#"
[vars]
country = "jp"
unused = "1"

[source.orders]
files = ["raw/*.csv"]

[asset.clean]
command = ["sh", "clean.sh", "{{ output }}", "{{ inputs.orders }}"]
code = ["clean.sh"]
deps = ["orders"]
format = "csv"

[asset.counted]
command = '''echo counted >> "$HOME/ran"
{ echo {{ vars.country }} "$MODE" "$TOKEN" | sed 's/h.nter./*/'; wc -l < {{ inputs.clean }}; } > {{ output }}'''
deps = ["clean"]
sources = ["rates.json"]
env = ["MODE"]
secret_env = ["TOKEN"]
code_version = "1"
format = "txt"

[op.split]
command = '''echo split >> "$HOME/ran"
head -n 1 {{ inputs.clean }} > {{ outputs.first }}; tail -n 1 {{ inputs.clean }} > {{ outputs.last }}'''
deps = ["clean"]
[asset.first]
op = "split"
[asset.last]
op = "split"

[asset.parts]
command = '''echo parts >> "$HOME/ran"
mkdir -p {{ output }}/in; cp {{ inputs.first }} {{ output }}/first; cp {{ inputs.last }} {{ output }}/in/last'''
deps = ["first", "last"]
path = "parts/"

[asset.report]
command = '''echo report >> "$HOME/ran"
cat {{ inputs.counted }} {{ inputs.parts }}/first {{ inputs.parts }}/in/last > {{ output }}'''
deps = ["counted", "parts"]
format = "md"
"#;

fn project() -> Project {
    let project = Project::new()
        .manifest(MANIFEST)
        .file("raw/a.csv", "1,apple\n5,fig\n")
        .file("raw/b.csv", "3,pear\n")
        .file("rates.json", "{}\n")
        .file("clean.sh", "echo clean >> \"$HOME/ran\"\nout=$1; shift\ncat \"$@\" | sort > \"$out\"\n")
        .env("MODE", "fast")
        .env("TOKEN", "hunter2");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["clean", "counted", "parts", "report", "split"]);
    project
}

type Change<'a> = &'a dyn Fn(&mut Project);
type Reason<'a> = (&'a str, &'a str, &'a str);

/// What one change must come to.
struct Mutation<'a> {
    change: Change<'a>,
    /// Takes it back.
    back: Option<Change<'a>>,
    /// Given to every command from the change on.
    with: &'a [&'a str],
    /// Asset, code and subject of what is stale on its own account.
    reasons: &'a [Reason<'a>],
    /// Words of the explanation of `report`, the last of the graph.
    why: &'a [&'a str],
    /// Commands that run, sorted.
    runs: &'a [&'a str],
}

const NOTHING: Mutation<'static> =
    Mutation { change: &|_| {}, back: None, with: &[], reasons: &[], why: &[], runs: &[] };

/// The reasons that follow from `own`: whoever has none of its own waits for what is not fresh above it.
fn all_reasons(own: &[Reason<'_>]) -> Vec<(String, String, String)> {
    let mut stale: BTreeSet<&str> = own.iter().map(|it| it.0).collect();
    let mut told: Vec<_> = own.iter().map(|it| (it.0.to_owned(), it.1.to_owned(), it.2.to_owned())).collect();
    let siblings = |key: &str| match key {
        "first" => "last",
        "last" => "first",
        _ => "",
    };
    for (key, deps) in GRAPH {
        if stale.contains(key) {
            continue;
        }
        let mut because: Vec<&str> = deps.iter().copied().filter(|it| stale.contains(it)).collect();
        if because.is_empty() && own.iter().any(|it| it.0 == siblings(key)) {
            because.push(siblings(key));
        }
        for upstream in because {
            stale.insert(key);
            told.push((key.to_owned(), "upstream_stale".to_owned(), upstream.to_owned()));
        }
    }
    told.sort();
    told
}

#[track_caller]
fn check(mutation: &Mutation<'_>) {
    let mut project = project();
    let report = project.read("data/report.md");
    (mutation.change)(&mut project);

    let expected = all_reasons(mutation.reasons);
    assert_eq!(project.reasons(mutation.with), expected);
    let code = if expected.is_empty() { 0 } else { 3 };
    project.run(&[&["status"], mutation.with].concat()).exited(code);

    let why = project.run(&[&["why", "report", "--json"], mutation.with].concat()).succeeded();
    let plain = project.run(&[&["why", "report"], mutation.with].concat()).succeeded();
    for word in mutation.why {
        let both = format!("{}{}", why.raw_stdout, plain.raw_stdout);
        assert!(both.contains(word), "`why` does not say {word}:\n{both}");
    }
    assert!(!why.raw_stdout.contains("hunter") && !plain.raw_stdout.contains("hunter"), "a secret is shown");

    let planned = project.planned(mutation.with);
    let planned_keys: BTreeSet<&str> = planned.iter().map(|it| it.0.as_str()).collect();
    let stale_keys: BTreeSet<&str> = expected.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(planned_keys, stale_keys);
    for (key, action) in &planned {
        let own = mutation.reasons.iter().any(|it| it.0 == key || it.0 == "first" && key == "last");
        assert_eq!(action, if own { "build" } else { "maybe" }, "{key}");
    }

    assert_eq!(project.ran(), [""; 0], "a question ran something");
    project.materialized(mutation.with);
    assert_eq!(project.ran(), mutation.runs);
    project.settled(mutation.with);

    let Some(back) = mutation.back else { return };
    back(&mut project);
    project.materialized(&[]);
    assert_eq!(project.ran(), [""; 0], "going back ran something");
    assert_eq!(project.read("data/report.md"), report, "going back gave something else");
    project.settled(&[]);
}

fn times(project: &Project, relative: &str) -> SystemTime {
    project.path(relative).metadata().unwrap().modified().unwrap()
}

fn set_times(project: &Project, relative: &str, time: SystemTime) {
    File::options().append(true).open(project.path(relative)).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_source_file_is_edited() {
    check(&Mutation {
        change: &|it| it.edit("raw/a.csv", "5,fig", "5,figs and more"),
        back: Some(&|it| it.edit("raw/a.csv", "5,figs and more", "5,fig")),
        reasons: &[("clean", "source_changed", "orders")],
        why: &["raw/a.csv", "orders"],
        // The number of lines and the first line are what they were.
        runs: &["clean", "counted", "parts", "report", "split"],
        ..NOTHING
    });
}

#[test]
fn a_source_file_is_edited_where_it_does_not_matter_to_all() {
    let project = project();
    project.edit("raw/b.csv", "3,pear", "3,plum");
    let told = project.materialized(&[]);
    let outcomes = [
        ("clean", "built"),
        ("counted", "built"),
        ("first", "built"),
        ("last", "built"),
        ("parts", "cut_off"),
        ("report", "cut_off"),
    ];
    assert_eq!(told, outcomes.map(|it| (it.0.to_owned(), it.1.to_owned())));
    assert_eq!(project.ran(), ["clean", "counted", "split"]);
    project.settled(&[]);
}

#[test]
fn a_source_file_is_edited_with_the_same_size() {
    check(&Mutation {
        change: &|it| it.edit("raw/a.csv", "fig", "hat"),
        back: Some(&|it| it.edit("raw/a.csv", "hat", "fig")),
        reasons: &[("clean", "source_changed", "orders")],
        why: &["raw/a.csv"],
        runs: &["clean", "counted", "parts", "report", "split"],
        ..NOTHING
    });
}

#[test]
fn a_source_file_is_edited_with_the_same_size_and_time() {
    check(&Mutation {
        change: &|it| {
            let time = times(it, "raw/a.csv");
            it.edit("raw/a.csv", "fig", "hat");
            set_times(it, "raw/a.csv", time);
        },
        reasons: &[("clean", "source_changed", "orders")],
        why: &["raw/a.csv"],
        runs: &["clean", "counted", "parts", "report", "split"],
        ..NOTHING
    });
}

#[test]
fn a_source_file_is_added() {
    check(&Mutation {
        change: &|it| it.write("raw/c.csv", "9,kiwi\n"),
        back: Some(&|it| it.remove("raw/c.csv")),
        reasons: &[("clean", "source_changed", "orders")],
        why: &["raw/c.csv"],
        runs: &["clean", "counted", "parts", "report", "split"],
        ..NOTHING
    });
}

#[test]
fn a_source_file_is_removed() {
    check(&Mutation {
        change: &|it| it.remove("raw/b.csv"),
        back: Some(&|it| it.write("raw/b.csv", "3,pear\n")),
        reasons: &[("clean", "source_changed", "orders")],
        why: &["raw/b.csv"],
        runs: &["clean", "counted", "report", "split"],
        ..NOTHING
    });
}

#[test]
fn a_source_file_is_renamed() {
    check(&Mutation {
        change: &|it| {
            it.remove("raw/b.csv");
            it.write("raw/z.csv", "3,pear\n");
        },
        back: Some(&|it| {
            it.remove("raw/z.csv");
            it.write("raw/b.csv", "3,pear\n");
        }),
        reasons: &[("clean", "source_changed", "orders")],
        why: &["raw/b.csv", "raw/z.csv"],
        // Its content is the same, sorted or not.
        runs: &["clean"],
        ..NOTHING
    });
}

#[test]
fn a_source_that_is_gone_is_told_before_all_else() {
    let project = project();
    let rates = project.read("rates.json");
    project.remove("rates.json");
    let told: Vec<_> = project.reasons(&[]).into_iter().filter(|it| it.0 == "counted").map(|it| it.1).collect();
    assert_eq!(told, ["source_changed", "upstream_missing"]);
    assert!(project.states(&[]).contains(&("counted".to_owned(), "blocked".to_owned())));
    let why = project.run(&["why", "counted"]).succeeded();
    assert!(why.stdout.lines().next().unwrap().contains("rates.json"), "{}", why.stdout);
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("rates.json"), "{}", output.stderr);
    assert_eq!(project.ran(), [""; 0]);
    project.write("rates.json", rates);
    project.settled(&[]);
}

#[test]
fn files_are_only_touched() {
    check(&Mutation {
        change: &|it| {
            for file in ["raw/a.csv", "clean.sh", "rates.json", "data/clean.csv", "data/parts/in/last", "assets.toml"] {
                set_times(it, file, SystemTime::UNIX_EPOCH);
            }
        },
        ..NOTHING
    });
}

#[test]
fn a_file_that_it_reads_itself_is_edited() {
    check(&Mutation {
        change: &|it| it.write("rates.json", "{\"jp\": 1}\n"),
        back: Some(&|it| it.write("rates.json", "{}\n")),
        reasons: &[("counted", "source_changed", "rates.json")],
        why: &["rates.json"],
        runs: &["counted"],
        ..NOTHING
    });
}

#[test]
fn a_code_file_is_edited() {
    check(&Mutation {
        change: &|it| it.edit("clean.sh", "sort >", "sort -r >"),
        back: Some(&|it| it.edit("clean.sh", "sort -r >", "sort >")),
        reasons: &[("clean", "code_changed", "clean.sh")],
        why: &["clean.sh", "-cat \\\"$@\\\" | sort > \\\"$out\\\"", "+cat \\\"$@\\\" | sort -r > \\\"$out\\\""],
        runs: &["clean", "counted", "parts", "report", "split"],
        ..NOTHING
    });
}

#[test]
fn a_comment_in_a_code_file_ends_at_the_content() {
    check(&Mutation {
        change: &|it| it.write("clean.sh", format!("# Sorted.\n{}", it.read("clean.sh"))),
        back: Some(&|it| it.edit("clean.sh", "# Sorted.\n", "")),
        reasons: &[("clean", "code_changed", "clean.sh")],
        why: &["clean.sh", "+# Sorted."],
        runs: &["clean"],
        ..NOTHING
    });
}

#[test]
fn a_command_for_the_shell_is_edited() {
    check(&Mutation {
        change: &|it| it.edit("assets.toml", "wc -l <", "wc -c <"),
        back: Some(&|it| it.edit("assets.toml", "wc -c <", "wc -l <")),
        reasons: &[("counted", "code_changed", "command")],
        why: &["wc -l <", "wc -c <"],
        runs: &["counted", "report"],
        ..NOTHING
    });
}

#[test]
fn a_command_that_is_a_list_is_edited() {
    check(&Mutation {
        change: &|it| it.edit("assets.toml", r#"["sh", "clean.sh""#, r#"["sh", "-u", "clean.sh""#),
        back: Some(&|it| it.edit("assets.toml", r#""-u", "#, "")),
        reasons: &[("clean", "code_changed", "command")],
        why: &["command", "-u"],
        runs: &["clean"],
        ..NOTHING
    });
}

#[test]
fn a_variable_is_given_on_the_command_line() {
    check(&Mutation {
        with: &["--var", "country=kr"],
        back: Some(&|_| {}),
        reasons: &[("counted", "config_changed", "vars.country")],
        why: &["vars.country", "jp", "kr"],
        runs: &["counted", "report"],
        ..NOTHING
    });
}

#[test]
fn a_variable_is_changed_in_the_manifest() {
    check(&Mutation {
        change: &|it| it.edit("assets.toml", "country = \"jp\"", "country = \"kr\""),
        back: Some(&|it| it.edit("assets.toml", "country = \"kr\"", "country = \"jp\"")),
        reasons: &[("counted", "config_changed", "vars.country")],
        why: &["vars.country", "jp", "kr"],
        runs: &["counted", "report"],
        ..NOTHING
    });
}

#[test]
fn a_variable_that_nobody_uses_is_changed() {
    check(&Mutation { with: &["--var", "unused=2"], ..NOTHING });
}

#[test]
fn the_environment_changes() {
    check(&Mutation {
        change: &|it| it.set_env("MODE", "slow"),
        back: Some(&|it| it.set_env("MODE", "fast")),
        reasons: &[("counted", "env_changed", "MODE")],
        why: &["MODE", "fast", "slow"],
        runs: &["counted", "report"],
        ..NOTHING
    });
}

#[test]
fn a_variable_of_the_environment_is_unset() {
    check(&Mutation {
        change: &|it| it.unset_env("MODE"),
        back: Some(&|it| it.set_env("MODE", "fast")),
        reasons: &[("counted", "env_changed", "MODE")],
        why: &["MODE", "fast", "not set any more"],
        runs: &["counted", "report"],
        ..NOTHING
    });
}

#[test]
fn a_variable_of_the_environment_that_is_empty_is_set() {
    check(&Mutation {
        change: &|it| it.set_env("MODE", ""),
        back: Some(&|it| it.set_env("MODE", "fast")),
        reasons: &[("counted", "env_changed", "MODE")],
        why: &["MODE", "fast"],
        runs: &["counted", "report"],
        ..NOTHING
    });
}

#[test]
fn the_undeclared_environment_changes() {
    check(&Mutation { change: &|it| it.set_env("WHATEVER", "1"), ..NOTHING });
}

#[test]
fn a_secret_changes() {
    check(&Mutation {
        change: &|it| it.set_env("TOKEN", "hunter3"),
        back: Some(&|it| it.set_env("TOKEN", "hunter2")),
        reasons: &[("counted", "env_changed", "TOKEN")],
        why: &["TOKEN", "(secret)"],
        // What it made is the same.
        runs: &["counted"],
        ..NOTHING
    });
}

#[test]
fn a_secret_is_nowhere_in_the_state() {
    let project = project();
    for (name, content) in project.snapshot() {
        let found = content.windows(7).any(|it| it == b"hunter2");
        assert!(!found, "{name} holds the secret");
    }
}

#[test]
fn a_dependency_is_added() {
    check(&Mutation {
        change: &|it| {
            it.edit("assets.toml", r#"deps = ["counted", "parts"]"#, r#"deps = ["counted", "parts", "clean"]"#)
        },
        back: Some(&|it| it.edit("assets.toml", r#", "clean"]"#, "]")),
        reasons: &[("report", "input_added", "clean")],
        why: &["clean", "input_added"],
        runs: &["report"],
        ..NOTHING
    });
}

#[test]
fn a_dependency_is_removed() {
    check(&Mutation {
        change: &|it| {
            it.edit("assets.toml", r#"deps = ["counted", "parts"]"#, r#"deps = ["parts"]"#);
            it.edit("assets.toml", "cat {{ inputs.counted }}", "cat");
        },
        back: Some(&|it| {
            it.edit("assets.toml", r#"deps = ["parts"]"#, r#"deps = ["counted", "parts"]"#);
            it.edit("assets.toml", "cat {{", "cat {{ inputs.counted }} {{");
        }),
        reasons: &[("report", "code_changed", "command"), ("report", "input_removed", "counted")],
        why: &["counted", "input_removed"],
        runs: &["report"],
        ..NOTHING
    });
}

#[test]
fn an_output_is_deleted() {
    check(&Mutation {
        change: &|it| it.remove("data/counted.txt"),
        reasons: &[("counted", "output_missing", "data/counted.txt")],
        why: &["data/counted.txt", "missing"],
        runs: &["counted"],
        ..NOTHING
    });
}

/// Nothing but the state tells what outputs were made from: an answer that was kept is none without it.
#[test]
fn the_state_is_lost() {
    let project = Project::new().manifest("[asset.a]\ncommand = 'echo a > {{ output }}'");
    project.run(&["materialize"]).succeeded();
    for _ in 0..3 {
        project.run(&["status"]).succeeded();
    }
    assert!(project.exists(".assets/state.idx"), "the state was looked at by its stamps");
    for lost in [".assets/state.db", ".assets/state.db-wal", ".assets/state.db-shm", ".assets/journal"] {
        project.remove(lost);
    }
    project.run(&["status"]).exited(3);
}

#[test]
fn one_output_of_several_is_deleted() {
    check(&Mutation {
        change: &|it| it.remove("data/first"),
        reasons: &[("first", "output_missing", "data/first")],
        why: &["data/first"],
        runs: &["split"],
        ..NOTHING
    });
}

#[test]
fn an_output_is_edited() {
    check(&Mutation {
        change: &|it| it.write("data/counted.txt", "mine\n"),
        reasons: &[("counted", "output_modified", "data/counted.txt")],
        why: &["data/counted.txt", "modified"],
        runs: &["counted"],
        ..NOTHING
    });
}

#[test]
fn an_output_is_edited_with_the_same_size_and_time() {
    check(&Mutation {
        change: &|it| {
            let time = times(it, "data/clean.csv");
            it.edit("data/clean.csv", "apple", "peach");
            set_times(it, "data/clean.csv", time);
        },
        reasons: &[("clean", "output_modified", "data/clean.csv")],
        why: &["data/clean.csv"],
        runs: &["clean"],
        ..NOTHING
    });
}

#[test]
fn an_output_that_is_edited_back_is_fresh() {
    let project = project();
    let text = project.read("data/clean.csv");
    project.write("data/clean.csv", "broken");
    assert_eq!(project.states(&[])[0], ("clean".to_owned(), "stale".to_owned()));
    project.write("data/clean.csv", text);
    project.settled(&[]);
}

#[test]
fn a_file_in_a_folder_is_deleted() {
    check(&Mutation {
        change: &|it| it.remove("data/parts/in/last"),
        reasons: &[("parts", "output_modified", "data/parts/in")],
        why: &["data/parts/in"],
        runs: &["parts"],
        ..NOTHING
    });
}

#[test]
fn a_file_in_a_folder_is_edited() {
    check(&Mutation {
        change: &|it| it.write("data/parts/in/last", "mine\n"),
        reasons: &[("parts", "output_modified", "data/parts/in/last")],
        why: &["data/parts/in/last"],
        runs: &["parts"],
        ..NOTHING
    });
}

#[test]
fn a_file_in_a_folder_is_added() {
    check(&Mutation {
        change: &|it| it.write("data/parts/in/more", ""),
        reasons: &[("parts", "output_modified", "data/parts/in")],
        why: &["data/parts/in"],
        runs: &["parts"],
        ..NOTHING
    });
}

#[test]
fn an_output_becomes_something_else() {
    check(&Mutation {
        change: &|it| {
            it.write("elsewhere", it.read("data/counted.txt"));
            it.remove("data/counted.txt");
            std::os::unix::fs::symlink("../elsewhere", it.path("data/counted.txt")).unwrap();
        },
        reasons: &[("counted", "output_modified", "data/counted.txt")],
        why: &["data/counted.txt"],
        runs: &["counted"],
        ..NOTHING
    });
}

#[test]
fn the_declared_version_changes() {
    check(&Mutation {
        change: &|it| it.edit("assets.toml", "code_version = \"1\"", "code_version = \"2\""),
        back: Some(&|it| it.edit("assets.toml", "code_version = \"2\"", "code_version = \"1\"")),
        reasons: &[("counted", "version_changed", "version")],
        why: &["version", "\"1\"", "\"2\""],
        runs: &["counted"],
        ..NOTHING
    });
}

#[test]
fn the_format_changes() {
    check(&Mutation {
        change: &|it| it.edit("assets.toml", "format = \"txt\"", "format = \"text\""),
        back: Some(&|it| it.edit("assets.toml", "format = \"text\"", "format = \"txt\"")),
        reasons: &[("counted", "config_changed", "format")],
        why: &["format", "txt", "text"],
        runs: &["counted"],
        ..NOTHING
    });
}

#[test]
fn the_path_changes() {
    let project = project();
    project.edit("assets.toml", "format = \"md\"", "path = \"final/report.md\"");
    assert_eq!(project.reasons(&[]), all_reasons(&[("report", "output_missing", "data/final/report.md")]));
    project.materialized(&[]);
    assert_eq!(project.ran(), ["report"]);
    assert_eq!(project.read("data/final/report.md"), project.read("data/report.md"));
    project.settled(&[]);
    // Where it was before it still is, and that is known.
    project.edit("assets.toml", "path = \"final/report.md\"", "format = \"md\"");
    assert_eq!(project.planned(&[]), [("report".to_owned(), "restore".to_owned())]);
    project.materialized(&[]);
    assert_eq!(project.ran(), [""; 0]);
    project.settled(&[]);
}

#[test]
fn targets_with_places_of_their_own_do_not_disturb_each_other() {
    let project = project();
    let manifest = project.read("assets.toml");
    let places = "[io.files]\ntype = \"fs\"\nroot = \"data\"\n[target.dev.io.files]\nroot = \"dev\"\n";
    project.write("assets.toml", manifest + places);
    project.settled(&[]);
    assert_eq!(project.run(&["status", "-t", "dev"]).code, 3);
    project.materialized(&["-t", "dev"]);
    assert_eq!(project.ran().len(), 5);
    project.settled(&["-t", "dev"]);
    project.settled(&[]);
    project.edit("raw/a.csv", "apple", "quince");
    project.materialized(&["-t", "dev"]);
    assert_eq!(project.ran().len(), 5);
    assert!(!project.read("data/clean.csv").contains("quince"));
    assert_eq!(project.run(&["status"]).code, 3);
    project.materialized(&[]);
    assert_eq!(project.ran().len(), 5);
    project.settled(&["-t", "dev"]);
}

#[test]
fn what_changes_no_data_makes_nothing_stale() {
    check(&Mutation {
        change: &|it| {
            let more = "description = \"counts\"\ngroup = \"marts\"\ntags = { pii = \"no\" }\nowners = [\"team:data\"]\n\
                kinds = [\"shell\"]\npool = \"cpu\"\nretries = 3\nretry_delay = \"1s\"\ntimeout = \"10m\"\n";
            it.edit("assets.toml", "[asset.counted]\n", &format!("[pool.cpu]\nlimit = 2\n\n[asset.counted]\n{more}"));
        },
        ..NOTHING
    });
}

#[test]
fn an_upstream_that_is_remade_the_same_disturbs_nobody() {
    let project = project();
    let before = times(&project, "data/clean.csv");
    let told = project.materialized(&["-s", "clean", "--force"]);
    assert_eq!(told, [("clean".to_owned(), "built".to_owned())]);
    assert_eq!(project.ran(), ["clean"]);
    assert_eq!(times(&project, "data/clean.csv"), before, "the old file stays as it is");
    project.settled(&[]);
}

#[test]
fn a_change_that_is_taken_back_before_a_run_was_none() {
    let mut project = project();
    project.edit("clean.sh", "sort >", "sort -r >");
    project.set_env("MODE", "slow");
    assert_ne!(project.reasons(&[]), []);
    project.edit("clean.sh", "sort -r >", "sort >");
    project.set_env("MODE", "fast");
    project.settled(&[]);
}
