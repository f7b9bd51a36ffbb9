//! What the use cases count, for whoever watches the gateway.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::domain::mail::MailState;
use crate::store::MailOutcome;

/// The counters of one process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    sign_ins: Family<SignIn, Counter>,
    mails: Family<Sending, Counter>,
    outbox: Family<Waiting, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignIn {
    outcome: String,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sending {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waiting {
    state: String,
}

impl Meters {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "sign_ins",
            "Attempts to sign in at this process, by how they ended and how the password was checked",
            self.sign_ins.clone(),
        );
        registry.register(
            "mails",
            "Attempts of this process to send a mail, by what they came to",
            self.mails.clone(),
        );
        registry.register(
            "outbox_mails",
            "Mails in the outbox of all processes, by state, as of the last few seconds",
            self.outbox.clone(),
        );
    }

    /// One attempt to send a mail.
    pub(super) fn count_mail(&self, outcome: &MailOutcome) {
        let outcome = match outcome {
            MailOutcome::Sent => "sent",
            MailOutcome::Retry { .. } => "retry",
            MailOutcome::Untried { .. } => "unreachable",
            MailOutcome::Failed { .. } => "failed",
            MailOutcome::Dropped { .. } => "dropped",
        };
        self.mails.get_or_create(&Sending { outcome }).inc();
    }

    /// How many mails wait, are in hand, or were given up.
    pub(super) fn show_outbox(&self, count: impl Fn(MailState) -> u64) {
        for state in [MailState::Queued, MailState::Sending, MailState::Failed] {
            let waiting = Waiting { state: word(&state) };
            let count = i64::try_from(count(state)).unwrap_or(i64::MAX);
            self.outbox.get_or_create(&waiting).set(count);
        }
    }

    /// One attempt to sign in.
    pub(super) fn count_sign_in(&self, outcome: LoginOutcome, method: LoginMethod) {
        let labels = SignIn {
            outcome: word(&outcome),
            method: word(&method),
        };
        self.sign_ins.get_or_create(&labels).inc();
    }
}

/// An enum's member as the schema writes it, in small letters as is the custom for labels.
fn word(member: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(member).ok();
    value
        .as_ref()
        .and_then(|v| v.as_str())
        .unwrap_or("other")
        .to_ascii_lowercase()
}
