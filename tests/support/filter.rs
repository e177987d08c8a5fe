//! Takes out of a program's output what differs from run to run: folders, durations, run ids.

use std::path::Path;

/// `text` with places, durations and run ids replaced; colours and everything else stay.
pub fn clean(text: &str, places: &[(&Path, &str)]) -> String {
    let mut text = text.to_owned();
    for (path, name) in places {
        text = text.replace(path.to_str().expect("temporary folders are UTF-8"), name);
    }
    durations(&words(&text, |word| if is_run_id(word) { Some("[RUN]".to_owned()) } else { of_attempt(word) }))
}

/// A line without what depends on which step was faster: `[2/4]`, and how long ago something was.
pub fn without_counters(line: &str) -> String {
    let rest = line.trim_start().strip_prefix('[').and_then(|it| it.split_once("] "));
    let line = match rest {
        Some((counter, rest)) if counter.bytes().all(|it| b"0123456789/ ".contains(&it)) => rest,
        _ => line,
    };
    match line.split_once("Last built ") {
        Some((before, _)) => format!("{before}Last built [TIME] ago"),
        None => line.trim().to_owned(),
    }
}

/// Every maximal run of letters, digits, `-` and `.` that `of` knows, replaced.
fn words(text: &str, of: impl Fn(&str) -> Option<String>) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|it: char| !is_word(it)).unwrap_or(rest.len());
        if end == 0 {
            cleaned.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (word, after) = rest.split_at(end);
            // A full stop ends a sentence, not a word.
            let bare = word.trim_end_matches('.');
            cleaned.push_str(&of(bare).unwrap_or_else(|| bare.to_owned()));
            cleaned.push_str(&word[bare.len()..]);
            rest = after;
        }
    }
    cleaned
}

/// `orders.7f3a-0-1.log`, a file of an attempt: without the end of the run's id.
fn of_attempt(word: &str) -> Option<String> {
    let (name, rest) = word.split_once('.')?;
    let (id, rest) = rest.split_once('-')?;
    let is_id = id.len() == 4
        && id.bytes().all(|it| it.is_ascii_hexdigit())
        && rest.starts_with(|it: char| it.is_ascii_digit());
    is_id.then(|| format!("{name}.[ID]-{rest}"))
}

fn is_word(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '-' || it == '.'
}

/// `20260131-142301-7f3a`: a date, a time and some more.
fn is_run_id(word: &str) -> bool {
    let mut parts = word.split('-');
    let digits = |part: Option<&str>, count: usize| {
        part.is_some_and(|it| it.len() == count && it.bytes().all(|it| it.is_ascii_digit()))
    };
    digits(parts.next(), 8)
        && digits(parts.next(), 6)
        && parts.all(|it| it.bytes().all(|it| it.is_ascii_alphanumeric()))
}

/// Durations with the blanks before them, so that columns stay where they are: a right-aligned
/// `   34ms` and ` 1m 05s` both become ` [TIME]`.
fn durations(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while !rest.is_empty() {
            let blanks = rest.len() - rest.trim_start_matches(' ').len();
            let fresh_word = !cleaned.ends_with(is_word) || blanks > 0;
            match duration(&rest[blanks..]).filter(|_| fresh_word) {
                Some(length) => {
                    let kept = (blanks + length).saturating_sub("[TIME]".len()).max(blanks.min(1));
                    cleaned.push_str(&" ".repeat(kept));
                    cleaned.push_str("[TIME]");
                    rest = &rest[blanks + length..];
                }
                None => {
                    let skipped = blanks + rest[blanks..].chars().next().map_or(0, char::len_utf8);
                    cleaned.push_str(&rest[..skipped]);
                    rest = &rest[skipped..];
                }
            }
        }
    }
    cleaned
}

/// Length of the duration that `text` begins with: `34ms`, `0.8s`, `12s`, `2m 05s`, `1h 02m`.
fn duration(text: &str) -> Option<usize> {
    let one = |text: &str| {
        let number = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.').len();
        let unit = ["ms", "s", "m", "h", "d"].into_iter().find(|it| text[number..].starts_with(it))?;
        let end = number + unit.len();
        let ends_here = !text[end..].starts_with(|it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_');
        (number > 0 && text.starts_with(|it: char| it.is_ascii_digit()) && ends_here).then_some((end, unit))
    };
    let (end, unit) = one(text)?;
    match unit {
        "ms" | "s" => Some(end),
        // Minutes, hours and days are written with what is left of them.
        _ => {
            let (more, _) = one(text[end..].strip_prefix(' ')?)?;
            Some(end + 1 + more)
        }
    }
}

mod tests {
    use super::{clean, without_counters};
    use std::path::Path;

    #[track_caller]
    fn becomes(text: &str, cleaned: &str) {
        assert_eq!(clean(text, &[(Path::new("/tmp/x/project"), "[ROOT]")]), cleaned);
    }

    #[test]
    fn durations_keep_their_column() {
        becomes("a  files     34ms   1.2 kB", "a  files   [TIME]   1.2 kB");
        becomes("a  files   2m 05s   1.2 kB", "a  files   [TIME]   1.2 kB");
        becomes("5 built in 31s", "5 built in [TIME]");
        becomes("5 built in 1h 02m (3 fresh)", "5 built in [TIME] (3 fresh)");
        becomes("took 0.8s.", "took [TIME].");
    }

    #[test]
    fn what_only_looks_like_a_duration_stays() {
        becomes("a12s 3 m 12sx q1-3s 5d", "a12s 3 m 12sx q1-3s 5d");
    }

    #[test]
    fn counters_go_and_other_brackets_stay() {
        assert_eq!(without_counters("[ 3/14]        Built a"), "Built a");
        assert_eq!(without_counters("[a] b"), "[a] b");
        assert_eq!(without_counters("Last built just now in run x"), "Last built [TIME] ago");
    }

    #[test]
    fn run_ids_and_places() {
        becomes("run 20260131-142301-7f3a: /tmp/x/project/a.csv", "run [RUN]: [ROOT]/a.csv");
        becomes("day 20260131", "day 20260131");
    }
}
