//! What the use cases count, for whoever watches the gateway.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::domain::login_event::{LoginMethod, LoginOutcome};

/// The counters of one process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    sign_ins: Family<SignIn, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignIn {
    outcome: String,
    method: String,
}

impl Meters {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "sign_ins",
            "Attempts to sign in at this process, by how they ended and how the password was checked",
            self.sign_ins.clone(),
        );
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
