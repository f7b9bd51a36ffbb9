//! Log lines, on standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::cli::failure::Usage;
use crate::cli::output::wants_colour;

/// How log lines look: for people, or one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Human,
    Json,
}

/// Libraries that log what they carry, which may be a token or a password. They say no more than this whatever is asked for:
/// what is logged must be fit to be read.
const CARRIERS: [&str; 6] = [
    "tungstenite=info",
    "tokio_tungstenite=info",
    "h2=info",
    "hyper=info",
    "ldap3=info",
    "lber=info",
];

/// Starts logging. `filter` beats the default: everything from `info` up while serving, from `warn` up otherwise.
pub(super) fn start(filter: Option<&str>, format: LogFormat, serves: bool) -> anyhow::Result<()> {
    let text = filter.filter(|text| !text.trim().is_empty());
    let text = text.unwrap_or(if serves { "info" } else { "warn" });
    let mut filter = EnvFilter::try_new(text).map_err(|error| {
        Usage(format!(
            "--log (DOORWARD_LOG) is {text:?}: {error}; write a level such as info, or info,doorward::store=trace"
        ))
    })?;
    // Each of them is a directive, so none is left out.
    for quiet in CARRIERS.iter().filter_map(|carrier| carrier.parse().ok()) {
        filter = filter.add_directive(quiet);
    }
    let stderr = std::io::stderr();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Human => builder.with_ansi(wants_colour(stderr.is_terminal())).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    // A bug shows as one line in the log, not as a page of the runtime's.
    std::panic::set_hook(Box::new(|panic| tracing::error!("internal error: {panic}")));
    Ok(())
}
