//! What a new installation starts with: the operators' account, and one operator.

use std::sync::Arc;

use secrecy::SecretString;

use crate::access::Principal;
use crate::auth::one_time_password;
use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::password::PasswordPolicy;
use crate::domain::user::User;
use crate::service::audit::{made, secret_changed, user_fields};
use crate::service::users::{action_on, qualified};
use crate::service::{Problem, Result, ServiceError, Services};
use crate::store::StoreError;

/// The operator that a first start made.
#[derive(Debug)]
pub struct FirstOperator {
    /// `root@system`.
    pub login: String,
    /// Its password, to be changed at the first sign-in; nobody has it but whoever reads it now.
    pub password: SecretString,
}

impl Services {
    /// Sees to it that there is a `system` account.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ensure_system_account(self: &Arc<Self>) -> Result<Account> {
        let system = AccountName::system();
        if let Some(account) = self.store.account_by_name(&system).await? {
            return Ok(account);
        }
        let now = self.clock.now();
        let account = Account {
            id: AccountId::generate(self.clock.as_ref(), self.entropy.as_ref())?,
            name: system.clone(),
            title: "Operators".to_owned(),
            status: AccountStatus::Active,
            time_zone: "UTC".to_owned(),
            default_language: Language::En,
            directory: None,
            directory_only: false,
            password_policy: PasswordPolicy::default(),
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        match self.command_line().insert_account(&account).await {
            Ok(()) => Ok(account),
            // Another process starting at the same moment made it.
            Err(ServiceError::Problems(_)) => {
                let made = self.store.account_by_name(&system).await?;
                Ok(made.ok_or_else(|| StoreError::Corrupt("the system account came and went".to_owned()))?)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes `root@system` with a generated one-time password, if the account has no user at all; of several processes
    /// that start at once, one does.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ensure_operator(self: &Arc<Self>) -> Result<Option<FirstOperator>> {
        let account = self.ensure_system_account().await?;
        let any = crate::domain::query::UserFilter {
            account: Some(account.id),
            ..Default::default()
        };
        if self
            .store
            .count_users(&[any])
            .await?
            .first()
            .is_some_and(|count| *count > 0)
        {
            return Ok(None); // the usual start: no password needs hashing
        }
        let password = one_time_password(self.entropy.as_ref())?;
        let hash = self.hashes.hash(&password).await?;
        let now = self.clock.now();
        let mut grants = vec![grant(GrantTarget::Master, now)];
        grants.extend(
            self.store
                .main_group(account.id)
                .await?
                .map(|g| grant(GrantTarget::Group(g.id), now)),
        );
        let id = UserId::generate(self.clock.as_ref(), self.entropy.as_ref())?;
        let login = Login::parse("root").map_err(|e| Problem::text(&["login"], &e))?;
        let user = User {
            must_change_password: true,
            has_password: true,
            password_changed_at: Some(now),
            grants,
            ..User::new(id, account.id, login, Language::En, now)
        };
        let mut changes = made(&user_fields(&user));
        changes.push(secret_changed("password"));
        let audit = self
            .command_line()
            .audit(action_on("createUser", &user, &account, changes))?;
        let made = self.store.create_first_user(&user, &hash, &audit).await?;
        Ok(made.then(|| FirstOperator {
            login: qualified(&user, &account.name),
            password,
        }))
    }

    /// The caller that stands for whoever runs the binary.
    #[must_use]
    pub fn command_line(self: &Arc<Self>) -> super::Caller {
        self.caller(Arc::new(Principal::CommandLine), None)
    }
}

fn grant(target: GrantTarget, now: jiff::Timestamp) -> Grant {
    Grant {
        target,
        source: GrantSource::Default,
        directory_group_dn: None,
        granted_by: None,
        granted_at: now,
    }
}
