//! Alerts: applications publish them, and the people who asked for that kind get a mail.

use super::Address;
use crate::domain::account::Account;
use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::ids::AccountId;
use crate::domain::mail::{AlertKind, Mail, Matter, Subscription};
use crate::domain::role::Permission;
use crate::domain::text::{is_hopeless, required_line};
use crate::service::audit::Action;
use crate::service::passwords::mail_off;
use crate::service::{Caller, ErrorCode, Problem, Problems, Result};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 200;
/// The longest text, in characters.
const MAX_BODY: usize = 20_000;
/// Recipients who are read, and mails that are queued, at once.
const BATCH: usize = 200;

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
}

impl Caller {
    /// Queues one mail for each active user of the account who asked for that kind and has an address; says how many.
    ///
    /// # Errors
    /// Problems with `account`, `subject` and `body`; `MailOff`; [`Denied`](crate::access::Denied) without `alerts:publish`;
    /// those of the store.
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
        problems.check()?;
        let matter = Matter::Alert {
            alert: alert.kind,
            subject: subject.clone(),
            body,
        };
        self.spread(&account, alert.kind, &matter, subject).await
    }

    async fn spread(&self, account: &Account, kind: AlertKind, matter: &Matter, subject: String) -> Result<u64> {
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
        let mut audit = Some(&audit);
        let (mut after, mut queued) = (None, 0);
        loop {
            let users = self.store().subscribers(account.id, subscription, after, BATCH).await?;
            let mut mails: Vec<Mail> = Vec::with_capacity(users.len());
            for user in &users {
                mails.extend(self.services.letter(account, user, matter.clone(), Address::Alerts)?);
            }
            // The entry goes with the first of them, also when there is nobody.
            if !mails.is_empty() || audit.is_some() {
                queued += self.store().queue_mails(&mails, audit.take()).await?;
                self.services.post.announce(&mails);
            }
            match users.last() {
                Some(last) if users.len() == BATCH => after = Some(last.id),
                _ => return Ok(queued),
            }
        }
    }
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
