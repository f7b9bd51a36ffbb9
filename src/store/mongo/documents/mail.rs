//! `mails`, `links` and `report_marks`.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{At, Digest, Id};
use crate::domain::account::Language;
use crate::domain::credentials::TokenHash;
use crate::domain::link::AccessLink;
use crate::domain::mail::{LinkKind, Mail, MailContent, MailState, ReportKind};
use crate::domain::user::Email;
use crate::store::ReportMark;
use crate::store::transfer::StoredMail;

/// [`Mail`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct MailDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    pub(in super::super) account: Id,
    user: Id,
    to: Email,
    to_fold: String,
    language: Language,
    subject: String,
    #[serde(with = "json_text")]
    content: MailContent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) key: Option<String>,
    state: MailState,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    created_at: At,
    /// When it may be claimed: the next attempt of one that waits, the end of its holder's lease of one that is in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<At>,
}

/// `#[serde(with)]` for what is read back whole and never asked about: as JSON, so that it means what it means on every
/// store.
mod json_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub(in super::super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: de::DeserializeOwned,
        D: Deserializer<'de>,
    {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl From<&Mail> for MailDocument {
    fn from(mail: &Mail) -> Self {
        Self {
            id: mail.id.into(),
            account: mail.account.into(),
            user: mail.user.into(),
            to: mail.to.clone(),
            to_fold: mail.to.folded(),
            language: mail.language,
            subject: mail.subject.clone(),
            content: mail.content.clone(),
            key: mail.key.clone(),
            state: mail.state,
            attempts: mail.attempts,
            last_error: mail.last_error.clone(),
            created_at: mail.created_at.into(),
            due_at: mail.next_attempt_at.map(Into::into),
            sent_at: mail.sent_at.map(Into::into),
        }
    }
}

impl From<MailDocument> for Mail {
    fn from(mail: MailDocument) -> Self {
        Self {
            id: mail.id.into(),
            account: mail.account.into(),
            user: mail.user.into(),
            to: mail.to,
            language: mail.language,
            subject: mail.subject,
            content: mail.content,
            key: mail.key,
            state: mail.state,
            attempts: mail.attempts,
            last_error: mail.last_error,
            created_at: mail.created_at.into(),
            next_attempt_at: mail.due_at.filter(|_| mail.state == MailState::Queued).map(Into::into),
            sent_at: mail.sent_at.map(Into::into),
        }
    }
}

impl From<&StoredMail> for MailDocument {
    fn from(stored: &StoredMail) -> Self {
        Self {
            due_at: stored.due_at.map(Into::into),
            ..Self::from(&stored.mail)
        }
    }
}

impl From<MailDocument> for StoredMail {
    fn from(document: MailDocument) -> Self {
        Self {
            due_at: document.due_at.map(Into::into),
            mail: document.into(),
        }
    }
}

/// [`AccessLink`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct AccessLinkDocument {
    #[serde(rename = "_id")]
    pub(in super::super) hash: Digest,
    account: Id,
    user: Id,
    mail: Id,
    to_fold: String,
    kind: LinkKind,
    created_at: At,
    expires_at: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_changed_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    superseded_at: Option<At>,
}

impl From<&AccessLink> for AccessLinkDocument {
    fn from(link: &AccessLink) -> Self {
        Self {
            hash: Digest(link.hash.0),
            account: link.account.into(),
            user: link.user.into(),
            mail: link.mail.into(),
            to_fold: link.to.clone(),
            kind: link.kind,
            created_at: link.created_at.into(),
            expires_at: link.expires_at.into(),
            password_changed_at: link.password_changed_at.map(Into::into),
            used_at: link.used_at.map(Into::into),
            superseded_at: link.superseded_at.map(Into::into),
        }
    }
}

impl From<AccessLinkDocument> for AccessLink {
    fn from(link: AccessLinkDocument) -> Self {
        Self {
            hash: TokenHash(link.hash.0),
            account: link.account.into(),
            user: link.user.into(),
            mail: link.mail.into(),
            to: link.to_fold,
            kind: link.kind,
            created_at: link.created_at.into(),
            expires_at: link.expires_at.into(),
            password_changed_at: link.password_changed_at.map(Into::into),
            used_at: link.used_at.map(Into::into),
            superseded_at: link.superseded_at.map(Into::into),
        }
    }
}

/// [`ReportMark`]: the last one of its kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct MarkDocument {
    account: Id,
    kind: ReportKind,
    pub(in super::super) first_day: Date,
}

impl From<ReportMark> for MarkDocument {
    fn from(mark: ReportMark) -> Self {
        Self {
            account: mark.account.into(),
            kind: mark.kind,
            first_day: mark.first_day,
        }
    }
}

impl From<MarkDocument> for ReportMark {
    fn from(mark: MarkDocument) -> Self {
        Self {
            account: mark.account.into(),
            kind: mark.kind,
            first_day: mark.first_day,
        }
    }
}
