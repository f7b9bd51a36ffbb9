//! What the hot path remembers, so that a request that shows a session costs the store nothing: who sessions and API tokens
//! belong to, and the roles and groups that lists name.
//!
//! Each thing is remembered for [`FRESH`], and all of them only as long as this process changes nothing of the kind
//! ([`LiveStore::changes`](crate::store::LiveStore::changes)). So whatever is revoked, disabled, frozen or renamed is so at
//! once in this process, and within [`FRESH`] in every other one on the same store. Only reading uses this: what a change
//! rests on is always read from the store.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::access::{Person, Reach};
use crate::domain::credentials::TokenHash;
use crate::domain::group::Group;
use crate::domain::ids::{GroupId, RoleId};
use crate::domain::role::Role;
use crate::service::sessions::person_of;
use crate::service::{Caller, Result, Services};
use crate::store::{Store, TokenIdentity};

/// For how long something is taken to be as it was read: half of what a revoked session may still be good for elsewhere.
const FRESH: Duration = Duration::from_secs(1);
/// The most of one kind; when there are more, all of them are forgotten.
const MOST: usize = 20_000;

/// What is remembered.
#[derive(Debug, Default)]
pub struct Known {
    sessions: Memory<TokenHash, Arc<Person>>,
    tokens: Memory<TokenHash, TokenIdentity>,
    roles: Memory<RoleId, Arc<Role>>,
    groups: Memory<GroupId, Arc<Group>>,
}

/// Things of one kind.
#[derive(Debug)]
struct Memory<K, V>(Mutex<Kept<K, V>>);

#[derive(Debug)]
struct Kept<K, V> {
    /// The store's count of changes when these were read.
    changes: u64,
    read: HashMap<K, (Instant, V)>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            changes: 0,
            read: HashMap::new(),
        }))
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Memory<K, V> {
    /// What is left of it after the changes up to now.
    fn kept(&self, changes: u64) -> MutexGuard<'_, Kept<K, V>> {
        // Nothing that is written under this lock can be left half done.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.changes < changes {
            kept.changes = changes;
            kept.read.clear();
        }
        kept
    }

    fn get(&self, key: &K, changes: u64, now: Instant) -> Option<V> {
        let kept = self.kept(changes);
        let (read_at, value) = kept.read.get(key)?;
        is_fresh(*read_at, now).then(|| value.clone())
    }

    /// Remembers what was read when the store had counted `changes`, from `read_at` on.
    fn put(&self, key: K, value: V, changes: u64, read_at: Instant) {
        let mut kept = self.kept(changes);
        if kept.changes > changes {
            return; // it may be from before a change
        }
        if kept.read.len() >= MOST {
            kept.read.clear();
        }
        kept.read.insert(key, (read_at, value));
    }

    /// Alters what is remembered under that key.
    fn alter(&self, key: &K, alter: impl FnOnce(&mut V)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = kept.read.get_mut(key) {
            alter(value);
        }
    }

    /// All of these that there are: those that are remembered, and the others as `read` finds them.
    async fn many<F>(&self, store: &dyn Store, keys: &[K], read: impl FnOnce(Vec<K>) -> F) -> Result<Vec<V>>
    where
        F: Future<Output = crate::store::Result<Vec<(K, V)>>>,
    {
        let (changes, now) = (store.changes(), Instant::now());
        let mut found = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        {
            let kept = self.kept(changes);
            for key in keys {
                match kept.read.get(key) {
                    Some((read_at, value)) if is_fresh(*read_at, now) => found.push(value.clone()),
                    _ => missing.push(*key),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        for (key, value) in read(missing).await? {
            self.put(key, value.clone(), changes, now);
            found.push(value);
        }
        Ok(found)
    }
}

fn is_fresh(read_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(read_at) < FRESH
}

impl Services {
    /// Whose session has this hash; remembered, with whether the password was too old when it was read.
    pub(super) async fn known_person(&self, hash: &TokenHash) -> Result<Option<Arc<Person>>> {
        let (changes, now) = (self.store.changes(), Instant::now());
        if let Some(person) = self.known.sessions.get(hash, changes, now) {
            return Ok(Some(person));
        }
        let found = self.store.identity(hash).await?;
        let person = found.map(|identity| Arc::new(person_of(identity, self.clock.now())));
        // Whoever must change the password does so now, and may go on at another process at once.
        if let Some(person) = person.as_ref().filter(|person| !person.must_change_password) {
            self.known.sessions.put(*hash, Arc::clone(person), changes, now);
        }
        Ok(person)
    }

    /// Whose API token has this hash; remembered.
    pub(super) async fn known_token(&self, hash: &TokenHash) -> Result<Option<TokenIdentity>> {
        let (changes, now) = (self.store.changes(), Instant::now());
        if let Some(identity) = self.known.tokens.get(hash, changes, now) {
            return Ok(Some(identity));
        }
        let found = self.store.token_identities(&[*hash]).await?.pop().flatten();
        if let Some(identity) = &found {
            self.known.tokens.put(*hash, identity.clone(), changes, now);
        }
        Ok(found)
    }

    /// A session was used just now: whoever reads it from memory need not write that again.
    pub(super) fn session_was_used(&self, hash: &TokenHash, at: Timestamp) {
        let used = |known: &mut Arc<Person>| Arc::make_mut(known).session.last_seen_at = at;
        self.known.sessions.alter(hash, used);
    }

    /// The same of an API token.
    pub(super) fn token_was_used(&self, hash: &TokenHash, at: Timestamp) {
        self.known
            .tokens
            .alter(hash, |known| known.token.last_used_at = Some(at));
    }
}

impl Caller {
    /// Those of these roles that exist for the caller, in any order, as they were within the last second.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn known_roles(&self, ids: &[RoleId]) -> Result<Vec<Arc<Role>>> {
        let reach = self.principal().reach_of_account();
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let store = self.store();
        let read = async |ids: Vec<RoleId>| {
            let roles = store.roles_by_ids(&ids).await?;
            Ok(roles.into_iter().map(|role| (role.id, Arc::new(role))).collect())
        };
        let mut roles = self.services.known.roles.many(store, ids, read).await?;
        roles.retain(|role| reach.covers(role.account, None));
        Ok(roles)
    }

    /// Those of these groups that exist for the caller, in any order, as they were within the last second.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn known_groups(&self, ids: &[GroupId]) -> Result<Vec<Arc<Group>>> {
        let reach = self.principal().reach_of_account();
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let store = self.store();
        let read = async |ids: Vec<GroupId>| {
            let groups = store.groups_by_ids(&ids).await?;
            Ok(groups.into_iter().map(|group| (group.id, Arc::new(group))).collect())
        };
        let mut groups = self.services.known.groups.many(store, ids, read).await?;
        groups.retain(|group| reach.covers(group.account, None));
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let memory = Memory::<u8, &str>::default();
        let now = Instant::now();
        memory.put(1, "old", 5, now);
        assert_eq!(memory.get(&1, 5, now), Some("old"));
        assert_eq!(memory.get(&2, 5, now), None);
        assert_eq!(memory.get(&1, 6, now), None, "something changed");
        memory.put(1, "read before the change", 5, now);
        assert_eq!(memory.get(&1, 6, now), None);
        memory.put(1, "new", 6, now);
        assert_eq!(memory.get(&1, 6, now), Some("new"));
    }

    #[test]
    fn nothing_is_remembered_for_longer_than_it_is_fresh() {
        let memory = Memory::<u8, &str>::default();
        let now = Instant::now();
        memory.put(1, "old", 0, now);
        assert_eq!(memory.get(&1, 0, now + FRESH / 2), Some("old"));
        assert_eq!(memory.get(&1, 0, now + FRESH), None);
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Memory::<usize, ()>::default();
        let now = Instant::now();
        for key in 0..=MOST {
            memory.put(key, (), 0, now);
        }
        assert_eq!(memory.kept(0).read.len(), 1);
    }
}
