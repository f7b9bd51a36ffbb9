//! What a principal may see and do. Every rule stands here once; services ask before they hand out a capability.

use crate::access::{Person, Principal};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::role::{Permission, Role};
use crate::domain::session::Impersonation;
use crate::domain::user::User;

/// How much of a kind of object somebody sees. What lies outside does not exist for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of it, in every account.
    Everything,
    /// All of it in one account.
    Account(AccountId),
    /// Only what is their own.
    Own(AccountId, UserId),
    /// Nothing.
    Nothing,
}

impl Reach {
    /// Does it take in what belongs to this user of this account (`None`: to the account as a whole, or to nobody)?
    #[must_use]
    pub fn covers(self, account: AccountId, user: Option<UserId>) -> bool {
        match self {
            Self::Everything => true,
            Self::Account(own) => own == account,
            Self::Own(own, own_user) => own == account && user == Some(own_user),
            Self::Nothing => false,
        }
    }
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody has signed in.
    #[error("sign in first")]
    Unauthenticated,
    /// The password must be changed before anything else.
    #[error("the password must be changed first")]
    MustChangePassword,
    /// It takes a person, and this is an application's token (or nobody at all, on the command line).
    #[error("this takes a person who has signed in")]
    NotAPerson,
    /// Whoever acts for somebody else with leave to look may not change anything.
    #[error("this impersonation is read-only")]
    ReadOnly,
    /// Some things nobody does in somebody else's name.
    #[error("passwords, mail addresses, tokens and impersonations are not for somebody who acts for another")]
    Impersonating,
    /// A permission is missing.
    #[error("this takes {0}")]
    Missing(&'static str),
}

/// What an operator is told to be, where one is needed.
const OPERATOR: &str = "an operator (a master user of the system account)";

impl Principal {
    /// May they do this in the account that is their own?
    #[must_use]
    pub fn holds(&self, permission: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::CommandLine => true,
            Self::Person(p) if p.must_change_password => false,
            Self::Person(p) => p.is_master() || p.permissions.iter().any(|held| held.as_str() == permission),
            Self::Token(t) => t.permissions.iter().any(|held| held.as_str() == permission),
        }
    }

    /// May they do this in that account?
    #[must_use]
    pub fn holds_in(&self, permission: &str, account: AccountId) -> bool {
        self.reach_of_account() == Reach::Everything || (self.account() == Some(account) && self.holds(permission))
    }

    /// Somebody signed in, with a password that need not be changed first.
    ///
    /// # Errors
    /// [`Denied::Unauthenticated`], [`Denied::MustChangePassword`].
    pub fn signed_in(&self) -> Result<(), Denied> {
        match self {
            Self::Nobody => Err(Denied::Unauthenticated),
            Self::Person(p) if p.must_change_password => Err(Denied::MustChangePassword),
            Self::Person(_) | Self::Token(_) | Self::CommandLine => Ok(()),
        }
    }

    /// Somebody who may change things at all: asked at every door to changing anything, before any permission.
    ///
    /// # Errors
    /// Those of [`Self::signed_in`], and [`Denied::ReadOnly`].
    pub fn may_change(&self) -> Result<(), Denied> {
        self.signed_in()?;
        match self.impersonation() {
            Some(impersonation) if impersonation.read_only => Err(Denied::ReadOnly),
            _ => Ok(()),
        }
    }

    /// Nobody who acts in somebody else's name.
    ///
    /// # Errors
    /// [`Denied::Impersonating`].
    pub fn not_impersonating(&self) -> Result<(), Denied> {
        match self.impersonation() {
            Some(_) => Err(Denied::Impersonating),
            None => Ok(()),
        }
    }

    /// The person, where it takes one; whether the password must be changed first is not asked.
    ///
    /// # Errors
    /// [`Denied::Unauthenticated`], [`Denied::NotAPerson`].
    pub fn as_person(&self) -> Result<&Person, Denied> {
        match self {
            Self::Nobody => Err(Denied::Unauthenticated),
            Self::Person(person) => Ok(person),
            Self::Token(_) | Self::CommandLine => Err(Denied::NotAPerson),
        }
    }

    fn impersonation(&self) -> Option<&Impersonation> {
        self.person()?.session.impersonation.as_ref()
    }

    /// An operator.
    ///
    /// # Errors
    /// Those of [`Self::signed_in`], and [`Denied::Missing`].
    pub fn operator(&self) -> Result<(), Denied> {
        self.signed_in()?;
        match self.reach_of_account() {
            Reach::Everything => Ok(()),
            Reach::Account(_) | Reach::Own(..) | Reach::Nothing => Err(Denied::Missing(OPERATOR)),
        }
    }

    /// Somebody who holds the permission in that account.
    ///
    /// # Errors
    /// Those of [`Self::signed_in`], and [`Denied::Missing`] that names the permission.
    pub fn permitted(&self, permission: &'static str, account: AccountId) -> Result<(), Denied> {
        self.signed_in()?;
        if self.holds_in(permission, account) {
            Ok(())
        } else {
            Err(Denied::Missing(permission))
        }
    }

    /// How much of what an account as a whole is made of they see: itself, its roles, its groups.
    #[must_use]
    pub fn reach_of_account(&self) -> Reach {
        match self {
            Self::Nobody => Reach::Nothing,
            Self::CommandLine => Reach::Everything,
            Self::Person(p) if p.must_change_password => Reach::Nothing,
            Self::Person(p) if p.is_operator() => Reach::Everything,
            Self::Person(p) => Reach::Account(p.account.id),
            Self::Token(t) => Reach::Account(t.account.id),
        }
    }

    /// Which users they see when they name them: whoever may change one sees it too.
    #[must_use]
    pub fn reach_of_users(&self) -> Reach {
        let permission = if self.holds(Permission::USERS_WRITE) {
            Permission::USERS_WRITE
        } else {
            Permission::USERS_READ
        };
        self.reach_by(permission)
    }

    /// Which users lists show them: to find out who there is takes `users:read`.
    #[must_use]
    pub fn reach_of_user_lists(&self) -> Reach {
        self.reach_by(Permission::USERS_READ)
    }

    /// Whose sign-ins they see.
    #[must_use]
    pub fn reach_of_history(&self) -> Reach {
        self.reach_by(Permission::HISTORY_READ)
    }

    /// Whose sessions they see.
    #[must_use]
    pub fn reach_of_sessions(&self) -> Reach {
        self.reach_by(Permission::USERS_WRITE)
    }

    /// Whose audit entries they see: nobody has any of their own.
    #[must_use]
    pub fn reach_of_audit(&self) -> Reach {
        match self.reach_by(Permission::AUDIT_READ) {
            Reach::Own(..) => Reach::Nothing,
            wider => wider,
        }
    }

    fn reach_by(&self, permission: &str) -> Reach {
        match self {
            Self::Nobody => Reach::Nothing,
            Self::CommandLine => Reach::Everything,
            Self::Person(p) if p.is_operator() => Reach::Everything,
            Self::Person(p) if self.holds(permission) => Reach::Account(p.account.id),
            Self::Person(p) => Reach::Own(p.account.id, p.user.id),
            Self::Token(t) if self.holds(permission) => Reach::Account(t.account.id),
            Self::Token(_) => Reach::Nothing,
        }
    }

    /// May they make somebody a master of that account, or touch one who is? Masters may, in their own; operators everywhere.
    #[must_use]
    pub fn may_touch_masters(&self, account: AccountId) -> bool {
        match self {
            Self::Nobody | Self::Token(_) => false,
            Self::CommandLine => true,
            Self::Person(p) => p.is_operator() || (p.is_master() && p.account.id == account),
        }
    }

    /// May they change that user? A master only by [`Self::may_touch_masters`].
    ///
    /// # Errors
    /// Those of [`Self::permitted`].
    pub fn may_write_user(&self, user: &User) -> Result<(), Denied> {
        self.permitted(Permission::USERS_WRITE, user.account)?;
        if user.is_master() && !self.may_touch_masters(user.account) {
            return Err(Denied::Missing("a master user"));
        }
        Ok(())
    }

    /// The permission of these that they would hand out without holding it: nobody grants more than they hold.
    #[must_use]
    pub fn first_not_held<'a>(
        &self,
        account: AccountId,
        permissions: impl IntoIterator<Item = &'a Permission>,
    ) -> Option<&'a Permission> {
        permissions.into_iter().find(|p| !self.holds_in(p.as_str(), account))
    }

    /// What of Doorward's own a user's roles give and they do not hold: whoever lets themselves in as that user would gain it.
    #[must_use]
    pub fn first_own_not_held(&self, account: AccountId, roles: &[Role]) -> Option<Permission> {
        let own = roles
            .iter()
            .flat_map(|r| &r.permissions)
            .filter(|p| Permission::OWN.contains(&p.as_str()));
        self.first_not_held(account, own).cloned()
    }

    /// As [`Self::first_not_held`], over whole roles.
    #[must_use]
    pub fn first_role_not_held<'a>(&self, account: AccountId, roles: &'a [Role]) -> Option<&'a Role> {
        roles
            .iter()
            .find(|r| self.first_not_held(account, &r.permissions).is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::testing;

    fn person(master: bool, account: &str, permissions: &[&str], must_change: bool) -> Principal {
        let account = testing::account(account);
        let user = testing::user(&account, "ann", master);
        Principal::Person(Arc::new(Person {
            session: testing::session(&user),
            permissions: permissions.iter().map(|p| Permission::parse(p).unwrap()).collect(),
            user: user.into(),
            account: account.into(),
            must_change_password: must_change,
        }))
    }

    #[test]
    fn reach_grows_with_what_one_holds() {
        let plain = person(false, "acme", &[], false);
        let (account, user) = (plain.account().unwrap(), plain.user().unwrap());
        assert_eq!(plain.reach_of_users(), Reach::Own(account, user));
        assert_eq!(plain.reach_of_account(), Reach::Account(account));
        assert_eq!(plain.reach_of_audit(), Reach::Nothing);

        let reader = person(false, "acme", &["users:read"], false);
        assert_eq!(reader.reach_of_users(), Reach::Account(reader.account().unwrap()));
        assert!(matches!(reader.reach_of_history(), Reach::Own(..)));

        let master = person(true, "acme", &[], false);
        assert_eq!(master.reach_of_history(), Reach::Account(master.account().unwrap()));
        assert!(master.operator().is_err());

        let operator = person(true, "system", &[], false);
        assert_eq!(operator.reach_of_audit(), Reach::Everything);
        assert!(operator.operator().is_ok());
        assert_eq!(Principal::Nobody.reach_of_users(), Reach::Nothing);
    }

    #[test]
    fn a_session_that_must_change_holds_nothing() {
        let operator = person(true, "system", &["users:read"], true);
        assert!(!operator.holds("users:read"));
        assert_eq!(operator.reach_of_account(), Reach::Nothing);
        assert!(matches!(operator.reach_of_users(), Reach::Own(..)));
        assert_eq!(operator.signed_in(), Err(Denied::MustChangePassword));
        assert_eq!(operator.operator(), Err(Denied::MustChangePassword));
    }

    #[test]
    fn a_token_does_what_its_roles_say_and_owns_nothing() {
        let token = |permissions: &[&str]| {
            let account = testing::account("system");
            Principal::Token(Box::new(crate::access::TokenHolder {
                token: testing::api_token(&account, "reports"),
                permissions: permissions.iter().map(|p| Permission::parse(p).unwrap()).collect(),
                account: account.into(),
            }))
        };
        let reader = token(&["users:read"]);
        assert_eq!(reader.reach_of_users(), Reach::Account(reader.account().unwrap()));
        assert_eq!(reader.reach_of_history(), Reach::Nothing);
        assert_eq!(token(&[]).reach_of_users(), Reach::Nothing);
        assert!(reader.operator().is_err(), "not even a token of the operators' account");
        assert!(!reader.may_touch_masters(reader.account().unwrap()));
        assert!(reader.may_change().is_ok());
        assert_eq!(reader.as_person().err(), Some(Denied::NotAPerson));
    }

    #[test]
    fn whoever_acts_for_another_with_leave_to_look_changes_nothing() {
        let acting = |read_only| {
            let mut principal = person(true, "acme", &[], false);
            if let Principal::Person(p) = &mut principal {
                Arc::make_mut(p).session.impersonation = Some(testing::impersonation(read_only));
            }
            principal
        };
        assert_eq!(acting(true).may_change(), Err(Denied::ReadOnly));
        assert!(acting(false).may_change().is_ok());
        assert_eq!(acting(false).not_impersonating(), Err(Denied::Impersonating));
        assert!(acting(true).holds("users:read"), "looking is what it is for");
        assert!(person(true, "acme", &[], false).not_impersonating().is_ok());
    }

    #[test]
    fn nobody_acts_for_somebody_above() {
        let boss = person(true, "acme", &[], false);
        let boss = boss.person().unwrap();
        let clerk = testing::user(&boss.account, "clerk", false);
        let other_boss = testing::user(&boss.account, "other", true);
        let stranger = testing::user(&testing::account("blue"), "eve", false);
        assert!(boss.may_act_for(&clerk));
        for above in [&other_boss, &stranger, &boss.user] {
            assert!(!boss.may_act_for(above), "{}", above.login);
        }
        let root = person(true, "system", &[], false);
        let root = root.person().unwrap();
        let other_root = testing::user(&root.account, "other", true);
        let helper = testing::user(&root.account, "helper", false);
        for below in [&clerk, &other_boss, &stranger, &helper] {
            assert!(root.may_act_for(below), "{}", below.login);
        }
        assert!(!root.may_act_for(&other_root));
        let must_change = person(true, "system", &[], true);
        assert!(!must_change.person().unwrap().may_act_for(&clerk));
        let plain = person(false, "acme", &["users:write"], false);
        let plain = plain.person().unwrap();
        assert!(!plain.may_act_for(&testing::user(&plain.account, "clerk", false)));
        let mut acting = boss.clone();
        acting.session.impersonation = Some(testing::impersonation(false));
        assert!(!acting.may_act_for(&clerk));
    }

    #[test]
    fn only_masters_touch_masters() {
        let writer = person(false, "acme", &["users:write"], false);
        let account = &writer.person().unwrap().account;
        let (boss, colleague) = (
            testing::user(account, "boss", true),
            testing::user(account, "bob", false),
        );
        assert!(writer.may_write_user(&colleague).is_ok());
        assert_eq!(writer.may_write_user(&boss), Err(Denied::Missing("a master user")));
        let stranger = testing::user(&testing::account("other"), "eve", false);
        assert_eq!(writer.may_write_user(&stranger), Err(Denied::Missing("users:write")));
    }

    #[test]
    fn nobody_hands_out_what_they_do_not_hold() {
        let writer = person(false, "acme", &["users:write"], false);
        let account = writer.account().unwrap();
        let (held, not) = (
            Permission::parse("users:write").unwrap(),
            Permission::parse("audit:read").unwrap(),
        );
        assert_eq!(writer.first_not_held(account, [&held]), None);
        assert_eq!(writer.first_not_held(account, [&held, &not]), Some(&not));
        assert_eq!(
            person(true, "acme", &[], false).first_not_held(account, [&not]),
            Some(&not),
            "another account's master"
        );
    }
}
