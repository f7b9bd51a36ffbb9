//! Reading what the page was asked with: a query string, or a form's body (URL Standard, "application/x-www-form-urlencoded",
//! but strict: what is not UTF-8 is no password that anybody typed).

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use percent_encoding::percent_decode;
use secrecy::SecretString;

/// The longest token that is looked at, in bytes. Those of real links are shorter.
const MAX_TOKEN: usize = 128;

/// What is wrong with a request that no page of ours sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// A field is not there.
    Missing(&'static str),
    /// A field is there more than once.
    Repeated(&'static str),
    /// A field is not UTF-8.
    NotUtf8(&'static str),
    /// A field is longer than anything that it could be.
    TooLong(&'static str),
}

/// What the form sends.
#[derive(Debug)]
pub(super) struct Form {
    /// The link's secret, as it came.
    pub token: String,
    /// The new password.
    pub password: SecretString,
    /// The new password again.
    pub repeat: SecretString,
    /// What shows that the page with the form was ours; empty when it is not there.
    pub seal: String,
}

impl Form {
    /// Out of a body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let field = |name| one(body, name)?.ok_or(Malformed::Missing(name));
        Ok(Self {
            token: short(field("token")?)?,
            password: field("password")?.into(),
            repeat: field("repeat")?.into(),
            seal: one(body, "seal")?.unwrap_or_default(),
        })
    }
}

/// The token out of a query string.
///
/// # Errors
/// When it is not one that a link could have.
pub(super) fn token(query: &str) -> Result<String, Malformed> {
    let token = one(query.as_bytes(), "token")?.filter(|token| !token.is_empty());
    short(token.ok_or(Malformed::Missing("token"))?)
}

fn short(token: String) -> Result<String, Malformed> {
    if token.len() > MAX_TOKEN {
        return Err(Malformed::TooLong("token"));
    }
    Ok(token)
}

/// The value of a field; `None` when it is not there.
fn one(text: &[u8], name: &'static str) -> Result<Option<String>, Malformed> {
    let mut found = None;
    for pair in text.split(|&byte| byte == b'&') {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let given = parts.next().unwrap_or_default();
        if decoded(given) != name.as_bytes() {
            continue;
        }
        let value = String::from_utf8(decoded(parts.next().unwrap_or_default()));
        if found.replace(value.map_err(|_| Malformed::NotUtf8(name))?).is_some() {
            return Err(Malformed::Repeated(name));
        }
    }
    Ok(found)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    percent_decode(&spaced).collect()
}

/// Is the body what forms send?
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let essence = value.to_str().ok().and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let body = b"username=ann%40acme&token=dwl_a&seal=s&password=+%D0%BB%D1%83%D0%BD%D0%B0%26%2B1%3D&repeat=a=b&&x";
        let form = Form::parse(body).unwrap();
        assert_eq!((form.token.as_str(), form.seal.as_str()), ("dwl_a", "s"));
        assert_eq!(form.password.expose_secret(), " луна&+1=");
        assert_eq!(form.repeat.expose_secret(), "a=b");
        assert_eq!(Form::parse(b"token=&password=&repeat").unwrap().seal, "");
    }

    #[test]
    fn what_is_wrong_with_a_form_is_told() {
        let long = format!("token={}&password=a&repeat=a", "a".repeat(129));
        let cases: &[(&[u8], Malformed)] = &[
            (b"", Malformed::Missing("token")),
            (b"token=a", Malformed::Missing("password")),
            (b"token=a&password=b", Malformed::Missing("repeat")),
            (b"token=a&token=a&password=b&repeat=b", Malformed::Repeated("token")),
            (
                b"token=a&password=b&repeat=b&pass%77ord=b",
                Malformed::Repeated("password"),
            ),
            (b"token=a&password=b&repeat=b&seal=&seal=", Malformed::Repeated("seal")),
            (b"token=a&password=%ff&repeat=b", Malformed::NotUtf8("password")),
            (b"token=a&password=b&repeat=\xc3", Malformed::NotUtf8("repeat")),
            (long.as_bytes(), Malformed::TooLong("token")),
        ];
        for (body, expected) in cases {
            assert_eq!(Form::parse(body).unwrap_err(), *expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_query_has_one_token() {
        assert_eq!(token("a=b&token=dwl_x%2Dy&utm_source=mail").unwrap(), "dwl_x-y");
        for (query, expected) in [
            ("", Malformed::Missing("token")),
            ("token", Malformed::Missing("token")),
            ("token=", Malformed::Missing("token")),
            ("Token=a", Malformed::Missing("token")),
            ("token=a&token=a", Malformed::Repeated("token")),
            ("token=%FF", Malformed::NotUtf8("token")),
        ] {
            assert_eq!(token(query).unwrap_err(), expected, "{query}");
        }
        assert_eq!(token(&format!("token={}", "a".repeat(128))).unwrap().len(), 128);
        let long = format!("token={}", "a".repeat(129));
        assert_eq!(token(&long).unwrap_err(), Malformed::TooLong("token"));
    }

    #[test]
    fn only_a_forms_type_is_a_form() {
        for (content_type, expected) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", true),
            ("application/x-www-form-urlencodedx", false),
            ("multipart/form-data; boundary=x", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(is_form(&headers), expected, "{content_type}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }
}
