//! Media types and languages: what the client accepts, what it sends.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE};

use crate::domain::account::Language;

/// The form of an answer (GraphQL over HTTP, draft of June 2025, "Media Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// The status tells how the request went.
    GraphqlResponse,
    /// The older form: a well-formed request is 200 whatever came of it.
    Json,
}

impl Media {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }

    fn essence(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::Json => "application/json",
        }
    }

    /// The form that the client likes best; `None` when it accepts neither.
    ///
    /// The most specific range decides for each form (RFC 9110 §12.5.1). At equal weights a client that names the newer
    /// form gets it; one that takes anything, or says nothing, gets plain JSON.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(ACCEPT) {
            return Some(Self::Json);
        }
        let ranges: Vec<Range> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(Range::parse)
            .collect();
        let weight = |media: Self| {
            let of = |name: &str| ranges.iter().find(|r| r.name == name).map(|r| r.weight);
            of(media.essence())
                .or_else(|| of("application/*"))
                .or_else(|| of("*/*"))
                .unwrap_or(0.0)
        };
        let (newer, json) = (weight(Self::GraphqlResponse), weight(Self::Json));
        let newer_named = ranges.iter().any(|r| r.name == Self::GraphqlResponse.essence());
        if newer > json || (newer == json && newer > 0.0 && newer_named) {
            Some(Self::GraphqlResponse)
        } else {
            (json > 0.0).then_some(Self::Json)
        }
    }
}

/// The language that the client likes best of ours (RFC 9110 §12.5.4), the first of several; English when it wants none.
pub(super) fn language(headers: &HeaderMap) -> Language {
    let lines = headers.get_all(ACCEPT_LANGUAGE);
    let mut best = (Language::default(), 0.0);
    for element in lines.iter().filter_map(|l| l.to_str().ok()).flat_map(|l| l.split(',')) {
        if let Some(Range { name, weight }) = Range::parse(element)
            && let Some(language) = Language::of_tag(&name)
            && weight > best.1
        {
            best = (language, weight);
        }
    }
    best.0
}

/// One element of `Accept` or `Accept-Language`.
struct Range {
    name: String,
    weight: f32,
}

impl Range {
    /// `None` for what could only be answered in another charset.
    fn parse(element: &str) -> Option<Self> {
        let (name, parameters) = split(element);
        let mut weight = 1.0;
        for (key, value) in parameters {
            match key.as_str() {
                // A weight that is no number counts as a refusal.
                "q" => weight = value.parse().unwrap_or(0.0),
                "charset" if !is_utf8(&value) => return None,
                _ => {}
            }
        }
        Some(Self { name, weight })
    }
}

/// What a request's body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// `application/json`.
    Json,
    /// `multipart/form-data`; the whole header, with its boundary.
    Multipart(String),
}

impl Content {
    /// What `Content-Type` says; `None` when it is absent, given twice, or of a kind that is not taken.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let text = value.to_str().ok()?;
        let (name, mut parameters) = split(text);
        match name.as_str() {
            "application/json" => parameters
                .all(|(key, value)| key != "charset" || is_utf8(&value))
                .then_some(Self::Json),
            "multipart/form-data" => Some(Self::Multipart(text.to_owned())),
            _ => None,
        }
    }
}

/// `Type/Sub; Key="value"` as a lower-case name and its parameters, keys in lower case, without quotes.
fn split(text: &str) -> (String, impl Iterator<Item = (String, String)>) {
    let mut parts = text.split(';');
    let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let parameters = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((
            key.trim().to_ascii_lowercase(),
            value.trim().trim_matches('"').to_owned(),
        ))
    });
    (name, parameters)
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_that_the_client_likes_best() {
        let newer = Some(Media::GraphqlResponse);
        let json = Some(Media::Json);
        let cases = [
            ("application/graphql-response+json", newer),
            ("application/json", json),
            ("*/*", json),
            ("application/*", json),
            ("text/html, */*;q=0.1", json),
            ("application/graphql-response+json, application/json", newer),
            ("application/json, application/graphql-response+json", newer),
            ("application/graphql-response+json;q=0.9, application/json;q=0.5", newer),
            ("application/graphql-response+json;q=0.5, application/json", json),
            ("APPLICATION/JSON; Charset=\"UTF-8\"", json),
            (
                "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
                newer,
            ),
            ("application/json;q=0, */*", newer),
            ("application/graphql-response+json;q=0, */*", json),
            ("application/json; charset=iso-8859-1", None),
            ("application/json;q=x", None),
            ("application/json;q=0", None),
            ("*/*;q=0", None),
            ("text/html", None),
            ("", None),
        ];
        for (accept, expected) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Media::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(Media::accepted(&HeaderMap::new()), json);
    }

    #[test]
    fn the_language_that_the_client_likes_best() {
        let cases = [
            ("ru", Language::Ru),
            ("ru-RU,ru;q=0.9,en-US;q=0.8", Language::Ru),
            ("en-GB, ru", Language::En),
            ("en;q=0.3, RU-ru;q=0.4", Language::Ru),
            ("de, fr;q=0.9, ru;q=0.1", Language::Ru),
            ("ru;q=0", Language::En),
            ("ru;q=x, *", Language::En),
            ("rus, de", Language::En),
            ("", Language::En),
        ];
        for (accepted, expected) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(accepted))]);
            assert_eq!(language(&headers), expected, "{accepted}");
        }
        assert_eq!(language(&HeaderMap::new()), Language::En);
    }

    #[test]
    fn what_the_body_is() {
        let form = "multipart/form-data; boundary=x";
        let cases = [
            ("application/json", Some(Content::Json)),
            ("Application/JSON; charset=UTF-8", Some(Content::Json)),
            ("application/json;charset=utf8", Some(Content::Json)),
            ("application/json; charset=utf-16", None),
            (form, Some(Content::Multipart(form.to_owned()))),
            ("application/graphql-response+json", None),
            ("application/jsonp", None),
            ("text/plain", None),
            ("text/plain; application/json", None),
            ("application/x-www-form-urlencoded", None),
            ("", None),
        ];
        for (content_type, expected) in cases {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(Content::of(&headers), expected, "{content_type}");
        }
        assert_eq!(Content::of(&HeaderMap::new()), None);
        let mut twice = HeaderMap::new();
        twice.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        twice.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(Content::of(&twice), None);
    }
}
