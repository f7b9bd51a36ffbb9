//! The server that takes Doorward's messages.

mod check;
mod transport;

use std::io;
use std::path::PathBuf;

pub use check::check;

/// What is wrong with the mail server.
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
}
