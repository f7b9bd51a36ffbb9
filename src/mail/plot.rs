//! The plot of a report: sign-ins as stacked bars, over the hours of a day or the days of a week.
//!
//! Only digits are drawn, so that it is the same in every language; what the colours mean is said in the text around it.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder, Rgb, RgbImage};

use super::words;
use crate::domain::mail::{Report, ReportKind};

/// Twice the size at which it is shown, for fine screens.
const WIDTH: u32 = 1120;
const HEIGHT: u32 = 360;
/// The space around the bars, for the numbers.
const LEFT: u32 = 110;
const RIGHT: u32 = 20;
const TOP: u32 = 30;
const BOTTOM: u32 = 50;
/// A digit's dot, in pixels.
const DOT: u32 = 3;

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([75, 85, 99]);
const GRID: Rgb<u8> = Rgb([226, 230, 235]);
/// Blue and orange: told apart by everybody, also by those who see no difference between red and green.
const SUCCEEDED: Rgb<u8> = Rgb([31, 95, 191]);
const FAILED: Rgb<u8> = Rgb([230, 126, 34]);

/// The plot as a PNG; the same report always gives the same picture.
pub(super) fn png(report: &Report, time_zone: &str) -> image::ImageResult<Vec<u8>> {
    let picture = draw(report, time_zone);
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::NoFilter).write_image(
        picture.as_raw(),
        WIDTH,
        HEIGHT,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(bytes.into_inner())
}

fn draw(report: &Report, time_zone: &str) -> RgbImage {
    let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, PAPER);
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let highest = report.bars.iter().map(|bar| bar.succeeded + bar.failed).max();
    let top = round_up(highest.unwrap_or_default());
    let pixels = |count: u64| -> u32 {
        let share = u128::from(count) * u128::from(height) / u128::from(top);
        // What is there at all is seen.
        u32::try_from(share).unwrap_or(height).max(u32::from(count > 0) * 2)
    };
    let ground = TOP + height;
    for (value, y) in [(0, ground), (top / 2, ground - height / 2), (top, TOP)] {
        rectangle(&mut picture, (LEFT, y), (width, 2), GRID);
        let text = value.to_string();
        let text_width = width_of(&text);
        write(
            &mut picture,
            &text,
            (LEFT.saturating_sub(text_width + 14), y.saturating_sub(10)),
        );
    }
    let count = u32::try_from(report.bars.len()).unwrap_or(u32::MAX).max(1);
    let zone = words::zone(time_zone);
    for (bar, index) in report.bars.iter().zip(0_u32..) {
        let from = LEFT + width * index / count;
        let slot = (width / count).max(1);
        let thick = (slot * 7 / 10).clamp(1, 80);
        let x = from + (slot - thick.min(slot)) / 2;
        let (good, bad) = (pixels(bar.succeeded), pixels(bar.failed));
        let good_top = ground.saturating_sub(good).max(TOP);
        let bad_top = good_top.saturating_sub(bad).max(TOP);
        rectangle(&mut picture, (x, good_top), (thick, ground - good_top), SUCCEEDED);
        rectangle(&mut picture, (x, bad_top), (thick, good_top - bad_top), FAILED);
        let start = bar.start.to_zoned_datetime(zone.clone());
        let (label, is_shown) = match report.period {
            ReportKind::Daily => (start.hour(), index % 3 == 0),
            ReportKind::Weekly => (start.day(), true),
        };
        if is_shown {
            let text = label.to_string();
            let middle = from + slot / 2;
            write(
                &mut picture,
                &text,
                (middle.saturating_sub(width_of(&text) / 2), ground + 16),
            );
        }
    }
    picture
}

/// The least of 2, 4, 6, 8, 10, 20, 40, 60 … that is not less: half of it is a whole number, too.
fn round_up(count: u64) -> u64 {
    let mut ten = 1_u64;
    loop {
        for step in [2, 4, 6, 8, 10] {
            let top = ten.saturating_mul(step);
            if top >= count {
                return top;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

fn rectangle(picture: &mut RgbImage, (left, top): (u32, u32), (width, height): (u32, u32), colour: Rgb<u8>) {
    for y in top..(top + height).min(HEIGHT) {
        for x in left..(left + width).min(WIDTH) {
            picture.put_pixel(x, y, colour);
        }
    }
}

fn width_of(digits: &str) -> u32 {
    u32::try_from(digits.len()).unwrap_or_default() * 6 * DOT
}

/// Writes digits, from their upper left corner on.
fn write(picture: &mut RgbImage, digits: &str, (left, top): (u32, u32)) {
    for (digit, index) in digits.chars().filter_map(|c| c.to_digit(10)).zip(0_u32..) {
        let Some(rows) = usize::try_from(digit).ok().and_then(|digit| DIGITS.get(digit)) else {
            continue;
        };
        for (row, y) in rows.iter().zip(0_u32..) {
            for x in (0..5).filter(|x| row >> (4 - x) & 1 == 1) {
                let at = (left + (index * 6 + x) * DOT, top + y * DOT);
                rectangle(picture, at, (DOT, DOT), INK);
            }
        }
    }
}

/// Digits of five by seven dots; a row's bits are its dots, the leftmost first.
const DIGITS: [[u8; 7]; 10] = [
    [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
];
