//! The identity of a table's content: its columns, how many rows it has, and the sum of the hashes of all
//! rows.
//!
//! The sum (modulo 2^128) does not depend on the order of rows, and unlike an exclusive or it does not lose
//! rows that are there twice. It is of values, not of how an engine keeps them: see [`columns`](super::columns).
//!
//! A row is hashed by XXH3, which is made for chance and not for malice: whoever can choose rows can choose what they
//! are told to be anyway. A hash that withstands that costs as much as everything else that is done to a row.

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
};

use arrow::{
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    base::digest::Digest,
    exec::table::{Rows, TableError, columns::Column},
};

const CONTEXT: &str = "assets table 3";
/// More rows than these are worth a thread.
const ROWS_OF_ONE: u64 = 20_000;
/// Beyond that whoever gives the rows is what is waited for.
const THREADS_MAX: usize = 8;

/// What a table is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableVersion {
    pub digest: Digest,
    pub rows: u64,
    /// Of all values as they are hashed.
    pub bytes: u64,
}

/// A table's identity, as far as it was read.
pub struct TableDigest {
    schema: Vec<u8>,
    sum: u128,
    rows: u64,
    bytes: u64,
    row: Vec<u8>,
}

impl TableDigest {
    /// # Errors
    /// A column of a type that has no identity.
    pub fn new(schema: &Schema) -> Result<Self, TableError> {
        let mut bytes = Vec::new();
        for field in schema.fields() {
            write_bytes(&mut bytes, field.name().as_bytes());
            write_bytes(&mut bytes, super::columns::kind(field.data_type())?.as_bytes());
        }
        Ok(TableDigest { schema: bytes, sum: 0, rows: 0, bytes: 0, row: Vec::new() })
    }

    /// Of all that `rows` gives; if that is much, on several threads.
    ///
    /// # Errors
    /// Rows that cannot be read, and as [`new`](Self::new).
    pub fn of(mut rows: Rows) -> Result<TableVersion, TableError> {
        let mut digest = TableDigest::new(&rows.schema())?;
        while digest.rows < ROWS_OF_ONE {
            match rows.next() {
                Some(batch) => digest.add(&batch?)?,
                None => return Ok(digest.finish()),
            }
        }
        let schema = rows.schema();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let rows = Mutex::new(Some(rows));
        let next = || {
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = rows.as_mut().and_then(Iterator::next);
            // Each thread comes to the end, and a driver is asked beyond it by nobody.
            if !matches!(batch, Some(Ok(_))) {
                *rows = None;
            }
            batch
        };
        let work = || {
            let mut part = TableDigest::new(&schema)?;
            while let Some(batch) = next() {
                part.add(&batch?)?;
            }
            Ok(part)
        };
        let parts: Vec<Result<TableDigest, TableError>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let joined = others.into_iter().map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
            std::iter::once(own).chain(joined).collect()
        });
        for part in parts {
            digest.merge(&part?);
        }
        Ok(digest.finish())
    }

    /// Of one part of a table. The types of columns are those of the other parts, so they tell nothing of one that has
    /// no rows.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_part(rows: Rows) -> Result<TableVersion, TableError> {
        let schema = rows.schema();
        let found = TableDigest::of(rows)?;
        if found.rows > 0 {
            return Ok(found);
        }
        let untyped: Vec<Field> =
            schema.fields().iter().map(|it| Field::new(it.name(), DataType::Utf8, true)).collect();
        Ok(TableDigest::new(&Schema::new(untyped))?.finish())
    }

    /// With the rows of another part of the same table.
    fn merge(&mut self, other: &TableDigest) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.rows += other.rows;
        self.bytes += other.bytes;
    }

    /// # Errors
    /// As [`new`](Self::new).
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let columns = batch.columns().iter().map(Column::of).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            self.row.clear();
            columns.iter().for_each(|it| it.write(row, &mut self.row));
            self.bytes += self.row.len() as u64;
            self.sum = self.sum.wrapping_add(xxh3_128(&self.row));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    pub fn finish(self) -> TableVersion {
        let mut form = self.schema;
        form.push(0xff);
        form.extend_from_slice(&self.rows.to_le_bytes());
        form.extend_from_slice(&self.sum.to_le_bytes());
        TableVersion { digest: Digest::derive(CONTEXT, &form), rows: self.rows, bytes: self.bytes }
    }
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
            Int32Array, Int64Array, LargeStringArray, ListArray, StringArray, StringViewArray,
            TimestampMicrosecondArray, TimestampSecondArray, UInt8Array, UInt64Array,
        },
        datatypes::{Int8Type, Int32Type},
        record_batch::RecordBatchIterator,
    };

    use super::*;

    fn version(columns: &[(&str, ArrayRef)]) -> TableVersion {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        let schema = batch.schema();
        TableDigest::of(Box::new(RecordBatchIterator::new([Ok(batch)], schema))).unwrap()
    }

    fn one(array: impl arrow::array::Array + 'static) -> Digest {
        version(&[("a", Arc::new(array))]).digest
    }

    #[test]
    fn order_of_rows_does_not_count_and_everything_else_does() {
        let ints = |it: &[i64]| Arc::new(Int64Array::from(it.to_vec())) as ArrayRef;
        let texts = |it: &[&str]| Arc::new(StringArray::from(it.to_vec())) as ArrayRef;
        let base = version(&[("a", ints(&[1, 2, 2])), ("b", texts(&["x", "y", "y"]))]);
        assert_eq!(base, version(&[("a", ints(&[2, 1, 2])), ("b", texts(&["y", "x", "y"]))]));
        assert_eq!(base.rows, 3);
        for other in [
            version(&[("a", ints(&[1, 2])), ("b", texts(&["x", "y"]))]),
            version(&[("a", ints(&[1, 2, 2, 2, 2])), ("b", texts(&["x", "y", "y", "y", "y"]))]),
            version(&[("a", ints(&[1, 2, 2])), ("c", texts(&["x", "y", "y"]))]),
            version(&[("b", texts(&["x", "y", "y"])), ("a", ints(&[1, 2, 2]))]),
            version(&[("a", ints(&[2, 1, 2])), ("b", texts(&["x", "y", "y"]))]),
            version(&[("a", texts(&["1", "2", "2"])), ("b", texts(&["x", "y", "y"]))]),
        ] {
            assert_ne!(base.digest, other.digest);
        }
        // Where one value ends and the next begins.
        assert_ne!(
            version(&[("a", texts(&["ab"])), ("b", texts(&["c"]))]),
            version(&[("a", texts(&["a"])), ("b", texts(&["bc"]))])
        );
    }

    #[test]
    fn how_an_engine_keeps_a_value_does_not_count() {
        let int = one(Int64Array::from(vec![1, 2]));
        assert_eq!(int, one(Int32Array::from(vec![1, 2])));
        assert_eq!(int, one(UInt8Array::from(vec![1, 2])));
        assert_eq!(int, one(UInt64Array::from(vec![1, 2])));
        let text = one(StringArray::from(vec!["x", "é"]));
        assert_eq!(text, one(LargeStringArray::from(vec!["x", "é"])));
        assert_eq!(text, one(StringViewArray::from(vec!["x", "é"])));
        assert_eq!(text, one(["x", "é"].into_iter().collect::<DictionaryArray<Int8Type>>()));
        assert_eq!(one(Float64Array::from(vec![0.5])), one(Float32Array::from(vec![0.5])));
        assert_eq!(one(TimestampSecondArray::from(vec![7])), one(TimestampMicrosecondArray::from(vec![7_000_000])));
        assert_eq!(
            one(TimestampSecondArray::from(vec![7]).with_timezone("UTC")),
            one(TimestampSecondArray::from(vec![7]).with_timezone("+00:00"))
        );
    }

    #[test]
    fn values_that_look_alike_are_told_apart() {
        let all = [
            one(Int64Array::from(vec![None])),
            one(Int64Array::from(vec![0])),
            one(UInt64Array::from(vec![u64::MAX])),
            one(Int64Array::from(vec![-1])),
            one(StringArray::from(vec![None::<&str>])),
            one(StringArray::from(vec![""])),
            one(StringArray::from(vec!["0"])),
            one(arrow::array::BinaryArray::from(vec![&b""[..]])),
            one(Float64Array::from(vec![0.0])),
            one(Float64Array::from(vec![-0.0])),
            one(Float64Array::from(vec![f64::NAN])),
            one(Float64Array::from(vec![f64::INFINITY])),
            one(BooleanArray::from(vec![false])),
            one(Date32Array::from(vec![0])),
            one(TimestampSecondArray::from(vec![0])),
            one(TimestampSecondArray::from(vec![0]).with_timezone("UTC")),
            one(TimestampSecondArray::from(vec![0]).with_timezone("Asia/Seoul")),
            one(Decimal128Array::from(vec![0]).with_precision_and_scale(10, 0).unwrap()),
            one(Decimal128Array::from(vec![0]).with_precision_and_scale(10, 2).unwrap()),
            one(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(0)])])),
            one(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(Vec::<Option<i32>>::new())])),
            one(ListArray::from_iter_primitive::<Int32Type, _, _>([None::<Vec<Option<i32>>>])),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|it| it == one), Some(at));
        }
    }

    #[test]
    fn threads_do_not_count() {
        let batches = |size: usize| {
            let ints: Vec<i64> = (0..100_000).map(|it| it * it % 7919).collect();
            let batches: Vec<_> = ints
                .chunks(size)
                .map(|it| RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(it.to_vec())) as ArrayRef)]))
                .collect();
            let schema = batches[0].as_ref().unwrap().schema();
            Box::new(RecordBatchIterator::new(batches, schema)) as Rows
        };
        let mut one = TableDigest::new(&batches(1).schema()).unwrap();
        batches(100_000).for_each(|it| one.add(&it.unwrap()).unwrap());
        let one = one.finish();
        assert_eq!(one.rows, 100_000);
        for size in [1_000, 30_000, 100_000] {
            assert_eq!(TableDigest::of(batches(size)).unwrap(), one);
        }
        let broken = vec![Err(arrow::error::ArrowError::DivideByZero)];
        let schema = batches(1).schema();
        let rows = batches(1_000).chain(broken).collect::<Vec<_>>();
        assert!(TableDigest::of(Box::new(RecordBatchIterator::new(rows, schema))).is_err());
    }

    #[test]
    fn it_stays_what_it_is() {
        // A change here makes every recorded table stale: raise the numbers of the contexts with it.
        let texts = Arc::new(StringArray::from(vec![Some("x"), None])) as ArrayRef;
        let found = version(&[("a", Arc::new(Int64Array::from(vec![1, 2]))), ("b", texts)]);
        expect_test::expect!["blake3:ee56712afe9db6266cd0ed485819b1cbb6a2446eab1e63337ace7fde862d2020"]
            .assert_eq(&found.digest.to_string());
    }
}
