//! Refusals of the HTTP layer, in the shape of GraphQL's errors, so that a client reads one kind of answer only.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::media::Media;

/// A request that never became an answer of GraphQL's.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    header: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    /// 400, or another status for a request that should have been put in another way.
    pub(super) fn bad(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: "BAD_REQUEST",
            message: message.into(),
            header: None,
        }
    }

    /// 400.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad(StatusCode::BAD_REQUEST, message)
    }

    /// 401, with the challenge that RFC 9110 §15.5.2 asks for.
    pub(super) fn unauthenticated(message: &'static str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "UNAUTHENTICATED",
            message: message.into(),
            header: Some((WWW_AUTHENTICATE, "Bearer")),
        }
    }

    /// 403.
    pub(super) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: "FORBIDDEN",
            message: message.into(),
            header: None,
        }
    }

    /// 405; `allow` are the methods that would do.
    pub(super) fn method(allow: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            header: Some((ALLOW, allow)),
            ..Self::bad(StatusCode::METHOD_NOT_ALLOWED, message)
        }
    }

    /// 503.
    pub(super) fn unavailable(message: &'static str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "UNAVAILABLE",
            message: message.into(),
            header: None,
        }
    }

    /// 500; the reason is in the log only.
    pub(super) fn internal() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "INTERNAL",
            message: "something went wrong on the server; its log says what".into(),
            header: None,
        }
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer in that form.
    pub(super) fn into_response(self, media: Media) -> Response {
        let body = json!({ "errors": [{ "message": self.message, "extensions": { "code": self.code } }] });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
