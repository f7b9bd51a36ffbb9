//! Everything that writes to a person: mails are queued together with what causes them, and sent by the outbox.

mod alerts;
mod letters;
mod links;
mod notices;
mod outbox;
mod queue;
mod reports;
mod reset;

use std::sync::Arc;

use tokio::sync::Notify;

pub use alerts::Alert;
pub use links::{LinkSeen, NewPasswordByLink};
pub use outbox::{Outbox, spawn_outbox};
pub use reports::spawn_reports;

use crate::config::MailConfig;
use crate::domain::mail::Mail;
use crate::mail::{Sender, Templates};

pub(super) use letters::Address;

/// What writing and sending mails takes.
#[derive(Debug, Clone)]
pub struct Post {
    /// What messages look like.
    pub(super) templates: Arc<Templates>,
    /// The mail server; `None`: mail is off, and nothing is queued.
    pub(super) server: Option<Arc<PostServer>>,
    /// Tells this process's outbox that there is something to send, so that it need not wait for its next look.
    news: Arc<Notify>,
}

/// The mail server, and what messages to it say of themselves.
#[derive(Debug)]
pub struct PostServer {
    /// What hands messages over.
    pub sender: Sender,
    /// Whom they come from.
    pub config: MailConfig,
    /// The right side of their identifiers: a name of the gateway's own.
    pub host: String,
}

impl Post {
    /// With these templates and that server.
    #[must_use]
    pub fn new(templates: Templates, server: Option<PostServer>) -> Self {
        Self {
            templates: Arc::new(templates),
            server: server.map(Arc::new),
            news: Arc::new(Notify::new()),
        }
    }

    /// These were queued: if there are any, there is something to send.
    pub(super) fn announce(&self, mails: &[Mail]) {
        if !mails.is_empty() {
            self.wake();
        }
    }

    /// There is something to send.
    pub(super) fn wake(&self) {
        self.news.notify_one();
    }
}
