//! The directory gave a login to another person, and an administrator says that it is right.

use super::grants::Mappings;
use super::people::{Author, Said, Written};
use crate::access::Denied;
use crate::directory::{DirectoryError, LookUp};
use crate::domain::account::Account;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::service::users::{action_on, no_such_user};
use crate::service::{Caller, ErrorCode, Problem, Result};
use crate::store::WhichSessions;

/// A user changed at the very moment is read again this often.
const TRIES: usize = 3;

impl Caller {
    /// Links an LDAP user to whomever the directory has under their login now, and ends the sessions of whoever it was. For
    /// masters of the account and operators: it hands all that the user has to somebody else.
    ///
    /// # Errors
    /// [`Denied`] for everybody else; `NotFound`, `NotAllowed` (a local user, an entry that is no single one or somebody
    /// else's), `LdapOff`, `DirectoryUnavailable`; those of the store.
    pub async fn relink_user(&self, id: UserId) -> Result<User> {
        self.principal().may_change()?;
        self.principal().not_impersonating()?;
        let writes = self.write_users()?;
        for _ in 0..TRIES {
            let (user, account) = writes.writable(id).await?;
            if !self.principal().may_touch_masters(account.id) {
                return Err(Denied::Missing("a master user").into());
            }
            if !user.is_ldap {
                let message = "A local user has no entry in a directory.";
                return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
            }
            let off = || Problem::at(&["id"], ErrorCode::LdapOff, "The user's account has no directory.");
            let name = account.directory.as_deref().ok_or_else(off)?;
            let directory = self.services.directories.get(name).ok_or_else(off)?;
            let person = match directory.look_up(user.login.as_str()).await {
                LookUp::Found(person) => person,
                LookUp::Absent => {
                    let message = "The directory has nobody under this login.";
                    return Err(Problem::at(&["id"], ErrorCode::NotFound, message).into());
                }
                LookUp::Ambiguous => {
                    let message = "The directory has more than one entry under this login.";
                    return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
                }
                // Nobody can be looked up there: the next to sign in with the login is linked.
                LookUp::Unknown(DirectoryError::NoLookUp { .. }) => {
                    let unlinked = User {
                        directory_link: None,
                        ..user.clone()
                    };
                    match self.write_relinked(&account, &user, unlinked).await? {
                        Written::Done(user) => return Ok(*user),
                        Written::Conflict | Written::Mistaken(_) => continue,
                    }
                }
                LookUp::Unknown(error) => {
                    tracing::warn!(directory = name, %error, "a directory could not be asked");
                    let message = "The directory does not answer; try again later.";
                    return Err(Problem::new(ErrorCode::DirectoryUnavailable, message).into());
                }
            };
            let configured = self
                .services
                .settings
                .directories
                .get(name)
                .map(|rules| &rules.mappings);
            let configured = configured.map_or(&[][..], |mappings| mappings);
            let mappings = Mappings::resolve(self.store(), &account, configured).await?;
            let said = Said {
                directory: name,
                person: &person,
                mappings: &mappings,
            };
            let unlinked = User {
                directory_link: None,
                ..user.clone()
            };
            if let Err(mistaken) = said.is_about(&unlinked) {
                return Err(Problem::at(&["id"], ErrorCode::NotAllowed, mistaken.detail()).into());
            }
            let after = said.applied_to(&unlinked, &mappings.of(&person), self.now());
            match self.write_relinked(&account, &user, after).await? {
                Written::Done(user) => return Ok(*user),
                Written::Conflict => {}
                Written::Mistaken(mistaken) => {
                    return Err(Problem::at(&["id"], ErrorCode::NotAllowed, mistaken.detail()).into());
                }
            }
        }
        Err(no_such_user().into())
    }

    /// Whoever was signed in as this user may be somebody else now. Their sessions end first, so that none outlives the change.
    async fn write_relinked(&self, account: &Account, user: &User, after: User) -> Result<Written> {
        let ending = || self.audit(action_on("revokeAllSessions", user, account, Vec::new()));
        let all = WhichSessions::AllBut(None);
        self.store().revoke_sessions(user.id, all, &ending()?).await?;
        let author = Author {
            action: "relinkUser",
            actor: self.actor(),
        };
        let written = self
            .services
            .write_from_directory(account, user, after, &author)
            .await?;
        // And those that were opened in between.
        self.store().revoke_sessions(user.id, all, &ending()?).await?;
        Ok(written)
    }
}
