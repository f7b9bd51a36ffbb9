//! Handing messages to the mail server, over connections that are kept for the next one.
//!
//! The connections are this module's own rather than those of lettre's pool: that one takes a connection back that an attempt
//! was cancelled on (as by its time running out), in the middle of a message, and the answers to it would count as those to
//! the next message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lettre::Message;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use tokio::time::{Instant, sleep_until, timeout};

use super::error::chain;
use super::text::clean_line;
use super::transport::{ConnectError, Connector, hang_up, place};
use super::{MailError, SendError};
use crate::config::MailConfig;

/// For the answer to the question whether a kept connection still works.
const ALIVE: Duration = Duration::from_secs(5);

/// How long a connection is kept for a next message.
const IDLE: Duration = Duration::from_secs(30);

/// The most connections that are kept.
const KEPT: usize = 8;

/// The mail server, as seen by whoever has messages for it. Cheap to share; any number of messages can be under way.
#[derive(Debug)]
pub struct Sender {
    connector: Connector,
    kept: Arc<Kept>,
    /// [`MailConfig::timeout`].
    pub(super) limit: Duration,
}

/// Connections that wait for a next message, the latest used last.
#[derive(Default)]
struct Kept {
    connections: Mutex<Vec<(Instant, AsyncSmtpConnection)>>,
    /// Somebody is about to close those that wait too long.
    swept: AtomicBool,
}

/// How far an attempt has come, for when its time runs out.
#[derive(Default)]
struct Progress {
    /// The server asked for the message: what goes wrong from here on may be the message's doing.
    asked_for: AtomicBool,
    /// The dot that ends the message is about to be sent: from here on the server may take it whatever else happens.
    handed_over: AtomicBool,
}

/// Why a message was not taken, and what is left of the connection.
struct Failure {
    error: SendError,
    /// The connection is between two messages and can go on.
    usable: bool,
    /// The server went away before it had the whole message: with a connection that was kept that says nothing.
    lost: bool,
}

impl Sender {
    /// Reads the CA file; connects to nothing yet.
    ///
    /// # Errors
    /// [`MailError::Off`] when there is no server, [`MailError::CaFile`] and [`MailError::Tls`].
    pub async fn new(config: &MailConfig) -> Result<Self, MailError> {
        Ok(Self {
            connector: Connector::open(config).await?,
            kept: Arc::default(),
            limit: config.timeout,
        })
    }

    /// Hands a message to the server; takes at most [`MailConfig::timeout`].
    ///
    /// # Errors
    /// [`SendError`], which tells what the next step is.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let progress = Progress::default();
        match timeout(self.limit, self.attempt(message, &progress)).await {
            Ok(result) => result,
            Err(_) => {
                let reason = format!(
                    "{}: no answer within {} s",
                    place(self.connector.server()),
                    self.limit.as_secs()
                );
                Err(if progress.handed_over.load(Ordering::Relaxed) {
                    SendError::Unknown { reason }
                } else if progress.asked_for.load(Ordering::Relaxed) {
                    SendError::BrokenOff { reason }
                } else {
                    SendError::Unreachable { reason }
                })
            }
        }
    }

    /// Closes the connections that wait for a next message.
    pub async fn close(&self) {
        for (_, connection) in self.kept.take_all() {
            hang_up(connection).await;
        }
    }

    async fn attempt(&self, message: &Message, progress: &Progress) -> Result<(), SendError> {
        let content = message.formatted();
        let envelope = message.envelope();
        if let Some(mut connection) = self.kept_alive().await {
            match transact(&mut connection, envelope, &content, progress).await {
                // The server closed what had waited; that is no failed attempt.
                Err(failure) if failure.lost => {}
                result => return self.settle(connection, result),
            }
        }
        let mut connection = self
            .connector
            .connect()
            .await
            .map_err(|error| self.unconnected(&error))?;
        let result = transact(&mut connection, envelope, &content, progress).await;
        self.settle(connection, result)
    }

    /// A kept connection on which the server still answers, and that is between two messages.
    async fn kept_alive(&self) -> Option<AsyncSmtpConnection> {
        while let Some(mut connection) = self.kept.take() {
            match timeout(ALIVE, connection.command(Rset)).await {
                Ok(Ok(_)) => return Some(connection),
                Ok(Err(_)) => {}
                // A server that says nothing on one will say nothing on the others; waiting for each would use up the time.
                Err(_) => drop(self.kept.take_all()),
            }
        }
        None
    }

    fn settle(&self, connection: AsyncSmtpConnection, result: Result<(), Failure>) -> Result<(), SendError> {
        match result {
            Ok(()) => {
                self.kept.keep(connection);
                Ok(())
            }
            Err(failure) => {
                if failure.usable {
                    self.kept.keep(connection);
                }
                Err(failure.error)
            }
        }
    }

    /// Whatever a server says before a message is offered is about itself or the configuration, however final it sounds.
    fn unconnected(&self, error: &ConnectError) -> SendError {
        let place = place(self.connector.server());
        SendError::Unreachable {
            reason: clean_line(&format!("{place}: {error}"), 300),
        }
    }
}

impl Kept {
    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, connection) = connections.pop()?;
        if since.elapsed() < IDLE {
            return Some(connection);
        }
        // The latest one is too old, so all are; dropping closes them.
        connections.clear();
        None
    }

    fn take_all(&self) -> Vec<(Instant, AsyncSmtpConnection)> {
        std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(self: &Arc<Self>, connection: AsyncSmtpConnection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() < KEPT {
            connections.push((Instant::now(), connection));
            if !self.swept.swap(true, Ordering::AcqRel) {
                tokio::spawn(sweep(Arc::downgrade(self)));
            }
        }
    }

    /// Takes out what has waited too long. Says when to look again; `None` when nothing waits, and nobody looks any more.
    fn expire(&self) -> (Vec<AsyncSmtpConnection>, Option<Instant>) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = connections.partition_point(|(since, _)| since.elapsed() >= IDLE);
        let expired = connections.drain(..fresh).map(|(_, connection)| connection).collect();
        let next = connections.first().map(|(since, _)| *since + IDLE);
        if next.is_none() {
            self.swept.store(false, Ordering::Release);
        }
        (expired, next)
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// Closes connections that wait too long, while there are any.
async fn sweep(kept: Weak<Kept>) {
    let mut next = Instant::now() + IDLE;
    loop {
        sleep_until(next).await;
        let Some(kept) = kept.upgrade() else { return };
        let (expired, later) = kept.expire();
        drop(kept);
        for connection in expired {
            hang_up(connection).await;
        }
        match later {
            Some(later) => next = later,
            None => return,
        }
    }
}

/// Offers one message.
async fn transact(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    content: &[u8],
    progress: &Progress,
) -> Result<(), Failure> {
    let parameters = parameters(connection, envelope, content)?;
    // The sender is the same in every message: whatever the server has against it is about the configuration.
    let mail = Mail::new(envelope.from().cloned(), parameters);
    connection.command(mail).await.map_err(|error| {
        let failure = Failure::of_message(&error);
        match failure.error {
            SendError::Refused { reason, .. } => Failure::unreachable(format!("mail.from: {reason}"), failure.usable),
            _ => failure,
        }
    })?;
    for to in envelope.to() {
        let recipient = connection.command(Rcpt::new(to.clone(), Vec::new())).await;
        recipient.map_err(|error| Failure::of_message(&error))?;
    }
    connection
        .command(Data)
        .await
        .map_err(|error| Failure::of_message(&error))?;
    progress.asked_for.store(true, Ordering::Relaxed);
    // lettre writes the dot when the parts have come to their end.
    let mut parts = Some(content).into_iter();
    let parts = std::iter::from_fn(|| {
        let part = parts.next();
        if part.is_none() {
            progress.handed_over.store(true, Ordering::Relaxed);
        }
        part
    });
    let result = connection.message_iter(parts).await;
    result.map(drop).map_err(|error| {
        let failure = Failure::of_message(&error);
        let error = match failure.error {
            // Without any word of the server's.
            SendError::Unreachable { .. } if error.status().is_none() => {
                if progress.handed_over.load(Ordering::Relaxed) {
                    SendError::Unknown {
                        reason: format!("no answer to the whole message: {}", chain(&error)),
                    }
                } else {
                    SendError::BrokenOff {
                        reason: format!("broken off amid the message: {}", chain(&error)),
                    }
                }
            }
            said => said,
        };
        Failure {
            error,
            lost: false,
            ..failure
        }
    })
}

/// What the message takes beyond plain SMTP. Everything is encoded as ASCII, but for an address whose local part is not.
fn parameters(
    connection: &AsyncSmtpConnection,
    envelope: &Envelope,
    content: &[u8],
) -> Result<Vec<MailParameter>, Failure> {
    let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    let mut parameters = Vec::new();
    let info = connection.server_info();
    let lacks = |what| Failure {
        error: SendError::Refused {
            code: None,
            reason: format!("the mail server does not offer {what}, which an address outside ASCII takes"),
        },
        usable: true,
        lost: false,
    };
    if !envelope.to().iter().chain(envelope.from()).all(ascii) {
        if !info.supports_feature(Extension::SmtpUtfEight) {
            return Err(lacks("SMTPUTF8 (RFC 6531)"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !content.is_ascii() {
        if !info.supports_feature(Extension::EightBitMime) {
            return Err(lacks("8BITMIME (RFC 6152)"));
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

impl Failure {
    fn unreachable(reason: String, usable: bool) -> Self {
        Self {
            error: SendError::Unreachable { reason },
            usable,
            lost: false,
        }
    }

    /// What an error amid a message means.
    fn of_message(error: &Error) -> Self {
        let Some(status) = error.status() else {
            return Self {
                lost: true,
                ..Self::unreachable(chain(error), false)
            };
        };
        let code = u16::from(status);
        let words = std::error::Error::source(error).map(ToString::to_string);
        let reason = clean_line(&format!("{code} {}", words.unwrap_or_default()), 300);
        match code {
            // "Service not available, closing transmission channel" (RFC 5321 §4.2.2).
            421 => Self {
                lost: true,
                ..Self::unreachable(reason, false)
            },
            // Authentication is required, too weak, or failed (RFC 4954 §6): the configuration's, not the message's.
            530 | 534 | 535 | 538 => Self::unreachable(reason, true),
            500..600 => Self {
                error: SendError::Refused {
                    code: Some(code),
                    reason,
                },
                usable: true,
                lost: false,
            },
            _ => Self {
                error: SendError::Later { code, reason },
                usable: true,
                lost: false,
            },
        }
    }
}
