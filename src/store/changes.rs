//! Counts the changes that this process makes, for whoever keeps something of a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many changes this process made to a store. Of other processes' changes it knows nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<AtomicU64>);

impl Changes {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// A change that counts when the value goes: after it was made, and also when nobody knows whether it was.
    pub(super) fn begin(&self) -> Change {
        Change(Arc::clone(&self.0))
    }
}

/// See [`Changes::begin`].
#[derive(Debug)]
#[must_use = "a change counts when this goes"]
pub(super) struct Change(Arc<AtomicU64>);

impl Drop for Change {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
