//! The schema over both stores, asked over HTTP.

mod access;
mod accounts;
mod avatars;
mod batching;
mod directory_only;
mod execution;
mod impersonation;
mod live;
mod lockout;
mod must_change;
mod notifications;
mod parallel;
mod passwords;
mod permissions;
mod profile;
mod reading;
mod retention;
mod schema;
mod sessions;
mod sign_in;
mod stats;
mod tokens;
mod two_gateways;
mod users;
mod ways_in;
mod writing;
