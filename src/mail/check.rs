//! Trying the mail server without sending anything.

use std::time::Duration;

use tokio::time::timeout;

use super::MailError;
use super::transport::{ConnectError, Connector, hang_up, place};
use crate::config::{MailConfig, MailTls};

/// For the answer to the last question, once the connection stands.
const ANSWER: Duration = Duration::from_secs(5);

/// Connects, encrypts and authenticates as for a message, sends none, and hangs up. Says what was done; `None` when mail
/// is off. Takes half a minute at most.
///
/// # Errors
/// [`MailError`] that says which part did not work.
pub async fn check(config: &MailConfig) -> Result<Option<String>, MailError> {
    if config.server.is_none() {
        return Ok(None);
    }
    let connector = Connector::open(config).await?;
    let server = connector.server();
    let failed = |reason: String, right| MailError::Server {
        server: place(server),
        reason,
        right,
    };
    let connected = connector.connect().await;
    let mut connection = connected.map_err(|error| failed(error.to_string(), what_to_look_at(&error)))?;
    let answers = timeout(ANSWER, connection.test_connected()).await.unwrap_or(false);
    hang_up(connection).await;
    if !answers {
        return Err(failed(
            "the server hung up".to_owned(),
            "mail.url must name a server that takes messages from here",
        ));
    }
    let encrypted = match server.tls {
        MailTls::Implicit => "TLS",
        MailTls::Required => "STARTTLS",
        MailTls::Opportunistic => "STARTTLS where offered",
        MailTls::Off => "in clear",
    };
    let user = server.user.as_ref().map(|user| format!(", signed in as {user}"));
    Ok(Some(format!(
        "{}, {encrypted}{}",
        place(server),
        user.unwrap_or_default()
    )))
}

fn what_to_look_at(error: &ConnectError) -> &'static str {
    const PLACE: &str = "check host, port and tls in mail.url";
    if error.is_tls() {
        return "check mail.ca_file and the name in mail.url against the server's certificate";
    }
    let ConnectError::Smtp(error) = error else {
        return PLACE;
    };
    if let Some(code) = error.status().map(u16::from) {
        // What RFC 4954 has for AUTH.
        if matches!(code, 432 | 454 | 530 | 534 | 535 | 538) {
            "check the user in mail.url and mail.password"
        } else {
            "ask whoever runs the server why it takes no messages from here"
        }
    } else if error.is_client() {
        "check the user and tls in mail.url against what the server offers"
    } else {
        PLACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Against a server: tests/it/mail/check.rs.
    #[tokio::test]
    async fn mail_that_is_off_is_not_tried() {
        assert_eq!(check(&MailConfig::default()).await.unwrap(), None);
    }
}
