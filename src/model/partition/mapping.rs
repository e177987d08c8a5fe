//! Which partitions of one asset are made from which of another.
//!
//! "Upstream" is the asset that is read, "downstream" the one that reads it. A mapping is declared
//! once and tried against the keys of both; what comes of it, [`Related`], answers in both directions
//! and works on ranges: a year of days is one step, as one day is.

use std::{collections::HashMap, sync::Arc};

use crate::base::suggest;

use super::{Keys, Names, PartitionSet, keys::MultiKeys, product, time::TimeKeys};

/// How partitions of an upstream belong to those of a downstream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Mapping {
    /// What two definitions have in common: windows that overlap, keys of the same name, dimensions of
    /// the same name; everything, where one of the two has no partitions.
    #[default]
    Natural,
    /// Each partition is made from the one with the same window or name.
    Identity,
    /// Each is made from all.
    All,
    /// Each is made from the last one that there is.
    Last,
    /// Each is made from the windows that overlap its own, and these ends moved by so many windows
    /// of the upstream: -1 and -1 is the one before, -6 and 0 the last seven.
    Window { from: i64, to: i64 },
    /// For each key of the downstream, those of the upstream.
    Table(Arc<[TableRow]>),
    /// Dimension by dimension. Those of the upstream that are not named are taken whole, and those of
    /// the downstream do not matter.
    Dimensions(Arc<[DimensionMapping]>),
    /// What any of these says.
    Union(Arc<[Mapping]>),
}

/// What one key of the downstream is made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableRow {
    pub downstream: Arc<str>,
    pub upstream: Vec<Arc<str>>,
}

/// One dimension of the upstream and one of the downstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DimensionMapping {
    /// `None` if that side has no dimensions: all of it.
    pub upstream: Option<Arc<str>>,
    pub downstream: Option<Arc<str>>,
    pub mapping: Mapping,
}

/// Why a mapping cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CannotMap {
    /// One sentence, lower case.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// The partitions of two assets, and how they belong together.
#[derive(Clone, Debug)]
pub struct Related {
    upstream: u64,
    downstream: u64,
    relation: Relation,
}

#[derive(Clone, Debug)]
enum Relation {
    All,
    Last,
    /// Windows of one cadence: each place is made from those `from..=to` places on.
    Shift {
        from: i64,
        to: i64,
    },
    /// Windows of different cadences.
    Overlap(Box<Overlap>),
    /// By place: those of the upstream for each of the downstream, and the other way round.
    Listed {
        upstream: Arc<[PartitionSet]>,
        downstream: Arc<[PartitionSet]>,
    },
    Dimensions(Box<Dimensions>),
    Union(Vec<Related>),
}

#[derive(Clone, Debug)]
struct Overlap {
    upstream: TimeKeys,
    downstream: TimeKeys,
    from: i64,
    to: i64,
}

#[derive(Clone, Debug)]
struct Dimensions {
    upstream: Vec<u64>,
    downstream: Vec<u64>,
    /// A dimension of the upstream, one of the downstream, and how they belong together. Each at most
    /// once on each side.
    pairs: Vec<(usize, usize, Related)>,
}

impl Related {
    /// Each of the downstream is made from all of the upstream.
    pub fn all(upstream: &Keys, downstream: &Keys) -> Related {
        Related { upstream: upstream.count(), downstream: downstream.count(), relation: Relation::All }
    }

    /// The partitions that are read to make these.
    pub fn upstream(&self, of: &PartitionSet) -> PartitionSet {
        let all = PartitionSet::range(0..self.upstream);
        let of = of.intersection(&PartitionSet::range(0..self.downstream));
        if of.is_empty() {
            return PartitionSet::empty();
        }
        let found = match &self.relation {
            Relation::All => return all,
            Relation::Last => PartitionSet::range(self.upstream.saturating_sub(1)..self.upstream),
            Relation::Shift { from, to } => moved(&of, *from, *to),
            Relation::Overlap(it) => it.upstream(&of),
            Relation::Listed { upstream, .. } => listed(&of, upstream),
            Relation::Dimensions(it) => it.upstream(&of),
            Relation::Union(them) => them.iter().fold(PartitionSet::empty(), |all, it| all.union(&it.upstream(&of))),
        };
        found.intersection(&all)
    }

    /// Whether each is made from one or none, whichever keys there are: a command that gets a folder when
    /// there are two keys must get one on the day when there is only the first.
    pub fn is_of_one(&self) -> bool {
        match &self.relation {
            Relation::All => false,
            Relation::Last => true,
            Relation::Shift { from, to } => from == to,
            Relation::Overlap(_) | Relation::Union(_) => false,
            Relation::Listed { upstream, .. } => upstream.iter().all(|it| it.count() <= 1),
            Relation::Dimensions(it) => {
                let paired = |at: usize| it.pairs.iter().any(|(up, _, related)| *up == at && related.is_of_one());
                (0..it.upstream.len()).all(paired)
            }
        }
    }

    /// The partitions that are made from any of these.
    pub fn downstream(&self, of: &PartitionSet) -> PartitionSet {
        let all = PartitionSet::range(0..self.downstream);
        let of = of.intersection(&PartitionSet::range(0..self.upstream));
        if of.is_empty() {
            return PartitionSet::empty();
        }
        let found = match &self.relation {
            Relation::All => return all,
            Relation::Last if of.contains(self.upstream - 1) => return all,
            Relation::Last => PartitionSet::empty(),
            Relation::Shift { from, to } => moved(&of, -to, -from),
            Relation::Overlap(it) => it.downstream(&of),
            Relation::Listed { downstream, .. } => listed(&of, downstream),
            Relation::Dimensions(it) => it.downstream(&of),
            Relation::Union(them) => them.iter().fold(PartitionSet::empty(), |all, it| all.union(&it.downstream(&of))),
        };
        found.intersection(&all)
    }
}

/// For each place those from `from` to `to` places on; what would be before the first is left out.
fn moved(set: &PartitionSet, from: i64, to: i64) -> PartitionSet {
    let end = to.saturating_add(1);
    let ranges =
        set.ranges().iter().map(|it| it.start.saturating_add_signed(from)..(it.end - 1).saturating_add_signed(end));
    PartitionSet::of(ranges)
}

fn listed(set: &PartitionSet, table: &[PartitionSet]) -> PartitionSet {
    let found = set.iter().filter_map(|it| table.get(usize::try_from(it).ok()?));
    PartitionSet::of(found.flat_map(|it| it.ranges().iter().cloned()))
}

impl Overlap {
    fn upstream(&self, of: &PartitionSet) -> PartitionSet {
        overlapping(of, &self.downstream, (0, 0), &self.upstream, (self.from, self.to))
    }

    fn downstream(&self, of: &PartitionSet) -> PartitionSet {
        overlapping(of, &self.upstream, (-self.to, -self.from), &self.downstream, (0, 0))
    }
}

/// The windows of `there` that overlap those of `set` in `here`, each side's ends moved first or after.
fn overlapping(
    set: &PartitionSet,
    here: &TimeKeys,
    before: (i64, i64),
    there: &TimeKeys,
    after: (i64, i64),
) -> PartitionSet {
    let place = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let ranges = set.ranges().iter().filter_map(|range| {
        let start = here.start(place(range.start).saturating_add(before.0));
        let end = here.start(place(range.end).saturating_add(before.1));
        // A day that a zone has skipped overlaps nothing.
        if start >= end {
            return None;
        }
        let first = there.holding(start).saturating_add(after.0);
        let last = there.holding(end - 1).saturating_add(after.1);
        let at = |it: i64| u64::try_from(it).unwrap_or(0);
        Some(at(first)..at(last.saturating_add(1)))
    });
    PartitionSet::of(ranges)
}

impl Dimensions {
    fn upstream(&self, of: &PartitionSet) -> PartitionSet {
        self.across(of, &self.downstream, &self.upstream, |(up, down, it), product| (*up, it.upstream(&product[*down])))
    }

    fn downstream(&self, of: &PartitionSet) -> PartitionSet {
        self.across(of, &self.upstream, &self.downstream, |(up, down, it), product| {
            (*down, it.downstream(&product[*up]))
        })
    }

    fn across(
        &self,
        of: &PartitionSet,
        here: &[u64],
        there: &[u64],
        image: impl Fn(&(usize, usize, Related), &product::Product) -> (usize, PartitionSet),
    ) -> PartitionSet {
        let images = product::products(of, here).into_iter().map(|product| {
            let mut found: Vec<PartitionSet> = there.iter().map(|it| PartitionSet::range(0..*it)).collect();
            for (dimension, set) in self.pairs.iter().map(|it| image(it, &product)) {
                found[dimension] = set;
            }
            product::combined(&found, there)
        });
        images.fold(PartitionSet::empty(), |all, it| all.union(&it))
    }
}

impl Mapping {
    /// Tries the mapping on the keys of both sides.
    pub fn relate(&self, upstream: &Keys, downstream: &Keys) -> Result<Related, CannotMap> {
        let relation = match self {
            Mapping::Natural => natural(upstream, downstream)?,
            Mapping::Identity => identity(upstream, downstream)?,
            Mapping::All => Relation::All,
            Mapping::Last => last(upstream)?,
            Mapping::Window { from, to } => window(*from, *to, upstream, downstream)?,
            Mapping::Table(table) => by_table(table, upstream, downstream)?,
            Mapping::Dimensions(them) => dimensions(them, upstream, downstream)?,
            Mapping::Union(them) => {
                let each = them.iter().map(|it| it.relate(upstream, downstream));
                Relation::Union(each.collect::<Result<_, _>>()?)
            }
        };
        Ok(Related { upstream: upstream.count(), downstream: downstream.count(), relation })
    }
}

fn natural(upstream: &Keys, downstream: &Keys) -> Result<Relation, CannotMap> {
    match (upstream, downstream) {
        (Keys::Whole, _) | (_, Keys::Whole) => Ok(Relation::All),
        (Keys::Time(up), Keys::Time(down)) => overlap(0, 0, up, down),
        (Keys::Names(up), Keys::Names(down)) => same_names(up, down),
        (Keys::Multi(up), Keys::Multi(down)) => {
            let names = |of: &MultiKeys| of.dimensions().iter().map(|it| it.0.clone()).collect::<Vec<_>>();
            let of_both = names(up).into_iter().filter(|it| names(down).contains(it));
            let pairs: Vec<DimensionMapping> = of_both.map(|it| pair(Some(&it), Some(&it))).collect();
            if pairs.is_empty() {
                let help = "say which belong together: mapping by dimension, or all";
                return Err(cannot("the two have no dimension of the same name", help));
            }
            dimensions(&pairs, upstream, downstream)
        }
        (Keys::Multi(up), _) => {
            dimensions(&[pair(Some(&only(up, |it| natural(it, downstream))?), None)], upstream, downstream)
        }
        (_, Keys::Multi(down)) => {
            dimensions(&[pair(None, Some(&only(down, |it| natural(upstream, it))?))], upstream, downstream)
        }
        (Keys::Time(_), Keys::Names(_)) | (Keys::Names(_), Keys::Time(_)) => Err(cannot(
            "windows of time and listed keys have nothing in common",
            "say what belongs together: all, last, or a table",
        )),
    }
}

fn pair(upstream: Option<&Arc<str>>, downstream: Option<&Arc<str>>) -> DimensionMapping {
    DimensionMapping { upstream: upstream.cloned(), downstream: downstream.cloned(), mapping: Mapping::Natural }
}

/// The one dimension for which there is a relation.
fn only(of: &MultiKeys, relation: impl Fn(&Keys) -> Result<Relation, CannotMap>) -> Result<Arc<str>, CannotMap> {
    let fitting: Vec<&Arc<str>> = of.dimensions().iter().filter(|it| relation(&it.1).is_ok()).map(|it| &it.0).collect();
    match fitting[..] {
        [one] => Ok(one.clone()),
        [] => {
            Err(cannot("no dimension has anything in common with the other side", "say what belongs together, or all"))
        }
        _ => {
            let names: Vec<&str> = fitting.iter().map(|it| &***it).collect();
            let told = format!("more than one dimension could be meant: `{}`", names.join("`, `"));
            Err(cannot(told, "say which dimension"))
        }
    }
}

fn identity(upstream: &Keys, downstream: &Keys) -> Result<Relation, CannotMap> {
    match (upstream, downstream) {
        (Keys::Whole, Keys::Whole) => Ok(Relation::All),
        (Keys::Time(up), Keys::Time(down)) if up.definition().same_windows(down.definition()) => {
            overlap(0, 0, up, down)
        }
        (Keys::Time(_), Keys::Time(_)) => Err(cannot(
            "identity needs windows that are the same on both sides",
            "leave it out: windows that overlap belong together",
        )),
        (Keys::Names(up), Keys::Names(down)) => same_names(up, down),
        (Keys::Multi(up), Keys::Multi(down)) => {
            let all = up
                .dimensions()
                .iter()
                .map(|(name, _)| DimensionMapping { mapping: Mapping::Identity, ..pair(Some(name), Some(name)) });
            let all: Vec<DimensionMapping> = all.collect();
            if all.len() != down.dimensions().len() {
                return Err(cannot("identity needs the same dimensions on both sides", "say which belong together"));
            }
            dimensions(&all, upstream, downstream)
        }
        _ => Err(cannot(
            format!("identity cannot be between {} and {}", kind(upstream), kind(downstream)),
            "take it out",
        )),
    }
}

fn last(upstream: &Keys) -> Result<Relation, CannotMap> {
    match upstream {
        Keys::Whole => Ok(Relation::All),
        Keys::Time(_) | Keys::Names(_) => Ok(Relation::Last),
        Keys::Multi(_) => Err(cannot("partitions of several dimensions have no last one", "say of which dimension")),
    }
}

/// More windows than this no asset is made from; it keeps sums far from where numbers end.
const MOVED_MAX: i64 = 1_000_000;

fn window(from: i64, to: i64, upstream: &Keys, downstream: &Keys) -> Result<Relation, CannotMap> {
    let (Keys::Time(up), Keys::Time(down)) = (upstream, downstream) else {
        let told = format!("windows cannot be moved between {} and {}", kind(upstream), kind(downstream));
        return Err(cannot(told, "offset and window are for partitions by time"));
    };
    if from > to {
        return Err(cannot(
            format!("a window from {from} to {to} ends before it begins"),
            "as in -6 to 0: the last seven",
        ));
    }
    let most = MOVED_MAX.min(up.reach());
    if from < -most || to > most {
        return Err(cannot(
            format!("a window from {from} to {to} reaches too far"),
            format!("at most {most} either way"),
        ));
    }
    overlap(from, to, up, down)
}

fn overlap(from: i64, to: i64, up: &TimeKeys, down: &TimeKeys) -> Result<Relation, CannotMap> {
    if up.definition().same_windows(down.definition()) {
        let shift = up.place_of_first(down);
        return Ok(Relation::Shift { from: shift + from, to: shift + to });
    }
    Ok(Relation::Overlap(Box::new(Overlap { upstream: up.clone(), downstream: down.clone(), from, to })))
}

fn same_names(up: &Names, down: &Names) -> Result<Relation, CannotMap> {
    if up == down {
        return Ok(Relation::Shift { from: 0, to: 0 });
    }
    let place = |it: &str| up.place(it).map_or_else(PartitionSet::empty, |it| PartitionSet::one(it as u64));
    let upstream: Vec<PartitionSet> = down.iter().map(place).collect();
    if !up.is_empty() && !down.is_empty() && upstream.iter().all(PartitionSet::is_empty) {
        return Err(cannot("the two have no key in common", "say what belongs together: all, last, or a table"));
    }
    Ok(table_of(upstream, up.len()))
}

fn table_of(upstream: Vec<PartitionSet>, count: usize) -> Relation {
    let mut turned: Vec<Vec<u64>> = vec![Vec::new(); count];
    for (place, set) in upstream.iter().enumerate() {
        for of in set.iter().filter_map(|it| usize::try_from(it).ok()) {
            turned[of].push(place as u64);
        }
    }
    let downstream: Vec<PartitionSet> = turned.into_iter().map(PartitionSet::from_iter).collect();
    Relation::Listed { upstream: upstream.into(), downstream: downstream.into() }
}

fn by_table(table: &[TableRow], upstream: &Keys, downstream: &Keys) -> Result<Relation, CannotMap> {
    let (Keys::Names(up), Keys::Names(down)) = (upstream, downstream) else {
        let told = format!("a table cannot be between {} and {}", kind(upstream), kind(downstream));
        return Err(cannot(told, "it is for static and dynamic partitions on both sides"));
    };
    let rows: HashMap<&str, &[Arc<str>]> = table.iter().map(|it| (&*it.downstream, &*it.upstream)).collect();
    let unknown = |name: &str, side: &str, names: &Names| {
        let near = suggest::nearest(name, names.iter().take(COMPARED_MAX)).map(|it| format!("did you mean `{it}`?"));
        CannotMap { message: format!("the table names `{name}`, which is no partition of the {side}"), help: near }
    };
    if let Some(row) = table.iter().find(|it| down.place(&it.downstream).is_none()) {
        return Err(unknown(&row.downstream, "downstream", down));
    }
    let mut places = Vec::with_capacity(down.len());
    for key in down.iter() {
        let Some(of) = rows.get(key) else {
            return Err(cannot(
                format!("the table does not say what `{key}` is made from"),
                format!("if from nothing: {key} = []"),
            ));
        };
        let each = of.iter().map(|it| up.place(it).map(|it| it as u64).ok_or_else(|| unknown(it, "upstream", up)));
        places.push(each.collect::<Result<PartitionSet, _>>()?);
    }
    Ok(table_of(places, up.len()))
}

/// As many names as are compared to find the one that was meant.
const COMPARED_MAX: usize = 10_000;

fn dimensions(them: &[DimensionMapping], upstream: &Keys, downstream: &Keys) -> Result<Relation, CannotMap> {
    let (up, down) = (parts(upstream), parts(downstream));
    let mut pairs: Vec<(usize, usize, Related)> = Vec::with_capacity(them.len());
    for it in them {
        let from = dimension(&up, it.upstream.as_ref(), "upstream")?;
        let to = dimension(&down, it.downstream.as_ref(), "downstream")?;
        if pairs.iter().any(|it| it.0 == from || it.1 == to) {
            return Err(cannot("a dimension is mapped twice", "each belongs to one of the other side at most"));
        }
        let related = it.mapping.relate(&up[from].1, &down[to].1).map_err(|why| {
            let names = [&it.upstream, &it.downstream].map(|it| it.as_deref().unwrap_or("all"));
            CannotMap { message: format!("`{}` and `{}`: {}", names[0], names[1], why.message), ..why }
        })?;
        pairs.push((from, to, related));
    }
    let sizes = |of: &[(Option<Arc<str>>, Keys)]| of.iter().map(|it| it.1.count()).collect::<Vec<_>>();
    Ok(Relation::Dimensions(Box::new(Dimensions { upstream: sizes(&up), downstream: sizes(&down), pairs })))
}

/// The dimensions of one side; a side without any is one without a name.
fn parts(of: &Keys) -> Vec<(Option<Arc<str>>, Keys)> {
    match of {
        Keys::Multi(it) => it.dimensions().iter().map(|(name, keys)| (Some(name.clone()), keys.clone())).collect(),
        _ => vec![(None, of.clone())],
    }
}

fn dimension(of: &[(Option<Arc<str>>, Keys)], name: Option<&Arc<str>>, side: &str) -> Result<usize, CannotMap> {
    let found = of.iter().position(|it| it.0.as_ref() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = of.iter().filter_map(|it| it.0.as_deref()).collect();
        match name {
            Some(name) if names.is_empty() => {
                cannot(format!("the {side} has no dimension `{name}`: it has none"), "take it out")
            }
            Some(name) => {
                cannot(format!("the {side} has no dimension `{name}`"), format!("there is `{}`", names.join("`, `")))
            }
            None => cannot(
                format!("it is not said which dimension of the {side} is meant"),
                format!("one of `{}`", names.join("`, `")),
            ),
        }
    })
}

fn kind(of: &Keys) -> &'static str {
    match of {
        Keys::Whole => "no partitions",
        Keys::Time(_) => "windows of time",
        Keys::Names(_) => "listed keys",
        Keys::Multi(_) => "several dimensions",
    }
}

fn cannot(message: impl Into<String>, help: impl Into<String>) -> CannotMap {
    CannotMap { message: message.into(), help: Some(help.into()) }
}

#[cfg(test)]
mod tests;
