//! Password hashing with argon2id (RFC 9106), on a bounded number of threads. Hashes that other systems made are checked
//! here too, and made anew at the first right password.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::{PasswordHasher, phc};
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::auth::foreign::Foreign;
use crate::auth::threads::Threads;
use crate::domain::clock::{Entropy, EntropyError};
use crate::domain::credentials::PasswordHash;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashParameters {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// Why a password could not be hashed or checked; never because it is wrong.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// argon2 does not take these parameters.
    #[error("argon2id does not take memory_kib = {}, iterations = {}, parallelism = {}: {reason}", .parameters.memory_kib, .parameters.iterations, .parameters.parallelism)]
    Parameters {
        /// The parameters.
        parameters: HashParameters,
        /// What argon2 says.
        reason: String,
    },
    /// No salt could be made.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The stored hash is of no kind that is known here.
    #[error("a stored password hash cannot be read: {0}")]
    Unreadable(String),
    /// The system gives too few threads.
    #[error("the threads that hash passwords cannot be started: {0}")]
    Threads(std::io::Error),
    /// Too many passwords wait to be checked already.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The thread ended before the hash did.
    #[error("the hash was not finished: {0}")]
    Stopped(String),
}

/// What checking a password came to.
#[derive(Debug)]
pub struct Checked {
    /// It is the password.
    pub right: bool,
    /// The same password with today's parameters, when the stored hash has others.
    pub rehashed: Option<PasswordHash>,
}

/// A few seconds' work for one thread.
const PLACES_PER_THREAD: usize = 128;

/// Hashes and checks passwords; never more at once than it has threads, whoever waits, so that a storm of sign-ins
/// leaves the other cores to the queries. Where there is no other core, its threads step back behind theirs. Waiting is in
/// the order of arrival, and the queue has an end: a storm is refused at the door rather than kept waiting for longer and
/// longer.
#[derive(Debug, Clone)]
pub struct HashPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    params: Params,
    threads: Threads,
    permits: Arc<Semaphore>,
    /// Who may still come and wait, or is at work.
    places: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
    /// The hash of nothing that anybody knows, with today's parameters: checking against it takes as long as against a
    /// real one.
    dummy: phc::PasswordHash,
    /// How many passwords were held against a hash, the dummy included.
    verifications: AtomicU64,
}

impl HashPool {
    /// A pool of `threads`, at least one.
    ///
    /// # Errors
    /// [`HashError::Parameters`], [`HashError::Entropy`], [`HashError::Threads`].
    pub fn new(parameters: HashParameters, threads: usize, entropy: Arc<dyn Entropy>) -> Result<Self, HashError> {
        let refused = |reason: argon2::Error| HashError::Parameters {
            parameters,
            reason: reason.to_string(),
        };
        let params = Params::new(
            parameters.memory_kib,
            parameters.iterations,
            parameters.parallelism,
            None,
        )
        .map_err(refused)?;
        let threads = threads.max(1);
        let mut unknown = [0_u8; 32];
        entropy.fill(&mut unknown)?;
        // A dummy whose output is random costs no hashing at start and matches no password.
        let mut dummy = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&params).try_into().map_err(unreadable)?,
            salt: Some(phc::Salt::new(&salt(entropy.as_ref())?).map_err(unreadable)?),
            hash: None,
        };
        dummy.hash = Some(phc::Output::new(&unknown).map_err(unreadable)?);
        Ok(Self(Arc::new(Inner {
            params,
            threads: Threads::start(threads).map_err(HashError::Threads)?,
            permits: Arc::new(Semaphore::new(threads)),
            places: Arc::new(Semaphore::new(threads * PLACES_PER_THREAD)),
            entropy,
            dummy,
            verifications: AtomicU64::new(0),
        })))
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`HashError::Entropy`], [`HashError::Busy`], [`HashError::Stopped`].
    pub async fn hash(&self, password: &SecretString) -> Result<PasswordHash, HashError> {
        let password = password.clone();
        self.run(move |inner| inner.hash(&password)).await
    }

    /// Checks a password; `None` checks against a hash that nothing matches, in the same time.
    ///
    /// # Errors
    /// [`HashError::Unreadable`], [`HashError::Busy`], [`HashError::Stopped`].
    pub async fn check(&self, password: &SecretString, stored: Option<&PasswordHash>) -> Result<Checked, HashError> {
        let (password, stored) = (password.clone(), stored.cloned());
        self.run(move |inner| inner.check(&password, stored.as_ref())).await
    }

    /// How many checks were begun so far: what tells a test that a password was, or was not, worked on.
    #[doc(hidden)]
    #[must_use]
    pub fn verifications(&self) -> u64 {
        self.0.verifications.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let stopped = |e: &dyn std::fmt::Display| HashError::Stopped(e.to_string());
        let _place = self.0.places.try_acquire().map_err(|_| HashError::Busy)?;
        let permit = self.0.permits.clone().acquire_owned().await.map_err(|e| stopped(&e))?;
        let inner = self.0.clone();
        let working = self.0.threads.run(move || {
            let _permit = permit; // held until the thread is done, even when nobody waits any more
            work(&inner)
        });
        working.await.map_err(|e| stopped(&e))?
    }
}

impl Inner {
    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    fn hash(&self, password: &SecretString) -> Result<PasswordHash, HashError> {
        let salt = salt(self.entropy.as_ref())?;
        let hash = self
            .argon2()
            .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
            .map_err(|e| HashError::Stopped(e.to_string()))?;
        Ok(PasswordHash::new(hash.to_string()))
    }

    fn check(&self, password: &SecretString, stored: Option<&PasswordHash>) -> Result<Checked, HashError> {
        let Some(stored) = stored else {
            let _ = self.verify(password, &self.dummy);
            return Ok(Checked {
                right: false,
                rehashed: None,
            });
        };
        if !stored.expose().starts_with("$argon2") {
            return self.check_foreign(password, stored);
        }
        let parsed = phc::PasswordHash::new(stored.expose()).map_err(unreadable)?;
        match self.verify(password, &parsed) {
            Ok(()) if self.is_current(&parsed) => Ok(Checked {
                right: true,
                rehashed: None,
            }),
            Ok(()) => Ok(Checked {
                right: true,
                rehashed: Some(self.hash(password)?),
            }),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Checked {
                right: false,
                rehashed: None,
            }),
            Err(e) => Err(unreadable(e)),
        }
    }

    /// Checks against a hash that another system made; a wrong password takes at least as long as with one of our own.
    fn check_foreign(&self, password: &SecretString, stored: &PasswordHash) -> Result<Checked, HashError> {
        let foreign = Foreign::parse(stored.expose()).map_err(unreadable)?;
        self.verifications.fetch_add(1, Ordering::Relaxed);
        let right = foreign.verify(password.expose_secret().as_bytes());
        if !right {
            let _ = self
                .argon2()
                .verify_password(password.expose_secret().as_bytes(), &self.dummy);
        }
        Ok(Checked {
            right,
            rehashed: if right { Some(self.hash(password)?) } else { None },
        })
    }

    fn verify(&self, password: &SecretString, hash: &phc::PasswordHash) -> argon2::password_hash::Result<()> {
        self.verifications.fetch_add(1, Ordering::Relaxed);
        self.argon2().verify_password(password.expose_secret().as_bytes(), hash)
    }

    /// At least as strong as today's parameters ask for: only weaker hashes are made anew.
    fn is_current(&self, stored: &phc::PasswordHash) -> bool {
        let Ok(params) = Params::try_from(stored) else {
            return false;
        };
        stored.algorithm == Algorithm::Argon2id.ident()
            && params.m_cost() >= self.params.m_cost()
            && params.t_cost() >= self.params.t_cost()
    }
}

fn salt(entropy: &dyn Entropy) -> Result<[u8; 16], EntropyError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt)?;
    Ok(salt)
}

fn unreadable(error: impl std::fmt::Display) -> HashError {
    HashError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SystemEntropy;

    fn pool(memory_kib: u32, iterations: u32) -> HashPool {
        let parameters = HashParameters {
            memory_kib,
            iterations,
            parallelism: 1,
        };
        HashPool::new(parameters, 1, Arc::new(SystemEntropy)).unwrap()
    }

    #[tokio::test]
    async fn a_hash_matches_its_password_and_no_other() {
        let pool = pool(64, 1);
        let hash = pool.hash(&"correct horse".into()).await.unwrap();
        assert!(
            hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
            "{}",
            hash.expose()
        );
        assert!(pool.check(&"correct horse".into(), Some(&hash)).await.unwrap().right);
        assert!(!pool.check(&"correct hors".into(), Some(&hash)).await.unwrap().right);
        assert!(!pool.check(&"correct horse".into(), None).await.unwrap().right);
        assert_ne!(
            hash,
            pool.hash(&"correct horse".into()).await.unwrap(),
            "each hash has a salt of its own"
        );
    }

    #[tokio::test]
    async fn a_weaker_hash_is_made_anew_and_a_stronger_one_is_kept() {
        let (weak, strong) = (pool(64, 1), pool(128, 2));
        let hash = weak.hash(&"pass".into()).await.unwrap();
        let checked = strong.check(&"pass".into(), Some(&hash)).await.unwrap();
        let renewed = checked.rehashed.unwrap();
        assert!(renewed.expose().contains("m=128,t=2"), "{}", renewed.expose());
        assert!(
            strong
                .check(&"wrong".into(), Some(&hash))
                .await
                .unwrap()
                .rehashed
                .is_none()
        );
        let kept = weak.check(&"pass".into(), Some(&renewed)).await.unwrap();
        assert!(kept.right && kept.rehashed.is_none());
    }

    #[tokio::test]
    async fn no_more_are_hashed_at_once_than_there_are_threads() {
        let pool = pool(64, 1);
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let p = pool.clone();
                tokio::spawn(async move { p.hash(&"x".into()).await })
            })
            .collect();
        for hash in waiting {
            hash.await.unwrap().unwrap();
        }
        assert_eq!(pool.0.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let pool = pool(64, 1);
        let _all = pool.0.places.acquire_many(PLACES_PER_THREAD as u32).await.unwrap();
        assert!(matches!(pool.hash(&"x".into()).await, Err(HashError::Busy)));
        drop(_all);
        pool.hash(&"x".into()).await.unwrap();
    }

    #[test]
    fn impossible_parameters_are_named() {
        let parameters = HashParameters {
            memory_kib: 4,
            iterations: 0,
            parallelism: 1,
        };
        let error = HashPool::new(parameters, 1, Arc::new(SystemEntropy))
            .unwrap_err()
            .to_string();
        assert!(error.contains("memory_kib = 4"), "{error}");
    }

    #[tokio::test]
    async fn a_hash_of_another_system_is_made_anew_once_its_password_is_known() {
        let pool = pool(64, 1);
        let foreign = PasswordHash::new("{SSHA}wak8E2aOf4xjcuqzmfv5eIdsFlQlwVau".to_owned());
        let password = "plaited harbour 94 velvet".into();
        let wrong = pool.check(&"plaited".into(), Some(&foreign)).await.unwrap();
        assert!(!wrong.right && wrong.rehashed.is_none());
        let right = pool.check(&password, Some(&foreign)).await.unwrap();
        let renewed = right.rehashed.filter(|_| right.right).unwrap();
        assert!(renewed.expose().starts_with("$argon2id$"), "{}", renewed.expose());
        assert!(pool.check(&password, Some(&renewed)).await.unwrap().right);
        assert_eq!(pool.verifications(), 3);
    }

    #[tokio::test]
    async fn what_is_no_hash_is_an_error_and_not_a_wrong_password() {
        let error = pool(64, 1)
            .check(&"x".into(), Some(&PasswordHash::new("plain".into())))
            .await
            .unwrap_err();
        assert!(matches!(error, HashError::Unreadable(_)), "{error}");
    }
}
