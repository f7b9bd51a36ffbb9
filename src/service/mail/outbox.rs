//! The outbox's worker: takes mails in hand by a lease, sends them, and notes what came of it. Any number of processes may
//! do so on one store; a mail whose process was killed is sent by another once its lease has run out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::PostServer;
use crate::auth::{LinkSecret, without_secrets};
use crate::domain::clock::EntropyError;
use crate::domain::link::AccessLink;
use crate::domain::mail::{LinkKind, Mail, Matter};
use crate::mail::{LinkText, SendError, message};
use crate::service::settings::{after, before};
use crate::service::upkeep::new_holder;
use crate::service::{MailRules, Result, ServiceError, Services};
use crate::store::{MailClaim, MailOutcome, Minted};

/// Mails that are sent at once by one process.
const AT_ONCE: usize = 8;
/// Between two looks for mails that are due; what this process queues itself it sends at once.
const EVERY: Duration = Duration::from_secs(1);
/// A mail is in hand for half as long again as its attempt may take, and for no less than this longer: for writing it, and
/// for noting what came of it, also when the store is away.
const LEAST_SLACK: Duration = Duration::from_secs(5);
/// While the mail server is away it is tried again no more often than by this factor of the pause before,
const SLOWER: u32 = 2;
/// and no more rarely than this, or than a mail that it put off may be.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the mails in hand may still take when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two counts of what waits, for whoever watches.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Between two tries to note what came of a mail.
const NOTE_AGAIN: Duration = Duration::from_millis(500);

/// The worker; ends in good order by [`Outbox::stop`], or at once when it is dropped.
#[derive(Debug)]
pub struct Outbox {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Outbox {
    /// Takes no more mails in hand, and waits a little for those that are.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true); // Err: it has ended already
        if tokio::time::timeout(PATIENCE, &mut self.task).await.is_err() {
            tracing::warn!("mails that are being sent now are sent again by the next process");
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the worker; `None` when mail is off.
///
/// # Errors
/// When no identifier can be made for this process.
pub fn spawn_outbox(services: &Arc<Services>) -> std::result::Result<Option<Outbox>, EntropyError> {
    let Some(server) = services.post.server.clone() else {
        return Ok(None);
    };
    let (stop, stopping) = watch::channel(false);
    let postman = Postman {
        services: Arc::clone(services),
        server,
        holder: new_holder(services.entropy.as_ref())?,
    };
    let task = tokio::spawn(postman.run(stopping));
    Ok(Some(Outbox { stop, task }))
}

struct Postman {
    services: Arc<Services>,
    server: Arc<PostServer>,
    holder: Uuid,
}

/// How an attempt went for all mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// The mail server answered.
    Fine,
    /// It is away.
    Away,
}

impl Postman {
    async fn run(self, mut stopping: watch::Receiver<bool>) {
        let rules = &self.services.settings.mail;
        let shortest = rules.retry_first.min(LONGEST_PAUSE);
        let longest = rules.retry_longest.min(LONGEST_PAUSE);
        let mut pause = shortest;
        let mut count_at = Instant::now();
        while !*stopping.borrow() {
            if Instant::now() >= count_at {
                self.count().await;
                count_at = Instant::now() + COUNT_EVERY;
            }
            let (wait, is_away) = match self.send_due().await {
                Ok((0, _)) => (EVERY, false),
                Ok((_, Weather::Fine)) => {
                    pause = shortest;
                    continue;
                }
                Ok((_, Weather::Away)) => {
                    let wait = pause;
                    pause = (pause * SLOWER).min(longest);
                    (wait, true)
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be worked on; it is tried again");
                    (EVERY, false)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // While the server is away, more mails are no reason to try sooner.
                () = self.services.post.news.notified(), if !is_away => {}
                _ = stopping.changed() => {}
            }
        }
        self.server.sender.close().await;
    }

    async fn count(&self) {
        match self.services.store.mail_counts().await {
            Ok(counts) => {
                let of = |state| counts.get(&state).copied().unwrap_or_default();
                self.services.meters.show_outbox(of);
            }
            Err(error) => tracing::debug!(%error, "the outbox could not be counted"),
        }
    }

    /// Sends what is due, as much as is sent at once; says how many mails that were.
    async fn send_due(&self) -> Result<(usize, Weather)> {
        let (now, began) = (self.services.clock.now(), Instant::now());
        let timeout = self.services.settings.mail.timeout;
        let lease = timeout + LEAST_SLACK.max(timeout / 2);
        let claim = MailClaim {
            holder: self.holder,
            now,
            until: after(now, lease),
            limit: AT_ONCE,
        };
        let mails = self.services.store.claim_mails(&claim).await?;
        let count = mails.len();
        let deadline = began + lease;
        let weather = stream::iter(mails)
            .map(|mail| self.send(mail, deadline))
            .buffer_unordered(AT_ONCE)
            .fold(Weather::Fine, |weather, one| async move {
                if one == Weather::Away { one } else { weather }
            })
            .await;
        Ok((count, weather))
    }

    async fn send(&self, mail: Mail, deadline: Instant) -> Weather {
        let (id, kind) = (mail.id, mail.content.matter.name());
        let (outcome, weather) = match self.attempt(&mail, deadline).await {
            Ok(done) => done,
            // The store's or the machine's trouble: nothing was sent, and it may last a moment.
            Err(error) => (self.untried(&mail, error.to_string(), EVERY), Weather::Fine),
        };
        match &outcome {
            MailOutcome::Sent => tracing::info!(mail = %id, kind, "sent"),
            MailOutcome::Failed { error } => tracing::error!(mail = %id, kind, %error, "given up"),
            MailOutcome::Dropped { error } => tracing::info!(mail = %id, kind, reason = %error, "dropped"),
            MailOutcome::Retry { error, .. } | MailOutcome::Untried { error, .. } => {
                tracing::warn!(mail = %id, kind, %error, "not sent yet");
            }
        }
        self.services.meters.count_mail(&outcome);
        self.note(&mail, &outcome, deadline).await;
        weather
    }

    /// What was sent must be noted, or it is sent again: tried as long as the mail is in hand.
    async fn note(&self, mail: &Mail, outcome: &MailOutcome, deadline: Instant) {
        loop {
            let at = self.services.clock.now();
            match self.services.store.settle_mail(mail.id, self.holder, outcome, at).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(mail = %mail.id, "another process has the mail in hand by now");
                    return;
                }
                Err(error) if Instant::now() >= deadline => {
                    tracing::error!(mail = %mail.id, %error, "what came of a mail could not be noted; it is sent again");
                    return;
                }
                Err(_) => tokio::time::sleep(NOTE_AGAIN).await,
            }
        }
    }

    async fn attempt(&self, mail: &Mail, deadline: Instant) -> Result<(MailOutcome, Weather)> {
        let services = &self.services;
        let link = match mail.content.matter.link() {
            Some(kind) => match self.mint(mail, kind).await? {
                Ok(link) => Some(link),
                Err(reason) => {
                    let error = reason.to_owned();
                    return Ok((MailOutcome::Dropped { error }, Weather::Fine));
                }
            },
            None => None,
        };
        let (templates, written) = (Arc::clone(&services.post.templates), mail.clone());
        // A report draws a picture.
        let rendering = tokio::task::spawn_blocking(move || templates.render(&written, link.as_ref()));
        let rendered = rendering.await.map_err(|e| ServiceError::Stopped(e.to_string()))?;
        let built = rendered.and_then(|rendered| message(mail, &rendered, &self.server.config, &self.server.host));
        let message = match built {
            Ok(message) => message,
            // A template of the operator's, most likely: another attempt after it was mended works.
            Err(error) => return Ok((self.later(mail, error.to_string()), Weather::Fine)),
        };
        // Whoever begins too late is still sending when another process takes the mail in hand.
        if Instant::now() + services.settings.mail.timeout > deadline {
            let error = "it took too long until the mail could be sent".to_owned();
            return Ok((self.untried(mail, error, Duration::ZERO), Weather::Fine));
        }
        // A server may quote the message, and so its link.
        Ok(match self.server.sender.send(&message).await {
            Ok(()) => (MailOutcome::Sent, Weather::Fine),
            Err(SendError::Refused { reason, .. }) => {
                let error = without_secrets(&reason);
                (MailOutcome::Failed { error }, Weather::Fine)
            }
            // It may have been taken: once too often is better than never. And one on which the server breaks off each time
            // must not hold up all the others.
            Err(SendError::Later { reason, .. } | SendError::Unknown { reason } | SendError::BrokenOff { reason }) => {
                (self.later(mail, without_secrets(&reason)), Weather::Fine)
            }
            Err(SendError::Unreachable { reason }) => {
                let error = without_secrets(&reason);
                (self.untried(mail, error, Duration::ZERO), Weather::Away)
            }
        })
    }

    /// Makes the link's secret, which nobody but the mail's reader ever has, and stores its digest; or why there is none.
    async fn mint(&self, mail: &Mail, kind: LinkKind) -> Result<std::result::Result<LinkText, &'static str>> {
        let services = &self.services;
        let secret = LinkSecret::generate(services.entropy.as_ref())?;
        let now = services.clock.now();
        let lifetime = match kind {
            LinkKind::Access => services.settings.mail.access_link,
            LinkKind::Reset => services.settings.mail.reset_link,
        };
        let password_changed_at = match &mail.content.matter {
            Matter::Access {
                password_changed_at, ..
            }
            | Matter::PasswordReset {
                password_changed_at, ..
            } => *password_changed_at,
            _ => None,
        };
        let link = AccessLink {
            hash: secret.hash(),
            account: mail.account,
            user: mail.user,
            mail: mail.id,
            to: mail.to.folded(),
            kind,
            created_at: now,
            expires_at: after(now, lifetime),
            password_changed_at,
            used_at: None,
            superseded_at: None,
        };
        Ok(match services.store.mint_link(&link).await? {
            Minted::Stored => Ok(LinkText {
                url: services.settings.link(secret.expose()),
                expires_at: link.expires_at,
            }),
            Minted::Superseded => Err("a later link was sent"),
            Minted::PasswordChanged => Err("the password was set since"),
            Minted::AddressChanged => Err("the user has another address by now"),
            Minted::NoUse => Err("the user is gone, disabled, or signs in with the directory's password"),
        })
    }

    /// Not taken this time.
    fn later(&self, mail: &Mail, error: String) -> MailOutcome {
        self.unless_too_old(mail, error, |error| MailOutcome::Retry {
            at: next_attempt(&self.services.settings.mail, mail, self.services.clock.now()),
            error,
        })
    }

    /// Not tried: due again after `wait`, which is nothing where the worker itself waits.
    fn untried(&self, mail: &Mail, error: String, wait: Duration) -> MailOutcome {
        self.unless_too_old(mail, error, |error| MailOutcome::Untried {
            at: after(self.services.clock.now(), wait),
            error,
        })
    }

    fn unless_too_old(&self, mail: &Mail, error: String, or: impl Fn(String) -> MailOutcome) -> MailOutcome {
        let oldest = before(self.services.clock.now(), self.services.settings.mail.give_up);
        if mail.created_at < oldest {
            MailOutcome::Failed { error }
        } else {
            or(error)
        }
    }
}

/// When a mail that was not taken is tried again: each wait is twice the one before. Up to a quarter is added, by the mail's
/// id, so that mails that were refused together do not all come back together.
fn next_attempt(rules: &MailRules, mail: &Mail, now: Timestamp) -> Timestamp {
    let doublings = mail.attempts.saturating_sub(1).min(20);
    let wait = rules
        .retry_first
        .saturating_mul(1 << doublings)
        .min(rules.retry_longest);
    let spread = u32::from(mail.id.as_uuid().as_bytes()[15]); // 16 bytes
    after(now, wait + wait / 4 * spread / 255)
}
