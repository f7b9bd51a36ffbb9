//! Forgotten passwords: a link is sent to whoever asks, if the login is somebody's who can use one. The answer, and the time
//! that it takes, say nothing about that.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Address;
use crate::auth::limit_key;
use crate::domain::login::TypedLogin;
use crate::domain::login_event::EventOrigin;
use crate::domain::mail::Matter;
use crate::origin::address_prefix;
use crate::service::floor;
use crate::service::passwords::mail_off;
use crate::service::{Result, ServiceError, Services};

/// Requests are counted in windows of this length,
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// so many from one network (IPv4 /24, IPv6 /64),
const PER_NETWORK: u32 = 30;
/// and so many for one login, whether anybody has it or not.
const PER_LOGIN: u32 = 3;
/// Answers come at whole multiples of this: longer than finding somebody and queueing a mail takes.
const ANSWER: Duration = Duration::from_millis(250);

impl Services {
    /// Sends a link to set a new password to the user of that `login@account`, if there is one who can use it.
    ///
    /// # Errors
    /// `MailOff`, `RateLimited`; those of the store.
    pub async fn request_password_reset(self: &Arc<Self>, login: &str, origin: EventOrigin) -> Result<()> {
        if !self.settings.mail.is_on {
            return Err(mail_off().into());
        }
        let begun = Instant::now();
        let (services, typed) = (Arc::clone(self), TypedLogin::parse(login));
        let asking = tokio::spawn(async move {
            services.limit_resets(&typed, &origin).await?;
            if let Err(error) = services.send_reset(&typed, origin).await {
                // Only somebody who exists gets here.
                tracing::error!(login = %typed, %error, "a link could not be queued");
            }
            Ok(())
        });
        let asked = asking.await.map_err(|e| ServiceError::Stopped(e.to_string()))?;
        sleep(floor::rest(begun.elapsed(), ANSWER)).await;
        asked
    }

    async fn send_reset(&self, typed: &TypedLogin, origin: EventOrigin) -> Result<()> {
        let Some((login, account)) = typed.valid() else {
            return Ok(());
        };
        let Some(candidate) = self.store.candidate(&account, Some(&login)).await? else {
            return Ok(());
        };
        let account = candidate.account;
        let Some(user) = candidate.user.map(|found| found.user) else {
            return Ok(());
        };
        if self.check_takes_link(&account, &user).is_err() {
            tracing::info!(login = %typed, "a reset was asked for by somebody who cannot use a link");
            return Ok(());
        }
        let matter = Matter::PasswordReset {
            origin,
            password_changed_at: user.password_changed_at,
        };
        if let Some(mail) = self.letter(&account, &user, matter, Address::Contact)? {
            let mails = [mail];
            self.store.queue_mails(&mails, None).await?;
            self.post.announce(&mails);
        }
        Ok(())
    }

    async fn limit_resets(&self, typed: &TypedLogin, origin: &EventOrigin) -> Result<()> {
        let message = "Too many requests for a new password; wait a little, and look into your mail.";
        let network = limit_key("reset-network", &address_prefix(origin.ip));
        self.limit(network, PER_NETWORK, WINDOW, message).await?;
        // What the network's limit refuses does not count against the login's owner.
        let login = limit_key("reset-login", &typed.to_string());
        self.limit(login, PER_LOGIN, WINDOW, message).await
    }
}
