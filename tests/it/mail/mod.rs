//! Mail, to a real mail server.

mod addresses;
mod alerts;
mod check;
mod client;
mod crashes;
mod faults;
mod links;
mod messages;
mod outbox;
mod post;
mod recipients;
mod reports;
mod resets;
mod secrets;
mod server;
mod sign_ins;
