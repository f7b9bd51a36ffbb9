//! `doorward mail queue`, `retry` and `drop`: the outbox in operators' hands.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::Format;
use crate::cli::failure::Usage;
use crate::cli::names::{self, explained};
use crate::cli::output::{Output, Table, or_dash};
use crate::cli::session::Session;
use crate::domain::ids::MailId;
use crate::domain::mail::{Mail, MailFilter, MailState};
use crate::domain::query::mail_position;
use crate::graphql::node_id;

/// A state, as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StateArg {
    Queued,
    Sending,
    Sent,
    Failed,
    Dropped,
}

impl From<StateArg> for MailState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Queued => Self::Queued,
            StateArg::Sending => Self::Sending,
            StateArg::Sent => Self::Sent,
            StateArg::Failed => Self::Failed,
            StateArg::Dropped => Self::Dropped,
        }
    }
}

/// Which mails.
#[derive(Debug, Args)]
pub(super) struct QueueArgs {
    /// In this state
    #[arg(long, value_enum)]
    state: Option<StateArg>,
    /// To exactly this address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// One mail.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Its id, as `mail queue` shows it
    id: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MailJson<'a> {
    id: String,
    to: &'a str,
    subject: &'a str,
    state: MailState,
    attempts: u32,
    last_error: Option<&'a str>,
    created_at: String,
    next_attempt_at: Option<String>,
    sent_at: Option<String>,
}

impl<'a> From<&'a Mail> for MailJson<'a> {
    fn from(mail: &'a Mail) -> Self {
        Self {
            id: node_id::encode(mail.id).to_string(),
            to: mail.to.as_str(),
            subject: &mail.subject,
            state: mail.state,
            attempts: mail.attempts,
            last_error: mail.last_error.as_deref(),
            created_at: mail.created_at.to_string(),
            next_attempt_at: mail.next_attempt_at.map(|at| at.to_string()),
            sent_at: mail.sent_at.map(|at| at.to_string()),
        }
    }
}

pub(super) async fn queue(session: &Session, args: QueueArgs) -> anyhow::Result<()> {
    let filter = MailFilter {
        state: args.state.map(Into::into),
        to: args.to.as_deref().map(crate::domain::text::fold),
    };
    let mut out = Output::new(args.format.json);
    let mut table = Table::new(["ID", "STATE", "TRIES", "TO", "SUBJECT", "LAST ERROR"]);
    names::pages(
        async |page| session.caller.mails(&filter, &page).await,
        mail_position,
        async |mails: Vec<Mail>| {
            if out.is_json() {
                return mails.iter().try_for_each(|mail| out.element(&MailJson::from(mail)));
            }
            let rows: Vec<_> = mails.iter().map(row).collect();
            table.rows(&mut out, &rows)?;
            out.flush()
        },
    )
    .await?;
    if out.is_json() {
        out.end_list()?;
    }
    out.finish()
}

fn row(mail: &Mail) -> [String; 6] {
    [
        node_id::encode(mail.id).to_string(),
        format!("{:?}", mail.state).to_lowercase(),
        mail.attempts.to_string(),
        mail.to.as_str().to_owned(),
        mail.subject.clone(),
        or_dash(mail.last_error.as_deref().unwrap_or_default()),
    ]
}

pub(super) async fn retry(session: &Session, target: Target) -> anyhow::Result<()> {
    let id = named(&target.id)?;
    let mail = session.caller.retry_mail(Some(id)).await.map_err(explained)?;
    report(&target, &mail, "queued")
}

pub(super) async fn give_up(session: &Session, target: Target) -> anyhow::Result<()> {
    let id = named(&target.id)?;
    let mail = session.caller.drop_mail(Some(id)).await.map_err(explained)?;
    report(&target, &mail, "dropped")
}

fn named(id: &str) -> anyhow::Result<MailId> {
    let usage = || Usage(format!("{id:?} is no mail's id; `doorward mail queue` shows them"));
    Ok(node_id::decode(id).ok_or_else(usage)?)
}

fn report(target: &Target, mail: &Mail, done: &str) -> anyhow::Result<()> {
    let mut out = Output::new(target.format.json);
    if out.is_json() {
        out.value(&MailJson::from(mail))?;
    } else {
        out.line(&format!("{done} {:?} to {}", mail.subject, mail.to.as_str()))?;
    }
    out.finish()
}
