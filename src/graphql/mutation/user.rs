//! Creating and changing users.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use super::signing::HASHING;
use crate::domain::ids::UserId;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::inputs::{clearable, ids, required};
use crate::graphql::types::{Language, NotificationSettingsInput, User};
use crate::service::{Caller, ErrorCode, NewUser, NotificationChanges, Problem, Problems, Result, UserChanges};

/// Users.
#[derive(Debug, Default, Clone, Copy)]
pub struct Users;

/// A new user.
#[derive(InputObject)]
pub struct CreateUserInput {
    /// Operators only; else the caller's account.
    account: Option<ID>,
    /// Unique in the account, without the account's name.
    login: String,
    /// First name.
    #[graphql(default)]
    first_name: String,
    /// Last name.
    #[graphql(default)]
    last_name: String,
    /// Contact address.
    email: Option<String>,
    /// The account's default language when absent.
    language: Option<Language>,
    /// Telephone, with + and the country's code.
    phone: Option<String>,
    /// Which mails it gets.
    notifications: Option<NotificationSettingsInput>,
    /// A local password.
    password: Option<String>,
    /// The password must be changed at the first sign-in.
    #[graphql(default_with = "Some(true)")]
    must_change_password: Option<bool>,
    /// Send a link to set a password.
    #[graphql(default_with = "Some(false)")]
    send_access_email: Option<bool>,
    /// May do everything in the account.
    is_master: Option<bool>,
    /// Signs in with the directory's password.
    is_ldap: Option<bool>,
    /// What it may do.
    roles: Option<Vec<ID>>,
    /// Whose objects it sees; the Main group when there are none.
    groups: Option<Vec<ID>>,
}

/// Changes to a user: absent means unchanged, null means cleared.
#[derive(InputObject)]
pub struct UpdateUserInput {
    /// The user.
    id: ID,
    /// Refuse the change when the user is no longer at this revision.
    revision: Option<i64>,
    /// Unique in the account, without the account's name.
    login: MaybeUndefined<String>,
    /// First name.
    first_name: MaybeUndefined<String>,
    /// Last name.
    last_name: MaybeUndefined<String>,
    /// Contact address.
    email: MaybeUndefined<String>,
    /// Language.
    language: MaybeUndefined<Language>,
    /// Telephone, with + and the country's code.
    phone: MaybeUndefined<String>,
    /// Which mails it gets.
    notifications: Option<NotificationSettingsInput>,
    /// The password must be changed at the next sign-in.
    must_change_password: Option<bool>,
    /// May do everything in the account.
    is_master: Option<bool>,
    /// Signs in with the directory's password.
    is_ldap: Option<bool>,
    /// All roles that were granted by hand.
    roles: MaybeUndefined<Vec<ID>>,
    /// All groups that were granted by hand.
    groups: MaybeUndefined<Vec<ID>>,
}

/// A new user, or what is wrong with it.
#[derive(Debug, SimpleObject)]
pub struct CreateUserPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A changed user, or what is wrong with the change.
#[derive(Debug, SimpleObject)]
pub struct UpdateUserPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Users.
#[Object]
impl Users {
    /// Makes a user with all of its settings; takes users:write.
    #[graphql(complexity = "hashing(&input) + child_complexity")]
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> ApiResult<CreateUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let new = NewUser {
            account: input.account.map(|id| node_id::decode(&id)),
            login: input.login,
            first_name: input.first_name,
            last_name: input.last_name,
            email: input.email,
            language: input.language.map(Into::into),
            phone: input.phone,
            notifications: input.notifications.map(Into::into).unwrap_or_default(),
            password: input.password.map(Into::into),
            must_change_password: input.must_change_password.unwrap_or(true),
            send_access_email: input.send_access_email.unwrap_or(false),
            is_master: input.is_master.unwrap_or(false),
            is_ldap: input.is_ldap.unwrap_or(false),
            roles: ids(&input.roles.unwrap_or_default()),
            groups: ids(&input.groups.unwrap_or_default()),
        };
        let (user, user_errors) = payload(create(&caller, new).await)?;
        Ok(CreateUserPayload {
            user: user.map(User::from),
            user_errors,
        })
    }

    /// Changes what is given of a user; takes users:write.
    async fn update_user(&self, ctx: &Context<'_>, input: UpdateUserInput) -> ApiResult<UpdateUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (user, user_errors) = payload(update(&caller, input).await)?;
        Ok(UpdateUserPayload {
            user: user.map(User::from),
            user_errors,
        })
    }
}

/// What the hash of a password given counts for.
fn hashing(input: &CreateUserInput) -> usize {
    if input.password.is_some() { HASHING } else { 1 }
}

async fn create(caller: &Caller, new: NewUser) -> Result<crate::domain::user::User> {
    caller.write_users()?.create(new).await
}

async fn update(caller: &Caller, input: UpdateUserInput) -> Result<crate::domain::user::User> {
    let writes = caller.write_users()?;
    let unknown = || Problem::at(&["id"], ErrorCode::NotFound, "There is no such user.");
    let id: UserId = node_id::decode(&input.id).ok_or_else(unknown)?;
    let mut problems = Problems::default();
    let changes = UserChanges {
        revision: input.revision,
        login: required(input.login, "login", &mut problems),
        first_name: clearable(input.first_name).map(Option::unwrap_or_default),
        last_name: clearable(input.last_name).map(Option::unwrap_or_default),
        email: clearable(input.email),
        language: required(input.language, "language", &mut problems).map(Into::into),
        phone: clearable(input.phone),
        notifications: input
            .notifications
            .map_or_else(NotificationChanges::default, Into::into),
        must_change_password: input.must_change_password,
        is_master: input.is_master,
        is_ldap: input.is_ldap,
        roles: clearable(input.roles).map(|r| ids(&r.unwrap_or_default())),
        groups: clearable(input.groups).map(|g| ids(&g.unwrap_or_default())),
    };
    problems.check()?;
    writes.update(id, changes).await
}
