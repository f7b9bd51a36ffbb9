//! Numbers, moments and names as the reader's language writes them.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::countries;
use crate::domain::account::Language;
use crate::domain::login_event::LoginOutcome;
use crate::domain::mail::AlertKind;

/// The language's tag (BCP 47).
pub(super) fn code(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Ru => "ru",
    }
}

/// How many forms a noun has after a number.
pub(super) fn forms(language: Language) -> usize {
    match language {
        Language::En => 2,
        Language::Ru => 3,
    }
}

/// Which of a noun's forms goes with a whole number (CLDR's plural rules: one, other; one, few, many).
pub(super) fn form(language: Language, n: u64) -> usize {
    match (language, n % 10, n % 100) {
        (Language::En, ..) => usize::from(n != 1),
        (Language::Ru, 1, tens) if tens != 11 => 0,
        (Language::Ru, 2..=4, tens) if !(12..=14).contains(&tens) => 1,
        (Language::Ru, ..) => 2,
    }
}

/// A number with its thousands set apart: `12,345`, `12 345` (with no-break spaces).
pub(super) fn number(language: Language, n: u64) -> String {
    let (separator, digits) = match language {
        Language::En => (',', n.to_string()),
        Language::Ru => ('\u{A0}', n.to_string()),
    };
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// A span of time in the accusative ("for 15 minutes", "на 15 минут"), in hours and days where it is whole ones.
pub(super) fn duration(language: Language, minutes: u32) -> String {
    let count = |n: u32, en: [&str; 2], ru: [&str; 3]| {
        let form = form(language, u64::from(n));
        let noun = match language {
            Language::En => en[form],
            Language::Ru => ru[form],
        };
        format!("{} {noun}", number(language, u64::from(n)))
    };
    let days = |n| count(n, ["day", "days"], ["день", "дня", "дней"]);
    let hours = |n| count(n, ["hour", "hours"], ["час", "часа", "часов"]);
    let minutes_of = |n| count(n, ["minute", "minutes"], ["минуту", "минуты", "минут"]);
    match (minutes / 60, minutes % 60) {
        (24.., 0) if minutes.is_multiple_of(24 * 60) => days(minutes / (24 * 60)),
        (0, _) => minutes_of(minutes),
        (h, 0) => hours(h),
        (h, m) => format!("{} {}", hours(h), minutes_of(m)),
    }
}

/// The zone of that name; UTC when this machine does not know it.
pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// A moment to the minute: `4 March 2026, 14:05 (EET, UTC+2)`.
pub(super) fn moment(language: Language, at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned_datetime(zone.clone());
    format!(
        "{}, {:02}:{:02} ({})",
        date(language, at.date()),
        at.hour(),
        at.minute(),
        zone_label(language, &at)
    )
}

/// The zone at a moment: abbreviation, where it is one, and offset.
fn zone_label(language: Language, at: &ZonedDateTime) -> String {
    let seconds = at.offset().seconds();
    let (hours, minutes) = (seconds.unsigned_abs() / 3600, seconds.unsigned_abs() / 60 % 60);
    let mut offset = "UTC".to_owned();
    if seconds != 0 {
        offset.push_str(if seconds < 0 { "−" } else { "+" });
        offset.push_str(&hours.to_string());
        if minutes != 0 {
            offset.push_str(&format!(":{minutes:02}"));
        }
    }
    let abbreviation = at.strftime("%Z").to_string();
    match abbreviation.as_str() {
        "UTC" => offset,
        "MSK" if language == Language::Ru => format!("МСК, {offset}"),
        name if name.starts_with(|c: char| c.is_ascii_alphabetic()) => format!("{name}, {offset}"),
        _ => offset,
    }
}

/// A date: `4 March 2026`, `4 марта 2026 г.`
pub(super) fn date(language: Language, date: Date) -> String {
    format!("{} {}", day_and_month(language, date), year(language, date))
}

fn day_and_month(language: Language, date: Date) -> String {
    format!("{} {}", date.day(), month(language, date.month()))
}

fn year(language: Language, date: Date) -> String {
    match language {
        Language::En => date.year().to_string(),
        Language::Ru => format!("{}\u{A0}г.", date.year()),
    }
}

/// A date with its day of the week: `Wednesday, 4 March 2026`, `среда, 4 марта 2026 г.`
pub(super) fn long_date(language: Language, day: Date) -> String {
    format!("{}, {}", weekday(language, day.weekday()), date(language, day))
}

/// Days from one to another: `2–8 March 2026`, `23 February – 1 March 2026`.
pub(super) fn period(language: Language, first: Date, last: Date) -> String {
    if first == last {
        return long_date(language, first);
    }
    let end = date(language, last);
    if first.year() != last.year() {
        format!("{} – {end}", date(language, first))
    } else if first.month() != last.month() {
        format!("{} – {end}", day_and_month(language, first))
    } else {
        format!("{}–{end}", first.day())
    }
}

/// A day of the week and of the month, for a row of a table: `Wed 4`, `ср 4`.
pub(super) fn short_day(language: Language, date: Date) -> String {
    let full = weekday(language, date.weekday());
    let short = match (language, date.weekday()) {
        (Language::En, _) => full.chars().take(3).collect(),
        (Language::Ru, Weekday::Monday) => "пн".to_owned(),
        (Language::Ru, Weekday::Tuesday) => "вт".to_owned(),
        (Language::Ru, Weekday::Wednesday) => "ср".to_owned(),
        (Language::Ru, Weekday::Thursday) => "чт".to_owned(),
        (Language::Ru, Weekday::Friday) => "пт".to_owned(),
        (Language::Ru, Weekday::Saturday) => "сб".to_owned(),
        (Language::Ru, Weekday::Sunday) => "вс".to_owned(),
    };
    format!("{short} {}", date.day())
}

fn weekday(language: Language, day: Weekday) -> &'static str {
    let (en, ru) = match day {
        Weekday::Monday => ("Monday", "понедельник"),
        Weekday::Tuesday => ("Tuesday", "вторник"),
        Weekday::Wednesday => ("Wednesday", "среда"),
        Weekday::Thursday => ("Thursday", "четверг"),
        Weekday::Friday => ("Friday", "пятница"),
        Weekday::Saturday => ("Saturday", "суббота"),
        Weekday::Sunday => ("Sunday", "воскресенье"),
    };
    match language {
        Language::En => en,
        Language::Ru => ru,
    }
}

/// A month, as it stands after a day.
fn month(language: Language, month: i8) -> &'static str {
    let names: [(&str, &str); 12] = [
        ("January", "января"),
        ("February", "февраля"),
        ("March", "марта"),
        ("April", "апреля"),
        ("May", "мая"),
        ("June", "июня"),
        ("July", "июля"),
        ("August", "августа"),
        ("September", "сентября"),
        ("October", "октября"),
        ("November", "ноября"),
        ("December", "декабря"),
    ];
    let index = usize::try_from(month - 1).unwrap_or_default();
    let (en, ru) = names.get(index).copied().unwrap_or_default();
    match language {
        Language::En => en,
        Language::Ru => ru,
    }
}

/// A country by its ISO 3166-1 alpha-2 code; `None` when nobody has that code.
pub(super) fn country(language: Language, code: &str) -> Option<&'static str> {
    match language {
        Language::En => country_emoji::code_to_name(code),
        Language::Ru => countries::russian(code),
    }
}

/// Why an attempt was refused, as a row of a table.
pub(super) fn outcome(language: Language, outcome: LoginOutcome) -> &'static str {
    let (en, ru) = match outcome {
        LoginOutcome::Success => ("Signed in", "Вход выполнен"),
        LoginOutcome::WrongPassword => ("Wrong password", "Неверный пароль"),
        LoginOutcome::UnknownUser => ("Unknown login", "Неизвестный логин"),
        LoginOutcome::Locked => ("Locked out", "Вход заблокирован"),
        LoginOutcome::Disabled => ("User is disabled", "Пользователь отключён"),
        LoginOutcome::AccountFrozen => ("Account is frozen", "Аккаунт заморожен"),
        LoginOutcome::PasswordExpired => ("Directory password has expired", "Истёк пароль каталога"),
        LoginOutcome::PasswordMustChange => ("Directory password must be changed", "Пароль каталога нужно сменить"),
        LoginOutcome::NotAllowed => ("Not allowed by the directory", "Вход не разрешён каталогом"),
        LoginOutcome::DirectoryUnavailable => ("Directory did not answer", "Каталог не ответил"),
        LoginOutcome::RateLimited => ("Too many attempts", "Слишком много попыток"),
    };
    match language {
        Language::En => en,
        Language::Ru => ru,
    }
}

/// Somebody at the command line, who has no name.
pub(super) fn administrator(language: Language) -> &'static str {
    match language {
        Language::En => "An administrator",
        Language::Ru => "Администратор",
    }
}

/// What an alert is about.
pub(super) fn alert(language: Language, kind: AlertKind) -> &'static str {
    let (en, ru) = match kind {
        AlertKind::LimitsExhausted => ("Limits exhausted", "Исчерпаны лимиты"),
        AlertKind::SubscriberComplaints => ("Subscriber complaints", "Жалобы подписчиков"),
        AlertKind::HardBounces => ("Hard bounces", "Несуществующие адреса"),
        AlertKind::SoftBounces => ("Soft bounces", "Временно недоступные адреса"),
    };
    match language {
        Language::En => en,
        Language::Ru => ru,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_take_the_form_of_their_number() {
        for (n, form_of_it) in [
            (0, 2),
            (1, 0),
            (2, 1),
            (4, 1),
            (5, 2),
            (11, 2),
            (12, 2),
            (14, 2),
            (21, 0),
            (22, 1),
            (25, 2),
            (101, 0),
            (111, 2),
            (1_000_002, 1),
        ] {
            assert_eq!(form(Language::Ru, n), form_of_it, "{n}");
        }
        assert_eq!([0, 1, 2, 11, 21].map(|n| form(Language::En, n)), [1, 0, 1, 1, 1]);
    }

    #[test]
    fn numbers_and_durations_read_well() {
        assert_eq!(number(Language::En, 1_234_567), "1,234,567");
        assert_eq!(number(Language::Ru, 1234), "1\u{A0}234");
        assert_eq!(number(Language::Ru, 0), "0");
        for (minutes, en, ru) in [
            (1, "1 minute", "1 минуту"),
            (15, "15 minutes", "15 минут"),
            (60, "1 hour", "1 час"),
            (90, "1 hour 30 minutes", "1 час 30 минут"),
            (121, "2 hours 1 minute", "2 часа 1 минуту"),
            (1440, "1 day", "1 день"),
            (1500, "25 hours", "25 часов"),
            (7200, "5 days", "5 дней"),
        ] {
            assert_eq!(duration(Language::En, minutes), en);
            assert_eq!(duration(Language::Ru, minutes), ru);
        }
    }

    #[test]
    fn moments_are_in_the_readers_zone() {
        let at = "2026-03-04T12:05:59Z".parse().unwrap();
        for (name, language, text) in [
            ("Europe/Riga", Language::En, "4 March 2026, 14:05 (EET, UTC+2)"),
            (
                "Europe/Moscow",
                Language::Ru,
                "4 марта 2026\u{A0}г., 15:05 (МСК, UTC+3)",
            ),
            ("America/New_York", Language::En, "4 March 2026, 07:05 (EST, UTC−5)"),
            ("Asia/Kathmandu", Language::En, "4 March 2026, 17:50 (UTC+5:45)"),
            ("UTC", Language::En, "4 March 2026, 12:05 (UTC)"),
            ("Mars/Olympus", Language::En, "4 March 2026, 12:05 (UTC)"),
        ] {
            assert_eq!(moment(language, at, &zone(name)), text);
        }
        let summer = "2026-07-04T12:05:00Z".parse().unwrap();
        let text = moment(Language::En, summer, &zone("Europe/Riga"));
        assert_eq!(text, "4 July 2026, 15:05 (EEST, UTC+3)");
    }

    #[test]
    fn periods_say_no_month_twice() {
        let day = |text: &str| text.parse().unwrap();
        for (first, last, en, ru) in [
            ("2026-03-02", "2026-03-08", "2–8 March 2026", "2–8 марта 2026\u{A0}г."),
            (
                "2026-02-23",
                "2026-03-01",
                "23 February – 1 March 2026",
                "23 февраля – 1 марта 2026\u{A0}г.",
            ),
            (
                "2025-12-29",
                "2026-01-04",
                "29 December 2025 – 4 January 2026",
                "29 декабря 2025\u{A0}г. – 4 января 2026\u{A0}г.",
            ),
            (
                "2026-03-03",
                "2026-03-03",
                "Tuesday, 3 March 2026",
                "вторник, 3 марта 2026\u{A0}г.",
            ),
        ] {
            assert_eq!(period(Language::En, day(first), day(last)), en);
            assert_eq!(period(Language::Ru, day(first), day(last)), ru);
        }
        assert_eq!(short_day(Language::En, day("2026-03-04")), "Wed 4");
        assert_eq!(short_day(Language::Ru, day("2026-03-04")), "ср 4");
    }

    #[test]
    fn countries_have_names_in_both_languages() {
        assert_eq!(country(Language::En, "LV"), Some("Latvia"));
        assert_eq!(country(Language::Ru, "LV"), Some("Латвия"));
        assert_eq!(country(Language::Ru, "XX"), None);
        let codes = ('A'..='Z').flat_map(|first| ('A'..='Z').map(move |second| format!("{first}{second}")));
        let english_only: Vec<String> = codes
            .filter(|code| country(Language::En, code).is_some() && country(Language::Ru, code).is_none())
            .collect();
        assert!(english_only.is_empty(), "{english_only:?}");
    }
}
