//! Whatever people and applications put into names, addresses, subjects and texts stays where it belongs. The messages are
//! read back with a parser that is not the library that wrote them.

use mail_parser::{Message as Parsed, MessageParser, MimeHeaders};

use super::*;
use crate::domain::mail::AlertKind;
use crate::domain::user::Email;

const NASTY: &[&str] = &[
    "Ann\r\nBcc: victim@example.org",
    "Ann\nX-Evil: 1",
    "Ann\rX-Evil: 1",
    "Ann\r\n\r\n<script>alert(1)</script>",
    "Ann\0X-Evil: 1",
    "Ann\u{2028}X-Evil: 1\u{85}X-Evil: 2",
    "\u{202E}gro.elpmaxe@nna\u{202C}",
    "\u{2066}x\u{2069}\u{200F}",
    "\"; <victim@example.org>, \"",
    "Ann <victim@example.org>",
    "a, b; c: d \\ \" ' ( ) [ ]",
    "=?utf-8?b?DQpCY2M6IHZpY3RpbUBleGFtcGxlLm9yZw==?=",
    "=?utf-8?q?=0D=0ABcc:_victim@example.org?=",
    "👩‍👩‍👧‍👦 Zoë 🎉",
    "Иван Иванович Очень-Длинная-Фамилия",
    "{{ brand.product }} {% raw %}",
    "<b onmouseover=\"alert(1)\">Ann</b> & co",
    "--=_a_019cb8bcb1e0700080000000000000008",
    "=== -- \u{1b}[31mred",
];

fn alert(first_name: &str, last_name: &str, subject: &str, body: &str) -> Sample {
    let mut sample = samples::sample("alert", Language::En).unwrap();
    let reader = &mut sample.mail.content.reader;
    reader.first_name = first_name.to_owned();
    reader.last_name = last_name.to_owned();
    reader.account_title = last_name.to_owned();
    sample.mail.content.matter = Matter::Alert {
        alert: AlertKind::HardBounces,
        subject: subject.to_owned(),
        body: body.to_owned(),
    };
    sample
}

fn parse(raw: &str) -> Parsed<'_> {
    MessageParser::default().parse(raw.as_bytes()).unwrap()
}

/// The names of the headers, in their order.
fn names(message: &Parsed<'_>) -> Vec<String> {
    message
        .headers()
        .iter()
        .map(|header| header.name().to_owned())
        .collect()
}

#[test]
fn nothing_gets_out_of_a_name_or_a_subject() {
    let templates = built_in();
    let plain = queued(templates, alert("Ann", "Lee", "s", "b"));
    let usual_raw = sent(&plain.mail, &rendered(templates, &plain));
    let usual = names(&parse(&usual_raw));
    let long = "я".repeat(3000);
    for text in NASTY
        .iter()
        .copied()
        .chain([long.as_str(), &"x".repeat(3000), &"a ".repeat(3000)])
    {
        let mut sample = queued(templates, alert(text, text, text, text));
        // A store could hold any subject.
        for subject in [sample.mail.subject.clone(), text.to_owned()] {
            sample.mail.subject = subject;
            let parts = rendered(templates, &sample);
            let raw = sent(&sample.mail, &parts);
            assert!(raw.is_ascii(), "{text:?}");
            let (head, _) = raw.split_once("\r\n\r\n").unwrap();
            assert!(head.lines().all(|line| line.len() <= 998), "{head}");
            assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head}");

            let message = parse(&raw);
            assert_eq!(names(&message), usual, "{text:?}");
            assert_eq!(message.subject(), Some(parts.subject.as_str()), "{text:?}");
            let to: Vec<_> = message.to().unwrap().iter().collect();
            assert_eq!(to.len(), 1, "{text:?}: {head}");
            assert_eq!(to[0].address(), Some("ann.lee@example.org"), "{text:?}");
            let shown = text::clean_line(&format!("{text} {text}"), 100);
            assert_eq!(to[0].name().unwrap_or_default(), shown, "{text:?}");
            assert_eq!(
                message.from().unwrap().first().unwrap().address(),
                Some("no-reply@example.org")
            );
            for part in [&parts.subject, &shown] {
                let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202A}'..='\u{202E}');
                assert!(!part.contains(hidden), "{part:?}");
            }
            // The parts, decoded, are what was written.
            assert_eq!(
                message.body_text(0).unwrap().replace("\r\n", "\n"),
                parts.text,
                "{text:?}"
            );
            assert_eq!(
                message.body_html(0).unwrap().replace("\r\n", "\n"),
                parts.html,
                "{text:?}"
            );
            assert_eq!((message.text_body_count(), message.html_body_count()), (1, 1));
            assert!(
                !parts.html.contains("<script") && !parts.html.contains("<b "),
                "{}",
                parts.html
            );
        }
    }
}

#[test]
fn headers_say_what_the_message_is() {
    let templates = built_in();
    for language in LANGUAGES {
        for sample in samples(language) {
            let sample = queued(templates, sample);
            let parts = rendered(templates, &sample);
            let raw = sent(&sample.mail, &parts);
            let message = parse(&raw);
            let text = |name: &str| {
                message
                    .header(name)
                    .and_then(|value| value.as_text())
                    .unwrap_or_default()
                    .to_owned()
            };
            assert_eq!(
                message.message_id(),
                Some(format!("{}@doorward.example.org", sample.mail.id).as_str())
            );
            assert_eq!(text("Auto-Submitted"), "auto-generated");
            assert_eq!(text("X-Auto-Response-Suppress"), "All");
            assert_eq!(text("MIME-Version"), "1.0");
            assert!(raw.contains(&format!("Content-Language: {}\r\n", words::code(language))));
            assert_eq!(
                message.date().unwrap().to_timestamp(),
                sample.mail.created_at.as_second()
            );
            assert_eq!(message.subject(), Some(sample.mail.subject.as_str()));
            assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n"), parts.text);
            assert_eq!(message.body_html(0).unwrap().replace("\r\n", "\n"), parts.html);
            let images: Vec<_> = message
                .parts
                .iter()
                .filter(|part| part.content_type().is_some_and(|kind| kind.ctype() == "image"))
                .collect();
            assert_eq!(images.len(), parts.images.len());
            for (part, image) in images.iter().zip(&parts.images) {
                assert_eq!(part.content_id(), Some(image.cid.as_str()));
                assert_eq!(part.contents(), image.bytes);
            }
        }
    }
}

#[test]
fn addresses_are_written_as_servers_know_them() {
    let templates = built_in();
    let mut sample = queued(templates, samples::sample("alert", Language::En).unwrap());
    let parts = rendered(templates, &sample);
    for (given, written) in [
        ("ann@example.org", "ann@example.org"),
        ("ann@пример.example", "ann@xn--e1afmkfd.example"),
        ("root@localhost", "root@localhost"),
        ("o'neil+x@example.org", "o'neil+x@example.org"),
    ] {
        sample.mail.to = Email::parse(given).unwrap();
        let raw = sent(&sample.mail, &parts);
        let message = parse(&raw);
        assert_eq!(message.to().unwrap().first().unwrap().address(), Some(written));
    }
    sample.mail.to = Email::parse("анна@example.org").unwrap();
    let made = message(&sample.mail, &parts, &MailConfig::default(), "localhost").unwrap();
    assert_eq!(made.envelope().to()[0].to_string(), "анна@example.org");
}

#[test]
fn a_host_that_could_end_the_header_is_not_taken() {
    let templates = built_in();
    let sample = queued(templates, samples::sample("alert", Language::En).unwrap());
    let parts = rendered(templates, &sample);
    for (host, right) in [
        ("door.example.org", "door.example.org"),
        ("[::1]", "[::1]"),
        ("a>\r\nX: 1", "localhost"),
        ("", "localhost"),
    ] {
        let made = message(&sample.mail, &parts, &MailConfig::default(), host).unwrap();
        let raw = String::from_utf8(made.formatted()).unwrap();
        assert!(
            raw.contains(&format!("Message-ID: <{}@{right}>\r\n", sample.mail.id)),
            "{raw}"
        );
    }
}
