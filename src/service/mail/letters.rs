//! A mail as it is queued.

use crate::domain::account::Account;
use crate::domain::ids::MailId;
use crate::domain::mail::{Mail, MailContent, MailState, Matter, Reader};
use crate::domain::user::{Email, User};
use crate::service::users::qualified;
use crate::service::{Result, ServiceError, Services};

/// To which of a user's addresses something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Address {
    /// The contact address: what concerns the user's own password.
    Contact,
    /// The alert address, or else the contact address: what the user asked to be told of.
    Alerts,
}

impl Address {
    /// The user's address for it; `None` when there is none.
    pub(in crate::service) fn of(self, user: &User) -> Option<&Email> {
        let alerts = user.notifications.email.as_ref().filter(|_| self == Self::Alerts);
        alerts.or(user.email.as_ref())
    }
}

impl Services {
    /// A mail to a user, to be queued together with what it is about; `None` when mail is off or the user has no address.
    ///
    /// # Errors
    /// When its subject cannot be written (an operator's template), or no identifier can be made.
    pub(in crate::service) fn letter(
        &self,
        account: &Account,
        user: &User,
        matter: Matter,
        address: Address,
    ) -> Result<Option<Mail>> {
        let Some(to) = address.of(user).filter(|_| self.settings.mail.is_on) else {
            return Ok(None);
        };
        let content = MailContent {
            reader: Reader {
                first_name: user.first_name.clone(),
                last_name: user.last_name.clone(),
                login: qualified(user, &account.name),
                account_title: account.title.clone(),
                time_zone: account.time_zone.clone(),
            },
            matter,
        };
        let (now, language) = (self.clock.now(), user.language);
        let subject = self.post.templates.subject(&content, language);
        Ok(Some(Mail {
            id: MailId::generate(self.clock.as_ref(), self.entropy.as_ref())?,
            account: account.id,
            user: user.id,
            to: to.clone(),
            language,
            subject: subject.map_err(|error| ServiceError::Mail(error.to_string()))?,
            content,
            key: None,
            state: MailState::Queued,
            attempts: 0,
            last_error: None,
            created_at: now,
            next_attempt_at: Some(now),
            sent_at: None,
        }))
    }
}
