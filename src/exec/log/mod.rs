//! The log of one attempt: bounded on disk and in memory, clean of secrets, with its last lines at hand.
//!
//! The first half of what is kept is written through; the rest is a ring in the same file, put in
//! order when the command ended. Nothing here ever makes the command wait for anything but the disk.

mod controls;
mod redact;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

pub use controls::strip_controls;
pub use redact::Redactor;

use crate::base::fs;

/// Room for the line that says how much was cut.
const NOTICE_BYTES: u64 = 64;
/// A smaller bound would keep nothing worth reading.
const LOG_BYTES_MIN: u64 = 4096;
const TAIL_LINES: usize = 20;
const TAIL_LINE_CHARS: usize = 500;
const RECENT_BYTES: usize = 32 << 10;

/// Takes what a command writes, piece by piece.
pub struct StepLog {
    path: PathBuf,
    /// `None` until the first byte.
    file: Option<File>,
    head_max: u64,
    ring_max: u64,
    /// Bytes after redaction.
    written: u64,
    /// Bytes as they came.
    arrived: u64,
    redactor: Redactor,
    /// Reused for what comes out of the redactor.
    clean: Vec<u8>,
    /// The last bytes written.
    recent: Vec<u8>,
    recent_is_cut: bool,
    /// Why the file ends early.
    broken: Option<String>,
}

/// What is known of a log once the command ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Captured {
    /// Bytes that the command wrote, before any cut.
    pub bytes: u64,
    /// Last lines, clean of secrets and of terminal control.
    pub tail: Vec<String>,
}

impl StepLog {
    /// Keeps at most `bytes_max` on disk (at least 4 KiB). The file is made by the first byte.
    pub fn new(path: &Path, secrets: &[String], bytes_max: u64) -> Self {
        let bytes_max = bytes_max.max(LOG_BYTES_MIN);
        let head_max = bytes_max / 2;
        StepLog {
            path: path.to_owned(),
            file: None,
            head_max,
            ring_max: bytes_max - head_max - NOTICE_BYTES,
            written: 0,
            arrived: 0,
            redactor: Redactor::new(secrets),
            clean: Vec::new(),
            recent: Vec::new(),
            recent_is_cut: false,
            broken: None,
        }
    }

    /// A failure to write is remembered and told in the tail; the rest is still counted.
    pub fn write(&mut self, bytes: &[u8]) {
        self.arrived += bytes.len() as u64;
        if self.redactor.is_idle() {
            self.keep(bytes);
        } else {
            let mut clean = std::mem::take(&mut self.clean);
            clean.clear();
            self.redactor.feed(bytes, &mut clean);
            self.keep(&clean);
            self.clean = clean;
        }
    }

    /// Puts the ring in order and says what was captured.
    pub fn finish(mut self) -> Captured {
        let mut rest = Vec::new();
        self.redactor.finish(&mut rest);
        self.keep(&rest);
        if let Err(error) = self.unroll() {
            self.broken.get_or_insert(error);
        }
        let mut tail = self.tail();
        tail.extend(self.broken.map(|it| format!("[the log ends early: {it}]")));
        Captured { bytes: self.arrived, tail }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.remember(bytes);
        if self.broken.is_none()
            && let Err(error) = self.store(bytes)
        {
            self.broken = Some(error);
        }
    }

    fn store(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        if self.file.is_none() {
            self.file = Some(self.create()?);
        }
        let file = self.file.as_ref().expect("made above");
        while !bytes.is_empty() {
            let (at, room) = if self.written < self.head_max {
                (self.written, self.head_max - self.written)
            } else {
                let within = (self.written - self.head_max) % self.ring_max;
                (self.head_max + within, self.ring_max - within)
            };
            let now = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            file.write_all_at(&bytes[..now], at).map_err(|it| it.to_string())?;
            self.written += now as u64;
            bytes = &bytes[now..];
        }
        Ok(())
    }

    fn create(&self) -> Result<File, String> {
        match fs::create_private(&self.path) {
            Err(error) if error.is_not_found() => {
                if let Some(folder) = self.path.parent() {
                    fs::create_folder(folder).map_err(|it| it.to_string())?;
                }
                fs::create_private(&self.path).map_err(|it| it.to_string())
            }
            other => other.map_err(|it| it.to_string()),
        }
    }

    /// Rewrites the ring from its oldest byte on, below a line that says how much is missing.
    fn unroll(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let lost = self.written.saturating_sub(self.head_max + self.ring_max);
        if lost == 0 {
            return Ok(());
        }
        let mut ring = vec![0; usize::try_from(self.ring_max).map_err(|it| it.to_string())?];
        file.read_exact_at(&mut ring, self.head_max).map_err(|it| it.to_string())?;
        let oldest = usize::try_from((self.written - self.head_max) % self.ring_max).map_err(|it| it.to_string())?;
        let notice = format!("\n[{lost} bytes were cut here]\n");
        let mut at = self.head_max;
        for part in [notice.as_bytes(), &ring[oldest..], &ring[..oldest]] {
            file.write_all_at(part, at).map_err(|it| it.to_string())?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.recent_is_cut |= self.recent.len() + bytes.len() > RECENT_BYTES;
        if bytes.len() >= RECENT_BYTES {
            self.recent.clear();
            self.recent.extend_from_slice(&bytes[bytes.len() - RECENT_BYTES..]);
            return;
        }
        self.recent.extend_from_slice(bytes);
        if self.recent.len() > 2 * RECENT_BYTES {
            self.recent.drain(..self.recent.len() - RECENT_BYTES);
        }
    }

    fn tail(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.recent);
        let mut lines: Vec<&str> = text.trim_end_matches(['\n', '\r']).split('\n').collect();
        if self.recent_is_cut && lines.len() > 1 {
            lines.remove(0);
        }
        let first = lines.len().saturating_sub(TAIL_LINES);
        let mut shown: Vec<String> = lines[first..].iter().map(|it| self.shown_line(it)).collect();
        if shown.iter().all(String::is_empty) {
            shown.clear();
        }
        shown
    }

    /// What a terminal would show last of `line`: progress that overwrites itself leaves its last state.
    fn shown_line(&self, line: &str) -> String {
        let line = line.trim_end_matches('\r');
        let last = line.rsplit('\r').next().unwrap_or(line);
        // Again, because taking controls away can join the halves of a secret.
        let mut clean = self.redactor.redact_text(&strip_controls(last));
        if let Some((cut, _)) = clean.char_indices().nth(TAIL_LINE_CHARS) {
            clean.truncate(cut);
            clean.push('…');
            clean = strip_controls(&clean);
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(parts: &[&[u8]], secrets: &[&str], bytes_max: u64) -> (Vec<u8>, Captured) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/step.log");
        let secrets: Vec<String> = secrets.iter().map(|it| (*it).to_owned()).collect();
        let mut log = StepLog::new(&path, &secrets, bytes_max);
        for part in parts {
            log.write(part);
        }
        let captured = log.finish();
        (fs::read_if_there(&path).unwrap().unwrap_or_default(), captured)
    }

    #[test]
    fn small_output_is_kept_whole_and_silence_leaves_no_file() {
        let (file, captured) = log_of(&[b"one\n", b"two\n"], &[], 1 << 20);
        assert_eq!(file, b"one\ntwo\n");
        assert_eq!(captured, Captured { bytes: 8, tail: vec!["one".into(), "two".into()] });

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step.log");
        assert_eq!(StepLog::new(&path, &[], 1 << 20).finish(), Captured::default());
        assert!(fs::look(&path).unwrap().is_none());
    }

    #[test]
    fn head_and_tail_of_much_output_are_kept_in_order_with_the_cut_between() {
        for lines in [100_usize, 511, 512, 513, 1000, 1777, 5000] {
            let all: Vec<u8> = (0..lines).flat_map(|it| format!("{it:07}\n").into_bytes()).collect();
            for piece in [1, 7, 4096, 1 << 20] {
                let parts: Vec<&[u8]> = all.chunks(piece).collect();
                let (file, captured) = log_of(&parts, &[], 4096);
                assert!(file.len() <= 4096, "{} bytes of {lines} lines", file.len());
                assert_eq!(captured.bytes, all.len() as u64);
                assert_eq!(captured.tail.last().unwrap(), &format!("{:07}", lines - 1));
                let text = String::from_utf8(file.clone()).unwrap();
                if let Some((head, rest)) = text.split_once("\n[") {
                    let (cut, tail) = rest.split_once(" bytes were cut here]\n").unwrap();
                    assert!(all.starts_with(head.as_bytes()) && all.ends_with(tail.as_bytes()));
                    assert_eq!(head.len() + tail.len() + cut.parse::<usize>().unwrap(), all.len());
                } else {
                    assert_eq!(file, all);
                }
            }
        }
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step.log");
        let mut log = StepLog::new(&path, &[], 1 << 20);
        log.write(b"x");
        assert_eq!(fs::look(&path).unwrap().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_tail_is_short_and_harmless() {
        let long = "x".repeat(2000);
        let (_, captured) =
            log_of(&[long.as_bytes(), b"\n10%\r50%\r100%\r\n\x1b]0;title\x07done\x1b[2J"], &[], 1 << 20);
        assert_eq!(captured.tail, [format!("{}…", "x".repeat(500)), "100%".into(), "done".into()]);
        let many = "line\n".repeat(100);
        assert_eq!(log_of(&[many.as_bytes()], &[], 1 << 20).1.tail.len(), TAIL_LINES);
    }

    #[test]
    fn a_secret_that_controls_split_is_not_joined_in_the_tail() {
        let (_, captured) = log_of(&[b"hun\x1b]0;\x07ter2-password"], &["hunter2-password"], 1 << 20);
        assert_eq!(captured.tail, ["***"]);
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_and_takes_the_rest() {
        let mut log = StepLog::new(Path::new("/proc/nowhere/step.log"), &[], 1 << 20);
        log.write(b"hello\n");
        log.write(b"there\n");
        let captured = log.finish();
        assert_eq!((captured.bytes, captured.tail.len()), (12, 3));
        assert!(captured.tail[2].starts_with("[the log ends early: "), "{:?}", captured.tail);
    }
}
