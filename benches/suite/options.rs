//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::rows;

/// What this process is to do.
#[derive(Debug)]
pub enum Command {
    /// Measure.
    Measure(Options),
    /// Be the program that answers the page from one query: the suite starts itself so.
    Limit {
        /// The peers' database.
        url: String,
        /// Where to listen.
        address: SocketAddr,
    },
}

/// How to measure.
#[derive(Debug)]
pub struct Options {
    /// Less data and shorter turns.
    pub quick: bool,
    /// Where the plot goes.
    pub svg: Option<PathBuf>,
    /// How long the soak takes.
    pub minutes: usize,
    /// The rows that are asked for; none: those of the default set.
    rows: Vec<String>,
}

impl Options {
    /// Whether a row is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        if self.rows.is_empty() {
            return rows::ROWS.iter().any(|(row, _)| *row == name);
        }
        self.rows.iter().any(|row| row == name)
    }
}

/// Reads the command line, or says what is wrong with it.
pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options {
        quick: false,
        svg: None,
        minutes: 10,
        rows: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} takes a value"));
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--svg" => options.svg = Some(value()?.into()),
            "--minutes" => {
                options.minutes = value()?.parse().map_err(|e| format!("--minutes: {e}"))?;
                if options.minutes < 3 {
                    return Err("--minutes: the last minute is held against the second one, so at least 3".to_owned());
                }
            }
            // Cargo adds it.
            "--bench" => {}
            "limit" => {
                let (url, address) = (value()?, value()?);
                let address = address.parse().map_err(|e| format!("{address}: {e}"))?;
                return Ok(Command::Limit { url, address });
            }
            row if rows::names().any(|name| name == row) => options.rows.push(argument),
            _ => {
                let rows: Vec<_> = rows::names().collect();
                return Err(format!("there is no {argument}; the rows are {}", rows.join(", ")));
            }
        }
    }
    Ok(Command::Measure(options))
}
