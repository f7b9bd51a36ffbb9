//! Which mails a user gets: options, and how they are shown.

use clap::{Args, ValueEnum};

use crate::cli::failure::Usage;
use crate::cli::user::none_if_empty;
use crate::domain::user::Notifications;
use crate::service::NotificationChanges;

/// A kind of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    LimitsExhausted,
    SubscriberComplaints,
    HardBounces,
    SoftBounces,
    DailyReports,
    WeeklyReports,
    SecurityNotices,
}

/// Which mails a user gets.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Mails")]
pub(super) struct NotifyArgs {
    /// Where alerts go, in place of the contact address; \"\" for there
    #[arg(long, value_name = "ADDRESS")]
    alert_email: Option<String>,
    /// A kind of mail that they get
    #[arg(long, value_enum, value_name = "KIND")]
    notify: Vec<Kind>,
    /// A kind of mail that they do not get
    #[arg(long, value_enum, value_name = "KIND", hide_possible_values = true)]
    no_notify: Vec<Kind>,
}

impl NotifyArgs {
    /// What they change.
    ///
    /// # Errors
    /// [`Usage`] when a kind is given both ways.
    pub(super) fn changes(self) -> anyhow::Result<NotificationChanges> {
        if let Some(both) = self.notify.iter().find(|kind| self.no_notify.contains(kind)) {
            let kind = both.to_possible_value().map(|kind| kind.get_name().to_owned());
            let kind = kind.unwrap_or_default();
            return Err(Usage(format!("{kind} is given with --notify and with --no-notify")).into());
        }
        let switch = |kind| match (self.notify.contains(&kind), self.no_notify.contains(&kind)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        };
        Ok(NotificationChanges {
            limits_exhausted: switch(Kind::LimitsExhausted),
            subscriber_complaints: switch(Kind::SubscriberComplaints),
            hard_bounces: switch(Kind::HardBounces),
            soft_bounces: switch(Kind::SoftBounces),
            daily_reports: switch(Kind::DailyReports),
            weekly_reports: switch(Kind::WeeklyReports),
            security_notices: switch(Kind::SecurityNotices),
            email: self.alert_email.map(none_if_empty),
        })
    }
}

/// The settings for people: which kinds, and where alerts go.
pub(super) fn in_words(n: &Notifications) -> String {
    let kinds = [
        (n.limits_exhausted, "limits exhausted"),
        (n.subscriber_complaints, "subscriber complaints"),
        (n.hard_bounces, "hard bounces"),
        (n.soft_bounces, "soft bounces"),
        (n.daily_reports, "daily reports"),
        (n.weekly_reports, "weekly reports"),
        (n.security_notices, "security notices"),
    ];
    let kinds: Vec<&str> = kinds.into_iter().filter_map(|(on, kind)| on.then_some(kind)).collect();
    let kinds = if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(", ")
    };
    match &n.email {
        Some(email) => format!("{kinds}; alerts to {}", email.as_str()),
        None => kinds,
    }
}
