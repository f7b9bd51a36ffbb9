//! One attempt at a time for one login.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Makes attempts for one login wait for each other, within this process, so that many sent at once cannot all be tried
/// before the first wrong one counts: neither here nor against the directory's own lock-out.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<ByLogin>>);

/// Whoever waits for a login, or is at it, holds its turn.
type ByLogin = HashMap<[u8; 32], Weak<Turn<()>>>;

/// Forgotten logins are swept when there are this many.
const SWEEP_AT: usize = 1024;

impl Turns {
    /// Waits for this login's turn, which lasts as long as what is returned.
    pub async fn take(&self, login: [u8; 32]) -> OwnedMutexGuard<()> {
        self.turn(login).lock_owned().await
    }

    fn turn(&self, login: [u8; 32]) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&login).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= SWEEP_AT {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        turns.insert(login, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_login_waits_and_another_does_not() {
        let turns = Turns::default();
        let first = turns.take([1; 32]).await;
        let _other = turns.take([2; 32]).await;
        assert!(turns.turn([1; 32]).try_lock().is_err());
        drop(first);
        assert!(turns.turn([1; 32]).try_lock().is_ok());
    }

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let turns = Turns::default();
        for i in 0..u16::try_from(SWEEP_AT * 3).unwrap() {
            let mut login = [0; 32];
            login[..2].copy_from_slice(&i.to_be_bytes());
            drop(turns.turn(login));
        }
        assert!(turns.0.lock().unwrap().len() <= SWEEP_AT);
    }
}
