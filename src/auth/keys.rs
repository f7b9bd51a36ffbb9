//! The names of counters: digests, so that no typed login is kept in them.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::ids::AccountId;
use crate::domain::login::TypedLogin;
use crate::store::{FailureKey, LimitKey};

/// The counter of attempts for one thing (`kind`: "address", "login") of one value.
#[must_use]
pub fn limit_key(kind: &str, value: &str) -> LimitKey {
    LimitKey(digest(&["limit", kind, value]))
}

/// The counter of wrong passwords for a login, from one network (see [`crate::origin::address_prefix`]) or from
/// everywhere.
#[must_use]
pub fn failure_key(account: AccountId, login: &TypedLogin, network: Option<&str>) -> FailureKey {
    FailureKey {
        account,
        login: digest(&["failure", login.account.as_deref().unwrap_or_default(), &login.login]),
        network: network.map(|n| digest(&["network", n])),
    }
}

/// The counter of failed binds for a login at a directory, whichever account they came through.
#[must_use]
pub fn directory_failure_key(directory: &str, login: &TypedLogin) -> FailureKey {
    FailureKey {
        account: AccountId::from_uuid(Uuid::nil()), // a directory belongs to no account
        login: digest(&["directory", directory, &login.login]),
        network: None,
    }
}

/// SHA-256 over parts, each behind its length, so that no two lists of parts give one text.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn each_login_and_network_has_a_counter_of_its_own() {
        let account = testing::account("acme").id;
        let key = |login: &str, network| failure_key(account, &TypedLogin::parse(login), network);
        assert_eq!(key("Ann@acme", None), key("ann@ACME", None));
        assert_ne!(key("ann@acme", None), key("bob@acme", None));
        assert_ne!(key("ann@acme", None), key("ann@acme", Some("203.0.113.0/24")));
        assert_ne!(
            key("ann@acme", None),
            directory_failure_key("corp", &TypedLogin::parse("ann@acme"))
        );
        let at_corp = |login| directory_failure_key("corp", &TypedLogin::parse(login));
        assert_eq!(
            at_corp("ann@acme"),
            at_corp("ann@beta"),
            "one person, through two accounts"
        );
        assert_ne!(limit_key("a", "bc"), limit_key("ab", "c"));
    }
}
