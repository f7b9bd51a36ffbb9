//! What is written: every kind of mail in both languages, against the snapshots in `tests/mail/`; and what templates and
//! branding of an operator's own may be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::samples::{NAMES, Sample, samples, variants};
use super::*;
use crate::config::MailConfig;
use crate::domain::account::Language;
use crate::domain::mail::{Mail, Matter};

mod injection;
mod own_templates;
mod pictures;
mod sending;
mod tls;

const LANGUAGES: [Language; 2] = [Language::En, Language::Ru];

/// Set to write the snapshots anew; `git diff` shows what became of them.
const UPDATE: &str = "DOORWARD_UPDATE_SNAPSHOTS";

fn built_in() -> &'static Templates {
    static BUILT_IN: LazyLock<Templates> = LazyLock::new(|| Templates::load(None).unwrap());
    &BUILT_IN
}

/// The sample with its subject, as it would be queued.
fn queued(templates: &Templates, mut sample: Sample) -> Sample {
    let mail = &mut sample.mail;
    mail.subject = templates.subject(&mail.content, mail.language).unwrap();
    sample
}

fn rendered(templates: &Templates, sample: &Sample) -> Rendered {
    templates.render(&sample.mail, sample.link.as_ref()).unwrap()
}

fn sent(mail: &Mail, rendered: &Rendered) -> String {
    let message = message(mail, rendered, &MailConfig::default(), "doorward.example.org").unwrap();
    String::from_utf8(message.formatted()).unwrap()
}

/// The headers as they are sent, then text and HTML as people read them.
fn snapshot(templates: &Templates, sample: &Sample) -> String {
    let parts = rendered(templates, sample);
    let sent = sent(&sample.mail, &parts).replace("\r\n", "\n");
    let (headers, _) = sent.split_once("\n\n").unwrap();
    let images: String = parts
        .images
        .iter()
        .map(|image| format!("{} {}\n", image.media_type, image.cid))
        .collect();
    format!(
        "{headers}\n\n==== text\n{}\n==== html\n{}\n==== images\n{images}",
        parts.text, parts.html
    )
}

#[test]
fn every_mail_reads_as_its_snapshot() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail");
    let update = std::env::var_os(UPDATE).is_some();
    let templates = built_in();
    let mut wrong = Vec::new();
    for language in LANGUAGES {
        for sample in samples(language) {
            let sample = queued(templates, sample);
            let name = format!("{}.{}.txt", sample.name, words::code(language));
            let path = folder.join(&name);
            let now = snapshot(templates, &sample);
            if update {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &now).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != now {
                wrong.push(name);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong:?} of tests/mail differ; set {UPDATE}=1 to write them anew, then read the difference"
    );
}

#[test]
fn text_and_html_say_the_same_facts() {
    let templates = built_in();
    for language in LANGUAGES {
        for sample in variants(language) {
            let sample = queued(templates, sample);
            let parts = rendered(templates, &sample);
            let reader = &sample.mail.content.reader;
            let who = match &sample.mail.content.matter {
                Matter::Alert { .. } | Matter::Report(_) => &reader.account_title,
                _ => &reader.login,
            };
            assert!(parts.text.contains(who.as_str()), "{}: {}", sample.name, parts.text);
            assert!(parts.html.contains(who.as_str()), "{}: {}", sample.name, parts.html);
            assert_eq!(
                parts.text.contains("http"),
                sample.link.is_some(),
                "a link where there is one, and nowhere else: {}",
                parts.text
            );
            if let Some(link) = &sample.link {
                assert!(parts.text.contains(&link.url) && parts.html.contains(&format!("href=\"{}\"", link.url)));
            }
            for text in [&parts.text, &parts.html, &parts.subject] {
                assert!(
                    !text.contains("none\n") && !text.contains(">none") && !text.contains("undefined"),
                    "{text}"
                );
                assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
            }
            assert!(
                !parts.text.contains("\n\n\n") && !parts.text.contains("&amp;"),
                "{}",
                parts.text
            );
        }
    }
}

#[test]
fn a_mail_with_a_link_is_not_written_without_one() {
    let templates = built_in();
    for sample in samples(Language::En).into_iter().filter(|sample| sample.link.is_some()) {
        let error = templates.render(&sample.mail, None).unwrap_err();
        assert!(matches!(error, MailError::Template { .. }), "{error}");
    }
}

#[test]
fn every_matter_has_a_sample_of_its_name() {
    for language in LANGUAGES {
        for sample in variants(language) {
            let of_the_matter = sample.mail.content.matter.name();
            assert!(
                sample.name.starts_with(of_the_matter),
                "{} {of_the_matter}",
                sample.name
            );
            assert_eq!(sample.link.is_some(), sample.mail.content.matter.link().is_some());
        }
    }
    assert_eq!(samples(Language::Ru).len(), NAMES.len());
    assert_eq!(samples::nearest_name("reprot"), "report_daily");
    assert_eq!(samples::nearest_name("new-sign-in"), "new_sign_in");
}

#[test]
fn each_attempt_sends_the_same_bytes() {
    let templates = built_in();
    let others = Templates::load(None).unwrap();
    for sample in samples(Language::Ru) {
        let sample = queued(templates, sample);
        let first = sent(&sample.mail, &rendered(templates, &sample));
        assert_eq!(
            first,
            sent(&sample.mail, &rendered(&others, &sample)),
            "{}",
            sample.name
        );
        assert!(first.is_ascii(), "{}", sample.name);
        assert!(first.lines().all(|line| line.len() <= 998), "{}", sample.name);
    }
}

#[test]
fn what_holds_a_secret_does_not_show_it() {
    let templates = built_in();
    for sample in samples(Language::En).into_iter().filter(|sample| sample.link.is_some()) {
        let shown = format!("{:?} {:?}", sample.link, rendered(templates, &sample));
        assert!(!shown.contains("token"), "{shown}");
    }
}

/// A folder of an operator.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn load(&self) -> Result<Templates, MailError> {
        Templates::load(Some(self.0.path()))
    }

    /// What is wrong, without the folder's path.
    fn error(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}
