//! One line in the log for each request, an id for it, and where it comes from.
//!
//! The line names method and path and never the query string, a header, a body or a variable: those hold tokens, passwords
//! and links.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::HttpState;
use super::metrics::Metrics;
use crate::auth::find_secret;
use crate::domain::clock::{Entropy, EntropyError};
use crate::domain::login_event::EventOrigin;
use crate::origin::Origin;

/// Carries the request's id to the client. One that a client sends is not taken over: it could be anybody's.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes ids that do not repeat within a process, and hardly among several.
#[derive(Debug)]
pub(super) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(super) fn new(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut seed = [0; 8];
        entropy.fill(&mut seed)?;
        Ok(Self(AtomicU64::new(u64::from_le_bytes(seed))))
    }

    fn next(&self) -> String {
        format!("{:016x}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The outermost layer: finds out where the request comes from, runs it in a span and logs how it ended.
pub(super) async fn observe(
    State(state): State<HttpState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let origin = event_origin(state.origins.of(peer.ip(), request.headers()));
    let id = state.request_ids.next();
    let path = fit_to_read(request.uri().path());
    let path = path.as_ref();
    let span = tracing::info_span!("request", id, method = %request.method(), path, client = %origin.ip);
    let mut line = Line {
        metrics: Arc::clone(&state.metrics),
        path: path.to_owned(),
        started: Instant::now(),
        status: None,
        // Supervisors ask every few seconds.
        is_probe: matches!(path, "/healthz" | "/readyz" | "/metrics"),
        span: span.clone(),
    };
    request.extensions_mut().insert(origin);
    let mut response = next.run(request).instrument(span).await;
    line.status = Some(response.status().as_u16());
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Writes the line when it goes out of scope: also when the client went away before the answer.
struct Line {
    metrics: Arc<Metrics>,
    path: String,
    started: Instant,
    status: Option<u16>,
    is_probe: bool,
    span: tracing::Span,
}

impl Drop for Line {
    fn drop(&mut self) {
        let _entered = self.span.enter();
        let took = self.started.elapsed();
        let milliseconds = took.as_secs_f64() * 1000.0;
        if let Some(status) = self.status {
            self.metrics.count(&self.path, status, took);
        }
        match self.status {
            Some(status) if self.is_probe => tracing::debug!(status, milliseconds, "answered"),
            Some(status) => tracing::info!(status, milliseconds, "answered"),
            None => tracing::info!(milliseconds, "the client went away"),
        }
    }
}

/// A path without what a mail program made part of it: one that escapes the `?` of a link leaves its token in the path.
fn fit_to_read(path: &str) -> Cow<'_, str> {
    let escaped = path.to_ascii_lowercase().find("%3f");
    match escaped.into_iter().chain(find_secret(path)).min() {
        Some(end) => Cow::Owned(format!("{}…", path.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(path),
    }
}

fn event_origin(origin: Origin) -> EventOrigin {
    let Origin { ip, client, location } = origin;
    EventOrigin {
        ip,
        location,
        browser: client.browser.map(Into::into),
        operating_system: client.operating_system,
        device: client.device,
        user_agent: client.user_agent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_was_mangled_does_not_show_its_token() {
        let token = format!("dwl_{}", "A".repeat(43));
        for (path, shown) in [
            ("/set-password".to_owned(), "/set-password"),
            (format!("/set-password%3Ftoken={token}"), "/set-password…"),
            (format!("/set-password%3ftoken%3D{token}"), "/set-password…"),
            (format!("/set-password&token={token}"), "/set-password&token=…"),
            (format!("/set-password/{token}"), "/set-password/…"),
        ] {
            assert_eq!(fit_to_read(&path), shown);
        }
    }
}
