//! How far long work is: a bar on a terminal, plain lines elsewhere; on standard error.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where there is no terminal, a line tells how far it is this often.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How far it is.
#[derive(Debug)]
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines {
        what: &'static str,
        total: Option<u64>,
        told: Mutex<Instant>,
    },
}

impl Progress {
    /// Of `total` things, when it is known how many there are; `what` they are.
    pub(super) fn new(total: Option<u64>, what: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                what,
                total,
                told: Mutex::new(Instant::now()),
            };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = if total.is_some() {
            format!("{{bar:40}} {{human_pos}}/{{human_len}} {what}, {{msg}}, {{eta}} left")
        } else {
            format!("{{spinner}} {{human_pos}} {what}, {{msg}}")
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self::Bar(bar.with_style(style))
    }

    /// So many are done, and what there is to say besides.
    pub(super) fn show(&self, done: u64, besides: &str) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(besides.to_owned());
                bar.set_position(done);
            }
            Self::Lines { what, total, told } => {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.elapsed() >= TELL_EVERY {
                    *told = Instant::now();
                    let of = total.map_or(String::new(), |total| format!(" of {total}"));
                    let _ = writeln!(std::io::stderr(), "{done}{of} {what}, {besides}"); // nobody reads how far it is
                }
            }
        }
    }

    /// Writes something else while it goes on.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match self {
            Self::Bar(bar) => bar.suspend(write),
            Self::Lines { .. } => write(),
        }
    }

    /// It is over.
    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
