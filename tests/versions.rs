//! `version`: what the data version of an asset is, and what of it disturbs those that read it.

use crate::support::Project;

/// `made`, with these keys, and what reads it.
fn project(keys: &str) -> Project {
    let body = format!(
        "[asset.made]\n{keys}\n[asset.reader]\ncommand = \"echo reader >> ../home/ran; cat {{{{ inputs.made }}}} > {{{{ output }}}}\"\ndeps = [\"made\"]\nformat = \"txt\"\n"
    );
    Project::new().manifest(&body)
}

/// What became of both in a run, `made` first.
fn outcomes(project: &Project) -> Vec<String> {
    project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect()
}

#[test]
fn canonical_is_what_is_said_and_not_how() {
    for (format, forms) in [
        ("csv", ["a,b\n1,x\n2,y\n", "a,b\n2,\"y\"\n1,x\n", "a,b\n2,y\n1,z\n"]),
        ("json", ["{\"a\": 1, \"b\": [1]}", "{\"b\":[1],\n \"a\":1}\n", "{\"a\": 1, \"b\": [2]}"]),
        ("jsonl", ["{\"a\": 1}\n{\"a\": 2}\n", "{\"a\":2}\n{\"a\":1}\n", "{\"a\":2}\n{\"a\":3}\n"]),
    ] {
        let keys = |version: &str| {
            format!("command = \"cp form {{{{ output }}}}\"\nsources = [\"form\"]\nformat = \"{format}\"\n{version}")
        };
        let project = project(&keys("version = \"canonical\"")).file("form", forms[0]);
        assert_eq!(outcomes(&project), ["made built", "reader built"], "{format}");
        project.write("form", forms[1]);
        assert_eq!(outcomes(&project), ["made built", "reader cut_off"], "{format}");
        project.settled(&[]);
        project.write("form", forms[2]);
        assert_eq!(outcomes(&project), ["made built", "reader built"], "{format}");
        // By its bytes it is another version each time.
        let project = self::project(&keys("")).file("form", forms[0]);
        outcomes(&project);
        project.write("form", forms[1]);
        assert_eq!(outcomes(&project), ["made built", "reader built"], "{format}");
    }
}

#[test]
fn canonical_is_the_same_for_parquet_written_anew() {
    let keys = "command = \"cp form.parquet {{ output }}\"\nsources = [\"form.parquet\"]\nformat = \"parquet\"\nversion = \"canonical\"";
    let project = project(keys);
    let write = |sql: &str| {
        let one = format!("[asset.form]\nsql = \"{sql}\"\n");
        let other = Project::new().manifest(&one);
        other.run(&["materialize"]).succeeded();
        std::fs::copy(other.path("data/form.parquet"), project.path("form.parquet")).unwrap();
    };
    write("select a from (values (1), (2)) as t(a) order by a");
    assert_eq!(outcomes(&project), ["made built", "reader built"]);
    write("select a from (values (1), (2)) as t(a) order by a desc");
    assert_eq!(outcomes(&project), ["made built", "reader cut_off"]);
    write("select a from (values (1), (3)) as t(a) order by a");
    assert_eq!(outcomes(&project), ["made built", "reader built"]);
}

#[test]
fn what_is_not_canonical_is_refused() {
    for keys in ["format = \"txt\"", "path = \"made/\""] {
        let project = project(&format!("command = \"true\"\nversion = \"canonical\"\n{keys}"));
        let output = project.run(&["validate"]).exited(2);
        assert!(output.stderr.contains("no form that is the same for all that say the same"), "{}", output.stderr);
    }
    let project = project("command = \"echo '{' > {{ output }}\"\nversion = \"canonical\"\nformat = \"json\"");
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("it is not JSON"), "{}", output.stderr);
}

#[test]
fn a_command_reports_the_version() {
    let keys = "command = \"cat word > $ASSETS_VERSION_FILE; date +%s%N > {{ output }}\"\nsources = [\"word\", \"other\"]\nformat = \"txt\"\nversion = \"reported\"";
    let project = project(keys).file("word", "v1").file("other", "");
    assert_eq!(outcomes(&project), ["made built", "reader built"]);
    let first = project.read("data/made.txt");
    project.write("other", "x");
    assert_eq!(outcomes(&project), ["made built", "reader cut_off"]);
    // The content is another one, and is published.
    assert_ne!(project.read("data/made.txt"), first);
    project.settled(&[]);
    project.write("word", " v1 \n");
    assert_eq!(outcomes(&project), ["made built", "reader cut_off"]);
    project.write("word", "v2");
    assert_eq!(outcomes(&project), ["made built", "reader built"]);
    // By hand is by hand, whatever was reported.
    project.write("data/made.txt", "mine");
    assert_eq!(project.reasons(&[])[0].1, "output_modified");
    project.write("word", "");
    let output = project.run(&["materialize"]).exited(1);
    for part in ["no data version of made was reported", "ASSETS_VERSION_FILE"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    let query = Project::new().manifest("[asset.q]\nsql = \"select 1 as a\"\nversion = \"reported\"\n");
    assert!(query.run(&["validate"]).exited(2).stderr.contains("a query reports nothing"));
}

/// Says what a client of Dagster Pipes says, having read what such a client reads.
const CLIENT: &str = r#"
import base64, json, os, sys, zlib
params = lambda name: json.loads(zlib.decompress(base64.b64decode(os.environ[name], validate=True)))
context = params("DAGSTER_PIPES_CONTEXT")["data"]
json.dump(context, open("context.json", "w"))
messages = params("DAGSTER_PIPES_MESSAGES")["path"]
def say(method, **params):
    with open(messages, "a") as file:
        file.write(json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params}) + "\n")
say("opened", extras={})
say("log", message="reading", level="INFO")
for key in context["asset_keys"]:
    version = open("word").read() + key
    say("report_asset_materialization", asset_key=key, data_version=version, metadata={"mean": {"raw_value": float("nan"), "type": "__infer__"}})
for path in sys.argv[1:]:
    open(path, "w").write(os.environ["ASSETS_ATTEMPT"])
say("closed")
"#;

#[test]
fn a_program_that_speaks_pipes_reports_the_version() {
    let body = r#"[asset."raw/made"]
command = "python3 client.py {{ output }}"
sources = ["word", "other"]
format = "txt"
version = "reported"
code_version = "7"
[asset.reader]
command = "cp {{ inputs['raw/made'] }} {{ output }}"
deps = ["raw/made"]
"#;
    let project = Project::new().manifest(body).file("client.py", CLIENT).file("word", "v1").file("other", "");
    assert_eq!(outcomes(&project), ["raw/made built", "reader built"]);
    let context: serde_json::Value = serde_json::from_str(&project.read("context.json")).unwrap();
    let told = [
        ("asset_keys", serde_json::json!(["raw/made"])),
        ("code_version_by_asset_key", serde_json::json!({ "raw/made": "7" })),
        ("provenance_by_asset_key", serde_json::json!({ "raw/made": null })),
        ("partition_key", serde_json::Value::Null),
        ("partition_key_range", serde_json::Value::Null),
        ("partition_time_window", serde_json::Value::Null),
        ("job_name", serde_json::Value::Null),
        ("retry_number", 0.into()),
        ("extras", serde_json::json!({})),
    ];
    assert_eq!(context.as_object().unwrap().len(), told.len() + 1);
    assert!(context["run_id"].is_string());
    for (name, value) in told {
        assert_eq!(context[name], value, "{name}");
    }
    project.write("other", "x");
    assert_eq!(outcomes(&project), ["raw/made built", "reader cut_off"]);
    project.write("word", "v2");
    assert_eq!(outcomes(&project), ["raw/made built", "reader built"]);
    project.settled(&[]);
    // Nothing is reported, or two things.
    project.edit("client.py", "data_version=version", "data_version=None");
    project.write("word", "v3");
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("no data version of raw/made was reported"), "{}", output.stderr);
    assert!(output.stderr.contains("Dagster Pipes"), "{}", output.stderr);
    project.edit("client.py", "data_version=None", "data_version=version");
    project.edit("assets.toml", "python3 client.py", "echo mine > $ASSETS_VERSION_FILE; python3 client.py");
    let output = project.run(&["materialize"]).exited(1);
    let told = "two data versions of raw/made were reported: mine and v3raw/made";
    assert!(output.stderr.contains(told), "{}", output.stderr);
}

/// Each partition says which one it is, and each asset of an op what is its own.
#[test]
fn pipes_know_the_partition_and_the_assets_of_an_op() {
    let body = r#"[partitions.day]
type = "time"
every = "day"
start = "2026-01-01"
end = "2026-01-03"
[op.split]
command = "python3 client.py {{ outputs.b }} {{ outputs.a }}"
sources = ["word"]
partitions = "day"
[asset.a]
op = "split"
version = "reported"
format = "txt"
[asset.b]
op = "split"
version = "reported"
format = "txt"
"#;
    let project = Project::new().manifest(body).file("client.py", CLIENT).file("word", "v1");
    project.run(&["materialize", "--partition", "2026-01-02"]).succeeded();
    let context: serde_json::Value = serde_json::from_str(&project.read("context.json")).unwrap();
    assert_eq!(context["asset_keys"], serde_json::json!(["a", "b"]));
    assert_eq!(context["partition_key"], "2026-01-02");
    assert_eq!(context["partition_key_range"], serde_json::json!({ "start": "2026-01-02", "end": "2026-01-02" }));
    let window = serde_json::json!({ "start": "2026-01-02T00:00:00+00:00", "end": "2026-01-03T00:00:00+00:00" });
    assert_eq!(context["partition_time_window"], window);
}

#[test]
fn each_asset_of_an_op_reports_its_own() {
    let body = r#"[op.split]
command = "echo 1 > $ASSETS_VERSION_FILE_A; test -z \"$ASSETS_VERSION_FILE\"; test -z \"$ASSETS_VERSION_FILE_B\"; cat in > {{ outputs.a }}; cp in {{ outputs.b }}"
sources = ["in"]
[asset.a]
op = "split"
version = "reported"
format = "txt"
[asset.b]
op = "split"
format = "txt"
[asset.of_a]
command = "cp {{ inputs.a }} {{ output }}"
deps = ["a"]
[asset.of_b]
command = "cp {{ inputs.b }} {{ output }}"
deps = ["b"]
"#;
    let project = Project::new().manifest(body).file("in", "1");
    project.run(&["materialize"]).succeeded();
    project.write("in", "2");
    assert_eq!(outcomes(&project), ["a built", "b built", "of_a cut_off", "of_b built"]);
    project.settled(&[]);
}

#[test]
fn inputs_are_the_version_of_what_is_never_read() {
    for (keys, file) in [("format = \"bin\"", "data/made.bin"), ("path = \"made/\"", "data/made/part")] {
        let write = if file.ends_with("part") {
            "mkdir {{ output }}; date +%s%N > {{ output }}/part"
        } else {
            "date +%s%N > {{ output }}"
        };
        let keys = format!("command = \"{write}\"\nsources = [\"in\"]\nversion = \"inputs\"\n{keys}");
        let project = project(&keys).file("in", "1");
        project.edit("assets.toml", "cat {{ inputs.made }}", "ls -d {{ inputs.made }}");
        assert_eq!(outcomes(&project), ["made built", "reader built"]);
        project.settled(&[]);
        // Nothing of it can be read, and nobody minds.
        let before = project.read(file);
        project.run(&["materialize", "-f", "-s", "made"]).succeeded();
        assert_ne!(project.read(file), before);
        assert_eq!(
            project.states(&[]),
            [("made".to_owned(), "fresh".to_owned()), ("reader".to_owned(), "fresh".to_owned())]
        );
        project.run(&["status", "--verify"]).succeeded();
        project.write("in", "2");
        assert_eq!(outcomes(&project), ["made built", "reader built"]);
        project.write(file, "mine");
        assert_eq!(project.reasons(&[])[0].1, "output_modified");
        outcomes(&project);
        project.settled(&[]);
    }
}

#[test]
fn always_is_a_new_version_with_every_build() {
    let project =
        project("command = \"echo 1 > {{ output }}\"\nsources = [\"in\"]\nversion = \"always\"\nformat = \"txt\"")
            .file("in", "1");
    assert_eq!(outcomes(&project), ["made built", "reader built"]);
    project.settled(&[]);
    project.write("in", "2");
    assert_eq!(outcomes(&project), ["made built", "reader built"]);
    project.settled(&[]);
    let show = project.run(&["show", "made", "--json"]).succeeded().json();
    assert_eq!(show["version"], "always");
}

#[test]
fn a_version_of_the_code_has_another_name() {
    for (keys, told) in [
        (
            "version = \"2\"",
            &["`version` cannot be 2", "code_version = \"2\"", "one of \"content\", \"canonical\""][..],
        ),
        ("version = 2", &["code_version = \"2\""]),
        ("version = \"Inputs\"", &["code_version = \"Inputs\""]),
    ] {
        let project = project(&format!("command = \"echo > {{{{ output }}}}\"\n{keys}"));
        let output = project.run(&["validate"]).exited(2);
        told.iter().for_each(|it| assert!(output.stderr.contains(it), "{it}: {}", output.stderr));
    }
    let op = Project::new().manifest("[op.o]\ncommand = \"true\"\nversion = \"1\"\n[asset.a]\nop = \"o\"\n");
    assert!(op.run(&["validate"]).exited(2).stderr.contains("is `code_version`"));
    let project = project("command = \"echo > {{ output }}\"\ncode_version = 2");
    outcomes(&project);
    project.edit("assets.toml", "code_version = 2", "code_version = 3");
    assert_eq!(project.reasons(&[])[0], ("made".to_owned(), "version_changed".to_owned(), "version".to_owned()));
}

#[test]
fn a_table_is_read_in_full_if_that_is_asked_for() {
    let project = Project::new().manifest(
        "[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n[asset.made]\nsql = \"select 7 as a union all select 8\"\n",
    );
    assert_eq!(outcomes(&project), ["made built"]);
    project.run(&["status", "--verify"]).succeeded();
    // Changed under the seal: with the count of changes as it was before.
    let file = project.path("shop.sqlite");
    let before = std::fs::read(&file).unwrap();
    rusqlite::Connection::open(&file).unwrap().execute_batch("update made set a = 9 where a = 8").unwrap();
    let mut after = std::fs::read(&file).unwrap();
    after[24..28].copy_from_slice(&before[24..28]);
    std::fs::write(&file, after).unwrap();
    project.run(&["status"]).succeeded();
    assert_eq!(project.reasons(&["--verify"])[0].1, "output_modified");
    let steps = project.materialized(&["--verify"]);
    assert_eq!(steps, [("made".to_owned(), "built".to_owned())]);
    project.run(&["status", "--verify"]).succeeded();
}
