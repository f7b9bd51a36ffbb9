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

/// Starts logging. `filter` beats the default: everything from `info` up while serving, from `warn` up otherwise.
pub(super) fn start(filter: Option<&str>, format: LogFormat, serves: bool) -> anyhow::Result<()> {
    let text = filter.filter(|text| !text.trim().is_empty());
    let text = text.unwrap_or(if serves { "info" } else { "warn" });
    let filter = EnvFilter::try_new(text).map_err(|error| {
        Usage(format!(
            "--log (DOORWARD_LOG) is {text:?}: {error}; write a level such as info, or info,doorward::store=trace"
        ))
    })?;
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
