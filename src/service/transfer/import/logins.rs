//! Sign-ins of a file.

use std::collections::HashMap;

use super::Import;
use super::tenancy::refusal;
use crate::domain::account::AccountName;
use crate::domain::ids::{AccountId, LoginEventId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::LoginEvent;
use crate::service::Result;
use crate::service::transfer::known::derived;
use crate::service::transfer::parse::LoginLine;
use crate::store::transfer::{Kind, Record};

/// Users whose last sign-ins are noted at once.
const SETTLED: usize = 500;

impl Import<'_> {
    pub(super) async fn logins(&mut self, lines: Vec<(u64, Box<LoginLine>)>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut taken: Vec<(u64, AccountName, Box<LoginLine>)> = Vec::with_capacity(lines.len());
        for (number, line) in lines {
            if let Some(name) = self.account_of(number, line.account.as_ref()).await? {
                taken.push((number, name, line));
            }
        }
        let users = self.users_of(&taken).await?;
        let mut events: Vec<(u64, AccountName, LoginEvent)> = Vec::with_capacity(taken.len());
        let mut by_id: HashMap<LoginEventId, u64> = HashMap::new();
        for (number, name, line) in taken {
            let Some(known) = self.accounts.get(&name) else {
                continue;
            };
            // Nobody is in an account that a dry run made up.
            let (account, is_imagined) = (known.account.id, known.is_imagined);
            let user = match &line.user {
                None => line.user_id,
                Some(login) => match users.get(&(account, login.clone())) {
                    Some(id) => Some(*id),
                    None if is_imagined || self.would_be_there(&name, login) => None,
                    None => {
                        let told = format!("there is no user {:?} in the account {name}", login.as_str());
                        self.reject(number, told);
                        continue;
                    }
                },
            };
            let event = event(account, user, *line)?;
            if let Some(first) = by_id.insert(event.id, number) {
                self.reject(number, format!("is the same sign-in as line {first}"));
                continue;
            }
            events.push((number, name, event));
        }
        self.add_logins(events).await
    }

    /// Would the user be there, if this were no dry run?
    fn would_be_there(&self, account: &AccountName, login: &Login) -> bool {
        self.options.dry_run && self.seen.first("user", account.as_str(), login.as_str()).is_some()
    }

    /// The users that the lines name, by login.
    async fn users_of(
        &self,
        lines: &[(u64, AccountName, Box<LoginLine>)],
    ) -> Result<HashMap<(AccountId, Login), UserId>> {
        let mut logins: Vec<(AccountId, Login)> = Vec::new();
        for (_, name, line) in lines {
            let known = self.accounts.get(name).filter(|known| !known.is_imagined);
            if let (Some(known), Some(login)) = (known, &line.user) {
                logins.push((known.account.id, login.clone()));
            }
        }
        logins.sort_unstable();
        logins.dedup();
        let found = self.store().stored_users(&[], &logins).await?;
        Ok(found
            .into_iter()
            .map(|stored| ((stored.user.account, stored.user.login), stored.user.id))
            .collect())
    }

    async fn add_logins(&mut self, events: Vec<(u64, AccountName, LoginEvent)>) -> Result<()> {
        let ids: Vec<LoginEventId> = events.iter().map(|(_, _, event)| event.id).collect();
        let there = self.store().login_events_by_ids(&ids).await?;
        let there: HashMap<LoginEventId, LoginEvent> = there.into_iter().map(|event| (event.id, event)).collect();
        let mut new: Vec<(u64, AccountName, LoginEvent)> = Vec::with_capacity(events.len());
        for (number, name, event) in events {
            match there.get(&event.id) {
                Some(stored) if *stored == event => {
                    self.report.unchanged.logins += 1;
                    // An import that was interrupted may not have come to noting it.
                    self.signed_in.extend(event.user);
                }
                Some(_) => self.reject(number, "differs from the sign-in that has its id, which stays as it is"),
                None => new.push((number, name, event)),
            }
        }
        if !self.options.dry_run && !new.is_empty() {
            let records: Vec<Record> = new
                .iter()
                .map(|(_, _, event)| Record::LoginEvent(Box::new(event.clone())))
                .collect();
            if let Err(error) = self.create(&records, &[]).await {
                let told = refusal(error)?;
                for (number, _, _) in new {
                    self.reject(number, told.clone());
                }
                return Ok(());
            }
            for (_, name, event) in &new {
                self.signed_in.extend(event.user);
                let added = self.added.entry(event.account);
                added.or_insert_with(|| (name.clone(), 0)).1 += 1;
            }
        }
        self.report.created.logins += new.len() as u64;
        Ok(())
    }

    /// Lets the users follow their sign-ins, and says in the log how many came.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let mut users: Vec<UserId> = self.signed_in.drain().collect();
        users.sort_unstable();
        for some in users.chunks(SETTLED) {
            self.store().settle_logins(some).await?;
        }
        for (id, (name, count)) in std::mem::take(&mut self.added) {
            let action = self.came_in("importLogins", Kind::LoginEvents.name(), id, &name, count);
            let entry = self.caller.audit(action)?;
            self.store().create(&[], &[entry]).await?;
        }
        Ok(())
    }
}

fn event(account: AccountId, user: Option<UserId>, line: LoginLine) -> Result<LoginEvent> {
    let login = line.user.map(String::from);
    let mut event = LoginEvent {
        id: LoginEventId::from_uuid(line.id.unwrap_or_default()),
        account,
        user,
        at: line.at,
        attempted_login: line.attempted_login.or(login).unwrap_or_default(),
        outcome: line.outcome,
        method: line.method,
        origin: line.origin,
        detail: line.detail,
        attempts: line.attempts,
        impersonator: line.impersonator,
    };
    if line.id.is_none() {
        // The same line is the same sign-in each time.
        let digest = Record::LoginEvent(Box::new(event.clone())).digest()?;
        event.id = LoginEventId::from_uuid(derived(event.at.as_millisecond(), &digest));
    }
    Ok(event)
}
