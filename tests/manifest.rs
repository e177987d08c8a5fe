//! From text to project: what is taken, and what is refused with which words.
//!
//! A sample is one file `tests/manifest/{valid,invalid}/NAME.toml`. A line `#--- PATH` begins a
//! further file of the project; a first line `# run: ...` holds `-t TARGET` and `--var K=V`. What is
//! said of an invalid one stands beside it in NAME.txt, rewritten when UPDATE=1 is set.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use assets::{
    base::{diagnostic::Severity, path::ProjectPath},
    face::ui::{Style, diagnostic},
    model::{
        manifest::{self, Files, Loaded, Options, code::CODES},
        project::{Action, IoKind, Project, Shape, Source, VarValue},
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Files that exist only here.
#[derive(Clone, Debug, Default)]
struct Held(BTreeMap<String, Vec<u8>>);

impl Held {
    fn one(text: impl Into<Vec<u8>>) -> Held {
        Held(BTreeMap::from([("assets.toml".into(), text.into())]))
    }

    fn sample(text: &str) -> Held {
        let mut held = Held::default();
        let mut path = "assets.toml".to_owned();
        held.0.insert(path.clone(), Vec::new());
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("#--- ") {
                Some(next) => path = next.trim().to_owned(),
                None => held.0.entry(path.clone()).or_default().extend(line.as_bytes()),
            }
        }
        held
    }
}

impl Files for Held {
    fn read(&mut self, path: &ProjectPath) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(&path.to_string()).cloned())
    }

    fn matches(&mut self, folder: &ProjectPath, pattern: &str) -> Result<Vec<ProjectPath>, String> {
        assert!(folder.is_root(), "includes are seen from the main file");
        let glob = globset::Glob::new(pattern).map_err(|it| it.to_string())?.compile_matcher();
        let found = self.0.keys().filter(|it| glob.is_match(it));
        Ok(found.map(|it| ProjectPath::resolve(folder, it).unwrap()).collect())
    }
}

fn load_with(mut files: Held, run: &str) -> Loaded {
    let words: Vec<&str> = run.split_whitespace().collect();
    let after = |name: &str| -> Vec<&str> { words.windows(2).filter(|it| it[0] == name).map(|it| it[1]).collect() };
    let targets = after("-t");
    let vars: Vec<(String, String)> =
        after("--var").iter().map(|it| it.split_once('=').map(|(k, v)| (k.into(), v.into())).unwrap()).collect();
    let env = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
    let options = Options { target: targets.first().copied(), vars: &vars, env: &env, project_root: "/project" };
    manifest::load(&mut files, &options)
}

fn load(text: &str) -> Loaded {
    let run = text.lines().next().and_then(|it| it.strip_prefix("# run: ")).unwrap_or_default();
    load_with(Held::sample(text), run)
}

fn project(text: &str) -> Project {
    let loaded = load(text);
    let told = told(&loaded);
    loaded.project.unwrap_or_else(|| panic!("{told}"))
}

fn told(loaded: &Loaded) -> String {
    let style = Style { color: false, unicode: false, width: 110 };
    loaded.diagnostics.iter().map(|it| diagnostic::render(it, &loaded.sources, style) + "\n").collect()
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest").join(kind);
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    found.retain(|it| it.extension().is_some_and(|it| it == "toml"));
    found.sort();
    found
}

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

#[test]
fn valid_manifests_are_taken() {
    for path in samples("valid") {
        let loaded = load(&fs::read_to_string(&path).unwrap());
        assert!(loaded.project.is_some(), "{}:\n{}", path.display(), told(&loaded));
        assert!(loaded.diagnostics.is_empty(), "{}:\n{}", path.display(), told(&loaded));
    }
}

#[test]
fn bad_manifests_are_refused_with_place_and_help() {
    let mut wrong = Vec::new();
    for path in samples("invalid") {
        let loaded = load(&fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("txt");
        let found = told(&loaded);
        assert!(loaded.project.is_none(), "{} is taken", path.display());
        assert!(loaded.diagnostics.iter().any(|it| it.severity == Severity::Error), "{}", path.display());
        if updating() {
            fs::write(&expected, &found).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (UPDATE=1 rewrites):\n{}", wrong.join("\n"));
}

/// What is not TOML, or has an unknown key or a wrong type, an editor can see too.
const STRUCTURAL: [&str; 2] = ["A0005", "A0006"];

fn main_as_json(text: &str) -> Option<serde_json::Value> {
    let main = text.split("#--- ").next().unwrap();
    let table: toml::Table = toml::from_str(main).ok()?;
    serde_json::to_value(table).ok()
}

#[test]
fn the_schema_takes_and_refuses_what_the_loader_does() {
    let schema = jsonschema::draft7::new(&manifest::json_schema()).unwrap();
    for path in samples("valid") {
        let json = main_as_json(&fs::read_to_string(&path).unwrap()).unwrap();
        let errors: Vec<String> = schema.iter_errors(&json).map(|it| format!("{}: {it}", it.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
    let mut refused = 0;
    for path in samples("invalid") {
        let text = fs::read_to_string(&path).unwrap();
        let structural = load(&text).diagnostics.iter().any(|it| {
            let in_main = it.place.is_some_and(|it| it.file == assets::base::id::Id::new(0));
            in_main && STRUCTURAL.contains(&it.code.0) && !it.message.contains("means nothing to")
        });
        if let Some(json) = main_as_json(&text).filter(|_| structural) {
            refused += 1;
            assert!(!schema.is_valid(&json), "the schema takes {}", path.display());
        }
    }
    assert!(refused >= 10, "only {refused} structural samples");
}

#[test]
fn the_schema_is_written_down_and_flat() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/assets.schema.json");
    let schema = manifest::json_schema();
    let written = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if updating() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &written).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), written, "UPDATE=1 rewrites {}", path.display());
    for word in ["allOf", "oneOf", "$defs", "if"] {
        assert!(!written.contains(&format!("\"{word}\"")), "{word}");
    }
    assert!(jsonschema::draft7::meta::is_valid(&schema));
    described(&schema, &schema, "");
}

/// Every property says what it is for, itself or in its definition.
fn described(of: &serde_json::Value, whole: &serde_json::Value, at: &str) {
    for (name, property) in of["properties"].as_object().into_iter().flatten() {
        let target = property["$ref"].as_str().map(|it| whole.pointer(it.trim_start_matches('#')).unwrap());
        let text = target.unwrap_or(property)["description"].as_str().unwrap_or_default();
        assert!(text.ends_with('.'), "{at}.{name}: {text:?}");
    }
    for (name, definition) in of["definitions"].as_object().into_iter().flatten() {
        described(definition, whole, name);
    }
}

#[test]
fn every_code_that_is_told_is_explained_and_every_kind_of_mistake_has_a_sample() {
    let mut told: Vec<&str> = samples("invalid")
        .iter()
        .flat_map(|it| load(&fs::read_to_string(it).unwrap()).diagnostics)
        .map(|it| it.code.0)
        .collect();
    told.sort_unstable();
    told.dedup();
    let explained: Vec<&str> = CODES.iter().map(|it| it.code).collect();
    assert!(told.iter().all(|it| explained.contains(it)));
    let unseen: Vec<_> = explained.into_iter().filter(|it| !told.contains(it)).collect();
    assert_eq!(unseen, ["A0099"], "these have tests of their own below");
    assert!(samples("invalid").len() >= 60);
}

#[test]
fn names_become_ids_and_defaults_are_applied() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest/valid/full.toml")).unwrap();
    let project = project(&text);
    assert_eq!((project.name.as_str(), project.target.as_deref()), ("shop", Some("prod")));
    assert_eq!(project.vars["country"], VarValue::Text("kr".into()));
    let IoKind::Fs { root } = &project.io_managers.values().next().unwrap().kind else { panic!() };
    assert_eq!(root.to_string(), "kr/data");

    let orders = project.node("orders").unwrap();
    let op = &project.ops[project.op_of(orders).unwrap()];
    assert_eq!(op.name, "orders");
    assert_eq!(op.deps.iter().map(|it| project.key(*it).as_str()).collect::<Vec<_>>(), ["orders_csv", "rates"]);
    assert_eq!((op.retries, op.retry_delay), (2, Duration::from_secs(5)));
    assert_eq!(
        (op.timeout, op.code_version.as_deref(), op.in_place),
        (Some(Duration::from_secs(600)), Some("3"), true)
    );
    let env: Vec<_> = op.env.iter().map(|it| (it.name.as_str(), it.secret)).collect();
    assert_eq!(env, [("DB_PASSWORD", true), ("MODE", false), ("STAGE", false)]);
    assert_eq!(op.pool.map(|it| (project.pools[it].name.as_str(), project.pools[it].limit)), Some(("cpu", 4)));
    let tags: Vec<_> = project.nodes[orders].tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(tags, [("pii", "no"), ("team", "data")]);
    assert_eq!(project.output_path(orders).unwrap().to_string(), "kr/data/staging/orders.parquet");

    let split = &project.ops[project.op_of(project.node("train").unwrap()).unwrap()];
    assert_eq!(split.outputs.iter().map(|it| project.key(*it).as_str()).collect::<Vec<_>>(), ["train", "raw/test"]);
    assert!(matches!(split.action, Action::Shell(_)));
    assert_eq!((split.retries, split.timeout), (0, Some(Duration::from_secs(3600))), "the local file says 0 retries");
    let test = project.nodes[project.node("raw/test").unwrap()].asset().unwrap();
    assert_eq!(
        (test.shape, test.path.to_string(), test.format.as_deref()),
        (Shape::Folder, "raw/test".into(), Some("csv"))
    );

    let one = project.node("pipelines/one").unwrap();
    let op = &project.ops[project.op_of(one).unwrap()];
    assert_eq!(op.folder.to_string(), "pipelines/one");
    assert_eq!(op.code.folder.to_string(), "pipelines/one");
    assert_eq!(project.nodes[one].group.as_deref(), Some("one"), "defaults of the file that declares it");
    assert_eq!(project.output_path(one).unwrap().to_string(), "kr/data/pipelines/one.txt");
    assert_eq!(project.output_path(project.node("cached").unwrap()), None, "kept in memory");

    let rates = project.nodes[project.node("rates").unwrap()].source().unwrap();
    let Source::Url { url, max_age } = rates else { panic!() };
    assert_eq!((url.as_str(), *max_age), ("https://example.com/kr", Some(Duration::from_secs(86400))));
    assert_eq!(project.jobs["nightly"].select, "group:one or orders+");
    assert_eq!(project.manifests.len(), 3);
}

#[test]
fn a_project_without_io_keeps_files_below_data() {
    let project = project(
        "[project]\nname = \"x\"\n[asset.a]\ncommand = [\"true\"]\n[asset.b]\ncommand = \"x\"\nformat = \"csv\"\n",
    );
    let paths: Vec<_> = project.assets().map(|(id, ..)| project.output_path(id).unwrap().to_string()).collect();
    assert_eq!(paths, ["data/a", "data/b.csv"]);
}

#[test]
fn a_path_below_the_project_may_be_written_with_its_root() {
    let project = project("[project]\nname = \"x\"\n[io.files]\ntype = \"fs\"\nroot = \"{{ project.root }}/out\"\n");
    let IoKind::Fs { root } = &project.io_managers.values().next().unwrap().kind else { panic!() };
    assert_eq!(root.to_string(), "out");
}

#[test]
fn what_cannot_be_read_is_told() {
    let told = |files: Held| told(&load_with(files, ""));
    assert!(told(Held::default()).starts_with("error[A0003]: there is no assets.toml"));
    let mut files = Held::one("[project]\nname = \"x\"\nx = \"");
    files.0.get_mut("assets.toml").unwrap().extend(b"\xff\"\n");
    expect_test::expect![[r#"
        error[A0003]: assets.toml is not UTF-8
         --> assets.toml:3:6
          |
        3 | x = "�"
          |      ^ this byte is not
          |
        help: save the file as UTF-8

    "#]]
    .assert_eq(&told(files));
}

#[test]
fn only_so_many_mistakes_are_told() {
    let text: String = (0..5000).map(|it| format!("[asset.n{it}]\ncomand = \"x\"\ndeps = [\"m{it}\"]\n")).collect();
    let loaded = load(&format!("[project]\nname = \"x\"\n{text}"));
    assert_eq!(loaded.diagnostics.len(), 101);
    let last = loaded.diagnostics.last().unwrap();
    assert_eq!(last.code.0, "A0099");
    assert_eq!(last.message, "14900 more mistakes are not shown");
}

/// Loads whatever it is; only a panic is a failure. Rendering what was found is part of it.
fn survives(bytes: &[u8]) {
    let loaded = load_with(Held::one(bytes), "");
    let told = told(&loaded);
    assert!(loaded.project.is_some() || !told.is_empty());
    assert!(told.len() < 1 << 20, "{} bytes of mistakes", told.len());
}

#[test]
fn monstrous_files_are_refused_quietly() {
    let long = 3 << 20;
    let head = "[project]\nname = \"x\"\n";
    for text in [
        "a".repeat(long),
        format!("{head}[asset.a]\ncommand = [\"{}\"]\n", "x".repeat(long)),
        format!("{head}[asset.a]\ncommand = \"{}\n", "{{".repeat(long / 2)),
        format!("{head}[asset.a]\ncommand = \"{}\"\n", "{{ inputs.x }}".repeat(long / 14)),
        format!("{head}[asset.a]\ncommand = \"{}\"\n", "{% if x %}".repeat(10_000)),
        format!("{head}[asset.a]\ncommand = \"{}\"\n", "{{ (".repeat(10_000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} }}}}\"\n", "(".repeat(100_000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} }}}}\"\n", "[".repeat(100_000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} 1 }}}}\"\n", "not ".repeat(100_000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} 1 }}}}\"\n", "1 + ".repeat(100_000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ vars{} }}}}\"\n", ".a".repeat(100_000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ 1{} }}}}\"\n", "|upper".repeat(100_000)),
        format!("{head}[asset.a]\ncommand = \"{{% if 1 %}}{}\"\n", "{% elif 1 %}".repeat(30_000)),
        format!("{head}[asset.a]\ncommand = \"{{% if 1 %}}{}{{% endif %}}\"\n", "{%elif 1%}".repeat(400)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} 1 }}}}\"\n", "-".repeat(1000)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} 1 }}}}\"\n", "not ".repeat(250)),
        format!("{head}[asset.a]\ncommand = \"{{{{ {} 1 }}}}\"\n", "1+".repeat(500)),
        format!("{head}[asset.a]\ncommand = \"{{{{ 1{} }}}}\"\n", "[1]".repeat(330)),
        format!("{head}[asset.a]\npath = \"{}\"\ncommand = \"x\"", "a/".repeat(long / 2)),
        format!("{head}[asset.a]\ncode = [\"{}\"]\ncommand = \"x\"", "**/".repeat(100_000)),
        format!("{head}[asset.a]\ncode = [\"{}\"]\ncommand = \"x\"", "[".repeat(100_000)),
        format!("{head}[asset.a]\ncode = [\"{}\"]\ncommand = \"x\"", "{".repeat(100_000)),
        format!("{head}[asset.{}]\ncommand = \"x\"\n", "a".repeat(long)),
        format!("{head}{} = 1\n", "a".repeat(long)),
        format!("{head}x = {}", "[".repeat(100_000)),
        format!("{head}x = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{head}x = {}", "{ a = ".repeat(100_000)),
        format!("{head}[{}]\n", vec!["a"; 100_000].join(".")),
        format!("{head}{} = 1\n", vec!["a"; 100_000].join(".")),
        format!("{head}{}", "[[".repeat(100_000)),
        format!("{head}{}", "a = 1\n".repeat(100_000)),
        format!("{head}{}", "[asset.a]\n".repeat(20_000)),
        format!("{head}{}", "\"".repeat(100_001)),
        format!("{head}{}", "=\n".repeat(100_000)),
        "\n".repeat(100_000),
        "\r".repeat(100_000),
        "\0".repeat(100_000),
        "\u{feff}".repeat(1000),
        String::new(),
    ] {
        survives(text.as_bytes());
    }
    let mut junk = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut bytes = vec![0; 1 << 20];
    junk.fill_bytes(&mut bytes);
    survives(&bytes);
    survives(String::from_utf8_lossy(&bytes).as_bytes());
}

/// Splices, cuts and doubles pieces of valid samples at random, always the same way.
#[test]
fn mutated_manifests_never_panic() {
    let mut seeds: Vec<Vec<u8>> = samples("valid").iter().map(|it| fs::read(it).unwrap()).collect();
    seeds.extend(samples("invalid").iter().map(|it| fs::read(it).unwrap()));
    let words: Vec<&[u8]> = [
        "\"",
        "'''",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "{{",
        "}}",
        "{%",
        "=",
        ".",
        ",",
        "\n",
        "#",
        "\\u0000",
        "\0",
        "/",
        "..",
        "!",
        "**",
        "[asset.a]\n",
        "deps = [\"a\"]\n",
        "op = \"split\"\n",
        "path = \"/\"\n",
        "-1",
        "1e999",
        "é",
        "0x",
        "\r",
    ]
    .map(str::as_bytes)
    .to_vec();
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 6000, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8);
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change, 1..6));
    runner
        .run(&strategy, |(seed, changes)| {
            let mut text = seed.get(&seeds).clone();
            for (a, b, word, how) in changes {
                let (a, b) = (a.index(text.len() + 1), b.index(text.len() + 1));
                let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 40));
                let piece = match how {
                    0 => Vec::new(),
                    1 => word.get(&words).to_vec(),
                    2 => text[from..to].repeat(2),
                    _ => word.get(&seeds).iter().copied().skip(from).take(60).collect(),
                };
                text.splice(from..if how == 1 { from } else { to }, piece);
            }
            survives(&text);
            Ok(())
        })
        .unwrap();
}

/// Twice as many assets may not take four times as long.
#[test]
fn a_large_manifest_is_read_in_proportion_to_its_size() {
    let sized = |count: usize| {
        let mut text = String::from("[project]\nname = \"big\"\n");
        for n in 0..count {
            let (a, b) = (n.saturating_sub(100), n.saturating_sub(101));
            let deps = if n < 102 { String::new() } else { format!("\"n{a}\", \"n{b}\"") };
            text += &format!(
                "[asset.n{n}]\ncommand = [\"cp\", \"src/n{n}.txt\", \"{{{{ output }}}}\"]\ndeps = [{deps}]\nsources = [\"src/n{n}.txt\"]\n"
            );
        }
        let start = std::time::Instant::now();
        assert_eq!(project(&text).len(), count);
        start.elapsed()
    };
    let best = |count| (0..3).map(|_| sized(count)).min().unwrap();
    let (one, four) = (best(3_000), best(12_000));
    assert!(four < one * 12, "3,000: {one:?}, 12,000: {four:?}");
}
