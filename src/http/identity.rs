//! Who asks: the bearer token or the session's cookie.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use crate::auth::{BearerSecret, SessionSecret};
use crate::graphql::CookieChange;

/// The cookie's name.
const COOKIE_NAME: &str = "doorward_session";

/// What a request shows for its identity.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Nothing.
    None,
    /// A bearer token; a cookie beside it does not count.
    Bearer(BearerSecret),
    /// An `Authorization` that can be nobody's: says why.
    Malformed(&'static str),
    /// The cookie; `None` inside: one that can be nobody's.
    Cookie(Option<SessionSecret>),
}

impl Credentials {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        match (lines.next(), lines.next()) {
            (None, _) => {
                cookie(headers, COOKIE_NAME).map_or(Self::None, |text| Self::Cookie(SessionSecret::parse(text)))
            }
            (Some(_), Some(_)) => Self::Malformed("there is more than one Authorization header; send one"),
            (Some(line), None) => Self::of_authorization(line.to_str().unwrap_or_default()),
        }
    }

    /// What an `Authorization` shows, wherever it stands.
    pub(super) fn of_authorization(text: &str) -> Self {
        authorization(text.trim())
    }
}

fn authorization(text: &str) -> Credentials {
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Credentials::Malformed("the Authorization header should be \"Bearer TOKEN\"");
    }
    BearerSecret::parse(token.trim_start()).map_or(Credentials::Malformed(NOT_VALID), Credentials::Bearer)
}

/// What is said of a token that opens nothing, whatever the reason: a client learns no more.
pub(super) const NOT_VALID: &str = "the bearer token is not valid, or not any more; sign in again";

/// A cookie's value. Of several the first: browsers send the one of the longest path first.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .find(|(given, _)| given.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The `Set-Cookie` for a change. `lifetime` is the session's.
pub(super) fn set_cookie(change: &CookieChange, lifetime: Duration, secure: bool) -> HeaderValue {
    let (value, max_age) = match change {
        CookieChange::Set(secret) => (secret.expose(), lifetime.as_secs()),
        CookieChange::Clear => ("", 0),
    };
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE_NAME}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={max_age}{secure}");
    #[expect(
        clippy::expect_used,
        reason = "a secret is base64url, the rest is ASCII written here"
    )]
    let mut header = HeaderValue::try_from(text).expect("a header value");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SystemEntropy;

    fn of(headers: &[(&'static str, &str)]) -> Credentials {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Credentials::of(&map)
    }

    #[test]
    fn the_bearer_beats_the_cookie_and_never_falls_back_to_it() {
        let secret = SessionSecret::generate(&SystemEntropy).unwrap();
        let token = secret.expose();
        let cookie = format!("doorward_session={token}");
        for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
            let line = format!("{scheme} {token}");
            let found = of(&[("authorization", &line), ("cookie", &cookie)]);
            assert!(
                matches!(found, Credentials::Bearer(s) if s.hash() == secret.hash()),
                "{line}"
            );
        }
        for line in ["", "Bearer", "Bearer x", "Basic dTpw", token, "Bearerx"] {
            let found = of(&[("authorization", line), ("cookie", &cookie)]);
            assert!(matches!(found, Credentials::Malformed(_)), "{line}");
        }
        let line = format!("Bearer {token}");
        let twice = of(&[("authorization", &line), ("authorization", &line)]);
        assert!(matches!(twice, Credentials::Malformed(_)));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let secret = SessionSecret::generate(&SystemEntropy).unwrap();
        let token = secret.expose();
        for line in [
            format!("doorward_session={token}"),
            format!("a=b; doorward_session={token}; c=d=e"),
            format!("a;doorward_session={token};doorward_session=x"),
        ] {
            let found = of(&[("cookie", "x=y"), ("cookie", &line)]);
            assert!(
                matches!(found, Credentials::Cookie(Some(s)) if s.hash() == secret.hash()),
                "{line}"
            );
        }
        for line in ["doorward_session=", "doorward_session=x", "doorward_session=\"\""] {
            assert!(matches!(of(&[("cookie", line)]), Credentials::Cookie(None)), "{line}");
        }
        for line in ["", "xdoorward_session=a", "doorward_session", "Doorward_Session=a"] {
            assert!(matches!(of(&[("cookie", line)]), Credentials::None), "{line}");
        }
    }

    #[test]
    fn the_cookie_is_out_of_scripts_reach() {
        let secret = SessionSecret::generate(&SystemEntropy).unwrap();
        let expected = format!(
            "doorward_session={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=43200",
            secret.expose()
        );
        let change = CookieChange::Set(secret);
        let lifetime = Duration::from_secs(12 * 3600);
        let plain = set_cookie(&change, lifetime, false);
        assert_eq!(plain, expected);
        assert!(!format!("{plain:?}").contains("dws_"));
        assert_eq!(set_cookie(&change, lifetime, true), format!("{expected}; Secure"));
        assert_eq!(
            set_cookie(&CookieChange::Clear, lifetime, true),
            "doorward_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0; Secure"
        );
    }
}
