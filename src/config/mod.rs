//! The configuration: defaults, below the file, below the environment. Each section is a file here and validates itself.
//!
//! - The file is TOML. Relative paths in it, SQLite's included, start at the working directory, not at the file.
//! - Every key can come from the environment as `DOORWARD_SECTION__KEY`. Names without two underscores in a row, such
//!   as the `DOORWARD_PORT` that Kubernetes sets, are not keys. Text is taken as it is; numbers, `true` and `false` are
//!   read where the key wants them; lists are TOML (`["10.0.0.0/8"]`) or elements with commas between them.
//! - Every secret can come from a file that `…_file` names; a line break at its end is cut.
//! - Everything that is wrong is said at once, a line each; see [`ConfigError`].

mod directories;
mod files;
mod geoip;
mod history;
mod http;
mod layers;
mod limits;
mod mail;
mod password;
mod problems;
mod read;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

pub use directories::*;
pub use geoip::GeoipConfig;
pub use history::{AuditConfig, HistoryConfig};
pub use http::{ForwardedHeader, HttpConfig};
pub use limits::LimitsConfig;
pub use mail::{MailConfig, MailServer, MailTls, MailUrlError};
pub use password::PasswordConfig;
pub use problems::{ConfigError, Problem};
pub use session::SessionConfig;
pub use store::{StoreConfig, StoreUrl, StoreUrlError};

use layers::Layers;
use problems::{Place, Problems};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The longest duration that any key takes: a hundred years. Moments that far from now can still be written.
const MAX_DURATION: Duration = Duration::from_secs(36_500 * DAY.as_secs());

fn days(duration: Duration) -> u64 {
    duration.as_secs() / DAY.as_secs()
}

/// The environment variable that names the file when the command line does not.
const FILE_VARIABLE: &str = "DOORWARD_CONFIG";

/// The file that is read when nothing names one and it is there.
const DEFAULT_FILE: &str = "doorward.toml";

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the gateway listens and what it believes about its callers.
    pub http: HttpConfig,
    /// Where everything is kept.
    pub store: StoreConfig,
    /// How passwords are hashed.
    pub password: PasswordConfig,
    /// How long a sign-in holds.
    pub session: SessionConfig,
    /// How long sign-ins are remembered.
    pub history: HistoryConfig,
    /// How long changes are remembered.
    pub audit: AuditConfig,
    /// What one caller may cost.
    pub limits: LimitsConfig,
    /// Places for addresses.
    pub geoip: GeoipConfig,
    /// The server that takes messages.
    pub mail: MailConfig,
    /// LDAP directories by name.
    pub directories: BTreeMap<String, DirectoryConfig>,
}

impl Config {
    /// Reads and validates the configuration.
    ///
    /// The file is `explicit`, else the one that `DOORWARD_CONFIG` in `env` names, else `doorward.toml` in `cwd` when
    /// it is there. Relative paths start at `cwd`. Nothing else of the process is looked at, so `env` is all variables,
    /// such as those of [`std::env::vars_os`] that are Unicode.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        explicit: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let variables: BTreeMap<String, String> = env.collect();
        let file = read_file(explicit, variables.get(FILE_VARIABLE), cwd, &mut problems);
        let mut layers = Layers::new(file, variables, &mut problems);
        if !problems.is_empty() {
            // Without the whole file any further complaint could be about what is only not there.
            return Err(problems.into_error());
        }

        files::settle(&mut layers, cwd, &mut problems);
        let mut config = read::read(&mut layers, &mut problems);
        config.store.resolve(cwd);
        config.validate(&mut problems);
        if problems.is_empty() {
            return Ok(config);
        }
        problems.locate(|path| layers.place(path));
        Err(problems.into_error())
    }

    fn validate(&self, problems: &mut Problems) {
        self.http.validate(problems);
        self.password.validate(problems);
        self.session.validate(problems);
        self.history.validate(problems);
        self.audit.validate(problems);
        self.limits.validate(problems);
        self.geoip.validate(problems);
        self.mail.validate(problems);
        for (name, directory) in &self.directories {
            for message in directory.validate(name).err().unwrap_or_default() {
                problems.add_directory(name, &message);
            }
        }
    }

    /// What is allowed but unwise, a line each, for the log at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        [self.http.warnings(), self.password.warnings(), self.mail.warnings()]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// The file's name for messages, and its text.
fn read_file(
    explicit: Option<&Path>,
    variable: Option<&String>,
    cwd: &Path,
    problems: &mut Problems,
) -> Option<(String, String)> {
    let named = explicit.or_else(|| variable.filter(|name| !name.is_empty()).map(Path::new));
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    match std::fs::read_to_string(cwd.join(path)) {
        Ok(text) => Some((name, text)),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let text = format!("cannot be read: {error}; --config or {FILE_VARIABLE} should name a TOML file");
            problems.push(Problem {
                place: Some(Place::File(name)),
                path: Vec::new(),
                text,
            });
            None
        }
    }
}
