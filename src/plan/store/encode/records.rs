//! The written form of each record and change. Order and numbers are the format: only add at the end,
//! under a new form.

use jiff::Timestamp;

use super::{Coded, Malformed, Reader, coded_cases, coded_struct, write_bytes};
use crate::{
    base::path::ProjectPath,
    model::{
        event::{RunOutcome, StepOutcome},
        fingerprint::{Fingerprint, Part, PartKind, PartValue},
        key::{AssetKey, PartitionKey},
    },
    plan::{
        backfill::{Backfill, BackfillAsset, BackfillState, Order},
        hash::{FileKind, Signature},
        record::{
            Attempt, AttemptId, AttemptState, Intent, Materialization, Observation, RunId, RunRecord, Session,
            StepRecord, StoredOutput, TrackedFile,
        },
        store::Change,
    },
};

coded_struct!(TrackedFile { path, signature, digest, racy });
coded_struct!(Signature { dev, ino, size, mtime_ns, ctime_ns, kind, executable });
coded_struct!(Observation { key, data_version, at, shown, files });
coded_struct!(Attempt { id, run, op, partition, outputs, started_at, ended_at, state, log, pid, host });
coded_struct!(Intent { materialization, staged });
coded_struct!(RunRecord { id, started_at, ended_at, outcome, command, steps, pid, host });
coded_struct!(StepRecord { key, partition, outcome, duration_ms, attempt, data_version, bytes, rows, error });
coded_struct!(Session { id, boot, sealed });
coded_struct!(BackfillAsset { key, partitions, count });

coded_cases!(FileKind { 0 = File, 1 = Folder, 2 = Link, 3 = Odd });
coded_cases!(StepOutcome { 0 = Built, 1 = Restored, 2 = CutOff, 3 = Fresh, 4 = Failed, 5 = Skipped });
coded_cases!(Order { 0 = OldestFirst, 1 = NewestFirst });
coded_cases!(BackfillState { 0 = Wanted, 1 = Paused, 2 = Cancelled, 3 = Done, 4 = Failed });
coded_cases!(RunOutcome { 0 = Succeeded, 1 = Failed, 2 = Interrupted });

/// Behind the state of a backfill that makes what is fresh too stand its runs, and its number is that much larger.
const FORCED: u8 = 8;

impl Coded for Backfill {
    fn write(&self, out: &mut Vec<u8>) {
        self.name.write(out);
        self.asked_at.write(out);
        self.command.write(out);
        self.assets.write(out);
        self.order.write(out);
        self.jobs.write(out);
        self.vars.write(out);
        let at = out.len();
        self.state.write(out);
        self.since.write(out);
        if let Some(runs) = &self.forced {
            out[at] += FORCED;
            runs.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (name, asked_at, command) = (Coded::read(from)?, Coded::read(from)?, Coded::read(from)?);
        let (assets, order, jobs, vars) =
            (Coded::read(from)?, Coded::read(from)?, Coded::read(from)?, Coded::read(from)?);
        let state = from.byte()?;
        let is_forced = state >= FORCED;
        let state = BackfillState::read(&mut Reader::new(&[if is_forced { state - FORCED } else { state }]))?;
        let since = Coded::read(from)?;
        let forced = if is_forced { Some(Coded::read(from)?) } else { None };
        Ok(Backfill { name, asked_at, command, assets, order, jobs, vars, state, since, forced })
    }
}

impl Coded for AssetKey {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self.as_str().as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        AssetKey::parse(from.text()?).map_err(|_| Malformed("not an asset key"))
    }
}

impl Coded for PartitionKey {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self.as_str().as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.text().map(PartitionKey::new)
    }
}

impl Coded for RunId {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        String::read(from).map(RunId)
    }
}

impl Coded for AttemptId {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        String::read(from).map(AttemptId)
    }
}

impl Coded for ProjectPath {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        ProjectPath::from_normal(from.bytes()?).ok_or(Malformed("not a path below the project"))
    }
}

/// Whole seconds, then nanoseconds of the same sign.
impl Coded for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_second().write(out);
        i64::from(self.subsec_nanosecond()).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        const ODD: Malformed = Malformed("not a time");
        let second = i64::read(from)?;
        let nanosecond = i32::try_from(i64::read(from)?).map_err(|_| ODD)?;
        let time = Timestamp::new(second, nanosecond).map_err(|_| ODD)?;
        if time.as_second() == second && time.subsec_nanosecond() == nanosecond { Ok(time) } else { Err(ODD) }
    }
}

impl Coded for Fingerprint {
    fn write(&self, out: &mut Vec<u8>) {
        super::write_number(out, self.parts().len() as u64);
        for part in self.parts() {
            part.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Fingerprint::from_sorted(Coded::read(from)?).ok_or(Malformed("parts are out of order"))
    }
}

impl Coded for Part {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        write_bytes(out, &self.name);
        match &self.value {
            PartValue::Absent => out.push(0),
            PartValue::Text(text) => {
                out.push(1);
                write_bytes(out, text.as_bytes());
            }
            PartValue::Digest(digest) => {
                out.push(2);
                digest.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = usize::from(from.byte()?).wrapping_sub(1);
        let kind = *PartKind::ALL.get(kind).ok_or(Malformed("unknown kind of part"))?;
        let name = from.bytes()?;
        let value = match from.byte()? {
            0 => PartValue::Absent,
            1 => PartValue::Text(from.text()?.into()),
            2 => PartValue::Digest(Coded::read(from)?),
            _ => return Err(Malformed("unknown value of a part")),
        };
        Ok(Part::new(kind, name, value))
    }
}

impl Coded for Materialization {
    fn write(&self, out: &mut Vec<u8>) {
        self.key.write(out);
        self.partition.write(out);
        self.attempt.write(out);
        self.run.write(out);
        self.at.write(out);
        self.duration_ms.write(out);
        self.fingerprint.write(out);
        self.data_version.write(out);
        // Where it is the data version it is not written: that is how it was before there was another.
        if let Some(content) = &self.content {
            out.push(CONTENT);
            content.write(out);
        }
        if let Some(declared) = &self.declared {
            out.push(DECLARED);
            write_bytes(out, declared.as_bytes());
        }
        self.output.write(out);
        self.bytes.write(out);
        self.rows.write(out);
        self.accepted.write(out);
        self.session.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Materialization {
            key: Coded::read(from)?,
            partition: Coded::read(from)?,
            attempt: Coded::read(from)?,
            run: Coded::read(from)?,
            at: Coded::read(from)?,
            duration_ms: Coded::read(from)?,
            fingerprint: Coded::read(from)?,
            data_version: Coded::read(from)?,
            content: match from.rest().first() {
                Some(&CONTENT) => {
                    from.byte()?;
                    Some(Coded::read(from)?)
                }
                _ => None,
            },
            declared: match from.rest().first() {
                Some(&DECLARED) => {
                    from.byte()?;
                    Some(from.text()?.into())
                }
                _ => None,
            },
            output: Coded::read(from)?,
            bytes: Coded::read(from)?,
            rows: Coded::read(from)?,
            accepted: Coded::read(from)?,
            session: Coded::read(from)?,
        })
    }
}

/// Stands where the kind of an output would, and says that the identity of its content comes first.
const CONTENT: u8 = 2;
/// The same, of what its columns are declared as.
const DECLARED: u8 = 3;

impl Coded for StoredOutput {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            StoredOutput::Files(files) => {
                out.push(0);
                files.write(out);
            }
            StoredOutput::Token(token) => {
                out.push(1);
                write_bytes(out, token);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(StoredOutput::Files(Coded::read(from)?)),
            1 => Ok(StoredOutput::Token(from.bytes()?.to_vec())),
            _ => Err(Malformed("unknown kind of output")),
        }
    }
}

impl Coded for AttemptState {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            AttemptState::Running => out.push(0),
            AttemptState::Committing(intents) => {
                out.push(1);
                intents.write(out);
            }
            AttemptState::Succeeded(outcome) => {
                out.push(2);
                outcome.write(out);
            }
            AttemptState::Failed(message) => {
                out.push(3);
                message.write(out);
            }
            AttemptState::Interrupted => out.push(4),
            AttemptState::Void(message) => {
                out.push(5);
                message.write(out);
            }
            AttemptState::Rejected(message) => {
                out.push(6);
                message.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            0 => AttemptState::Running,
            1 => AttemptState::Committing(Coded::read(from)?),
            2 => AttemptState::Succeeded(Coded::read(from)?),
            3 => AttemptState::Failed(Coded::read(from)?),
            4 => AttemptState::Interrupted,
            5 => AttemptState::Void(Coded::read(from)?),
            6 => AttemptState::Rejected(Coded::read(from)?),
            _ => return Err(Malformed("unknown state of an attempt")),
        })
    }
}

/// Bytes of an IO manager's own words.
impl Coded for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.bytes().map(<[u8]>::to_vec)
    }
}

macro_rules! coded_changes {
    ($($number:literal = $case:ident { $($field:ident),* }),* ; $($plain:literal = $tuple:ident),* $(,)?) => {
        impl Coded for Change {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Change::$case { $($field),* } => {
                        out.push($number);
                        $($field.write(out);)*
                    })*
                    $(Change::$tuple(record) => {
                        out.push($plain);
                        record.write(out);
                    })*
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(match from.byte()? {
                    $($number => Change::$case { $($field: Coded::read(from)?),* },)*
                    $($plain => Change::$tuple(Coded::read(from)?),)*
                    _ => return Err(Malformed("unknown change")),
                })
            }
        }
    };
}

coded_changes!(
    1 = RunStep { run, step },
    2 = RunEnded { run, outcome, at },
    4 = AttemptCommitting { id, intents },
    5 = AttemptEnded { id, state, at },
    9 = Text { digest, text },
    12 = Renamed { old, new },
    15 = BackfillTurned { name, from, to, at },
    17 = BackfillBegun { name, run };
    0 = RunStarted,
    3 = AttemptStarted,
    6 = Materialized,
    7 = Refreshed,
    8 = Observed,
    10 = SessionOpened,
    11 = SessionSealed,
    13 = Forgotten,
    14 = RunForgotten,
    16 = BackfillAsked,
);
