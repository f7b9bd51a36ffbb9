//! Keys that name files: relative paths start at the working directory; a secret's `…_file` gives way to what is in it.

use std::path::Path as FilePath;

use figment::value::Value;

use super::layers::Layers;
use super::problems::{Path, Problems, path_of};

/// Every secret; `*` is any name. Each can come from a file named by the same key with [`FILE`].
const SECRETS: [&str; 3] = ["store.url", "mail.password", "directories.*.bind_password"];
const FILE: &str = "_file";

/// Every key that is a path.
const PATHS: [&str; 8] = [
    "http.tls_certificate",
    "http.tls_key",
    "geoip.database",
    "mail.ca_file",
    "mail.templates",
    "directories.*.ca_file",
    "directories.*.client_certificate",
    "directories.*.client_key",
];

/// The keys in `table` that exist only until [`settle`] has read what they name.
pub(super) fn secret_files(table: &[String]) -> impl Iterator<Item = String> {
    SECRETS.iter().filter_map(move |secret| {
        let secret = path_of(secret);
        let (last, parent) = secret.split_last()?;
        let same = parent.len() == table.len() && parent.iter().zip(table).all(|(a, b)| a == "*" || a == b);
        same.then(|| format!("{last}{FILE}"))
    })
}

/// Makes paths start at `cwd` and puts secrets in the place of the files that hold them.
pub(super) fn settle(layers: &mut Layers, cwd: &FilePath, problems: &mut Problems) {
    for path in matching(layers, &PATHS) {
        // Anything but text is left for reading the type to complain about; empty text is no path.
        if let Some(Value::String(_, text)) = layers.get(&path).filter(|v| v.as_str() != Some(""))
            && let Some(absolute) = cwd.join(text).to_str().map(str::to_owned)
        {
            layers.replace(&path, &path, Value::from(absolute));
        }
    }
    for secret in matching(layers, &SECRETS) {
        let mut file = secret.clone();
        if let Some(last) = file.last_mut() {
            last.push_str(FILE);
        }
        read_secret(layers, &secret, &file, cwd, problems);
    }
}

fn read_secret(layers: &mut Layers, secret: &[String], file: &[String], cwd: &FilePath, problems: &mut Problems) {
    let Some(named) = layers.get(file).cloned() else { return };
    let name = secret.last().map_or("", String::as_str);
    let given = layers.get(secret).is_some_and(|value| value.as_str() != Some(""));
    let wrong = match named.as_str() {
        None => "is not text; it should be the path of a file".to_owned(),
        Some("") => {
            while layers.remove(file) {}
            return;
        }
        Some(_) if given => format!("and {name} are both given; keep one of them"),
        Some(path) => match std::fs::read_to_string(cwd.join(path)) {
            Err(error) => format!("is {path:?}, which cannot be read: {error}"),
            Ok(text) => {
                let line = text
                    .strip_suffix('\n')
                    .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                if !line.is_empty() {
                    layers.replace(file, secret, Value::from(line.to_owned()));
                    while layers.remove(file) {}
                    return;
                }
                format!("is {path:?}, which is empty; the secret should be there")
            }
        },
    };
    problems.add_at(file.to_vec(), wrong);
    while layers.remove(file) {}
}

/// The paths that patterns stand for, whether they are given or not.
fn matching(layers: &Layers, patterns: &[&str]) -> Vec<Path> {
    let expand = |pattern: &&str| {
        pattern.split('.').fold(vec![Path::new()], |paths, part| {
            let names = |path: &Path| match part {
                "*" => layers.names(path).into_iter().collect(),
                name => vec![name.to_owned()],
            };
            paths
                .iter()
                .flat_map(|path| names(path).into_iter().map(|name| [path.as_slice(), &[name]].concat()))
                .collect()
        })
    };
    patterns.iter().flat_map(expand).collect()
}
