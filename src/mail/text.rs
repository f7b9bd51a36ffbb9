//! Text from people, applications and servers, made fit for a header, a line or a paragraph.

/// Characters that turn the reading direction (U+202A…, U+2066…, marks), break lines, or cannot be seen at all.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// One line of at most `max` characters: line breaks and other white space become one space each, control characters and
/// those that turn the reading direction go. What is cut ends with `…`.
pub(super) fn clean_line(text: &str, max: usize) -> String {
    let seen: String = text.chars().filter(|&c| c.is_whitespace() || !is_hidden(c)).collect();
    let line = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        None => line,
        Some(_) => line.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Several lines, of at most `max` characters in all: `\n` ends each, tabs are spaces, other control characters and those
/// that turn the reading direction go; no line ends with spaces, and the text does not begin or end with empty lines.
pub(super) fn clean_text(text: &str, max: usize) -> String {
    let whole: String = text
        .replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            '\t' => ' ',
            c => c,
        })
        .filter(|&c| c == '\n' || !is_hidden(c))
        .take(max)
        .collect();
    let lines: Vec<&str> = whole.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_it_was() {
        for (given, line) in [
            ("Ann\r\nBcc: x@example.org", "Ann Bcc: x@example.org"),
            ("a\0b\u{7f}c\u{85}d", "abc d"),
            ("\u{202E}gnp.exe\u{2069}", "gnp.exe"),
            ("  a \t\u{2028} b\u{200B}  ", "a b"),
            ("👩‍👩‍👧 Ann", "👩‍👩‍👧 Ann"),
            ("", ""),
        ] {
            assert_eq!(clean_line(given, 100), line, "{given:?}");
        }
    }

    #[test]
    fn what_is_cut_says_so_and_is_not_longer() {
        assert_eq!(clean_line("abcdef", 6), "abcdef");
        assert_eq!(clean_line("abcdefg", 6), "abcde…");
        assert_eq!(clean_line("abcd e fgh", 6), "abcd …");
        assert_eq!(clean_line("яяяя", 3), "яя…");
        for max in 1..12 {
            assert!(clean_line("a bc def ghij klm", max).chars().count() <= max, "{max}");
        }
    }

    #[test]
    fn text_keeps_its_lines_and_nothing_else_that_is_not_seen() {
        assert_eq!(
            clean_text("\r\n\na\tb  \r\n\r\nc\rd\u{1b}[31m\0\n\n", 100),
            "a b\n\nc\nd[31m"
        );
        assert_eq!(clean_text("  indented", 100), "  indented");
        assert_eq!(clean_text("abcdef", 3), "abc");
    }
}
