//! Password hashes that other systems made: taken over as they are, checked at the first sign-in, and made anew then.

use std::sync::LazyLock;

use argon2::Params as Argon2Params;
use argon2::password_hash::phc;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::domain::credentials::PasswordHash;
use crate::domain::text::hex;

/// The longest hash that is looked at, in bytes.
const MAX_TEXT: usize = 1024;
/// bcrypt's cost: each step doubles the time, and 15 takes a few seconds.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=15;
/// What scrypt may take: memory in bytes, and N · r · p.
const SCRYPT_MEMORY: u64 = 128 * 1024 * 1024;
const SCRYPT_WORK: u64 = 1 << 21;
/// PBKDF2's iterations: its output is as long as its digest, so that each is one block's.
const PBKDF2_ITERATIONS: std::ops::RangeInclusive<u32> = 1..=4_000_000;
/// What argon2 may take: memory in KiB, memory times passes, lanes.
const ARGON2_MEMORY: u32 = 256 * 1024;
const ARGON2_WORK: u64 = 1024 * 1024;
const ARGON2_LANES: u32 = 64;
/// A derived key, in bytes: shorter ones prove nothing, nobody makes longer ones.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=64;
/// The longest salt, in bytes.
const MAX_SALT: usize = 128;

/// What a hash may be, for those who gave another one.
const KNOWN: &str = "known are argon2 ($argon2id$…), bcrypt ($2a$, $2b$, $2y$), scrypt ($scrypt$…), \
     PBKDF2 ($pbkdf2-sha256$…, pbkdf2_sha256$…, {PBKDF2-SHA256}…), {SSHA}, {SSHA256}, {SSHA384} and {SSHA512}";

/// Why a hash is not taken. It never holds the hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HashFormatError(String);

impl HashFormatError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

type Parsed<T> = Result<T, HashFormatError>;

/// Base64 as the various systems write it: with and without padding.
static BASE64: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, config)
});

/// Takes over a hash: argon2 (PHC; also behind Django's `argon2` and LDAP's `{ARGON2}`), and what [`KNOWN`] says. One that
/// would take seconds or hundreds of megabytes to check is not taken.
///
/// # Errors
/// [`HashFormatError`]: it is of no known kind, malformed, or too costly.
pub fn take_over(text: &str) -> Result<PasswordHash, HashFormatError> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err(HashFormatError::new(format!(
            "is {} bytes long; {MAX_TEXT} is the most",
            text.len()
        )));
    }
    let inner = ["{ARGON2}", "{BCRYPT}", "{CRYPT}"]
        .into_iter()
        .find_map(|scheme| strip_scheme(text, scheme))
        .or_else(|| text.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2")))
        .or_else(|| text.strip_prefix("bcrypt$").filter(|rest| rest.starts_with("$2")))
        .unwrap_or(text);
    // Django leaves the first `$` of an argon2 hash to its own separator.
    if inner.starts_with("$argon2") {
        check_argon2(inner)?;
    } else {
        Foreign::parse(inner)?;
    }
    Ok(PasswordHash::new(inner.to_owned()))
}

fn check_argon2(text: &str) -> Parsed<()> {
    let malformed = || HashFormatError::new("is no readable argon2 hash: $argon2id$v=19$m=…,t=…,p=…$SALT$HASH");
    let hash = phc::PasswordHash::new(text).map_err(|_| malformed())?;
    let params = Argon2Params::try_from(&hash).map_err(|_| malformed())?;
    let known = ["argon2id", "argon2i", "argon2d"].contains(&hash.algorithm.as_str());
    if !known || hash.salt.is_none() || hash.hash.is_none() {
        return Err(malformed());
    }
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > ARGON2_MEMORY || work > ARGON2_WORK || params.p_cost() > ARGON2_LANES {
        return Err(HashFormatError::new(format!(
            "is too costly to check: of argon2 at most m={ARGON2_MEMORY}, m·t={ARGON2_WORK} and p={ARGON2_LANES} are taken"
        )));
    }
    Ok(())
}

/// The digest that something is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sha {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Sha {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// The digest's length, in bytes.
    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn salted(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        fn digest<D: Digest>(password: &[u8], salt: &[u8]) -> Vec<u8> {
            D::new().chain_update(password).chain_update(salt).finalize().to_vec()
        }
        match self {
            Self::Sha1 => digest::<Sha1>(password, salt),
            Self::Sha256 => digest::<Sha256>(password, salt),
            Self::Sha384 => digest::<Sha384>(password, salt),
            Self::Sha512 => digest::<Sha512>(password, salt),
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32, output: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, output),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, output),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, iterations, output),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, output),
        }
    }
}

/// A hash that is not argon2's, read.
pub(super) enum Foreign {
    Bcrypt {
        hash: String,
        /// Django hashes the password with SHA-256 first, as bcrypt looks at 72 bytes only.
        sha256_first: bool,
    },
    Scrypt {
        params: scrypt::Params,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
    Pbkdf2 {
        sha: Sha,
        iterations: u32,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
    Salted {
        sha: Sha,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
}

impl Foreign {
    /// Reads a hash.
    pub(super) fn parse(text: &str) -> Parsed<Self> {
        for (scheme, sha) in [
            ("{SSHA}", Sha::Sha1),
            ("{SSHA256}", Sha::Sha256),
            ("{SSHA384}", Sha::Sha384),
            ("{SSHA512}", Sha::Sha512),
        ] {
            if let Some(rest) = strip_scheme(text, scheme) {
                return salted(sha, rest);
            }
        }
        for (scheme, sha) in [
            ("{PBKDF2}", Sha::Sha1),
            ("{PBKDF2-SHA1}", Sha::Sha1),
            ("{PBKDF2-SHA256}", Sha::Sha256),
            ("{PBKDF2-SHA512}", Sha::Sha512),
        ] {
            if let Some(rest) = strip_scheme(text, scheme) {
                return pbkdf2_fields(sha, rest);
            }
        }
        if let Some(hash) = text.strip_prefix("bcrypt_sha256$") {
            return bcrypt(hash, true);
        }
        if let Some(rest) = text.strip_prefix("scrypt$") {
            return scrypt_django(rest);
        }
        if let Some(rest) = text.strip_prefix("scrypt:") {
            return scrypt_werkzeug(rest);
        }
        if let Some(rest) = text.strip_prefix("$scrypt$") {
            return scrypt_phc(rest);
        }
        if let Some(rest) = text.strip_prefix("pbkdf2_") {
            return pbkdf2_django(rest);
        }
        if let Some(rest) = text.strip_prefix("pbkdf2:") {
            return pbkdf2_werkzeug(rest);
        }
        if let Some(rest) = text.strip_prefix("$pbkdf2") {
            return pbkdf2_phc(rest);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            return bcrypt(text, false);
        }
        Err(HashFormatError::new(format!("is of an unknown kind; {KNOWN}")))
    }

    /// Is it the password's?
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let (found, output) = match self {
            Self::Bcrypt { hash, sha256_first } => {
                let first = sha256_first.then(|| hex(&Sha256::digest(password)).into_bytes());
                // What was read before is well formed.
                return bcrypt::verify(first.as_deref().unwrap_or(password), hash).unwrap_or(false);
            }
            Self::Scrypt { params, salt, output } => {
                let mut found = vec![0; output.len()];
                if scrypt::scrypt(password, salt, params, &mut found).is_err() {
                    return false;
                }
                (found, output)
            }
            Self::Pbkdf2 {
                sha,
                iterations,
                salt,
                output,
            } => {
                let mut found = vec![0; output.len()];
                sha.pbkdf2(password, salt, *iterations, &mut found);
                (found, output)
            }
            Self::Salted { sha, salt, output } => (sha.salted(password, salt), output),
        };
        found.ct_eq(output).into()
    }
}

/// What follows a scheme in braces, in whatever case it is written.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn malformed(form: &str) -> HashFormatError {
    HashFormatError::new(format!("cannot be read; it should be {form}"))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // passlib's variant has a dot in the place of the plus.
    BASE64.decode(text.replace('.', "+")).ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

fn salted(sha: Sha, text: &str) -> Parsed<Foreign> {
    let form = "the base64 of a digest with its salt behind it";
    let mut output = decode(text).ok_or_else(|| malformed(form))?;
    let length = sha.length();
    if output.len() <= length || output.len() > length + MAX_SALT {
        return Err(malformed(form));
    }
    let salt = output.split_off(length);
    Ok(Foreign::Salted { sha, salt, output })
}

fn bcrypt(hash: &str, sha256_first: bool) -> Parsed<Foreign> {
    let error = || malformed("a bcrypt hash of 60 characters, $2b$COST$…");
    if hash.len() != 60 || !hash.is_ascii() {
        return Err(error());
    }
    let cost: u32 = hash.get(4..6).and_then(|cost| cost.parse().ok()).ok_or_else(error)?;
    if !BCRYPT_COST.contains(&cost) {
        return Err(HashFormatError::new(format!(
            "has bcrypt's cost {cost}; {} to {} are taken",
            BCRYPT_COST.start(),
            BCRYPT_COST.end()
        )));
    }
    // Reads salt and digest, which are checked by nothing else than a verification.
    hash.parse::<bcrypt::HashParts>().map_err(|_| error())?;
    Ok(Foreign::Bcrypt {
        hash: hash.to_owned(),
        sha256_first,
    })
}

fn scrypt_of(log_n: u32, r: u32, p: u32, salt: Vec<u8>, output: Vec<u8>, form: &str) -> Parsed<Foreign> {
    let n = 1_u64.checked_shl(log_n).filter(|n| *n > 1).unwrap_or(u64::MAX);
    let work = n.saturating_mul(u64::from(r));
    if work.saturating_mul(128) > SCRYPT_MEMORY || work.saturating_mul(u64::from(p)) > SCRYPT_WORK {
        return Err(HashFormatError::new(format!(
            "is too costly to check: of scrypt at most N·r·128={SCRYPT_MEMORY} and N·r·p={SCRYPT_WORK} are taken"
        )));
    }
    let log_n = u8::try_from(log_n).map_err(|_| malformed(form))?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| malformed(form))?;
    check_lengths(&salt, &output, form)?;
    Ok(Foreign::Scrypt { params, salt, output })
}

fn check_lengths(salt: &[u8], output: &[u8], form: &str) -> Parsed<()> {
    if salt.is_empty() || salt.len() > MAX_SALT || !OUTPUT.contains(&output.len()) {
        return Err(malformed(form));
    }
    Ok(())
}

/// `ln=15,r=8,p=1$SALT$HASH`
fn scrypt_phc(text: &str) -> Parsed<Foreign> {
    let form = "$scrypt$ln=15,r=8,p=1$SALT$HASH";
    let read = || {
        let (params, rest) = text.split_once('$')?;
        let (salt, output) = rest.split_once('$')?;
        let value = |name: &str| numbered(params, name);
        Some((value("ln")?, value("r")?, value("p")?, decode(salt)?, decode(output)?))
    };
    let (log_n, r, p, salt, output) = read().ok_or_else(|| malformed(form))?;
    scrypt_of(log_n, r, p, salt, output, form)
}

/// `NAME=NUMBER` among what is separated by commas.
fn numbered(params: &str, name: &str) -> Option<u32> {
    let pairs = params.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .find_map(|(_, value)| value.parse().ok())
}

/// The exponent of a power of two.
fn log2(n: &str) -> Option<u32> {
    let n: u64 = n.parse().ok()?;
    n.is_power_of_two().then(|| n.trailing_zeros())
}

/// `16384$SALT$8$1$HASH`: N, the salt as it is, r, p.
fn scrypt_django(text: &str) -> Parsed<Foreign> {
    let form = "scrypt$N$SALT$R$P$HASH";
    let fields: Vec<&str> = text.split('$').collect();
    let &[n, salt, r, p, output] = fields.as_slice() else {
        return Err(malformed(form));
    };
    let read = || Some((log2(n)?, r.parse().ok()?, p.parse().ok()?, decode(output)?));
    let (log_n, r, p, output) = read().ok_or_else(|| malformed(form))?;
    scrypt_of(log_n, r, p, salt.as_bytes().to_vec(), output, form)
}

/// `32768:8:1$SALT$HEX`, the salt as it is.
fn scrypt_werkzeug(text: &str) -> Parsed<Foreign> {
    let form = "scrypt:N:R:P$SALT$HEX";
    let read = || {
        let (params, rest) = text.split_once('$')?;
        let (salt, output) = rest.split_once('$')?;
        let mut params = params.split(':');
        let (n, r, p) = (params.next()?, params.next()?, params.next()?);
        params.next().is_none().then_some(())?;
        Some((log2(n)?, r.parse().ok()?, p.parse().ok()?, salt, unhex(output)?))
    };
    let (log_n, r, p, salt, output) = read().ok_or_else(|| malformed(form))?;
    scrypt_of(log_n, r, p, salt.as_bytes().to_vec(), output, form)
}

fn pbkdf2_of(sha: Sha, iterations: u32, salt: Vec<u8>, output: Vec<u8>, form: &str) -> Parsed<Foreign> {
    check_lengths(&salt, &output, form)?;
    if output.len() != sha.length() {
        return Err(malformed(form));
    }
    if !PBKDF2_ITERATIONS.contains(&iterations) {
        return Err(HashFormatError::new(format!(
            "has {iterations} iterations; of PBKDF2 {} to {} are taken",
            PBKDF2_ITERATIONS.start(),
            PBKDF2_ITERATIONS.end()
        )));
    }
    Ok(Foreign::Pbkdf2 {
        sha,
        iterations,
        salt,
        output,
    })
}

/// `10000$SALT$HASH`, as LDAP servers keep it.
fn pbkdf2_fields(sha: Sha, text: &str) -> Parsed<Foreign> {
    let form = "ITERATIONS$SALT$HASH behind the scheme, salt and hash in base64";
    let read = || {
        let (iterations, rest) = text.split_once('$')?;
        let (salt, output) = rest.split_once('$')?;
        Some((iterations.parse().ok()?, decode(salt)?, decode(output)?))
    };
    let (iterations, salt, output) = read().ok_or_else(|| malformed(form))?;
    pbkdf2_of(sha, iterations, salt, output, form)
}

/// `sha256$600000$SALT$HASH`, the salt as it is.
fn pbkdf2_django(text: &str) -> Parsed<Foreign> {
    let form = "pbkdf2_sha256$ITERATIONS$SALT$HASH";
    let fields: Vec<&str> = text.split('$').collect();
    let &[sha, iterations, salt, output] = fields.as_slice() else {
        return Err(malformed(form));
    };
    let read = || Some((Sha::named(sha)?, iterations.parse().ok()?, decode(output)?));
    let (sha, iterations, output) = read().ok_or_else(|| malformed(form))?;
    pbkdf2_of(sha, iterations, salt.as_bytes().to_vec(), output, form)
}

/// `sha256:600000$SALT$HEX`, the salt as it is.
fn pbkdf2_werkzeug(text: &str) -> Parsed<Foreign> {
    let form = "pbkdf2:sha256:ITERATIONS$SALT$HEX";
    let read = || {
        let (params, rest) = text.split_once('$')?;
        let (salt, output) = rest.split_once('$')?;
        let (sha, iterations) = params.split_once(':')?;
        Some((Sha::named(sha)?, iterations.parse().ok()?, salt, unhex(output)?))
    };
    let (sha, iterations, salt, output) = read().ok_or_else(|| malformed(form))?;
    pbkdf2_of(sha, iterations, salt.as_bytes().to_vec(), output, form)
}

/// `-sha256$i=600000,l=32$SALT$HASH` (PHC), or `-sha256$29000$SALT$HASH` (passlib; without a digest it is SHA-1).
fn pbkdf2_phc(text: &str) -> Parsed<Foreign> {
    let form = "$pbkdf2-sha256$i=ITERATIONS$SALT$HASH";
    let read = || {
        let (sha, rest) = text.split_once('$')?;
        let sha = match sha.strip_prefix('-') {
            Some(name) => Sha::named(name)?,
            None if sha.is_empty() => Sha::Sha1,
            None => return None,
        };
        let (params, rest) = rest.split_once('$')?;
        let (salt, output) = rest.split_once('$')?;
        let iterations = params.parse().ok().or_else(|| numbered(params, "i"))?;
        let (salt, output) = (decode(salt)?, decode(output)?);
        Some((sha, iterations, salt, output))
    };
    let (sha, iterations, salt, output) = read().ok_or_else(|| malformed(form))?;
    pbkdf2_of(sha, iterations, salt, output, form)
}

#[cfg(test)]
mod tests;
