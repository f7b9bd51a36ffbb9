//! `doorward user update`

use clap::Args;

use crate::cli::names::{self, explained};
use crate::cli::session::Session;
use crate::cli::user::notify::NotifyArgs;
use crate::cli::user::{LanguageArg, Target, none_if_empty, report};
use crate::domain::account::Language;
use crate::service::UserChanges;

/// Changes to a user: what is not given stays.
#[derive(Debug, Args)]
pub(in crate::cli) struct UpdateArgs {
    #[command(flatten)]
    target: Target,
    /// Another login, without the account
    #[arg(long = "login", value_name = "LOGIN")]
    new_login: Option<String>,
    /// At most 100 characters
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    /// At most 100 characters
    #[arg(long, value_name = "NAME")]
    last_name: Option<String>,
    /// Contact address; \"\" for none
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// With the country's code: +442079460123; \"\" for none
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Language for mails and pages
    #[arg(long, value_enum)]
    language: Option<LanguageArg>,
    /// May do everything in the account; --master=false takes it away
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    master: Option<bool>,
    /// Signs in with the password of the account's directory; --ldap=false: with one of their own
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ldap: Option<bool>,
    /// A role, by its name; those given replace all that were granted by hand
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Take all roles away that were granted by hand
    #[arg(long, conflicts_with = "roles")]
    no_roles: bool,
    /// A group, by its name; those given replace all that were granted by hand
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Leave the account's main group only
    #[arg(long, conflicts_with = "groups")]
    no_groups: bool,
    /// The password must be changed at the next sign-in; --must-change-password=false: need not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    must_change_password: Option<bool>,
    #[command(flatten)]
    notify: NotifyArgs,
}

pub(super) async fn update(session: &Session, args: UpdateArgs) -> anyhow::Result<()> {
    let caller = &session.caller;
    let (user, account) = names::user(caller, &args.target.login).await?;
    let mut changes = UserChanges {
        login: args.new_login,
        first_name: args.first_name,
        last_name: args.last_name,
        email: args.email.map(none_if_empty),
        language: args.language.map(Language::from),
        phone: args.phone.map(none_if_empty),
        notifications: args.notify.changes()?,
        must_change_password: args.must_change_password,
        is_master: args.master,
        is_ldap: args.ldap,
        ..UserChanges::default()
    };
    if args.no_roles || !args.roles.is_empty() {
        changes.roles = Some(names::roles(caller, account.id, &args.roles).await?);
    }
    if args.no_groups || !args.groups.is_empty() {
        changes.groups = Some(names::groups(caller, account.id, &args.groups).await?);
    }
    let updated = caller
        .write_users()?
        .update(user.id, changes)
        .await
        .map_err(explained)?;
    let done = if updated.revision == user.revision {
        "nothing to change of"
    } else {
        "updated"
    };
    report(session, &args.target, &updated, &account, done).await
}
