//! Reports and warnings: each once and at eight, whatever the clock does and however many processes look, and what they say
//! is so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use doorward::app;
use doorward::config::{Config, MailServer as MailServerUrl};
use doorward::domain::account::Account;
use doorward::domain::audit::{AuditEntry, TargetType};
use doorward::domain::clock::SystemEntropy;
use doorward::domain::ids::{AuditEntryId, LoginEventId, MailId};
use doorward::domain::location::Location;
use doorward::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use doorward::domain::mail::{Mail, MailFilter, Matter, Report, ReportKind};
use doorward::domain::page::PageRequest;
use doorward::domain::user::User;
use doorward::service::{NewUser, Services};
use doorward::store::{Failures, LoginRecord};
use jiff::civil::{Date, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};
use crate::support::smtp::{self, MailServer, MailServerOptions, Received};

on_both_stores!(
    each_report_comes_once_at_eight_also_when_the_clocks_change,
    a_report_says_what_happened_and_who_it_was_to_those_who_may_know,
    what_was_missed_is_made_up_for,
    an_expiring_password_is_warned_of_four_times,
);

const SOON: Duration = Duration::from_secs(60);

/// A gateway whose clock is moved, and another process's use cases over its store.
struct Office {
    server: MailServer,
    gateway: Gateway,
    other: Arc<Services>,
}

impl Office {
    async fn start(backend: Backend) -> Self {
        Self::start_with(backend, |_| {}).await
    }

    async fn start_with(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let server = MailServer::start(MailServerOptions::default());
        let with_mail = |config: &mut Config| {
            config.mail.server = Some(MailServerUrl::parse(&server.url()).unwrap());
            config.mail.password = Some(smtp::PASSWORD.into());
            config.mail.ca_file = Some(server.ca_file());
            change(config);
        };
        let gateway = Gateway::start_with(backend, with_mail).await;
        let other = app::open_services(&gateway.config, gateway.clock.clone(), Arc::new(SystemEntropy));
        Self {
            other: other.await.unwrap(),
            server,
            gateway,
        }
    }

    async fn account(&self, name: &str, zone: &str) -> Account {
        let in_zone = |account: &mut doorward::service::AccountInput| account.time_zone = Some(zone.to_owned());
        self.gateway.account_with(name, in_zone).await
    }

    /// Somebody with an address, who asks for daily reports, and for whatever else is changed.
    async fn reader(&self, account: &Account, login: &str, change: impl FnOnce(&mut NewUser)) -> User {
        let asks = |new: &mut NewUser| {
            new.email = Some(format!("{login}@example.org"));
            new.notifications.daily_reports = Some(true);
            change(new);
        };
        self.gateway.user_with(account, login, asks).await
    }

    /// Moves the clock, forward.
    fn go_to(&self, at: Timestamp) {
        let by = at.duration_since(self.gateway.now());
        assert!(!by.is_negative(), "{at} is past");
        self.gateway.wait(by.unsigned_abs());
    }

    /// Both processes look at once what is due.
    async fn look(&self) {
        let looking = [&self.gateway.services, &self.other].map(|services| {
            let services = Arc::clone(services);
            tokio::spawn(async move { services.file_reports().await })
        });
        for one in looking {
            one.await.unwrap().unwrap();
        }
    }

    /// Every mail that the store has.
    async fn mails(&self) -> Vec<Mail> {
        let request = PageRequest::first(PageRequest::MAX);
        let store = &self.gateway.services.store;
        let page = store
            .mails(&[MailFilter::default()], &request)
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert!(!page.has_more);
        page.items
    }

    /// The reports among them, the earliest first: to whom, when, and what it says.
    async fn reports(&self) -> Vec<(String, Timestamp, Report)> {
        let mails = self.mails().await.into_iter();
        let mut found: Vec<_> = mails
            .filter_map(|mail| match mail.content.matter {
                Matter::Report(report) => Some((mail.to.as_str().to_owned(), mail.created_at, *report)),
                _ => None,
            })
            .collect();
        found.sort_by_key(|(to, at, report)| (*at, to.clone(), report.period, report.first_day));
        found
    }

    /// What the mail server has, once it has these mails.
    async fn arrived(&self, mails: &[MailId]) -> Vec<Received> {
        tokio::task::block_in_place(|| self.server.wait_for(mails.len(), SOON));
        // Time for one too many.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let received = self.server.messages();
        let mut ids: Vec<String> = received.iter().map(|one| one.header("Message-ID").unwrap()).collect();
        ids.sort();
        let mut expected: Vec<String> = mails.iter().map(|id| format!("<{id}@127.0.0.1>")).collect();
        expected.sort();
        assert_eq!(ids, expected, "each arrives once");
        received
    }

    /// Records a sign-in from a country.
    async fn sign_in_from(&self, user: &User, country: &str) {
        let services = &self.gateway.services;
        let event = LoginEvent {
            id: LoginEventId::generate(services.clock.as_ref(), services.entropy.as_ref()).unwrap(),
            account: user.account,
            user: Some(user.id),
            at: self.gateway.now(),
            attempted_login: user.login.to_string(),
            outcome: LoginOutcome::Success,
            method: LoginMethod::Local,
            origin: EventOrigin {
                ip: "192.0.2.7".parse().unwrap(),
                location: Some(Location {
                    country_code: Some(country.into()),
                    ..Location::default()
                }),
                browser: None,
                operating_system: None,
                device: None,
                user_agent: None,
            },
            detail: None,
            attempts: 1,
            impersonator: None,
        };
        let record = LoginRecord {
            event,
            opened: None,
            failures: Failures::Unchanged,
            released: Vec::new(),
            mails: Vec::new(),
            on_lock: None,
        };
        services.store.record_login(&record).await.unwrap();
    }

    /// Has the directory's password of somebody expire then.
    async fn expires(&self, user: &User, at: Timestamp) {
        let services = &self.gateway.services;
        let audit = AuditEntry {
            id: AuditEntryId::generate(services.clock.as_ref(), services.entropy.as_ref()).unwrap(),
            account: user.account,
            at: self.gateway.now(),
            actor: "directory corp".to_owned(),
            actor_user: None,
            impersonator: None,
            ip: None,
            action: "recheckUser".to_owned(),
            target_type: TargetType::User,
            target_id: user.id.as_uuid(),
            target_name: user.login.to_string(),
            changes: Vec::new(),
        };
        let changed = User {
            password_expires_at: Some(at),
            revision: user.revision + 1,
            ..user.clone()
        };
        services
            .store
            .update_user(&changed, user.revision, &audit, &[])
            .await
            .unwrap();
    }
}

/// That time of a day, where it is.
fn local(day: Date, hour: i8, minute: i8, second: i8, zone: &TimeZone) -> Timestamp {
    let at = day.to_datetime(time(hour, minute, second, 0));
    at.to_zoned_datetime(zone.clone()).unwrap().timestamp()
}

/// The day that it is there.
fn today(office: &Office, zone: &TimeZone) -> Date {
    office.gateway.now().to_zoned_datetime(zone.clone()).date()
}

fn plus(day: Date, days: i32) -> Date {
    day.checked_add(days.days()).unwrap()
}

async fn each_report_comes_once_at_eight_also_when_the_clocks_change(backend: Backend) {
    let office = Office::start(backend).await;
    let (berlin, tokyo) = (
        TimeZone::get("Europe/Berlin").unwrap(),
        TimeZone::get("Asia/Tokyo").unwrap(),
    );
    let acme = office.account("acme", "Europe/Berlin").await;
    office
        .reader(&acme, "ann", |new| new.notifications.weekly_reports = Some(true))
        .await;
    office.reader(&acme, "bob", |_| {}).await;
    office
        .gateway
        .user_with(&acme, "cai", |new| new.email = Some("cai@example.org".to_owned()))
        .await;
    // Where no clock is ever changed.
    let far = office.account("far", "Asia/Tokyo").await;
    office.reader(&far, "kei", |_| {}).await;

    let mut all: BTreeSet<MailId> = BTreeSet::new();
    // Forward and back, in whichever order they come.
    for _ in 0..2 {
        let change = berlin.following(office.gateway.now()).next().unwrap().timestamp();
        let day = change.to_zoned_datetime(berlin.clone()).date();
        assert_eq!(day.weekday(), Weekday::Sunday);
        office.go_to(local(plus(day, -2), 8, 30, 0, &berlin));
        office.look().await;
        all.extend(office.mails().await.iter().map(|mail| mail.id));
        let begun = office.gateway.now();
        let days: Vec<Date> = (-1..=2).map(|days| plus(day, days)).collect();
        for day in &days {
            for (hour, minute, second) in [
                (0, 0, 0),
                (1, 0, 0),
                (6, 59, 59),
                (7, 0, 0),
                (7, 59, 59),
                (8, 0, 0),
                (8, 0, 1),
                (9, 0, 0),
                (20, 0, 0),
                (23, 59, 59),
            ] {
                office.go_to(local(*day, hour, minute, second, &berlin));
                office.look().await;
            }
        }
        all.extend(office.mails().await.iter().map(|mail| mail.id));
        let found = office.reports().await.into_iter().filter(|(_, at, _)| *at > begun);
        let found: Vec<_> = found
            .map(|(to, at, report)| (at, to, report.period, report.first_day, report.last_day))
            .collect();
        let mut expected = Vec::new();
        for today in days {
            let (yesterday, daily) = (plus(today, -1), ReportKind::Daily);
            let at = local(today, 8, 0, 0, &berlin);
            for to in ["ann@example.org", "bob@example.org"] {
                expected.push((at, to.to_owned(), daily, yesterday, yesterday));
            }
            if today.weekday() == Weekday::Monday {
                let week = (plus(today, -7), yesterday);
                expected.push((at, "ann@example.org".to_owned(), ReportKind::Weekly, week.0, week.1));
            }
            let at = local(today, 8, 0, 0, &tokyo);
            expected.push((at, "kei@example.org".to_owned(), daily, yesterday, yesterday));
        }
        expected.sort_by_key(|(at, to, kind, first, _)| (*at, to.clone(), *kind, *first));
        assert_eq!(found, expected);
    }
    let all: Vec<MailId> = all.into_iter().collect();
    office.arrived(&all).await;
}

async fn a_report_says_what_happened_and_who_it_was_to_those_who_may_know(backend: Backend) {
    let office = Office::start(backend).await;
    let gateway = &office.gateway;
    let zone = TimeZone::get("America/New_York").unwrap();
    let acme = office.account("acme", "America/New_York").await;
    office.reader(&acme, "owner", |new| new.is_master = true).await;
    let ann = office.reader(&acme, "ann", |_| {}).await;
    let role = gateway.role(&acme, "Support", &["users:read"]).await;
    let reads = |new: &mut NewUser| {
        new.roles = vec![Some(role)];
        new.notifications.email = Some(Some("alerts@example.org".to_owned()));
    };
    office.reader(&acme, "bea", reads).await;
    for login in ["bob", "carol"] {
        gateway.user(&acme, login).await;
    }
    let gone = gateway.user(&acme, "gone").await;
    // Somebody else's account: none of it is told.
    let other = gateway.account("other").await;
    gateway.user(&other, "zoe").await;

    // The day before.
    let day = plus(today(&office, &zone), 2);
    office.go_to(local(plus(day, -1), 12, 0, 0, &zone));
    disable(&office, &gone).await;
    office.sign_in_from(&ann, "EE").await;
    let midnight = local(day, 0, 0, 0, &zone);
    // Each request moves the clock by a millisecond.
    let step = Duration::from_millis(1);
    office.go_to(midnight - 2 * step);
    gateway.sign_in("bob@acme").await;
    assert_eq!(gateway.now(), midnight - step);

    // The day: at its first moment,
    gateway.sign_in("ann@acme").await;
    assert_eq!(gateway.now(), midnight);
    // amid it,
    office.go_to(local(day, 10, 0, 0, &zone));
    gateway.sign_in("ann@acme").await;
    gateway.sign_in("bob@acme").await;
    gateway.sign_in("zoe@other").await;
    office.sign_in_from(&ann, "EE").await;
    office.sign_in_from(&ann, "PT").await;
    for _ in 0..3 {
        assert_eq!(gateway.refusal("bob@acme", "not this one").await, "WRONG_CREDENTIALS");
    }
    for _ in 0..2 {
        assert_eq!(gateway.refusal("nobody@acme", PASSWORD).await, "WRONG_CREDENTIALS");
    }
    gateway.refusal("gone@acme", PASSWORD).await;
    for login in ["dora", "emil"] {
        gateway.user(&acme, login).await;
    }
    gateway.user(&other, "zack").await;
    // and at its last.
    let next = local(plus(day, 1), 0, 0, 0, &zone);
    office.go_to(next - 2 * step);
    gateway.sign_in("ann@acme").await;
    assert_eq!(gateway.now(), next - step);

    // The day after.
    gateway.sign_in("ann@acme").await;
    gateway.user(&acme, "late").await;
    office.go_to(local(plus(day, 1), 7, 55, 0, &zone));
    for _ in 0..10 {
        gateway.refusal("carol@acme", "not this one").await;
    }
    gateway.refusal("carol@acme", PASSWORD).await;
    office.go_to(local(plus(day, 1), 8, 0, 0, &zone));
    office.look().await;

    let reports = office.reports().await;
    let of_the_day: BTreeMap<&str, &Report> = reports
        .iter()
        .filter(|(_, _, report)| report.first_day == day)
        .map(|(to, _, report)| (to.as_str(), report))
        .collect();
    let readers: Vec<&str> = of_the_day.keys().copied().collect();
    assert_eq!(readers, ["alerts@example.org", "ann@example.org", "owner@example.org"]);
    let report = of_the_day["owner@example.org"];
    assert_eq!((report.period, report.last_day), (ReportKind::Daily, day));
    assert_eq!((report.succeeded, report.unique_users), (6, 2));
    let failures: HashMap<LoginOutcome, u64> = report.failures.iter().copied().collect();
    let expected = [
        (LoginOutcome::WrongPassword, 3),
        (LoginOutcome::UnknownUser, 2),
        (LoginOutcome::Disabled, 1),
    ];
    assert_eq!(failures, HashMap::from(expected));
    assert_eq!(report.new_users, 2);
    // Made in the same millisecond.
    let new: BTreeSet<&str> = report.new_logins.iter().map(String::as_str).collect();
    assert_eq!(new, BTreeSet::from(["dora", "emil"]));
    assert_eq!(report.locked_users, 1);
    assert_eq!(report.locked_logins, ["carol"]);
    assert_eq!(report.new_countries, ["PT"]);
    let bars: Vec<(Timestamp, u64, u64)> = report
        .bars
        .iter()
        .map(|bar| (bar.start, bar.succeeded, bar.failed))
        .filter(|(_, succeeded, failed)| succeeded + failed > 0)
        .collect();
    let at = |hour| local(day, hour, 0, 0, &zone);
    assert_eq!(bars, [(at(0), 1, 0), (at(10), 4, 6), (at(23), 1, 0)]);
    assert_eq!(
        of_the_day["alerts@example.org"], report,
        "who may read users is told who they are"
    );
    let without_names = Report {
        new_logins: Vec::new(),
        locked_logins: Vec::new(),
        ..report.clone()
    };
    assert_eq!(*of_the_day["ann@example.org"], without_names);

    // The next day's, when nobody is locked out any more.
    office.go_to(local(plus(day, 2), 8, 0, 0, &zone));
    office.look().await;
    let reports = office.reports().await;
    let later = |report: &Report| report.first_day == plus(day, 1);
    let (_, _, report) = reports
        .iter()
        .rfind(|(to, _, report)| to == "owner@example.org" && later(report))
        .unwrap();
    assert_eq!((report.succeeded, report.unique_users), (1, 1));
    let failures: HashMap<LoginOutcome, u64> = report.failures.iter().copied().collect();
    let expected = [(LoginOutcome::WrongPassword, 10), (LoginOutcome::Locked, 1)];
    assert_eq!(failures, HashMap::from(expected));
    assert_eq!((report.new_users, report.locked_users), (1, 0));
    assert_eq!(report.new_countries, Vec::<String>::new());

    let all: Vec<MailId> = office.mails().await.iter().map(|mail| mail.id).collect();
    let received = office.arrived(&all).await;
    let text_to = |to: &str| {
        let is_it = |one: &&Received| one.envelope.to == [to] && one.text().contains("New users:      2");
        received
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no report to {to}"))
            .text()
            .to_owned()
    };
    let (owners, anns) = (text_to("owner@example.org"), text_to("ann@example.org"));
    for said in [
        "Sign-ins:       6, by 2 users",
        "Refused:        6",
        "dora",
        "carol",
        "Portugal",
    ] {
        assert!(owners.contains(said), "{said}: {owners}");
    }
    for withheld in ["dora", "emil", "carol"] {
        assert!(!anns.contains(withheld), "{anns}");
    }
}

async fn disable(office: &Office, user: &User) {
    let owner = office.gateway.sign_in("owner@acme").await;
    let id = doorward::graphql::node_id::encode(user.id).to_string();
    let payload = owner
        .mutate("disableUser", json!({ "id": id }), "user { status }")
        .await;
    assert_eq!(payload["user"]["status"], "DISABLED", "{payload}");
}

async fn what_was_missed_is_made_up_for(backend: Backend) {
    let office = Office::start(backend).await;
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    let acme = office.account("acme", "Asia/Kolkata").await;
    let ann = office
        .reader(&acme, "ann", |new| new.notifications.weekly_reports = Some(true))
        .await;
    let mut saturday = plus(today(&office, &zone), 8);
    while saturday.weekday() != Weekday::Saturday {
        saturday = plus(saturday, 1);
    }
    office.go_to(local(saturday, 8, 0, 0, &zone));
    office.look().await;
    let friday = plus(saturday, -1);
    let is_new = |report: &Report| report.first_day > friday || report.period == ReportKind::Weekly;
    let begun = office.gateway.now();

    // No process looks until Tuesday; each day has sign-ins of its own.
    for (n, days) in (1..=3).zip(0..) {
        office.go_to(local(plus(saturday, days), 12, 0, 0, &zone));
        for _ in 0..n {
            office.sign_in_from(&ann, "IN").await;
            office.gateway.wait(Duration::from_millis(1));
        }
    }
    office.go_to(local(plus(saturday, 3), 10, 0, 0, &zone));
    office.look().await;
    office.look().await;
    let reports = office.reports().await;
    let made_up: Vec<_> = reports
        .iter()
        .filter(|(_, at, report)| *at > begun && is_new(report))
        .map(|(_, _, report)| (report.period, report.first_day, report.last_day, report.succeeded))
        .collect();
    let day = |days| plus(saturday, days);
    let expected = [
        (ReportKind::Daily, day(0), day(0), 1),
        (ReportKind::Daily, day(1), day(1), 2),
        (ReportKind::Daily, day(2), day(2), 3),
        (ReportKind::Weekly, day(-5), day(1), 3),
    ];
    assert_eq!(made_up, expected);
    let all: Vec<MailId> = office.mails().await.iter().map(|mail| mail.id).collect();
    office.arrived(&all).await;
}

async fn an_expiring_password_is_warned_of_four_times(backend: Backend) {
    // Nobody signs in, so nothing is asked of it.
    let section = json!({
        "servers": ["ldap://127.0.0.1:1"], "allow_plaintext": true, "base": ["dc=example,dc=org"],
        "bind_dn": "cn=reader,dc=example,dc=org", "bind_password": "reader",
    });
    let with_directory = |config: &mut Config| {
        config
            .directories
            .insert("corp".to_owned(), serde_json::from_value(section).unwrap());
    };
    let office = Office::start_with(backend, with_directory).await;
    let in_directory = |account: &mut doorward::service::AccountInput| account.directory = Some("corp".to_owned());
    let acme = office.gateway.account_with("acme", in_directory).await;
    let start = plus(today(&office, &TimeZone::UTC), 1);
    let last = plus(start, 20);
    let at = |day: Date, hour| local(day, hour, 0, 0, &TimeZone::UTC);
    for (login, expiry, wants_notices) in [
        ("early", at(last, 7), true),
        ("late", at(last, 12), true),
        ("deaf", at(last, 12), false),
        ("far", at(plus(last, 16), 7), true),
    ] {
        let ldap = |new: &mut NewUser| {
            (new.password, new.is_ldap) = (None, true);
            new.email = Some(format!("{login}@example.org"));
            new.notifications.security_notices = Some(wants_notices);
        };
        let user = office.gateway.user_with(&acme, login, ldap).await;
        office.expires(&user, expiry).await;
    }
    for days in 0..=21 {
        for hour in [8, 9] {
            office.go_to(at(plus(start, days), hour));
            office.look().await;
        }
    }
    let mut warnings: Vec<(String, Date, u32)> = Vec::new();
    for mail in office.mails().await {
        let Matter::PasswordExpires { days, .. } = mail.content.matter else {
            continue;
        };
        let on = mail.created_at.to_zoned_datetime(TimeZone::UTC).date();
        warnings.push((mail.to.as_str().to_owned(), on, days));
    }
    warnings.sort();
    let expected = [
        ("early", -14, 14),
        ("early", -7, 7),
        ("early", -3, 3),
        ("early", -1, 1),
        ("late", -13, 14),
        ("late", -6, 7),
        ("late", -2, 3),
        ("late", 0, 1),
    ];
    let expected = expected.map(|(who, on, days)| (format!("{who}@example.org"), plus(last, on), days));
    assert_eq!(warnings, expected);
}
