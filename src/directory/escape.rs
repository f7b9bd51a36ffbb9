//! Escaping: what a person typed never becomes syntax.

use std::fmt::Write;

/// Escapes a value for a search filter (RFC 4515, 3): `\ * ( ) NUL` as a backslash and two hex digits.
///
/// A DN that a server returned goes into a filter by this alone: its own backslashes are part of the value.
pub(super) fn filter_value(value: &str) -> String {
    escape(value, |_, c| matches!(c, '\\' | '*' | '(' | ')' | '\0'))
}

/// Escapes a value for a place inside a DN (RFC 4514, 2.4), together with `#` and `=`, which Active Directory wants
/// escaped everywhere, and control characters.
pub(super) fn dn_value(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    escape(value, |at, c| match c {
        ' ' => at == 0 || at == last,
        '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '#' | '=' => true,
        c => c.is_ascii_control(),
    })
}

/// Whether a login may stand in a user principal name template. Such a name has no escaping, so what could change its
/// meaning is refused: `@`, `\` and control characters.
pub(super) fn fits_principal_name(login: &str) -> bool {
    !login.chars().any(|c| matches!(c, '@' | '\\') || c.is_control())
}

/// Both grammars allow a backslash with two hex digits for any byte; only ASCII is ever chosen by `needs`.
fn escape(value: &str, needs: impl Fn(usize, char) -> bool) -> String {
    let mut escaped = String::with_capacity(value.len() + 8);
    for (at, c) in value.char_indices() {
        if needs(at, c) {
            // Writing into a String cannot fail.
            let _ = write!(escaped, "\\{:02x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_values() {
        assert_eq!(filter_value("member"), "member");
        assert_eq!(filter_value("*"), "\\2a");
        assert_eq!(filter_value(")(uid=*"), "\\29\\28uid=\\2a");
        assert_eq!(filter_value("a\0b"), "a\\00b");
        assert_eq!(filter_value("CN=Smith\\, J"), "CN=Smith\\5c, J");
        assert_eq!(filter_value("Zoë #1 = ü"), "Zoë #1 = ü");
    }

    #[test]
    fn dn_values() {
        assert_eq!(dn_value("member"), "member");
        assert_eq!(dn_value("Smith, J+x"), "Smith\\2c J\\2bx");
        assert_eq!(dn_value("\"<a>;\\"), "\\22\\3ca\\3e\\3b\\5c");
        assert_eq!(dn_value(" a b "), "\\20a b\\20");
        assert_eq!(dn_value(" "), "\\20");
        assert_eq!(dn_value("é "), "é\\20");
        assert_eq!(dn_value("#a#=\0\r"), "\\23a\\23\\3d\\00\\0d");
        assert_eq!(dn_value("x,ou=admins"), "x\\2cou\\3dadmins");
        assert_eq!(dn_value("o'brien (ops) é"), "o'brien (ops) é");
        assert_eq!(dn_value(""), "");
    }

    #[test]
    fn principal_names() {
        for login in ["member", "o'brien", "jürgen", "a.b-c"] {
            assert!(fits_principal_name(login), "{login}");
        }
        for login in ["a@b", "CORP\\a", "a\0", "a\nb", "a\u{85}"] {
            assert!(!fits_principal_name(login), "{login:?}");
        }
    }
}
