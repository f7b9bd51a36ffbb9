//! Mails: what is written to whom, and how far the outbox has come with it.
//!
//! A mail is kept as what it says, not as the bytes that are sent: a link's secret is made only when its mail is sent, so
//! that no store ever holds one.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::account::Language;
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::login_event::{EventOrigin, LoginOutcome};
use crate::domain::user::{Email, Notifications};

/// How far a mail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MailState {
    /// Waits for its turn, or for its next attempt.
    Queued,
    /// A process has it in hand, until its lease runs out.
    Sending,
    /// The mail server took it.
    Sent,
    /// Nobody will take it: given up, with the reason.
    Failed,
    /// An operator dropped it, or what it was about no longer holds.
    Dropped,
}

impl MailState {
    /// Every state, in the schema's order.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Sending, Self::Sent, Self::Failed, Self::Dropped];
    /// Those that somebody should know the numbers of: what is on its way, and what did not arrive.
    pub const COUNTED: [Self; 3] = [Self::Queued, Self::Sending, Self::Failed];
}

/// A mail of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mail {
    /// Its identifier; grows with time. Its Message-ID is made of it, so each attempt has the same one.
    pub id: MailId,
    /// Whose matter it is; it goes when the account is deleted.
    pub account: AccountId,
    /// Whom it is for; it goes to `to`, whatever their address is by now.
    pub user: UserId,
    /// Where it goes.
    pub to: Email,
    /// What it is written in.
    pub language: Language,
    /// Its subject, in that language; one line.
    pub subject: String,
    /// What it says.
    pub content: MailContent,
    /// Of several mails of one account with the same key the store keeps the first: what must be sent once has one.
    pub key: Option<String>,
    /// How far it has come.
    pub state: MailState,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed, or why it was given up.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it is tried (again): while it is queued only.
    pub next_attempt_at: Option<Timestamp>,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailContent {
    /// Whom it speaks to.
    pub reader: Reader,
    /// What it is about.
    pub matter: Matter,
}

/// Whom a mail speaks to, as they were when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    /// `login@account`.
    pub login: String,
    /// The account's title.
    pub account_title: String,
    /// The account's time zone (IANA): moments are written in it.
    pub time_zone: String,
}

/// What a mail is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Matter {
    /// A link to set the first, or a new, password: an administrator had it sent.
    Access {
        /// Who, in words; empty for an administrator at the command line.
        by: String,
        /// When the reader's password was last set when the link was asked for: the link dies with it.
        password_changed_at: Option<Timestamp>,
    },
    /// A link to set a new password: somebody said they forgot the reader's.
    PasswordReset {
        /// Where that was asked from.
        origin: EventOrigin,
        /// As in [`Matter::Access`].
        password_changed_at: Option<Timestamp>,
    },
    /// The password was changed.
    PasswordChanged {
        /// When.
        at: Timestamp,
        /// Who did, in words (empty: an administrator at the command line); `None`: the reader.
        by: Option<String>,
        /// From where, when it was the reader and that is known.
        origin: Option<EventOrigin>,
    },
    /// The contact address was changed, or taken away: written to the one that was there before.
    ///
    /// The new address is not said. Who changed it knows it, and whoever did not needs to know no more than that somebody
    /// did; an address may also be left behind to somebody whom the new one is no business of.
    AddressChanged {
        /// When.
        at: Timestamp,
        /// As in [`Matter::PasswordChanged`].
        by: Option<String>,
        /// As in [`Matter::PasswordChanged`].
        origin: Option<EventOrigin>,
    },
    /// Too many wrong passwords: nobody signs in with the reader's login for a while.
    LockedOut {
        /// When the last of them came.
        at: Timestamp,
        /// For how long, in minutes.
        minutes: u32,
        /// Where the last of them came from.
        origin: EventOrigin,
    },
    /// Somebody signed in as the reader with a browser, or from a country, that was not seen before.
    NewSignIn {
        /// When.
        at: Timestamp,
        /// From where, and with what.
        origin: EventOrigin,
        /// The browser is new.
        new_browser: bool,
        /// The country is new.
        new_country: bool,
    },
    /// The reader's roles, or being a master, changed.
    AccessChanged {
        /// When.
        at: Timestamp,
        /// Who did it, in words; empty for an administrator at the command line.
        by: String,
        /// Names of roles that the reader has now.
        gained: Vec<String>,
        /// Names of roles that the reader has no longer.
        lost: Vec<String>,
        /// Became a master (`true`), is none any more (`false`), or neither.
        master: Option<bool>,
    },
    /// Somebody acts in the reader's name.
    Impersonated {
        /// Since when.
        at: Timestamp,
        /// Who, as `login@account`.
        by: String,
        /// Why, in their words.
        reason: String,
        /// For how long at most, in minutes.
        minutes: u32,
        /// They can change nothing.
        read_only: bool,
    },
    /// The directory's password expires soon.
    PasswordExpires {
        /// When.
        at: Timestamp,
        /// In how many days, rounded up.
        days: u32,
    },
    /// An application's alert.
    Alert {
        /// What kind.
        alert: AlertKind,
        /// Its subject, in the application's words; one line.
        subject: String,
        /// Its text, in the application's words; plain text.
        body: String,
    },
    /// What happened in the account in a day or a week.
    Report(Box<Report>),
}

impl Matter {
    /// Does the mail carry a link, whose secret is made when it is sent?
    #[must_use]
    pub fn link(&self) -> Option<LinkKind> {
        match self {
            Self::Access { .. } => Some(LinkKind::Access),
            Self::PasswordReset { .. } => Some(LinkKind::Reset),
            _ => None,
        }
    }

    /// What the messages are called where they are previewed and their templates are named.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Access { .. } => "access",
            Self::PasswordReset { .. } => "password_reset",
            Self::PasswordChanged { .. } => "password_changed",
            Self::AddressChanged { .. } => "address_changed",
            Self::LockedOut { .. } => "locked_out",
            Self::NewSignIn { .. } => "new_sign_in",
            Self::AccessChanged { .. } => "access_changed",
            Self::Impersonated { .. } => "impersonated",
            Self::PasswordExpires { .. } => "password_expires",
            Self::Alert { .. } => "alert",
            Self::Report(_) => "report",
        }
    }
}

/// What a link in a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LinkKind {
    /// To get in: an administrator had it sent.
    Access,
    /// To get in again: the user asked for it, or anybody else who knows the login.
    Reset,
}

impl LinkKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Access, Self::Reset];

    /// Does a link of this kind end earlier ones of that kind? What anybody can ask for does not end what an administrator
    /// had sent.
    #[must_use]
    pub fn ends(self, earlier: Self) -> bool {
        match self {
            Self::Access => true,
            Self::Reset => earlier == Self::Reset,
        }
    }
}

/// What an application alerts of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertKind {
    /// Limits are exhausted.
    LimitsExhausted,
    /// Subscribers complained.
    SubscriberComplaints,
    /// Addresses that do not exist.
    HardBounces,
    /// Addresses that do not answer for now.
    SoftBounces,
}

/// How long a report looks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReportKind {
    /// A day of the account's time zone.
    Daily,
    /// A week of it, Monday to Sunday (ISO 8601).
    Weekly,
}

impl ReportKind {
    /// Every kind, in the schema's order.
    pub const ALL: [Self; 2] = [Self::Daily, Self::Weekly];
}

/// What users ask to be written of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// Alerts of a kind.
    Alerts(AlertKind),
    /// Reports of a kind.
    Reports(ReportKind),
    /// Security notices.
    Security,
}

impl Subscription {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Alerts(AlertKind::LimitsExhausted),
        Self::Alerts(AlertKind::SubscriberComplaints),
        Self::Alerts(AlertKind::HardBounces),
        Self::Alerts(AlertKind::SoftBounces),
        Self::Reports(ReportKind::Daily),
        Self::Reports(ReportKind::Weekly),
        Self::Security,
    ];

    /// Its field in [`Notifications`]: lasting, for stores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts(AlertKind::LimitsExhausted) => "limits_exhausted",
            Self::Alerts(AlertKind::SubscriberComplaints) => "subscriber_complaints",
            Self::Alerts(AlertKind::HardBounces) => "hard_bounces",
            Self::Alerts(AlertKind::SoftBounces) => "soft_bounces",
            Self::Reports(ReportKind::Daily) => "daily_reports",
            Self::Reports(ReportKind::Weekly) => "weekly_reports",
            Self::Security => "security_notices",
        }
    }

    /// Was it asked for?
    #[must_use]
    pub fn is_in(self, notifications: &Notifications) -> bool {
        match self {
            Self::Alerts(AlertKind::LimitsExhausted) => notifications.limits_exhausted,
            Self::Alerts(AlertKind::SubscriberComplaints) => notifications.subscriber_complaints,
            Self::Alerts(AlertKind::HardBounces) => notifications.hard_bounces,
            Self::Alerts(AlertKind::SoftBounces) => notifications.soft_bounces,
            Self::Reports(ReportKind::Daily) => notifications.daily_reports,
            Self::Reports(ReportKind::Weekly) => notifications.weekly_reports,
            Self::Security => notifications.security_notices,
        }
    }
}

/// What happened in an account in a day or a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How long it looks back.
    pub period: ReportKind,
    /// The first day.
    pub first_day: Date,
    /// The last day, which is the first one of a daily report.
    pub last_day: Date,
    /// Sign-ins that succeeded.
    pub succeeded: u64,
    /// How many users they were of.
    pub unique_users: u64,
    /// Attempts that were refused, by reason; those that did not happen are left out.
    pub failures: Vec<(LoginOutcome, u64)>,
    /// Users who were made, in all.
    pub new_users: u64,
    /// The logins of some of them.
    pub new_logins: Vec<String>,
    /// Users who are locked out now, in all.
    pub locked_users: u64,
    /// The logins of some of them.
    pub locked_logins: Vec<String>,
    /// Countries that nobody of the account had signed in from before (ISO 3166-1 alpha-2).
    pub new_countries: Vec<String>,
    /// Sign-ins over time, for the plot.
    pub bars: Vec<ReportBar>,
}

/// One bar of a report's plot: an hour of a day, or a day of a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportBar {
    /// Where it begins.
    pub start: Timestamp,
    /// Sign-ins that succeeded.
    pub succeeded: u64,
    /// Attempts that were refused.
    pub failed: u64,
}

/// Which mails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MailFilter {
    /// In this state.
    pub state: Option<MailState>,
    /// To exactly this address, folded.
    pub to: Option<String>,
}
