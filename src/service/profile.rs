//! What people change about themselves.

use crate::domain::account::Language;
use crate::domain::user::User;
use crate::service::users::no_such_user;
use crate::service::{Caller, NotificationChanges, Problems, Result, UserChanges, UserWrites};

/// Changes to oneself: `None` keeps what is, `Some(None)` clears.
#[derive(Debug, Default, Clone)]
pub struct ProfileChanges {
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Contact address.
    pub email: Option<Option<String>>,
    /// Telephone.
    pub phone: Option<Option<String>>,
    /// Language.
    pub language: Option<Language>,
    /// Notification settings.
    pub notifications: NotificationChanges,
}

impl Caller {
    /// Changes what is given of the caller.
    ///
    /// # Errors
    /// Problems with the input, all at once; [`Denied`](crate::access::Denied), to tokens too; those of the store.
    pub async fn update_my_profile(&self, changes: ProfileChanges) -> Result<User> {
        self.principal().may_change()?;
        let person = self.principal().as_person()?;
        // None of what takes users:write is among the changes.
        let writes = UserWrites { caller: self };
        let changes = UserChanges {
            first_name: changes.first_name,
            last_name: changes.last_name,
            email: changes.email,
            phone: changes.phone,
            language: changes.language,
            notifications: changes.notifications,
            ..UserChanges::default()
        };
        loop {
            let before = self.store().users_by_ids(&[person.user.id]).await?.pop();
            let before = before.ok_or_else(no_such_user)?;
            let mut problems = Problems::default();
            let mut changes = changes.clone();
            writes.guard_contacts(&before, &mut changes, &mut problems);
            let after = writes.apply(&person.account, &before, changes, &mut problems).await?;
            problems.check()?;
            // Changed by somebody else in between: the same changes go onto what is there then.
            let written = writes.replace(&before, after, &person.account, "updateMyProfile");
            if let Some(user) = written.await? {
                return Ok(user);
            }
        }
    }
}
