//! Made-up mails of every kind: for `doorward mail preview`, for trying templates, and for tests.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::LinkText;
use super::branding::nearest;
use crate::domain::account::Language;
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::location::Location;
use crate::domain::login_event::{EventOrigin, LoginOutcome};
use crate::domain::mail::{AlertKind, Mail, MailContent, MailState, Matter, Reader, Report, ReportBar, ReportKind};
use crate::domain::user::Email;

/// A made-up mail.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it is asked for by.
    pub name: &'static str,
    /// The mail; its subject is empty, as only templates know it.
    pub mail: Mail,
    /// The link that it carries, if it is of a kind that does.
    pub link: Option<LinkText>,
}

/// The names of the samples: those of [`Matter::name`], and `report_daily` and `report_weekly` for the two reports.
pub const NAMES: [&str; 12] = [
    "access",
    "password_reset",
    "password_changed",
    "locked_out",
    "new_sign_in",
    "access_changed",
    "impersonated",
    "password_expires",
    "alert",
    "report_daily",
    "report_weekly",
    "address_changed",
];

/// When everything happened: Wednesday, 4 March 2026, 12:05 UTC.
const AT: i64 = 1_772_625_900;

/// The sample of that name; `None` when there is none.
#[must_use]
pub fn sample(name: &str, language: Language) -> Option<Sample> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    Some(make(name, language, matter(name, language)))
}

/// Every sample, in the order of [`NAMES`].
#[must_use]
pub fn samples(language: Language) -> Vec<Sample> {
    NAMES
        .into_iter()
        .map(|name| make(name, language, matter(name, language)))
        .collect()
}

/// The name that is most like one that there is not.
#[must_use]
pub fn nearest_name(name: &str) -> &'static str {
    nearest(name, NAMES.into_iter())
}

/// Every sample, and those with everything absent that can be absent and with other numbers: together they go through every
/// branch of a template.
#[must_use]
pub fn variants(language: Language) -> Vec<Sample> {
    let mut all = samples(language);
    let at = moment();
    let bare = EventOrigin {
        location: None,
        browser: None,
        operating_system: None,
        device: None,
        user_agent: None,
        ..origin()
    };
    let master = |master| Matter::AccessChanged {
        at,
        by: "owner@acme".to_owned(),
        gained: Vec::new(),
        lost: Vec::new(),
        master: Some(master),
    };
    let quiet = |period, first_day| {
        Matter::Report(Box::new(Report {
            period,
            first_day,
            last_day: first_day,
            succeeded: 0,
            unique_users: 0,
            failures: Vec::new(),
            new_users: 0,
            new_logins: Vec::new(),
            locked_users: 0,
            locked_logins: Vec::new(),
            new_countries: Vec::new(),
            bars: Vec::new(),
        }))
    };
    let more = [
        (
            "password_changed",
            Matter::PasswordChanged {
                at,
                by: Some("owner@acme".to_owned()),
                origin: None,
            },
        ),
        (
            "password_changed",
            Matter::PasswordChanged {
                at,
                by: None,
                origin: None,
            },
        ),
        (
            "address_changed",
            Matter::AddressChanged {
                at,
                by: Some("owner@acme".to_owned()),
                origin: None,
            },
        ),
        (
            "address_changed",
            Matter::AddressChanged {
                at,
                by: None,
                origin: None,
            },
        ),
        (
            "locked_out",
            Matter::LockedOut {
                at,
                minutes: 1,
                origin: bare.clone(),
            },
        ),
        (
            "new_sign_in",
            Matter::NewSignIn {
                at,
                origin: bare.clone(),
                new_browser: false,
                new_country: true,
            },
        ),
        (
            "new_sign_in",
            Matter::NewSignIn {
                at,
                origin: bare,
                new_browser: true,
                new_country: false,
            },
        ),
        ("access_changed", master(true)),
        ("access_changed", master(false)),
        (
            "impersonated",
            Matter::Impersonated {
                at,
                by: "root@system".to_owned(),
                reason: String::new(),
                minutes: 60,
                read_only: false,
            },
        ),
        ("password_expires", Matter::PasswordExpires { at, days: 0 }),
        ("password_expires", Matter::PasswordExpires { at, days: 1 }),
        (
            "alert",
            Matter::Alert {
                alert: AlertKind::HardBounces,
                subject: "x".to_owned(),
                body: String::new(),
            },
        ),
        ("report_daily", quiet(ReportKind::Daily, date(2026, 3, 3))),
        ("report_weekly", quiet(ReportKind::Weekly, date(2026, 2, 23))),
    ];
    all.extend(more.into_iter().map(|(name, matter)| {
        let mut sample = make(name, language, matter);
        sample.mail.content.reader.first_name.clear();
        sample.mail.content.reader.last_name.clear();
        sample
    }));
    all
}

fn make(name: &'static str, language: Language, matter: Matter) -> Sample {
    let number = NAMES.iter().position(|known| *known == name).unwrap_or_default() as u128;
    let link = matter.link().map(|_| LinkText {
        url: "https://doorward.example.org/set-password?token=dw_made-up-0123456789abcdefghijklmnopqrstuvw".to_owned(),
        expires_at: moment() + jiff::SignedDuration::from_hours(72),
    });
    let mail = Mail {
        // A UUID of version 7 for that moment.
        id: MailId::from_uuid(Uuid::from_u128(0x019c_b8bc_b1e0_7000_8000_0000_0000_0000 + number)),
        account: AccountId::from_uuid(Uuid::from_u128(1)),
        user: UserId::from_uuid(Uuid::from_u128(2)),
        to: address(language),
        language,
        subject: String::new(),
        content: MailContent {
            reader: reader(language),
            matter,
        },
        key: None,
        state: MailState::Queued,
        attempts: 0,
        last_error: None,
        created_at: moment(),
        next_attempt_at: Some(moment()),
        sent_at: None,
    };
    Sample { name, mail, link }
}

fn moment() -> Timestamp {
    Timestamp::from_second(AT).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[expect(clippy::expect_used, reason = "fixed text, held by the tests")]
fn address(language: Language) -> Email {
    let text = match language {
        Language::En => "ann.lee@example.org",
        Language::Ru => "anna.belova@example.org",
    };
    Email::parse(text).expect("an address")
}

fn reader(language: Language) -> Reader {
    let (first_name, last_name, login, account_title, time_zone) = match language {
        Language::En => ("Ann", "Lee", "ann@acme", "Acme Ltd", "Europe/Riga"),
        Language::Ru => ("Анна", "Белова", "anna@acme", "ООО «Акме»", "Europe/Moscow"),
    };
    Reader {
        first_name: first_name.to_owned(),
        last_name: last_name.to_owned(),
        login: login.to_owned(),
        account_title: account_title.to_owned(),
        time_zone: time_zone.to_owned(),
    }
}

fn origin() -> EventOrigin {
    EventOrigin {
        ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        location: Some(Location {
            country: Some("Latvia".into()),
            country_code: Some("LV".into()),
            city: Some("Riga".into()),
            latitude: Some(56.95),
            longitude: Some(24.11),
        }),
        browser: Some("Firefox 140".into()),
        operating_system: Some("Windows 11".to_owned()),
        device: Some("PC".to_owned()),
        user_agent: None,
    }
}

fn matter(name: &str, language: Language) -> Matter {
    let at = moment();
    let owner = "owner@acme".to_owned();
    match name {
        "access" => Matter::Access {
            by: owner,
            password_changed_at: None,
        },
        "password_reset" => Matter::PasswordReset {
            origin: origin(),
            password_changed_at: None,
        },
        "password_changed" => Matter::PasswordChanged {
            at,
            by: None,
            origin: Some(origin()),
        },
        "address_changed" => Matter::AddressChanged {
            at,
            by: None,
            origin: Some(origin()),
        },
        "locked_out" => Matter::LockedOut {
            at,
            minutes: 15,
            origin: origin(),
        },
        "new_sign_in" => Matter::NewSignIn {
            at,
            origin: origin(),
            new_browser: true,
            new_country: true,
        },
        "access_changed" => Matter::AccessChanged {
            at,
            by: owner,
            gained: vec!["Support".to_owned(), "History & reports".to_owned()],
            lost: vec!["Billing".to_owned()],
            master: None,
        },
        "impersonated" => Matter::Impersonated {
            at,
            by: "root@system".to_owned(),
            reason: match language {
                Language::En => "Ticket 4711: the list of users stays empty",
                Language::Ru => "Заявка 4711: список пользователей остаётся пустым",
            }
            .to_owned(),
            minutes: 30,
            read_only: true,
        },
        "password_expires" => Matter::PasswordExpires {
            at: at + jiff::SignedDuration::from_hours(3 * 24),
            days: 3,
        },
        "alert" => {
            let (subject, body) = match language {
                Language::En => (
                    "Daily limit of 10,000 messages is exhausted",
                    "The limit was reached at 13:58.\n\nMessages wait until midnight, or until the limit is raised:\n- 1,204 in \"Spring news\"\n- 17 in \"Receipts\"",
                ),
                Language::Ru => (
                    "Исчерпан суточный лимит: 10 000 писем",
                    "Лимит был достигнут в 13:58.\n\nПисьма ждут полуночи или повышения лимита:\n- 1 204 в рассылке «Весенние новости»\n- 17 в рассылке «Чеки»",
                ),
            };
            Matter::Alert {
                alert: AlertKind::LimitsExhausted,
                subject: subject.to_owned(),
                body: body.to_owned(),
            }
        }
        "report_weekly" => Matter::Report(Box::new(weekly(&reader(language).time_zone))),
        _ => Matter::Report(Box::new(daily(&reader(language).time_zone))),
    }
}

fn daily(time_zone: &str) -> Report {
    let day = date(2026, 3, 3);
    let counts: [(u64, u64); 24] = [
        (0, 0),
        (1, 0),
        (0, 0),
        (0, 14),
        (0, 9),
        (2, 0),
        (5, 1),
        (22, 2),
        (61, 5),
        (58, 3),
        (34, 2),
        (29, 1),
        (18, 0),
        (40, 2),
        (37, 4),
        (25, 1),
        (21, 0),
        (15, 1),
        (6, 0),
        (4, 0),
        (2, 0),
        (3, 0),
        (1, 0),
        (0, 0),
    ];
    let bars = counts.iter().zip(0_i8..).map(|((succeeded, failed), hour)| ReportBar {
        start: start_of(day, hour, time_zone),
        succeeded: *succeeded,
        failed: *failed,
    });
    Report {
        period: ReportKind::Daily,
        first_day: day,
        last_day: day,
        succeeded: 384,
        unique_users: 121,
        failures: vec![
            (LoginOutcome::WrongPassword, 27),
            (LoginOutcome::UnknownUser, 11),
            (LoginOutcome::Locked, 7),
        ],
        new_users: 2,
        new_logins: vec!["bob".to_owned(), "eve.adams".to_owned()],
        locked_users: 1,
        locked_logins: vec!["carol".to_owned()],
        new_countries: vec!["EE".to_owned(), "PT".to_owned()],
        bars: bars.collect(),
    }
}

fn weekly(time_zone: &str) -> Report {
    let first = date(2026, 2, 23);
    let counts: [(u64, u64); 7] = [(388, 41), (402, 18), (371, 22), (395, 20), (341, 15), (24, 3), (19, 60)];
    let mut day = first;
    let mut bars = Vec::new();
    for (succeeded, failed) in counts {
        bars.push(ReportBar {
            start: start_of(day, 0, time_zone),
            succeeded,
            failed,
        });
        day = day.tomorrow().unwrap_or(day);
    }
    Report {
        period: ReportKind::Weekly,
        first_day: first,
        last_day: date(2026, 3, 1),
        succeeded: 1940,
        unique_users: 163,
        failures: vec![
            (LoginOutcome::WrongPassword, 121),
            (LoginOutcome::DirectoryUnavailable, 58),
        ],
        new_users: 24,
        new_logins: ["bob", "eve.adams", "dan", "faythe", "grace"]
            .map(str::to_owned)
            .to_vec(),
        locked_users: 0,
        locked_logins: Vec::new(),
        new_countries: Vec::new(),
        bars,
    }
}

fn start_of(day: Date, hour: i8, time_zone: &str) -> Timestamp {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    day.at(hour, 0, 0, 0)
        .to_zoned_datetime(zone)
        .map_or(moment(), |start| start.timestamp())
}
