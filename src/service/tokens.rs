//! API tokens: whose request is this, and making and revoking them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::{Denied, Principal, Reach, TokenHolder};
use crate::auth::TokenSecret;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::ids::{AccountId, ApiTokenId, GroupId, RoleId};
use crate::domain::role::Permission;
use crate::domain::text::required_line;
use crate::domain::token::ApiToken;
use crate::service::audit::{Action, Fields, made, secret_changed};
use crate::service::error::index;
use crate::service::settings::after;
use crate::service::{Caller, ErrorCode, Problem, Problems, Result, Services};
use crate::store::{StoreError, TokenIdentity};

/// `last_used_at` is written no more often than this.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// The most tokens of one account that are neither revoked nor expired.
const MOST_ACTIVE: usize = 200;
/// The most roles, and the most groups, of one token.
const MOST_GRANTS: usize = 200;

/// A new token. An id that is `None` was given but is none of that kind.
#[derive(Debug, Default)]
pub struct TokenInput {
    /// Its account; the caller's when not given, `Some(None)` when what was given is no account's id.
    pub account: Option<Option<AccountId>>,
    /// Its name, unique among those of the account that are not revoked.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Option<RoleId>>,
    /// Whose objects it sees.
    pub groups: Vec<Option<GroupId>>,
    /// When it ends by itself; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Services {
    /// Who this token is by now; `None` when it was revoked, has expired, or its account is frozen.
    pub(super) fn holder_of(&self, identity: TokenIdentity, now: Timestamp) -> Option<TokenHolder> {
        let TokenIdentity { token, account, roles } = identity;
        let lives = token.is_active(now) && account.status == AccountStatus::Active;
        lives.then(|| TokenHolder {
            permissions: roles
                .into_iter()
                .filter(|role| role.account == account.id)
                .flat_map(|role| role.permissions)
                .collect(),
            token,
            account: account.into(),
        })
    }

    /// Writes that a token is used, once in a while; says whether it does.
    pub(super) fn touch_token(&self, token: &ApiToken, now: Timestamp) -> bool {
        if token.last_used_at.is_some_and(|used| now < after(used, TOUCH_EVERY)) {
            return false;
        }
        let (store, id) = (Arc::clone(&self.store), token.id);
        tokio::spawn(async move {
            if let Err(error) = store.touch_token(id, now).await {
                tracing::warn!(%error, "a token's last use was not written");
            }
        });
        true
    }
}

impl Caller {
    /// Those of these tokens that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tokens_by_ids(&self, ids: &[ApiTokenId]) -> Result<Vec<ApiToken>> {
        let reach = self.reach_of_tokens();
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let mut tokens = self.store().tokens_by_ids(ids).await?;
        tokens.retain(|t| reach.covers(t.account, None));
        Ok(tokens)
    }

    /// The tokens of those of these accounts that the caller reaches, newest first.
    ///
    /// # Errors
    /// [`Denied`] without `tokens:write`; those of the store.
    pub async fn tokens_of_accounts(&self, accounts: &[AccountId]) -> Result<Vec<ApiToken>> {
        self.principal().signed_in()?;
        if !self.principal().holds(Permission::TOKENS_WRITE) {
            return Err(Denied::Missing(Permission::TOKENS_WRITE).into());
        }
        let reach = self.reach_of_tokens();
        let mut accounts: Vec<AccountId> = accounts.iter().copied().filter(|a| reach.covers(*a, None)).collect();
        accounts.sort_unstable();
        accounts.dedup();
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store().tokens_of_accounts(&accounts).await?)
    }

    /// What makes and revokes tokens.
    ///
    /// # Errors
    /// [`Denied`] without `tokens:write`, and for whoever acts for somebody else.
    pub fn write_tokens(&self) -> Result<TokenWrites<'_>> {
        self.principal().may_change()?;
        self.principal().not_impersonating()?;
        if !self.principal().holds(Permission::TOKENS_WRITE) {
            return Err(Denied::Missing(Permission::TOKENS_WRITE).into());
        }
        Ok(TokenWrites { caller: self })
    }

    fn reach_of_tokens(&self) -> Reach {
        if self.principal().holds(Permission::TOKENS_WRITE) {
            self.principal().reach_of_account()
        } else {
            Reach::Nothing
        }
    }
}

/// What holders of `tokens:write` do.
#[derive(Debug)]
pub struct TokenWrites<'a> {
    caller: &'a Caller,
}

impl TokenWrites<'_> {
    /// Makes a token; its secret is here and nowhere else.
    ///
    /// # Errors
    /// Problems with the input, all at once; those of the store.
    pub async fn create(&self, input: TokenInput) -> Result<(ApiToken, TokenSecret)> {
        let caller = self.caller;
        let account = caller.target_account(input.account).await?;
        let now = caller.now();
        let mut problems = Problems::default();
        let name = problems.text(&["name"], required_line(&input.name, ApiToken::MAX_NAME));
        if input.expires_at.is_some_and(|end| end <= now) {
            let message = "expiresAt is over already; give a later moment, or null for no end";
            problems.push(Problem::at(&["expiresAt"], ErrorCode::Invalid, message));
        }
        let roles = self.roles(&account, &input.roles, &mut problems).await?;
        let groups = self.groups(&account, &input.groups, &mut problems).await?;
        problems.check()?;
        let active = caller.store().tokens_of_accounts(&[account.id]).await?;
        if active.iter().filter(|t| t.is_active(now)).count() >= MOST_ACTIVE {
            let message = format!("The account has {MOST_ACTIVE} tokens; revoke one that is not needed any more.");
            return Err(Problem::new(ErrorCode::NotAllowed, message).into());
        }

        // What a token makes does not outlive it.
        let own_end = match caller.principal() {
            Principal::Token(holder) => holder.token.expires_at,
            Principal::Nobody | Principal::CommandLine | Principal::Person(_) => None,
        };
        let expires_at = match (input.expires_at, own_end) {
            (Some(given), Some(own)) => Some(given.min(own)),
            (given, own) => given.or(own),
        };
        let entropy = caller.services.entropy.as_ref();
        let secret = TokenSecret::generate(entropy)?;
        let token = ApiToken {
            id: ApiTokenId::generate(caller.services.clock.as_ref(), entropy)?,
            account: account.id,
            name: name.unwrap_or_default(),
            roles: roles.iter().map(|(id, _)| *id).collect(),
            groups: groups.iter().map(|(id, _)| *id).collect(),
            created_by: caller.principal().user(),
            created_at: now,
            last_used_at: None,
            expires_at,
            revoked_at: None,
        };
        let names = |named: Vec<String>| (!named.is_empty()).then(|| named.join(", "));
        let fields: Fields = vec![
            ("name", Some(token.name.clone()).into()),
            ("roles", names(roles.into_iter().map(|(_, name)| name).collect()).into()),
            (
                "groups",
                names(groups.into_iter().map(|(_, name)| name).collect()).into(),
            ),
            ("expiresAt", token.expires_at.map(|at| at.to_string()).into()),
        ];
        let mut changes = made(&fields);
        changes.push(secret_changed("secret"));
        let audit = caller.audit(action_on("createApiToken", &token, &account, changes))?;
        match caller.store().create_token(&token, &secret.hash(), &audit).await {
            Ok(()) => Ok((token, secret)),
            Err(StoreError::Taken(_)) => {
                let message = format!("The account {} already has a token {:?}.", account.name, token.name);
                Err(Problem::at(&["name"], ErrorCode::Taken, message).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Revokes a token: from here on its secret opens nothing.
    ///
    /// # Errors
    /// `NotFound` with `id`, also when it was revoked before; those of the store.
    pub async fn revoke(&self, id: Option<ApiTokenId>) -> Result<ApiToken> {
        let caller = self.caller;
        let unknown = || Problem::at(&["id"], ErrorCode::NotFound, "There is no such token.");
        let id = id.ok_or_else(unknown)?;
        let token = caller.tokens_by_ids(&[id]).await?.pop().ok_or_else(unknown)?;
        let account = caller.store().accounts_by_ids(&[token.account]).await?.pop();
        let account = account.ok_or_else(unknown)?;
        let now = caller.now();
        let change = FieldChange {
            field: "isActive".to_owned(),
            before: Some("true".to_owned()),
            after: Some("false".to_owned()),
        };
        let audit = caller.audit(action_on("revokeApiToken", &token, &account, vec![change]))?;
        match caller.store().revoke_token(id, now, &audit).await {
            Ok(()) => Ok(ApiToken {
                revoked_at: Some(now),
                ..token
            }),
            Err(StoreError::NotFound) => Err(unknown().into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The roles with their names; none that holds more than the caller.
    async fn roles(
        &self,
        account: &Account,
        given: &[Option<RoleId>],
        problems: &mut Problems,
    ) -> Result<Vec<(RoleId, String)>> {
        if too_many("roles", given.len(), problems) || given.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RoleId> = given.iter().flatten().copied().collect();
        let mut found = self.caller.store().roles_by_ids(&ids).await?;
        found.retain(|r| r.account == account.id);
        for (i, id) in given.iter().enumerate() {
            let path = ["roles", &index(i)];
            match id.and_then(|id| found.iter().find(|r| r.id == id)) {
                None => problems.push(Problem::at(&path, ErrorCode::NotFound, "There is no such role.")),
                Some(role) => {
                    let principal = self.caller.principal();
                    if let Some(missing) = principal.first_not_held(account.id, &role.permissions) {
                        let message = format!("The role {} holds {missing}, which you do not hold.", role.name);
                        problems.push(Problem::at(&path, ErrorCode::NotAllowed, message));
                    }
                }
            }
        }
        Ok(found.into_iter().map(|r| (r.id, r.name)).collect())
    }

    /// The groups with their names; none whose objects the caller does not see.
    async fn groups(
        &self,
        account: &Account,
        given: &[Option<GroupId>],
        problems: &mut Problems,
    ) -> Result<Vec<(GroupId, String)>> {
        if too_many("groups", given.len(), problems) || given.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<GroupId> = given.iter().flatten().copied().collect();
        let mut found = self.caller.store().groups_by_ids(&ids).await?;
        found.retain(|g| g.account == account.id);
        let own = match self.caller.principal() {
            Principal::Person(person) => person.user.groups(),
            Principal::Token(holder) => holder.token.groups.clone(),
            Principal::Nobody | Principal::CommandLine => Vec::new(),
        };
        let sees_all = self.caller.principal().may_touch_masters(account.id);
        for (i, id) in given.iter().enumerate() {
            let path = ["groups", &index(i)];
            match id.and_then(|id| found.iter().find(|g| g.id == id)) {
                None => problems.push(Problem::at(&path, ErrorCode::NotFound, "There is no such group.")),
                Some(group) if sees_all || own.contains(&group.id) => {}
                Some(group) => {
                    let message = format!("You are not in the group {} yourself.", group.name);
                    problems.push(Problem::at(&path, ErrorCode::NotAllowed, message));
                }
            }
        }
        Ok(found.into_iter().map(|g| (g.id, g.name)).collect())
    }
}

fn too_many(field: &str, count: usize, problems: &mut Problems) -> bool {
    if count <= MOST_GRANTS {
        return false;
    }
    let message = format!("{field} holds {count} ids; {MOST_GRANTS} is the most");
    problems.push(Problem::at(&[field], ErrorCode::TooLong, message));
    true
}

fn action_on<'a>(name: &'a str, token: &ApiToken, account: &Account, changes: Vec<FieldChange>) -> Action<'a> {
    Action {
        name,
        account: account.id,
        target_type: TargetType::ApiToken,
        target_id: token.id.as_uuid(),
        target_name: format!("{}@{}", token.name, account.name),
        changes,
    }
}
