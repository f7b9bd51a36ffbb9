//! Who may use the machine: a test that measures time waits until no other is at work, and the others wait for it. Only
//! within one process: a runner that gives each test a process of its own has to see to that itself.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::new(());

/// The machine, shared with other tests.
#[must_use]
pub struct Shared(#[expect(dead_code, reason = "held until the test is over")] RwLockReadGuard<'static, ()>);

/// The machine without any other test.
#[must_use]
pub struct Alone(#[expect(dead_code, reason = "held until the test is over")] RwLockWriteGuard<'static, ()>);

/// Waits for whoever needs the machine alone. A test calls it once, at its start: a second call could wait for itself.
pub fn shared() -> Shared {
    // A test that failed has nothing here that could be left half done.
    Shared(TURN.read().unwrap_or_else(PoisonError::into_inner))
}

/// Waits until no other test is at work. As [`shared`], once.
pub fn alone() -> Alone {
    Alone(TURN.write().unwrap_or_else(PoisonError::into_inner))
}
