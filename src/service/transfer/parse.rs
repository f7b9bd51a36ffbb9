//! What a line says: its fields, through the same parsers that the API's inputs go through. Nothing here looks into a store.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::fields::{Fields, nearest, quoted};
use crate::auth::take_over;
use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::credentials::PasswordHash;
use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::login::Login;
use crate::domain::login_event::{EventOrigin, Impersonator, LoginMethod, LoginOutcome};
use crate::domain::phone::phone;
use crate::domain::role::{MAX_DESCRIPTION, MAX_NAME, Permission, Role};
use crate::domain::text::{TextError, line, required_line};
use crate::domain::user::{DirectoryLink, DisabledBy, Email, User, UserStatus};
use crate::service::{AccountChanges, NotificationChanges, PolicyChanges};

/// The kinds of lines.
const KINDS: [&str; 5] = ["account", "role", "group", "user", "login"];
/// The longest texts of a sign-in, in characters.
const MAX_SHORT: usize = 200;
const MAX_LONG: usize = 512;
/// The longest distinguished name, in characters.
const MAX_DN: usize = 1024;
/// The most earlier password hashes of a user.
const MAX_HISTORY: usize = 24;

/// A line that says something.
#[derive(Debug)]
pub(super) enum Entry {
    Account(Box<AccountLine>),
    Role(RoleLine),
    Group(GroupLine),
    User(Box<UserLine>),
    Login(Box<LoginLine>),
}

/// An account.
#[derive(Debug)]
pub(super) struct AccountLine {
    pub(super) name: AccountName,
    pub(super) id: Option<Uuid>,
    pub(super) main_group_id: Option<Uuid>,
    pub(super) status: Option<AccountStatus>,
    pub(super) changes: AccountChanges,
    pub(super) created_at: Option<Timestamp>,
}

/// A role.
#[derive(Debug)]
pub(super) struct RoleLine {
    pub(super) account: Option<AccountName>,
    pub(super) id: Option<Uuid>,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) permissions: Option<Vec<Permission>>,
    pub(super) created_at: Option<Timestamp>,
}

/// A group.
#[derive(Debug)]
pub(super) struct GroupLine {
    pub(super) account: Option<AccountName>,
    pub(super) id: Option<Uuid>,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) main: bool,
    pub(super) created_at: Option<Timestamp>,
}

/// A user.
#[derive(Debug)]
pub(super) struct UserLine {
    pub(super) account: Option<AccountName>,
    pub(super) id: Option<UserId>,
    pub(super) login: Login,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) email: Option<Option<Email>>,
    pub(super) phone: Option<Option<String>>,
    pub(super) language: Option<Language>,
    pub(super) status: Option<UserStatus>,
    pub(super) disabled_by: Option<Option<DisabledBy>>,
    pub(super) ldap: Option<bool>,
    pub(super) directory_link: Option<Option<DirectoryLink>>,
    pub(super) master: Option<bool>,
    pub(super) roles: Option<Vec<String>>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) directory_grants: Option<Vec<DirectoryGrant>>,
    pub(super) alert_email: Option<Option<Email>>,
    pub(super) notifications: NotificationChanges,
    pub(super) must_change_password: Option<bool>,
    pub(super) password_hash: Option<PasswordHash>,
    pub(super) password_history: Vec<PasswordHash>,
    pub(super) password_changed_at: Option<Timestamp>,
    pub(super) password_expires_at: Option<Option<Timestamp>>,
    pub(super) created_at: Option<Timestamp>,
}

/// What a mapping of the directory granted.
#[derive(Debug)]
pub(super) struct DirectoryGrant {
    pub(super) target: GrantName,
    pub(super) directory_group: Option<String>,
}

/// What is granted, by name.
#[derive(Debug)]
pub(super) enum GrantName {
    Role(String),
    Group(String),
    Master,
}

/// A sign-in.
#[derive(Debug)]
pub(super) struct LoginLine {
    pub(super) account: Option<AccountName>,
    pub(super) id: Option<Uuid>,
    pub(super) at: Timestamp,
    pub(super) user: Option<Login>,
    pub(super) user_id: Option<UserId>,
    pub(super) attempted_login: Option<String>,
    pub(super) outcome: LoginOutcome,
    pub(super) method: LoginMethod,
    pub(super) origin: EventOrigin,
    pub(super) detail: Option<String>,
    pub(super) attempts: u32,
    pub(super) impersonator: Option<Impersonator>,
}

/// Reads a line of JSON.
pub(super) fn entry(map: Map<String, Value>) -> Result<Entry, String> {
    let mut fields = Fields::new(map);
    let Some(kind) = fields.text("kind") else {
        // Without a kind nothing is known about the other fields.
        return Err(format!(
            "kind is missing, or no text; it should be {}",
            KINDS.join(", ")
        ));
    };
    match kind.as_str() {
        "account" => account(fields).map(|line| Entry::Account(Box::new(line))),
        "role" => role(fields).map(Entry::Role),
        "group" => group(fields).map(Entry::Group),
        "user" => user(fields).map(|line| Entry::User(Box::new(line))),
        "login" => login(fields).map(|line| Entry::Login(Box::new(line))),
        other => {
            let hint = nearest(other, KINDS);
            Err(format!(
                "kind is {}; it should be {}{hint}",
                quoted(other),
                KINDS.join(", ")
            ))
        }
    }
}

/// Reads a row of a CSV file.
pub(super) fn csv_user(map: Map<String, Value>) -> Result<Entry, String> {
    user(Fields::new(map)).map(|line| Entry::User(Box::new(line)))
}

/// The line, when nothing is wrong with it.
fn whole<T>(fields: Fields, line: Option<T>) -> Result<T, String> {
    fields.check()?;
    // What is missing was noted, so that the check has told it.
    line.ok_or_else(|| "is not whole".to_owned())
}

fn account(mut fields: Fields) -> Result<AccountLine, String> {
    let name = fields.parsed("name", AccountName::parse);
    let name = fields.required("name", name);
    let changes = AccountChanges {
        revision: None,
        title: fields.parsed("title", |text| line(text, Account::MAX_TITLE)),
        time_zone: fields.text("timeZone"),
        default_language: fields.word("defaultLanguage", &["EN", "RU"]),
        directory: fields.optional("directory", |text| line(text, MAX_SHORT)),
        directory_only: fields.flag("directoryOnly"),
        password_policy: fields.object("passwordPolicy", policy).flatten().unwrap_or_default(),
    };
    let (id, main_group_id) = (fields.id("id"), fields.id("mainGroupId"));
    let status = fields.word("status", &["ACTIVE", "FROZEN"]);
    let created_at = fields.time("createdAt");
    let read = name.map(|name| AccountLine {
        name,
        id,
        main_group_id,
        status,
        changes,
        created_at,
    });
    whole(fields, read)
}

fn policy(fields: &mut Fields) -> Option<PolicyChanges> {
    let strength = fields.number("minStrength");
    let min_strength = strength.map(|n| u8::try_from(n).unwrap_or(u8::MAX));
    Some(PolicyChanges {
        min_length: fields.number("minLength"),
        min_strength,
        max_age_days: fields.nullable_number("maxAgeDays"),
        history: fields.number("history"),
        lockout_threshold: fields.number("lockoutThreshold"),
        lockout_minutes: fields.number("lockoutMinutes"),
    })
}

fn role(mut fields: Fields) -> Result<RoleLine, String> {
    let account = fields.parsed("account", AccountName::parse);
    let name = fields.parsed("name", |text| required_line(text, MAX_NAME));
    let name = fields.required("name", name);
    let description = fields.parsed("description", |text| line(text, MAX_DESCRIPTION));
    let texts = fields.texts("permissions", Role::MAX_PERMISSIONS);
    let permissions = texts.map(|texts| {
        let mut permissions = Vec::with_capacity(texts.len());
        for text in texts {
            match Permission::parse(&text) {
                Ok(permission) => permissions.push(permission),
                Err(error) => fields.wrong(format!("permissions: {} {error}", quoted(&text))),
            }
        }
        permissions.sort_unstable();
        permissions.dedup();
        permissions
    });
    let (id, created_at) = (fields.id("id"), fields.time("createdAt"));
    let read = name.map(|name| RoleLine {
        account,
        id,
        name,
        description,
        permissions,
        created_at,
    });
    whole(fields, read)
}

fn group(mut fields: Fields) -> Result<GroupLine, String> {
    let account = fields.parsed("account", AccountName::parse);
    let name = fields.parsed("name", |text| required_line(text, MAX_NAME));
    let name = fields.required("name", name);
    let description = fields.parsed("description", |text| line(text, MAX_DESCRIPTION));
    let main = fields.flag("main").unwrap_or(false);
    let (id, created_at) = (fields.id("id"), fields.time("createdAt"));
    let read = name.map(|name| GroupLine {
        account,
        id,
        name,
        description,
        main,
        created_at,
    });
    whole(fields, read)
}

fn user(mut fields: Fields) -> Result<UserLine, String> {
    let account = fields.parsed("account", AccountName::parse);
    let login = fields.parsed("login", Login::parse);
    let login = fields.required("login", login);
    let id = fields.id("id").map(UserId::from_uuid);
    let first_name = fields.parsed("firstName", |text| line(text, User::MAX_NAME));
    let last_name = fields.parsed("lastName", |text| line(text, User::MAX_NAME));
    let email = fields.optional("email", Email::parse);
    let number = fields.optional("phone", phone);
    let language = fields.word("language", &["EN", "RU"]);
    let status = fields.word("status", &["ACTIVE", "DISABLED"]);
    let disabled_by = fields.optional_word("disabledBy", &["MANUAL", "DIRECTORY"]);
    let ldap = fields.flag("ldap");
    let directory_link = fields.object("directoryLink", link);
    let master = fields.flag("master");
    let roles = fields.texts("roles", User::MAX_GRANTS);
    let groups = fields.texts("groups", User::MAX_GRANTS);
    let directory_grants = fields.objects("directoryGrants", 2 * User::MAX_GRANTS, directory_grant);
    let settings = fields.object("notifications", notifications).flatten();
    let (alert_email, notifications) = settings.unwrap_or_default();
    let must_change_password = fields.flag("mustChangePassword");
    let password_hash = fields.optional("passwordHash", hash).flatten();
    let password_history = fields.texts("passwordHistory", MAX_HISTORY).unwrap_or_default();
    let password_history: Vec<PasswordHash> = password_history
        .iter()
        .filter_map(|text| match take_over(text) {
            Ok(hash) => Some(hash),
            Err(error) => {
                fields.wrong(format!("passwordHistory: a hash {error}"));
                None
            }
        })
        .collect();
    let password_changed_at = fields.nullable_time("passwordChangedAt").flatten();
    let password_expires_at = fields.nullable_time("passwordExpiresAt");
    let created_at = fields.time("createdAt");
    if ldap == Some(true) && password_hash.is_some() {
        fields.wrong("passwordHash is given for an LDAP user, whose password is the directory's");
    }
    let read = login.map(|login| UserLine {
        account,
        id,
        login,
        first_name,
        last_name,
        email,
        phone: number,
        language,
        status,
        disabled_by,
        ldap,
        directory_link,
        master,
        roles,
        groups,
        directory_grants,
        alert_email,
        notifications,
        must_change_password,
        password_hash,
        password_history,
        password_changed_at,
        password_expires_at,
        created_at,
    });
    whole(fields, read)
}

fn hash(text: &str) -> Result<PasswordHash, TextError> {
    take_over(text).map_err(|error| TextError::Invalid(error.to_string()))
}

fn link(fields: &mut Fields) -> Option<DirectoryLink> {
    let directory = fields.parsed("directory", |text| required_line(text, MAX_SHORT));
    let dn = fields.parsed("dn", |text| required_line(text, MAX_DN));
    let external_id = fields.parsed("externalId", |text| required_line(text, MAX_SHORT));
    let last_checked_at = fields.time("lastCheckedAt");
    let directory = fields.required("directory", directory);
    let dn = fields.required("dn", dn);
    let external_id = fields.required("externalId", external_id);
    let last_checked_at = fields.required("lastCheckedAt", last_checked_at);
    Some(DirectoryLink {
        directory: directory?,
        dn: dn?,
        external_id: external_id?,
        last_checked_at: last_checked_at?,
        picture: None,
    })
}

fn directory_grant(fields: &mut Fields) -> Option<DirectoryGrant> {
    let role = fields.parsed("role", |text| required_line(text, MAX_NAME));
    let group = fields.parsed("group", |text| required_line(text, MAX_NAME));
    let master = fields.flag("master").unwrap_or(false);
    let directory_group = fields.optional("directoryGroup", |text| line(text, MAX_DN)).flatten();
    let target = match (role, group, master) {
        (Some(role), None, false) => GrantName::Role(role),
        (None, Some(group), false) => GrantName::Group(group),
        (None, None, true) => GrantName::Master,
        _ => {
            fields.wrong("directoryGrants: each is either a role, a group, or master: true");
            return None;
        }
    };
    Some(DirectoryGrant {
        target,
        directory_group,
    })
}

fn notifications(fields: &mut Fields) -> Option<(Option<Option<Email>>, NotificationChanges)> {
    let email = fields.optional("email", Email::parse);
    let changes = NotificationChanges {
        email: None,
        limits_exhausted: fields.flag("limitsExhausted"),
        subscriber_complaints: fields.flag("subscriberComplaints"),
        hard_bounces: fields.flag("hardBounces"),
        soft_bounces: fields.flag("softBounces"),
        daily_reports: fields.flag("dailyReports"),
        weekly_reports: fields.flag("weeklyReports"),
        security_notices: fields.flag("securityNotices"),
    };
    Some((email, changes))
}

/// The words of an enumeration, as the API and the files have them.
fn outcomes() -> Vec<String> {
    let words = LoginOutcome::ALL
        .iter()
        .filter_map(|outcome| serde_json::to_value(outcome).ok());
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

fn login(mut fields: Fields) -> Result<LoginLine, String> {
    let account = fields.parsed("account", AccountName::parse);
    let at = fields.time("at");
    let at = fields.required("at", at);
    let user = fields.optional("user", Login::parse).flatten();
    let user_id = fields.id("userId").map(UserId::from_uuid);
    let attempted_login = fields.parsed("attemptedLogin", |text| line(text, MAX_LONG));
    let outcomes = outcomes();
    let words: Vec<&str> = outcomes.iter().map(String::as_str).collect();
    let outcome = fields.word("outcome", &words);
    let outcome = fields.required("outcome", outcome);
    let method = fields.word("method", &["LOCAL", "LDAP", "LINK", "IMPERSONATION"]);
    let method = fields.required("method", method);
    let address = fields.parsed("ip", |text| {
        let wrong = || TextError::Invalid("is no address such as 192.0.2.7 or 2001:db8::7".to_owned());
        text.trim().parse::<IpAddr>().map_err(|_| wrong())
    });
    let ip = fields.required("ip", address);
    let location = fields.object("location", location).flatten();
    let mut short = |name| fields.optional(name, |text| line(text, MAX_SHORT)).flatten();
    let (browser, operating_system, device) = (short("browser"), short("operatingSystem"), short("device"));
    let user_agent = fields.optional("userAgent", |text| line(text, MAX_LONG)).flatten();
    let detail = fields.optional("detail", |text| line(text, MAX_LONG)).flatten();
    let attempts = fields.number("attempts").unwrap_or(1);
    if attempts == 0 {
        fields.wrong("attempts is 0; it should be 1 or more");
    }
    let impersonator = fields.object("impersonator", impersonator).flatten();
    let id = fields.id("id");
    if user.is_some() && user_id.is_some() {
        fields.wrong("user and userId are both given; userId is for users who are gone");
    }
    let read = || {
        Some(LoginLine {
            account,
            id,
            at: at?,
            user,
            user_id,
            attempted_login,
            outcome: outcome?,
            method: method?,
            origin: EventOrigin {
                ip: ip?,
                location,
                browser: browser.map(Into::into),
                operating_system,
                device,
                user_agent,
            },
            detail,
            attempts,
            impersonator,
        })
    };
    let read = read();
    whole(fields, read)
}

fn location(fields: &mut Fields) -> Option<Location> {
    let mut text = |name| fields.optional(name, |text| line(text, MAX_SHORT)).flatten();
    let (country, country_code, city) = (text("country"), text("countryCode"), text("city"));
    Some(Location {
        country: country.map(Into::into),
        country_code: country_code.map(Into::into),
        city: city.map(Into::into),
        latitude: fields.degrees("latitude", 90.0),
        longitude: fields.degrees("longitude", 180.0),
    })
}

fn impersonator(fields: &mut Fields) -> Option<Impersonator> {
    let user = fields.id("userId").map(UserId::from_uuid);
    let name = fields.parsed("name", |text| required_line(text, MAX_SHORT));
    let (user, name) = (fields.required("userId", user), fields.required("name", name));
    Some(Impersonator {
        user: user?,
        name: name?,
    })
}
