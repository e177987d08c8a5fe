//! What the tool and its supervisor say to each other, and how: frames of JSON over a socket.
//!
//! A frame is its length (four bytes, little endian) and that many bytes. Both ends are the same
//! binary, so there is no version to agree on.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::exec::executor::{CancelKind, StepResult, StepSpec};

/// No frame is longer: an environment and a command line are below 4 MiB by the kernel's own limits.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// From the tool.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Order<'a> {
    Submit(Box<Cow<'a, StepSpec>>),
    Cancel {
        attempt: String,
        how: CancelKind,
    },
    /// Stop (`true`) or continue (`false`) everything.
    Pause(bool),
}

/// From the supervisor.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum News {
    Started { attempt: String, pid: u32 },
    Finished(Box<StepResult>),
}

/// Appends `message` to `out` as one frame.
pub fn write_frame(out: &mut Vec<u8>, message: &impl Serialize) -> Result<(), String> {
    let start = out.len();
    out.extend([0; 4]);
    serde_json::to_writer(&mut *out, message).map_err(|it| it.to_string())?;
    let length = out.len() - start - 4;
    if length > FRAME_BYTES_MAX {
        out.truncate(start);
        return Err(format!("{length} bytes are too many for one message"));
    }
    let length = u32::try_from(length).expect("is below the limit above");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Bytes that arrived, until they make whole frames.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    pub fn extend(&mut self, arrived: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(arrived);
    }

    /// The next whole frame; `None` if more bytes are needed.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        let rest = &self.bytes[self.start..];
        let Some((length, body)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(format!("a message of {length} bytes"));
        }
        let Some(frame) = body.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(frame).map_err(|it| format!("a message that makes no sense: {it}"))?;
        self.start += 4 + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let mut sent = Vec::new();
        write_frame(&mut sent, &Order::Pause(true)).unwrap();
        write_frame(&mut sent, &Order::Cancel { attempt: "a".into(), how: CancelKind::Now }).unwrap();
        for cut in 0..sent.len() {
            let mut inbox = Inbox::default();
            let mut orders = Vec::new();
            for part in [&sent[..cut], &sent[cut..]] {
                inbox.extend(part);
                while let Some(it) = inbox.take::<Order>().unwrap() {
                    orders.push(format!("{it:?}"));
                }
            }
            assert_eq!(orders, ["Pause(true)", "Cancel { attempt: \"a\", how: Now }"], "cut at {cut}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        let mut inbox = Inbox::default();
        inbox.extend(b"\xff\xff\xff\xffwhat");
        assert!(inbox.take::<Order>().is_err());
        let mut inbox = Inbox::default();
        inbox.extend(b"\x02\0\0\0{]");
        assert!(inbox.take::<Order>().is_err());
    }
}
