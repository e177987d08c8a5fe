//! The language over one graph, form by form, and its laws over random ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    base::id::Id,
    model::{
        node_set::NodeSet,
        project::{NodeId, Project},
        sketch,
        staleness::State,
    },
};

/// ```text
/// raw/orders --> orders --> daily --> report
/// raw/rates  ----^   `----> clv ------^   `--> mail
///                    customers --^
/// ```
const SHOP: &str = "
    source raw/orders : files=raw/orders/*.csv group=raw
    source raw/rates : files=raw/rates.json
    orders < raw/orders raw/rates : group=staging tag.pii=no owner=team:data kind=python code=lib/clean.py
    customers : group=staging tag.pii=yes tag.nightly=1 owner=ann@x.org kind=sql io=warehouse
    daily < orders : group=marts kind=sql io=warehouse code=models/**/*.sql
    clv < orders customers : group=marts kind=sql folder=pipelines/clv
    report < daily clv : group=marts tag.nightly=2 sources=notes/*.md
    mail < report
";

struct World<'a>(&'a Project);

impl Facts for World<'_> {
    fn status(&self, node: NodeId) -> Option<State> {
        self.0.op_of(node)?;
        Some(if ["daily", "report"].contains(&self.0.key(node).as_str()) { State::Stale } else { State::Fresh })
    }

    fn changed(&self, git_ref: &str) -> Result<NodeSet, String> {
        if git_ref != "origin/main~1" {
            return Err(format!("git knows no revision `{git_ref}`"));
        }
        Ok(NodeSet::of(self.0.len(), self.0.node("orders")))
    }
}

fn shown(error: &SelectError, texts: &[String]) -> String {
    let text = &texts[error.argument];
    let help = error.help.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
    format!("{}[{}]: {}{help}", error.argument, &text[error.at.clone()], error.message)
}

fn select_all(texts: &[&str]) -> Result<(String, Vec<String>), Vec<String>> {
    let texts: Vec<String> = texts.iter().map(|it| (*it).to_owned()).collect();
    let project = sketch::project(SHOP);
    let told = |errors: Vec<SelectError>| errors.iter().map(|it| shown(it, &texts)).collect::<Vec<_>>();
    let expr = parse_all(&texts).map_err(told)?;
    let found = eval(&expr, &project, &World(&project)).map_err(told)?;
    let keys: Vec<&str> = found.nodes.iter().map(|it| project.key(it).as_str()).collect();
    Ok((keys.join(" "), told(found.warnings)))
}

fn select(text: &str) -> Result<(String, Vec<String>), Vec<String>> {
    select_all(&[text])
}

#[test]
fn every_form_selects_what_it_says() {
    let all = "raw/orders raw/rates orders customers daily clv report mail";
    for (text, expected) in [
        ("orders", "orders"),
        ("\"orders\"", "orders"),
        ("'raw/orders'", "raw/orders"),
        ("key:orders", "orders"),
        ("key:\"raw/orders\"", "raw/orders"),
        ("*", all),
        ("key:*", all),
        ("raw/*", "raw/orders raw/rates"),
        ("*r*e*", "raw/orders raw/rates orders report"),
        ("key:\"*port*\"", "report"),
        ("cl?", "clv"),
        ("+orders", "raw/orders raw/rates orders"),
        ("orders+", "orders daily clv report mail"),
        ("+orders+", "raw/orders raw/rates orders daily clv report mail"),
        ("1+daily+1", "orders daily report"),
        ("2+report", "orders customers daily clv report"),
        ("orders+2", "orders daily clv report"),
        ("0+orders+0", "orders"),
        ("99999999999+report", "raw/orders raw/rates orders customers daily clv report"),
        ("key:orders+1", "orders daily clv"),
        ("@daily", "raw/orders raw/rates orders customers daily clv report mail"),
        ("@mail", all),
        ("@(daily or customers)", all),
        ("+(daily or customers)", "raw/orders raw/rates orders customers daily"),
        ("1+(daily, group:marts)", "orders daily"),
        ("(daily or clv)+1", "daily clv report"),
        ("raw/*+1", "raw/orders raw/rates orders"),
        ("tag:pii", "orders customers"),
        ("tag:pii=yes", "customers"),
        ("tag:\"pii\"=\"no\"", "orders"),
        ("tag:nightly=*", "customers report"),
        ("group:marts", "daily clv report"),
        ("group:\"ma*\"", "daily clv report"),
        ("owner:team:data", "orders"),
        ("owner:\"team:data\"", "orders"),
        ("owner:ann@x.org", "customers"),
        ("kind:sql", "customers daily clv"),
        ("io:warehouse", "customers daily"),
        ("path:lib/clean.py", "orders"),
        ("path:lib", "orders"),
        ("path:models/a/b.sql", "daily"),
        ("path:models", "daily"),
        ("path:./raw/orders/x.csv", "raw/orders"),
        ("path:raw/", "raw/orders raw/rates"),
        ("path:notes/a.md", "report"),
        ("path:pipelines", "clv"),
        ("path:data/mail.csv", "mail"),
        ("status:stale", "daily report"),
        ("state:fresh", "orders customers clv mail"),
        ("status:blocked", ""),
        ("changed:origin/main~1+", "orders daily clv report mail"),
        ("is:source", "raw/orders raw/rates"),
        ("is:external", "raw/orders raw/rates"),
        ("is:asset", "orders customers daily clv report mail"),
        ("source:raw/ra*", "raw/rates"),
        ("roots(*)", "raw/orders raw/rates customers"),
        ("sinks(*)", "mail"),
        ("sinks(orders or daily)", "daily"),
        ("roots(group:marts)", "daily clv"),
        ("sinks(orders or mail)", "mail"),
        ("+roots(group:marts)", "raw/orders raw/rates orders customers daily clv"),
        ("not is:source", "orders customers daily clv report mail"),
        ("NOT is:source AND NOT kind:sql OR raw/rates", "raw/rates orders report mail"),
        ("daily clv", "daily clv"),
        ("daily or clv", "daily clv"),
        ("group:marts,kind:sql", "daily clv"),
        ("group:marts , kind:sql", "daily clv"),
        ("mail group:marts,kind:sql", "daily clv mail"),
        ("group:marts,kind:sql mail", "daily clv mail"),
        ("kind:sql and (group:marts customers) and not clv", "customers daily"),
        ("not daily and kind:sql", "customers clv"),
        ("not (daily or kind:sql) is:source", "raw/orders raw/rates orders report mail"),
        ("daily or mail and clv", "daily"),
        ("not not daily", "daily"),
    ] {
        match select(text) {
            Ok((found, warnings)) => {
                assert_eq!(found, expected, "{text}");
                assert!(warnings.is_empty() || text == "daily or mail and clv", "{text}: {warnings:?}");
            }
            Err(errors) => panic!("{text}: {errors:?}"),
        }
    }
}

#[test]
fn several_texts_are_united() {
    assert_eq!(select(" ").unwrap_err(), ["0[]: the selection is empty; `*` selects everything"]);
    assert_eq!(select_all(&["daily", "group:marts,clv"]).unwrap().0, "daily clv");
    assert_eq!(select_all(&[]).unwrap().0.split(' ').count(), 8);
    let wrong = select_all(&["daily", "+", "clv", "(mail"]).unwrap_err();
    assert_eq!(wrong, ["1[+]: something is missing after this sign", "3[(]: this `(` is not closed; add a `)`"]);
    let wrong = select_all(&["daily", "a b"]).unwrap_err();
    assert_eq!(wrong, ["1[a]: no asset or source is named `a`", "1[b]: no asset or source is named `b`"]);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_what_to_write() {
    let texts = [
        "++daily",
        "+++daily",
        "daily++",
        "daily+clv",
        "daily + clv",
        "+ daily",
        "daily +",
        "+",
        "+(",
        "@",
        "@daily+",
        "+@daily",
        "@+daily",
        "(daily",
        "daily)",
        "(daily))) or clv)",
        "()",
        "roots()",
        "leaves(daily)",
        "daily(clv)",
        "(daily)(clv)",
        "daily and",
        "or daily",
        "daily or or clv",
        "daily,,clv",
        "daily not clv",
        "not",
        "\"daily",
        "key:'a",
        "tag:",
        "tag:=x",
        "group:",
        "group:<null>",
        "gruop:marts",
        "colour:red",
        "status:stael",
        "status:odd",
        "is:table",
        "state:modified",
        "git:main",
        "config.materialized:table",
        "resource_type:model",
        "daily&&clv",
        "daily|clv",
        "!daily",
        "raw.orders",
        "[a-z]*",
        "pii=no",
        "caf\u{e9}",
        "a$b",
        "++a and (b or ) c)",
    ];
    let mut lines = String::new();
    for text in texts {
        lines += &format!("{text}\n");
        match select(text) {
            Err(errors) => errors.iter().for_each(|it| lines += &format!("    {}\n", &it[1..])),
            Ok(_) => lines += "    fine\n",
        }
    }
    expect_test::expect![[r#"
        ++daily
            [++]: only one `+` can stand here; for 2 layers upstream write `2+`, for all `+`
        +++daily
            [+++]: only one `+` can stand here; for 3 layers upstream write `3+`, for all `+`
        daily++
            [++]: only one `+` can stand here; for 2 layers downstream write `+2`, for all `+`
        daily+clv
            [daily+clv]: this `+` stands between two names; put a space before the `+` or after it: `a +b`, `a+ b`
        daily + clv
            [+]: this sign belongs to nothing; write it right before or after a name: `+a` is upstream, `a+` downstream
        + daily
            [+]: this sign belongs to nothing; write it right before or after a name: `+a` is upstream, `a+` downstream
        daily +
            [+]: something is missing after this sign
        +
            [+]: something is missing after this sign
        +(
            [(]: something is missing between these parentheses
            [(]: this `(` is not closed; add a `)`
        @
            [@]: something is missing after this sign
        @daily+
            [@daily+]: `@` and `+` cannot stand together; `@` goes both ways already
        +@daily
            [+@]: `@` and `+` cannot stand together; `@` goes both ways already
        @+daily
            [@+]: `@` and `+` cannot stand together; `@` goes both ways already
        (daily
            [(]: this `(` is not closed; add a `)`
        daily)
            [)]: this `)` closes nothing; take it away, or add a `(`
        (daily))) or clv)
            [)]: this `)` closes nothing; take it away, or add a `(`
            [or]: something is missing before this
            [)]: this `)` closes nothing; take it away, or add a `(`
        ()
            [()]: something is missing between these parentheses
        roots()
            [()]: something is missing between these parentheses
        leaves(daily)
            [leaves]: there is no such function; functions are `roots(...)` and `sinks(...)`
        daily(clv)
            [daily]: there is no such function; functions are `roots(...)` and `sinks(...)`
        (daily)(clv)
            [(]: this joins on to what is before it; put a space between for a union, a comma for an intersection
        daily and
            [and]: something is missing after this `and`
        or daily
            [or]: something is missing before this
        daily or or clv
            [or or]: something is missing after this `or`
        daily,,clv
            [,,]: something is missing after this comma
        daily not clv
            [not]: `not` needs `and` or `or` before it; write `and not` to take away, `or not` to add
        not
            [not]: something is missing after this `not`
        "daily
            ["daily]: this quote is not closed; end it with `"`
        key:'a
            ['a]: this quote is not closed; end it with `'`
        tag:
            [tag:]: a value is missing after `tag:`
        tag:=x
            [tag:=x]: the tag's name is missing
        group:
            [group:]: a value is missing after `group:`
        group:<null>
            [group:<null>]: `<null>` is not a value here; for what has none write `not group:*`
        gruop:marts
            [gruop:marts]: there is no attribute `gruop`; did you mean `group:`?
        colour:red
            [colour:red]: there is no attribute `colour`; attributes are `key`, `tag`, `group`, `owner`, `kind`, `io`, `path`, `source`, `status`, `changed`, `is`
        status:stael
            [status:stael]: `status` is never `stael`; did you mean `status:stale`?
        status:odd
            [status:odd]: `status` is never `odd`; it is one of `fresh`, `stale`, `missing`, `failed`, `blocked`, `running`
        is:table
            [is:table]: `is` is never `table`; it is one of `asset`, `source`
        state:modified
            [state:modified]: `state:modified` is not known here; write `changed:GIT_REF`, for instance `changed:main`
        git:main
            [git:main]: `git:main` is not known here; write `changed:main`
        config.materialized:table
            [config.materialized:table]: `config.materialized:table` is not known here; select by `tag:`, `group:`, `owner:`, `kind:` or `io:`
        resource_type:model
            [resource_type:model]: `resource_type:model` is not known here; write `is:asset` or `is:source`
        daily&&clv
            [daily&&clv]: `&` cannot be part of a name; write `and`, or a comma
        daily|clv
            [daily|clv]: `|` cannot be part of a name; write `or`, or a space
        !daily
            [!daily]: `!` cannot be part of a name; to take it away write `not daily`
        raw.orders
            [raw.orders]: `.` cannot be part of a name; the parts of a key are joined by `/`
        [a-z]*
            [[a-z]*]: `[` cannot be part of a name; wildcards are `*` (any characters) and `?` (any one)
        pii=no
            [pii=no]: `=` cannot be part of a name; for a tag write `tag:name=value`
        café
            [café]: `é` cannot be part of a name; names are letters, digits, `_`, `-` and `/`, with `*` and `?` as wildcards
        a$b
            [a$b]: `$` cannot be part of a name; names are letters, digits, `_`, `-` and `/`, with `*` and `?` as wildcards
        ++a and (b or ) c)
            [++]: only one `+` can stand here; for 2 layers upstream write `2+`, for all `+`
            [or )]: something is missing after this `or`
            [)]: this `)` closes nothing; take it away, or add a `(`
    "#]].assert_eq(&lines);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let mut lines = String::new();
    for text in [
        "order",
        "rates",
        "raw",
        "raw/",
        "zebra",
        "custmers+ dayly",
        "nope*",
        "*orders",
        "mail*",
        "daily,clv",
        "daily, group:marts, mail",
        "tag:pi",
        "tag:pii=yess",
        "tag:pii=maybe",
        "group:martz",
        "group:nope",
        "owner:bob",
        "kind:spark",
        "io:ware",
        "source:orders",
        "path:nowhere",
        "changed:nope",
    ] {
        lines += &format!("{text}\n");
        match select(text) {
            Err(errors) => errors.iter().for_each(|it| lines += &format!("    error {}\n", &it[1..])),
            Ok((found, warnings)) => {
                lines += &format!("    selects {found:?}\n");
                warnings.iter().for_each(|it| lines += &format!("    warning {}\n", &it[1..]));
            }
        }
    }
    expect_test::expect![[r#"
        order
            error [order]: no asset or source is named `order`; did you mean `orders`?
        rates
            error [rates]: no asset or source is named `rates`; did you mean `raw/rates`?
        raw
            error [raw]: no asset or source is named `raw`; for everything below it write `raw/*`
        raw/
            error [raw/]: no asset or source is named `raw/`; for everything below it write `raw/*`
        zebra
            error [zebra]: no asset or source is named `zebra`
        custmers+ dayly
            error [custmers]: no asset or source is named `custmers`; did you mean `customers`?
            error [dayly]: no asset or source is named `dayly`; did you mean `daily`?
        nope*
            selects ""
            warning [nope*]: `nope*` matches no name
        *orders
            selects "raw/orders orders"
        mail*
            selects "mail"
            warning [mail*]: `mail*` matches only `mail`; `*` is a wildcard; for what is up- or downstream write `mail+`
        daily,clv
            selects ""
            warning [daily,clv]: nothing has several names at once; for each of them write `daily clv`
        daily, group:marts, mail
            selects ""
        tag:pi
            selects ""
            warning [tag:pi]: `tag:pi` matches nothing; did you mean `tag:pii`?
        tag:pii=yess
            selects ""
            warning [tag:pii=yess]: `tag:pii=yess` matches nothing; did you mean `tag:pii=yes`?
        tag:pii=maybe
            selects ""
            warning [tag:pii=maybe]: `tag:pii=maybe` matches nothing; there are `tag:pii=no`, `tag:pii=yes`
        group:martz
            selects ""
            warning [group:martz]: `group:martz` matches nothing; did you mean `group:marts`?
        group:nope
            selects ""
            warning [group:nope]: `group:nope` matches nothing; there are `group:marts`, `group:raw`, `group:staging`
        owner:bob
            selects ""
            warning [owner:bob]: `owner:bob` matches nothing; there are `owner:ann@x.org`, `owner:team:data`
        kind:spark
            selects ""
            warning [kind:spark]: `kind:spark` matches nothing; there are `kind:python`, `kind:sql`
        io:ware
            selects ""
            warning [io:ware]: `io:ware` matches nothing; there are `io:files`, `io:warehouse`
        source:orders
            selects ""
            warning [source:orders]: `source:orders` matches nothing; there are `source:raw/orders`, `source:raw/rates`
        path:nowhere
            selects ""
            warning [path:nowhere]: `path:nowhere` matches nothing
        changed:nope
            error [changed:nope]: git knows no revision `nope`
    "#]]
    .assert_eq(&lines);
}

#[test]
fn it_is_written_one_way() {
    for (text, expected) in [
        (" a  b ", "a or b"),
        ("a,b c", "a and b or c"),
        ("(a b),c", "(a or b) and c"),
        ("NOT (a,b)", "not (a and b)"),
        ("+(a)", "+a"),
        ("+(+a)+1", "+(+a)+1"),
        ("@(a b)", "@(a or b)"),
        ("\"2\"+1", "\"2\"+1"),
        ("\"and\"", "\"and\""),
        ("key:*", "*"),
        ("state:stale", "status:stale"),
        ("tag:\"a=b\"=\"c d\"", "tag:\"a=b\"=\"c d\""),
        ("tag:k=", "tag:k=\"\""),
        ("group:'it\"s'", "group:\"it\\\"s\""),
        ("is:external", "is:source"),
        ("roots(sinks((a)))", "roots(sinks(a))"),
        ("2+", "\"2\"+"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn it_says_what_it_needs_to_know() {
    let expr = parse("+a and not (status:stale or changed:main, b*)").unwrap();
    assert_eq!(expr.names(), ["a", "b*"]);
    assert!(expr.needs_status());
    assert_eq!(expr.changed_refs(), ["main"]);
    assert!(!parse("group:x").unwrap().needs_status());
}

#[test]
fn nothing_is_too_long_or_too_deep() {
    let deep = |before: &str, after: &str, times: usize| before.repeat(times) + "orders" + &after.repeat(times);
    for text in [
        deep("(", ")", 100_000),
        deep("not ", "", 100_000),
        deep("roots(", ")", 100_000),
        deep("@(", "", 100_000),
        "(".repeat(100_000),
        ")".repeat(100_000),
        "+".repeat(100_000),
        "@".repeat(100_000),
        ",".repeat(100_000),
        "and ".repeat(100_000),
        "not or ".repeat(100_000),
        "a:".repeat(100_000),
        "\"".repeat(100_001),
    ] {
        let errors = parse(&text).unwrap_err();
        assert!((1..=20).contains(&errors.len()));
        assert!(errors.iter().all(|it| text.get(it.at.clone()).is_some()));
    }
    assert_eq!(select(&deep("(", ")", 90)).unwrap().0, "orders");
    assert_eq!(select(&"orders ".repeat(100_000)).unwrap().0, "orders");
    assert!(select(&"unknown ".repeat(100_000)).unwrap_err().len() <= 20);
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let place = Place::default();
    let word = "[a-c]{1,2}|and|not|2|roots|[ab/*?]{2,4}";
    let value = r#"[a-c:*"'\\=@+(), é]{1,4}|or|[0-9]"#;
    let name = word.prop_filter("`*` is everything", |it| it != "*").prop_map(|it| Expr::Name(it, Place::default()));
    let test = prop_oneof![
        (value, prop::option::of(prop_oneof![value, Just(String::new())])).prop_map(|(a, b)| Test::Tag(a, b)),
        value.prop_map(Test::Group),
        value.prop_map(Test::Owner),
        value.prop_map(Test::Path),
        value.prop_map(Test::Changed),
        prop::sample::select(State::ALL.to_vec()).prop_map(Test::Status),
        prop::sample::select(vec![Is::Asset, Is::Source]).prop_map(Test::Is),
    ];
    let leaf = prop_oneof![Just(Expr::Everything), name, test.prop_map(move |it| Expr::Where(it, place.clone()))];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let layers = prop::option::of(prop_oneof![Just(Layers::All), (0u32..4).prop_map(Layers::Some)]);
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            (layers.clone(), boxed.clone(), layers).prop_filter_map("one side", |(up, inner, down)| {
                (up.is_some() || down.is_some()).then_some(Expr::Around { up, inner, down })
            }),
            boxed.clone().prop_map(Expr::At),
            boxed.clone().prop_map(Expr::Roots),
            boxed.clone().prop_map(Expr::Sinks),
            boxed.prop_map(Expr::Not),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner, 2..4).prop_map(Expr::Or),
        ]
    })
}

type Keys = BTreeSet<usize>;

/// The language by its definition, on sets of numbers.
fn naive(expr: &Expr, project: &Project) -> Keys {
    let every = || (0..project.len()).collect::<Keys>();
    let step = |set: &Keys, up: bool| -> Keys {
        let graph = &project.graph;
        let of = |it: &usize| if up { graph.upstream(NodeId::new(*it)) } else { graph.downstream(NodeId::new(*it)) };
        set.iter().flat_map(of).map(|it| it.index()).collect()
    };
    let reach = |set: &Keys, up: bool, layers: u32| {
        let mut found = Keys::new();
        let mut layer = set.clone();
        for _ in 0..layers.min(20) {
            layer = step(&layer, up);
            found.extend(&layer);
        }
        found
    };
    let count = |layers: Layers| match layers {
        Layers::All => 20,
        Layers::Some(it) => it,
    };
    match expr {
        Expr::Everything => every(),
        Expr::Name(name, _) => {
            every().into_iter().filter(|it| pattern::matches(name, project.key(NodeId::new(*it)).as_str())).collect()
        }
        Expr::Where(Test::Is(Is::Asset) | Test::Status(State::Stale), _) => every(),
        // Too short for a folder: only where it is kept can be meant.
        Expr::Where(Test::Path(path), _) => {
            let kept = |it: &usize| project.output_path(NodeId::new(*it)).map(|it| it.to_string());
            every().into_iter().filter(|it| kept(it).is_some_and(|kept| pattern::matches(path, &kept))).collect()
        }
        Expr::Where(..) => Keys::new(),
        Expr::Around { up, inner, down } => {
            let mut set = naive(inner, project);
            let inner = set.clone();
            set.extend(up.iter().flat_map(|it| reach(&inner, true, count(*it))));
            set.extend(down.iter().flat_map(|it| reach(&inner, false, count(*it))));
            set
        }
        Expr::At(inner) => {
            let mut set = naive(inner, project);
            set.extend(reach(&set, false, 20));
            set.extend(reach(&set, true, 20));
            set
        }
        Expr::Roots(inner) | Expr::Sinks(inner) => {
            let set = naive(inner, project);
            let up = matches!(expr, Expr::Roots(_));
            set.iter().filter(|it| reach(&[**it].into(), up, 20).is_disjoint(&set)).copied().collect()
        }
        Expr::Not(inner) => every().difference(&naive(inner, project)).copied().collect(),
        Expr::And(them) => them
            .iter()
            .map(|it| naive(it, project))
            .reduce(|a, b| a.intersection(&b).copied().collect())
            .unwrap_or_default(),
        Expr::Or(them) => them.iter().flat_map(|it| naive(it, project)).collect(),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(expr in any_expr()) {
        let text = expr.to_string();
        prop_assert_eq!(parse(&text), Ok(expr), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_in_place(text in r#"([ab]|[ +@,()"':=*0-9!&é-]|and |or |not |tag:|roots){0,12}"#) {
        match parse(&text) {
            Ok(expr) => prop_assert_eq!(parse(&expr.to_string()), Ok(expr)),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(errors.iter().all(|it| text.get(it.at.clone()).is_some()));
            }
        }
    }

    #[test]
    fn it_selects_what_its_definition_says(
        edges in prop::collection::vec((0usize..10, 0usize..10), 0..24),
        expr in any_expr(),
    ) {
        let text: String = (0..10).map(|node| {
            let reads: Keys = edges.iter().filter(|it| it.0 == node && it.1 < node).map(|it| it.1).collect();
            let reads: Vec<String> = reads.iter().map(|it| key(*it)).collect();
            format!("{} < {}\n", key(node), reads.join(" "))
        }).collect();
        let project = sketch::project(&text);
        match eval(&expr, &project, &AllStale(project.len())) {
            Ok(found) => prop_assert_eq!(found.nodes.iter().map(Id::index).collect::<Keys>(), naive(&expr, &project)),
            Err(errors) => {
                let is_unknown = |it: &&str| !pattern::has_wildcards(it) && project.node(it).is_none();
                let unknown = expr.names().into_iter().filter(is_unknown).count();
                prop_assert!(errors.len() == unknown, "{}: {:?}", expr, errors);
            }
        }
    }
}

struct AllStale(usize);

impl Facts for AllStale {
    fn status(&self, _: NodeId) -> Option<State> {
        Some(State::Stale)
    }

    fn changed(&self, _: &str) -> Result<NodeSet, String> {
        Ok(NodeSet::none(self.0))
    }
}

/// Short keys, so that random names often are one.
fn key(node: usize) -> String {
    ["a", "b", "c", "aa", "ab", "ac", "ba", "bb", "bc", "a/b"][node].to_owned()
}

/// Whatever the reference shows as a selection can be read.
#[test]
fn the_reference_is_true() {
    let (here, elsewhere) = REFERENCE.split_once("## If you come").unwrap();
    let column = |text: &'static str, index: usize| text.lines().filter_map(move |it| it.split(" | ").nth(index));
    let mut shown = 0;
    for cell in column(here, 0).filter(|it| it.starts_with("| `")).chain(column(elsewhere, 1)) {
        for text in cell.split('`').skip(1).step_by(2) {
            parse(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
            shown += 1;
        }
    }
    assert!(shown > 35, "{shown}");
}
