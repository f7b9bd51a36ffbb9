//! `users`: one document a person, with its grants, its password and its last sign-ins.

use std::fmt;

use mongodb::bson::RawBsonRef;
use serde::Serialize;

use super::raw::{FromBson, Wrong, deserialize, from_document};
use super::{At, EventDocument, Id, Recent};
use crate::domain::account::Language;
use crate::domain::credentials::{Credentials, PasswordHash};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::login::Login;
use crate::domain::mail::Subscription;
use crate::domain::text::fold;
use crate::domain::user::{DirectoryLink, DisabledBy, Email, Notifications, User, UserStatus};

/// What reading a user leaves out: the hashes are for signing in only, and the last sign-ins are most of the bytes.
pub(in super::super) const USER_HIDDEN: [&str; 2] = ["password", "recent"];
/// What is read of users in a list with their last sign-ins: all of a user but what [`USER_LAST_LOGIN`] is. Named rather than
/// told what to leave out, which takes the server longer.
pub(in super::super) const USER_LISTED: [&str; 24] = [
    "account",
    "login",
    "first_name",
    "last_name",
    "email",
    "language",
    "phone",
    "status",
    "disabled_by",
    "locked_until",
    "avatar",
    "notifications",
    "must_change_password",
    "has_password",
    "password_changed_at",
    "password_expires_at",
    "is_ldap",
    "directory_link",
    "grants",
    "created_at",
    "updated_at",
    "revision",
    "recent",
    "_id",
];
/// A user's last success.
pub(in super::super) const USER_LAST_LOGIN: &str = "last_login";

/// [`User`] with everything else that its document holds. Absent values are null rather than left out, so that replacing
/// the fields of a stored user clears them.
#[derive(Debug, Clone, Serialize)]
pub(in super::super) struct UserDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    pub(in super::super) account: Id,
    login: Login,
    first_name: String,
    first_name_fold: String,
    last_name: String,
    last_name_fold: String,
    email: Option<Email>,
    email_fold: Option<String>,
    language: Language,
    phone: Option<String>,
    status: UserStatus,
    disabled_by: Option<DisabledBy>,
    locked_until: Option<At>,
    avatar: Option<Id>,
    notifications: Notifications,
    /// What the user is to be written of; nothing unless it is active and has an address. Those of before have no such field.
    wants: Vec<String>,
    must_change_password: bool,
    has_password: bool,
    password_changed_at: Option<At>,
    password_expires_at: Option<At>,
    is_ldap: bool,
    directory_link: Option<LinkDocument>,
    grants: Vec<GrantDocument>,
    last_login: Option<EventDocument>,
    created_at: At,
    updated_at: At,
    revision: i64,
    /// The hashes; there when the user has or had a local password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) password: Option<PasswordDocument>,
    /// The last [`RECENT`](crate::store::history::RECENT) sign-ins, newest first.
    #[serde(skip_serializing_if = "Recent::is_empty")]
    pub(in super::super) recent: Recent,
}

from_document!(UserDocument {
    id: "_id",
    account: "account",
    login: "login",
    first_name: "first_name",
    last_name: "last_name",
    language: "language",
    status: "status",
    notifications: "notifications",
    must_change_password: "must_change_password",
    has_password: "has_password",
    is_ldap: "is_ldap",
    grants: "grants",
    created_at: "created_at",
    updated_at: "updated_at",
    revision: "revision",
} or default {
    email: "email",
    phone: "phone",
    disabled_by: "disabled_by",
    locked_until: "locked_until",
    avatar: "avatar",
    password_changed_at: "password_changed_at",
    password_expires_at: "password_expires_at",
    directory_link: "directory_link",
    last_login: "last_login",
    password: "password",
    recent: "recent",
} unread {
    first_name_fold,
    last_name_fold,
    email_fold,
    wants,
});
deserialize!(UserDocument);

/// [`Credentials`].
#[derive(Clone, Default, Serialize)]
pub(in super::super) struct PasswordDocument {
    hash: Option<String>,
    history: Vec<String>,
}

impl fmt::Debug for PasswordDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordDocument(…)")
    }
}

impl From<&PasswordHash> for PasswordDocument {
    fn from(hash: &PasswordHash) -> Self {
        Self {
            hash: Some(hash.expose().to_owned()),
            history: Vec::new(),
        }
    }
}

impl From<&Credentials> for PasswordDocument {
    fn from(credentials: &Credentials) -> Self {
        Self {
            hash: credentials.hash.as_ref().map(|hash| hash.expose().to_owned()),
            history: credentials
                .history
                .iter()
                .map(|hash| hash.expose().to_owned())
                .collect(),
        }
    }
}

impl From<PasswordDocument> for Credentials {
    fn from(password: PasswordDocument) -> Self {
        Self {
            hash: password.hash.map(PasswordHash::new),
            history: password.history.into_iter().map(PasswordHash::new).collect(),
        }
    }
}

from_document!(PasswordDocument {} or default { hash: "hash", history: "history" });
deserialize!(PasswordDocument);

/// [`DirectoryLink`].
#[derive(Debug, Clone, Serialize)]
struct LinkDocument {
    directory: String,
    dn: String,
    external_id: String,
    last_checked_at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

from_document!(LinkDocument {
    directory: "directory",
    dn: "dn",
    external_id: "external_id",
    last_checked_at: "last_checked_at",
} or default {
    picture: "picture",
});

/// [`Grant`]. Role and group are fields of their own so that an index can find who holds one.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "GrantFields")]
struct GrantDocument(Grant);

#[derive(Serialize)]
struct GrantFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Id>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    master: bool,
    source: GrantSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory_group_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_by: Option<Id>,
    granted_at: At,
}

from_document!(GrantFields { source: "source", granted_at: "granted_at" } or default {
    role: "role",
    group: "group",
    master: "master",
    directory_group_dn: "directory_group_dn",
    granted_by: "granted_by",
});

impl FromBson for GrantDocument {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        GrantFields::from_bson(value)?.try_into().map_err(Wrong::new)
    }
}

impl From<GrantDocument> for GrantFields {
    fn from(GrantDocument(grant): GrantDocument) -> Self {
        let (role, group, master) = match grant.target {
            GrantTarget::Role(id) => (Some(id.into()), None, false),
            GrantTarget::Group(id) => (None, Some(id.into()), false),
            GrantTarget::Master => (None, None, true),
        };
        Self {
            role,
            group,
            master,
            source: grant.source,
            directory_group_dn: grant.directory_group_dn,
            granted_by: grant.granted_by.map(Into::into),
            granted_at: grant.granted_at.into(),
        }
    }
}

impl TryFrom<GrantFields> for GrantDocument {
    type Error = &'static str;

    fn try_from(fields: GrantFields) -> Result<Self, Self::Error> {
        let target = match (fields.role, fields.group, fields.master) {
            (Some(id), None, false) => GrantTarget::Role(id.into()),
            (None, Some(id), false) => GrantTarget::Group(id.into()),
            (None, None, true) => GrantTarget::Master,
            _ => return Err("a grant is either of a role, of a group, or of everything"),
        };
        Ok(Self(Grant {
            target,
            source: fields.source,
            directory_group_dn: fields.directory_group_dn,
            granted_by: fields.granted_by.map(Into::into),
            granted_at: fields.granted_at.into(),
        }))
    }
}

/// What a user asked for, if it can be written to at all.
fn wants(user: &User) -> Vec<String> {
    let address = user.notifications.email.as_ref().or(user.email.as_ref());
    if user.status != UserStatus::Active || address.is_none() {
        return Vec::new();
    }
    let wanted = Subscription::ALL.into_iter().filter(|s| s.is_in(&user.notifications));
    wanted.map(|subscription| subscription.name().to_owned()).collect()
}

impl From<&User> for UserDocument {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.into(),
            account: user.account.into(),
            login: user.login.clone(),
            first_name: user.first_name.clone(),
            first_name_fold: fold(&user.first_name),
            last_name: user.last_name.clone(),
            last_name_fold: fold(&user.last_name),
            email: user.email.clone(),
            email_fold: user.email.as_ref().map(Email::folded),
            language: user.language,
            phone: user.phone.clone(),
            status: user.status,
            disabled_by: user.disabled_by,
            locked_until: user.locked_until.map(Into::into),
            avatar: user.avatar.map(Into::into),
            notifications: user.notifications.clone(),
            wants: wants(user),
            must_change_password: user.must_change_password,
            has_password: user.has_password,
            password_changed_at: user.password_changed_at.map(Into::into),
            password_expires_at: user.password_expires_at.map(Into::into),
            is_ldap: user.is_ldap,
            directory_link: user.directory_link.clone().map(|link| LinkDocument {
                directory: link.directory,
                dn: link.dn,
                external_id: link.external_id,
                last_checked_at: link.last_checked_at.into(),
                picture: link.picture,
            }),
            grants: user.grants.iter().cloned().map(GrantDocument).collect(),
            last_login: user.last_login.as_ref().map(Into::into),
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
            revision: user.revision,
            password: None,
            recent: Recent::default(),
        }
    }
}

impl From<UserDocument> for User {
    fn from(user: UserDocument) -> Self {
        Self {
            id: user.id.into(),
            account: user.account.into(),
            login: user.login,
            first_name: user.first_name,
            last_name: user.last_name,
            email: user.email,
            language: user.language,
            phone: user.phone,
            status: user.status,
            disabled_by: user.disabled_by,
            locked_until: user.locked_until.map(Into::into),
            avatar: user.avatar.map(Into::into),
            notifications: user.notifications,
            must_change_password: user.must_change_password,
            has_password: user.has_password,
            password_changed_at: user.password_changed_at.map(Into::into),
            password_expires_at: user.password_expires_at.map(Into::into),
            is_ldap: user.is_ldap,
            directory_link: user.directory_link.map(|link| DirectoryLink {
                directory: link.directory,
                dn: link.dn,
                external_id: link.external_id,
                last_checked_at: link.last_checked_at.into(),
                picture: link.picture,
            }),
            grants: user.grants.into_iter().map(|GrantDocument(grant)| grant).collect(),
            last_login: user.last_login.map(Into::into),
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
            revision: user.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::serialize_to_document;

    use super::*;
    use crate::domain::ids::AccountId;
    use crate::store::contract::sample::Maker;

    /// What is there to search and to sort by, and what is asked for by itself.
    const UNLISTED: [&str; 5] = [
        "first_name_fold",
        "last_name_fold",
        "email_fold",
        "wants",
        USER_LAST_LOGIN,
    ];

    #[test]
    fn a_list_reads_all_of_a_user() {
        let mut make = Maker::default();
        let account = AccountId::from_uuid(make.uuid());
        let document = serialize_to_document(&UserDocument::from(&make.user(account, "ann"))).unwrap();
        let mut written: Vec<&str> = document.keys().map(String::as_str).collect();
        // Absent where there are none.
        written.push("recent");
        let mut read = [&USER_LISTED[..], &UNLISTED].concat();
        written.sort_unstable();
        read.sort_unstable();
        assert_eq!(written, read);
    }
}
