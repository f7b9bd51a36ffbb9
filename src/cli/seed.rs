//! `doorward seed`

use std::time::Instant;

use clap::Args;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::auth::one_time_password;
use crate::cli::Format;
use crate::cli::failure::Usage;
use crate::cli::names::explained;
use crate::cli::output::Output;
use crate::cli::password;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::service::{SeedPlan, Seeded};

/// How much is made up.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  doorward seed --accounts 10 --users 100000 --logins-per-user 10\n\n\
    Each account gets 50 roles, 50 groups, and users with 3 roles and 2 groups each: the master `owner`, then\n\
    `user000001` and so on. Every fourth is an LDAP user without a local password; a few are disabled."
)]
pub(super) struct SeedArgs {
    /// Accounts, named acct000, acct001 and so on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    accounts: u32,
    /// Users in all, spread evenly over the accounts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    users: u32,
    /// Sign-ins of each user
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    logins_per_user: u32,
    /// The same number makes the same data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Read everybody's password from the first line of standard input instead of generating it
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    accounts: usize,
    users: usize,
    sign_ins: usize,
    seconds: f64,
    /// When it was generated.
    password: Option<&'a str>,
}

pub(super) async fn run(session: &Session, args: SeedArgs) -> anyhow::Result<()> {
    let (accounts, users, logins) = (
        args.accounts as usize,
        args.users as usize,
        args.logins_per_user as usize,
    );
    if users < accounts {
        return Err(Usage(format!(
            "--users is {users}; it should be at least --accounts, {accounts}"
        ))
        .into());
    }
    let services = session.services();
    let plan = SeedPlan::numbered(accounts, users, logins, args.seed).map_err(explained)?;
    let password = if args.password_stdin {
        password::from_stdin()?
    } else {
        one_time_password(services.entropy.as_ref())?
    };
    let progress = Progress::new(Some(users as u64), "users");
    let began = Instant::now();
    let seeded = services
        .seed(plan, &password, &|so_far: Seeded| {
            let sign_ins = indicatif::HumanCount(so_far.sign_ins as u64);
            progress.show(so_far.users as u64, &format!("{sign_ins} sign-ins"));
        })
        .await;
    let seconds = began.elapsed().as_secs_f64();
    progress.end();
    let seeded = seeded.map_err(explained)?;

    let generated = (!args.password_stdin).then(|| password.expose_secret());
    let mut out = Output::new(args.format.json);
    if out.is_json() {
        out.value(&Report {
            accounts: seeded.accounts,
            users: seeded.users,
            sign_ins: seeded.sign_ins,
            seconds,
            password: generated,
        })?;
        return out.finish();
    }
    let rate = seeded.sign_ins as f64 / seconds.max(f64::MIN_POSITIVE);
    out.line(&format!(
        "{} accounts, {} users, {} sign-ins in {seconds:.1} s ({rate:.0} sign-ins/s)",
        seeded.accounts, seeded.users, seeded.sign_ins
    ))?;
    if let Some(password) = generated {
        out.line(&format!(
            "owner@acct000, user000001@acct000 and all other local users sign in with {password}"
        ))?;
    }
    out.finish()
}
