//! `doorward serve`

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::app::{self, App};
use crate::cli::health::reachable;
use crate::cli::output::wants_colour;
use crate::cli::signals;
use crate::config::{Config, HttpConfig};
use crate::domain::clock::{SystemClock, SystemEntropy};
use crate::service::FirstOperator;

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let app = App::open(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
    // The port comes before the operator: a password that nobody can use yet is not shown for the only time.
    let listener = match app::listen(config.http.listen) {
        Ok(listener) => listener,
        Err(error) => {
            app.close().await;
            return Err(error.into());
        }
    };
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if let Some(operator) = app.services().ensure_operator().await? {
        show(&operator, config)?;
    }
    let address = listener.local_addr()?;
    tracing::info!(%address, store = %config.store.url.redacted(), "serving; GraphiQL is at {}", playground(config));
    let stopped = async {
        let _ = stop.await; // Err: nobody listens for signals any more, so nobody can ask
        tracing::info!("stopping");
    };
    Ok(app.serve(listener, stopped).await?)
}

/// Where a browser finds GraphiQL: where only `http.listen` was changed, there and not at the default address.
pub(super) fn playground(config: &Config) -> String {
    let (http, default) = (&config.http, HttpConfig::default());
    if http.public_url != default.public_url || http.listen == default.listen {
        return format!("{}graphiql", http.public_url);
    }
    let scheme = if http.tls().is_some() { "https" } else { "http" };
    format!("{scheme}://{}/graphiql", reachable(http.listen))
}

/// Tells the only person who will ever know.
fn show(operator: &FirstOperator, config: &Config) -> std::io::Result<()> {
    let stderr = std::io::stderr();
    let (bold, plain) = if wants_colour(stderr.is_terminal()) {
        ("\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    let rule = "─".repeat(72);
    let text = format!(
        "\n{rule}\n  \
         This store has no operator yet, so one was made. Its password is shown only now;\n  \
         it must be changed at the first sign-in.\n\n  \
         Login:     {bold}{}{plain}\n  \
         Password:  {bold}{}{plain}\n  \
         Sign in:   {}\n{rule}\n\n",
        operator.login,
        operator.password.expose_secret(),
        playground(config),
    );
    stderr.lock().write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_address_is_one_that_can_be_opened() {
        let mut config = Config::default();
        assert_eq!(playground(&config), "http://127.0.0.1:8080/graphiql");
        config.http.listen = "0.0.0.0:9000".parse().unwrap();
        assert_eq!(playground(&config), "http://127.0.0.1:9000/graphiql");
        config.http.public_url = "https://door.example.org".parse().unwrap();
        assert_eq!(playground(&config), "https://door.example.org/graphiql");
    }
}
