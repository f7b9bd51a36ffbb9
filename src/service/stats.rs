//! Sign-ins counted by the hour or the day of an account's time zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};

use crate::domain::account::Account;
use crate::domain::role::Permission;
use crate::service::{Caller, ErrorCode, Problem, Result};
use crate::store::LoginCounts;

/// The most bars of one plot.
const MOST_BARS: usize = 1000;

/// The width of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// An hour.
    Hour,
    /// A day of the account's time zone; 23 or 25 hours when its clocks change.
    Day,
}

/// A bar of a plot of sign-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Where it begins.
    pub start: Timestamp,
    /// What happened in it.
    pub counts: LoginCounts,
}

impl Caller {
    /// How many sign-ins an account had from `from` until before `to`, in bars that begin with an hour or a day of its time
    /// zone; the first and the last hold no more than what lies between the two moments.
    ///
    /// # Errors
    /// A problem when the moments are the wrong way round or too far apart; [`Denied`](crate::access::Denied) without
    /// `history:read`; those of the store.
    pub async fn login_stats(
        &self,
        account: &Account,
        from: Timestamp,
        to: Timestamp,
        width: Width,
    ) -> Result<Vec<Bar>> {
        self.principal().permitted(Permission::HISTORY_READ, account.id)?;
        if from >= to {
            let message = "to must be later than from";
            return Err(Problem::at(&["to"], ErrorCode::Invalid, message).into());
        }
        // A zone that was known when the account was made may be gone from the system's database.
        let zone = TimeZone::get(&account.time_zone).unwrap_or(TimeZone::UTC);
        let Some(starts) = starts(from, to, width, &zone) else {
            let message = format!("from and to are over {MOST_BARS} bars apart; ask for fewer, or for wider ones");
            return Err(Problem::at(&["to"], ErrorCode::TooLong, message).into());
        };
        let begins = self.history_begins();
        let edges: Vec<Timestamp> = starts
            .iter()
            .map(|start| (*start).max(from))
            .chain([to])
            .map(|edge| edge.max(begins))
            .collect();
        let counts = self.store().login_stats(account.id, &edges).await?;
        let bars = starts.into_iter().zip(counts);
        Ok(bars.map(|(start, counts)| Bar { start, counts }).collect())
    }
}

/// Where the bars begin; `None` when they are too many.
pub(super) fn starts(from: Timestamp, to: Timestamp, width: Width, zone: &TimeZone) -> Option<Vec<Timestamp>> {
    let from = from.to_zoned_datetime(zone.clone());
    let mut start = match width {
        Width::Day => from.start_of_day().ok()?,
        Width::Hour => hour_of(&from)?,
    };
    let mut starts = Vec::new();
    while start.timestamp() < to {
        if starts.len() == MOST_BARS {
            return None;
        }
        starts.push(start.timestamp());
        start = match width {
            // By the calendar: the next midnight, or whatever the day begins with where there is none.
            Width::Day => start.checked_add(1.day()).ok()?.start_of_day().ok()?,
            // By the clock: an hour that comes twice makes two bars.
            Width::Hour => start.checked_add(1.hour()).ok()?,
        };
    }
    Some(starts)
}

/// The beginning of the hour on the wall's clock, at the same offset from UTC.
fn hour_of(moment: &ZonedDateTime) -> Option<ZonedDateTime> {
    let into = i64::from(moment.minute()) * 60 + i64::from(moment.second());
    let whole = moment.timestamp().checked_sub(into.seconds()).ok()?;
    let whole = Timestamp::from_second(whole.as_second()).ok()?;
    Some(whole.to_zoned_datetime(moment.time_zone().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn of(zone: &str, from: &str, to: &str, width: Width) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let starts = starts(at(from), at(to), width, &zone).unwrap();
        starts.into_iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn days_begin_at_midnight_of_the_zone_also_when_clocks_change() {
        assert_eq!(
            of(
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-30T22:00:00Z",
                Width::Day
            ),
            ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
            "the 29th has 23 hours"
        );
        assert_eq!(
            of(
                "Europe/Berlin",
                "2026-10-24T22:00:00Z",
                "2026-10-26T00:00:00Z",
                Width::Day
            ),
            ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
            "the 25th has 25 hours"
        );
    }

    #[test]
    fn hours_are_those_on_the_wall() {
        assert_eq!(
            of(
                "Asia/Kolkata",
                "2026-01-01T00:10:00Z",
                "2026-01-01T01:30:00Z",
                Width::Hour
            ),
            ["2025-12-31T23:30:00Z", "2026-01-01T00:30:00Z"]
        );
        // 02:00 to 03:00 comes twice.
        assert_eq!(
            of(
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-25T02:30:00Z",
                Width::Hour
            ),
            ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]
        );
    }

    #[test]
    fn a_plot_has_no_more_than_so_many_bars() {
        let (from, zone) = (at("2026-01-01T00:00:00Z"), TimeZone::UTC);
        let most = starts(from, from + 1000.hours(), Width::Hour, &zone).unwrap();
        assert_eq!(most.len(), MOST_BARS);
        assert_eq!(starts(from, from + 1001.hours(), Width::Hour, &zone), None);
        assert_eq!(starts(Timestamp::MIN, Timestamp::MAX, Width::Day, &zone), None);
    }
}
