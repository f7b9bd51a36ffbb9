//! The LDAP client: who somebody is, and whether a password is theirs.
//!
//! Three rules shape it. **One submitted password is at most one bind as the person**: servers count wrong passwords, so
//! the next server is asked only while nothing but Doorward's own account has spoken. **Unavailable is not wrong**: what
//! goes wrong on the way is a [`DirectoryError`] in [`Authentication::Unavailable`] or [`LookUp::Unknown`], and only a
//! server's own word about the person is a [`Refusal`]. **Nothing waits for long**: each server has one `timeout` for
//! everything, a server that failed goes to the end of the line, and coming back is tried in the background.
//!
//! A [`DirectoryError`] is for logs and operators: it quotes servers and is never shown to a client.

mod answer;
mod check;
mod connection;
mod dn;
mod error;
mod escape;
mod explain;
mod groups;
mod kind;
mod many;
mod outcome;
mod person;
mod pool;
mod search;
mod server;
mod template;
mod tls;
mod trail;

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};
use url::Url;

pub use self::answer::{Authentication, LookUp, Refusal};
pub use self::dn::canonical as canonical_dn;
pub use self::error::{DirectoryError, Step};
pub use self::explain::Explanation;
pub use self::many::Everyone;
pub use self::person::{PasswordExpiry, Person, PersonAttributes};
pub use self::server::ServerHealth;
pub use self::trail::{CheckOutcome, CheckStep};

use self::connection::{Connection, Endpoint};
use self::outcome::{Accepted, Verdict};
use self::pool::Lease;
use self::search::{Finder, Found, Patience};
use self::server::{Server, ServiceAccount};
use self::template::Template;
use self::trail::Trail;
use crate::config::DirectoryConfig;
use crate::domain::clock::Clock;

/// One configured directory, to be shared.
#[derive(Debug)]
pub struct Directory {
    name: String,
    servers: Vec<Arc<Server>>,
    finder: Finder,
    template: Option<Template>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    can_look_up: bool,
}

impl Directory {
    /// Prepares a directory from a configuration that passed [`DirectoryConfig::validate`]; connects to nothing yet.
    /// Blocks on the files that the configuration names.
    ///
    /// # Errors
    /// A file or value that cannot be used, with its key.
    pub fn new(name: &str, config: &DirectoryConfig, clock: Arc<dyn Clock>) -> Result<Self, DirectoryError> {
        let fault = |key: &str, reason: String| DirectoryError::Configuration {
            key: key.to_owned(),
            reason,
        };
        config
            .validate(name)
            .map_err(|faults| fault(&format!("directories.{name}"), faults.join("; ")))?;
        let password = config
            .read_bind_password(name)
            .map_err(|reason| fault(&format!("directories.{name}.bind_password_file"), reason))?;
        let account = config
            .bind_dn
            .clone()
            .zip(password)
            .map(|(dn, password)| Arc::new(ServiceAccount { dn, password }));
        let is_encrypted = config.start_tls || config.servers.iter().any(|url| url.starts_with("ldaps:"));
        let tls = is_encrypted.then(|| tls::client_config(name, config)).transpose()?;
        let server = |url: &String| {
            let parsed = Url::parse(url).map_err(|e| fault(&format!("directories.{name}.servers"), e.to_string()))?;
            let needs_tls = config.start_tls || parsed.scheme() == "ldaps";
            let tls = tls.clone().filter(|_| needs_tls);
            let endpoint = Endpoint {
                url: parsed,
                label: Arc::from(url.as_str()),
                tls,
            };
            Ok(Arc::new(Server::new(
                endpoint,
                account.clone(),
                config.timeout,
                Arc::clone(&clock),
            )))
        };
        Ok(Self {
            name: name.to_owned(),
            servers: config
                .servers
                .iter()
                .map(server)
                .collect::<Result<_, DirectoryError>>()?,
            finder: Finder::new(config),
            template: config.user_dn.as_deref().map(Template::new),
            timeout: config.timeout,
            can_look_up: account.is_some() || config.user_dn.is_none(),
            clock,
        })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its servers are, in the configured order.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerHealth> {
        self.servers.iter().map(|server| server.health()).collect()
    }

    /// Tries one submitted password: one look-up, and at most one bind as the person.
    pub async fn authenticate(&self, login: &str, password: &SecretString) -> Authentication {
        // RFC 4513, 5.1.2: a bind with a name and no password can succeed, and proves nothing.
        if password.expose_secret().is_empty() {
            return refused(Refusal::WrongPassword);
        }
        if is_nobodys(login) {
            return refused(Refusal::UnknownUser);
        }
        let name = match &self.template {
            None => None,
            Some(template) => match template.render(login) {
                Some(name) => Some(name),
                None => return refused(Refusal::UnknownUser),
            },
        };
        let name = name.as_deref();
        let tried = self.at_servers(|server, deadline| async move {
            match name {
                None => self.search_then_bind(&server, login, password, deadline).await,
                Some(name) => self.bind_then_search(&server, name, login, password, deadline).await,
            }
        });
        let authentication = tried.await.unwrap_or_else(Authentication::Unavailable);
        match &authentication {
            Authentication::Success { .. } => {}
            Authentication::Refused { reason, detail } => {
                tracing::info!(
                    directory = self.name,
                    ?reason,
                    detail,
                    "the directory refuses a sign-in"
                );
            }
            Authentication::Unavailable(error) => {
                tracing::warn!(directory = self.name, %error, "the directory cannot answer a sign-in");
            }
        }
        authentication
    }

    /// Looks somebody up without their password, as `bind_dn` or anonymously.
    pub async fn look_up(&self, login: &str) -> LookUp {
        if !self.can_look_up {
            return LookUp::Unknown(DirectoryError::NoLookUp {
                directory: self.name.clone(),
            });
        }
        if is_nobodys(login) {
            return LookUp::Absent;
        }
        let tried = self.at_servers(|server, deadline| async move {
            let (connection, found) = self.find_as_service(&server, login, deadline).await?;
            Ok(match found {
                Found::One(person) => LookUp::Found(person),
                Found::Several(_) => LookUp::Ambiguous,
                Found::Nobody => {
                    self.finder.read_bases(&connection, Patience::Until(deadline)).await?;
                    LookUp::Absent
                }
            })
        });
        tried.await.unwrap_or_else(LookUp::Unknown)
    }

    /// Where people are, as configured.
    #[must_use]
    pub fn bases(&self) -> &[String] {
        self.finder.bases()
    }

    /// Can people be looked up without their password?
    #[must_use]
    pub fn can_look_up(&self) -> bool {
        self.can_look_up
    }

    /// Tries every server, step by step and whatever is known of its health.
    pub async fn check(&self) -> Vec<CheckStep> {
        let mut steps = Vec::new();
        for server in &self.servers {
            steps.extend(check::server(server, &self.finder, self.can_look_up).await);
        }
        steps
    }

    /// Tries one server after the other until one gives an answer, each within its time and all within theirs.
    /// `attempt` fails with a transport error only while another server may still be asked.
    async fn at_servers<T, F>(&self, attempt: impl Fn(Arc<Server>, Instant) -> F) -> Result<T, DirectoryError>
    where
        F: Future<Output = Result<T, DirectoryError>>,
    {
        let tried = async {
            let mut errors = Vec::new();
            for server in server::in_order(&self.servers) {
                match attempt(Arc::clone(&server), server.deadline()).await {
                    Ok(answer) => {
                        server.is_well();
                        return Ok(answer);
                    }
                    Err(error) => {
                        match &error {
                            // What one person may not do is no illness of the server.
                            DirectoryError::AfterBind(cause) if !cause.is_transport() => server.is_well(),
                            DirectoryError::AfterBind(cause) => server.is_ill(cause),
                            _ => server.is_ill(&error),
                        }
                        if !error.is_transport() {
                            return Err(error);
                        }
                        errors.push(error);
                    }
                }
            }
            Err(DirectoryError::NoServer {
                directory: self.name.clone(),
                errors,
            })
        };
        let servers = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        let limit = self.timeout.saturating_mul(servers);
        let overdue = DirectoryError::Overdue {
            directory: self.name.clone(),
            limit,
        };
        // Each server's own deadline comes first; this one holds whatever they do.
        timeout(limit + OVERDUE_MARGIN, tried).await.unwrap_or(Err(overdue))
    }

    async fn search_then_bind(
        &self,
        server: &Server,
        login: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<Authentication, DirectoryError> {
        let person = match self.find_as_service(server, login, deadline).await?.1 {
            Found::One(person) => person,
            Found::Nobody => return Ok(refused(Refusal::UnknownUser)),
            Found::Several(entries) => return Ok(self.several(&entries)),
        };
        let own = server.endpoint.open(deadline).await?;
        let authentication = match self.bind(&own, &person.dn, password, deadline).await? {
            Bound::Refused { reason, detail } => Authentication::Refused { reason, detail },
            Bound::Accepted(accepted) => self.success(person, &accepted),
        };
        own.close(deadline).await;
        Ok(authentication)
    }

    async fn bind_then_search(
        &self,
        server: &Server,
        name: &str,
        login: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<Authentication, DirectoryError> {
        let own = server.endpoint.open(deadline).await?;
        if server.endpoint.tls.is_none() {
            // A TLS handshake showed that somebody is there. In clear nobody has said a word yet, and after the bind it
            // would be too late to ask another server.
            own.probe(deadline).await?;
        }
        let authentication = match self.bind(&own, name, password, deadline).await? {
            Bound::Refused { reason, detail } => Authentication::Refused { reason, detail },
            Bound::Accepted(accepted) => {
                let found = self.find_as_person(server, &own, name, login, deadline).await;
                match found.map_err(|e| DirectoryError::AfterBind(Box::new(e)))? {
                    Found::One(person) => self.success(person, &accepted),
                    Found::Nobody => refused(Refusal::UnknownUser),
                    Found::Several(entries) => self.several(&entries),
                }
            }
        };
        own.close(deadline).await;
        Ok(authentication)
    }

    /// The one bind as the person, on a connection of its own. Whatever goes wrong with it is an error that is not for
    /// another server.
    async fn bind(
        &self,
        own: &Connection,
        name: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<Bound, DirectoryError> {
        if own.is_closed() {
            let reason = "the server closed it".to_owned();
            return Err(DirectoryError::Lost {
                server: Arc::clone(&own.server),
                step: Step::UserBind,
                reason,
            });
        }
        let controls = vec![outcome::password_policy_request()];
        let answer = own.bind(Step::UserBind, name, password, controls, deadline).await;
        let result = answer.map_err(|error| DirectoryError::AfterBind(Box::new(error)))?;
        match outcome::judge(&result) {
            Verdict::Accepted(accepted) => Ok(Bound::Accepted(accepted)),
            Verdict::Refused { reason, detail } => Ok(Bound::Refused {
                reason,
                detail: Some(detail),
            }),
            Verdict::NoAnswer => {
                let error = DirectoryError::answer(&own.server, Step::UserBind, &result);
                Err(DirectoryError::AfterBind(Box::new(error)))
            }
        }
    }

    /// Searches over a pooled connection. One that turns out to be dead is replaced, within the same time.
    async fn find_as_service(
        &self,
        server: &Server,
        login: &str,
        deadline: Instant,
    ) -> Result<(Lease, Found), DirectoryError> {
        let (began, mut newer) = (Moment::now(), None);
        loop {
            let (lease, is_new) = server.service(deadline, newer).await?;
            let is_new = is_new || newer.is_some();
            // An old connection may be dead without anybody having said so: there must be time left for a new one.
            let limit = if is_new {
                deadline
            } else {
                deadline.min(Instant::now() + server.timeout() / OLD_CONNECTION_SHARE)
            };
            let found = async {
                let kind = server.kind(&lease, limit).await?;
                let now = self.clock.now();
                self.finder
                    .find((&*lease, &kind), login, now, limit, &Trail::silent())
                    .await
            };
            match found.await {
                Ok(found) => return Ok((lease, found)),
                Err(error) if error.is_transport() => {
                    server.discard(&lease);
                    if is_new || Instant::now() >= deadline {
                        return Err(error);
                    }
                    // The others may be as dead as this one.
                    newer = Some(began);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Searches over the person's own connection, after the bind by `user_dn`.
    async fn find_as_person(
        &self,
        server: &Server,
        own: &Connection,
        name: &str,
        login: &str,
        deadline: Instant,
    ) -> Result<Found, DirectoryError> {
        let kind = server.kind(own, deadline).await?;
        let now = self.clock.now();
        let found = self
            .finder
            .find((own, &kind), login, now, deadline, &Trail::silent())
            .await?;
        let Found::One(person) = &found else {
            return Ok(found);
        };
        // Whose password it was and whom the filter finds must be one entry.
        let is_same = match &self.template {
            // The server writes both names alike.
            Some(Template::DistinguishedName(_)) => {
                search::read(own, name, deadline).await?.as_ref() == Some(&person.dn)
            }
            Some(Template::PrincipalName(_)) => {
                let from = (own, &kind);
                self.finder
                    .is_principal(from, &person.dn, name, login, deadline)
                    .await?
            }
            None => true,
        };
        if !is_same {
            tracing::warn!(
                directory = self.name,
                bound = name,
                found = person.dn,
                "user_dn and filter name different entries for one login"
            );
            return Ok(Found::Nobody);
        }
        Ok(found)
    }

    fn several(&self, entries: &[String]) -> Authentication {
        tracing::warn!(
            directory = self.name,
            ?entries,
            "more than one entry has this login; make the filter narrower"
        );
        Authentication::Refused {
            reason: Refusal::NotAllowed,
            detail: Some("more than one entry".to_owned()),
        }
    }

    /// What was said at the bind is newer than what the entry says.
    fn success(&self, mut person: Box<Person>, accepted: &Accepted) -> Authentication {
        let now = self.clock.now();
        if accepted.grace_left.is_some() {
            person.password_expiry = PasswordExpiry::At(now);
        } else if let Some(at) = accepted.expires_in.and_then(|time| now.checked_add(time).ok()) {
            person.password_expiry = PasswordExpiry::At(at);
        }
        if person.password_expiry == PasswordExpiry::Unsaid {
            // It was asked at the bind, and had nothing to warn of.
            person.password_expiry = PasswordExpiry::Never;
        }
        let detail = accepted
            .grace_left
            .map(|left| format!("result 0, policy: the password has expired; {left} more sign-ins with it are left"));
        Authentication::Success { person, detail }
    }
}

/// How much later than all its servers together an attempt ends at the latest.
const OVERDUE_MARGIN: Duration = Duration::from_millis(100);
/// The share of a server's time that an answer over a connection that was used before may take.
const OLD_CONNECTION_SHARE: u32 = 2;

/// What the bind as the person gave.
enum Bound {
    Accepted(Accepted),
    Refused { reason: Refusal, detail: Option<String> },
}

/// Nobody has no login at all, and none with control characters: servers written in C take a NUL for the end of it.
fn is_nobodys(login: &str) -> bool {
    login.is_empty() || login.chars().any(char::is_control)
}

fn refused(reason: Refusal) -> Authentication {
    Authentication::Refused { reason, detail: None }
}
