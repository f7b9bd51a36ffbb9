//! The schema's objects, one file each, over what the domain has.

mod account;
mod audit;
mod directory;
mod enums;
mod explanation;
pub(crate) mod filters;
mod grant;
mod group;
pub(crate) mod inputs;
mod login_event;
mod mail;
mod node;
mod role;
mod session;
mod sync;
mod token;
mod user;
mod viewer;

pub use account::{Account, LoginStatsBucket, PasswordPolicy};
pub use audit::{AuditEntry, FieldChange};
pub use directory::{Directory, DirectoryLink, DirectoryServer};
pub use enums::{
    AccountOrderField, AccountStatus, AlertKind, DisabledBy, GrantSource, Language, LoginMethod, LoginOutcome,
    MailState, OrderDirection, StatsBucket, UserOrderField, UserStatus,
};
pub use explanation::{ExplanationStep, LoginExplanation, StepOutcome};
pub use filters::{
    AccountFilter, AccountOrder, AuditFilter, LoginEventFilter, MailFilter, NamedFilter, UserFilter, UserOrder,
};
pub use grant::Grant;
pub use group::Group;
pub use inputs::{NotificationSettingsInput, PasswordPolicyInput};
pub use login_event::{Location, LoginEvent};
pub use mail::Mail;
pub use node::{Node, load_nodes};
pub use role::Role;
pub use session::Session;
pub use sync::{SyncChange, SyncChangeKind, SyncReport};
pub use token::ApiToken;
pub use user::{NotificationSettings, User};
pub use viewer::Viewer;
