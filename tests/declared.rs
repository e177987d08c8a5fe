//! Tables whose rows stay what they are while their columns are declared otherwise: readers in the same database see
//! that, and nobody else.

use crate::views::{ALL, Kept, Shop};

/// `old` and `new` give the same rows, and `reader` another result of each; with what `why` says of the reader.
fn check(kept: Kept, (old, new): (&str, &str), reader: &str, (before, after): (&str, &str), told: &str) {
    let body = format!(
        "[asset.a]\nsql = \"select {old} as v\"\n[asset.b]\nsql = \"select {reader} as v from a\"\n\
         [asset.c]\nsql = \"select 1 as n from a\"\nio = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n"
    );
    let shop = Shop::of(kept, &body);
    assert_eq!(shop.ran(), ["a built", "b built", "c built"], "{kept:?} {old}");
    assert_eq!(shop.value("select cast(v as varchar(20)) from b"), before, "{kept:?} {old}");
    shop.project.edit("assets.toml", &format!("select {old} as v"), &format!("select {new} as v"));
    shop.project.run(&["materialize", "-s", "a"]).succeeded();
    let why = shop.project.run(&["why", "b"]).stdout;
    assert!(why.contains(told), "{kept:?} {old}: {why}");
    shop.project.run(&["status", "-s", "c"]).exited(0);
    assert_eq!(shop.ran(), ["b built"], "{kept:?} {old}");
    assert_eq!(shop.value("select cast(v as varchar(20)) from b"), after, "{kept:?} {old}");
    assert_eq!(shop.ran(), [""; 0], "{kept:?} {old}");
    // And back again, in one run.
    shop.project.edit("assets.toml", &format!("select {new} as v"), &format!("select {old} as v"));
    assert_eq!(shop.ran(), ["a built", "b built", "c cut_off"], "{kept:?} {old}");
    assert_eq!(shop.value("select cast(v as varchar(20)) from b"), before, "{kept:?} {old}");
    // The same of both: nothing is disturbed.
    shop.project.edit(
        "assets.toml",
        &format!("select {old} as v"),
        &format!("select {old} as v -- again\\n where 1 = 1"),
    );
    assert_eq!(shop.ran().first().map(String::as_str), Some("a built"), "{kept:?} {old}");
    assert_eq!(shop.ran(), [""; 0], "{kept:?} {old}");
}

#[test]
fn what_is_declared_otherwise_is_published_and_read_anew() {
    check(Kept::Sqlite, ("'5'", "cast('5' as text)"), "v = 5", ("0", "1"), "type of v: none -> TEXT");
    check(
        Kept::DuckDb,
        ("200::utinyint", "200::int"),
        "typeof(v)",
        ("UTINYINT", "INTEGER"),
        "type of v: UTINYINT -> INTEGER",
    );
    check(
        Kept::DuckDb,
        ("'b'::enum('a', 'b')", "'b'::enum('b', 'a')"),
        "enum_code(v)::int",
        ("1", "0"),
        "type of v: ENUM('a', 'b') -> ENUM('b', 'a')",
    );
    check(
        Kept::Postgres,
        ("cast(1 as integer)", "cast(1 as bigint)"),
        "pg_typeof(v)::text",
        ("integer", "bigint"),
        "type of v: integer -> bigint",
    );
    check(
        Kept::Postgres,
        ("'a'::text", "('a'::text) collate \\\"C\\\""),
        "'x'::text",
        ("x", "x"),
        "type of v: text -> text collate \"C\"",
    );
}

/// DuckDB tells them along with the rows of what is made, and of what is accepted on its own: in the same words.
#[test]
fn columns_of_every_type_are_told_in_the_same_words() {
    let types = [
        "1::tinyint",
        "1::uhugeint",
        "1::decimal(38, 0)",
        "1.5::decimal(10, 2)",
        "'x'",
        "'6f1c3b52-0000-4000-8000-000000000001'::uuid",
        "'1'::bit",
        "'{}'::json",
        "'a'::enum('a', 'it''s')",
        "[1, 2]",
        "[1, 2]::integer[2]",
        "{'a': 1, 'b c': 'x'}",
        "map {'a': 1}",
        "timestamptz '2026-01-01 00:00:00+02'",
        "'2026-01-01'::timestamp_ns",
        "'2026-01-01'::timestamp_s",
        "time '10:00'",
        "'1'::blob",
        "interval 1 day",
        "date '2026-01-01'",
        "1.5::float",
        "null",
        "true",
        "'x' collate nocase",
    ];
    let columns: Vec<String> = types.iter().enumerate().map(|(at, it)| format!("{it} as c{at}")).collect();
    let query = format!("select {}", columns.join(", "));
    let body = format!("[asset.a]\nsql = \"\"\"{query}\"\"\"\n[asset.b]\nsql = \"select count(*) as n from a\"\n");
    let shop = Shop::of(Kept::DuckDb, &body);
    assert_eq!(shop.ran(), ["a built", "b built"]);
    shop.project.edit("assets.toml", &query, &format!("{query} limit 1"));
    shop.project.run(&["accept", "a", "--reason", "it is one row"]).succeeded();
    shop.project.run(&["status"]).succeeded();
    shop.project.edit("assets.toml", "1::tinyint", "1::integer");
    shop.project.run(&["materialize", "-s", "a"]).succeeded();
    let why = shop.project.run(&["why", "b"]).stdout;
    assert!(why.contains("type of c0: TINYINT -> INTEGER"), "{why}");
}

/// The types of what is checked are the types of what is published.
#[test]
fn a_contract_is_of_what_is_published() {
    let body =
        "[asset.a]\nsql = \"select cast(1 as integer) as v\"\nchecks = [{ schema = { columns = { v = \"int4\" } } }]\n";
    let shop = Shop::of(Kept::Postgres, body);
    assert_eq!(shop.ran(), ["a built"]);
    shop.project.edit("assets.toml", "as integer", "as bigint");
    shop.project.edit("assets.toml", "int4", "int8");
    assert_eq!(shop.ran(), ["a built"]);
    shop.project.run(&["check"]).succeeded();
    assert_eq!(shop.value("select pg_typeof(v)::text from a"), "bigint");
}

/// What is declared otherwise by hand is not what was made, though its rows are the same.
#[test]
fn a_type_that_was_changed_by_hand_is_found() {
    for (kept, old, change) in [
        (Kept::DuckDb, "1::integer", "alter table a alter column v type bigint"),
        (Kept::Postgres, "cast(1 as integer)", "alter table a alter column v type bigint"),
        (Kept::Postgres, "'x'::text", "alter table a alter column v type text collate \"C\""),
    ] {
        let shop = Shop::of(kept, &format!("[asset.a]\nsql = \"select {old} as v\"\n"));
        assert_eq!(shop.ran(), ["a built"], "{kept:?}");
        shop.run(change);
        for how in ["--refresh", "--verify", "--refresh"] {
            assert_ne!(shop.project.run(&["status", how]).code, 0, "{kept:?} {change} {how}");
        }
        assert_eq!(shop.ran(), ["a built"], "{kept:?} {change}");
        shop.project.run(&["status", "--verify"]).succeeded();
        assert_eq!(shop.ran(), [""; 0], "{kept:?} {change}");
    }
}

/// A time with an offset is told apart by its time of day alone.
#[test]
fn a_time_with_an_offset_is_refused_in_duckdb() {
    let shop = Shop::of(Kept::DuckDb, "[asset.a]\nsql = \"select '12:00:00+01'::timetz as t\"\n");
    let said = shop.project.run(&["materialize"]).exited(1).stderr;
    assert!(said.contains("column `t` is a time with an offset") && said.contains("cast it"), "{said}");
}

/// A view is known by what it reads, types included.
#[test]
fn a_view_over_other_types_is_another_one() {
    for kept in ALL {
        let (old, new) = match kept {
            Kept::Sqlite => ("'5'", "cast('5' as text)"),
            _ => ("cast(1 as integer)", "cast(1 as bigint)"),
        };
        let body = format!(
            "[asset.a]\nsql = \"select {old} as v\"\n[asset.w]\nsql = \"select v from a\"\nmaterialized = \"view\"\n\
             [asset.b]\nsql = \"select v from w\"\n"
        );
        let shop = Shop::of(kept, &body);
        assert_eq!(shop.ran(), ["a built", "b built", "w built"], "{kept:?}");
        shop.project.edit("assets.toml", &format!("select {old} as v"), &format!("select {new} as v"));
        assert_eq!(shop.ran(), ["a built", "b built", "w built"], "{kept:?}");
        assert_eq!(shop.ran(), [""; 0], "{kept:?}");
    }
}
