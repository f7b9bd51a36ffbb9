//! What a person is told when a command fails, and the exit code.

use crate::config::ConfigError;
use crate::service::{ErrorCode, Problem, ServiceError};

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(super) struct OutputClosed;

/// The arguments cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub String);

/// Several lines that say what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}", .lines.join("\n"))]
pub(super) struct Refusal {
    lines: Vec<String>,
    /// The arguments are wrong whatever the store holds.
    by_arguments: bool,
}

/// Names the command's arguments in what the use cases say of their input: `lists` has what was given for each list, so
/// that an entry is shown by its text and not by its number.
pub(super) fn explain(error: ServiceError, lists: &[(&str, &[String])]) -> anyhow::Error {
    let ServiceError::Problems(problems) = error else {
        return error.into();
    };
    let by_arguments = |problem: &Problem| {
        matches!(
            problem.code,
            ErrorCode::Required | ErrorCode::Invalid | ErrorCode::TooLong
        )
    };
    Refusal {
        by_arguments: problems.iter().all(by_arguments),
        lines: problems.iter().map(|problem| line(problem, lists)).collect(),
    }
    .into()
}

fn line(problem: &Problem, lists: &[(&str, &[String])]) -> String {
    let Some(field) = problem.path.first() else {
        return problem.message.clone();
    };
    // The message may start with the field's name as the API knows it; here it is the argument's.
    let path = problem.path.join(".");
    let message = problem
        .message
        .strip_prefix(&path)
        .map_or(problem.message.as_str(), str::trim_start);
    let mut argument = match (field.as_str(), problem.path.get(1).map(String::as_str)) {
        ("notifications", Some("email")) => "--alert-email".to_owned(),
        ("passwordPolicy", Some(rule)) => argument(rule),
        _ => argument(field),
    };
    let given = lists.iter().find(|(name, _)| name == field).map(|(_, given)| *given);
    let index = problem.path.get(1).and_then(|index| index.parse::<usize>().ok());
    if let Some(text) = given.zip(index).and_then(|(given, index)| given.get(index)) {
        argument = format!("{argument} {text:?}");
    }
    format!("{argument}: {message}")
}

/// The argument that an input's field comes from.
fn argument(field: &str) -> String {
    match field {
        "id" | "login" => "LOGIN@ACCOUNT".to_owned(),
        "name" => "NAME".to_owned(),
        "account" => "ACCOUNT".to_owned(),
        "isMaster" => "--master".to_owned(),
        "isLdap" => "--ldap".to_owned(),
        "password" => "--password-stdin".to_owned(),
        "defaultLanguage" => "--language".to_owned(),
        "roles" | "groups" | "permissions" => format!("--{}", field.trim_end_matches('s')),
        _ => {
            let mut flag = "--".to_owned();
            for c in field.chars() {
                if c.is_ascii_uppercase() {
                    flag.push('-');
                }
                flag.push(c.to_ascii_lowercase());
            }
            flag
        }
    }
}

/// The end of a command that did not go through.
#[derive(Debug)]
pub(super) struct Failure {
    lines: Vec<String>,
    exit_code: u8,
}

impl Failure {
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(super) fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let wrong_arguments = error.is::<Usage>()
            || error.is::<ConfigError>()
            || error
                .downcast_ref::<Refusal>()
                .is_some_and(|refusal| refusal.by_arguments);
        let text = format!("{error:#}");
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned);
        Self {
            lines: lines.collect(),
            exit_code: if wrong_arguments { 2 } else { 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::TextError;

    #[test]
    fn fields_are_named_as_arguments() {
        let permissions = ["users:read".to_owned(), "no".to_owned()];
        let problems = vec![
            Problem::text(&["email"], &TextError::Empty),
            Problem::text(&["firstName"], &TextError::Control),
            Problem::at(&["password"], ErrorCode::WeakPassword, "The password is easy to guess."),
            Problem::text(
                &["permissions", "1"],
                &TextError::Invalid("is not a permission".to_owned()),
            ),
            Problem::new(ErrorCode::LastMaster, "Make another master first."),
        ];
        let failure = Failure::from(explain(
            ServiceError::Problems(problems),
            &[("permissions", &permissions)],
        ));
        assert_eq!(
            failure.lines(),
            [
                "--email: must not be empty",
                "--first-name: must not hold control characters",
                "--password-stdin: The password is easy to guess.",
                "--permission \"no\": is not a permission",
                "Make another master first.",
            ]
        );
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn only_what_is_wrong_with_the_arguments_alone_is_two() {
        let code = |code| Failure::from(explain(Problem::at(&["login"], code, "x").into(), &[])).exit_code();
        assert_eq!((code(ErrorCode::Invalid), code(ErrorCode::Taken)), (2, 1));
        assert_eq!(Failure::from(anyhow::Error::from(Usage("x".to_owned()))).exit_code(), 2);
        assert_eq!(Failure::from(anyhow::anyhow!("x")).exit_code(), 1);
    }
}
