//! The schema over both stores, asked over HTTP.

mod batching;
mod execution;
mod must_change;
mod reading;
mod schema;
mod sign_in;
mod writing;
