//! How text is brought into one form before it is compared, and what free text may hold.

use unicode_normalization::UnicodeNormalization;

/// Trims, applies NFKC and folds case: the form in which logins, names and addresses are compared
/// (Unicode Standard Annex #15, and lower case as its closest fold).
#[must_use]
pub fn fold(text: &str) -> String {
    // Most texts; every one that a store gives back is folded again.
    if text.is_ascii() {
        return text.trim().to_ascii_lowercase();
    }
    fold_any(text)
}

fn fold_any(text: &str) -> String {
    // Lower-casing can leave what is no longer NFKC (e.g. "İ"), and NFKC can bring back capitals; twice is stable.
    let once: String = text.nfkc().collect::<String>().to_lowercase();
    once.nfkc().collect::<String>().to_lowercase().trim().to_owned()
}

/// Is a text so long that no normalisation of it could fit into `max` characters? It is then not even looked at.
#[must_use]
pub fn is_hopeless(text: &str, max: usize) -> bool {
    text.len() > max.saturating_mul(16)
}

/// Why a text cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than the field holds.
    #[error("is {found} characters long; {max} is the most")]
    TooLong {
        /// The most characters (Unicode scalar values) that the field holds.
        max: usize,
        /// How many were given.
        found: usize,
    },
    /// Control characters, or line breaks where there may be none.
    #[error("must not hold control characters")]
    Control,
    /// Any other rule of the field.
    #[error("{0}")]
    Invalid(String),
}

/// One line of free text: trimmed, NFC, without control characters, at most `max` characters; may be empty.
///
/// # Errors
/// [`TextError::Control`] and [`TextError::TooLong`].
pub fn line(text: &str, max: usize) -> Result<String, TextError> {
    if is_hopeless(text, max) {
        return Err(TextError::TooLong {
            max,
            found: text.chars().count(),
        });
    }
    let text = text.trim();
    // ASCII is in every normal form already.
    let text: String = if text.is_ascii() {
        text.to_owned()
    } else {
        text.nfc().collect()
    };
    // U+2028/2029 break lines, and the bidirectional overrides make a name read as another.
    let forbidden = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if text.chars().any(forbidden) {
        return Err(TextError::Control);
    }
    let found = text.chars().count();
    if found > max {
        return Err(TextError::TooLong { max, found });
    }
    Ok(text)
}

/// As [`line`], but not empty.
///
/// # Errors
/// [`TextError::Empty`] besides those of [`line`].
pub fn required_line(text: &str, max: usize) -> Result<String, TextError> {
    let text = line(text, max)?;
    if text.is_empty() {
        Err(TextError::Empty)
    } else {
        Ok(text)
    }
}

/// Bytes in hexadecimal, with small letters.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first `max` characters, without control characters: for text that nobody vouches for and that is kept all the same.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_stable_and_joins_what_looks_alike() {
        for (given, folded) in [
            ("  Owner ", "owner"),
            ("ＡＤＭＩＮ", "admin"),
            ("ﬁnn", "finn"),
            ("ÉCOLE", "école"),
            ("E\u{301}cole", "école"),
            ("ИВАН", "иван"),
        ] {
            assert_eq!(fold(given), folded);
            assert_eq!(fold(&fold(given)), fold(given));
        }
    }

    #[test]
    fn ascii_folds_as_everything_does() {
        for c in '\0'..='\u{7F}' {
            for text in [format!("{c}"), format!("{c}Bc D{c}"), format!(" {c}\t{c} ")] {
                assert_eq!(fold(&text), fold_any(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn a_line_has_no_control_characters_and_an_end() {
        assert_eq!(line(" Ann ", 10).unwrap(), "Ann");
        assert_eq!(line("a\nb", 10), Err(TextError::Control));
        assert_eq!(line("a\u{202E}b", 10), Err(TextError::Control));
        // In ASCII and beyond, the same.
        for text in ["Zoe", "Zoe\u{308}"] {
            assert_eq!(line(&format!("\t{text} "), 10).unwrap(), text.replace("e\u{308}", "ë"));
            assert_eq!(line(&format!("{text}\u{7F}"), 10), Err(TextError::Control));
            assert_eq!(line(text, 2), Err(TextError::TooLong { max: 2, found: 3 }));
        }
        assert_eq!(line("abc", 2), Err(TextError::TooLong { max: 2, found: 3 }));
        assert_eq!(required_line("  ", 2), Err(TextError::Empty));
    }

    #[test]
    fn cutting_counts_characters_not_bytes() {
        assert_eq!(cut("да\u{7}нет", 3), "дан");
    }
}
