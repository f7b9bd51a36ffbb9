//! The secrets that Doorward hands out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::domain::clock::{Entropy, EntropyError};
use crate::domain::credentials::TokenHash;

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(SecretString);

        impl $name {
            /// What a secret of this kind starts with, so that a leaked one can be told for what it is.
            const PREFIX: &'static str = $prefix;

            /// Makes one.
            ///
            /// # Errors
            /// When the random source does not answer.
            pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let mut bytes = [0_u8; 32];
                entropy.fill(&mut bytes)?;
                Ok(Self(written(Self::PREFIX, &bytes)))
            }

            /// Reads one as it was shown; `None` when it cannot be one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                read(Self::PREFIX, text).map(|_| Self(text.into()))
            }

            /// The text for whoever it is made for.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// What the store keeps.
            #[must_use]
            pub fn hash(&self) -> TokenHash {
                TokenHash(Sha256::digest(self.expose().as_bytes()).into())
            }
        }
    )+};
}

secrets! {
    /// A session's secret: 256 random bits, which the client sends with each request. The store has only its SHA-256: with
    /// that many random bits a slow hash would add nothing.
    SessionSecret = "dws_",
    /// An API token's secret: as a session's, with a beginning of its own.
    TokenSecret = "dwt_",
    /// The secret of a link in a mail that lets somebody set a password.
    LinkSecret = "dwl_",
}

impl SessionSecret {
    /// Another secret, readable only with this one. A secret seals no more than one other: its keystream, HMAC-SHA-256 of a
    /// fixed text under 256 random bits, is as long as what it hides and never used again.
    #[must_use]
    pub fn seal(&self, inner: &Self) -> [u8; 32] {
        let mut sealed = self.keystream();
        for (byte, secret) in sealed.iter_mut().zip(inner.bytes()) {
            *byte ^= secret;
        }
        sealed
    }

    /// What was sealed with this secret; with any other, a secret that opens nothing.
    #[must_use]
    pub fn unseal(&self, sealed: &[u8; 32]) -> Self {
        let mut bytes = self.keystream();
        for (byte, hidden) in bytes.iter_mut().zip(sealed) {
            *byte ^= hidden;
        }
        Self::from_bytes(&bytes)
    }

    fn keystream(&self) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes()).expect("a key of 32 bytes");
        mac.update(b"doorward impersonation");
        mac.finalize().into_bytes().into()
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(written(Self::PREFIX, bytes))
    }

    /// The random bits.
    fn bytes(&self) -> [u8; 32] {
        // What was generated or parsed decodes to 32 bytes.
        read(Self::PREFIX, self.expose()).unwrap_or_default()
    }
}

/// A password for the first sign-in that nobody thought up: 120 random bits in words' length groups that can be read
/// aloud (base 32 without letters that look alike).
///
/// # Errors
/// When the random source does not answer.
pub fn one_time_password(entropy: &dyn Entropy) -> Result<SecretString, EntropyError> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
    let mut bytes = [0_u8; 24];
    entropy.fill(&mut bytes)?;
    let letter = |b: &u8| char::from(LETTERS[usize::from(b & 31)]); // 5 bits index 32 letters
    let groups: Vec<String> = bytes
        .chunks(6)
        .map(|group| group.iter().map(letter).collect())
        .collect();
    Ok(groups.join("-").into())
}

/// What a client may show as a bearer token.
#[derive(Debug)]
pub enum BearerSecret {
    /// A session's.
    Session(SessionSecret),
    /// An API token's.
    Token(TokenSecret),
}

impl BearerSecret {
    /// Reads one as a client sent it; `None` when it can be neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let session = SessionSecret::parse(text).map(Self::Session);
        session.or_else(|| TokenSecret::parse(text).map(Self::Token))
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        match self {
            Self::Session(secret) => secret.hash(),
            Self::Token(secret) => secret.hash(),
        }
    }
}

/// Where something begins in a text that looks like a secret of Doorward's.
#[must_use]
pub fn find_secret(text: &str) -> Option<usize> {
    let prefixes = [SessionSecret::PREFIX, TokenSecret::PREFIX, LinkSecret::PREFIX];
    prefixes.iter().filter_map(|prefix| text.find(prefix)).min()
}

/// The text with each of them left out, but for where it stood.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let (mut clean, mut rest) = (String::new(), text);
    while let Some((before, secret)) = find_secret(rest).and_then(|at| rest.split_at_checked(at)) {
        clean.push_str(before);
        clean.push('…');
        // Base64url, and the prefix is of the same characters.
        rest = secret.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    }
    clean + rest
}

fn written(prefix: &str, bytes: &[u8; 32]) -> SecretString {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)).into()
}

fn read(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    let read = URL_SAFE_NO_PAD
        .decode_slice(text.strip_prefix(prefix)?, &mut bytes)
        .ok()?;
    (read == bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SystemEntropy;

    #[test]
    fn a_bearer_is_told_by_its_beginning() {
        let (session, token) = (
            SessionSecret::generate(&SystemEntropy).unwrap(),
            TokenSecret::generate(&SystemEntropy).unwrap(),
        );
        assert!(
            matches!(BearerSecret::parse(session.expose()), Some(BearerSecret::Session(s)) if s.hash() == session.hash())
        );
        assert!(
            matches!(BearerSecret::parse(token.expose()), Some(BearerSecret::Token(t)) if t.hash() == token.hash())
        );
        let other = token.expose().replace("dwt_", "dwx_");
        for bad in ["", "dwt_", "dwt_AAAA", &other, &format!("{}A", token.expose())] {
            assert!(BearerSecret::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
    }

    #[test]
    fn a_links_secret_is_no_bearer() {
        let link = LinkSecret::generate(&SystemEntropy).unwrap();
        assert_eq!(LinkSecret::parse(link.expose()).unwrap().hash(), link.hash());
        assert!(BearerSecret::parse(link.expose()).is_none());
        assert!(LinkSecret::parse(&link.expose().replace("dwl_", "dws_")).is_none());
    }

    #[test]
    fn secrets_are_found_in_texts() {
        let link = LinkSecret::generate(&SystemEntropy).unwrap();
        assert_eq!(find_secret(&format!("/x/{}", link.expose())), Some(3));
        assert_eq!(find_secret("dwt_dws_"), Some(0));
        assert_eq!(find_secret("/set-password"), None);
        let words = "554 spam: https://gate.example.org/set-password?token=dwl_AbC-1_9 (and dws_x).";
        let clean = "554 spam: https://gate.example.org/set-password?token=… (and …).";
        assert_eq!(without_secrets(words), clean);
        assert_eq!(without_secrets("451 later"), "451 later");
    }

    #[test]
    fn a_sealed_secret_is_read_with_the_same_secret_only() {
        let [outer, inner, other] = [(); 3].map(|()| SessionSecret::generate(&SystemEntropy).unwrap());
        let sealed = outer.seal(&inner);
        assert_eq!(outer.unseal(&sealed).expose(), inner.expose());
        assert_ne!(other.unseal(&sealed).expose(), inner.expose());
        assert_ne!(other.seal(&inner), sealed);
        assert!(!inner.expose().contains(&URL_SAFE_NO_PAD.encode(sealed)));
    }

    #[test]
    fn a_secret_survives_the_way_to_the_client_and_back() {
        let secret = SessionSecret::generate(&SystemEntropy).unwrap();
        assert_eq!(SessionSecret::parse(secret.expose()).unwrap().hash(), secret.hash());
        assert_eq!(secret.expose().len(), 4 + 43);
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }

    #[test]
    fn what_cannot_be_a_secret_is_not_looked_up() {
        let good = SessionSecret::generate(&SystemEntropy).unwrap();
        for bad in [
            "",
            "dws_",
            "dws_abc",
            &good.expose()[4..],
            &format!("{}x", good.expose()),
            "dws_!!!!",
        ] {
            assert!(SessionSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn one_time_passwords_are_long_and_differ() {
        let (a, b) = (
            one_time_password(&SystemEntropy).unwrap(),
            one_time_password(&SystemEntropy).unwrap(),
        );
        assert_eq!(a.expose_secret().len(), 27);
        assert_ne!(a.expose_secret(), b.expose_secret());
    }
}
