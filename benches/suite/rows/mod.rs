//! The rows of the table.

use crate::bench::Bench;
use crate::table::Row;

mod ldap;
mod page;
mod process;
mod requests;
mod sign_ins;
mod soak;

/// Measures what has one name.
pub type Measure = fn(&Bench) -> Vec<Row>;

/// The default set, in its order.
pub const ROWS: [(&str, Measure); 10] = [
    ("seed", process::seed),
    ("page-mongo", page::mongo),
    ("page-sqlite", page::sqlite),
    ("lldap-page", page::lldap),
    ("paging", requests::paging),
    ("auth", requests::auth),
    ("sign-ins", sign_ins::alone),
    ("p99", sign_ins::beside_the_page),
    ("ldap", ldap::sign_ins),
    ("start", process::start),
];

/// Measured only when asked for.
pub const ON_REQUEST: [(&str, Measure); 1] = [("soak", soak::soak)];

/// Every row's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().chain(&ON_REQUEST).map(|(name, _)| *name)
}
