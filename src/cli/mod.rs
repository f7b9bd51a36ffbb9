//! The command line: one file a verb. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.

mod account;
mod check;
mod copy;
mod demo;
mod explain;
mod export;
mod failure;
mod group;
mod health;
mod import;
mod logging;
mod mail;
mod names;
mod outbox;
mod output;
mod password;
mod policy;
mod progress;
mod role;
mod schema;
mod seed;
mod serve;
mod session;
mod signals;
mod sync;
mod token;
mod user;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cli::failure::{Failure, OutputClosed};
use crate::cli::logging::LogFormat;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  doorward                                          serve with an embedded store in ./doorward-data/
  doorward demo                                     try it with made-up people
  doorward --config door.toml check                 try every part of a configuration
  doorward account create acme --title \"Acme Ltd\"
  echo 'a long password' | doorward user create owner@acme --master --password-stdin
  doorward role create Support@acme --permission users:read --permission history:read
  doorward user create ann@acme --first-name Ann --email ann@example.org --role Support
  doorward user list acme --json | head
  doorward export people.ndjson && doorward import people.ndjson --dry-run
  doorward mail preview report_weekly --html --out report.html
  DOORWARD_STORE__URL='mongodb://h1,h2,h3/doorward?replicaSet=rs0' doorward serve

Every key of the configuration can come from the environment: DOORWARD_SECTION__KEY.
Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.";

/// A GraphQL gateway that keeps the people of many accounts and signs them in, locally or through LDAP.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Common {
    /// The configuration [default: $DOORWARD_CONFIG, or ./doorward.toml when it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged, such as "debug" or "info,doorward::store=trace" [default: info for serve and demo, else warn]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "DOORWARD_LOG",
        hide_env_values = true
    )]
    log: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Human)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the gateway (this is what happens without a command)
    Serve,
    /// Serve a store full of made-up people, and forget it all at the end
    Demo,
    /// Try the configuration for real, step by step
    Check(check::CheckArgs),
    /// Create, change, list, freeze, activate and delete accounts
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Create, list and change users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Create, change, list and delete roles
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Create, change, list and delete groups
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Say what would happen at a sign-in, step by step
    Explain(explain::ExplainArgs),
    /// Read an account's directory again: who is new, changed, gone
    Sync(sync::SyncArgs),
    /// Show the messages that people get
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Fill the store with made-up data in bulk
    Seed(seed::SeedArgs),
    /// Import accounts, users, roles, groups and sign-ins from a file
    Import(import::ImportArgs),
    /// Export accounts, users, roles, groups and sign-ins into a file
    Export(export::ExportArgs),
    /// Copy a whole store into another, e.g. SQLite into MongoDB
    Copy(copy::CopyArgs),
    /// Print the GraphQL schema
    Schema,
    /// Ask the server at http.listen whether it lives, for a container's health check
    Health,
}

/// An option of every command that lists or reports.
#[derive(Debug, Clone, Copy, Args)]
struct Format {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // nobody is there to be told
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let Err(error) = run(cli) else {
        return ExitCode::SUCCESS;
    };
    if error.is::<OutputClosed>() {
        return ExitCode::SUCCESS; // `| head` has what it wanted
    }
    let failure = Failure::from(error);
    let mut stderr = std::io::stderr().lock();
    for line in failure.lines() {
        let _ = writeln!(stderr, "doorward: {line}");
    }
    ExitCode::from(failure.exit_code())
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let common = &cli.common;
    let command = cli.command.unwrap_or(Command::Serve);
    let serves = matches!(command, Command::Serve | Command::Demo);
    logging::start(common.log.as_deref(), common.log_format, serves)?;
    // Neither looks at the store, nor needs the rest of the runtime.
    match command {
        Command::Schema => return schema::run(),
        Command::Health => return health::run(&session::load_config(common)?),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve => serve::run(&session::load_config(common)?).await,
            Command::Demo => demo::run(session::load_config(common)?).await,
            Command::Check(args) => check::run(common, args).await,
            Command::Mail(command) => mail::run(common, command).await,
            Command::Account(command) => {
                Session::open(common)
                    .await?
                    .run(async |s| account::run(s, command).await)
                    .await
            }
            Command::User(command) => {
                Session::open(common)
                    .await?
                    .run(async |s| user::run(s, command).await)
                    .await
            }
            Command::Role(command) => {
                Session::open(common)
                    .await?
                    .run(async |s| role::run(s, command).await)
                    .await
            }
            Command::Group(command) => {
                Session::open(common)
                    .await?
                    .run(async |s| group::run(s, command).await)
                    .await
            }
            Command::Token(command) => {
                Session::open(common)
                    .await?
                    .run(async |s| token::run(s, command).await)
                    .await
            }
            Command::Import(args) => {
                Session::open_as_it_is(common)
                    .await?
                    .run(async |s| import::run(s, args).await)
                    .await
            }
            Command::Export(args) => {
                Session::open(common)
                    .await?
                    .run(async |s| export::run(s, args).await)
                    .await
            }
            Command::Copy(args) => copy::run(args).await,
            Command::Explain(args) => {
                Session::open(common)
                    .await?
                    .run(async |s| explain::run(s, args).await)
                    .await
            }
            Command::Sync(args) => {
                Session::open(common)
                    .await?
                    .run(async |s| sync::run(s, args).await)
                    .await
            }
            Command::Seed(args) => {
                Session::open(common)
                    .await?
                    .run(async |s| seed::run(s, args).await)
                    .await
            }
            Command::Schema | Command::Health => Ok(()), // done above
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_serves_and_global_options_go_anywhere() {
        assert!(Cli::try_parse_from(["doorward"]).unwrap().command.is_none());
        let cli = Cli::try_parse_from(["doorward", "user", "list", "acme", "--config", "x.toml"]).unwrap();
        assert_eq!(cli.common.config.unwrap().to_str(), Some("x.toml"));
        assert!(matches!(cli.command, Some(Command::User(_))));
    }

    #[test]
    fn the_help_has_examples() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("Examples:") && help.contains("doorward demo"), "{help}");
    }
}
