//! What the templates are filled with: everything that was anybody's input is one clean line, or clean lines.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use minijinja::value::{Rest, Value};
use minijinja::{Error, ErrorKind, context};

use super::branding::{Branding, Logo};
use super::templates::LinkText;
use super::text::{clean_line, clean_text};
use super::words;
use crate::domain::account::Language;
use crate::domain::login_event::EventOrigin;
use crate::domain::mail::{MailContent, Matter, Reader, Report, ReportKind};

/// The longest name, login or title that is shown, in characters.
const MAX_NAME: usize = 200;

/// The longest text of an alert, in characters.
const MAX_BODY: usize = 50_000;

/// The plot's Content-ID, less its host.
pub(super) const PLOT_CID: &str = "plot";

/// How moments and numbers are written for one reader.
struct Writer {
    language: Language,
    zone: TimeZone,
}

/// The values of one message. `cid` gives the whole Content-ID of a picture that is sent along.
pub(super) fn values(
    content: &MailContent,
    language: Language,
    branding: &Branding,
    link: Option<&LinkText>,
    cid: &dyn Fn(&str) -> String,
) -> Value {
    let writer = Writer {
        language,
        zone: words::zone(&content.reader.time_zone),
    };
    let link = link.map(|link| {
        context! {
            url => &link.url,
            until => writer.moment(link.expires_at),
        }
    });
    context! {
        language => words::code(language),
        brand => brand(branding, language, cid),
        reader => reader(&content.reader),
        link => link,
        plural => plural(language),
        number => Value::from_function(move |n: u64| words::number(language, n)),
        ..writer.matter(&content.matter, cid)
    }
}

fn brand(branding: &Branding, language: Language, cid: &dyn Fn(&str) -> String) -> Value {
    let logo = branding.logo.as_ref().map(|logo| match logo {
        Logo::Url(url) => url.clone(),
        Logo::Embedded(image) => format!("cid:{}", cid(&image.cid)),
    });
    let support_url = branding.support.as_ref().map(|support| {
        if support.contains("://") {
            support.clone()
        } else {
            format!("mailto:{support}")
        }
    });
    context! {
        product => &branding.product,
        colour => branding.colour.to_string(),
        on_colour => branding.colour.text_on_it(),
        logo => logo,
        support => &branding.support,
        support_url => support_url,
        footer => branding.footer(language),
    }
}

fn reader(reader: &Reader) -> Value {
    let name = format!("{} {}", reader.first_name, reader.last_name);
    context! {
        first_name => clean_line(&reader.first_name, MAX_NAME),
        last_name => clean_line(&reader.last_name, MAX_NAME),
        name => clean_line(&name, MAX_NAME),
        login => clean_line(&reader.login, MAX_NAME),
        account => clean_line(&reader.account_title, MAX_NAME),
    }
}

/// `plural(n, "day", "days")`, `plural(n, "день", "дня", "дней")`: the noun that goes with the number.
fn plural(language: Language) -> Value {
    Value::from_function(move |n: u64, forms: Rest<String>| {
        let wanted = words::forms(language);
        if forms.len() != wanted {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("plural takes a number and {wanted} forms of a noun in this language"),
            ));
        }
        Ok(forms[words::form(language, n)].clone())
    })
}

impl Writer {
    fn moment(&self, at: jiff::Timestamp) -> String {
        words::moment(self.language, at, &self.zone)
    }

    /// Who did something, in words.
    fn who(&self, by: &str) -> String {
        if by.is_empty() {
            words::administrator(self.language).to_owned()
        } else {
            clean_line(by, MAX_NAME)
        }
    }

    fn matter(&self, matter: &Matter, cid: &dyn Fn(&str) -> String) -> Value {
        match matter {
            Matter::Access { by, .. } => context! { by => self.who(by) },
            Matter::PasswordReset { origin, .. } => context! { origin => self.origin(origin) },
            Matter::PasswordChanged { at, by, origin } | Matter::AddressChanged { at, by, origin } => context! {
                at => self.moment(*at),
                by => by.as_ref().map(|by| self.who(by)),
                origin => origin.as_ref().map(|origin| self.origin(origin)),
            },
            Matter::LockedOut { at, minutes, origin } => context! {
                at => self.moment(*at),
                duration => words::duration(self.language, *minutes),
                origin => self.origin(origin),
            },
            Matter::NewSignIn {
                at,
                origin,
                new_browser,
                new_country,
            } => context! {
                at => self.moment(*at),
                origin => self.origin(origin),
                new_browser => new_browser,
                new_country => new_country,
            },
            Matter::AccessChanged {
                at,
                by,
                gained,
                lost,
                master,
            } => {
                let names =
                    |names: &[String]| -> Vec<String> { names.iter().map(|name| clean_line(name, MAX_NAME)).collect() };
                context! {
                    at => self.moment(*at),
                    by => self.who(by),
                    gained => names(gained),
                    lost => names(lost),
                    master => master,
                }
            }
            Matter::Impersonated {
                at,
                by,
                reason,
                minutes,
                read_only,
            } => context! {
                at => self.moment(*at),
                by => clean_line(by, MAX_NAME),
                reason => clean_line(reason, 1000),
                duration => words::duration(self.language, *minutes),
                read_only => read_only,
            },
            Matter::PasswordExpires { at, days } => context! { at => self.moment(*at), days => days },
            Matter::Alert { alert, subject, body } => context! {
                kind => words::alert(self.language, *alert),
                title => clean_line(subject, super::templates::MAX_SUBJECT),
                body => clean_text(body, MAX_BODY),
            },
            Matter::Report(report) => self.report(report, cid),
        }
    }

    fn origin(&self, origin: &EventOrigin) -> Value {
        let place = origin.location.as_ref().and_then(|location| {
            let translated = match self.language {
                Language::En => None,
                Language::Ru => location
                    .country_code
                    .as_deref()
                    .and_then(|code| words::country(Language::Ru, code)),
            };
            let country = translated.or(location.country.as_deref());
            let parts: Vec<&str> = location.city.as_deref().into_iter().chain(country).collect();
            (!parts.is_empty()).then(|| clean_line(&parts.join(", "), MAX_NAME))
        });
        let line = |text: Option<&str>| text.map(|text| clean_line(text, MAX_NAME));
        context! {
            ip => origin.ip.to_string(),
            place => place,
            browser => line(origin.browser.as_deref()),
            system => line(origin.operating_system.as_deref()),
            device => line(origin.device.as_deref()),
        }
    }

    fn report(&self, report: &Report, cid: &dyn Fn(&str) -> String) -> Value {
        let language = self.language;
        let lines =
            |logins: &[String]| -> Vec<String> { logins.iter().map(|login| clean_line(login, MAX_NAME)).collect() };
        let more = |all: u64, some: &[String]| all.saturating_sub(some.len() as u64);
        let failures: Vec<Value> = report
            .failures
            .iter()
            .map(|(outcome, count)| context! { reason => words::outcome(language, *outcome), count => count })
            .collect();
        let bars: Vec<Value> = report
            .bars
            .iter()
            .filter(|bar| bar.succeeded + bar.failed > 0)
            .map(|bar| {
                let start = bar.start.to_zoned_datetime(self.zone.clone());
                let label = match report.period {
                    ReportKind::Daily => format!("{:02}:{:02}", start.hour(), start.minute()),
                    ReportKind::Weekly => words::short_day(language, start.date()),
                };
                context! { label => label, succeeded => bar.succeeded, failed => bar.failed }
            })
            .collect();
        let countries: Vec<String> = report
            .new_countries
            .iter()
            .map(|code| words::country(language, code).map_or_else(|| clean_line(code, 2), str::to_owned))
            .collect();
        let period = |first: Date, last: Date| words::period(language, first, last);
        context! {
            weekly => report.period == ReportKind::Weekly,
            period => period(report.first_day, report.last_day),
            succeeded => report.succeeded,
            unique_users => report.unique_users,
            failures => failures,
            failed => report.failures.iter().map(|(_, count)| count).sum::<u64>(),
            new_users => report.new_users,
            new_logins => lines(&report.new_logins),
            more_new => more(report.new_users, &report.new_logins),
            locked_users => report.locked_users,
            locked_logins => lines(&report.locked_logins),
            more_locked => more(report.locked_users, &report.locked_logins),
            new_countries => countries,
            bars => bars,
            plot => format!("cid:{}", cid(PLOT_CID)),
        }
    }
}
