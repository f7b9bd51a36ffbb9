//! The plot of a report.

use image::RgbImage;

use super::*;
use crate::domain::mail::{Report, ReportBar};

const BLUE: [u8; 3] = [31, 95, 191];
const ORANGE: [u8; 3] = [230, 126, 34];

fn report(name: &str) -> Report {
    match samples::sample(name, Language::En).unwrap().mail.content.matter {
        Matter::Report(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn picture(report: &Report) -> RgbImage {
    let bytes = plot::png(report, "Europe/Riga").unwrap();
    assert_eq!(bytes, plot::png(report, "Europe/Riga").unwrap(), "the same each time");
    image::load_from_memory(&bytes).unwrap().to_rgb8()
}

/// How many pixels of a colour there are between two columns.
fn count(picture: &RgbImage, colour: [u8; 3], columns: std::ops::Range<u32>) -> usize {
    let within = |x: u32| columns.contains(&x);
    picture
        .enumerate_pixels()
        .filter(|(x, _, pixel)| within(*x) && pixel.0 == colour)
        .count()
}

#[test]
fn bars_are_as_high_as_their_counts() {
    let mut report = report("report_weekly");
    for (bar, (succeeded, failed)) in
        report
            .bars
            .iter_mut()
            .zip([(100, 0), (50, 50), (0, 100), (0, 0), (25, 0), (1, 0), (0, 1)])
    {
        (bar.succeeded, bar.failed) = (succeeded, failed);
    }
    let picture = picture(&report);
    let slot = (picture.width() - 130) / 7;
    let of = |day: u32, colour| count(&picture, colour, 110 + slot * day..110 + slot * (day + 1));
    let full = of(0, BLUE);
    assert!(full > 10_000, "{full}");
    assert_eq!(of(0, ORANGE), 0);
    assert_eq!((of(1, BLUE), of(1, ORANGE)), (full / 2, full / 2));
    assert_eq!((of(2, BLUE), of(2, ORANGE)), (0, full));
    assert_eq!((of(3, BLUE), of(3, ORANGE)), (0, 0));
    assert_eq!(of(4, BLUE), full / 4);
    assert!(of(5, BLUE) > 0 && of(6, ORANGE) > 0, "one is seen beside a hundred");
}

#[test]
fn a_plot_is_drawn_of_anything() {
    let mut report = report("report_daily");
    report.bars.clear();
    assert_eq!(count(&picture(&report), BLUE, 0..2000), 0);
    report.bars = vec![ReportBar {
        start: jiff::Timestamp::UNIX_EPOCH,
        succeeded: u64::from(u32::MAX),
        failed: 1,
    }];
    assert!(count(&picture(&report), BLUE, 0..2000) > 0);
    report.bars = vec![report.bars[0].clone(); 5000];
    assert!(count(&picture(&report), BLUE, 0..2000) > 0);
}
