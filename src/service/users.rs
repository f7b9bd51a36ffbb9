//! Users: reading them, and the door to changing them.

use crate::access::{Denied, Reach};
use crate::auth::{directory_failure_key, failure_key};
use crate::domain::account::{Account, AccountName};
use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::TypedLogin;
use crate::domain::login_event::LoginEvent;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{SignInsWanted, UserFilter, UserOrder};
use crate::domain::role::Permission;
use crate::domain::user::{DisabledBy, User, UserStatus};
use crate::service::audit::{Action, diff, gone, user_fields};
use crate::service::history::{Scoped, narrow};
use crate::service::{Caller, ErrorCode, Problem, Result};
use crate::store::{Newest, StoreError, Unique};

impl Caller {
    /// A page of users for each filter, as far as the caller sees them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn users(&self, filters: &[UserFilter], order: UserOrder, page: &PageRequest) -> Result<Vec<Page<User>>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_users(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), Page::empty));
        }
        let mut pages = self.store().users(&scoped.filters, order, page).await?;
        pages
            .iter_mut()
            .flat_map(|page| &mut page.items)
            .for_each(|user| self.show_oneself(user));
        Ok(scoped.spread(pages, Page::empty))
    }

    /// The same with the sign-ins of each one that are wanted, newest first, where the caller sees them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn users_with_logins(
        &self,
        filters: &[UserFilter],
        order: UserOrder,
        page: &PageRequest,
        wanted: SignInsWanted,
    ) -> Result<Vec<Page<(User, Option<Vec<LoginEvent>>)>>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_users(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), Page::empty));
        }
        let newest = Newest {
            limit: wanted.newest,
            not_before: self.history_begins(),
            details: wanted.details,
            last_login: wanted.last_login,
        };
        let store = self.store();
        let pages = store.users_with_logins(&scoped.filters, order, page, newest).await?;
        let reach = self.principal().reach_of_history();
        let pages = pages.into_iter().map(|page| {
            page.map(|(mut user, events)| {
                self.show_oneself(&mut user);
                let events = reach.covers(user.account, Some(user.id)).then_some(events);
                (user, events)
            })
        });
        Ok(scoped.spread(pages.collect(), Page::empty))
    }

    /// How many users each filter finds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_users(&self, filters: &[UserFilter]) -> Result<Vec<u64>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_users(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), || 0));
        }
        Ok(scoped.spread(self.store().count_users(&scoped.filters).await?, || 0))
    }

    /// Those of these users that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let reach = self.principal().reach_of_users();
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let mut users = self.store().users_by_ids(ids).await?;
        users.retain(|u| reach.covers(u.account, Some(u.id)));
        users.iter_mut().for_each(|user| self.show_oneself(user));
        Ok(users)
    }

    /// The user of that `login@account`, when it exists for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn user_by_login(&self, qualified_login: &str) -> Result<Option<User>> {
        let Some((login, account)) = TypedLogin::parse(qualified_login).valid() else {
            return Ok(None);
        };
        let Some(account) = self.store().account_by_name(&account).await? else {
            return Ok(None);
        };
        let user = self.store().user_by_login(account.id, &login).await?;
        let reach = self.principal().reach_of_users();
        let mut user = user.filter(|u| reach.covers(u.account, Some(u.id)));
        user.iter_mut().for_each(|user| self.show_oneself(user));
        Ok(user)
    }

    /// An own password that grew too old must be changed just as well as one of which that is stored.
    fn show_oneself(&self, user: &mut User) {
        if let Some(person) = self.principal().person().filter(|p| p.user.id == user.id) {
            user.must_change_password |= person.must_change_password;
        }
    }

    /// What changes users of that account (`None`: the caller's own).
    ///
    /// # Errors
    /// [`Denied`] without `users:write` there.
    pub fn write_users(&self) -> Result<UserWrites<'_>> {
        self.principal().may_change()?;
        let somewhere = self.principal().holds(Permission::USERS_WRITE);
        if somewhere {
            Ok(UserWrites { caller: self })
        } else {
            Err(Denied::Missing(Permission::USERS_WRITE).into())
        }
    }

    /// The account that something new goes to: the named one if the caller reaches it, or their own.
    ///
    /// # Errors
    /// A problem `NotFound` or `Required` with `account`; those of the store.
    pub(super) async fn target_account(&self, account: Option<Option<AccountId>>) -> Result<Account> {
        let reach = self.principal().reach_of_account();
        let id = match (account, self.principal().account()) {
            (Some(named), _) => named.filter(|id| reach.covers(*id, None)),
            (None, Some(own)) => Some(own),
            (None, None) => {
                return Err(Problem::at(&["account"], ErrorCode::Required, "Name the account.").into());
            }
        };
        let found = match id {
            Some(id) => self.store().accounts_by_ids(&[id]).await?.pop(),
            None => None,
        };
        Ok(found.ok_or_else(|| Problem::at(&["account"], ErrorCode::NotFound, "There is no such account."))?)
    }

    fn scope_users(&self, filter: &UserFilter) -> Option<UserFilter> {
        let (account, own) = narrow(self.principal().reach_of_user_lists(), filter.account)?;
        if own.is_some() && filter.id.is_some() && filter.id != own {
            return None;
        }
        Some(UserFilter {
            account,
            id: own.or(filter.id),
            ..filter.clone()
        })
    }
}

/// What holders of `users:write` do to users. Each method checks the target too.
#[derive(Debug)]
pub struct UserWrites<'a> {
    pub(super) caller: &'a Caller,
}

impl UserWrites<'_> {
    /// Disables a user and ends their sessions, or enables them.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` (disabling oneself too), `LastMaster`; those of the store.
    pub async fn set_status(&self, id: UserId, status: UserStatus) -> Result<User> {
        loop {
            let (before, account) = self.writable(id).await?;
            if status == UserStatus::Disabled {
                self.not_oneself(id, "Nobody disables themselves; ask another administrator.")?;
            }
            if before.status == status {
                return Ok(before);
            }
            let disabled_by = (status == UserStatus::Disabled).then_some(DisabledBy::Manual);
            let name = if status == UserStatus::Disabled {
                "disableUser"
            } else {
                "enableUser"
            };
            let after = User {
                status,
                disabled_by,
                ..before.clone()
            };
            if let Some(after) = self.replace(&before, after, &account, name).await? {
                return Ok(after);
            }
        }
    }

    /// Takes a lock for wrong passwords off, Doorward's own and the one that spares the directory's.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed`; those of the store.
    pub async fn unlock(&self, id: UserId) -> Result<User> {
        let (user, account) = self.writable(id).await?;
        let typed = TypedLogin {
            login: user.login.to_string(),
            account: Some(account.name.to_string()),
        };
        let mut counters = vec![failure_key(account.id, &typed, None)];
        counters.extend(account.directory.as_ref().map(|d| directory_failure_key(d, &typed)));
        // A lock in one network only is not the user's, but a lock all the same.
        let change = FieldChange {
            field: "lockedUntil".to_owned(),
            before: user.locked_until.map(|until| until.to_string()),
            after: None,
        };
        let changes = if change.before.is_some() {
            vec![change]
        } else {
            Vec::new()
        };
        let audit = self.caller.audit(action_on("unlockUser", &user, &account, changes))?;
        match self.caller.store().unlock_user(id, &counters, &audit).await {
            Ok(_) => {}
            Err(StoreError::NotFound) => return Err(no_such_user().into()),
            Err(error) => return Err(error.into()),
        }
        Ok(User {
            locked_until: None,
            ..user
        })
    }

    /// Deletes a user; their sign-ins stay in the history.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` (oneself too), `LastMaster`; those of the store.
    pub async fn delete(&self, id: UserId) -> Result<UserId> {
        loop {
            let (user, account) = self.writable(id).await?;
            self.not_oneself(id, "Nobody deletes themselves; ask another administrator.")?;
            let changes = self.caller.named(gone(&user_fields(&user))).await?;
            let audit = self.caller.audit(action_on("deleteUser", &user, &account, changes))?;
            return match self.caller.store().delete_user(id, user.revision, &audit).await {
                // They may have become somebody whom the caller must not delete.
                Err(StoreError::Conflict { .. }) => continue,
                Err(StoreError::LastMaster) => Err(last_master().into()),
                Err(StoreError::NotFound) => Err(no_such_user().into()),
                result => Ok(result.map(|()| id)?),
            };
        }
    }

    /// Refuses what nobody does to themselves.
    pub(super) fn not_oneself(&self, id: UserId, message: &str) -> Result<()> {
        if self.caller.principal().user() == Some(id) {
            return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
        }
        Ok(())
    }

    /// Why the caller must not become able to sign in as that user: its roles give what the caller does not hold.
    pub(super) async fn above(&self, user: &User) -> Result<Option<String>> {
        let (principal, roles) = (self.caller.principal(), user.roles());
        if roles.is_empty() || principal.user() == Some(user.id) || principal.may_touch_masters(user.account) {
            return Ok(None);
        }
        let roles = self.caller.store().roles_by_ids(&roles).await?;
        let missing = principal.first_own_not_held(user.account, &roles);
        Ok(missing.map(|missing| format!("The user holds {missing}, which you do not hold.")))
    }

    /// The user, if the caller may change it, with its account.
    pub(super) async fn writable(&self, id: UserId) -> Result<(User, Account)> {
        let caller = self.caller;
        let user = caller.store().users_by_ids(&[id]).await?.pop();
        let seen = |u: &User| {
            let reach = caller.principal().reach_of_users();
            reach.covers(u.account, Some(u.id)) || caller.principal().holds_in(Permission::USERS_WRITE, u.account)
        };
        let user = user.filter(seen).ok_or_else(no_such_user)?;
        if caller.principal().may_write_user(&user).is_err() {
            let message = "Only a master user changes a master user.";
            return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
        }
        let account = caller.store().accounts_by_ids(&[user.account]).await?.pop();
        Ok((user, account.ok_or_else(no_such_user)?))
    }

    /// Writes `after` over `before`; `None` when somebody else was faster. Nothing is written when nothing differs.
    pub(super) async fn replace(
        &self,
        before: &User,
        after: User,
        account: &Account,
        name: &str,
    ) -> Result<Option<User>> {
        let changes = diff(&user_fields(before), &user_fields(&after));
        if changes.is_empty() {
            return Ok(Some(before.clone()));
        }
        let changes = self.caller.named(changes).await?;
        let after = User {
            updated_at: self.caller.now(),
            revision: before.revision + 1,
            ..after
        };
        let audit = self.caller.audit(action_on(name, before, account, changes))?;
        let mut mails = Vec::from_iter(self.caller.notice_of_access(account, before, &after).await?);
        mails.extend(self.caller.notice_of_address(account, before, &after)?);
        let store = self.caller.store();
        match store.update_user(&after, before.revision, &audit, &mails).await {
            Ok(()) => {
                self.caller.services.post.announce(&mails);
                Ok(Some(after))
            }
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(StoreError::LastMaster) => Err(last_master().into()),
            Err(StoreError::NotFound) => Err(no_such_user().into()),
            Err(StoreError::Taken(Unique::UserLogin)) => Err(login_taken(&after, account).into()),
            Err(StoreError::Taken(Unique::DirectoryLink)) => Err(entry_taken().into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The audit log's view of something done to a user.
pub(super) fn action_on<'a>(name: &'a str, user: &User, account: &Account, changes: Vec<FieldChange>) -> Action<'a> {
    Action {
        name,
        account: account.id,
        target_type: TargetType::User,
        target_id: user.id.as_uuid(),
        target_name: qualified(user, &account.name),
        changes,
    }
}

pub(super) fn qualified(user: &User, account: &AccountName) -> String {
    format!("{}@{account}", user.login)
}

pub(super) fn no_such_user() -> Problem {
    Problem::at(&["id"], ErrorCode::NotFound, "There is no such user.")
}

pub(super) fn login_taken(user: &User, account: &Account) -> Problem {
    let message = format!("There is already a user {}.", qualified(user, &account.name));
    Problem::at(&["login"], ErrorCode::Taken, message)
}

pub(super) fn entry_taken() -> Problem {
    Problem::new(
        ErrorCode::NotAllowed,
        "The directory's entry belongs to another user of the account.",
    )
}

fn last_master() -> Problem {
    Problem::new(
        ErrorCode::LastMaster,
        "The account would be left without an active master who can sign in; make another one first.",
    )
}
