//! `branding.toml` in the operator's folder: whose messages these are, and what they look like.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::text::{clean_line, clean_text};
use super::{InlineImage, MailError};
use crate::domain::account::Language;
use crate::domain::user::Email;

/// The file's name in the folder.
pub(super) const FILE: &str = "branding.toml";

/// The Content-ID of a logo that is sent along, less its host.
pub(super) const LOGO_CID: &str = "logo";

/// The largest logo that is sent along, in bytes: every message carries it.
const MAX_LOGO: u64 = 256 * 1024;

const KEYS: [&str; 5] = ["product", "colour", "logo", "support", "footer"];
const LANGUAGES: [&str; 2] = ["en", "ru"];

/// What the messages say of whom they come from.
#[derive(Debug, Clone)]
pub(super) struct Branding {
    /// The product's name.
    pub(super) product: String,
    /// The colour of buttons and headings.
    pub(super) colour: Colour,
    /// The picture at the top.
    pub(super) logo: Option<Logo>,
    /// Where readers turn to: a mail address or a web address.
    pub(super) support: Option<String>,
    footer: [Option<String>; 2],
}

/// A picture at the top of the HTML.
#[derive(Debug, Clone)]
pub(super) enum Logo {
    /// Fetched from the web by whoever reads the message, if their program does that.
    Url(String),
    /// Sent along.
    Embedded(InlineImage),
}

/// A colour, as CSS writes it: `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour([u8; 3]);

impl Colour {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let digit = |range| u8::from_str_radix(digits.get(range)?, 16).ok();
        let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        all_hex.then_some(())?;
        Some(Self([digit(0..2)?, digit(2..4)?, digit(4..6)?]))
    }

    /// Black or white, whichever is easier to read on it (the greater contrast by WCAG 2.2).
    pub(super) fn text_on_it(self) -> &'static str {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let [red, green, blue] = self.0.map(linear);
        let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 {
            "#ffffff"
        } else {
            "#000000"
        }
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Default for Branding {
    fn default() -> Self {
        Self {
            product: "Doorward".to_owned(),
            colour: Colour([0x1f, 0x5f, 0xbf]),
            logo: None,
            support: None,
            footer: [None, None],
        }
    }
}

impl Branding {
    /// What every message ends with.
    pub(super) fn footer(&self, language: Language) -> String {
        let (index, default) = match language {
            Language::En => (0, "This message was sent automatically. Replies to it are not read."),
            Language::Ru => (
                1,
                "Это письмо отправлено автоматически. Ответы на него никто не читает.",
            ),
        };
        self.footer[index].clone().unwrap_or_else(|| default.to_owned())
    }

    /// Reads the folder's file; without one the defaults hold.
    ///
    /// # Errors
    /// [`MailError::Folder`] and [`MailError::Template`], with file and line.
    pub(super) fn load(folder: &Path) -> Result<Self, MailError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(MailError::Folder { path, source }),
        };
        Reader {
            folder,
            path,
            text: &text,
        }
        .read()
    }
}

/// The file while it is read.
struct Reader<'a> {
    folder: &'a Path,
    path: PathBuf,
    text: &'a str,
}

impl Reader<'_> {
    fn read(&self) -> Result<Branding, MailError> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, format!("this is not TOML: {}", clean_line(error.message(), 200)))
        })?;
        let mut branding = Branding::default();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            match name {
                "product" => branding.product = self.line(name, value, 100)?,
                "colour" => {
                    branding.colour = Colour::parse(&self.line(name, value, 20)?).ok_or_else(|| {
                        self.error(value.span().start, "colour should be like \"#1f5fbf\"".to_owned())
                    })?;
                }
                "logo" => branding.logo = Some(self.logo(value)?),
                "support" => branding.support = Some(self.support(value)?),
                "footer" => branding.footer = self.footer(value)?,
                _ => return Err(self.unknown(key, name, &KEYS)),
            }
        }
        Ok(branding)
    }

    fn footer(&self, value: &Spanned<DeValue<'_>>) -> Result<[Option<String>; 2], MailError> {
        let DeValue::Table(table) = value.get_ref() else {
            let text = "footer should be a table: [footer] with en = \"…\" and ru = \"…\"";
            return Err(self.error(value.span().start, text.to_owned()));
        };
        let mut footer = [None, None];
        for (key, value) in table {
            let name: &str = key.get_ref();
            let Some(index) = LANGUAGES.iter().position(|language| *language == name) else {
                return Err(self.unknown(key, &format!("footer.{name}"), &["footer.en", "footer.ru"]));
            };
            let text = self.string(&format!("footer.{name}"), value)?;
            footer[index] = Some(clean_text(text, 1000));
        }
        Ok(footer)
    }

    /// A mail address or a web address.
    fn support(&self, value: &Spanned<DeValue<'_>>) -> Result<String, MailError> {
        let text = self.line("support", value, 300)?;
        let is_web = url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if is_web || Email::parse(&text).is_ok() {
            return Ok(text);
        }
        let right =
            "support should be a mail address such as help@example.org, or an address that begins with https://";
        Err(self.error(value.span().start, right.to_owned()))
    }

    fn logo(&self, value: &Spanned<DeValue<'_>>) -> Result<Logo, MailError> {
        let text = self.line("logo", value, 1000)?;
        let wrong = |what: String| self.error(value.span().start, format!("logo {text:?} {what}"));
        if text.contains("://") {
            let is_https = url::Url::parse(&text).is_ok_and(|url| url.scheme() == "https");
            return if is_https {
                Ok(Logo::Url(text.clone()))
            } else {
                Err(wrong(
                    "should begin with https://, or be a file in the folder".to_owned(),
                ))
            };
        }
        let path = self.folder.join(&text);
        let size = std::fs::metadata(&path)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?
            .len();
        if size > MAX_LOGO {
            return Err(wrong(format!(
                "has {} KiB; {} KiB is the most, as every message carries it",
                size.div_ceil(1024),
                MAX_LOGO / 1024
            )));
        }
        let bytes = std::fs::read(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let media_type = match image::guess_format(&bytes) {
            Ok(image::ImageFormat::Png) => "image/png",
            Ok(image::ImageFormat::Jpeg) => "image/jpeg",
            _ => return Err(wrong("should be a PNG or JPEG file".to_owned())),
        };
        image::load_from_memory(&bytes).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        Ok(Logo::Embedded(InlineImage {
            cid: LOGO_CID.to_owned(),
            media_type,
            bytes,
        }))
    }

    fn string<'a>(&self, name: &str, value: &'a Spanned<DeValue<'_>>) -> Result<&'a str, MailError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.error(value.span().start, format!("{name} should be text in quotes"))),
        }
    }

    fn line(&self, name: &str, value: &Spanned<DeValue<'_>>, max: usize) -> Result<String, MailError> {
        let text = self.string(name, value)?;
        crate::domain::text::required_line(text, max)
            .map_err(|error| self.error(value.span().start, format!("{name} {error}")))
    }

    fn unknown(&self, key: &Spanned<impl AsRef<str>>, name: &str, known: &[&str]) -> MailError {
        let guess = nearest(name, known.iter().copied());
        self.error(
            key.span().start,
            format!(
                "{name} is not a key; did you mean {guess}? The keys are {}",
                KEYS.join(", ")
            ),
        )
    }

    fn error(&self, at: usize, reason: String) -> MailError {
        let line = 1 + self.text.bytes().take(at).filter(|&b| b == b'\n').count();
        MailError::Template {
            place: format!("{}:{line}", self.path.display()),
            reason,
        }
    }
}

/// Which of `known` is most like `name`.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known
        .map(|key| (strsim::normalized_damerau_levenshtein(name, key), key))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or("", |(_, key)| key)
}
