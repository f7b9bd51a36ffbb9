//! Telephone numbers.

use unicode_normalization::UnicodeNormalization;

use crate::domain::text::{TextError, line};

/// The longest number, in characters.
const MAX: usize = 32;

/// Brings a telephone number to E.164 where it can be parsed: it must start with `+`, or `00` in place of it, and the
/// country's code. Anything else is kept as it was given, as one line of at most 32 characters.
///
/// # Errors
/// [`TextError`] when it is neither.
pub fn phone(text: &str) -> Result<String, TextError> {
    let given = line(text, MAX)?;
    if given.is_empty() {
        return Err(TextError::Empty);
    }
    // Keyboards of East Asia write digits and the plus in a form of their own.
    let plain: String = given.nfkc().collect();
    if !plain.chars().any(|c| c.is_ascii_digit()) {
        return Err(TextError::Invalid(
            "holds no digit; write a telephone number such as +442071838750".to_owned(),
        ));
    }
    Ok(e164(&plain).unwrap_or(given))
}

fn e164(text: &str) -> Option<String> {
    let text = match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
        _ => text,
    };
    let number = match text.trim().strip_prefix("00") {
        Some(rest) => format!("+{}", rest.trim_start()),
        None => text.trim().to_owned(),
    };
    // E.164 has no place for an extension, a sub-address, a second number or a remark: they would be lost.
    let has_more = number.chars().skip(1).any(|c| !(c.is_ascii_digit() || is_separator(c)));
    if has_more || !number.starts_with('+') {
        return None;
    }
    let parsed = phonenumber::parse(None, &number).ok()?;
    let is_whole = parsed.is_valid() && parsed.extension().is_none();
    is_whole.then(|| parsed.format().mode(phonenumber::Mode::E164).to_string())
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_e164_however_they_are_written() {
        for given in [
            "+442071838750",
            "+44 20 7183 8750",
            "  +44-20-7183-8750 ",
            "+44 (20) 7183.8750",
            "+44 20/7183 8750",
            "+44\u{a0}20\u{2011}7183\u{2011}8750",
            "＋４４ ２０ ７１８３ ８７５０",
            "0044 20 7183 8750",
            "00 44 20 7183 8750",
            "tel:+442071838750",
            "TEL:+44-20-7183-8750",
            "tel:00442071838750",
        ] {
            assert_eq!(phone(given).unwrap(), "+442071838750", "{given}");
        }
        assert_eq!(phone("+7 (495) 123-45-67").unwrap(), "+74951234567");
    }

    #[test]
    fn what_e164_cannot_hold_is_kept_as_it_is() {
        for given in [
            "+44 20 7183 8750 ext. 12",
            "+44 20 7183 8750 x12",
            "+44 20 7183 8750,12",
            "+442071838750#12",
            "tel:+442071838750;ext=12",
            "tel:+442071838750;isub=12",
            "+44 20 7183 8750 (mobile)",
            "+442071838750, +442071838751",
        ] {
            assert_eq!(phone(given).unwrap(), given);
        }
    }

    #[test]
    fn what_is_no_international_number_is_kept_as_it_is() {
        // Of no country that is named, too short, too long, and of none that there is.
        for given in [
            "020 7183 8750",
            "2071838750",
            "tel:12345",
            "+44 12",
            "00",
            "+44 20 7183 8750 1234567",
            "+999 123 456 789",
            "ext. 12",
        ] {
            assert_eq!(phone(given).unwrap(), given);
        }
    }

    #[test]
    fn what_is_no_number_at_all_is_refused() {
        assert_eq!(phone("  "), Err(TextError::Empty));
        assert!(matches!(phone("call me"), Err(TextError::Invalid(_))));
        assert!(matches!(phone("tel:"), Err(TextError::Invalid(_))));
        assert_eq!(phone("+44\n20"), Err(TextError::Control));
        assert_eq!(phone(&"1".repeat(33)), Err(TextError::TooLong { max: 32, found: 33 }));
        assert!(matches!(phone(&"1".repeat(10_000)), Err(TextError::TooLong { .. })));
    }
}
