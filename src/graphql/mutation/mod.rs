//! The mutations, one file an aggregate: input, payload, and how it is done.

mod access;
mod account;
mod avatar;
mod directory;
mod impersonation;
mod mail;
mod profile;
mod reset;
mod session;
mod signing;
mod token;
mod user;
mod user_access;
mod user_status;

use async_graphql::MergedObject;

/// Writing.
#[derive(Debug, Default, Clone, Copy, MergedObject)]
pub struct Mutation(
    signing::Signing,
    session::Sessions,
    impersonation::Impersonations,
    user::Users,
    avatar::Avatars,
    access::Access,
    token::Tokens,
    account::Accounts,
    user_status::UserStatuses,
    user_access::UserAccess,
    profile::Profile,
    directory::Directories,
    mail::Mails,
    reset::Resets,
);
