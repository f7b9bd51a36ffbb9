//! Writes small GeoIP databases, as the unit tests do.

#[path = "../../../src/origin/mmdb_writer.rs"]
mod writer;

pub use writer::{temporary, write};
