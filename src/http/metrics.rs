//! `/metrics`: what a monitoring system reads, in OpenMetrics' text format.

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::HttpState;
use super::health::Directories;

/// Upper bounds of the times to answer that are told apart, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The prefix of every name.
pub const PREFIX: &str = "doorward";

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Path, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    path: &'static str,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    path: &'static str,
}

impl Metrics {
    /// What `registry` has already, and what this layer and the directories add.
    pub fn new(mut registry: Registry, directories: Directories) -> Self {
        let requests = Family::<Request, Counter>::default();
        let durations = Family::<Path, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("http_requests", "Requests that were answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "How long an answer took",
            durations.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
        registry.register_collector(Box::new(DirectoryServers(directories)));
        Self {
            registry,
            requests,
            durations,
        }
    }

    /// One answered request.
    pub fn count(&self, path: &str, status: u16, took: Duration) {
        let path = known(path);
        let status = status.to_string();
        self.requests.get_or_create(&Request { path, status }).inc();
        self.durations.get_or_create(&Path { path }).observe(took.as_secs_f64());
    }
}

/// A path as a label: whoever asks for others must not fill the memory with them.
fn known(path: &str) -> &'static str {
    const PATHS: [&str; 7] = [
        "/graphql",
        "/graphiql",
        "/set-password",
        "/healthz",
        "/readyz",
        "/metrics",
        "/",
    ];
    if path.starts_with("/avatars/") {
        return "/avatars/{id}";
    }
    PATHS.into_iter().find(|known| *known == path).unwrap_or("other")
}

/// How the servers of the directories are at the moment of the question.
struct DirectoryServers(Directories);

impl fmt::Debug for DirectoryServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryServers")
    }
}

impl Collector for DirectoryServers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(
            "directory_server_up",
            "Whether a server of a directory answered when it was last spoken to",
            None,
            MetricType::Gauge,
        )?;
        for directory in (self.0)() {
            for server in directory.servers {
                let labels = [("directory", directory.name.as_str()), ("server", server.url.as_str())];
                let up = ConstGauge::new(i64::from(server.is_healthy));
                up.encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// All of it.
pub(super) async fn show(State(state): State<HttpState>) -> Response {
    let mut text = String::new();
    if encode(&mut text, &state.metrics.registry).is_err() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n").into_response();
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], text).into_response()
}
