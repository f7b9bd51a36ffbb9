//! The picture that a directory has of somebody.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::people::Author;
use crate::directory::Person;
use crate::domain::account::Account;
use crate::domain::audit::FieldChange;
use crate::domain::avatar::Avatar;
use crate::domain::ids::{AvatarId, UserId};
use crate::domain::text::hex;
use crate::domain::user::{DirectoryLink, User};
use crate::service::avatars::{Upload, cleaned};
use crate::service::{Result, Services};
use crate::store::StoreError;

/// A user changed at the very moment is read again this often.
const TRIES: usize = 3;

impl Services {
    /// Takes over the picture of somebody who signed in, unless it is the one that was taken over the last time: they may
    /// have set another one here since. Nobody waits for it, and one that cannot be read changes nothing.
    pub(in crate::service) fn take_over_picture(
        self: &Arc<Self>,
        account: &Account,
        user: &User,
        directory: &str,
        person: &Person,
    ) {
        let Some(bytes) = &person.attributes.picture else {
            return;
        };
        let digest = hex(&Sha256::digest(bytes));
        let known = user.directory_link.as_ref().and_then(|link| link.picture.as_deref());
        if known == Some(digest.as_str()) {
            return;
        }
        let (services, account, id) = (Arc::clone(self), account.clone(), user.id);
        let (directory, bytes) = (directory.to_owned(), bytes.clone());
        tokio::spawn(async move {
            let taken = services.replace_picture(&account, id, &directory, digest, bytes).await;
            if let Err(error) = taken {
                tracing::warn!(directory, account = %account.name, %error, "a picture of the directory was not taken over");
            }
        });
    }

    async fn replace_picture(
        &self,
        account: &Account,
        id: UserId,
        directory: &str,
        digest: String,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let upload = Upload {
            content_type: None,
            bytes,
        };
        let picture = match cleaned(upload).await? {
            Ok(picture) => Some(picture),
            Err(problem) => {
                // Noted as taken over all the same: it would be looked at again at every sign-in.
                tracing::info!(
                    directory,
                    problem = problem.message,
                    "a picture of the directory cannot be used"
                );
                None
            }
        };
        for _ in 0..TRIES {
            let Some(user) = self.store.users_by_ids(&[id]).await?.pop() else {
                return Ok(());
            };
            let Some(link) = user.directory_link.clone().filter(|link| link.directory == directory) else {
                return Ok(());
            };
            let mut revision = user.revision;
            if let Some((kind, bytes)) = &picture {
                let avatar = Avatar {
                    id: AvatarId::generate(self.clock.as_ref(), self.entropy.as_ref())?,
                    account: user.account,
                    user: user.id,
                    kind: *kind,
                    bytes: bytes.clone(),
                };
                let change = FieldChange {
                    field: "avatar".to_owned(),
                    before: user.avatar.map(|_| "a picture".to_owned()),
                    after: Some(format!("a picture of {} bytes", avatar.bytes.len())),
                };
                let author = Author::directory(directory, "refreshUser");
                let entry = self.entry_by(&author, account, &user, vec![change])?;
                let now = self.clock.now();
                match self.store.set_avatar(id, revision, Some(&avatar), now, &entry).await {
                    Ok(()) => revision += 1,
                    Err(StoreError::Conflict { .. }) => continue,
                    Err(StoreError::NotFound) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            let before = User { revision, ..user };
            let after = User {
                directory_link: Some(DirectoryLink {
                    picture: Some(digest.clone()),
                    ..link
                }),
                ..before.clone()
            };
            let author = Author::directory(directory, "refreshUser");
            // Should somebody change the user right here, the picture is taken over once more at the next sign-in.
            self.write_from_directory(account, &before, after, &author).await?;
            return Ok(());
        }
        Ok(())
    }
}
