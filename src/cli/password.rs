//! A password from standard input.

use std::io::BufRead;

use anyhow::Context;
use secrecy::SecretString;

use crate::cli::failure::Usage;
use crate::domain::password::MAX_PASSWORD_BYTES;

/// The first line of standard input, without its line break. It never comes from an argument: those are seen by everybody
/// on the machine.
pub(super) fn from_stdin() -> anyhow::Result<SecretString> {
    first_line(std::io::stdin().lock())
}

fn first_line(input: impl BufRead) -> anyhow::Result<SecretString> {
    let mut line = Vec::new();
    // One byte more than fits, and a line break: longer ones are told apart without being read whole.
    let limit = MAX_PASSWORD_BYTES as u64 + 3;
    input
        .take(limit)
        .read_until(b'\n', &mut line)
        .context("cannot read standard input")?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    let refused = |what: &str| Err(Usage(format!("--password-stdin: the first line of standard input {what}")).into());
    if line.is_empty() {
        return refused("is empty; it should be the password");
    }
    if line.len() > MAX_PASSWORD_BYTES {
        return refused(&format!("is over {MAX_PASSWORD_BYTES} bytes"));
    }
    if line.contains(&0) {
        return refused("holds a NUL character");
    }
    match String::from_utf8(line) {
        Ok(password) => Ok(password.into()),
        Err(_) => refused("is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_first_line_counts_and_nothing_else() {
        for (input, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\nmore\n", "secret"),
            (" a b \n", " a b "),
        ] {
            assert_eq!(first_line(input.as_bytes()).unwrap().expose_secret(), password);
        }
        assert!(first_line("x".repeat(MAX_PASSWORD_BYTES).as_bytes()).is_ok());
        assert!(first_line(format!("{}\r\n", "x".repeat(MAX_PASSWORD_BYTES)).as_bytes()).is_ok());
    }

    #[test]
    fn what_can_be_no_password_is_refused() {
        let long = "x".repeat(MAX_PASSWORD_BYTES + 1);
        for (input, why) in [
            (&b""[..], "empty"),
            (b"\nsecret", "empty"),
            (b"a\0b\n", "NUL"),
            (b"\xff\n", "UTF-8"),
            (long.as_bytes(), "over"),
        ] {
            let error = first_line(input).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(why), "{error}");
        }
    }
}
