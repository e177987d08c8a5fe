//! `*` and `?` in names.

pub(super) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether all of `text` matches: `*` is any run of characters, `/` included, `?` any one.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on if the run of the last `*` has to be longer.
    let mut longer: Option<(&str, &str)> = None;
    loop {
        let mut rest = text.chars();
        let next = rest.next();
        if let Some(after) = pattern.strip_prefix('*') {
            longer = next.map(|_| (after, rest.as_str()));
            pattern = after;
        } else if pattern.is_empty() && next.is_none() {
            return true;
        } else {
            let mut wanted = pattern.chars();
            match (wanted.next(), next) {
                (Some(a), Some(b)) if a == b || a == '?' => {
                    (pattern, text) = (wanted.as_str(), rest.as_str());
                    continue;
                }
                _ => {}
            }
            let Some((after, shorter)) = longer else { return false };
            (pattern, text) = (after, shorter);
            let mut rest = shorter.chars();
            longer = rest.next().map(|_| (after, rest.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, with no thought for time.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|it| naive(rest, &text[it..])),
            Some((it, rest)) => !text.is_empty() && (*it == '?' || *it == text[0]) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_is_the_definition(pattern in "[ab/é*?]{0,8}", text in "[ab/é]{0,10}") {
            let letters = |it: &str| it.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), naive(&letters(&pattern), &letters(&text)));
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"a*".repeat(200), &("a".repeat(5000) + "b")[1..].replace('a', "c")));
        assert!(!matches(&("*a".repeat(200) + "b"), &"a".repeat(512)));
    }
}
