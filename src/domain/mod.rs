//! Pure types and rules: no I/O, no clock of its own, no backend.

pub mod account;
pub mod audit;
pub mod avatar;
pub mod clock;
pub mod credentials;
pub mod grant;
pub mod group;
pub mod ids;
pub mod link;
pub mod location;
pub mod login;
pub mod login_event;
pub mod mail;
pub mod page;
pub mod password;
pub mod phone;
pub mod query;
pub mod role;
pub mod session;
pub mod text;
pub mod token;
pub mod user;

#[cfg(test)]
pub mod testing;
