//! Doorward's messages: what they say in each language, what they are as MIME, and the server that takes them.
//!
//! [`Templates`] turns a [`Mail`](crate::domain::mail::Mail) into text and HTML, [`message`] makes an RFC 5322 message of
//! that, and [`Sender`] hands it to the server and tells what came of it.

mod branding;
mod check;
mod context;
mod countries;
mod error;
mod message;
mod plot;
pub mod samples;
mod sender;
mod templates;
#[cfg(test)]
mod tests;
mod text;
mod transport;
mod words;

pub use check::check;
pub use error::{MailError, SendError};
pub use lettre::Message;
pub use message::message;
pub use sender::Sender;
pub use templates::{InlineImage, LinkText, Rendered, Templates};
