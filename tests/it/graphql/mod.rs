//! The schema over both stores, asked over HTTP.

mod access;
mod accounts;
mod batching;
mod execution;
mod impersonation;
mod live;
mod must_change;
mod reading;
mod schema;
mod sessions;
mod sign_in;
mod tokens;
mod writing;
