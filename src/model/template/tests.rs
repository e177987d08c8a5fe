//! Templates as people write them.

use std::{collections::BTreeMap, process::Command};

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, VarValue> {
    map(pairs).into_iter().map(|(name, value)| (name, VarValue::Text(value))).collect()
}

fn some_vars() -> BTreeMap<String, VarValue> {
    let mut vars = vars(&[("country", "jp"), ("odd", "a b"), ("empty", "")]);
    vars.insert("n".into(), VarValue::Integer(3));
    vars.insert("ratio".into(), VarValue::Float(2.0));
    vars.insert("list".into(), VarValue::List(vec![VarValue::Text("x y".into()), VarValue::Integer(1)]));
    vars.insert("db".into(), VarValue::Table(self::vars(&[("host", "h1")])));
    vars
}

fn render_in(text: &str, vars: &BTreeMap<String, VarValue>, quoting: Quoting) -> Result<String, TemplateError> {
    let env = map(&[("MODE", "fast"), ("UNUSED", "u")]);
    let mut inputs: BTreeMap<String, Vec<String>> =
        map(&[("raw/orders", "data/raw/orders.csv"), ("rates", "rates dir")])
            .into_iter()
            .map(|(key, path)| (key, vec![path]))
            .collect();
    inputs.insert("days".into(), vec!["a 1.csv".into(), "b.csv".into()]);
    let outputs = map(&[("clean", "out/clean.csv")]);
    Template::new(text, None).render(&Scope {
        vars,
        env: &env,
        project_root: "/p",
        inputs: &inputs,
        outputs: &outputs,
        run_id: "r1",
        partition: &map(&[("key", "2026-01-02"), ("keys.day", "2")]),
        quoting,
        refs: None,
        model: None,
    })
}

fn render(text: &str) -> Result<String, TemplateError> {
    render_in(text, &some_vars(), Quoting::AsIs)
}

fn shell(text: &str) -> String {
    render_in(text, &some_vars(), Quoting::Shell).unwrap()
}

fn checked(text: &str) -> Vec<String> {
    let names = Names {
        vars: &some_vars(),
        env: &["MODE", "STAGE"],
        inputs: &["raw/orders", "rates", "daily-sales"],
        outputs: &["clean"],
        partition: &[],
    };
    let wrong = Template::new(text, None).check(&names).err().unwrap_or_default();
    wrong
        .into_iter()
        .map(|it| {
            let place = it.at.map_or("?", |at| &text[at]);
            format!("{place}: {}; {}", it.message, it.help.unwrap_or_default())
        })
        .collect()
}

fn refused(text: &str) -> String {
    let error = render(text).unwrap_err();
    match error.at {
        Some(at) => format!("{}: {}", &text[at], error.message),
        None => error.message,
    }
}

#[test]
fn what_is_named_is_inserted() {
    for (text, expected) in [
        ("plain { } text\n", "plain { } text\n"),
        ("{{ vars.country }}", "jp"),
        ("{{vars.country}}-{{ vars.n }}-{{ vars.ratio }}\n", "jp-3-2.0\n"),
        (r#"cp {{ inputs["raw/orders"] }} {{ output }}"#, "cp data/raw/orders.csv out/clean.csv"),
        ("{{ inputs['rates'] }} {{ outputs.clean }}", "rates dir out/clean.csv"),
        ("{% for it in inputs.days %}<{{ it }}>{% endfor %}", "<a 1.csv><b.csv>"),
        ("{{ env.MODE }} {{ project.root }} {{ run.id }}", "fast /p r1"),
        ("{{ vars.db.host }} {{ vars['db']['host'] }}", "h1 h1"),
        ("{{ vars.odd | raw }}", "a b"),
        ("{{ vars.country | upper }}{# said loudly #}\n", "JP\n"),
        ("{% if vars.n > 2 %}many{% else %}few{% endif %}", "many"),
        ("{% for it in vars.list %}<{{ it }}>{% endfor %}", "<x y><1>"),
        ("{{ vars.list | join(',') }}", "x y,1"),
        ("{{ env.STAGE | default('dev') }}", "dev"),
        ("{{ '--all' if vars.n == 1 }}.", "."),
        ("{% raw %}{{ vars.nope }}{% endraw %}{{ vars.n }}", "{{ vars.nope }}3"),
        ("{% set name = 'odd' %}{{ vars[name] }}", "a b"),
        ("{{ '}}' }}{{ vars.n }}", "}}3"),
        ("{{ {'a': {'b': vars.n}}['a']['b'] }}", "3"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    for (text, expected) in [
        ("{{ vars.county }}", "county: `vars.county` is not declared"),
        ("{{ vars.county | upper }}", "county: `vars.county` is not declared"),
        ("{{ vars.n }} {% if vars.county %}x{% endif %}", "county: `vars.county` is not declared"),
        ("{{ vars.country.code }}", "code: `vars.country` is not a table and has no `code`"),
        ("{{ env.STAGE }}", "env.STAGE: environment variable STAGE is not set"),
        ("{{ env.STAGE | upper }}", "env.STAGE: environment variable STAGE is not set"),
        ("{{ inputs.orders }}", "orders: no dependency is named `orders`"),
        ("{{ vars.list }}", "vars.list: `vars.list` is a list, not a text"),
        ("{{ vars.list | sort }}", "a list is not a text: say how to write it, `| join(\",\")`"),
        ("{{ inputs }}", "inputs: `inputs` is not a text"),
        ("{{ partition.start }}", "partition.start: `partition.start` is not known"),
        ("{{ partition.stop | upper }}", "partition.stop: `partition.stop` is not known"),
        ("{{ country }}", "country: `country` is not known"),
        ("{{ project.name }}", "project.name: `project.name` is not known"),
        ("{{ run }}", "run: `run` is not known"),
        ("{{ vars.n ", "n: cannot read the template: unexpected end of input, expected end of variable block"),
        ("{{ debug() }}", "`debug` is not known"),
        ("{{ vars.n | nope }}", "nope: filter nope is unknown"),
    ] {
        let found = refused(text);
        assert!(found == expected || found.ends_with(expected), "{text}\n  expected {expected}\n  found    {found}");
    }
}

#[test]
fn several_outputs_must_be_told_apart() {
    let none = BTreeMap::new();
    let names = Names { vars: &none, env: &[], inputs: &[], outputs: &["train", "raw/test"], partition: &[] };
    let wrong = Template::new("{{ output }} {{ outputs['raw/test'] }}", None).check(&names).unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].message, "`output` could be any of several outputs");
    assert_eq!(wrong[0].help.as_deref(), Some("name one: `outputs.train`"));
}

#[test]
fn loading_finds_every_unknown_name_with_its_place() {
    expect_test::expect![[r#"
        county: `vars.county` is not declared; did you mean `vars.country`?
        MOD: no variable of the environment is declared as `MOD`; did you mean `env.MODE`?
        raw: no dependency is named `raw`; did you mean `inputs["raw/orders"]`?
        daily: no dependency is named `daily`; did you mean `inputs["daily-sales"]`?
        sales: `sales` is not known; known are `vars`, `env`, `inputs`, `outputs`, `output`, `project`, `run`, `partition`
        x: no dependency is named `x`; say that it is read: `deps = ["x"]`
        hosts: `vars.db.hosts` is not declared; did you mean `vars.db.host`?
        input: `input` is not known; write `inputs.KEY`
        partition.key: there are no partitions here; say how it is cut: `partitions = "NAME"`"#]]
    .assert_eq(
        &checked(
            "{{ vars.county }} {{ env.MOD | default('x') }} {{ inputs.raw }} {{ inputs.daily - sales }} \
             {% if inputs['x'] %}{% endif %} {{ vars.db.hosts }} {{ input.x }} {{ partition.key }}",
        )
        .join("\n"),
    );
    assert_eq!(checked("{{ env.STAGE }} {{ vars.list[0] }} {{ vars | items }} {{ range(3) | list }}"), [""; 0]);
}

#[test]
fn uses_are_found_without_rendering() {
    let uses = |text: &str| Template::new(text, None).uses().unwrap();
    let found = uses("{{ vars.a }}{% if env.B %}{{ inputs['c/d'] }}{% endif %}{{ output }}{{ run.id }}");
    assert_eq!(
        (found.vars.contains("a"), found.env.contains("B"), found.inputs.contains("c/d"), found.output, found.run),
        (true, true, true, true, true)
    );
    assert!(!found.all_vars && !found.all_inputs && !found.all_outputs && !found.all_env);
    assert!(uses("{{ vars[x] }}").all_vars);
    assert!(uses("{% set v = vars %}{{ v.x }}").all_vars);
    assert!(uses(r#"{{ inputs["a\u0062"] }}"#).all_inputs);
    assert!(uses("{{ env | items | list }}").all_env);
    assert_eq!(uses("{% raw %}{{ vars.a }}{% endraw %}{{ x.vars.y }}{{ 'vars.z' }}").vars.len(), 0);
    assert_eq!(uses("plain"), Uses::default());
    assert!(Template::new("{{ vars.a", None).uses().is_err());
}

#[test]
fn a_hostile_template_ends() {
    for text in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(9999) %}{{ 'x' * 100000 }}{% endfor %}".to_owned(),
        format!("{}1{}", "{{ (".repeat(2), ") }}".repeat(2)),
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}x{}", "{% if 1 %}".repeat(100_000), "{% endif %}".repeat(100_000)),
        "{{".repeat(100_000),
        "{{ é".to_owned(),
        "{{ 'é".to_owned(),
        "{{ vars.é }}".to_owned(),
        "{% include 'x' %}".to_owned(),
        "{% set x = self %}{{ x }}".to_owned(),
    ] {
        let error = render(&text).unwrap_err();
        assert!(error.at.is_none_or(|at| text.get(at).is_some()), "{}", &text[..40.min(text.len())]);
        _ = Template::new(text, None).uses();
    }
}

/// Values that would do harm if the shell read them.
const HOSTILE: [&str; 16] = [
    "; rm -rf x",
    "$(touch x)",
    "`touch x`",
    "a\nb",
    "it's",
    "say \"hi\"",
    "-n",
    "",
    "a b  c",
    "$HOME",
    "*",
    "~",
    "a\\b\\",
    "#no",
    "{a,b}",
    "&& echo 'x' > y | z",
];

fn run(command: &str) -> String {
    let done = Command::new("sh").args(["-c", command]).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_shell_gets_each_value_as_it_is() {
    for value in HOSTILE {
        for text in [
            "printf '[%s]' {{ x }}",
            "printf '[%s]' {{ x ~ '' }}",
            "printf '[%s]' \"{{ x }}\"",
            "printf '[%s]' '{{ x }}'",
            "printf '%s%s%s' [{{ x }}]",
            "printf '%s' \"[{{ x }}\"']'",
            "printf %s \"$(printf '[%s]' {{ x }})\"",
            "printf %s \"$(printf '[%s]' \"{{ x }}\")\"",
            "(printf '[%s]' {{ x }}) # it's done",
            "y={{ x }}; printf '[%s]' \"$y\"",
            "# it's first\nprintf '[%s]' {{ x }}",
            "printf '[%s]' \"it's\" {{ x }} 'a\"b' | sed 's/\\[a\"b\\]//; s/\\[it.s\\]//'",
            "printf '[%s]' $((1 + 2)) {{ x }} | sed 's/\\[3\\]//'",
            "cat <<EOF >/dev/null\nit's $HOME\nEOF\nprintf '[%s]' {{ x }}",
            "case a in a) printf '[%s]' {{ x }};; esac",
            "printf '[%s]' \\\n{{ x }}",
        ] {
            let text = text.replace("{{ x", "{{ vars.x");
            let command = render_in(&text, &vars(&[("x", value)]), Quoting::Shell).unwrap();
            assert_eq!(run(&command).trim_end_matches('\n'), format!("[{value}]"), "{command}");
        }
    }
}

#[test]
fn a_here_document_gets_each_line_as_it_is() {
    for value in HOSTILE.into_iter().filter(|it| !it.contains('\n')) {
        for text in [
            "cat <<EOF\n[{{ vars.x }}]\nEOF",
            "cat <<-'E F'\n\t[{{ vars.x }}]\n\tE F\n",
            "cat << \"EOF\"; :\n[{{ vars.x }}]\nEOF",
        ] {
            let command = render_in(text, &vars(&[("x", value)]), Quoting::Shell).unwrap();
            assert_eq!(run(&command), format!("[{value}]\n"), "{command}");
        }
    }
    let ends = render_in("cat <<EOF\n{{ vars.x }}\necho no\nEOF", &vars(&[("x", "EOF")]), Quoting::Shell);
    assert_eq!(ends.unwrap_err().message, "an inserted value would end the here-document that it stands in");
}

#[test]
fn where_no_quoting_is_right_a_value_is_refused() {
    for text in [
        "echo `cat {{ x }}`",
        "echo ${y:-{{ x }}}",
        "echo $(({{ x }}))",
        "echo ok # {{ x }}",
        "cat <<EOF\n{{ x }}\nEOF",
        "echo \"$(case a in a) echo;; esac; echo {{ x }})\"",
        "((1 << 2)); echo {{ x }}",
        "echo $'a' {{ x }}",
    ] {
        let refused = |value| render_in(&text.replace("{{ x", "{{ vars.x"), &vars(&[("x", value)]), Quoting::Shell);
        let error = refused("a b\n").unwrap_err();
        assert!(error.message.starts_with("a value cannot be inserted safely"), "{error}");
        assert!(error.help.is_some() && error.at.is_some());
        assert!(refused("plain-1.csv").is_ok(), "{text}");
    }
    for text in ["echo ${{ vars.n }}", "echo \\{{ vars.n }}", "echo \"${{ vars.n }}\"", "cat <<{{ vars.n }}\n"] {
        assert!(render_in(text, &some_vars(), Quoting::Shell).is_err(), "{text}");
        assert!(Template::new(text, None).check_shell().is_err(), "{text}");
    }
    assert_eq!(shell("echo `cat {{ vars.country }}` ${{ vars.country | raw }}"), "echo `cat jp` $jp");
    assert_eq!(shell("echo {{ vars.n }}>out a{{ vars.n }} >x"), "echo 3''>out a3 >x");
}

/// Commands with values in them, most of them well formed.
fn any_command() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::{collection::vec, prelude::*, sample::select};
    let odd = [
        "'", "\"", "$(", ")", "`", "}", "$((", "#", "\n", "\\", "$", "<<E\n", "\\\n", "((", "{", "case ", "<", "it's ",
    ];
    let piece = prop_oneof![
        9 => Just("{{ vars.x }}".to_owned()),
        6 => select(vec!["a", "b c", " ", "\\'", "\\\"", "$y", "-"]).prop_map(str::to_owned),
        1 => select(odd.to_vec()).prop_map(str::to_owned),
    ];
    let word = vec(piece.clone(), 1..3).prop_map(|it| it.concat());
    word.prop_recursive(4, 16, 3, move |inner| {
        let some = vec(inner.clone(), 1..3).prop_map(|it| it.concat());
        let lines = vec(piece.clone(), 0..4).prop_map(|it| it.concat());
        prop_oneof![
            some.clone().prop_map(|it| format!("\"{it}\"")),
            some.clone().prop_map(|it| format!("'{it}'")),
            some.clone().prop_map(|it| format!("$(echo {it})")),
            some.clone().prop_map(|it| format!("\"$(echo {it})\"")),
            some.clone().prop_map(|it| format!("`echo {it}`")),
            some.clone().prop_map(|it| format!("${{y:-{it}}}")),
            some.clone().prop_map(|it| format!("$((1 + {it}))")),
            some.clone().prop_map(|it| format!("; (echo {it}); ")),
            some.clone().prop_map(|it| format!("\"$(case a in a) echo {it};; esac)\"")),
            some.clone().prop_map(|it| format!("; case a in a) echo {it};; esac; ")),
            (lines.clone(), some.clone()).prop_map(|(note, it)| format!(" # {note}\necho {it}")),
            (lines.clone(), some.clone()).prop_map(|(text, it)| format!("; cat <<E\n{text}\nE\necho {it}")),
            (lines, some).prop_map(|(text, it)| format!("; cat <<-'E'\n{text}\n\tE\necho {it}")),
            vec(inner, 2..4).prop_map(|it| it.join(" ")),
        ]
    })
}

/// Whatever the author wrote around them, values stay values.
#[test]
fn no_value_is_ever_run() {
    use proptest::{prelude::*, test_runner::TestRunner};
    let values = [
        "$(: >hit)",
        "`: >hit`",
        ";: >hit;",
        "';: >hit;'",
        "\";: >hit;\"",
        "\n: >hit\n",
        "E\n: >hit\n",
        ");: >hit;",
        "};: >hit;",
        "E",
        "\\",
        "'",
        "\"",
        "#",
        "$",
        "x\\\"$(: >hit)",
        "\\`: >hit`",
        "|: >hit;",
        "));: >hit #",
        "'$(: >hit)'",
        "y[$(: >hit)]",
    ];
    let folder = tempfile::tempdir().unwrap();
    let environment = crate::base::env::Environment::of_process();
    let cases = environment.get("SHELL_CASES").and_then(|it| it.parse().ok()).unwrap_or(100);
    let shells: Vec<&str> = ["/bin/sh", "/bin/dash", "/bin/bash"]
        .into_iter()
        .filter(|it| crate::base::fs::look(std::path::Path::new(it)).is_ok_and(|it| it.is_some()))
        .collect();
    let strategy = (any_command(), prop::sample::select(values.to_vec()));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let done = TestRunner::new(config).run(&strategy, |(text, value)| {
        let Ok(command) = render_in(&format!("echo {text}"), &vars(&[("x", value)]), Quoting::Shell) else {
            return Ok(());
        };
        for shell in &shells {
            let mut it = Command::new(shell);
            it.args(["-c", &command]).env_clear().env("PATH", "/usr/bin:/bin").current_dir(folder.path());
            it.stdin(std::process::Stdio::null()).output().unwrap();
            let hit = crate::base::fs::look(&folder.path().join("hit")).unwrap().is_some();
            if hit {
                crate::base::fs::remove_file(&folder.path().join("hit")).unwrap();
            }
            prop_assert!(!hit, "{} ran part of {:?}: {}", shell, value, command);
        }
        Ok(())
    });
    done.unwrap();
}

#[test]
fn plain_values_and_the_authors_own_words_are_not_quoted() {
    assert_eq!(
        shell("cat {{ inputs.rates }} | grep 'a b' > {{ output }}"),
        "cat 'rates dir' | grep 'a b' > out/clean.csv"
    );
    assert_eq!(shell("run {{ vars.odd | raw }} {{ vars.odd | upper }}"), "run a b 'A B'");
    assert_eq!(shell("run {{ vars.odd | upper | raw }}"), "run A B");
    assert_eq!(shell("{% set all = vars.odd %}run {{ all }}"), "run 'a b'");
    assert_eq!(shell("{% set all %}x {{ vars.odd }}{% endset %}run {{ all }}"), "run x 'a b'");
    assert_eq!(shell("run {{ vars.odd ~ '.csv' }}"), "run 'a b.csv'");
    assert_eq!(shell("run {{ vars.odd | raw ~ '.csv' }}"), "run 'a b.csv'");
    assert_eq!(shell("run {{ vars.empty }}"), "run ''");
}

#[test]
fn a_value_with_nul_cannot_break_its_frame() {
    for text in ["{{ vars.x }}", "{{ vars.x | raw ~ '' }}", "{{ vars.y[0] | upper }}", "{{ vars.x | upper }}"] {
        let mut vars = vars(&[("x", "a\0>; rm")]);
        vars.insert("y".into(), VarValue::List(vec![VarValue::Text("\0<".into())]));
        let error = render_in(text, &vars, Quoting::Shell).unwrap_err();
        assert!(error.message.contains("NUL"), "{text}: {error}");
    }
}

#[test]
fn a_key_is_renamed_where_it_is_named_and_nowhere_else() {
    let text = "cat inputs.a {{ inputs.a }} {{inputs.ab}} {{ inputs[\"a\"] | raw }} {{ vars.a }} {{ outputs.a }} {{ 'inputs.a' }}";
    let plain = text.replace("{{ inputs.a }}", "{{ inputs.b }}").replace("outputs.a", "outputs.b");
    assert_eq!(renamed(text, "a", "b"), plain.replace("[\"a\"]", "[\"b\"]"));
    assert_eq!(renamed("{{ inputs.a }}{{ inputs.a.x }}", "a", "in/b"), r#"{{ inputs["in/b"] }}{{ inputs["in/b"].x }}"#);
    for other in
        ["{{ inputs.a }} {{ inputs.b }}", "{# {{ inputs.a }} #}", "{% raw %}{{ inputs.a }}{% endraw %}", "inputs.a"]
    {
        assert_eq!(renamed(other, "a", "b"), other);
    }
}

#[test]
fn several_files_are_several_words() {
    assert_eq!(shell("cat {{ inputs.days }}"), "cat 'a 1.csv' b.csv");
    assert_eq!(Template::new("{{ inputs.days }}", None).whole_input().as_deref(), Some("days"));
    assert_eq!(Template::new(r#"{{ inputs["raw/x"] }}"#, None).whole_input().as_deref(), Some("raw/x"));
    assert_eq!(Template::new("x{{ inputs.days }}", None).whole_input(), None);
    assert_eq!(Template::new("{{ inputs.days | raw }}", None).whole_input(), None);
}
