//! What a user looks like, for people and for scripts.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::or_dash;
use crate::cli::session::Session;
use crate::cli::user::LanguageArg;
use crate::cli::user::notify;
use crate::domain::account::{Account, Language};
use crate::domain::ids::{GroupId, RoleId};
use crate::domain::user::{DirectoryLink, DisabledBy, User, UserStatus};
use crate::graphql::node_id::encode;
use crate::graphql::types::NotificationSettings;

/// The names of the roles and groups of some users.
#[derive(Debug)]
pub(super) struct Names {
    roles: HashMap<RoleId, String>,
    groups: HashMap<GroupId, String>,
}

impl Names {
    /// Reads all of them in two look-ups, however many users there are.
    pub(super) async fn of(session: &Session, users: &[User]) -> anyhow::Result<Self> {
        let mut roles: Vec<RoleId> = users.iter().flat_map(User::roles).collect();
        let mut groups: Vec<GroupId> = users.iter().flat_map(User::groups).collect();
        roles.sort_unstable();
        roles.dedup();
        groups.sort_unstable();
        groups.dedup();
        let roles = session.caller.roles_by_ids(&roles).await?;
        let groups = session.caller.groups_by_ids(&groups).await?;
        Ok(Self {
            roles: roles.into_iter().map(|role| (role.id, role.name)).collect(),
            groups: groups.into_iter().map(|group| (group.id, group.name)).collect(),
        })
    }

    fn roles_of(&self, user: &User) -> Vec<&str> {
        user.roles()
            .iter()
            .filter_map(|id| self.roles.get(id))
            .map(String::as_str)
            .collect()
    }

    fn groups_of(&self, user: &User) -> Vec<&str> {
        user.groups()
            .iter()
            .filter_map(|id| self.groups.get(id))
            .map(String::as_str)
            .collect()
    }
}

/// A line of the table of users.
pub(super) fn row(user: &User, names: &Names, now: Timestamp) -> [String; 7] {
    [
        user.login.to_string(),
        or_dash(&full_name(user)),
        or_dash(email(user).unwrap_or_default()),
        status(user, now).to_owned(),
        kind(user),
        or_dash(&names.roles_of(user).join(", ")),
        user.last_login
            .as_ref()
            .map_or("never".to_owned(), |event| minute(event.at)),
    ]
}

/// All about a user, a line each.
pub(super) fn details(user: &User, account: &Account, names: &Names, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("Login", format!("{}@{}", user.login, account.name)),
        ("Id", encode(user.id).0),
        ("Name", or_dash(&full_name(user))),
        ("Email", or_dash(email(user).unwrap_or_default())),
        ("Phone", or_dash(user.phone.as_deref().unwrap_or_default())),
        ("Language", LanguageArg::from(user.language).to_string()),
        ("Status", status(user, now).to_owned()),
        ("Kind", kind(user)),
        ("Password", password(user)),
        ("Roles", or_dash(&names.roles_of(user).join(", "))),
        ("Groups", or_dash(&names.groups_of(user).join(", "))),
        ("Mails", notify::in_words(&user.notifications)),
    ];
    if let Some(until) = locked_until(user, now) {
        lines.push(("Locked until", minute(until)));
    }
    if let Some(link) = &user.directory_link {
        lines.push(("Directory entry", format!("{} in {}", link.dn, link.directory)));
    }
    lines.push((
        "Last sign-in",
        user.last_login.as_ref().map_or("never".to_owned(), |event| {
            let with = event
                .origin
                .browser
                .as_deref()
                .map(|browser| format!(" with {browser}"));
            format!(
                "{} from {}{}",
                minute(event.at),
                event.origin.ip,
                with.unwrap_or_default()
            )
        }),
    ));
    lines.push(("Created", minute(user.created_at)));
    lines.push((
        "Changed",
        format!("{} (revision {})", minute(user.updated_at), user.revision),
    ));
    lines
}

fn full_name(user: &User) -> String {
    format!("{} {}", user.first_name, user.last_name).trim().to_owned()
}

fn email(user: &User) -> Option<&str> {
    user.email.as_ref().map(|email| email.as_str())
}

fn locked_until(user: &User, now: Timestamp) -> Option<Timestamp> {
    user.locked_until.filter(|until| *until > now)
}

fn status(user: &User, now: Timestamp) -> &'static str {
    match user.status {
        UserStatus::Disabled => "disabled",
        UserStatus::Active if locked_until(user, now).is_some() => "locked",
        UserStatus::Active => "active",
    }
}

fn kind(user: &User) -> String {
    let kinds = [(user.is_master(), "master"), (user.is_ldap, "ldap")];
    let kinds: Vec<&str> = kinds.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect();
    or_dash(&kinds.join(", "))
}

fn password(user: &User) -> String {
    match (user.is_ldap, user.has_password, user.must_change_password) {
        (true, ..) => "the directory's".to_owned(),
        (_, false, _) => "none".to_owned(),
        (_, true, true) => "set; must be changed at the next sign-in".to_owned(),
        (_, true, false) => "set".to_owned(),
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A user for scripts, with the API's names of the fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserJson<'a> {
    id: String,
    login: &'a str,
    account: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    language: Language,
    status: UserStatus,
    disabled_by: Option<DisabledBy>,
    is_master: bool,
    is_ldap: bool,
    directory_link: Option<LinkJson<'a>>,
    has_password: bool,
    must_change_password: bool,
    password_changed_at: Option<String>,
    password_expires_at: Option<String>,
    locked_until: Option<String>,
    notifications: NotificationSettings,
    roles: Vec<&'a str>,
    groups: Vec<&'a str>,
    last_login_at: Option<String>,
    created_at: String,
    updated_at: String,
    revision: i64,
}

impl<'a> UserJson<'a> {
    pub(super) fn new(user: &'a User, account: &'a Account, names: &'a Names) -> Self {
        Self {
            id: encode(user.id).0,
            login: user.login.as_str(),
            account: account.name.as_str(),
            first_name: &user.first_name,
            last_name: &user.last_name,
            email: email(user),
            phone: user.phone.as_deref(),
            language: user.language,
            status: user.status,
            disabled_by: user.disabled_by,
            is_master: user.is_master(),
            is_ldap: user.is_ldap,
            directory_link: user.directory_link.as_ref().map(LinkJson::from),
            has_password: user.has_password,
            must_change_password: user.must_change_password,
            password_changed_at: user.password_changed_at.map(|at| at.to_string()),
            password_expires_at: user
                .password_expiry(account.password_policy.max_age_days)
                .map(|at| at.to_string()),
            locked_until: user.locked_until.map(|at| at.to_string()),
            notifications: (&user.notifications).into(),
            roles: names.roles_of(user),
            groups: names.groups_of(user),
            last_login_at: user.last_login.as_ref().map(|event| event.at.to_string()),
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
            revision: user.revision,
        }
    }
}

/// The directory's entry, for scripts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkJson<'a> {
    directory: &'a str,
    dn: &'a str,
    external_id: &'a str,
    last_checked_at: String,
}

impl<'a> From<&'a DirectoryLink> for LinkJson<'a> {
    fn from(link: &'a DirectoryLink) -> Self {
        Self {
            directory: &link.directory,
            dn: &link.dn,
            external_id: &link.external_id,
            last_checked_at: link.last_checked_at.to_string(),
        }
    }
}
