//! Doorward: a GraphQL gateway that keeps the people of many accounts and signs them in.
//!
//! The layers, leftmost first; an import may only point to the left (`tests/it/layers.rs` holds it):
//! `domain <- config <- {access, origin} <- {store, directory, mail} <- auth <- service <- graphql <- http <- app <- cli`.

pub mod domain;

pub mod config;

pub mod access;
pub mod origin;

pub mod directory;
pub mod mail;
pub mod store;

pub mod auth;

pub mod service;

pub mod graphql;

pub mod http;

pub mod app;

pub mod cli;
