//! The messages' templates: built into the binary, or an operator's own.
//!
//! Each message has a text and an HTML template in each language (`access.en.txt`, `access.ru.html`). The first line of a text
//! template is `Subject: …`. What they give is put into `layout.txt` and `layout.html` as `content`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, HtmlEscape, UndefinedBehavior, context, escape_formatter};

use super::branding::{self, Branding, Logo, nearest};
use super::context::{PLOT_CID, values};
use super::text::clean_line;
use super::words::code;
use super::{MailError, plot, samples};
use crate::domain::account::Language;
use crate::domain::ids::MailId;
use crate::domain::mail::{Mail, MailContent, Matter};

/// The longest subject, in characters: that of an alert is whole beside the title of its account.
pub(super) const MAX_SUBJECT: usize = 450;

/// What the first line of a text template begins with.
const SUBJECT: &str = "Subject: ";

/// Ends the name of a template that is another one's first line.
const FIRST_LINE: &str = "#subject";

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),+]
    };
}

/// Every template by its name.
const BUILT_IN: &[(&str, &str)] = built_in![
    "access.en.html",
    "access.en.txt",
    "access.ru.html",
    "access.ru.txt",
    "access_changed.en.html",
    "access_changed.en.txt",
    "access_changed.ru.html",
    "access_changed.ru.txt",
    "address_changed.en.html",
    "address_changed.en.txt",
    "address_changed.ru.html",
    "address_changed.ru.txt",
    "alert.en.html",
    "alert.en.txt",
    "alert.ru.html",
    "alert.ru.txt",
    "impersonated.en.html",
    "impersonated.en.txt",
    "impersonated.ru.html",
    "impersonated.ru.txt",
    "layout.html",
    "layout.txt",
    "locked_out.en.html",
    "locked_out.en.txt",
    "locked_out.ru.html",
    "locked_out.ru.txt",
    "new_sign_in.en.html",
    "new_sign_in.en.txt",
    "new_sign_in.ru.html",
    "new_sign_in.ru.txt",
    "origin.en.html",
    "origin.en.txt",
    "origin.ru.html",
    "origin.ru.txt",
    "parts.html",
    "password_changed.en.html",
    "password_changed.en.txt",
    "password_changed.ru.html",
    "password_changed.ru.txt",
    "password_expires.en.html",
    "password_expires.en.txt",
    "password_expires.ru.html",
    "password_expires.ru.txt",
    "password_reset.en.html",
    "password_reset.en.txt",
    "password_reset.ru.html",
    "password_reset.ru.txt",
    "report.en.html",
    "report.en.txt",
    "report.ru.html",
    "report.ru.txt",
];

/// The link of an access or reset mail.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkText {
    /// The page, with the secret; never logged.
    pub url: String,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for LinkText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkText")
            .field("url", &"[redacted]")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A picture that is sent along with the HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineImage {
    /// What the HTML calls it: `cid:…` (RFC 2392).
    pub cid: String,
    /// `image/png` or `image/jpeg`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// A message's parts. With a link in it, it holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text, with `\n` at the end of each line.
    pub text: String,
    /// A whole HTML document.
    pub html: String,
    /// What the HTML shows by `cid:`.
    pub images: Vec<InlineImage>,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Every template, ready to be filled.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    branding: Branding,
    /// Where templates come from that are not built in.
    files: BTreeMap<String, PathBuf>,
}

impl Templates {
    /// Takes the built-in templates, and of `folder` (`mail.templates`) `branding.toml` and the templates that are there in
    /// place of those. Fills each of them with sample data, so that what is wrong is found here. Reads files.
    ///
    /// # Errors
    /// [`MailError::Folder`], or [`MailError::Template`] with file and line.
    pub fn load(folder: Option<&Path>) -> Result<Self, MailError> {
        let mut sources: BTreeMap<String, String> = BUILT_IN
            .iter()
            .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
            .collect();
        let mut files = BTreeMap::new();
        let mut branding = Branding::default();
        if let Some(folder) = folder {
            branding = Branding::load(folder)?;
            for (name, path) in own_templates(folder)? {
                let source = std::fs::read_to_string(&path).map_err(|source| MailError::Folder {
                    path: path.clone(),
                    source,
                })?;
                sources.insert(name.clone(), source);
                files.insert(name, path);
            }
        }
        let mut templates = Self {
            environment: environment()?,
            branding,
            files,
        };
        for (name, source) in sources {
            templates.add(name, source)?;
        }
        templates.try_all()?;
        Ok(templates)
    }

    /// How many templates come from the operator's folder.
    #[must_use]
    pub fn own(&self) -> usize {
        self.files.len()
    }

    /// The subject of a mail: one line of at most 200 characters, without control characters.
    ///
    /// # Errors
    /// [`MailError::Template`], with file and line, when the template cannot be filled.
    pub fn subject(&self, content: &MailContent, language: Language) -> Result<String, MailError> {
        let name = format!("{}.{}.txt{FIRST_LINE}", content.matter.name(), code(language));
        let values = values(content, language, &self.branding, None, &|name| name.to_owned());
        Ok(clean_line(&self.fill(&name, values)?, MAX_SUBJECT))
    }

    /// The parts of a mail, with the subject that it was queued with. `link` is for mails that carry one
    /// ([`Matter::link`]). The plot of a report takes some milliseconds of computing.
    ///
    /// # Errors
    /// [`MailError::Template`], with file and line, when a template cannot be filled.
    pub fn render(&self, mail: &Mail, link: Option<&LinkText>) -> Result<Rendered, MailError> {
        let rendered = self.without_images(mail, link)?;
        Ok(Rendered {
            images: self.images(&rendered.html, mail)?,
            ..rendered
        })
    }

    fn without_images(&self, mail: &Mail, link: Option<&LinkText>) -> Result<Rendered, MailError> {
        let subject = clean_line(&mail.subject, MAX_SUBJECT);
        let cid = |name: &str| content_id(name, mail.id);
        let values = values(&mail.content, mail.language, &self.branding, link, &cid);
        let name = format!("{}.{}", mail.content.matter.name(), code(mail.language));

        let content = self.fill(&format!("{name}.txt"), values.clone())?;
        let text = self.fill("layout.txt", context! { content => content.trim(), ..values.clone() })?;

        let values = context! { subject => &subject, ..values };
        let content = Value::from_safe_string(self.fill(&format!("{name}.html"), values.clone())?);
        let html = self.fill("layout.html", context! { content, ..values })?;

        Ok(Rendered {
            subject,
            text: tidy(&text),
            images: Vec::new(),
            html: tidy(&html),
        })
    }

    /// The pictures that the HTML shows.
    fn images(&self, html: &str, mail: &Mail) -> Result<Vec<InlineImage>, MailError> {
        let shows = |cid: &str| html.contains(&format!("cid:{cid}"));
        let mut images = Vec::new();
        if let Some(Logo::Embedded(logo)) = &self.branding.logo {
            let cid = content_id(&logo.cid, mail.id);
            if shows(&cid) {
                images.push(InlineImage { cid, ..logo.clone() });
            }
        }
        let cid = content_id(PLOT_CID, mail.id);
        if let Matter::Report(report) = &mail.content.matter
            && shows(&cid)
        {
            images.push(InlineImage {
                cid,
                media_type: "image/png",
                bytes: plot::png(report, &mail.content.reader.time_zone)
                    .map_err(|error| MailError::Unwritable(format!("its plot: {error}")))?,
            });
        }
        Ok(images)
    }

    fn add(&mut self, name: String, source: String) -> Result<(), MailError> {
        let is_message = name.ends_with(".txt") && name != "layout.txt" && !name.starts_with("origin.");
        let (subject, body) = if is_message {
            let (first, rest) = source.split_once('\n').unwrap_or((&source, ""));
            let Some(subject) = first.trim_end().strip_prefix(SUBJECT) else {
                return Err(MailError::Template {
                    place: format!("{}:1", self.place(&name)),
                    reason: format!("the first line should be \"{SUBJECT}…\""),
                });
            };
            // The empty line stands for the subject: lines are counted from there in errors.
            (Some(subject.to_owned()), format!("\n{rest}"))
        } else {
            (None, source)
        };
        if let Some(subject) = subject {
            let result = self
                .environment
                .add_template_owned(format!("{name}{FIRST_LINE}"), subject);
            result.map_err(|error| self.error(&error))?;
        }
        let result = self.environment.add_template_owned(name, body);
        result.map_err(|error| self.error(&error))
    }

    /// Fills every template with everything that messages can be about. Pictures are no template's business.
    fn try_all(&self) -> Result<(), MailError> {
        for language in [Language::En, Language::Ru] {
            for sample in samples::variants(language) {
                let mut mail = sample.mail;
                mail.subject = self.subject(&mail.content, language)?;
                self.without_images(&mail, sample.link.as_ref())?;
            }
        }
        Ok(())
    }

    fn fill(&self, name: &str, values: Value) -> Result<String, MailError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(|error| self.error(&error))
    }

    fn place(&self, name: &str) -> String {
        let name = name.strip_suffix(FIRST_LINE).unwrap_or(name);
        match self.files.get(name) {
            Some(path) => path.display().to_string(),
            None => format!("built-in template {name}"),
        }
    }

    fn error(&self, error: &Error) -> MailError {
        // The innermost cause is in the template that is wrong; what is around it only includes that one.
        let mut error = error;
        while let Some(cause) = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Error>()) {
            error = cause;
        }
        let place = error
            .name()
            .map_or_else(|| "template".to_owned(), |name| self.place(name));
        let what = match error.kind() {
            ErrorKind::UndefinedError => "a name in it is not known here".to_owned(),
            kind => kind.to_string(),
        };
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        MailError::Template {
            place: error
                .line()
                .map_or_else(|| place.clone(), |line| format!("{place}:{line}")),
            reason: clean_line(&format!("{what}{detail}"), 300),
        }
    }
}

/// The Content-ID of a picture in a mail (RFC 2045 §7 has it unique in the world).
fn content_id(name: &str, mail: MailId) -> String {
    format!("{name}.{}@doorward", mail.as_uuid().simple())
}

fn environment() -> Result<Environment<'static>, MailError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(|error| MailError::Template {
            place: "templates".to_owned(),
            reason: error.to_string(),
        })?;
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    environment.set_formatter(|out, state, value| {
        if value.is_none() {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                "a value may be absent; ask with {% if … %}",
            ));
        }
        match value.as_str() {
            Some(text) if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() => {
                out.write_str(&escape(text)).map_err(Error::from)
            }
            _ => escape_formatter(out, state, value),
        }
    });
    // Text of several lines, for HTML: escaped, and each line on its own.
    environment.add_filter("breaks", |text: String| {
        let lines: Vec<String> = text.lines().map(escape).collect();
        Value::from_safe_string(lines.join("<br>\n"))
    });
    Ok(environment)
}

/// Text as it stands in HTML. Slashes stay: there is nothing to fear from them in elements and quoted attributes, and
/// addresses stay readable for programs that look for them.
fn escape(text: &str) -> String {
    HtmlEscape(text).to_string().replace("&#x2f;", "/")
}

/// The templates in an operator's folder.
fn own_templates(folder: &Path) -> Result<Vec<(String, PathBuf)>, MailError> {
    let unreadable = |source| MailError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_template = path.extension().is_some_and(|end| end == "txt" || end == "html");
        let is_other_toml = path.extension().is_some_and(|end| end == "toml") && !path.ends_with(branding::FILE);
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            continue;
        };
        if BUILT_IN.iter().any(|(known, _)| *known == name) {
            found.push((name, path));
        } else if is_template || is_other_toml {
            let known = BUILT_IN.iter().map(|(name, _)| *name).chain([branding::FILE]);
            return Err(MailError::Template {
                reason: format!("no template has this name; did you mean {}?", nearest(&name, known)),
                place: path.display().to_string(),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// No spaces at the ends of lines, never more than one empty line, one line break at the end.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut empty = 1;
    for line in text.lines() {
        // "-- " begins a signature (RFC 3676 §4.3); its space belongs to it.
        let line = if line == "-- " { line } else { line.trim_end() };
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    while tidied.ends_with("\n\n") {
        tidied.pop();
    }
    tidied
}
