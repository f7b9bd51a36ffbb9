//! Made-up data in bulk: accounts with roles, groups and people who signed in over the last months.

mod people;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::clock::{Entropy, EntropyError, ManualClock};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId, RoleId, new_uuid};
use crate::domain::password::PasswordPolicy;
use crate::domain::role::{Permission, Role};
use crate::service::{Caller, ErrorCode, Problem, Result, ServiceError, Services};
use crate::store::{Load, NewPerson};

use self::people::People;
use self::tables::{DEPARTMENTS, DUTIES, PLACES, RANKS};

/// Sign-ins that are written in one call, about: a call is whole or not at all, so it must stay small.
const BATCH_EVENTS: usize = 8_000;
/// People of one call, at most.
const BATCH_PEOPLE: usize = 1_000;
/// Calls that are under way at once: while one waits for the disk the next one is sent.
const AT_ONCE: usize = 2;
/// Everything made up was there this many days ago, but people and their sign-ins.
const ACCOUNT_AGE_DAYS: i64 = 1_100;

/// What to make up.
#[derive(Debug, Clone)]
pub struct SeedPlan {
    /// The accounts' names and titles; none of them may exist.
    pub accounts: Vec<(AccountName, String)>,
    /// People in all, spread evenly; at least one an account. The first of each is the master `owner`, the others are
    /// `user000001`, `user000002` and so on.
    pub users: usize,
    /// Sign-ins of each user within the last 90 days.
    pub logins_per_user: usize,
    /// The same seed at the same moment makes the same data.
    pub seed: u64,
    /// Every fourth user is an LDAP user and has no local password.
    pub ldap: bool,
}

impl SeedPlan {
    /// A plan for accounts named `acct000`, `acct001` and so on.
    ///
    /// # Errors
    /// A problem with `accounts` when there are none.
    pub fn numbered(accounts: usize, users: usize, logins_per_user: usize, seed: u64) -> Result<Self> {
        let named = |i: usize| {
            let name = AccountName::parse(&format!("acct{i:03}")).map_err(|e| Problem::text(&["accounts"], &e))?;
            Ok((name, format!("Account {i}")))
        };
        Ok(Self {
            accounts: (0..accounts).map(named).collect::<Result<_>>()?,
            users,
            logins_per_user,
            seed,
            ldap: true,
        })
    }

    /// How many of the users belong to the account with this index.
    fn users_of(&self, account: usize) -> usize {
        let accounts = self.accounts.len().max(1);
        self.users / accounts + usize::from(account < self.users % accounts)
    }
}

/// What there is so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seeded {
    /// Accounts, with 50 roles and 50 groups each.
    pub accounts: usize,
    /// Users.
    pub users: usize,
    /// Sign-ins.
    pub sign_ins: usize,
}

impl Services {
    /// Fills the store; `password` is that of every local user. `progress` is told after each step. Memory does not grow
    /// with the number of users.
    ///
    /// # Errors
    /// Problems with `accounts` or `users`; those of the store.
    pub async fn seed(
        self: &Arc<Self>,
        plan: SeedPlan,
        password: &SecretString,
        progress: &(dyn Fn(Seeded) + Send + Sync),
    ) -> Result<Seeded> {
        if plan.accounts.is_empty() || plan.users < plan.accounts.len() {
            let message = "users must be at least as many as accounts, and accounts at least one";
            return Err(Problem::at(&["users"], ErrorCode::Invalid, message).into());
        }
        for (name, _) in &plan.accounts {
            if self.store.account_by_name(name).await?.is_some() {
                let message = format!(
                    "There is already an account {name}. Made-up data go into an empty store: name another one in \
                     store.url (DOORWARD_STORE__URL)."
                );
                return Err(Problem::at(&["accounts"], ErrorCode::Taken, message).into());
            }
        }
        let hash = self.hashes.hash(password).await?;
        let now = self.clock.now();
        let entropy = Arc::new(SeededEntropy::new(plan.seed));
        let caller = self.repeatable(now, Arc::clone(&entropy));

        let mut seeded = Seeded::default();
        let mut accounts = Vec::with_capacity(plan.accounts.len());
        for (i, (name, title)) in plan.accounts.iter().enumerate() {
            accounts.push(
                caller
                    .seed_account(name, title, plan.users_of(i), entropy.as_ref())
                    .await?,
            );
            seeded.accounts += 1;
            progress(seeded);
        }

        let people = People::new(&plan, accounts, hash, now, entropy);
        let size = (BATCH_EVENTS / plan.logins_per_user.max(1)).clamp(1, BATCH_PEOPLE);
        let (full, batches) = mpsc::channel(1);
        let generating = tokio::task::spawn_blocking(move || generate(people, size, &full));
        self.store.begin_load(Load::History).await?;
        let loaded = stream::unfold(batches, |mut batches| async {
            batches.recv().await.map(|batch| (batch, batches))
        })
        .map(|batch: Result<Vec<NewPerson>, EntropyError>| async {
            let batch = batch?;
            self.store.insert_people(&batch).await?;
            let sign_ins = batch.iter().map(|person| person.events.len()).sum::<usize>();
            Ok::<_, ServiceError>((batch.len(), sign_ins))
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|(users, sign_ins)| {
            seeded.users += users;
            seeded.sign_ins += sign_ins;
            progress(seeded);
            std::future::ready(Ok(()))
        })
        .await;
        // Whatever became of the load, what it put off is made up for.
        let ended = self.store.end_load(Load::History).await;
        loaded?;
        ended?;
        generating.await.map_err(|e| ServiceError::Stopped(e.to_string()))?;
        Ok(seeded)
    }

    /// The command line's caller with a clock that stands still and randomness that repeats.
    fn repeatable(self: &Arc<Self>, now: Timestamp, entropy: Arc<SeededEntropy>) -> Caller {
        let services = Self {
            clock: Arc::new(ManualClock::new(now)),
            entropy,
            ..Self::clone(self)
        };
        Arc::new(services).command_line()
    }
}

/// Sends batches until there are no more people or nobody takes them any more.
fn generate(people: People, size: usize, full: &mpsc::Sender<Result<Vec<NewPerson>, EntropyError>>) {
    let mut batch = Vec::with_capacity(size);
    for person in people {
        match person {
            Ok(person) => batch.push(person),
            Err(error) => {
                let _ = full.blocking_send(Err(error)); // when nobody takes it, there is nobody to tell
                return;
            }
        }
        if batch.len() == size
            && full
                .blocking_send(Ok(std::mem::replace(&mut batch, Vec::with_capacity(size))))
                .is_err()
        {
            return;
        }
    }
    if !batch.is_empty() {
        let _ = full.blocking_send(Ok(batch));
    }
}

/// An account to be filled with people.
#[derive(Debug)]
struct SeedAccount {
    id: AccountId,
    name: AccountName,
    roles: Vec<RoleId>,
    groups: Vec<GroupId>,
    users: usize,
}

impl Caller {
    async fn seed_account(
        &self,
        name: &AccountName,
        title: &str,
        users: usize,
        entropy: &dyn Entropy,
    ) -> Result<SeedAccount> {
        let created_at = days_before(self.now(), ACCOUNT_AGE_DAYS);
        let id = AccountId::from_uuid(new_uuid(created_at, entropy)?);
        let account = Account {
            id,
            name: name.clone(),
            title: title.to_owned(),
            status: AccountStatus::Active,
            time_zone: "Europe/Berlin".to_owned(),
            default_language: Language::En,
            directory: None,
            directory_only: false,
            password_policy: PasswordPolicy::default(),
            created_at,
            updated_at: created_at,
            revision: 1,
        };
        self.insert_account(&account).await?;
        let roles = roles(id, created_at, entropy)?;
        let groups = groups(id, created_at, entropy)?;
        self.store().insert_roles(&roles).await?;
        self.store().insert_groups(&groups).await?;
        Ok(SeedAccount {
            id,
            name: name.clone(),
            roles: roles.iter().map(|role| role.id).collect(),
            groups: groups.iter().map(|group| group.id).collect(),
            users,
        })
    }
}

fn roles(account: AccountId, created_at: Timestamp, entropy: &dyn Entropy) -> Result<Vec<Role>> {
    let every = DUTIES
        .iter()
        .flat_map(|duty| RANKS.iter().map(move |rank| (duty, rank)));
    every
        .map(|((duty, permissions), rank)| {
            let mut permissions: Vec<Permission> =
                permissions.iter().filter_map(|p| Permission::parse(p).ok()).collect();
            permissions.sort_unstable();
            Ok(Role {
                id: RoleId::from_uuid(new_uuid(created_at, entropy)?),
                account,
                name: format!("{duty}{rank}"),
                description: String::new(),
                permissions,
                created_at,
                updated_at: created_at,
                revision: 1,
            })
        })
        .collect()
}

fn groups(account: AccountId, created_at: Timestamp, entropy: &dyn Entropy) -> Result<Vec<Group>> {
    let every = PLACES
        .iter()
        .flat_map(|place| DEPARTMENTS.iter().map(move |department| (place, department)));
    every
        .map(|(place, department)| {
            Ok(Group {
                id: GroupId::from_uuid(new_uuid(created_at, entropy)?),
                account,
                name: format!("{place} {department}"),
                description: String::new(),
                is_main: false,
                created_at,
                updated_at: created_at,
                revision: 1,
            })
        })
        .collect()
}

fn days_before(at: Timestamp, days: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_hours(24 * days))
        .unwrap_or(Timestamp::MIN)
}

/// Bits that repeat with the seed: for made-up ids only, nothing secret comes from here.
#[derive(Debug)]
struct SeededEntropy(Mutex<fastrand::Rng>);

impl SeededEntropy {
    fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::credentials::PasswordHash;
    use crate::domain::login_event::{LoginEvent, LoginOutcome};
    use crate::domain::user::User;

    fn now() -> Timestamp {
        "2026-03-01T10:00:00Z".parse().unwrap()
    }

    fn people(accounts: usize, users: usize, logins: usize, seed: u64) -> Vec<NewPerson> {
        let plan = SeedPlan::numbered(accounts, users, logins, seed).unwrap();
        let entropy = Arc::new(SeededEntropy::new(seed));
        let made = plan
            .accounts
            .iter()
            .enumerate()
            .map(|(i, (name, _))| {
                let id = AccountId::from_uuid(new_uuid(now(), entropy.as_ref()).unwrap());
                SeedAccount {
                    id,
                    name: name.clone(),
                    roles: roles(id, now(), entropy.as_ref())
                        .unwrap()
                        .iter()
                        .map(|r| r.id)
                        .collect(),
                    groups: groups(id, now(), entropy.as_ref())
                        .unwrap()
                        .iter()
                        .map(|g| g.id)
                        .collect(),
                    users: plan.users_of(i),
                }
            })
            .collect();
        People::new(
            &plan,
            made,
            PasswordHash::new("$argon2id$made-up".to_owned()),
            now(),
            entropy,
        )
        .collect::<Result<_, _>>()
        .unwrap()
    }

    #[test]
    fn every_account_gets_its_share_and_one_owner() {
        let people = people(3, 11, 2, 7);
        let accounts: HashSet<AccountId> = people.iter().map(|p| p.user.account).collect();
        let mut sizes: Vec<usize> = accounts
            .iter()
            .map(|id| people.iter().filter(|p| p.user.account == *id).count())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [3, 4, 4]);
        let owners: Vec<&User> = people
            .iter()
            .map(|p| &p.user)
            .filter(|u| u.login.as_str() == "owner")
            .collect();
        assert_eq!(owners.len(), 3);
        assert!(owners.iter().all(|u| u.is_active_master() && u.has_password));
        let logins: HashSet<_> = people.iter().map(|p| (p.user.account, p.user.login.clone())).collect();
        assert_eq!(logins.len(), people.len(), "logins are unique in their account");
    }

    #[test]
    fn the_seed_alone_decides() {
        let fields = |seed| -> Vec<(User, Vec<LoginEvent>)> {
            people(2, 40, 3, seed).into_iter().map(|p| (p.user, p.events)).collect()
        };
        assert_eq!(fields(1), fields(1));
        assert_ne!(fields(1), fields(2));
    }

    #[test]
    fn people_hold_together() {
        let people = people(1, 400, 10, 3);
        let oldest = days_before(now(), 90);
        for person in &people {
            let user = &person.user;
            assert_eq!((user.roles().len(), user.groups().len()), (3, 2), "{}", user.login);
            assert_eq!(person.events.len(), 10);
            assert_eq!(user.has_password, person.password.is_some());
            assert_eq!(user.has_password, !user.is_ldap);
            let newest = person
                .events
                .iter()
                .filter(|e| e.outcome == LoginOutcome::Success)
                .max_by_key(|e| (e.at, e.id));
            assert_eq!(user.last_login.as_ref(), newest);
            assert!(user.created_at < oldest);
            assert!(
                person
                    .events
                    .iter()
                    .all(|e| e.at >= oldest && e.at <= now() && e.user == Some(user.id))
            );
        }
        let count = |holds: fn(&User) -> bool| people.iter().filter(|p| holds(&p.user)).count();
        assert_eq!(count(|u| u.is_ldap), 99, "every fourth, the owner excepted");
        assert_eq!(count(User::is_master), 4);
        assert!(
            count(|u| u.last_name.is_ascii()) > 100 && count(|u| u.first_name.chars().any(|c| c > '\u{400}')) > 100
        );
        let events = || people.iter().flat_map(|p| &p.events);
        let successes = events().filter(|e| e.outcome == LoginOutcome::Success).count();
        assert!((3_500..3_900).contains(&successes), "{successes}");
        assert!(events().map(|e| e.outcome).collect::<HashSet<_>>().len() > 4);
    }

    #[test]
    fn fifty_roles_and_groups_have_fifty_names() {
        let entropy = SeededEntropy::new(1);
        let account = AccountId::from_uuid(uuid::Uuid::nil());
        let roles = roles(account, now(), &entropy).unwrap();
        assert_eq!(roles.iter().map(|r| &r.name).collect::<HashSet<_>>().len(), 50);
        let all = DUTIES.iter().map(|(_, permissions)| permissions.len()).sum::<usize>() * RANKS.len();
        assert_eq!(
            roles.iter().map(|r| r.permissions.len()).sum::<usize>(),
            all,
            "every permission is one"
        );
        let groups = groups(account, now(), &entropy).unwrap();
        assert_eq!(groups.iter().map(|g| &g.name).collect::<HashSet<_>>().len(), 50);
    }
}
