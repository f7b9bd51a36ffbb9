//! Alerts: applications publish them, and the people who asked for that kind get a mail.

use std::time::Duration;

use super::Address;
use crate::auth::limit_key;
use crate::domain::account::Account;
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::ids::{AccountId, AuditEntryId, MailId};
use crate::domain::mail::{AlertKind, Mail, Matter, Subscription};
use crate::domain::role::Permission;
use crate::domain::text::{is_hopeless, required_line};
use crate::service::audit::Action;
use crate::service::passwords::mail_off;
use crate::service::patience::patiently;
use crate::service::{Caller, ErrorCode, Problem, Problems, Result};
use crate::store::{Store, StoreError};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 200;
/// The longest text, in characters.
const MAX_BODY: usize = 20_000;
/// The longest key, in characters.
const MAX_KEY: usize = 100;
/// Recipients who are read, and mails that are queued, at once.
const BATCH: usize = 200;
/// Alerts are counted by the minute.
const WINDOW: Duration = Duration::from_secs(60);

/// What an application has to say.
#[derive(Debug)]
pub struct Alert {
    /// To whose people; the caller's own account when not given, none when the id was none.
    pub account: Option<Option<AccountId>>,
    /// What kind of alert.
    pub kind: AlertKind,
    /// One line of at most 200 characters.
    pub subject: String,
    /// Plain text of at most 20,000 characters.
    pub body: String,
    /// What the application calls it: of several calls of one account with the same key each reader gets one mail.
    pub key: Option<String>,
}

impl Caller {
    /// Queues one mail for each active user of the account who asked for that kind and has an address; says how many.
    ///
    /// Many readers are many batches. Should one fail for good, those before it are queued all the same, and a call with the
    /// same key queues the rest.
    ///
    /// # Errors
    /// Problems with `account`, `subject`, `body` and `key`; `MailOff`; `RateLimited`;
    /// [`Denied`](crate::access::Denied) without `alerts:publish`; those of the store.
    pub async fn publish_alert(&self, alert: Alert) -> Result<u64> {
        self.principal().may_change()?;
        if !self.principal().holds(Permission::ALERTS_PUBLISH) {
            return Err(crate::access::Denied::Missing(Permission::ALERTS_PUBLISH).into());
        }
        let account = self.target_account(alert.account).await?;
        self.principal().permitted(Permission::ALERTS_PUBLISH, account.id)?;
        let mut problems = Problems::default();
        if !self.services.settings.mail.is_on {
            problems.push(mail_off());
        }
        let subject = problems
            .text(&["subject"], required_line(&alert.subject, MAX_SUBJECT))
            .unwrap_or_default();
        let body = body(&alert.body, &mut problems);
        let key = alert
            .key
            .and_then(|key| problems.text(&["key"], required_line(&key, MAX_KEY)));
        problems.check()?;
        self.limit_alerts(&account).await?;
        let matter = Matter::Alert {
            alert: alert.kind,
            subject: subject.clone(),
            body,
        };
        self.spread(&account, alert.kind, &matter, subject, key).await
    }

    async fn limit_alerts(&self, account: &Account) -> Result<()> {
        let most = self.services.settings.alerts_per_account;
        if most == 0 {
            return Ok(());
        }
        let message = "Too many alerts of the account in a minute; wait a little, or say more in each.";
        let key = limit_key("alerts", &account.id.to_string());
        self.services.limit(key, most, WINDOW, message).await
    }

    async fn spread(
        &self,
        account: &Account,
        kind: AlertKind,
        matter: &Matter,
        subject: String,
        key: Option<String>,
    ) -> Result<u64> {
        let set = |field: &str, after: String| FieldChange {
            field: field.to_owned(),
            before: None,
            after: Some(after),
        };
        let subscription = Subscription::Alerts(kind);
        let audit = self.audit(Action {
            name: "publishAlert",
            account: account.id,
            target_type: TargetType::Account,
            target_id: account.id.as_uuid(),
            target_name: account.name.to_string(),
            changes: vec![set("kind", subscription.name().to_owned()), set("subject", subject)],
        })?;
        // An alert without a key of its own is one by its entry.
        let alert = key.map_or_else(|| format!("alert {}", audit.id), |key| format!("alert-key {key}"));
        let mut audit = Some(&audit);
        let (mut after, mut queued) = (None, 0);
        loop {
            let store = self.store();
            let users = patiently(|_| store.subscribers(account.id, subscription, after, BATCH)).await?;
            let mut mails: Vec<Mail> = Vec::with_capacity(users.len());
            for user in &users {
                let mail = self.services.letter(account, user, matter.clone(), Address::Alerts)?;
                mails.extend(mail.map(|mail| Mail {
                    key: Some(format!("{alert} {}", user.id)),
                    ..mail
                }));
            }
            // The entry goes with the first of them, also when there is nobody.
            if !mails.is_empty() || audit.is_some() {
                let entry = audit.take();
                queued += patiently(|again| queue(store, &mails, entry, again)).await?;
                self.services.post.announce(&mails);
            }
            match users.last() {
                Some(last) if users.len() == BATCH => after = Some(last.id),
                _ => return Ok(queued),
            }
        }
    }
}

/// Queues a batch and says how many of it are new; `again`: it may be there already, as only the answer was lost.
async fn queue(
    store: &dyn Store,
    mails: &[Mail],
    audit: Option<&AuditEntry>,
    again: bool,
) -> std::result::Result<u64, StoreError> {
    if again {
        let ids: Vec<MailId> = mails.iter().map(|mail| mail.id).collect();
        let entries: Vec<AuditEntryId> = audit.iter().map(|entry| entry.id).collect();
        let there = store.mails_by_ids(&ids).await?.len() as u64;
        if there > 0 || !store.audit_entries_by_ids(&entries).await?.is_empty() {
            return Ok(there);
        }
    }
    store.queue_mails(mails, audit).await
}

/// The text with line ends of one kind. Other control characters have no place in it.
fn body(text: &str, problems: &mut Problems) -> String {
    let mut at = |code, message: String| problems.push(Problem::at(&["body"], code, message));
    if is_hopeless(text, MAX_BODY) || text.chars().count() > MAX_BODY {
        at(ErrorCode::TooLong, format!("body is over {MAX_BODY} characters"));
        return String::new();
    }
    let body = text.replace("\r\n", "\n").replace('\r', "\n");
    if body.trim().is_empty() {
        at(ErrorCode::Required, "body must not be empty".to_owned());
    }
    if let Some(bad) = body.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        at(
            ErrorCode::Invalid,
            format!("body holds the control character U+{:04X}", u32::from(bad)),
        );
    }
    body
}
