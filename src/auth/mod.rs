//! Who somebody is: the pluggable [`Authenticator`], the password hashes, the secrets of sessions.

mod authenticator;
mod foreign;
mod hashing;
mod keys;
mod ldap;
mod local;
mod threads;
mod token;

pub use authenticator::{Attempt, Authenticator, Authenticators, Right, Verdict};
pub use foreign::{HashFormatError, take_over};
pub use hashing::{HashError, HashParameters, HashPool};
pub use keys::{directory_failure_key, failure_key, limit_key};
pub use ldap::LdapAuthenticator;
pub use local::LocalAuthenticator;
pub use token::{
    BearerSecret, LinkSecret, SessionSecret, TokenSecret, find_secret, one_time_password, without_secrets,
};
