//! What leads to mails: alerts of applications, and the outbox in operators' hands.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::{AlertKind, Mail};
use crate::service::Alert;

/// Alerts and the outbox.
#[derive(Debug, Default, Clone, Copy)]
pub struct Mails;

/// An alert.
#[derive(InputObject)]
pub struct PublishAlertInput {
    /// Operators only; else the caller's account.
    account: Option<ID>,
    /// What kind: those who asked for it get it.
    kind: AlertKind,
    /// One line of at most 200 characters.
    subject: String,
    /// Plain text of at most 20,000 characters.
    body: String,
    /// A name for this alert, of at most 100 characters. When a call failed, call again with the same one: whoever has got
    /// the alert already does not get it twice, as long as their mail is kept.
    key: Option<String>,
}

/// What publishing an alert comes to.
#[derive(Debug, SimpleObject)]
pub struct PublishAlertPayload {
    /// How many people get a mail by this call.
    recipients: Option<u64>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A mail to send again.
#[derive(InputObject)]
pub struct RetryMailInput {
    /// The mail.
    id: ID,
}

/// What sending a mail again comes to.
#[derive(Debug, SimpleObject)]
pub struct RetryMailPayload {
    /// The mail.
    mail: Option<Mail>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A mail to drop.
#[derive(InputObject)]
pub struct DropMailInput {
    /// The mail.
    id: ID,
}

/// What dropping a mail comes to.
#[derive(Debug, SimpleObject)]
pub struct DropMailPayload {
    /// The mail.
    mail: Option<Mail>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Alerts and the outbox.
#[Object]
impl Mails {
    /// Writes to the people of an account who asked for that kind of alert, each in one mail; takes alerts:publish.
    async fn publish_alert(&self, ctx: &Context<'_>, input: PublishAlertInput) -> ApiResult<PublishAlertPayload> {
        let alert = Alert {
            account: input.account.map(|id| node_id::decode(&id)),
            kind: input.kind.into(),
            subject: input.subject,
            body: input.body,
            key: input.key,
        };
        let (recipients, user_errors) = payload(RequestState::of(ctx)?.caller().publish_alert(alert).await)?;
        Ok(PublishAlertPayload {
            recipients,
            user_errors,
        })
    }

    /// Has a mail sent as soon as can be that was given up or dropped, or that waits; operators only.
    async fn retry_mail(&self, ctx: &Context<'_>, input: RetryMailInput) -> ApiResult<RetryMailPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (mail, user_errors) = payload(caller.retry_mail(node_id::decode(&input.id)).await)?;
        Ok(RetryMailPayload {
            mail: mail.map(|mail| Mail(Arc::new(mail))),
            user_errors,
        })
    }

    /// Gives a mail up that waits; operators only.
    async fn drop_mail(&self, ctx: &Context<'_>, input: DropMailInput) -> ApiResult<DropMailPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (mail, user_errors) = payload(caller.drop_mail(node_id::decode(&input.id)).await)?;
        Ok(DropMailPayload {
            mail: mail.map(|mail| Mail(Arc::new(mail))),
            user_errors,
        })
    }
}
