//! The outbox, the links that its mails carry, and which reports were filed.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, PasswordChange, TokenHash};
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::link::AccessLink;
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::{Mail, MailFilter, MailState, ReportKind, Subscription};
use crate::domain::page::{Page, PageRequest};
use crate::domain::user::{Email, User};
use crate::store::{FailureKey, OpenedSession, Result};

/// Why the mails that wait for a user are dropped when it is deleted.
pub(crate) const USER_DELETED: &str = "the user was deleted";

/// Who asks for mails to send.
#[derive(Debug, Clone, Copy)]
pub struct MailClaim {
    /// The process.
    pub holder: Uuid,
    /// Now.
    pub now: Timestamp,
    /// Until when they are its own: nobody else sends them before then.
    pub until: Timestamp,
    /// The most mails.
    pub limit: usize,
}

/// What an attempt to send came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailOutcome {
    /// The mail server took it.
    Sent,
    /// It was not taken this time.
    Retry {
        /// When it is tried again.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// It was not tried at all, so it counts as no attempt.
    Untried {
        /// When it may be claimed again.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// It will never be taken.
    Failed {
        /// Why.
        error: String,
    },
    /// What it was about no longer holds.
    Dropped {
        /// Why.
        error: String,
    },
}

impl MailOutcome {
    /// The state that the mail is in from here on.
    #[must_use]
    pub fn state(&self) -> MailState {
        match self {
            Self::Sent => MailState::Sent,
            Self::Retry { .. } | Self::Untried { .. } => MailState::Queued,
            Self::Failed { .. } => MailState::Failed,
            Self::Dropped { .. } => MailState::Dropped,
        }
    }

    /// When it is tried again, if it is.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        match self {
            Self::Retry { at, .. } | Self::Untried { at, .. } => Some(*at),
            Self::Sent | Self::Failed { .. } | Self::Dropped { .. } => None,
        }
    }

    /// Why it was not sent; `None` when it was.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Sent => None,
            Self::Retry { error, .. }
            | Self::Untried { error, .. }
            | Self::Failed { error }
            | Self::Dropped { error } => Some(error),
        }
    }
}

/// What became of a link that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minted {
    /// It is stored, and those links of earlier mails to its user are superseded that it [ends](LinkKind::ends).
    Stored,
    /// A later mail to the user (by [`MailId`]) carried a link already that ends it.
    Superseded,
    /// The password was set since the mail was queued.
    PasswordChanged,
    /// The user has another address than the mail goes to.
    AddressChanged,
    /// The user or its account is gone, or the user is disabled or has its password in a directory by now. Looked at first.
    NoUse,
}

impl Minted {
    /// What changed about an active local user since the link's mail was queued; `None` when nothing did.
    pub(crate) fn changed(link: &AccessLink, user: &User) -> Option<Self> {
        if user.password_changed_at != link.password_changed_at {
            Some(Self::PasswordChanged)
        } else if user.email.as_ref().map(Email::folded).as_deref() != Some(&link.to) {
            Some(Self::AddressChanged)
        } else {
            None
        }
    }
}

/// A link, and all that using it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundLink {
    /// The link.
    pub link: AccessLink,
    /// Whose password it sets.
    pub user: User,
    /// The user's hashes.
    pub credentials: Credentials,
    /// The user's account.
    pub account: Account,
}

/// Using a link, with everything that it changes.
#[derive(Debug, Clone)]
pub struct Redemption {
    /// SHA-256 of the link's secret.
    pub hash: TokenHash,
    /// When.
    pub at: Timestamp,
    /// The new password.
    pub change: PasswordChange,
    /// The session that it opens; its `user_revision` is the user's before the password was set.
    pub opened: OpenedSession,
    /// The history's entry.
    pub event: LoginEvent,
    /// Counters of wrong passwords that are cleared, from every network, and the user's lock with them: whoever reads the
    /// user's mail may get in.
    pub cleared: Vec<FailureKey>,
    /// The audit entry.
    pub audit: AuditEntry,
    /// Mails about it.
    pub mails: Vec<Mail>,
}

/// One report of an account. Each is filed once, and those of a kind are filed in the order of their days: one from before
/// the last that was filed counts as filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReportMark {
    /// The account.
    pub account: AccountId,
    /// Daily or weekly.
    pub kind: ReportKind,
    /// Its first day.
    pub first_day: Date,
}

/// Why a mail is set aside that cannot be read; said in the log, too.
pub(crate) fn unreadable(id: MailId, reason: &str) -> String {
    tracing::error!(mail = %id, %reason, "a mail cannot be read and is set aside");
    format!("it cannot be read: {reason}")
}

/// The outbox. Mails that a change causes are written by the change's own intent, together with it or not at all.
///
/// Of mails of one account that have the same [`key`](Mail::key) the first is kept, whichever intent brings the others:
/// those are left out without a word.
#[async_trait]
pub trait MailStore {
    /// Queues mails, all or none, with the audit entry of what they are about where there is one; those whose key is there
    /// already are left out. Says how many were queued.
    async fn queue_mails(&self, mails: &[Mail], audit: Option<&AuditEntry>) -> Result<u64>;

    /// Takes mails in hand that are due: queued ones whose time has come, and ones that another process took and did not
    /// settle before its lease ran out; the longest due first. Each counts one attempt more. Of several processes that claim
    /// at once, one gets a mail. One that cannot be read (a later version wrote it) is set aside as failed, with the reason.
    async fn claim_mails(&self, claim: &MailClaim) -> Result<Vec<Mail>>;

    /// Notes what an attempt came to, at `at`; says `false`, and notes nothing, when the mail is no longer this holder's. One
    /// whose lease ran out is, as long as nobody else took it.
    async fn settle_mail(&self, id: MailId, holder: Uuid, outcome: &MailOutcome, at: Timestamp) -> Result<bool>;

    /// Those that exist, in any order.
    async fn mails_by_ids(&self, ids: &[MailId]) -> Result<Vec<Mail>>;

    /// A page for each filter, newest first (by time of creation).
    async fn mails(&self, filters: &[MailFilter], page: &PageRequest) -> Result<Vec<Page<Mail>>>;

    /// A count for each filter.
    async fn count_mails(&self, filters: &[MailFilter]) -> Result<Vec<u64>>;

    /// Puts a mail that was given up, dropped or waits into the queue for `audit.at`, as one that was not tried yet: without
    /// attempts and error. Gives it as it is then.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound) when it is not there, or is in hand or sent.
    async fn retry_mail(&self, id: MailId, audit: &AuditEntry) -> Result<Mail>;

    /// Drops a mail that waits, or was given up; why is that the entry's actor did. Gives it as it is then.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound) when it is not there, or is in hand, sent or dropped.
    async fn drop_mail(&self, id: MailId, audit: &AuditEntry) -> Result<Mail>;

    /// How many mails are in each of the states that are [counted](MailState::COUNTED).
    async fn mail_counts(&self) -> Result<HashMap<MailState, u64>>;

    /// Stores a link just before its mail is sent, if it is still of use: see [`Minted`]. Decided and stored in one step.
    async fn mint_link(&self, link: &AccessLink) -> Result<Minted>;

    /// The link of a secret, whatever its state; `None` when there is none, or its user is gone. Links are kept for some time
    /// after their end ([`Retention::links_before`](crate::store::Retention)), so that they can say so.
    async fn find_link(&self, hash: &TokenHash) -> Result<Option<FoundLink>>;

    /// Uses a link: sets the password (as [`UserStore::set_password`](crate::store::UserStore::set_password), all sessions
    /// end), opens the session, writes the event (a success is the user's last sign-in), clears the counters, marks the links
    /// of the same mail used; all at once. Of two at once, one does.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound) when there is no such link, or it does not work
    /// ([`AccessLink::state`]) at `at`; [`Conflict`](crate::store::StoreError::Conflict) when the user's revision is another.
    async fn redeem_link(&self, redemption: &Redemption) -> Result<()>;

    /// Active users of an account who asked for that and have an address to write to, by id, from after `after` on; at most
    /// `limit`. Found by an index, not by looking through the account's users.
    async fn subscribers(
        &self,
        account: AccountId,
        subscription: Subscription,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>>;

    /// The latest report of each kind that was filed, of these accounts.
    async fn last_reports(&self, accounts: &[AccountId]) -> Result<Vec<ReportMark>>;

    /// Files a report with its mails, if neither it nor a later one of its kind was filed yet; says whether it was this call.
    /// Of several at once, one does.
    async fn file_report(&self, mark: &ReportMark, mails: &[Mail]) -> Result<bool>;

    /// LDAP users among those whom [`Self::subscribers`] gives for security notices, whose directory's password expires at
    /// `from` or later and before `until`, by id, from after `after` on; at most `limit`.
    async fn expiring_users(
        &self,
        account: AccountId,
        from: Timestamp,
        until: Timestamp,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>>;

    /// Countries (ISO 3166-1 alpha-2) from which somebody of the account signed in at `since` or later and before `until`,
    /// sorted. Who acts in another's name does not count.
    async fn login_countries(&self, account: AccountId, since: Timestamp, until: Timestamp) -> Result<Vec<String>>;
}
