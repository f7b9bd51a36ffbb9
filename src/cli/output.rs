//! Results on standard output: aligned tables for people, JSON for scripts.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::cli::failure::OutputClosed;

/// The widest column of a table that is padded; a longer cell pushes what follows.
const MAX_WIDTH: usize = 60;

/// Does a stream take colours? Not into files and pipes, and not where `NO_COLOR` asks for none (no-color.org).
pub(super) fn wants_colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A colour of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Bold,
    Red,
    Green,
    Dim,
}

/// Standard output.
#[derive(Debug)]
pub(super) struct Output {
    writer: BufWriter<Stdout>,
    json: bool,
    colour: bool,
    /// Elements of the JSON list that were written so far.
    elements: usize,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        Self {
            colour: wants_colour(stdout.is_terminal()),
            writer: BufWriter::new(stdout),
            json,
            elements: 0,
        }
    }

    /// Is it for a script?
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// The text as it is.
    pub(super) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        told(self.writer.write_all(text.as_bytes()))
    }

    /// The bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        told(self.writer.write_all(bytes))
    }

    /// A line.
    pub(super) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        told(writeln!(self.writer, "{text}"))
    }

    /// The text in a colour, where there are colours.
    pub(super) fn paint(&self, text: &str, colour: Colour) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Bold => 1,
            Colour::Dim => 2,
            Colour::Red => 31,
            Colour::Green => 32,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// One JSON value, on a line.
    pub(super) fn value(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(&text)
    }

    /// The next element of the JSON list: it is written as it comes, one a line.
    pub(super) fn element(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let before = if self.elements == 0 { "[\n" } else { ",\n" };
        self.elements += 1;
        let text = serde_json::to_string(value)?;
        told(write!(self.writer, "{before}{text}"))
    }

    /// The end of the JSON list.
    pub(super) fn end_list(&mut self) -> anyhow::Result<()> {
        self.line(if self.elements == 0 { "[]" } else { "\n]" })
    }

    /// What was written goes out now.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        told(self.writer.flush())
    }

    /// What is left goes out.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()
    }
}

fn told(result: io::Result<()>) -> anyhow::Result<()> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::from(error).context("cannot write to standard output"),
    })
}

/// A table that is written page by page: each column is as wide as anything in it so far.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    headers: [&'static str; N],
    widths: [usize; N],
    begun: bool,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headers: [&'static str; N]) -> Self {
        Self {
            widths: headers.map(UnicodeWidthStr::width),
            headers,
            begun: false,
        }
    }

    /// Writes more rows, and the headers before the first ones.
    pub(super) fn rows(&mut self, out: &mut Output, rows: &[[String; N]]) -> anyhow::Result<()> {
        self.fit(rows);
        if !self.begun && !rows.is_empty() {
            self.begun = true;
            let header = self.aligned(&self.headers);
            let header = out.paint(&header, Colour::Bold);
            out.line(&header)?;
        }
        for row in rows {
            let line = self.aligned(&row.each_ref().map(String::as_str));
            out.line(&line)?;
        }
        Ok(())
    }

    fn fit(&mut self, rows: &[[String; N]]) {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width().min(MAX_WIDTH));
            }
        }
    }

    fn aligned(&self, cells: &[&str; N]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(self.widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The text, or a dash where there is none.
pub(super) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_was_seen_so_far() {
        let mut table = Table::new(["LOGIN", "NAME"]);
        table.fit(&[["владимир".to_owned(), "x".to_owned()]]);
        assert_eq!(table.aligned(&["ann", "Ann"]), "ann       Ann");
        assert_eq!(
            table.aligned(&["山田", "Y"]),
            "山田      Y",
            "wide characters take two columns"
        );
        assert_eq!(table.aligned(&["a", ""]), "a", "nothing at the end");
    }

    #[test]
    fn a_very_long_cell_does_not_widen_every_line() {
        let mut table = Table::new(["A", "B"]);
        table.fit(&[["x".repeat(500), "y".to_owned()]]);
        assert_eq!(table.widths, [MAX_WIDTH, 1]);
    }
}
