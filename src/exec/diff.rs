//! What is different between two tables: columns, numbers of rows, what is in each column, and which rows.
//!
//! Both are asked by the engine that is built in, which joins by sorting and spills: however large they are, the
//! memory is bounded. Knows nothing of versions.

use std::path::Path;

use crate::{
    exec::{
        query::{Failed, Input, datafusion::Session},
        table::{columns::kind, show::cells},
    },
    model::{check::Sample, sql::Dialect},
};

/// What the two are called.
pub const FROM: &str = "from";
pub const TO: &str = "to";

/// From so many rows on, different values are not counted.
const DISTINCT_ROWS_MAX: u64 = 5_000_000;
const CELL_CHARACTERS_MAX: usize = 200;

/// Name and kind of a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    pub kind: String,
}

/// A column that both have, before and after.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnDiff {
    pub name: String,
    pub kinds: [String; 2],
    pub nulls: [u64; 2],
    /// `None`: values of this kind have no order.
    pub min: [Option<String>; 2],
    pub max: [Option<String>; 2],
    /// `None`: not counted.
    pub distinct: [Option<u64>; 2],
    /// In so many rows that both have it is another; `None` where rows have no key.
    pub changed: Option<u64>,
}

/// What is different.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TableDiff {
    pub rows: [u64; 2],
    pub added_columns: Vec<Column>,
    pub removed_columns: Vec<Column>,
    /// Those that both have stand in another order.
    pub reordered: bool,
    pub columns: Vec<ColumnDiff>,
    /// The columns that tell rows apart; none: whole rows are compared.
    pub key: Vec<String>,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub added_rows: Sample,
    pub removed_rows: Sample,
    /// Of a value that is another: `old -> new`.
    pub changed_rows: Sample,
    /// What people should know of how it was compared.
    pub notes: Vec<String>,
}

impl TableDiff {
    pub fn is_same(&self) -> bool {
        let typed = self.columns.iter().any(|it| it.kinds[0] != it.kinds[1]);
        let columns = self.added_columns.is_empty() && self.removed_columns.is_empty() && !self.reordered && !typed;
        columns && self.added + self.removed + self.changed == 0
    }
}

/// Which columns tell rows apart.
pub enum Key<'a> {
    /// A person says so: rows that they do not tell apart are a mistake.
    Said(&'a [String]),
    /// Something that may be so, if it is.
    Perhaps(&'a [String]),
}

/// Compares. So many rows of each kind are shown.
///
/// # Errors
/// Tables that cannot be read; a key that is none.
pub fn diff(from: Input, to: Input, key: &Key<'_>, limit: usize, spill: &Path) -> Result<TableDiff, Failed> {
    let session = Session::of(&[from, to], spill)?;
    session.join_by_sorting();
    let ask = Asking { session: &session, columns: [columns(&session, FROM)?, columns(&session, TO)?] };
    let mut diff = ask.shapes();
    diff.rows = [ask.number(&count(FROM))?, ask.number(&count(TO))?];
    ask.statistics(&mut diff)?;
    match key {
        Key::Said(key) => {
            ask.check_key(key)?.map_or(Ok(()), |why| Err(Failed::plain(why)))?;
            diff.key = key.to_vec();
        }
        Key::Perhaps(key) if !key.is_empty() => match ask.check_key(key)? {
            None => diff.key = key.to_vec(),
            Some(why) => diff.notes.push(format!("whole rows are compared: {why}")),
        },
        Key::Perhaps(_) => {}
    }
    match diff.key.is_empty() {
        true => ask.whole_rows(&mut diff, limit)?,
        false => ask.keyed_rows(&mut diff, limit)?,
    }
    Ok(diff)
}

fn columns(session: &Session, table: &str) -> Result<Vec<Column>, Failed> {
    let schema = session.each(&format!("select * from {} limit 0", quoted(table)), &mut |_| Ok(true))?;
    let column = |it: &std::sync::Arc<arrow::datatypes::Field>| {
        let kind = kind(it.data_type()).unwrap_or_else(|_| it.data_type().to_string());
        Column { name: it.name().clone(), kind }
    };
    Ok(schema.fields().iter().map(column).collect())
}

fn quoted(name: &str) -> String {
    Dialect::DataFusion.quoted(name)
}

fn count(table: &str) -> String {
    format!("select count(*) from {}", quoted(table))
}

struct Asking<'a> {
    session: &'a Session,
    columns: [Vec<Column>; 2],
}

impl Asking<'_> {
    fn rows(&self, sql: &str, limit: usize) -> Result<Sample, Failed> {
        let mut sample = Sample { columns: Vec::new(), rows: Vec::new() };
        let schema = self.session.each(sql, &mut |batch| {
            let left = limit - sample.rows.len();
            sample.rows.extend(cells(batch, left, CELL_CHARACTERS_MAX).map_err(Failed::plain)?);
            Ok(sample.rows.len() < limit)
        })?;
        sample.columns = schema.fields().iter().map(|it| it.name().clone()).collect();
        Ok(sample)
    }

    fn row(&self, sql: &str) -> Result<Vec<Option<String>>, Failed> {
        Ok(self.rows(sql, 1)?.rows.into_iter().next().unwrap_or_default())
    }

    fn number(&self, sql: &str) -> Result<u64, Failed> {
        Ok(as_number(self.row(sql)?.first()))
    }

    /// What can be told from the columns alone.
    fn shapes(&self) -> TableDiff {
        let [from, to] = &self.columns;
        let lacks = |them: &[Column], it: &&Column| them.iter().all(|other| other.name != it.name);
        let both = |them: &[Column], other: &[Column]| -> Vec<String> {
            them.iter().filter(|it| !lacks(other, it)).map(|it| it.name.clone()).collect()
        };
        let columns = from.iter().filter_map(|was| {
            let is = to.iter().find(|it| it.name == was.name)?;
            Some(ColumnDiff {
                name: was.name.clone(),
                kinds: [was.kind.clone(), is.kind.clone()],
                nulls: [0; 2],
                min: [None, None],
                max: [None, None],
                distinct: [None; 2],
                changed: None,
            })
        });
        TableDiff {
            columns: columns.collect(),
            added_columns: to.iter().filter(|it| lacks(from, it)).cloned().collect(),
            removed_columns: from.iter().filter(|it| lacks(to, it)).cloned().collect(),
            reordered: both(from, to) != both(to, from),
            ..TableDiff::default()
        }
    }

    fn statistics(&self, diff: &mut TableDiff) -> Result<(), Failed> {
        for (side, table) in [FROM, TO].into_iter().enumerate() {
            let countable = diff.rows[side] <= DISTINCT_ROWS_MAX;
            let mut wanted = vec!["count(*)".to_owned()];
            for column in &diff.columns {
                let (name, kind) = (quoted(&column.name), &column.kinds[side]);
                let ordered = has_order(kind);
                wanted.push(format!("count({name})"));
                wanted.push(if ordered { format!("min({name})") } else { "null".to_owned() });
                wanted.push(if ordered { format!("max({name})") } else { "null".to_owned() });
                let counted = countable && is_plain(kind);
                wanted.push(if counted { format!("count(distinct {name})") } else { "null".to_owned() });
            }
            let named: Vec<String> = wanted.iter().enumerate().map(|(at, it)| format!("{it} as c{at}")).collect();
            let row = self.row(&format!("select {} from {}", named.join(", "), quoted(table)))?;
            for (column, told) in diff.columns.iter_mut().zip(row.get(1..).unwrap_or_default().chunks(4)) {
                column.nulls[side] = diff.rows[side].saturating_sub(as_number(told.first()));
                column.min[side] = told.get(1).cloned().flatten();
                column.max[side] = told.get(2).cloned().flatten();
                column.distinct[side] = told.get(3).and_then(|it| it.as_ref()?.parse().ok());
            }
        }
        Ok(())
    }

    /// Why these columns tell no rows apart, if so.
    fn check_key(&self, key: &[String]) -> Result<Option<String>, Failed> {
        for (side, table) in [FROM, TO].into_iter().enumerate() {
            if let Some(name) = key.iter().find(|key| self.columns[side].iter().all(|it| it.name != **key)) {
                let there: Vec<&str> = self.columns[side].iter().map(|it| it.name.as_str()).collect();
                let when = match self.columns[1 - side].iter().any(|it| it.name == *name) {
                    true => ["before", "any more"][side],
                    false => "here",
                };
                return Ok(Some(format!("there is no column `{name}` {when}: there are {}", there.join(", "))));
            }
            let names: Vec<String> = key.iter().map(|it| quoted(it)).collect();
            let null: Vec<String> = names.iter().map(|it| format!("{it} is null")).collect();
            let (names, shown) = (names.join(", "), key.join(", "));
            let table = quoted(table);
            if self.number(&format!("select count(*) from {table} where {}", null.join(" or ")))? > 0 {
                return Ok(Some(format!("`{shown}` is NULL in some rows")));
            }
            let twice = format!("select 1 as one from {table} group by {names} having count(*) > 1");
            if self.number(&format!("select count(*) from ({twice}) t"))? > 0 {
                return Ok(Some(format!("`{shown}` is not different in every row")));
            }
        }
        Ok(None)
    }

    /// Rows by their key: each is there once on either side.
    fn keyed_rows(&self, diff: &mut TableDiff, limit: usize) -> Result<(), Failed> {
        let side = |prefix: char, table: &str, columns: &[Column]| {
            let names = columns.iter().enumerate().map(|(at, it)| format!("{} as {prefix}{at}", quoted(&it.name)));
            let names: Vec<String> = names.chain([format!("1 as {prefix}")]).collect();
            format!("(select {} from {}) {prefix}s", names.join(", "), quoted(table))
        };
        let at = |side: usize, name: &str| {
            let columns = &self.columns[side];
            let at = columns.iter().position(|it| it.name == name).unwrap_or_default();
            (format!("{}{at}", ['f', 't'][side]), columns[at].kind.as_str())
        };
        let pair = |name: &str| {
            let ((was, old), (is, new)) = (at(0, name), at(1, name));
            if is_comparable(old, new) { (was, is) } else { (as_text(&was), as_text(&is)) }
        };
        let on: Vec<String> = diff.key.iter().map(|it| pair(it)).map(|(was, is)| format!("{was} = {is}")).collect();
        let (from, to) = (side('f', FROM, &self.columns[0]), side('t', TO, &self.columns[1]));
        let joined = format!("{from} full join {to} on {}", on.join(" and "));
        let others: Vec<usize> =
            (0..diff.columns.len()).filter(|it| !diff.key.contains(&diff.columns[*it].name)).collect();
        let differs: Vec<String> = others
            .iter()
            .map(|it| pair(&diff.columns[*it].name))
            .map(|(was, is)| format!("(f is not null and t is not null and {was} is distinct from {is})"))
            .collect();
        let any = if differs.is_empty() { "false".to_owned() } else { differs.join(" or ") };
        let sum = |it: &str, at: usize| format!("sum(case when {it} then 1 else 0 end) as n{at}");
        let wanted = ["f is null", "t is null", any.as_str()].into_iter().chain(differs.iter().map(String::as_str));
        let wanted: Vec<String> = wanted.enumerate().map(|(at, it)| sum(it, at)).collect();
        let numbers = self.row(&format!("select {} from {joined}", wanted.join(", ")))?;
        (diff.added, diff.removed, diff.changed) =
            (as_number(numbers.first()), as_number(numbers.get(1)), as_number(numbers.get(2)));
        for (column, number) in others.iter().zip(numbers.get(3..).unwrap_or_default()) {
            diff.columns[*column].changed = Some(as_number(Some(number)));
        }
        let all = |prefix: char, columns: &[Column]| -> String {
            let names = columns.iter().enumerate().map(|(at, it)| format!("{prefix}{at} as {}", quoted(&it.name)));
            names.collect::<Vec<_>>().join(", ")
        };
        let order =
            |prefix: usize| -> String { diff.key.iter().map(|it| at(prefix, it).0).collect::<Vec<_>>().join(", ") };
        if diff.added > 0 {
            let names = all('t', &self.columns[1]);
            let sql = format!("select {names} from {joined} where f is null order by {} limit {limit}", order(1));
            diff.added_rows = self.rows(&sql, limit)?;
        }
        if diff.removed > 0 {
            let names = all('f', &self.columns[0]);
            let sql = format!("select {names} from {joined} where t is null order by {} limit {limit}", order(0));
            diff.removed_rows = self.rows(&sql, limit)?;
        }
        if diff.changed > 0 {
            let both: Vec<String> = diff.columns.iter().flat_map(|it| [at(0, &it.name).0, at(1, &it.name).0]).collect();
            let sql =
                format!("select {} from {joined} where {any} order by {} limit {limit}", both.join(", "), order(0));
            let rows = self.rows(&sql, limit)?.rows;
            diff.changed_rows = Sample {
                columns: diff.columns.iter().map(|it| it.name.clone()).collect(),
                rows: rows.iter().map(|it| it.chunks(2).map(was_and_is).collect()).collect(),
            };
        }
        Ok(())
    }

    /// Rows as they are, in any order: how often each is there on either side.
    fn whole_rows(&self, diff: &mut TableDiff, limit: usize) -> Result<(), Failed> {
        if diff.columns.is_empty() {
            diff.notes.push("rows are not compared: no column is in both".to_owned());
            (diff.added, diff.removed) = (diff.rows[1], diff.rows[0]);
            return Ok(());
        }
        if !diff.added_columns.is_empty() || !diff.removed_columns.is_empty() {
            diff.notes.push("rows are compared by the columns that both have".to_owned());
        }
        let alike = |it: &ColumnDiff| is_comparable(&it.kinds[0], &it.kinds[1]);
        let value = |it: &ColumnDiff| if alike(it) { quoted(&it.name) } else { as_text(&quoted(&it.name)) };
        let side = |table: &str, sign: i8| {
            let values = diff.columns.iter().enumerate().map(|(at, it)| format!("{} as v{at}", value(it)));
            format!("select {}, {sign} as d from {}", values.collect::<Vec<_>>().join(", "), quoted(table))
        };
        let names: Vec<String> = (0..diff.columns.len()).map(|it| format!("v{it}")).collect();
        let names = names.join(", ");
        let all = format!("({} union all {}) u", side(TO, 1), side(FROM, -1));
        let left = format!("(select {names}, sum(d) as d from {all} group by {names} having sum(d) <> 0) g");
        let sums = "sum(case when d > 0 then d else 0 end) as a, sum(case when d < 0 then -d else 0 end) as r";
        let numbers = self.row(&format!("select {sums} from {left}"))?;
        (diff.added, diff.removed) = (as_number(numbers.first()), as_number(numbers.get(1)));
        let shown: Vec<String> =
            diff.columns.iter().enumerate().map(|(at, it)| format!("v{at} as {}", quoted(&it.name))).collect();
        let sample = |which: &str| {
            let sql = format!("select {} from {left} where {which} order by {names} limit {limit}", shown.join(", "));
            self.rows(&sql, limit)
        };
        if diff.added > 0 {
            diff.added_rows = sample("d > 0")?;
        }
        if diff.removed > 0 {
            diff.removed_rows = sample("d < 0")?;
        }
        Ok(())
    }
}

fn was_and_is(pair: &[Option<String>]) -> Option<String> {
    match pair {
        [was, is] if was == is => was.clone(),
        [was, is] => {
            let shown = |it: &Option<String>| it.clone().unwrap_or_else(|| "NULL".to_owned());
            Some(format!("{} -> {}", shown(was), shown(is)))
        }
        _ => None,
    }
}

fn as_number(cell: Option<&Option<String>>) -> u64 {
    cell.and_then(|it| it.as_ref()?.parse().ok()).unwrap_or(0)
}

fn as_text(value: &str) -> String {
    format!("cast({value} as varchar)")
}

fn is_number(kind: &str) -> bool {
    kind == "int" || kind == "float" || kind.starts_with("decimal")
}

/// Whether values of two kinds can be held against each other as they are.
fn is_comparable(a: &str, b: &str) -> bool {
    a == b || is_number(a) && is_number(b)
}

/// No list or structure.
fn is_plain(kind: &str) -> bool {
    has_order(kind) || kind == "bool" || kind == "bytes"
}

fn has_order(kind: &str) -> bool {
    is_number(kind) || kind == "text" || kind == "date" || kind == "time" || kind.starts_with("timestamp")
}
