//! How the page looks: one template and one style sheet, both within the page. It has no script, and loads nothing.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, Value, context};
use sha2::{Digest as _, Sha256};

use super::notice::{Notice, characters};
use crate::domain::account::Language;
use crate::domain::password::PasswordPolicy;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// Only this style sheet, known by its hash; no script, no frame around it, and a form that goes nowhere else. The icon is an
/// empty `data:` address, so that browsers ask for none.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

/// What is to be shown.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// In which language.
    pub language: Language,
    /// What is wrong.
    pub notice: Option<Notice>,
    /// The form; `None` where none would help.
    pub form: Option<Shown<'a>>,
    /// The cookie of the form's seal, when the browser does not have it yet.
    pub cookie: Option<HeaderValue>,
}

/// The form.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    /// Whose password it sets.
    pub login: &'a str,
    /// What the password must keep to.
    pub policy: &'a PasswordPolicy,
    /// The link's secret.
    pub token: &'a str,
    /// See [`Seal`](super::seal::Seal).
    pub seal: &'a str,
}

/// What the page says besides the notice.
struct Words {
    tag: &'static str,
    choose: &'static str,
    dead: &'static str,
    failed: &'static str,
    problem: &'static str,
    of: &'static str,
    password: &'static str,
    repeat: &'static str,
    submit: &'static str,
    sign_in: &'static str,
    strength: &'static str,
    history: &'static str,
}

const ENGLISH: Words = Words {
    tag: "en",
    choose: "Choose a password",
    dead: "This link does not work",
    failed: "The password was not set",
    problem: "Problem",
    of: "You will sign in as",
    password: "New password",
    repeat: "New password again",
    submit: "Set password and sign in",
    sign_in: "Sign in",
    strength: "Hard to guess: several uncommon words do well.",
    history: "Not one that you have used before.",
};

const RUSSIAN: Words = Words {
    tag: "ru",
    choose: "Придумайте пароль",
    dead: "Ссылка не действует",
    failed: "Пароль не задан",
    problem: "Ошибка",
    of: "Вы будете входить как",
    password: "Новый пароль",
    repeat: "Новый пароль ещё раз",
    submit: "Задать пароль и войти",
    sign_in: "Войти",
    strength: "Трудный для подбора: подойдут несколько редких слов.",
    history: "Новый: не тот, что уже использовался.",
};

impl Page<'_> {
    /// The whole answer.
    pub(super) fn answer(&self) -> Response {
        let (status, html) = match self.html() {
            Ok(html) => (self.notice.map_or(StatusCode::OK, Notice::status), html),
            Err(error) => {
                tracing::error!(%error, "the page could not be written");
                let text = Notice::Internal.text(self.language);
                (StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        };
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_LANGUAGE, words(self.language).tag),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (ROBOTS, "noindex, nofollow"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(policy) = &*POLICY {
            headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        }
        if let Some(Notice::RateLimited(seconds)) = self.notice {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(cookie) = &self.cookie {
            headers.append(SET_COOKIE, cookie.clone());
        }
        response
    }

    fn html(&self) -> Result<String, minijinja::Error> {
        let words = words(self.language);
        let is_dead = self.notice.is_some_and(|notice| notice.status() == StatusCode::GONE);
        let heading = match self.notice {
            _ if self.form.is_some() => words.choose,
            Some(notice) if is_dead || notice == Notice::Damaged => words.dead,
            _ => words.failed,
        };
        let form = self.form.as_ref().map(|form| {
            context! {
                login => form.login,
                token => form.token,
                seal => form.seal,
                rules => rules(self.language, form.policy),
            }
        });
        let page = context! {
            style => Value::from_safe_string(STYLE.to_owned()),
            lang => words.tag,
            heading => heading,
            problem => words.problem,
            of => words.of,
            password => words.password,
            repeat => words.repeat,
            submit => words.submit,
            sign_in => is_dead.then_some(words.sign_in),
            notice => self.notice.map(|notice| notice.text(self.language)),
            is_invalid => self.notice.is_some_and(Notice::is_about_password),
            form => form,
        };
        // The name's ending turns escaping on.
        Environment::new().render_named_str("page.html", TEMPLATE, page)
    }
}

/// What a password must be like, a sentence each.
fn rules(language: Language, policy: &PasswordPolicy) -> Vec<String> {
    let words = words(language);
    let least = policy.min_length;
    let length = match language {
        Language::En if least == 1 => "At least 1 character.".to_owned(),
        Language::En => format!("At least {least} characters."),
        Language::Ru => format!("Не меньше {least} {}.", characters(least)),
    };
    let strength = (policy.min_strength > 0).then(|| words.strength.to_owned());
    let history = (policy.history > 0).then(|| words.history.to_owned());
    [Some(length), strength, history].into_iter().flatten().collect()
}

fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &ENGLISH,
        Language::Ru => &RUSSIAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(language: Language, notice: Option<Notice>, login: &str, token: &str) -> String {
        let policy = PasswordPolicy::default();
        let shown = Shown {
            login,
            policy: &policy,
            token,
            seal: "sealed",
        };
        let page = Page {
            language,
            notice,
            form: notice.is_none_or(Notice::keeps_form).then_some(shown),
            cookie: None,
        };
        page.html().unwrap()
    }

    #[test]
    fn the_form_is_for_people_and_for_password_managers() {
        let html = html(Language::En, None, "ann@acme", "dwl_x");
        for part in [
            "<html lang=\"en\">",
            "<title>Choose a password · Doorward</title>",
            "<form method=\"post\" action=\"/set-password\">",
            "autocomplete=\"username\" value=\"ann@acme\"",
            "name=\"token\" value=\"dwl_x\"",
            "name=\"seal\" value=\"sealed\"",
            "<li>At least 12 characters.</li>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert_eq!(html.matches("autocomplete=\"new-password\"").count(), 2);
        assert!(!html.contains("aria-invalid=\""), "{html}");
        for absent in ["<script", "src=", "style=", "http:", "https:", "role=\"alert\""] {
            assert!(!html.contains(absent), "{absent} in {html}");
        }
    }

    #[test]
    fn what_is_wrong_stands_above_the_form() {
        let html = html(Language::Ru, Some(Notice::TooShort(12)), "ann@acme", "dwl_x");
        let (alert, form) = (html.find("role=\"alert\"").unwrap(), html.find("<form").unwrap());
        assert!(alert < form, "{html}");
        assert!(
            html.contains("Пароль слишком короткий: нужно не меньше 12 символов."),
            "{html}"
        );
        assert!(
            html.contains("<title>Ошибка: Придумайте пароль · Doorward</title>"),
            "{html}"
        );
        assert_eq!(html.matches("aria-invalid=\"true\"").count(), 2);
    }

    #[test]
    fn a_dead_link_has_no_form() {
        let html = html(Language::En, Some(Notice::Used), "ann@acme", "dwl_x");
        assert!(html.contains("<h1>This link does not work</h1>"), "{html}");
        assert!(html.contains("used already"), "{html}");
        for absent in ["<form", "dwl_x", "ann@acme"] {
            assert!(!html.contains(absent), "{absent} in {html}");
        }
    }

    #[test]
    fn nothing_gets_out_of_its_place() {
        let html = html(Language::En, None, "\"><b>&'@acme", "\"><script>");
        assert!(!html.contains("<b>") && !html.contains("<script"), "{html}");
        assert!(html.contains("&lt;b&gt;"), "{html}");
    }

    #[test]
    fn the_policy_knows_the_style_sheet_as_it_stands_in_the_page() {
        let html = html(Language::En, None, "ann@acme", "dwl_x");
        let (_, rest) = html.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(style));
        let policy = POLICY.as_ref().unwrap().to_str().unwrap();
        assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{policy}");
    }
}
