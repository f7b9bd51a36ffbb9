//! The mutations, one file an aggregate: input, payload, and how it is done.

mod access;
mod account;
mod impersonation;
mod session;
mod signing;
mod token;
mod user;

use async_graphql::MergedObject;

/// Writing.
#[derive(Debug, Default, Clone, Copy, MergedObject)]
pub struct Mutation(
    signing::Signing,
    session::Sessions,
    impersonation::Impersonations,
    user::Users,
    access::Access,
    token::Tokens,
    account::Accounts,
);
