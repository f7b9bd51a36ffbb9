//! Asking about many people, in the background: nobody waits for it, so each answer has a server's whole time to come.

use std::sync::Arc;

use super::Directory;
use super::error::DirectoryError;
use super::person::Person;
use super::search::{Patience, Reading};
use super::server::{Server, in_order};
use super::trail::Trail;

impl Directory {
    /// Looks many up by the directory's own ids. Who is not among the answers is absent: no entry of that id, or one that the
    /// filter no longer finds, in bases that can all be read.
    ///
    /// # Errors
    /// Nothing is known of anybody then.
    pub async fn look_up_ids(&self, ids: &[String]) -> Result<Vec<Person>, DirectoryError> {
        self.in_background(|server, patience| async move {
            let (lease, _) = server.service(patience.deadline(), None).await?;
            let found = async {
                let kind = server.kind(&lease, patience.deadline()).await?;
                let from = (&*lease, &kind);
                self.finder.by_ids(from, ids, self.clock.now(), patience).await
            };
            let found = found.await;
            if found.as_ref().is_err_and(DirectoryError::is_transport) {
                server.discard(&lease);
            }
            found
        })
        .await
    }

    /// Begins to read everybody whom the filter finds.
    ///
    /// # Errors
    /// No server can be read from.
    pub async fn everyone(&self) -> Result<Everyone<'_>, DirectoryError> {
        // One server to the end: another one's answers are no continuation of this one's.
        self.in_background(|server, patience| async move {
            let connection = server.open_service(patience.deadline(), &Trail::silent()).await?;
            let for_groups = server.open_service(patience.deadline(), &Trail::silent()).await?;
            let kind = server.kind(&connection, patience.deadline()).await?;
            Ok(Everyone {
                directory: self,
                reading: self.finder.everyone([connection, for_groups], kind, patience),
            })
        })
        .await
    }

    /// Tries one server after the other with work that nobody waits for: each answer has the server's time to come.
    async fn in_background<T, F>(&self, attempt: impl Fn(Arc<Server>, Patience) -> F) -> Result<T, DirectoryError>
    where
        F: Future<Output = Result<T, DirectoryError>>,
    {
        if !self.can_look_up {
            return Err(DirectoryError::NoLookUp {
                directory: self.name.clone(),
            });
        }
        let mut errors = Vec::new();
        for server in in_order(&self.servers) {
            match attempt(Arc::clone(&server), Patience::Each(server.timeout())).await {
                Ok(answer) => {
                    server.is_well();
                    return Ok(answer);
                }
                Err(error) if !error.is_transport() => return Err(error),
                Err(error) => {
                    server.is_ill(&error);
                    errors.push(error);
                }
            }
        }
        Err(DirectoryError::NoServer {
            directory: self.name.clone(),
            errors,
        })
    }
}

/// Everybody in a directory, part by part, so that no more than a part is held at once.
#[derive(Debug)]
pub struct Everyone<'a> {
    directory: &'a Directory,
    reading: Reading<'a>,
}

impl Everyone<'_> {
    /// The next part; `None` once everybody was read, in bases that can all be read.
    ///
    /// # Errors
    /// The reading came to an end before it was through: nothing is known of whoever was not read.
    pub async fn next(&mut self) -> Result<Option<Vec<Person>>, DirectoryError> {
        self.reading.next(self.directory.clock.now()).await
    }
}
