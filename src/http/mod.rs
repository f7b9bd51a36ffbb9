//! The HTTP layer: the GraphQL endpoint, the playground, health.
//!
//! What a browser may do with the session's cookie stands in `same_origin`, who asks in `identity`, what is read and
//! answered in `params` and `endpoint`, what goes over a WebSocket in `socket`, how long a client may take in `server`.

mod avatars;
mod backend;
mod endpoint;
mod health;
mod identity;
mod media;
mod metrics;
mod observe;
mod params;
pub mod playground;
mod refusal;
mod same_origin;
mod server;
mod set_password;
mod socket;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use prometheus_client::registry::Registry;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use url::Url;

pub use backend::Backend;
pub use health::{Directories, DirectoryState, ServerState};
pub use metrics::PREFIX as METRICS_PREFIX;
pub use server::{HttpError, Tls, serve};

use crate::config::{HttpConfig, LimitsConfig};
use crate::domain::clock::{Entropy, EntropyError};
use crate::graphql::documents::Parsed;
use crate::origin::Origins;
use metrics::Metrics;
use observe::{REQUEST_ID, RequestIds};
use same_origin::OwnOrigins;
use socket::Sockets;

/// How long browsers remember what CORS allows.
const CORS_MEMORY: Duration = Duration::from_secs(3600);

/// What the configuration says about HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The origin at which browsers reach the gateway. When it is https, cookies are `Secure`.
    pub public_url: Url,
    /// Other origins whose scripts may call, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// The listener speaks TLS itself.
    pub tls: bool,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// A request's body must be there within this.
    pub body_time: Duration,
    /// An answer comes within this, or says that it does not come.
    pub answer_time: Duration,
}

impl HttpSettings {
    /// Those of a configuration.
    #[must_use]
    pub fn new(http: &HttpConfig, limits: &LimitsConfig) -> Self {
        Self {
            public_url: http.public_url.clone(),
            allowed_origins: http.allowed_origins.clone(),
            tls: http.tls().is_some(),
            body_bytes: limits.body_bytes,
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
        }
    }
}

/// What the endpoints share. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    backend: Arc<dyn Backend>,
    origins: Arc<Origins>,
    directories: Directories,
    settings: Arc<HttpSettings>,
    own_origins: Arc<OwnOrigins>,
    request_ids: Arc<RequestIds>,
    entropy: Arc<dyn Entropy>,
    sockets: Sockets,
    metrics: Arc<Metrics>,
    parsed: Arc<Parsed>,
}

impl fmt::Debug for HttpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpState")
            .field("backend", &self.backend)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl HttpState {
    /// `directories` tells how the directories are, for `/readyz` and `/metrics`, which shows what `registry` has; `entropy` gives the start of the requests' ids, and what forms are known by.
    ///
    /// # Errors
    /// When the random source does not answer.
    pub fn new(
        backend: Arc<dyn Backend>,
        origins: Arc<Origins>,
        directories: Directories,
        registry: Registry,
        settings: HttpSettings,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, EntropyError> {
        Ok(Self {
            backend,
            origins,
            own_origins: Arc::new(OwnOrigins::new(settings.public_url.clone(), settings.tls)),
            settings: Arc::new(settings),
            request_ids: Arc::new(RequestIds::new(entropy.as_ref())?),
            entropy,
            sockets: Sockets::default(),
            metrics: Arc::new(Metrics::new(registry, Arc::clone(&directories))),
            parsed: Arc::default(),
            directories,
        })
    }
}

/// Everything that is served. It needs the peer's address ([`serve`] gives it).
pub fn router(state: HttpState) -> Router {
    let graphql = any(endpoint::endpoint).layer(cors(&state.settings.allowed_origins));
    Router::new()
        .route("/graphql", graphql)
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/avatars/{id}", get(avatars::avatar))
        .route("/set-password", set_password::route())
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .merge(playground::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(unless_set(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(unless_set(X_FRAME_OPTIONS, "DENY"))
        .layer(unless_set(REFERRER_POLICY, "no-referrer"))
        .layer(unless_set(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

/// Scripts of other origins may call with a bearer token, never with the cookie: that one is for our own pages, and an origin
/// that could use it would be as powerful as whoever is signed in. So credentials are not allowed.
fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER, REQUEST_ID])
        .max_age(CORS_MEMORY)
}

fn unless_set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// The client learns nothing of it.
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    refusal::Refusal::internal()
        .into_response(media::Media::Json)
        .into_response()
}
