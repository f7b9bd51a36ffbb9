//! How far each target is reached, as a bar plot in SVG.

use std::fmt::Write as _;

use crate::table::{Row, figure};

const WIDTH: f64 = 900.0;
const LINE: f64 = 26.0;
/// Where bars begin.
const LEFT: f64 = 330.0;
/// How long a bar is that just reaches its target.
const UNIT: f64 = 170.0;
/// Longer ones are cut, so that the others can be told apart.
const LONGEST: f64 = 2.2;

/// The plot of all rows that have a target.
pub fn svg(rows: &[Row], caption: &str) -> String {
    let bars: Vec<_> = rows.iter().filter_map(|row| Some((row, row.reached()?))).collect();
    let height = LINE * (bars.len() as f64 + 3.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>Targets and how far they are reached</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (place, (row, reached)) in bars.iter().enumerate() {
        let y = LINE * (place as f64 + 1.0);
        let length = UNIT * reached.min(LONGEST);
        let colour = if *reached >= 1.0 { "#2e7d5b" } else { "#b3402a" };
        let name = match &row.theirs {
            Some((theirs, _)) => format!("{} / {theirs}", row.name),
            None => row.name.clone(),
        };
        let value = row.ratio().map_or_else(
            || format!("{} {}", figure(row.ours), row.unit),
            |ratio| format!("{ratio:.2} x"),
        );
        let middle = y + LINE / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{middle}\">{}</text>",
            LEFT - 10.0,
            escaped(&name),
            y - 2.0,
            LINE - 10.0,
            // Not across the line that marks the target.
            LEFT + length.max(UNIT) + 8.0,
            escaped(&format!("{value} (target {})", row.target())),
        );
    }
    let (x, bottom) = (LEFT + UNIT, LINE * (bars.len() as f64 + 1.0));
    let _ = writeln!(
        svg,
        "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"black\" stroke-dasharray=\"4 3\"/>\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">target</text>\
         <text x=\"10\" y=\"{}\" font-size=\"11\">{}</text>\n</svg>",
        LINE * 0.8,
        LINE * 0.6,
        bottom + LINE,
        escaped(caption),
    );
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
