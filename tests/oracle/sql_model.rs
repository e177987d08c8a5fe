//! One query of the oracle of tables: how it is written, and what it gives on paper.

use std::collections::BTreeMap;

/// Rows in no order: how often each is there.
pub type Table = BTreeMap<(i64, i64), usize>;

/// Where a table is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Csv,
    Parquet,
    Sqlite,
    Postgres,
    Duckdb,
}

impl Place {
    pub const ALL: [Place; 5] = [Place::Csv, Place::Parquet, Place::Sqlite, Place::Postgres, Place::Duckdb];

    pub fn is_database(self) -> bool {
        !matches!(self, Place::Csv | Place::Parquet)
    }
}

/// What a query does with the rows of all that it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    All,
    /// Those with a value above the model's number.
    Above,
    /// The sum of each key.
    Sums,
    Distinct,
    /// How many there are: most changes end here.
    Count,
}

/// How the result is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Table,
    View,
    /// New rows are added.
    Append,
    /// New rows take the place of those with their key.
    Merge,
}

/// What tells a version of something from others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Version {
    Rows(Table),
    /// A view is what it is made of.
    View(Box<Trace>),
}

/// All that a query's rows depend on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Trace {
    /// However it is set out.
    pub sql: String,
    /// Bytes of sources.
    pub files: BTreeMap<String, String>,
    pub tables: BTreeMap<String, Version>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub place: Place,
    pub kind: Kind,
    pub shape: Shape,
    /// Each publication is written down by a hook.
    pub is_logged: bool,
    pub number: i64,
    /// Names of sources and of models before it.
    pub reads: Vec<String>,
    /// Only a matter of form.
    pub spaces: usize,
}

impl Model {
    pub fn sql(&self) -> String {
        let space = " ".repeat(1 + self.spaces);
        let all: Vec<String> = self.reads.iter().map(|it| format!("select k,{space}v from {it}")).collect();
        let all = all.join(" union all ");
        let number = self.number;
        let sql = match self.kind {
            Kind::All => all,
            Kind::Above => format!("select k,{space}v from ({all}) as t where v > {number} or k = 0"),
            Kind::Sums => {
                format!("select k,{space}cast(sum(v) + {number} as bigint) as v from ({all}) as t group by k")
            }
            Kind::Distinct => format!("select distinct k,{space}{number} as v from ({all}) as t"),
            Kind::Count => format!("select {number} as k,{space}cast(count(*) as bigint) as v from ({all}) as t"),
        };
        match self.is_incremental() {
            false => sql,
            true => format!(
                "select k, v from ({sql}) as q {{% if is_incremental() %}}where k > (select min(k) as k from {{{{ this }}}}){{% endif %}}"
            ),
        }
    }

    pub fn is_incremental(&self) -> bool {
        matches!(self.shape, Shape::Append | Shape::Merge)
    }

    /// Its part of the manifest.
    pub fn table(&self) -> String {
        let place = match self.place {
            Place::Csv => "format = \"csv\"",
            Place::Parquet => "format = \"parquet\"",
            Place::Sqlite => "io = \"lite\"",
            Place::Postgres => "io = \"pg\"",
            Place::Duckdb => "io = \"duck\"",
        };
        let shape = match self.shape {
            Shape::Table => "",
            Shape::View => "materialized = \"view\"\n",
            Shape::Append => "materialized = \"incremental\"\n",
            Shape::Merge => "materialized = \"incremental\"\nunique_key = \"k\"\n",
        };
        let hook = match self.is_logged {
            true => format!("post_hook = \"insert into log values ('{}')\"\n", self.name),
            false => String::new(),
        };
        format!("[asset.{}]\nsql = '{}'\n{place}\n{shape}{hook}", self.name, self.sql())
    }

    /// What is there after it was made; `old` is what rows are added to.
    pub fn evaluate(&self, inputs: &[Table], old: Option<&Table>) -> Table {
        let given = self.given(inputs);
        let Some(old) = old.filter(|_| self.is_incremental()) else { return given };
        let least = old.keys().map(|it| it.0).min();
        let new: Table = given.into_iter().filter(|it| least.is_some_and(|least| it.0.0 > least)).collect();
        let mut table = old.clone();
        if self.shape == Shape::Merge {
            table.retain(|row, _| !new.keys().any(|it| it.0 == row.0));
        }
        for (row, count) in new {
            *table.entry(row).or_default() += count;
        }
        table
    }

    /// What the query gives when it is run over everything.
    fn given(&self, inputs: &[Table]) -> Table {
        let mut all = Table::new();
        for (row, count) in inputs.iter().flatten() {
            *all.entry(*row).or_default() += count;
        }
        let total: usize = all.values().sum();
        match self.kind {
            Kind::All => all,
            Kind::Above => all.into_iter().filter(|((k, v), _)| *v > self.number || *k == 0).collect(),
            Kind::Sums => {
                let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
                for ((k, v), count) in all {
                    *sums.entry(k).or_insert(self.number) += v * i64::try_from(count).unwrap();
                }
                sums.into_iter().map(|it| (it, 1)).collect()
            }
            Kind::Distinct => all.into_keys().map(|it| ((it.0, self.number), 1)).collect(),
            Kind::Count => Table::from([((self.number, i64::try_from(total).unwrap()), 1)]),
        }
    }
}
