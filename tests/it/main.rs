//! The integration tests: one binary, so that it is linked once. `tests/run` starts what they talk to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod browser;
mod cli;
mod components;
mod crash;
mod directory;
mod graphql;
mod http;
mod layers;
mod ldap;
mod login;
mod mail;
mod main_job;
mod readme;
mod set_password;
mod support;
mod two_processes;
