//! `Mail`.

use std::sync::Arc;

use async_graphql::{ID, Object};

use crate::domain;
use crate::domain::page::Position;
use crate::domain::query::mail_position;
use crate::graphql::node_id;
use crate::graphql::paging::{Listed, OrderTag};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::MailState;

/// A mail of the outbox.
#[derive(Debug, Clone)]
pub struct Mail(pub Arc<domain::mail::Mail>);

impl Listed for Mail {
    const NAME: &'static str = "Mail";
    fn position(&self, _: OrderTag) -> Position {
        mail_position(&self.0)
    }
}

/// A mail of the outbox. What it says is between it and its reader.
#[Object]
impl Mail {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// Where it goes.
    async fn to(&self) -> &str {
        self.0.to.as_str()
    }

    /// Its subject.
    async fn subject(&self) -> &str {
        &self.0.subject
    }

    /// How far it has come.
    async fn state(&self) -> MailState {
        self.0.state.into()
    }

    /// How often it was tried.
    async fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Why the last attempt failed, or why it was given up.
    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// When it was queued.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it is tried (again), while it waits.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_attempt_at.map(DateTime)
    }

    /// When the mail server took it.
    async fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(DateTime)
    }
}
