//! RFC 5322 messages, with everything in them that was anybody's input made harmless.

use std::time::{Duration, SystemTime};

use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, Subject};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::templates::Rendered;
use super::text::clean_line;
use super::words::code;
use super::{InlineImage, MailError};
use crate::config::MailConfig;
use crate::domain::mail::Mail;

/// The longest display name, in characters.
const MAX_NAME: usize = 100;

/// The message of a mail, as it is sent. `host` is the one of `http.public_url`: Message-ID and boundaries are made of it and
/// the mail's id, and the date is when the mail was queued, so that each attempt sends the same.
///
/// # Errors
/// [`MailError::Unwritable`] when an address cannot be written: no later attempt could do better.
pub fn message(mail: &Mail, rendered: &Rendered, config: &MailConfig, host: &str) -> Result<Message, MailError> {
    let unwritable = |what: &str, why: &dyn std::fmt::Display| MailError::Unwritable(format!("{what}: {why}"));
    let to = address(mail.to.as_str()).map_err(|error| unwritable("its address", &error))?;
    let reader = &mail.content.reader;
    let name = clean_line(&format!("{} {}", reader.first_name, reader.last_name), MAX_NAME);
    let from = Mailbox::new(
        config.from.name.as_deref().map(|name| clean_line(name, MAX_NAME)),
        address(config.from.email.as_ref()).map_err(|error| unwritable("mail.from", &error))?,
    );
    let builder = Message::builder()
        .from(from)
        .to(Mailbox::new((!name.is_empty()).then_some(name), to))
        .header(OneLine(rendered.subject.clone()))
        .date(date(mail))
        .message_id(Some(format!("<{}@{}>", mail.id, id_host(host))));
    let builder = plain_headers(
        builder,
        &[
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("Content-Language", code(mail.language)),
        ],
    );
    builder
        .multipart(body(mail, rendered))
        .map_err(|error| unwritable("its headers", &error))
}

fn body(mail: &Mail, rendered: &Rendered) -> MultiPart {
    let boundary = |name: &str| format!("=_{name}_{}", mail.id.as_uuid().simple());
    let html = SinglePart::html(rendered.html.clone());
    let alternatives = MultiPart::alternative()
        .boundary(boundary("a"))
        .singlepart(SinglePart::plain(rendered.text.clone()));
    if rendered.images.is_empty() {
        return alternatives.singlepart(html);
    }
    let related = MultiPart::related().boundary(boundary("r")).singlepart(html);
    alternatives.multipart(
        rendered
            .images
            .iter()
            .fold(related, |parts, image| parts.singlepart(part(image))),
    )
}

fn part(image: &InlineImage) -> SinglePart {
    let kind = ContentType::parse(image.media_type).unwrap_or(ContentType::TEXT_PLAIN);
    Attachment::new_inline(image.cid.clone()).body(image.bytes.clone(), kind)
}

fn plain_headers(builder: MessageBuilder, headers: &[(&'static str, &str)]) -> MessageBuilder {
    headers.iter().fold(builder, |builder, (name, value)| {
        let name = HeaderName::new_from_ascii_str(name);
        builder.raw_header(HeaderValue::new(name, (*value).to_owned()))
    })
}

fn date(mail: &Mail) -> SystemTime {
    let seconds = u64::try_from(mail.created_at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The address, its domain in the form that DNS and every mail server know (IDNA).
fn address(text: &str) -> Result<Address, String> {
    let address: Address = text
        .parse()
        .map_err(|error| format!("{text:?} cannot be written: {error}"))?;
    if address.domain().is_ascii() {
        return Ok(address);
    }
    let domain = url::Host::parse(address.domain()).map_err(|error| format!("{text:?}: {error}"))?;
    Address::new(address.user(), domain.to_string()).map_err(|error| format!("{text:?} cannot be written: {error}"))
}

/// The right side of a Message-ID (RFC 5322 §3.6.4).
fn id_host(host: &str) -> &str {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(allowed) {
        "localhost"
    } else {
        host
    }
}

/// A subject. lettre leaves ASCII words as they are, and so one that looks encoded ("=?utf-8?…?=") would be decoded by
/// whoever reads it; here it is encoded itself.
#[derive(Clone)]
struct OneLine(String);

impl Header for OneLine {
    fn name() -> HeaderName {
        Subject::name()
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        let text = clean_line(&self.0, super::templates::MAX_SUBJECT);
        if text.is_ascii() && !text.contains("=?") {
            return HeaderValue::new(Self::name(), text);
        }
        let mut encoded = String::new();
        let written = {
            let mut writer = EmailWriter::new(&mut encoded, "Subject: ".len(), 0, false);
            rfc2047::encode(&text, &mut writer)
        };
        match written {
            Ok(()) => HeaderValue::dangerous_new_pre_encoded(Self::name(), text, encoded),
            Err(_) => HeaderValue::new(Self::name(), text), // writing into a string does not fail
        }
    }
}
