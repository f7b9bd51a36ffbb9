//! The outbox as operators see it.

use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::ids::MailId;
use crate::domain::mail::{Mail, MailFilter};
use crate::domain::page::{Page, PageRequest};
use crate::service::audit::Action;
use crate::service::{Caller, ErrorCode, Problem, Result};
use crate::store::StoreError;

impl Caller {
    /// A page of the outbox, newest first.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied) to whoever is no operator; those of the store.
    pub async fn mails(&self, filter: &MailFilter, page: &PageRequest) -> Result<Page<Mail>> {
        self.principal().operator()?;
        let filters = std::slice::from_ref(filter);
        Ok(self
            .store()
            .mails(filters, page)
            .await?
            .pop()
            .unwrap_or_else(Page::empty))
    }

    /// How many mails the filter finds.
    ///
    /// # Errors
    /// As [`Self::mails`].
    pub async fn count_mails(&self, filter: &MailFilter) -> Result<u64> {
        self.principal().operator()?;
        let filters = std::slice::from_ref(filter);
        Ok(self.store().count_mails(filters).await?.pop().unwrap_or_default())
    }

    /// Those of these mails that exist for the caller: for operators only.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn mails_by_ids(&self, ids: &[MailId]) -> Result<Vec<Mail>> {
        if self.principal().operator().is_err() {
            return Ok(Vec::new());
        }
        Ok(self.store().mails_by_ids(ids).await?)
    }

    /// Has a mail that was given up or dropped, or that waits, sent as soon as can be.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` with `id`; [`Denied`](crate::access::Denied) to whoever is no operator; those of the store.
    pub async fn retry_mail(&self, id: Option<MailId>) -> Result<Mail> {
        let mail = self.mail_to_change(id).await?;
        let audit = self.audit(action_on("retryMail", &mail))?;
        let retried = self
            .store()
            .retry_mail(mail.id, &audit)
            .await
            .map_err(|e| settled(e, "sent again"))?;
        self.services.post.wake();
        Ok(retried)
    }

    /// Gives a mail up that waits.
    ///
    /// # Errors
    /// As [`Self::retry_mail`].
    pub async fn drop_mail(&self, id: Option<MailId>) -> Result<Mail> {
        let mail = self.mail_to_change(id).await?;
        let audit = self.audit(action_on("dropMail", &mail))?;
        self.store()
            .drop_mail(mail.id, &audit)
            .await
            .map_err(|e| settled(e, "dropped"))
    }

    async fn mail_to_change(&self, id: Option<MailId>) -> Result<Mail> {
        self.principal().operator()?;
        self.principal().may_change()?;
        let found = match id {
            Some(id) => self.store().mails_by_ids(&[id]).await?.pop(),
            None => None,
        };
        Ok(found.ok_or_else(|| Problem::at(&["id"], ErrorCode::NotFound, "There is no such mail."))?)
    }
}

/// What the store says of a mail that was found but cannot be changed any more.
fn settled(error: StoreError, what: &str) -> crate::service::ServiceError {
    match error {
        StoreError::NotFound => {
            let message = format!("The mail was sent, or is being sent; it cannot be {what}.");
            Problem::at(&["id"], ErrorCode::NotAllowed, message).into()
        }
        error => error.into(),
    }
}

fn action_on<'a>(name: &'a str, mail: &Mail) -> Action<'a> {
    Action {
        name,
        account: mail.account,
        target_type: TargetType::Mail,
        target_id: mail.id.as_uuid(),
        target_name: mail.subject.clone(),
        changes: vec![FieldChange {
            field: "to".to_owned(),
            before: Some(mail.to.as_str().to_owned()),
            after: Some(mail.to.as_str().to_owned()),
        }],
    }
}
