//! Distinguished names, as far as two of them are compared.

/// A name in one of its many spellings (RFC 4514), brought to the one that is compared: types and values in small
/// letters, escapes resolved, no space around separators. Text that is no such name is only folded.
///
/// Servers write names as they like, and people write them into the configuration as they like. Values are compared
/// without regard to case, as every naming attribute of people and groups is.
#[must_use]
pub fn canonical(dn: &str) -> String {
    let mut canonical = String::with_capacity(dn.len());
    let mut chars = dn.trim().chars().peekable();
    // Spaces that may turn out to be the end of a value.
    let mut pending = String::new();
    let mut at_start = true;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                canonical.push_str(&std::mem::take(&mut pending));
                let bytes = escaped_bytes(&mut chars);
                push_value(&mut canonical, &String::from_utf8_lossy(&bytes));
                at_start = false;
            }
            ',' | ';' | '+' | '=' => {
                pending.clear();
                canonical.push(if c == ';' { ',' } else { c });
                at_start = true;
            }
            ' ' if at_start => {}
            ' ' => pending.push(' '),
            c => {
                canonical.push_str(&std::mem::take(&mut pending));
                push_value(&mut canonical, c.encode_utf8(&mut [0; 4]));
                at_start = false;
            }
        }
    }
    canonical
}

/// The bytes behind a run of escapes, the first backslash of which was read: letters outside of ASCII come as several.
fn escaped_bytes(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let mut ahead = chars.clone();
        let hex: String = ahead.by_ref().take(2).filter(char::is_ascii_hexdigit).collect();
        if let (2, Ok(byte)) = (hex.len(), u8::from_str_radix(&hex, 16)) {
            bytes.push(byte);
            *chars = ahead;
        } else if let Some(c) = chars.next() {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            return bytes;
        }
        let mut ahead = chars.clone();
        if ahead.next() != Some('\\') {
            return bytes;
        }
        *chars = ahead;
    }
}

/// What is a separator only without its backslash keeps one.
fn push_value(canonical: &mut String, text: &str) {
    for c in text.chars().flat_map(char::to_lowercase) {
        if matches!(c, ',' | '+' | '=' | ';' | '\\') {
            canonical.push('\\');
        }
        canonical.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(one: &str, other: &str) -> bool {
        canonical(one) == canonical(other)
    }

    #[test]
    fn the_same_name_in_other_words_is_the_same() {
        for (one, other) in [
            (
                "cn=Admins,ou=groups,dc=example,dc=org",
                "CN=admins, OU=Groups, DC=example, DC=org",
            ),
            ("CN=Smith\\, J,DC=example", "cn=smith\\2C j,dc=example"),
            ("CN=Smith\\, J,DC=example", "cn=smith\\2c\\20j,dc=example"),
            ("cn=Zo\u{eb}", "CN=zo\\C3\\AB"),
            ("cn=a\\+b+sn=c", "CN=A\\2BB + SN=C"),
            ("cn=\\23x", "cn=\\#X"),
            (" cn=a ;dc=b ", "cn=a,dc=b"),
        ] {
            assert!(
                is_same(one, other),
                "{one} | {other}: {} | {}",
                canonical(one),
                canonical(other)
            );
        }
    }

    #[test]
    fn different_names_stay_different() {
        for (one, other) in [
            ("cn=a,dc=b", "cn=a,dc=c"),
            ("cn=a\\,dc=b", "cn=a,dc=b"),
            ("cn=a\\+sn=b", "cn=a+sn=b"),
            ("cn=a b", "cn=a  b"),
            ("cn=\\ a", "cn=a"),
            ("cn=a\\5c", "cn=a"),
        ] {
            assert!(!is_same(one, other), "{one} | {other}: {}", canonical(one));
        }
        assert_eq!(canonical("cn=x\\"), "cn=x");
        assert_eq!(canonical(""), "");
    }
}
