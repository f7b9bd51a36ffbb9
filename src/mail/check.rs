//! Trying the mail server without sending anything.

use lettre::AsyncTransport;

use super::MailError;
use super::transport::{place, transport};
use crate::config::{MailConfig, MailTls};

/// Connects, encrypts and authenticates as for a message, sends none, and hangs up. Says what was done; `None` when mail
/// is off.
///
/// # Errors
/// [`MailError`] that says which part did not work.
pub async fn check(config: &MailConfig) -> Result<Option<String>, MailError> {
    let Some(server) = &config.server else {
        return Ok(None);
    };
    let ca = match &config.ca_file {
        Some(path) => Some(tokio::fs::read(path).await.map_err(|source| MailError::CaFile {
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let failed = |reason: String, right| MailError::Server {
        server: place(server),
        reason,
        right,
    };
    let transport = transport(config, server, ca.as_deref())?;
    let answered = transport.test_connection().await;
    transport.shutdown().await;
    match answered {
        Ok(true) => {
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
        Ok(false) => Err(failed(
            "the server hung up".to_owned(),
            "mail.url must name a server that takes messages from here",
        )),
        Err(error) => {
            let right = if error.is_tls() {
                "check mail.ca_file and the name in mail.url against the server's certificate"
            } else if error.is_permanent() || error.is_transient() {
                "check the user in mail.url and mail.password"
            } else {
                "check host, port and tls in mail.url"
            };
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let text = cause.to_string();
                if !reason.contains(&text) {
                    reason = format!("{reason}: {text}");
                }
                source = cause.source();
            }
            Err(failed(reason, right))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::MailServer;

    /// A mail server without TLS that answers a sign-in with `auth`; the URL that names it.
    async fn server(auth: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match line.split(' ').next().unwrap_or_default() {
                    "EHLO" => "250-mail.test\r\n250 AUTH PLAIN",
                    "AUTH" => auth,
                    "NOOP" => "250 ok",
                    _ => "221 bye",
                };
                if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        format!("smtp://ann@{address}")
    }

    fn config(url: &str) -> MailConfig {
        MailConfig {
            server: Some(MailServer::parse(url).unwrap()),
            password: Some("a secret".to_owned().into()),
            ..MailConfig::default()
        }
    }

    #[tokio::test]
    async fn mail_that_is_off_is_not_tried() {
        assert_eq!(check(&MailConfig::default()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_server_that_takes_the_user_is_right() {
        let url = server("235 welcome").await;
        let found = check(&config(&format!("{url}?tls=none"))).await.unwrap().unwrap();
        assert!(found.ends_with(", in clear, signed in as ann"), "{found}");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_what_to_look_at() {
        let url = server("535 no such user").await;
        let error = check(&config(&format!("{url}?tls=none")))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no such user") && error.contains("mail.password"),
            "{error}"
        );
        assert!(!error.contains("a secret"), "{error}");

        let clear_only = server("235 welcome").await;
        let error = check(&config(&clear_only)).await.unwrap_err();
        assert!(
            matches!(error, MailError::Server { .. }),
            "never in clear when TLS is required: {error}"
        );

        let error = check(&config("smtp://ann@127.0.0.1:1?tls=none"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("127.0.0.1:1: ") && error.contains("mail.url"),
            "{error}"
        );
    }
}
