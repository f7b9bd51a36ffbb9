//! What can be wrong with the mail server, the templates, or one mail.

use std::io;
use std::path::PathBuf;

use lettre::transport::smtp;

use super::text::clean_line;

/// What is wrong with the mail server, the operator's templates, or a mail that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The CA file cannot be read.
    #[error("cannot read mail.ca_file {}: {source}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The CA file is no PEM file of certificates, or TLS cannot be set up.
    #[error("TLS for {server} cannot be set up: {reason}; mail.ca_file must be a PEM file of certificates")]
    Tls {
        /// Host and port.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// `mail.url` is empty.
    #[error("mail.url is empty, so mail is off; it should be smtp://USER@HOST:587?tls=required or smtps://USER@HOST")]
    Off,
    /// The server did not take the connection, the encryption or the user.
    #[error("{server}: {reason}; {right}")]
    Server {
        /// Host and port.
        server: String,
        /// What it said, or what did not work.
        reason: String,
        /// What to look at.
        right: &'static str,
    },
    /// `mail.templates` or a file in it cannot be read.
    #[error("cannot read {}: {source}; mail.templates must be a folder of files that Doorward may read", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A template, or `branding.toml`, is not right, or a template cannot be filled in.
    #[error("{place}: {reason}")]
    Template {
        /// The file and, where that is known, the line; or the name of a built-in template.
        place: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The address, or another part of one mail, cannot be written into a message.
    #[error("the mail cannot be written: {0}")]
    Unwritable(String),
}

/// What became of a message that the server did not take.
///
/// Each `reason` is one line of at most 300 characters and without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Never: the server answered 5xx for this message.
    #[error("{reason}")]
    Refused {
        /// The server's code; `None` when the message needs what the server does not offer, so it was not tried.
        code: Option<u16>,
        /// Code and the server's words.
        reason: String,
    },
    /// Not now: the server answered 4xx for this message.
    #[error("{reason}")]
    Later {
        /// The server's code.
        code: u16,
        /// Code and the server's words.
        reason: String,
    },
    /// The message was not offered, or surely not taken, and that is no fault of its own: no connection, no TLS, a sign-in or
    /// `mail.from` that the server refuses, a server that hung up or was silent before it asked for the message.
    #[error("{reason}")]
    Unreachable {
        /// What did not work.
        reason: String,
    },
    /// The server took sender and recipient, and hung up or fell silent amid the message: surely not taken, and it may be the
    /// message's own doing.
    #[error("{reason}")]
    BrokenOff {
        /// What happened.
        reason: String,
    },
    /// The server had the whole message and did not answer: it may have taken it.
    #[error("{reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },
}

/// An error of the transport with what caused it, as one line.
pub(super) fn chain(mut error: &dyn std::error::Error) -> String {
    // The client puts what it says of encryption into another error of its own that adds nothing.
    while let Some(inner) = error.source().filter(|inner| inner.is::<smtp::Error>()) {
        error = inner;
    }
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = cause.source();
    }
    clean_line(&reason, 300)
}
