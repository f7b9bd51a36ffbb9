//! When which report is due.

use jiff::civil::{Date, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::domain::account::Account;
use crate::domain::mail::ReportKind;

/// The most reports that are made up for: a week of days, a month of weeks.
const MISSED_DAYS: i32 = 7;
const MISSED_WEEKS: i32 = 4;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// Daily or weekly.
    pub(super) kind: ReportKind,
    /// Its first day.
    pub(super) first_day: Date,
    /// Its last day.
    pub(super) last_day: Date,
    /// Where its first day begins.
    pub(super) from: Timestamp,
    /// Where the day after its last one begins.
    pub(super) until: Timestamp,
}

/// The reports of an account that are due at `now`, oldest first, when `last` was the last that was filed. A day is reported
/// at eight the next morning, by the clock of the account's time zone; a week, Monday to Sunday, on the Monday after it. An
/// account that never had a report gets the latest one only, and none about a time before it was made.
pub(super) fn due(account: &Account, kind: ReportKind, last: Option<Date>, now: Timestamp) -> Vec<Period> {
    // A zone that was known when the account was made may be gone from the system's database.
    let zone = TimeZone::get(&account.time_zone).unwrap_or(TimeZone::UTC);
    periods(kind, &zone, account.created_at, last, now).unwrap_or_default()
}

/// `None` at the end of the calendar.
fn periods(
    kind: ReportKind,
    zone: &TimeZone,
    created_at: Timestamp,
    last: Option<Date>,
    now: Timestamp,
) -> Option<Vec<Period>> {
    let created = created_at.to_zoned_datetime(zone.clone()).date();
    let (length, most) = match kind {
        ReportKind::Daily => (1, MISSED_DAYS),
        ReportKind::Weekly => (7, MISSED_WEEKS),
    };
    let latest = latest(kind, zone, now)?;
    let earliest = match last {
        Some(last) => last
            .checked_add(length.days())
            .ok()?
            .max(latest.checked_sub(((most - 1) * length).days()).ok()?),
        None => latest,
    };
    let mut periods = Vec::new();
    let mut first_day = earliest;
    while first_day <= latest {
        let next = first_day.checked_add(length.days()).ok()?;
        if next > created {
            periods.push(Period {
                kind,
                first_day,
                last_day: next.yesterday().ok()?,
                from: first_day.to_zoned_datetime(zone.clone()).ok()?.timestamp(),
                until: next.to_zoned_datetime(zone.clone()).ok()?.timestamp(),
            });
        }
        first_day = next;
    }
    Some(periods)
}

/// The first day of the latest period whose report is due.
fn latest(kind: ReportKind, zone: &TimeZone, now: Timestamp) -> Option<Date> {
    let mut today = now.to_zoned_datetime(zone.clone()).date();
    // Where the clock jumps over eight, the moment after the jump.
    let eight = today
        .to_datetime(time(8, 0, 0, 0))
        .to_zoned_datetime(zone.clone())
        .ok()?
        .timestamp();
    if now < eight {
        today = today.yesterday().ok()?;
    }
    match kind {
        ReportKind::Daily => today.yesterday().ok(),
        ReportKind::Weekly => {
            let since_monday = i32::from(today.weekday().since(Weekday::Monday));
            today.checked_sub((since_monday + 7).days()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_days(kind: ReportKind, zone: &str, last: Option<&str>, now: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let created = "2026-01-01T12:00:00Z".parse().unwrap();
        let periods = periods(
            kind,
            &zone,
            created,
            last.map(|day| day.parse().unwrap()),
            now.parse().unwrap(),
        );
        periods
            .unwrap()
            .iter()
            .map(|period| period.first_day.to_string())
            .collect()
    }

    #[test]
    fn a_day_is_reported_at_eight_the_next_morning_of_its_zone() {
        let days = |last, now| first_days(ReportKind::Daily, "Europe/Berlin", last, now);
        assert_eq!(days(Some("2026-03-26"), "2026-03-28T06:59:59Z"), Vec::<String>::new());
        assert_eq!(days(Some("2026-03-26"), "2026-03-28T07:00:00Z"), ["2026-03-27"]);
        // The clocks go forward on the 29th: eight is an hour earlier.
        assert_eq!(days(Some("2026-03-27"), "2026-03-29T05:59:59Z"), Vec::<String>::new());
        assert_eq!(days(Some("2026-03-27"), "2026-03-29T06:00:00Z"), ["2026-03-28"]);
        // And back on 25 October.
        assert_eq!(days(Some("2026-10-23"), "2026-10-25T06:59:59Z"), Vec::<String>::new());
        assert_eq!(days(Some("2026-10-23"), "2026-10-25T07:00:00Z"), ["2026-10-24"]);
    }

    #[test]
    fn the_day_of_a_change_is_as_long_as_it_is() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let created = "2026-01-01T12:00:00Z".parse().unwrap();
        let last = Some("2026-03-28".parse().unwrap());
        let now = "2026-03-30T06:00:00Z".parse().unwrap();
        let periods = periods(ReportKind::Daily, &zone, created, last, now).unwrap();
        assert_eq!(periods.len(), 1);
        assert_eq!(periods[0].until.duration_since(periods[0].from).as_hours(), 23);
    }

    #[test]
    fn a_week_is_reported_on_monday() {
        let weeks = |last, now| first_days(ReportKind::Weekly, "Asia/Tokyo", last, now);
        assert_eq!(weeks(Some("2026-03-09"), "2026-03-22T22:59:59Z"), Vec::<String>::new());
        assert_eq!(weeks(Some("2026-03-09"), "2026-03-22T23:00:00Z"), ["2026-03-16"]);
        assert_eq!(weeks(Some("2026-03-16"), "2026-03-29T10:00:00Z"), Vec::<String>::new());
    }

    #[test]
    fn what_was_missed_is_made_up_for_within_bounds() {
        let days = |last, now| first_days(ReportKind::Daily, "UTC", last, now);
        assert_eq!(
            days(Some("2026-03-01"), "2026-03-05T09:00:00Z"),
            ["2026-03-02", "2026-03-03", "2026-03-04"]
        );
        assert_eq!(days(Some("2026-02-01"), "2026-03-05T09:00:00Z").len(), 7);
        assert_eq!(days(None, "2026-03-05T09:00:00Z"), ["2026-03-04"]);
        assert_eq!(days(None, "2026-01-02T09:00:00Z"), ["2026-01-01"]);
        assert_eq!(days(None, "2026-01-01T23:00:00Z"), Vec::<String>::new());
    }
}
