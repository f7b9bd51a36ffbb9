//! Who is asking, and what they may do: pure functions, without a look at any store.

mod policy;
mod principal;

pub use policy::{Denied, Reach};
pub use principal::{Person, Principal, TokenHolder};
