//! A file, line by line: what it says, or what is wrong with it.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::fields::{nearest, quoted};
use super::format::{COLUMNS, Column, split_names};
use super::parse::{Entry, csv_user, entry};

/// The longest line, in bytes: hundreds of times what a user takes.
const MAX_LINE: usize = 1024 * 1024;
/// What is handed on at once: so many lines, or so many bytes.
const CHUNK_LINES: usize = 500;
const CHUNK_BYTES: usize = 256 * 1024;

/// A line that was read.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number, from 1 on.
    pub(super) number: u64,
    /// What it says; or why that is nothing.
    pub(super) content: Result<Entry, String>,
}

/// Lines, and how many bytes of the file they and those before them were.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) lines: Vec<Line>,
    pub(super) bytes: u64,
}

/// Gathers lines until they are enough to be handed on.
struct Chunks<F> {
    send: F,
    lines: Vec<Line>,
    held: usize,
}

impl<F: FnMut(Chunk) -> bool> Chunks<F> {
    /// Says whether anybody still listens.
    fn add(&mut self, line: Line, length: usize, bytes: u64) -> bool {
        self.lines.push(line);
        self.held += length;
        if self.lines.len() < CHUNK_LINES && self.held < CHUNK_BYTES {
            return true;
        }
        self.flush(bytes)
    }

    fn flush(&mut self, bytes: u64) -> bool {
        self.held = 0;
        let lines = std::mem::take(&mut self.lines);
        (self.send)(Chunk { lines, bytes })
    }
}

/// Reads newline-delimited JSON until its end, or until `send` says that nobody listens any more.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_ndjson(input: impl Read, send: impl FnMut(Chunk) -> bool) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(256 * 1024, input);
    let mut chunks = Chunks {
        send,
        lines: Vec::new(),
        held: 0,
    };
    let (mut number, mut bytes, mut buffer) = (0, 0_u64, Vec::new());
    loop {
        buffer.clear();
        let length = reader
            .by_ref()
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut buffer)?;
        if length == 0 {
            chunks.flush(bytes);
            return Ok(());
        }
        number += 1;
        bytes += length as u64;
        let is_whole = buffer.last() == Some(&b'\n') || length <= MAX_LINE;
        let content = if is_whole {
            let text = if number == 1 {
                buffer.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&buffer)
            } else {
                &buffer
            };
            if text.trim_ascii().is_empty() {
                continue;
            }
            json(text).and_then(entry)
        } else {
            bytes += skip_line(&mut reader)?;
            Err(format!("is longer than {MAX_LINE} bytes"))
        };
        if !chunks.add(Line { number, content }, length, bytes) {
            return Ok(());
        }
    }
}

/// Goes behind the end of a line without keeping it.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(skipped);
        }
        let (used, is_end) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (available.len(), false),
        };
        reader.consume(used);
        skipped += used as u64;
        if is_end {
            return Ok(skipped);
        }
    }
}

fn json(line: &[u8]) -> Result<Map<String, Value>, String> {
    let text = utf8(line)?;
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("is no JSON object".to_owned()),
        Err(error) => Err(format!("is no JSON: {} (column {})", cause(&error), error.column())),
    }
}

/// What the parser says, without its line, which is always the first.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("is not UTF-8 from byte {} on", error.valid_up_to() + 1))
}

/// Stops a reader that gathers one record without end: a quote that is never closed.
struct Bounded<R> {
    inner: R,
    /// Bytes since the last record.
    since: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        let since = self.since.fetch_add(read as u64, Ordering::Relaxed);
        if since > MAX_LINE as u64 + buffer.len() as u64 {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a record without end"));
        }
        Ok(read)
    }
}

/// Reads users as comma-separated values with a header.
///
/// # Errors
/// When the file cannot be read, or its header names what is no column.
pub(super) fn read_csv(input: impl Read, send: impl FnMut(Chunk) -> bool) -> io::Result<()> {
    let (since, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let bounded = Bounded {
        inner: input,
        since: Arc::clone(&since),
        bytes: Arc::clone(&bytes),
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(64 * 1024)
        .from_reader(bounded);
    let mut chunks = Chunks {
        send,
        lines: Vec::new(),
        held: 0,
    };
    let mut columns: Option<Vec<&'static Column>> = None;
    let mut record = csv::ByteRecord::new();
    loop {
        let line = reader.position().line();
        let more = match reader.read_byte_record(&mut record) {
            Ok(more) => more,
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    let content = Err(format!(
                        "a record that begins here is longer than {MAX_LINE} bytes: is a quote not closed? Nothing \
                         behind it was read"
                    ));
                    let number = line.max(1);
                    chunks.add(Line { number, content }, 0, bytes.load(Ordering::Relaxed));
                    break;
                }
                csv::ErrorKind::Io(error) => return Err(error),
                other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?}"))),
            },
        };
        since.store(0, Ordering::Relaxed);
        if !more {
            break;
        }
        let number = record.position().map_or(line, csv::Position::line);
        let Some(columns) = &columns else {
            columns = Some(header(&record).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?);
            continue;
        };
        let content = row(columns, &record).and_then(csv_user);
        if !chunks.add(
            Line { number, content },
            record.as_slice().len(),
            bytes.load(Ordering::Relaxed),
        ) {
            return Ok(());
        }
    }
    chunks.flush(bytes.load(Ordering::Relaxed));
    Ok(())
}

fn header(record: &csv::ByteRecord) -> Result<Vec<&'static Column>, String> {
    let mut columns: Vec<&'static Column> = Vec::new();
    for (index, name) in record.iter().enumerate() {
        let name = utf8(name).map_err(|e| format!("the header {e}"))?;
        let name = if index == 0 {
            name.trim_start_matches('\u{FEFF}')
        } else {
            name
        }
        .trim();
        let Some(column) = COLUMNS.iter().find(|column| column.name == name) else {
            let hint = nearest(name, COLUMNS.iter().map(|column| column.name));
            return Err(format!("the header's {} is not a column{hint}", quoted(name)));
        };
        if columns.iter().any(|known| known.name == name) {
            return Err(format!("the header has {name} twice"));
        }
        columns.push(column);
    }
    if !columns.iter().any(|column| column.name == "login") {
        return Err("the header has no column login".to_owned());
    }
    Ok(columns)
}

fn row(columns: &[&'static Column], record: &csv::ByteRecord) -> Result<Map<String, Value>, String> {
    if record.len() != columns.len() {
        return Err(format!("has {} fields; the header has {}", record.len(), columns.len()));
    }
    let mut map = Map::new();
    for (column, cell) in columns.iter().zip(record) {
        let cell = utf8(cell).map_err(|e| format!("{} {e}", column.name))?;
        if let Some(value) = column.value(cell)? {
            map.insert(column.name.to_owned(), value);
        }
    }
    Ok(map)
}

impl Column {
    /// The cell as a field's value; `None` when it is as good as not there.
    fn value(&self, cell: &str) -> Result<Option<Value>, String> {
        use super::format::CellKind;
        let is_empty = cell.trim().is_empty();
        Ok(match self.kind {
            CellKind::Text => Some(Value::String(cell.to_owned())),
            CellKind::Clearable if is_empty => Some(Value::Null),
            CellKind::Optional | CellKind::Flag if is_empty => None,
            CellKind::Clearable | CellKind::Optional => Some(Value::String(cell.to_owned())),
            CellKind::Flag => match cell.trim() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                other => {
                    return Err(format!(
                        "{} is {}; it should be true or false",
                        self.name,
                        quoted(other)
                    ));
                }
            },
            CellKind::Names => Some(split_names(cell).into_iter().map(Value::String).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines by number, and what is wrong with them.
    type Lines = Vec<(u64, Result<(), String>)>;

    fn ndjson(text: &[u8]) -> (Lines, u64) {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        read_ndjson(text, |chunk| {
            lines.extend(
                chunk
                    .lines
                    .into_iter()
                    .map(|line| (line.number, line.content.map(drop))),
            );
            bytes = chunk.bytes;
            true
        })
        .unwrap();
        (lines, bytes)
    }

    const GROUP: &str = r#"{"kind":"group","account":"acme","name":"EMEA"}"#;

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_end() {
        let text = format!("\u{FEFF}{GROUP}\r\n\n  \n{GROUP}\nno\n{GROUP}");
        let (lines, bytes) = ndjson(text.as_bytes());
        let numbers: Vec<(u64, bool)> = lines.iter().map(|(number, line)| (*number, line.is_ok())).collect();
        assert_eq!(numbers, [(1, true), (4, true), (5, false), (6, true)]);
        assert_eq!(bytes, text.len() as u64);
    }

    #[test]
    fn a_line_without_end_is_skipped_and_not_kept() {
        let mut text = format!("{GROUP}\n").into_bytes();
        text.extend(b"x".repeat(3 * MAX_LINE));
        text.extend(format!("\n{GROUP}\n").as_bytes());
        let (lines, bytes) = ndjson(&text);
        let numbers: Vec<(u64, bool)> = lines.iter().map(|(number, line)| (*number, line.is_ok())).collect();
        assert_eq!(numbers, [(1, true), (2, false), (3, true)]);
        assert!(lines[1].1.as_ref().unwrap_err().contains("longer than"), "{lines:?}");
        assert_eq!(bytes, text.len() as u64);
    }

    #[test]
    fn whoever_stops_listening_is_read_to_no_further() {
        let text = format!("{GROUP}\n").repeat(3 * CHUNK_LINES);
        let mut chunks = 0;
        read_ndjson(text.as_bytes(), |_| {
            chunks += 1;
            false
        })
        .unwrap();
        assert_eq!(chunks, 1);
    }
}
