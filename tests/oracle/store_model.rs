//! The small language of the oracle of stores: what an asset is, how it is written in a manifest, and what it gives on paper.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use crate::oracle::graph::Random;

/// Rows in no order: how often each is there.
pub type Rows = BTreeMap<(i64, i64), usize>;

/// Every key of every row; a table with partitions has one for each.
pub const KEYS: i64 = 4;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Table,
    View,
    /// Rows are merged into those that are there, such that all of them are always as if made at once.
    Merge,
    /// A partition for each key.
    Parts,
    /// No query: a program that reads one table as csv.
    Command,
}

/// What is done with the rows of all that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    All,
    /// Those with a value above the number, or the key 0.
    Above,
    Sums,
    /// Most changes end here.
    Count,
}

#[derive(Clone, Debug)]
pub struct Asset {
    pub name: String,
    pub place: Place,
    pub form: Form,
    pub kind: Kind,
    pub number: i64,
    /// Names of sources and of assets before it.
    pub reads: Vec<String>,
    /// Only a matter of form.
    pub spaces: usize,
}

impl Asset {
    fn query(&self) -> String {
        let (number, space) = (self.number, " ".repeat(1 + self.spaces));
        let all: Vec<String> = self.reads.iter().map(|it| format!("select k,{space}v from {it}")).collect();
        let all = all.join(" union all ");
        let sums = |of: &str| {
            format!("select k,{space}cast(sum(v) + {number} as bigint) as v from ({of}) as t where k >= 0 group by k")
        };
        match (self.form, self.kind) {
            (Form::Merge, _) => {
                let zeros: String = (0..KEYS).map(|it| format!(" union all select {it}, 0")).collect();
                let sums = sums(&format!("{all}{zeros}"));
                format!(
                    "select k, v from ({sums}) as q {{% if is_incremental() %}}where not exists (select 1 from {{{{ this }}}} as o where o.k = q.k and o.v = q.v){{% endif %}}"
                )
            }
            (Form::Parts, _) => format!(
                "select '{{{{ partition.key }}}}' as p, cast(k as bigint) as k,{space}cast(v + {number} as bigint) as v from ({all}) as t where cast(k as text) = '{{{{ partition.key }}}}'"
            ),
            (_, Kind::All) => all,
            (_, Kind::Above) => format!("select k,{space}v from ({all}) as t where v > {number} or k = 0"),
            (_, Kind::Sums) => sums(&all),
            (_, Kind::Count) => {
                format!(
                    "select {} as k,{space}cast(count(*) as bigint) as v from ({all}) as t",
                    number.rem_euclid(KEYS)
                )
            }
        }
    }

    /// Its part of the manifest.
    pub fn table(&self, sources: &BTreeSet<&str>) -> String {
        let place = match self.place {
            Place::Csv => "format = \"csv\"",
            Place::Parquet => "format = \"parquet\"",
            Place::Sqlite => "io = \"lite\"",
            Place::Postgres => "io = \"pg\"",
            Place::Duckdb => "io = \"duck\"",
        };
        let form = match self.form {
            Form::Table | Form::Command => "",
            Form::View => "materialized = \"view\"\n",
            Form::Merge => "materialized = \"incremental\"\nunique_key = \"k\"\n",
            Form::Parts => "partitions = \"part\"\npartition_column = \"p\"\n",
        };
        let made = match self.form {
            Form::Command => {
                let (read, number) = (&self.reads[0], self.number);
                let dep = match sources.contains(read.as_str()) {
                    true => format!("\"{read}\""),
                    false => format!("{{ asset = \"{read}\", format = \"csv\" }}"),
                };
                let add = format!("awk -F, -v OFS=, \"NR > 1 {{ \\$2 += {number} }} 1\"");
                // Whether it is slow is no part of what it makes.
                let slow = "if [ -e slow ]; then sleep 0.2; fi";
                format!("command = '''{slow}; {add} {{{{ inputs.{read} }}}} > {{{{ output }}}}'''\ndeps = [{dep}]")
            }
            _ => format!("sql = '''{}'''", self.query()),
        };
        format!("[asset.{}]\n{made}\n{place}\n{form}", self.name)
    }

    /// The rows that it gives of those.
    pub fn evaluate(&self, inputs: &[Rows]) -> Rows {
        let mut all = Rows::new();
        for (row, count) in inputs.iter().flatten() {
            *all.entry(*row).or_default() += count;
        }
        if self.form == Form::Merge {
            (0..KEYS).for_each(|it| *all.entry((it, 0)).or_default() += 1);
        }
        let added = |all: Rows| all.into_iter().map(|((k, v), count)| ((k, v + self.number), count)).collect();
        let kind = if self.form == Form::Merge { Kind::Sums } else { self.kind };
        match (self.form, kind) {
            (Form::Parts | Form::Command, _) => added(all),
            (_, Kind::All) => all,
            (_, Kind::Above) => all.into_iter().filter(|((k, v), _)| *v > self.number || *k == 0).collect(),
            (_, Kind::Sums) => {
                let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
                for ((k, v), count) in all {
                    *sums.entry(k).or_insert(self.number) += v * i64::try_from(count).unwrap();
                }
                sums.into_iter().map(|it| (it, 1)).collect()
            }
            (_, Kind::Count) => {
                let total: usize = all.values().sum();
                Rows::from([((self.number.rem_euclid(KEYS), i64::try_from(total).unwrap()), 1)])
            }
        }
    }
}

/// All that a project is made of.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub sources: BTreeMap<String, Vec<(i64, i64)>>,
    /// What is read comes before what reads it.
    pub assets: Vec<Asset>,
}

impl Graph {
    pub fn random(random: &mut Random) -> Graph {
        let mut graph = Graph::default();
        for index in 0..1 + random.below(2) {
            graph.sources.insert(format!("s{index}"), vec![(1, 1), (2, 2)]);
        }
        let databases = [Place::Sqlite, Place::Postgres, Place::Duckdb];
        let mut places = vec![*random.pick(&databases)];
        places.extend((0..random.below(3)).map(|_| *random.pick(&Place::ALL)));
        for index in 0..4 + random.below(5) {
            let mut it = Asset {
                name: format!("a{index}"),
                place: *random.pick(&places),
                form: *random.pick(&[
                    Form::Table,
                    Form::Table,
                    Form::View,
                    Form::View,
                    Form::View,
                    Form::Merge,
                    Form::Parts,
                    Form::Command,
                ]),
                kind: *random.pick(&[Kind::All, Kind::All, Kind::Above, Kind::Sums, Kind::Count]),
                number: random.below(4) as i64,
                reads: graph.some(random),
                spaces: 0,
            };
            if it.form == Form::View {
                it.reads = graph.some_at(random, it.place);
            }
            if it.form == Form::Command {
                it.reads.truncate(1);
            }
            graph.assets.push(it);
            if !graph.fits() {
                let it = graph.assets.last_mut().expect("one was pushed");
                it.form = Form::Table;
                if it.reads.is_empty() {
                    it.reads.push("s0".to_owned());
                }
            }
        }
        graph
    }

    fn some(&self, random: &mut Random) -> Vec<String> {
        let assets = self.assets.iter().map(|it| it.name.clone());
        let twice = assets.clone().chain(assets.clone());
        let known: Vec<String> = self.sources.keys().cloned().chain(twice).chain(assets).collect();
        let all: BTreeSet<String> = (0..1 + random.below(3)).map(|_| random.pick(&known).clone()).collect();
        all.into_iter().collect()
    }

    fn some_at(&self, random: &mut Random, place: Place) -> Vec<String> {
        let there: Vec<&Asset> = self.assets.iter().filter(|it| it.place == place).collect();
        if there.is_empty() {
            return Vec::new();
        }
        let all: BTreeSet<String> = (0..1 + random.below(2)).map(|_| random.pick(&there).name.clone()).collect();
        all.into_iter().collect()
    }

    /// Whether everything can be made in the way that it is to be made.
    pub fn fits(&self) -> bool {
        self.assets.iter().all(|it| {
            let read = |name: &String| self.assets.iter().find(|it| it.name == *name);
            let is_beside = |name: &String| read(name).is_some_and(|read| read.place == it.place);
            let is_plain = |name: &String| read(name).is_none_or(|read| read.form != Form::Parts);
            !it.reads.is_empty()
                && match it.form {
                    Form::Table | Form::Merge => true,
                    Form::View => it.place.is_database() && it.reads.iter().all(is_beside),
                    Form::Parts => it.place.is_database(),
                    Form::Command => it.place != Place::Parquet && it.reads.len() == 1 && it.reads.iter().all(is_plain),
                }
        })
    }

    pub fn manifest(&self) -> String {
        let mut text = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.lite]
type = "sqlite"
path = "shop.sqlite"
[io.pg]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
[io.duck]
type = "duckdb"
path = "shop.duckdb"
[partitions.part]
type = "static"
keys = ["0", "1", "2", "3"]
"#
        .to_owned();
        for name in self.sources.keys() {
            let _ = writeln!(text, "[source.{name}]\nfiles = [\"raw/{name}.csv\"]");
        }
        let sources = self.sources.keys().map(String::as_str).collect();
        for it in &self.assets {
            text += &it.table(&sources);
        }
        text
    }

    /// Every table has a row with the key 0, so none is empty and without types.
    pub fn source_text(&self, name: &str) -> String {
        let rows: String = self.sources[name].iter().map(|(k, v)| format!("{k},{v}\n")).collect();
        format!("k,v\n0,0\n{rows}")
    }

    /// What everything would hold if it were made from scratch now.
    pub fn made_from_scratch(&self) -> BTreeMap<String, Rows> {
        let mut all = BTreeMap::new();
        for (name, rows) in &self.sources {
            let mut table = Rows::from([((0, 0), 1)]);
            rows.iter().for_each(|it| *table.entry(*it).or_default() += 1);
            all.insert(name.clone(), table);
        }
        for it in &self.assets {
            let inputs: Vec<Rows> = it.reads.iter().map(|it| all[it].clone()).collect();
            all.insert(it.name.clone(), it.evaluate(&inputs));
        }
        all
    }

    pub fn asset(&self, name: &str) -> &Asset {
        self.assets.iter().find(|it| it.name == name).expect("it is an asset")
    }

    /// Assets that it is made from, however far up.
    pub fn upstream(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left = vec![name.to_owned()];
        while let Some(name) = left.pop() {
            for read in self.asset(&name).reads.iter().filter(|it| !self.sources.contains_key(*it)) {
                if found.insert(read.clone()) {
                    left.push(read.clone());
                }
            }
        }
        found
    }

    /// The same, by their places.
    pub fn above(&self, at: usize) -> Vec<usize> {
        let all = self.upstream(&self.assets[at].name);
        (0..at).filter(|it| all.contains(&self.assets[*it].name)).collect()
    }

    /// Tables of views, by their places.
    pub fn that_read_views(&self) -> Vec<usize> {
        let is_view = |name: &String| self.assets.iter().any(|it| it.name == *name && it.form == Form::View);
        let all = 0..self.assets.len();
        all.filter(|it| self.assets[*it].form != Form::View && self.assets[*it].reads.iter().any(is_view)).collect()
    }

    /// What `-s` means.
    pub fn selected(&self, terms: &[String]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for term in terms {
            let name = term.trim_matches('+').to_owned();
            if term.starts_with('+') {
                found.extend(self.upstream(&name));
            }
            if term.ends_with('+') {
                let below = |it: &&Asset| self.upstream(&it.name).contains(&name);
                found.extend(self.assets.iter().filter(below).map(|it| it.name.clone()));
            }
            found.insert(name);
        }
        found
    }
}
