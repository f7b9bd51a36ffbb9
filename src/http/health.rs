//! `/healthz` and `/readyz`: for load balancers and supervisors.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::HttpState;

/// The store must have answered by then.
const PING: Duration = Duration::from_secs(2);

/// How a directory's servers are, as far as is known without asking them now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryState {
    /// Its name in the configuration.
    pub name: String,
    /// Its servers, in the configured order.
    pub servers: Vec<ServerState>,
}

/// How one directory server is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerState {
    /// The URL as configured.
    pub url: String,
    /// It answered when it was last spoken to.
    pub is_healthy: bool,
}

/// Tells how the directories are. Must not block: it is asked at every `/readyz`.
pub type Directories = Arc<dyn Fn() -> Vec<DirectoryState> + Send + Sync>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    status: &'static str,
    store: StoreState,
    directories: Vec<DirectoryState>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreState {
    is_healthy: bool,
}

/// The process runs and answers.
pub(super) async fn live() -> Response {
    ([(CACHE_CONTROL, "no-store")], "ok").into_response()
}

/// The process can do its work. A directory that is away does not make it unready: local users are not affected.
pub(super) async fn ready(State(state): State<HttpState>) -> Response {
    let is_healthy = match tokio::time::timeout(PING, state.backend.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store does not answer");
            false
        }
        Err(_) => {
            tracing::warn!("the store did not answer within {PING:?}");
            false
        }
    };
    let (status, word) = if is_healthy {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let readiness = Readiness {
        status: word,
        store: StoreState { is_healthy },
        directories: (state.directories)(),
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(readiness)).into_response()
}
