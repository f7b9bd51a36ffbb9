//! How long a refusal is held back, so that its time tells less than the work behind it took.

use std::time::Duration;

/// How long to wait after that much work until a refusal is told: until the next whole multiple of `floor`, the first at
/// the earliest. A `floor` of zero: not at all.
///
/// This hides every difference between refusals whose work ends before the same multiple: one hash and one update more or
/// less, in the ordinary case, where all of them end before the first. Under load the work may take longer than that; then
/// the next multiple hides small differences as the first did, where telling at once would show them. What it cannot hide is
/// work that ends about a multiple, sometimes before and sometimes after: how often the later one is reached tells a
/// patient stranger something, so the floor belongs well above what the work takes. Nor does it hide what the work costs
/// the machine, and so other requests, or which floor an account has.
pub(super) fn rest(worked: Duration, floor: Duration) -> Duration {
    let (worked_nanos, floor_nanos) = (worked.as_nanos(), floor.as_nanos());
    if floor_nanos == 0 {
        return Duration::ZERO;
    }
    let multiples = worked_nanos.div_ceil(floor_nanos).max(1);
    // Less than what a Duration can hold: no more than the floor.
    let rest = multiples * floor_nanos - worked_nanos;
    Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_until_the_next_multiple() {
        let ms = Duration::from_millis;
        for (worked, floor, told) in [
            (0, 100, 100),
            (1, 100, 100),
            (99, 100, 100),
            (100, 100, 100),
            (101, 100, 200),
            (3050, 250, 3250),
        ] {
            assert_eq!(
                ms(worked) + rest(ms(worked), ms(floor)),
                ms(told),
                "{worked} of {floor}"
            );
        }
        let just_over = ms(100) + Duration::from_nanos(1);
        assert_eq!(just_over + rest(just_over, ms(100)), ms(200));
    }

    #[test]
    fn without_a_floor_nothing_is_held_back() {
        for worked in [Duration::ZERO, Duration::from_secs(7), Duration::MAX] {
            assert_eq!(rest(worked, Duration::ZERO), Duration::ZERO);
        }
    }

    #[test]
    fn no_time_is_too_long() {
        for floor in [Duration::from_nanos(1), Duration::from_secs(10), Duration::MAX] {
            assert!(rest(Duration::MAX, floor) <= floor);
            assert!(rest(Duration::ZERO, floor) <= floor);
        }
    }
}
