//! The contract's suite, and what is MongoDB's alone. Each test has a database of its own.

mod carried;
mod faults;
mod loads;
mod plans;
mod round_trips;
mod support;
mod transactions;

mod contract {
    crate::store::contract::contract_suite!(crate::store::mongo::tests::support::open);
}
