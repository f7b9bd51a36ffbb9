//! argon2 (RFC 9106) over memory that is kept from one hash to the next.
//!
//! The library takes a hash's memory anew each time, and 19 MB have to be cleared, or made by the kernel, before they are
//! hashed in: up to a fifth of the whole.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{Error, Result, Version as VersionNumber};
use argon2::{Algorithm, Argon2, Block, CustomizedPasswordHasher, Params, Version};

/// The memory of hashes that are done, for those that come next.
#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<Vec<Block>>>);

/// Without what is in it: a hash can be computed from its memory.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(…)")
    }
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `count` blocks, of whatever is in them: argon2's first pass writes each before it reads it.
    fn take(&self, count: usize) -> Result<Vec<Block>> {
        let mut blocks = self.kept().pop().unwrap_or_default();
        let lacking = count.saturating_sub(blocks.len());
        blocks.try_reserve_exact(lacking).map_err(|_| Error::OutOfMemory)?;
        blocks.resize(count, Block::new());
        Ok(blocks)
    }

    /// Frees what no hash is using.
    pub(super) fn free(&self) {
        self.kept().clear();
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept().len()
    }
}

/// The library's argon2 but for where its memory is; as there, [`argon2::PasswordVerifier`] follows from it.
#[derive(Debug)]
pub(super) struct InKeptMemory<'a> {
    /// What most hashes cost; those of other parameters have memory of their own.
    pub(super) params: &'a Params,
    /// Where memory comes from and goes to, if it is to be kept.
    pub(super) memory: Option<&'a Memory>,
}

impl CustomizedPasswordHasher<PasswordHash> for InKeptMemory<'_> {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<VersionNumber>,
        params: Params,
    ) -> Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let salt = Salt::new(salt)?;
        let mut buffer = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let out = buffer.get_mut(..length).ok_or(Error::OutputSize)?;
        let written = ParamsString::try_from(&params)?;

        let count = params.block_count();
        let memory = self.memory.filter(|_| count == self.params.block_count());
        let argon2 = Argon2::new(algorithm, version, params);
        match memory {
            Some(memory) => {
                let mut blocks = memory.take(count)?;
                argon2.hash_password_into_with_memory(password, &salt, out, &mut blocks)?;
                memory.kept().push(blocks);
            }
            None => argon2.hash_password_into(password, &salt, out)?,
        }
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: written,
            salt: Some(salt),
            hash: Some(Output::new(out)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;

    use super::*;

    #[test]
    fn a_hash_in_used_memory_is_the_library_s_own() {
        let (memory, usual) = (Memory::default(), Params::new(64, 2, 1, None).unwrap());
        let argon2 = InKeptMemory {
            params: &usual,
            memory: Some(&memory),
        };
        let all = [
            ("argon2id", 19, Params::new(64, 2, 1, None)),
            ("argon2id", 19, Params::new(64, 2, 1, Some(20))),
            ("argon2id", 16, Params::new(64, 1, 2, None)),
            ("argon2i", 19, Params::new(64, 3, 1, None)),
            ("argon2d", 19, Params::new(64, 1, 4, Some(64))),
            ("argon2id", 19, Params::new(256, 1, 1, None)),
            ("argon2id", 19, Params::new(32, 1, 1, None)),
        ];
        // Twice, so that each comes after each other's memory or its own.
        for (n, (algorithm, version, params)) in all.iter().chain(&all).enumerate() {
            let (params, password) = (params.clone().unwrap(), format!("password {n}"));
            let hash = |by: &dyn CustomizedPasswordHasher<PasswordHash, Params = Params>| {
                let (name, version) = (Some(*algorithm), Some(*version));
                by.hash_password_customized(password.as_bytes(), b"sixteen of bytes", name, version, params.clone())
            };
            let expected = hash(&Argon2::default()).unwrap();
            assert_eq!(hash(&argon2).unwrap(), expected);
            assert_eq!(memory.count(), 1, "{expected:?}");
            argon2.verify_password(password.as_bytes(), &expected).unwrap();
            let wrong = argon2.verify_password(b"wrong", &expected).unwrap_err();
            assert_eq!(wrong, Error::PasswordInvalid);
        }
        assert_eq!(format!("{argon2:?}").matches("Memory(…)").count(), 1);
    }
}
