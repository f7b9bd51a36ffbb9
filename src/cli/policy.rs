//! The options of an account's password policy.

use clap::Args;

use crate::service::PolicyChanges;

/// Rules for local passwords, and for wrong ones; what is not given stays, or has its default in a new account.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Passwords")]
pub(super) struct PolicyArgs {
    /// Fewest characters, 1 to 128 [default: 12]
    #[arg(long, value_name = "N")]
    min_length: Option<u32>,
    /// Least strength, 0 (anything) to 4, as zxcvbn judges it [default: 3]
    #[arg(long, value_name = "N")]
    min_strength: Option<u8>,
    /// Days after which a password must be changed [default: never]
    #[arg(long, value_name = "DAYS")]
    max_age_days: Option<u32>,
    /// Let passwords be as old as they like
    #[arg(long, conflicts_with = "max_age_days")]
    no_max_age: bool,
    /// How many earlier passwords may not come back, 0 to 24 [default: 5]
    #[arg(long, value_name = "N")]
    history: Option<u32>,
    /// Wrong passwords that lock a login in one network; 0: never [default: 10]
    #[arg(long, value_name = "N")]
    lockout_threshold: Option<u32>,
    /// How long a lock holds, 1 to 1440 [default: 15]
    #[arg(long, value_name = "MINUTES")]
    lockout_minutes: Option<u32>,
}

impl From<PolicyArgs> for PolicyChanges {
    fn from(args: PolicyArgs) -> Self {
        Self {
            min_length: args.min_length,
            min_strength: args.min_strength,
            max_age_days: if args.no_max_age {
                Some(None)
            } else {
                args.max_age_days.map(Some)
            },
            history: args.history,
            lockout_threshold: args.lockout_threshold,
            lockout_minutes: args.lockout_minutes,
        }
    }
}
