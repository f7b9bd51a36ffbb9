//! What shows that a form was sent from a page of ours when the browser does not say it.
//!
//! The page asks for a cookie, so whoever could make a visitor's browser send it from elsewhere could sign that visitor in
//! as somebody else and read over their shoulder. Links in mails must not leak through `Referer`, so the page has
//! `Referrer-Policy: no-referrer`; browsers then send the form with `Origin: null`, and they send `Sec-Fetch-Site`, which
//! would tell, to https and loopback addresses only. For the rest the page carries a random value twice, in a hidden field
//! and in a cookie: another site's page can neither read the cookie nor set it, nor is it sent from there (`SameSite=Strict`).
//! Over https its name begins with `__Host-`, so that no neighbouring host can set it for ours either.

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::domain::clock::{Entropy, EntropyError};
use crate::http::identity::cookie;

/// How many random bytes it has,
const BYTES: usize = 32;
/// and how many characters those make.
const LENGTH: usize = 43;

/// The value of one visitor's forms.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    value: String,
    is_new: bool,
}

impl Seal {
    /// The one that the visitor's browser keeps, so that forms in several windows all work, or else a new one.
    ///
    /// # Errors
    /// When the random source does not answer.
    pub(super) fn of(headers: &HeaderMap, https: bool, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        if let Some(value) = kept(headers, https) {
            return Ok(Self {
                value: value.to_owned(),
                is_new: false,
            });
        }
        let mut bytes = [0_u8; BYTES];
        entropy.fill(&mut bytes)?;
        Ok(Self {
            value: URL_SAFE_NO_PAD.encode(bytes),
            is_new: true,
        })
    }

    /// For the form.
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// The `Set-Cookie` for a browser that does not keep it yet.
    pub(super) fn set_cookie(&self, https: bool) -> Option<HeaderValue> {
        self.is_new.then(|| header(&self.value, "", https)).flatten()
    }
}

/// Does the form's value show that the page was ours?
pub(super) fn holds(headers: &HeaderMap, https: bool, value: &str) -> bool {
    kept(headers, https).is_some_and(|kept| kept.as_bytes().ct_eq(value.as_bytes()).into())
}

/// The `Set-Cookie` that ends it.
pub(super) fn cleared(https: bool) -> Option<HeaderValue> {
    header("", "; Max-Age=0", https)
}

fn name(https: bool) -> &'static str {
    if https { "__Host-doorward_form" } else { "doorward_form" }
}

fn kept(headers: &HeaderMap, https: bool) -> Option<&str> {
    let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    cookie(headers, name(https)).filter(|value| value.len() == LENGTH && value.chars().all(is_ours))
}

fn header(value: &str, attributes: &str, https: bool) -> Option<HeaderValue> {
    // `__Host-` takes the path `/`.
    let end = if https { "/; Secure" } else { "/set-password" };
    let text = format!(
        "{}={value}; HttpOnly; SameSite=Strict{attributes}; Path={end}",
        name(https)
    );
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;
    use crate::domain::clock::SystemEntropy;

    fn with(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn the_field_must_be_what_the_cookie_is() {
        for (https, name, attributes) in [
            (false, "doorward_form", "Path=/set-password"),
            (true, "__Host-doorward_form", "Path=/; Secure"),
        ] {
            let seal = Seal::of(&HeaderMap::new(), https, &SystemEntropy).unwrap();
            let (value, set) = (seal.value(), seal.set_cookie(https).unwrap());
            assert_eq!(set, format!("{name}={value}; HttpOnly; SameSite=Strict; {attributes}"));
            assert!(!format!("{set:?}").contains(value));

            let headers = with(&format!("a=b; {name}={value}"));
            assert!(holds(&headers, https, value));
            assert!(!holds(&headers, !https, value), "each scheme has its own");
            for other in ["", &value[1..], &value.to_ascii_lowercase(), &format!("{value}A")] {
                assert!(!holds(&headers, https, other), "{other}");
            }
            let again = Seal::of(&headers, https, &SystemEntropy).unwrap();
            assert_eq!((again.value(), again.set_cookie(https)), (value, None));
        }
    }

    #[test]
    fn without_a_cookie_of_ours_nothing_holds() {
        let short = "A".repeat(42);
        let strange = format!("\"{}\"", "A".repeat(41));
        for value in ["", "x", &short, &strange] {
            let headers = with(&format!("doorward_form={value}"));
            assert!(!holds(&headers, false, value), "{value}");
            assert!(
                Seal::of(&headers, false, &SystemEntropy)
                    .unwrap()
                    .set_cookie(false)
                    .is_some()
            );
        }
        assert!(!holds(&HeaderMap::new(), false, ""));
    }
}
