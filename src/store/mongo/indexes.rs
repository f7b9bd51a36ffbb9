//! The indexes: made at the start, by whichever process comes first, and looked at by `doorward check`.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::report::COUNTRY;
use super::round_trip;

/// Unique: an account's name.
pub(super) const ACCOUNT_NAME: &str = "accounts_name";
/// Unique: a login in its account.
pub(super) const USER_LOGIN: &str = "users_login";
/// Unique: a role's name in its account.
pub(super) const ROLE_NAME: &str = "roles_name";
/// Unique: a group's name in its account.
pub(super) const GROUP_NAME: &str = "groups_name";
/// Unique: the entry of a directory that a user of an account is linked to.
pub(super) const DIRECTORY_LINK: &str = "users_directory_link";
/// Unique: the name of an API token among those of its account that are not revoked.
pub(super) const TOKEN_NAME: &str = "api_tokens_name";

/// Over whose passwords are a directory's, by when they expire.
pub(super) const USERS_EXPIRING: &str = "users_expiring";

/// The collections' names.
pub(super) mod collections {
    pub(in super::super) const ACCOUNTS: &str = "accounts";
    pub(in super::super) const USERS: &str = "users";
    pub(in super::super) const ROLES: &str = "roles";
    pub(in super::super) const GROUPS: &str = "groups";
    pub(in super::super) const SESSIONS: &str = "sessions";
    pub(in super::super) const LOGIN_EVENTS: &str = "login_events";
    pub(in super::super) const AUDIT: &str = "audit";
    pub(in super::super) const FAILURES: &str = "failures";
    pub(in super::super) const ATTEMPTS: &str = "attempts";
    pub(in super::super) const API_TOKENS: &str = "api_tokens";
    pub(in super::super) const AVATARS: &str = "avatars";
    pub(in super::super) const DELETIONS: &str = "deletions";
    pub(in super::super) const LEASES: &str = "leases";
    pub(in super::super) const MAILS: &str = "mails";
    pub(in super::super) const LINKS: &str = "links";
    pub(in super::super) const REPORT_MARKS: &str = "report_marks";
}
use collections::{
    ACCOUNTS, API_TOKENS, ATTEMPTS, AUDIT, AVATARS, DELETIONS, FAILURES, GROUPS, LEASES, LINKS, LOGIN_EVENTS, MAILS,
    REPORT_MARKS, ROLES, SESSIONS, USERS,
};

/// The server's codes for "somebody else is just at work on this", after which asking again finds it done.
const AT_WORK: [i32; 10] = [
    24,    // LockTimeout
    46,    // LockBusy
    48,    // NamespaceExists
    112,   // WriteConflict
    117,   // ConflictingOperationInProgress
    175,   // QueryPlanKilled
    246,   // SnapshotUnavailable
    249,   // IndexBuildAlreadyInProgress
    276,   // IndexBuildAborted
    11601, // Interrupted
];
const TRIES: u32 = 10;

fn index(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).build();
    IndexModel::builder().keys(keys).options(options).build()
}

fn unique(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(true).build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// Unique among the documents that match `filter`.
fn unique_among(name: &str, keys: Document, filter: Document) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.to_owned())
        .unique(true)
        .partial_filter_expression(filter)
        .build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// Only over the documents that match `filter`.
fn partial(name: &str, keys: Document, filter: Document) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.to_owned())
        .partial_filter_expression(filter)
        .build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// Removes documents when the moment in `field` has passed.
fn expiring(name: &str, field: &str) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.to_owned())
        .expire_after(Duration::ZERO)
        .build();
    IndexModel::builder().keys(doc! { field: 1 }).options(options).build()
}

/// Every collection with its indexes. Each list of one account has one that delivers it in order.
fn wanted() -> Vec<(&'static str, Vec<IndexModel>)> {
    vec![
        (
            ACCOUNTS,
            vec![
                unique(ACCOUNT_NAME, doc! { "name": 1 }),
                index("accounts_title", doc! { "title_fold": 1 }),
                index("accounts_created", doc! { "created_at": 1, "_id": 1 }),
            ],
        ),
        (
            USERS,
            vec![
                unique(USER_LOGIN, doc! { "account": 1, "login": 1 }),
                index("users_first_name", doc! { "account": 1, "first_name_fold": 1 }),
                index("users_last_name", doc! { "account": 1, "last_name_fold": 1, "_id": 1 }),
                index("users_email", doc! { "account": 1, "email_fold": 1, "_id": 1 }),
                index("users_created", doc! { "account": 1, "created_at": 1, "_id": 1 }),
                index("users_last_login", doc! { "account": 1, "last_login.at": 1, "_id": 1 }),
                index("users_role", doc! { "account": 1, "grants.role": 1, "login": 1 }),
                index("users_group", doc! { "account": 1, "grants.group": 1, "login": 1 }),
                partial(
                    "users_master",
                    doc! { "account": 1, "grants.master": 1, "login": 1 },
                    doc! { "grants.master": true },
                ),
                partial(
                    "users_locked",
                    doc! { "account": 1, "locked_until": 1 },
                    doc! { "locked_until": { "$exists": true } },
                ),
                partial(
                    "users_disabled",
                    doc! { "account": 1, "login": 1 },
                    doc! { "status": "DISABLED" },
                ),
                unique_among(
                    DIRECTORY_LINK,
                    doc! { "account": 1, "directory_link.directory": 1, "directory_link.external_id": 1 },
                    doc! { "directory_link.external_id": { "$exists": true } },
                ),
                partial(
                    "users_directory",
                    doc! { "account": 1, "directory_link.directory": 1, "_id": 1 },
                    doc! { "is_ldap": true },
                ),
                // What they ask for comes first, so that it also finds those who have no `wants` yet.
                index("users_wants", doc! { "wants": 1, "account": 1, "_id": 1 }),
                partial(
                    USERS_EXPIRING,
                    doc! { "account": 1, "password_expires_at": 1, "_id": 1 },
                    doc! { "is_ldap": true },
                ),
                // For operators, who may list the users of all accounts.
                index("users_login_everywhere", doc! { "login": 1, "_id": 1 }),
            ],
        ),
        (
            ROLES,
            vec![
                unique(ROLE_NAME, doc! { "account": 1, "name_fold": 1 }),
                index("roles_name_everywhere", doc! { "name_fold": 1, "_id": 1 }),
            ],
        ),
        (
            GROUPS,
            vec![
                unique(GROUP_NAME, doc! { "account": 1, "name_fold": 1 }),
                index("groups_name_everywhere", doc! { "name_fold": 1, "_id": 1 }),
                partial("groups_main", doc! { "account": 1 }, doc! { "is_main": true }),
            ],
        ),
        (
            SESSIONS,
            vec![
                index("sessions_token", doc! { "token_hash": 1 }),
                index("sessions_user", doc! { "user": 1, "created_at": -1, "_id": -1 }),
                index("sessions_user_expiry", doc! { "user": 1, "expires_at": 1 }),
                index("sessions_account", doc! { "account": 1 }),
                index("sessions_expiry", doc! { "expires_at": 1 }),
            ],
        ),
        (
            LOGIN_EVENTS,
            vec![
                index("login_events_account", doc! { "account": 1, "at": -1, "_id": -1 }),
                index("login_events_user", doc! { "user": 1, "at": -1, "_id": -1 }),
                index(
                    "login_events_ip",
                    doc! { "account": 1, "origin.ip": 1, "at": -1, "_id": -1 },
                ),
                index("login_events_at", doc! { "at": -1, "_id": -1 }),
                // The filter is in the keys too, so that the server need not look at the sign-ins themselves.
                partial(
                    "login_events_country",
                    doc! { "account": 1, "outcome": 1, "method": 1, COUNTRY: 1, "at": 1 },
                    doc! { "outcome": "SUCCESS" },
                ),
            ],
        ),
        (
            AUDIT,
            vec![
                index("audit_account", doc! { "account": 1, "at": -1, "_id": -1 }),
                index("audit_target", doc! { "target_id": 1, "at": -1, "_id": -1 }),
                index("audit_actor", doc! { "actor_user": 1, "at": -1, "_id": -1 }),
                index("audit_at", doc! { "at": -1, "_id": -1 }),
            ],
        ),
        (
            FAILURES,
            vec![
                unique("failures_counter", doc! { "account": 1, "login": 1, "network": 1 }),
                index("failures_expiry", doc! { "expires_at": 1 }),
            ],
        ),
        (
            ATTEMPTS,
            vec![
                index("attempts_end", doc! { "ends_at": 1 }),
                expiring("attempts_expiry", "expires_at"),
            ],
        ),
        (
            API_TOKENS,
            vec![
                unique_among(
                    TOKEN_NAME,
                    doc! { "account": 1, "name_fold": 1 },
                    doc! { "is_revoked": false },
                ),
                index("api_tokens_hash", doc! { "token_hash": 1 }),
                index("api_tokens_created", doc! { "account": 1, "created_at": -1, "_id": -1 }),
            ],
        ),
        (
            AVATARS,
            vec![
                index("avatars_user", doc! { "user": 1 }),
                index("avatars_account", doc! { "account": 1 }),
            ],
        ),
        (DELETIONS, vec![index("deletions_time", doc! { "deleted_at": 1 })]),
        (LEASES, vec![index("leases_expiry", doc! { "expires_at": 1 })]),
        (
            MAILS,
            vec![
                unique_among(
                    "mails_key",
                    doc! { "account": 1, "key": 1 },
                    doc! { "key": { "$exists": true } },
                ),
                partial(
                    "mails_due",
                    doc! { "due_at": 1, "_id": 1 },
                    doc! { "due_at": { "$exists": true } },
                ),
                index("mails_user", doc! { "account": 1, "user": 1 }),
                index("mails_created", doc! { "created_at": -1, "_id": -1 }),
                index("mails_state", doc! { "state": 1, "created_at": -1, "_id": -1 }),
                index("mails_to", doc! { "to_fold": 1, "created_at": -1, "_id": -1 }),
            ],
        ),
        (
            LINKS,
            vec![
                index("links_user", doc! { "account": 1, "user": 1, "mail": 1 }),
                index("links_expiry", doc! { "expires_at": 1 }),
            ],
        ),
        (
            REPORT_MARKS,
            vec![unique("report_marks_kind", doc! { "account": 1, "kind": 1 })],
        ),
    ]
}

/// Those that only lists and searches of users need. A first load makes them at its end: its users come in no order that is
/// theirs, and keeping them up is most of its work.
pub(super) const LATE: [&str; 10] = [
    "users_first_name",
    "users_last_name",
    "users_email",
    "users_created",
    "users_last_login",
    "users_role",
    "users_group",
    "users_disabled",
    "users_wants",
    "users_login_everywhere",
];

/// Makes what is missing, and the collections with it: a transaction must find them there.
pub(super) async fn create(database: &Database) -> Result<(), Error> {
    let each = wanted().into_iter().map(|(name, models)| async move {
        let collection = database.collection::<Document>(name);
        let mut tried = 0;
        loop {
            round_trip("createIndexes");
            match collection.create_indexes(models.clone()).await {
                Err(error) => wait_for_others(&mut tried, error).await?,
                Ok(_) => return Ok(()),
            }
        }
    });
    try_join_all(each).await.map(drop)
}

/// After a failure in what several processes may do at once as they start: waits a moment where another one was in the way,
/// so that it can be tried again.
///
/// # Errors
/// The failure itself, when waiting is of no use.
pub(super) async fn wait_for_others(tried: &mut u32, error: Error) -> Result<(), Error> {
    *tried += 1;
    if *tried == TRIES || !is_at_work(&error) {
        return Err(error);
    }
    tokio::time::sleep(Duration::from_millis(100) * *tried).await;
    Ok(())
}

fn is_at_work(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Command(e) => AT_WORK.contains(&e.code),
        ErrorKind::Write(WriteFailure::WriteError(e)) => AT_WORK.contains(&e.code),
        _ => false,
    }
}

/// What is missing or different, each in a few words; nothing when all is well. Also says how many were looked at.
pub(super) async fn differences(database: &Database) -> Result<(usize, Vec<String>), Error> {
    let mut looked_at = 0;
    let mut differences = Vec::new();
    for (name, models) in wanted() {
        round_trip("listIndexes");
        let found: HashMap<String, IndexModel> = match database.collection::<Document>(name).list_indexes().await {
            Ok(cursor) => {
                let found: Vec<IndexModel> = cursor.try_collect().await?;
                found
                    .into_iter()
                    .filter_map(|model| Some((label(&model)?, model)))
                    .collect()
            }
            Err(error) if is_no_collection(&error) => HashMap::new(),
            Err(error) => return Err(error),
        };
        for model in models {
            looked_at += 1;
            let Some(label) = label(&model) else { continue };
            match found.get(&label) {
                None => differences.push(format!("{name}: the index {label} is missing")),
                Some(other) if !alike(other, &model) => {
                    differences.push(format!("{name}: the index {label} is another than it should be"));
                }
                Some(_) => {}
            }
        }
    }
    Ok((looked_at, differences))
}

fn label(model: &IndexModel) -> Option<String> {
    model.options.as_ref()?.name.clone()
}

fn alike(a: &IndexModel, b: &IndexModel) -> bool {
    let is_unique = |m: &IndexModel| m.options.as_ref().and_then(|o| o.unique).unwrap_or(false);
    let expires = |m: &IndexModel| m.options.as_ref().and_then(|o| o.expire_after);
    // The server may give numbers back as another type than they were given as.
    let keys = |m: &IndexModel| -> Vec<(String, String)> {
        m.keys
            .iter()
            .map(|(field, way)| (field.clone(), way.to_string()))
            .collect()
    };
    keys(a) == keys(b) && is_unique(a) == is_unique(b) && expires(a) == expires(b)
}

fn is_no_collection(error: &Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(e) if e.code == 26)
}
