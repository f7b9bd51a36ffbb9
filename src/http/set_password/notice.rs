//! What the page says when something is not as it should be.

use axum::http::StatusCode;

use super::form::Malformed;
use crate::domain::account::Language;
use crate::domain::link::LinkState;
use crate::domain::password::{MAX_PASSWORD_BYTES, PasswordPolicy};
use crate::service::{ErrorCode, LinkSeen, Problem};

/// Why there is no new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// The two entries are not the same.
    Differ,
    /// It has fewer characters than this.
    TooShort(u32),
    /// It is guessed too soon.
    Weak,
    /// It was used before.
    Reused,
    /// It takes too many bytes.
    TooLong,
    /// It holds what no password holds.
    Invalid,
    /// Wait this many seconds.
    RateLimited(u64),
    /// It is not known whether the form was sent from our page.
    Unproven,

    /// There is no such link.
    Unknown,
    /// The link was used.
    Used,
    /// A newer link, or a newer password, took its place.
    Superseded,
    /// Its time has passed.
    Expired,
    /// The user is disabled.
    Disabled,
    /// The account is frozen.
    AccountFrozen,
    /// The password is the directory's.
    IsLdap,
    /// All passwords of the account are the directory's.
    DirectoryOnly,
    /// A reason that is not told here.
    Refused,

    /// The link did not arrive whole.
    Damaged,
    /// The form was sent from another site.
    Foreign,
    /// No page of ours sends such a request.
    Malformed(Malformed),
    /// It is no form.
    NoForm,
    /// The body was not read, for which this is the status.
    Body(StatusCode),
    /// The store, or the process, is away.
    Unavailable,
    /// Something is wrong with the server.
    Internal,
}

impl Notice {
    /// Why a link does not work, whatever is sent from its page.
    pub(super) fn of_link(seen: &LinkSeen) -> Option<Self> {
        let problem = seen.refusal.as_ref()?;
        Some(match problem.code {
            ErrorCode::ExpiredLink => match seen.state {
                LinkState::Used => Self::Used,
                LinkState::Superseded => Self::Superseded,
                LinkState::Expired => Self::Expired,
                LinkState::Valid => Self::Unknown,
            },
            code => Self::of_code(code, problem.retry_after),
        })
    }

    /// Why a password of that length, in characters, was not set.
    pub(super) fn of_problem(problem: &Problem, policy: &PasswordPolicy, length: usize) -> Self {
        match problem.code {
            ErrorCode::WeakPassword if length < policy.min_length as usize => Self::TooShort(policy.min_length),
            code => Self::of_code(code, problem.retry_after),
        }
    }

    fn of_code(code: ErrorCode, retry_after: Option<u64>) -> Self {
        match code {
            ErrorCode::WeakPassword => Self::Weak,
            ErrorCode::ReusedPassword => Self::Reused,
            ErrorCode::TooLong => Self::TooLong,
            ErrorCode::Invalid | ErrorCode::Required => Self::Invalid,
            ErrorCode::RateLimited | ErrorCode::Locked => Self::RateLimited(retry_after.unwrap_or(60)),
            ErrorCode::ExpiredLink => Self::Unknown,
            ErrorCode::Disabled => Self::Disabled,
            ErrorCode::AccountFrozen => Self::AccountFrozen,
            ErrorCode::IsLdap => Self::IsLdap,
            ErrorCode::DirectoryOnly => Self::DirectoryOnly,
            ErrorCode::Taken
            | ErrorCode::NotFound
            | ErrorCode::Conflict
            | ErrorCode::NotAllowed
            | ErrorCode::LastMaster
            | ErrorCode::LdapOff
            | ErrorCode::WrongCredentials
            | ErrorCode::PasswordExpired
            | ErrorCode::PasswordMustChange
            | ErrorCode::DirectoryUnavailable
            | ErrorCode::MailOff
            | ErrorCode::NoAddress => Self::Refused,
        }
    }

    /// The answer's status.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Differ | Self::TooShort(_) | Self::Weak | Self::Reused | Self::TooLong | Self::Invalid => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unknown | Self::Used | Self::Superseded | Self::Expired => StatusCode::GONE,
            Self::Unproven
            | Self::Foreign
            | Self::Disabled
            | Self::AccountFrozen
            | Self::IsLdap
            | Self::DirectoryOnly
            | Self::Refused => StatusCode::FORBIDDEN,
            Self::Damaged | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NoForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(status) => status,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// May the form be sent again?
    pub(super) fn keeps_form(self) -> bool {
        self.is_about_password() || matches!(self, Self::RateLimited(_) | Self::Unproven)
    }

    /// Is it what was typed?
    pub(super) fn is_about_password(self) -> bool {
        self.status() == StatusCode::UNPROCESSABLE_ENTITY
    }

    /// What is wrong, and what would be right.
    pub(super) fn text(self, language: Language) -> String {
        match language {
            Language::En => self.english(),
            Language::Ru => self.russian(),
        }
    }

    fn english(self) -> String {
        match self {
            Self::Differ => "The two entries differ. Type the same password twice.",
            Self::TooShort(1) => "The password is empty.",
            Self::TooShort(least) => return format!("The password is too short: it takes at least {least} characters."),
            Self::Weak => {
                "The password is too easy to guess. Add another word or two, uncommon ones: names, dates and \
                 frequent words are tried first."
            }
            Self::Reused => "The password was used before. Choose a new one.",
            Self::TooLong => return format!("The password is too long: it may take up to {MAX_PASSWORD_BYTES} bytes."),
            Self::Invalid => "The password holds a character that no password may have. Choose another one.",
            Self::RateLimited(seconds) => return format!("There were too many attempts. Try again in {seconds} s."),
            Self::Unproven => {
                "It could not be made sure that the form comes from this page. Allow cookies for this site if they are \
                 off, and type the password again."
            }
            Self::Unknown => {
                "There is no such link. It may have been copied only in part, or have expired long ago. Open it just as \
                 it is in the mail, or ask for a new one."
            }
            Self::Used => {
                "The link was used already. Sign in with the password that was set, or ask for a new link."
            }
            Self::Superseded => {
                "The link works no more: a newer one was sent, or the password was changed since. Open the link in the \
                 latest mail, or ask for a new one."
            }
            Self::Expired => "The link has expired. Ask for a new one.",
            Self::Disabled => "This user is disabled. The password stays as it is; ask your administrator.",
            Self::AccountFrozen => {
                "This account is frozen, and nobody can sign in to it. The password stays as it is; ask your administrator."
            }
            Self::IsLdap => "Your password is kept in your organisation's directory, and is changed there.",
            Self::DirectoryOnly => "This account takes the passwords of your organisation's directory only.",
            Self::Refused => "The password cannot be set. Ask your administrator.",
            Self::Damaged => "The link did not arrive whole. Open it just as it is in the mail.",
            Self::Foreign => "The form was not sent from this page. Open the link in the mail again.",
            Self::Malformed(Malformed::Missing(field)) => return format!("The request has no field “{field}”."),
            Self::Malformed(Malformed::Repeated(field)) => {
                return format!("The request has the field “{field}” more than once; it should be there once.");
            }
            Self::Malformed(Malformed::NotUtf8(field)) => {
                return format!("The field “{field}” is not UTF-8; a form's fields should be.");
            }
            Self::Malformed(Malformed::TooLong(field)) => return format!("The field “{field}” is too long."),
            Self::NoForm => "The request should be a form: application/x-www-form-urlencoded.",
            Self::Body(StatusCode::PAYLOAD_TOO_LARGE) => "The form is too long.",
            Self::Body(StatusCode::REQUEST_TIMEOUT) => "The form did not arrive in time. Send it again.",
            Self::Body(_) => "The form broke off on its way. Send it again.",
            Self::Unavailable => "Doorward cannot do this at the moment. Wait a little, then open the link again.",
            Self::Internal => {
                "Something went wrong on the server. Open the link again later; if that does not help, tell your \
                 administrator."
            }
        }
        .to_owned()
    }

    fn russian(self) -> String {
        match self {
            Self::Differ => "Пароли не совпадают. Введите один и тот же пароль дважды.",
            Self::TooShort(1) => "Пароль не введён.",
            Self::TooShort(least) => {
                return format!("Пароль слишком короткий: нужно не меньше {least} {}.", characters(least));
            }
            Self::Weak => {
                "Такой пароль слишком легко подобрать. Добавьте одно-два редких слова: имена, даты и частые слова \
                 перебирают первыми."
            }
            Self::Reused => "Этот пароль уже использовался. Придумайте новый.",
            Self::TooLong => return format!("Пароль слишком длинный: он может занимать до {MAX_PASSWORD_BYTES} байт."),
            Self::Invalid => "В пароле есть недопустимый символ. Придумайте другой.",
            Self::RateLimited(seconds) => {
                return format!("Слишком много попыток. Попробуйте снова через {seconds} с.");
            }
            Self::Unproven => {
                "Не удалось убедиться, что форма отправлена с этой страницы. Разрешите сайту файлы cookie, если они \
                 отключены, и введите пароль ещё раз."
            }
            Self::Unknown => {
                "Такой ссылки нет. Возможно, она скопирована не полностью или её срок давно истёк. Откройте ссылку прямо \
                 из письма или запросите новую."
            }
            Self::Used => {
                "Ссылка уже использована. Войдите с паролем, который был задан, или запросите новую ссылку."
            }
            Self::Superseded => {
                "Ссылка больше не действует: отправлена более новая или пароль с тех пор изменён. Откройте ссылку из \
                 последнего письма или запросите новую."
            }
            Self::Expired => "Срок действия ссылки истёк. Запросите новую.",
            Self::Disabled => "Этот пользователь отключён. Пароль остался прежним; обратитесь к администратору.",
            Self::AccountFrozen => {
                "Этот аккаунт заморожен, войти в него нельзя. Пароль остался прежним; обратитесь к администратору."
            }
            Self::IsLdap => "Ваш пароль хранится в каталоге организации и меняется там.",
            Self::DirectoryOnly => "В этот аккаунт входят только с паролем из каталога организации.",
            Self::Refused => "Пароль задать нельзя. Обратитесь к администратору.",
            Self::Damaged => "Ссылка дошла не полностью. Откройте её прямо из письма.",
            Self::Foreign => "Форма отправлена не с этой страницы. Откройте ссылку из письма ещё раз.",
            Self::Malformed(Malformed::Missing(field)) => return format!("В запросе нет поля «{field}»."),
            Self::Malformed(Malformed::Repeated(field)) => {
                return format!("Поле «{field}» встречается в запросе несколько раз, а должно быть одно.");
            }
            Self::Malformed(Malformed::NotUtf8(field)) => {
                return format!("Поле «{field}» не в кодировке UTF-8, а поля формы должны быть в ней.");
            }
            Self::Malformed(Malformed::TooLong(field)) => return format!("Поле «{field}» слишком длинное."),
            Self::NoForm => "Запрос должен быть формой: application/x-www-form-urlencoded.",
            Self::Body(StatusCode::PAYLOAD_TOO_LARGE) => "Форма слишком длинная.",
            Self::Body(StatusCode::REQUEST_TIMEOUT) => "Форма не пришла вовремя. Отправьте её ещё раз.",
            Self::Body(_) => "Форма дошла не полностью. Отправьте её ещё раз.",
            Self::Unavailable => "Сейчас это невозможно. Подождите немного и откройте ссылку ещё раз.",
            Self::Internal => {
                "На сервере что-то пошло не так. Откройте ссылку позже; если не поможет, сообщите администратору."
            }
        }
        .to_owned()
    }
}

/// The genitive that follows "не меньше N".
pub(super) fn characters(count: u32) -> &'static str {
    if count % 10 == 1 && count % 100 != 11 {
        "символа"
    } else {
        "символов"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own_in_both_languages() {
        let notices = [
            Notice::Differ,
            Notice::TooShort(1),
            Notice::TooShort(12),
            Notice::Weak,
            Notice::Reused,
            Notice::TooLong,
            Notice::Invalid,
            Notice::RateLimited(7),
            Notice::Unproven,
            Notice::Unknown,
            Notice::Used,
            Notice::Superseded,
            Notice::Expired,
            Notice::Disabled,
            Notice::AccountFrozen,
            Notice::IsLdap,
            Notice::DirectoryOnly,
            Notice::Refused,
            Notice::Damaged,
            Notice::Foreign,
            Notice::Malformed(Malformed::Missing("token")),
            Notice::Malformed(Malformed::Repeated("token")),
            Notice::Malformed(Malformed::NotUtf8("token")),
            Notice::Malformed(Malformed::TooLong("token")),
            Notice::NoForm,
            Notice::Body(StatusCode::PAYLOAD_TOO_LARGE),
            Notice::Body(StatusCode::REQUEST_TIMEOUT),
            Notice::Body(StatusCode::BAD_REQUEST),
            Notice::Unavailable,
            Notice::Internal,
        ];
        let mut seen = std::collections::BTreeSet::new();
        for notice in notices {
            for language in [Language::En, Language::Ru] {
                let text = notice.text(language);
                let cyrillic = text.chars().any(|c| ('а'..='я').contains(&c));
                assert_eq!(cyrillic, language == Language::Ru, "{text}");
                assert!(text.ends_with('.'), "{text}");
                assert!(seen.insert(text.clone()), "twice: {text}");
            }
            assert!(notice.status().is_client_error() || notice.status().is_server_error());
        }
    }

    #[test]
    fn russian_counts_decline() {
        for (count, word) in [
            (1, "символа"),
            (2, "символов"),
            (11, "символов"),
            (12, "символов"),
            (21, "символа"),
            (111, "символов"),
            (121, "символа"),
        ] {
            assert_eq!(characters(count), word, "{count}");
        }
    }

    #[test]
    fn a_weak_password_is_short_or_guessed() {
        let policy = PasswordPolicy::default();
        let weak = Problem::at(&["newPassword"], ErrorCode::WeakPassword, "");
        assert_eq!(Notice::of_problem(&weak, &policy, 11), Notice::TooShort(12));
        assert_eq!(Notice::of_problem(&weak, &policy, 12), Notice::Weak);
        let often = Problem {
            retry_after: Some(9),
            ..Problem::new(ErrorCode::RateLimited, "")
        };
        assert_eq!(Notice::of_problem(&often, &policy, 12), Notice::RateLimited(9));
    }
}
