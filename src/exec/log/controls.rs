//! Text of strangers made harmless for a terminal: colours stay, everything that moves, renames,
//! links, answers or hides goes.

/// `text` with SGR sequences (`ESC [ ... m`), tabs and newlines, and no other control. Ends in a
/// reset if a colour was left on.
pub fn strip_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\n' | '\t' => out.push(letter),
            '\x1b' => match rest.clone().next() {
                Some('[') => {
                    rest.next();
                    take_csi(&mut rest, &mut out, &mut coloured);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    rest.next();
                    skip_string(&mut rest);
                }
                Some(_) => skip_escape(&mut rest),
                None => {}
            },
            '\u{9b}' => take_csi(&mut rest, &mut out, &mut coloured),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            it if it.is_control() || reorders(it) => {}
            it => out.push(it),
        }
    }
    if coloured {
        out.push_str("\x1b[0m");
    }
    out
}

/// Characters that make text read in another order than it is written.
fn reorders(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Parameters, intermediates and the final letter; only a plain SGR is kept.
fn take_csi(rest: &mut std::str::Chars<'_>, out: &mut String, coloured: &mut bool) {
    let mut parameters = String::new();
    loop {
        match rest.clone().next() {
            Some(it @ ' '..='?') => {
                rest.next();
                parameters.push(it);
            }
            Some(last @ '@'..='~') => {
                rest.next();
                let plain = parameters.chars().all(|it| it.is_ascii_digit() || it == ';' || it == ':');
                if last == 'm' && plain && parameters.len() <= 64 {
                    *coloured = !parameters.chars().all(|it| it == '0' || it == ';');
                    out.push_str("\x1b[");
                    out.push_str(&parameters);
                    out.push('m');
                }
                return;
            }
            // A terminal gives the sequence up here; what follows is looked at anew.
            _ => return,
        }
    }
}

/// Up to BEL or ST; also up to the end of the line, so that an unfinished one hides little.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    loop {
        match rest.clone().next() {
            None | Some('\n') => return,
            Some('\x07' | '\u{9c}') => {
                rest.next();
                return;
            }
            Some('\x1b') => {
                rest.next();
                if rest.clone().next() == Some('\\') {
                    rest.next();
                }
                return;
            }
            Some(_) => {
                rest.next();
            }
        }
    }
}

/// Two-letter escapes, and those with intermediates (`ESC ( B`).
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    while let Some(' '..='/') = rest.clone().next() {
        rest.next();
    }
    if let Some('0'..='~') = rest.clone().next() {
        rest.next();
    }
}

#[cfg(test)]
mod tests {
    use super::strip_controls;
    use proptest::prelude::*;

    #[test]
    fn only_colours_stay() {
        let table = [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
            ("\x1b[1;38;5;8mleft on", "\x1b[1;38;5;8mleft on\x1b[0m"),
            ("\x1b[mreset", "\x1b[mreset"),
            ("\x1b[2J\x1b[H\x1b[1;1Hcleared", "cleared"),
            ("\x1b[1A\x1b[2Kover", "over"),
            ("\x1b[?1049hscreen\x1b[?25l", "screen"),
            ("\x1b[>4;2mkeys", "keys"),
            ("\x1b[6nreport\x1b[c", "report"),
            ("\x1b[ qcursor", "cursor"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]2;title\x1b\\after", "after"),
            ("\x1b]52;c;aGk=\x07after", "after"),
            ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\u{9d}0;title\u{9c}after", "after"),
            ("\u{9b}31mred", "\x1b[31mred\x1b[0m"),
            ("\u{9b}2Jgone", "gone"),
            ("\x1bP+q544e\x1b\\dcs", "dcs"),
            ("\x1b_apc\x1b\\shown", "shown"),
            ("\x1b^pm\x07shown", "shown"),
            ("\x1b(Bcharset\x1b)0", "charset"),
            ("\x1bcreset", "reset"),
            ("\x1b7\x1b8saved", "saved"),
            ("\x1b]0;never ends\nnext line", "\nnext line"),
            ("\x1b[31", ""),
            ("\x1b", ""),
            ("\x1b\x1b[2Jx", "x"),
            ("\x1b[3\x1b[2J1mx", "1mx"),
            ("bell\x07 back\x08 null\0 del\x7f form\x0c cr\r.", "bell back null del form cr."),
            ("\u{85}\u{84}next", "next"),
            ("\u{202e}txt.exe\u{2066}", "txt.exe"),
            ("日本語 é 🙂", "日本語 é 🙂"),
        ];
        for (given, expected) in table {
            assert_eq!(strip_controls(given), expected, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_has_no_control_but_colours(text in "[\\x1b\\[\\]Pm0-9;?\u{9b}\u{9d}\u{9c}\\x07\\\\a\\n ]{0,40}") {
            let clean = strip_controls(&text);
            prop_assert_eq!(strip_controls(&clean), clean.clone());
            let mut rest = clean.as_str();
            while let Some(at) = rest.find('\x1b') {
                rest = &rest[at..];
                let end = rest.find('m').expect("a colour ends");
                prop_assert!(rest[2..end].chars().all(|it| it.is_ascii_digit() || it == ';'));
                rest = &rest[end..];
            }
            prop_assert!(!clean.chars().any(|it| it.is_control() && !"\x1b\n\t".contains(it)));
        }
    }
}
