//! The one row about all others: counters, where the journal stands, and sums of checks, by which a
//! row that is gone or there twice is noticed.

use rusqlite::Connection;

use super::{seal, trouble::Trouble};
use crate::plan::store::{
    encode::{self, Coded, Malformed, Reader},
    journal::JournalName,
};

/// A smaller journal is never written anew: 1 MB.
const COMPACTED_MIN: u64 = 1024 * 1024;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// As `user_version`; said twice, so that damage to one is not taken for a newer version.
    pub version: u64,
    /// Change lists that went to the journal, ever.
    pub sequence: u64,
    /// The last number given to a row.
    pub counter: u64,
    pub generation: u64,
    pub journal: JournalName,
    /// How long the journal is once every commit has reached it.
    pub journal_bytes: u64,
    /// How long the journal was when it was last written anew.
    pub compacted_bytes: u64,
    pub latest_sum: u64,
    pub source_sum: u64,
    pub unfinished_sum: u64,
}

impl Summary {
    /// Of an empty database. `random` keeps generations of databases that follow each other apart.
    pub fn new(version: u32, journal_generation: u64, random: u64) -> Self {
        Summary {
            version: u64::from(version),
            sequence: 0,
            counter: 0,
            generation: random >> 16,
            journal: JournalName { generation: journal_generation, seed: random },
            journal_bytes: 0,
            compacted_bytes: 0,
            latest_sum: 0,
            source_sum: 0,
            unfinished_sum: 0,
        }
    }

    pub fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Whether the journal has grown to several times what is in it.
    pub fn wants_compaction(&self) -> bool {
        self.journal_bytes > 4 * self.compacted_bytes.max(COMPACTED_MIN)
    }

    /// The version alone, which can be read of every version to come.
    pub fn version(connection: &Connection) -> Result<u64, Trouble> {
        Self::read_row(connection, encode::number_of)
    }

    pub fn load(connection: &Connection) -> Result<Self, Trouble> {
        Self::read_row(connection, encode::decode)
    }

    fn read_row<T>(connection: &Connection, take: fn(&[u8]) -> Result<T, Malformed>) -> Result<T, Trouble> {
        let mut statement = connection.prepare_cached("SELECT body FROM summary WHERE id = 0")?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Err(Trouble::Damaged("the summary is missing".to_owned())) };
        let (payload, _) = seal::unseal("summary", &[], row.get_ref(0)?.as_blob()?)?;
        Ok(take(payload)?)
    }

    pub fn save(&self, connection: &Connection) -> Result<(), Trouble> {
        let (body, _) = seal::seal("summary", &[], encode::encode(self));
        connection.prepare_cached("INSERT OR REPLACE INTO summary (id, body) VALUES (0, ?1)")?.execute([body])?;
        Ok(())
    }
}

impl Coded for Summary {
    fn write(&self, out: &mut Vec<u8>) {
        // The version stays first in every version to come.
        for number in [
            self.version,
            self.sequence,
            self.counter,
            self.generation,
            self.journal.generation,
            self.journal.seed,
            self.journal_bytes,
            self.compacted_bytes,
            self.latest_sum,
            self.source_sum,
            self.unfinished_sum,
        ] {
            number.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Summary {
            version: from.number()?,
            sequence: from.number()?,
            counter: from.number()?,
            generation: from.number()?,
            journal: JournalName { generation: from.number()?, seed: from.number()? },
            journal_bytes: from.number()?,
            compacted_bytes: from.number()?,
            latest_sum: from.number()?,
            source_sum: from.number()?,
            unfinished_sum: from.number()?,
        })
    }
}
