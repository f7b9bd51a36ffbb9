//! Against cross-site request forgery: does a request come from our own pages, as far as its browser tells?
//!
//! A browser adds the session's cookie to whatever page asks for a request, so the cookie alone proves nothing about who
//! wanted it. Browsers say where a request was made: `Sec-Fetch-Site` (Fetch Metadata) tells it for the whole way with all
//! redirects and decides alone when it is there; browsers without it, and those that reach us over plain HTTP by name,
//! send `Origin` with every POST. A request with neither may come from an old browser's form or image, which can send any
//! content type but `application/json`: that one makes a browser ask first (a CORS preflight), so it shows the sender to be
//! a program, or a page that was let in. The same holds for GET, where only a script can set a content type at all.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Uri};
use url::Url;

use super::media::Content;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which origins are our own.
#[derive(Debug, Clone)]
pub(super) struct OwnOrigins {
    public: Url,
    /// This process speaks TLS itself.
    tls: bool,
}

impl OwnOrigins {
    pub(super) fn new(public: Url, tls: bool) -> Self {
        Self { public, tls }
    }

    /// May this request rely on the session's cookie, or ask for one?
    ///
    /// # Errors
    /// Why not, for the client.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), &'static str> {
        if headers.contains_key(SEC_FETCH_SITE) {
            return if all(headers, &SEC_FETCH_SITE, |site| site == "same-origin") {
                Ok(())
            } else {
                Err("the browser says in Sec-Fetch-Site that this request comes from another site")
            };
        }
        if headers.contains_key(ORIGIN) {
            let public = self.public.origin().ascii_serialization();
            let own = self.of_request(headers, uri);
            let ours = |origin: &str| origin == public || own.as_deref() == Some(origin);
            return if all(headers, &ORIGIN, ours) {
                Ok(())
            } else {
                Err("its Origin is neither that of http.public_url nor the one it was sent to")
            };
        }
        if Content::of(headers) == Some(Content::Json) {
            Ok(())
        } else {
            Err("it has neither Sec-Fetch-Site nor Origin, so its Content-Type must be application/json")
        }
    }

    /// Was a form sent from a page of ours? Forms of pages with `Referrer-Policy: no-referrer` come with `Origin: null`
    /// (Fetch, "append a request `Origin` header"), as do those of anybody's sandboxed frame: it says nothing.
    pub(super) fn of_form(&self, headers: &HeaderMap, uri: &Uri) -> FormSource {
        if !headers.contains_key(SEC_FETCH_SITE) && all(headers, &ORIGIN, |origin| origin == "null") {
            return FormSource::Unsaid;
        }
        match self.check(headers, uri) {
            Ok(()) => FormSource::Ours,
            Err(why) => FormSource::Foreign(why),
        }
    }

    /// May this upgrade to a WebSocket rely on the session's cookie?
    ///
    /// Browsers ask for one from any page and without asking first, but always say which (RFC 6455 §10.2), so a request
    /// that does not say it comes from no browser.
    ///
    /// # Errors
    /// Why not, for the client.
    pub(super) fn check_upgrade(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), &'static str> {
        if headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN) {
            self.check(headers, uri)
        } else {
            Ok(())
        }
    }

    /// The origin that the request was sent to.
    ///
    /// A proxy may have taken TLS off, so for the host of `public_url` its scheme is the true one, and that origin is
    /// compared anyway; for any other host it is what this process speaks.
    fn of_request(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = host.or_else(|| uri.authority().map(|a| a.as_str()))?;
        let at = |scheme: &str| {
            let url = Url::parse(&format!("{scheme}://{authority}")).ok()?;
            let bare =
                url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            bare.then(|| url.origin())
        };
        if at(self.public.scheme())? == self.public.origin() {
            return None;
        }
        Some(at(if self.tls { "https" } else { "http" })?.ascii_serialization())
    }
}

/// What a form's request says about the page that it was sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormSource {
    /// It is ours.
    Ours,
    /// It is not, for that reason.
    Foreign(&'static str),
    /// It may be anybody's.
    Unsaid,
}

/// Does every line of the header hold, if there are any?
fn all(headers: &HeaderMap, name: &HeaderName, holds: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .all(|value| value.to_str().is_ok_and(|text| holds(text.trim())))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    const PUBLIC: &str = "https://door.example.org";

    fn passes(public: &str, tls: bool, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let own = OwnOrigins::new(Url::parse(public).unwrap(), tls);
        own.check(&map, &Uri::from_static("/graphql")).is_ok()
    }

    #[test]
    fn what_browsers_say() {
        let json = (CONTENT_TYPE.as_str(), "application/json");
        let text = (CONTENT_TYPE.as_str(), "text/plain");
        let form = (CONTENT_TYPE.as_str(), "multipart/form-data; boundary=x");
        let host = ("host", "door.example.org");
        let evil = ("origin", "https://evil.test");
        let cases: &[(&[(&'static str, &'static str)], bool)] = &[
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin"), form], true),
            (&[("sec-fetch-site", "same-site"), json], false),
            (&[("sec-fetch-site", "cross-site"), json], false),
            (&[("sec-fetch-site", "none"), json], false),
            (&[("sec-fetch-site", ""), json], false),
            (
                &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
                false,
            ),
            // It tells of the whole way and cannot be set by a page, so it decides alone.
            (&[("sec-fetch-site", "cross-site"), ("origin", PUBLIC), json], false),
            (&[("origin", PUBLIC)], true),
            (&[("origin", PUBLIC), form], true),
            (&[evil, json], false),
            (&[("origin", PUBLIC), evil], false),
            (&[("origin", "null"), json], false),
            (&[("origin", "https://door.example.org:8443"), json], false),
            (&[("origin", "https://door.example.org.evil.test"), json], false),
            (&[("origin", "https://x.door.example.org"), json], false),
            // The public host is reached by its public scheme only: a page read over plain HTTP may be anybody's.
            (&[("origin", "http://door.example.org"), host, json], false),
            // Reached by another name, such as a port-forward's.
            (&[("origin", "http://localhost:8080"), ("host", "localhost:8080")], true),
            (&[("origin", "http://[::1]:8080"), ("host", "[::1]:8080")], true),
            (
                &[("origin", "https://localhost:8080"), ("host", "localhost:8080")],
                false,
            ),
            (
                &[("origin", "http://localhost:3000"), ("host", "localhost:8080")],
                false,
            ),
            (&[("origin", "http://evil.test"), ("host", "x@evil.test"), json], false),
            (&[("origin", "http://evil.test"), ("host", "evil.test/x"), json], false),
            (&[json], true),
            (&[json, host], true),
            (&[text], false),
            (&[form], false),
            (&[], false),
        ];
        for (headers, expected) in cases {
            assert_eq!(passes(PUBLIC, false, headers), *expected, "{headers:?}");
        }
    }

    #[test]
    fn upgrades_say_where_they_come_from_or_come_from_no_browser() {
        let own = OwnOrigins::new(Url::parse(PUBLIC).unwrap(), false);
        let passes = |headers: &[(&'static str, &'static str)]| {
            let map = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            own.check_upgrade(&map.collect(), &Uri::from_static("/graphql")).is_ok()
        };
        assert!(passes(&[]));
        assert!(passes(&[("origin", PUBLIC)]));
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("origin", PUBLIC)]));
        assert!(passes(&[
            ("origin", "http://localhost:8080"),
            ("host", "localhost:8080")
        ]));
        assert!(!passes(&[("origin", "https://evil.test")]));
        assert!(!passes(&[("origin", "null")]));
        assert!(!passes(&[("origin", PUBLIC), ("origin", "https://evil.test")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", PUBLIC)]));
    }

    #[test]
    fn a_form_says_where_it_comes_from_or_leaves_it_open() {
        let own = OwnOrigins::new(Url::parse(PUBLIC).unwrap(), false);
        let of = |headers: &[(&'static str, &'static str)]| {
            let map = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            own.of_form(&map.collect(), &Uri::from_static("/set-password"))
        };
        let (same, null) = (("sec-fetch-site", "same-origin"), ("origin", "null"));
        let (public, evil) = (("origin", PUBLIC), ("origin", "https://evil.test"));
        for ours in [&[same][..], &[same, null], &[same, evil], &[public]] {
            assert_eq!(of(ours), FormSource::Ours, "{ours:?}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            for origin in [null, public] {
                let headers = [("sec-fetch-site", site), origin];
                assert!(matches!(of(&headers), FormSource::Foreign(_)), "{headers:?}");
            }
        }
        for foreign in [
            &[evil][..],
            &[public, evil],
            &[null, evil],
            &[null, public],
            &[("origin", "")],
        ] {
            assert!(matches!(of(foreign), FormSource::Foreign(_)), "{foreign:?}");
        }
        for unsaid in [&[][..], &[null], &[("content-type", "application/json")]] {
            assert_eq!(of(unsaid), FormSource::Unsaid, "{unsaid:?}");
        }
    }

    #[test]
    fn the_scheme_is_the_one_spoken_here() {
        let host = ("host", "localhost:8443");
        assert!(passes(PUBLIC, true, &[("origin", "https://localhost:8443"), host]));
        assert!(!passes(PUBLIC, true, &[("origin", "http://localhost:8443"), host]));
        let host = ("host", "127.0.0.1:8080");
        let local = "http://127.0.0.1:8080";
        assert!(passes(local, false, &[("origin", local), host]));
        assert!(!passes(local, false, &[("origin", "https://127.0.0.1:8080"), host]));
        // Default ports are never written in an origin.
        assert!(passes(
            PUBLIC,
            false,
            &[("origin", "http://other.test"), ("host", "other.test:80")]
        ));
    }
}
