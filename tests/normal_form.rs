//! The claim that two texts with one normal form mean the same, put to the engines themselves: texts are made of
//! pieces that are hard to tell apart and of everything that may stand between two pieces, and where two of
//! one make share a normal form, they must give the same rows, or both be refused. `ASSETS_ORACLE_SEED=7` makes others.

use std::collections::HashMap;

use assets::{
    exec::query::datafusion::Session,
    model::sql::{Dialect, normal_form},
};
use postgres::{NoTls, SimpleQueryMessage};

use crate::{
    oracle::{graph::Random, number},
    support::{duckdb::Opened, postgres::Server},
};

/// Pairs that share a normal form and whose first text an engine runs; `ASSETS_ORACLE_PAIRS=30000` asks for more.
const PAIRS: usize = 3000;
/// The engine that is built in takes 25 ms for each as it is compiled for tests.
const PAIRS_BUILT_IN: usize = 1000;

/// What may stand between two pieces. Some of it some engine takes for more than nothing.
const BETWEEN: [&str; 22] = [
    "",
    "",
    "",
    " ",
    " ",
    "\n",
    "\t",
    "\r\n",
    "\u{c}",
    "\u{b}",
    "\u{a0}",
    "/* c */",
    "/**/",
    "-- c\n",
    "--\n",
    " /* ' */ ",
    "-- ' \n",
    "/*+ h */",
    "--+ h\n",
    "/*! + 1 */",
    "/* /* */ */",
    "#\n",
];

/// Pieces of an expression, apart where an engine may see one token or two.
const PIECES: [&str; 62] = [
    "a",
    "A",
    "b",
    "\"a\"",
    "\"A\"",
    "\"a\"\"b\"",
    "'x'",
    "'x '",
    "'it''s'",
    "''",
    "'--'",
    "'/*'",
    "'*/'",
    "'\\'",
    "'a\\''",
    "E'\\n'",
    "e'\\''",
    "x'00'",
    "X'4f'",
    "U&'\\0041'",
    "N'n'",
    "$$d$$",
    "$t$ -- $t$",
    "`a`",
    "[a]",
    "1",
    "1.",
    ".5",
    "1.0",
    "1e5",
    "1E+5",
    "0x1F",
    "1_000",
    "-",
    "+",
    "--1\n",
    "*",
    "/",
    "%",
    "||",
    "|",
    "<",
    "=",
    ">",
    "<>",
    "!=",
    "(",
    ")",
    ",",
    "::text",
    "null",
    "not",
    "is",
    "as",
    "//",
    "**",
    "#1",
    ":",
    "->",
    "{'k': 1}",
    "[1, 2]",
    "E'a' 'b'",
];

/// Whole texts, cut where something may be put between.
const SENTENCES: [&[&str]; 41] = [
    &[
        "select",
        " ",
        "user",
        " ",
        "as",
        " ",
        "a",
        ",",
        "current_user",
        " ",
        "as",
        " ",
        "b",
        ",",
        "session_user",
        " ",
        "as",
        " ",
        "c",
        ",",
        "current_catalog",
        " ",
        "as",
        " ",
        "d",
        " ",
        "from",
        " ",
        "u",
    ],
    // What is no name of a column is the time, which is another each time.
    &[
        "select",
        " ",
        "current_time",
        " ",
        "is",
        " ",
        "null",
        " ",
        "as",
        " ",
        "a",
        ",",
        "current_date",
        " ",
        "is",
        " ",
        "null",
        " ",
        "as",
        " ",
        "b",
        ",",
        "current_timestamp",
        " ",
        "is",
        " ",
        "null",
        " ",
        "as",
        " ",
        "c",
        ",",
        "localtime",
        " ",
        "is",
        " ",
        "null",
        " ",
        "as",
        " ",
        "d",
        ",",
        "localtimestamp",
        " ",
        "is",
        " ",
        "null",
        " ",
        "as",
        " ",
        "e",
        " ",
        "from",
        " ",
        "u",
    ],
    &[
        "select", " ", "b", " ", "from", " ", "t", " ", "where", " ", "a", ">=", "(", "select", " ", "max", "(", "a",
        ")", " ", "-", "1", " ", "from", " ", "t", ")", " ", "order", " ", "by", " ", "1",
    ],
    &[
        "select", " ", "exists", "(", "select", " ", "a", "+", "1", " ", "from", " ", "t", ")", " ", "and", " ", "2",
        " ", "in", " ", "(", "select", " ", "a", "*", "1", " ", "from", " ", "t", " ", "union", " ", "select", " ",
        "min", "(", "a", ")", " ", "from", " ", "t", ")", " ", "as", " ", "x",
    ],
    &["select", " ", "sum", "(", "a", ")", " ", "as", " ", "s", " ", "from", " ", "t"],
    &[
        "select", " ", "max", "(", "b", ")", " ", "Big", " ", "from", " ", "t", " ", "as", " ", "U", " ", "group", " ",
        "by", " ", "a", " ", "order", " ", "by", " ", "1",
    ],
    &[
        "with", " ", "Sum", " ", "as", " ", "(", "select", " ", "a", " ", "as", " ", "Max", " ", "from", " ", "t", ")",
        " ", "select", " ", "Max", ",", "sum", "(", "Max", ")", " ", "over", "(", "order", " ", "by", " ", "Max", ")",
        " ", "as", " ", "Over", " ", "from", " ", "Sum", " ", "order", " ", "by", " ", "1",
    ],
    &[
        "select",
        " ",
        "row_number",
        "(",
        ")",
        " ",
        "over",
        " ",
        "w",
        " ",
        "as",
        " ",
        "Row",
        " ",
        "from",
        " ",
        "t",
        " ",
        "window",
        " ",
        "w",
        " ",
        "as",
        " ",
        "(",
        "order",
        " ",
        "by",
        " ",
        "b",
        ")",
        " ",
        "order",
        " ",
        "by",
        " ",
        "1",
    ],
    &[
        "select",
        " ",
        "extract",
        "(",
        "year",
        " ",
        "from",
        " ",
        "date",
        " ",
        "'2026-01-02'",
        ")",
        " ",
        "as",
        " ",
        "Year",
    ],
    &[
        "select", " ", "cast", "(", "a", " ", "as", " ", "bigint", ")", " ", "as", " ", "Date", ",", " ", "coalesce",
        "(", "b", ",", " ", "'X'", ")", " ", "Value", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1",
    ],
    &[
        "select", " ", "t", ".", "a", " ", "as", " ", "Case", ",", " ", "case", " ", "when", " ", "b", "=", "'A'", " ",
        "then", " ", "null", " ", "end", " ", "as", " ", "End", " ", "from", " ", "t", " ", "order", " ", "by", " ",
        "1",
    ],
    &[
        "select", " ", "upper", "(", "b", ")", " ", "as", " ", "Upper", " ", "from", " ", "t", " ", "where", " ",
        "lower", "(", "b", ")", " ", "in", " ", "(", "'x'", ",", "'Y'", ")", " ", "order", " ", "by", " ", "1",
    ],
    &[
        "select", " ", "x", ".", "End", ",", " ", "x", ".", "Value", " ", "from", " ", "(", "select", " ", "a", " ",
        "as", " ", "End", ",", " ", "b", " ", "as", " ", "Value", " ", "from", " ", "t", ")", " ", "as", " ", "x", " ",
        "order", " ", "by", " ", "1",
    ],
    &[
        "select", " ", "Left", ",", " ", "Date", " ", "from", " ", "(", "select", " ", "a", " ", "as", " ", "\"Left\"",
        ",", " ", "b", " ", "as", " ", "\"Date\"", " ", "from", " ", "t", ")", " ", "x", " ", "order", " ", "by", " ",
        "1",
    ],
    &["select", " ", "a", ",", "b", " ", "from", " ", "t", " ", "order", " ", "by", " ", "a", ",", "b"],
    &["select", " ", "count", "(", "*", ")", " ", "from", " ", "t", " ", "where", " ", "a", ">", "1"],
    &["select", " ", "a", "-", "-", "1", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "a", "-", "1", " ", "as", " ", "x", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "'a'", " ", "'b'"],
    &["select", " ", "'a'", "||", "'b'", " ", "||", "'it''s'"],
    &["select", " ", "'a'", "\n", "'b'", " ", "as", " ", "x"],
    &["select", " ", "1", ".", "5"],
    &["select", " ", "1", " ", "a"],
    &["select", " ", "1", "e", "1"],
    &["select", " ", "x", "'4142'"],
    &["select", " ", "\"a\"", "+", "\"b\"", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "t", ".", "a", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "a", "<", ">", "1", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "a", "|", "|", "b", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "a", "*", "/", "1", " ", "from", " ", "t"],
    &[
        "select", " ", "case", " ", "when", " ", "a", ">", "1", " ", "then", " ", "'y'", " ", "else", " ", "'n'", " ",
        "end", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1",
    ],
    &[
        "with", " ", "u", " ", "as", " ", "(", "select", " ", "a", " ", "from", " ", "t", ")", "select", " ", "sum",
        "(", "a", ")", " ", "from", " ", "u",
    ],
    &[
        "select", " ", "cast", "(", "a", " ", "as", " ", "text", ")", " ", "from", " ", "t", " ", "order", " ", "by",
        " ", "1",
    ],
    &["select", " ", "not", " ", "a", "=", "1", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &["select", " ", "a", " ", "is", " ", "not", " ", "null", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1"],
    &[
        "select", " ", "distinct", " ", "a", " ", "from", " ", "t", " ", "order", " ", "by", " ", "1", " ", "limit",
        " ", "1", ";",
    ],
    &["from", " ", "t", " ", "select", " ", "b", " ", "order", " ", "by", " ", "#1"],
    &["select", " ", "list_transform", "(", "[", "1", ",", "2", "]", ",", " ", "x", " ", "->", " ", "x", "+", "1", ")"],
    &["select", " ", "k", ":", " ", "a", "//", "2", " ", "from", " ", "t", " ", "order", " ", "by", " ", "all"],
    &["select", " ", "{", "'k'", ":", "1", "}", ".", "k", ",", " ", "[", "1", ",", "2", "]", "[", "1", "]"],
    &["select", " ", "E'a\\n'", "\n", "'b\\n'", " ", "as", " ", "x", ",", " ", "$$d$$", "||", "$t$", "-- $d$", "$t$"],
];

/// A piece in other letters, whatever it is.
fn other_case(random: &mut Random, piece: &str) -> String {
    match random.below(3) {
        0 => piece.to_ascii_uppercase(),
        1 => piece.to_ascii_lowercase(),
        _ => piece.chars().map(|it| if random.below(2) == 0 { it.to_ascii_uppercase() } else { it }).collect(),
    }
}

/// One text, as pieces.
fn pieces(random: &mut Random) -> Vec<&'static str> {
    let mut pieces: Vec<&str> = random.pick(&SENTENCES).to_vec();
    for _ in 0..random.below(3) {
        let at = random.below(pieces.len());
        match random.below(3) {
            0 => pieces[at] = random.pick::<&str>(&PIECES),
            1 => pieces.insert(at, random.pick::<&str>(&PIECES)),
            _ => drop(pieces.remove(at)),
        }
    }
    pieces
}

/// The same pieces, with something else between some of them.
fn text(random: &mut Random, pieces: &[&str]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match *piece {
            " " if random.below(3) > 0 => text.push(' '),
            " " => text.push_str(random.pick::<&str>(&BETWEEN)),
            piece => {
                if random.below(6) == 0 {
                    text.push_str(random.pick::<&str>(&BETWEEN));
                }
                // By far the most texts must share their form with others of the same make.
                if random.below(12) == 0 {
                    text.push_str(&other_case(random, piece));
                } else {
                    text.push_str(piece);
                }
            }
        }
    }
    text
}

/// Asks until enough pairs were seen; `run` gives the rows, or nothing if the engine refuses.
fn put_to(dialect: Dialect, enough: usize, run: &mut dyn FnMut(&str) -> Option<Vec<String>>) {
    let mut random = Random::new(number("ASSETS_ORACLE_SEED").unwrap_or(20_261_121));
    let enough = number("ASSETS_ORACLE_PAIRS").map_or(enough, |it| usize::try_from(it).unwrap());
    let (mut pairs, mut refused, mut made) = (0, 0, 0);
    while pairs < enough {
        made += 1;
        assert!(made < 200 * enough, "only {pairs} pairs came up");
        let pieces = pieces(&mut random);
        let mut seen: HashMap<Vec<u8>, (String, Option<Vec<String>>)> = HashMap::new();
        for _ in 0..6 {
            let text = text(&mut random, &pieces);
            let form = normal_form(&text, dialect);
            let Some((other, rows)) = seen.get(&form) else {
                let rows = run(&text);
                seen.insert(form, (text, rows));
                continue;
            };
            if *other == text {
                continue;
            }
            let again = run(&text);
            // A few rows of many, in no order, may be others each time.
            let is_same = *rows == again || (0..20).any(|_| run(other) == again);
            assert!(is_same, "{}: {other:?} gives {rows:?}, {text:?} gives {again:?}", dialect.name());
            match rows {
                Some(_) => pairs += 1,
                None => refused += 1,
            }
        }
    }
    eprintln!("{}: {pairs} pairs gave the same rows, {refused} were refused alike", dialect.name());
}

const ROWS: [(i64, &str); 4] = [(1, "x"), (2, "y"), (2, "A"), (-3, "it's")];

/// Names of columns that are also something else, if they are not quoted; in `u` every second of them is NULL.
const SPECIAL: [&str; 9] = [
    "user",
    "current_user",
    "session_user",
    "current_catalog",
    "current_time",
    "current_date",
    "current_timestamp",
    "localtime",
    "localtimestamp",
];

/// The table `u` with a column for each, and where the case of names counts one for each in other letters.
fn special(case_counts: bool) -> [String; 2] {
    let other = SPECIAL.iter().filter(|_| case_counts).map(|it| it.to_ascii_uppercase());
    let names: Vec<String> = SPECIAL.iter().map(|it| (*it).to_owned()).chain(other).collect();
    let columns: Vec<String> = names.iter().map(|it| format!("\"{it}\" text")).collect();
    let values: Vec<String> =
        (0..names.len()).map(|it| if it % 2 == 0 { format!("'{it}'") } else { "null".to_owned() }).collect();
    let create = format!("create table u ({})", columns.join(", "));
    [create, format!("insert into u values ({})", values.join(", "))]
}

#[test]
fn sqlite_means_the_same() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.execute_batch("create table t (a int, b text)").unwrap();
    for row in ROWS {
        connection.execute("insert into t values (?, ?)", row).unwrap();
    }
    special(false).iter().for_each(|it| connection.execute_batch(it).unwrap());
    put_to(Dialect::Sqlite, PAIRS, &mut |text| {
        let mut statement = connection.prepare(text).ok()?;
        let count = statement.column_count();
        let names = statement.column_names().collect::<Vec<_>>().join("|");
        let rows = statement.query_map([], |row| {
            let cells = (0..count).map(|it| row.get::<_, rusqlite::types::Value>(it).map(|it| format!("{it:?}")));
            Ok(cells.collect::<Result<Vec<_>, _>>()?.join("|"))
        });
        let rows: Vec<String> = rows.ok()?.collect::<Result<_, _>>().ok()?;
        Some([vec![names], rows].concat())
    });
}

#[test]
fn postgres_means_the_same() {
    let database = Server::shared().database();
    let mut client = postgres::Client::connect(&database.url(), NoTls).unwrap();
    client.batch_execute("create table t (a int, b text)").unwrap();
    for (a, b) in ROWS {
        client.execute("insert into t values ($1::bigint, $2)", &[&a, &b]).unwrap();
    }
    special(true).iter().for_each(|it| client.batch_execute(it).unwrap());
    put_to(Dialect::Postgres, PAIRS, &mut |text| {
        let told = client.simple_query(text).ok()?;
        let row = |it: &SimpleQueryMessage| match it {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|it| format!("{:?}", row.get(it))).collect::<Vec<_>>().join("|"))
            }
            SimpleQueryMessage::RowDescription(columns) => {
                Some(columns.iter().map(|it| it.name()).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        Some(told.iter().filter_map(row).collect())
    });
}

#[test]
fn duckdb_means_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = Opened::new(&folder.path().join("t.duckdb"));
    database.run("create table t (a int, b text)");
    for (a, b) in ROWS {
        database.run(&format!("insert into t values ({a}, '{}')", b.replace('\'', "''")));
    }
    special(false).iter().for_each(|it| database.run(it));
    put_to(Dialect::DuckDb, PAIRS, &mut |text| {
        let (columns, mut rows) = database.table(text).ok()?;
        rows.sort();
        Some([columns, rows].concat())
    });
}

#[test]
fn the_built_in_engine_means_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let csv: String = ROWS.iter().map(|(a, b)| format!("{a},{b}\n")).collect();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, format!("a,b\n{csv}")).unwrap();
    let names: Vec<String> = SPECIAL.iter().flat_map(|it| [(*it).to_owned(), it.to_ascii_uppercase()]).collect();
    let values: Vec<String> =
        (0..names.len()).map(|it| if it % 3 == 0 { String::new() } else { format!("x{it}") }).collect();
    let special = folder.path().join("u.csv");
    std::fs::write(&special, format!("{}\n{}\n", names.join(","), values.join(","))).unwrap();
    let input = |name: &str, path| assets::exec::query::Input {
        name: name.to_owned(),
        from: assets::exec::query::From::Files { paths: vec![path], format: assets::model::format::TableFormat::Csv },
    };
    let session = Session::of(&[input("t", path), input("u", special)], &folder.path().join("spill")).unwrap();
    put_to(Dialect::DataFusion, PAIRS_BUILT_IN, &mut |text| {
        let mut rows = Vec::new();
        let schema = session.each(text, &mut |batch| {
            let cells = assets::exec::table::show::cells(batch, usize::MAX, 1000).unwrap();
            rows.extend(cells.iter().map(|it| format!("{it:?}")));
            Ok(true)
        });
        let schema = schema.ok()?;
        rows.sort();
        rows.extend(schema.fields().iter().map(|it| format!("{} {}", it.name(), it.data_type())));
        Some(rows)
    });
}
