//! What was measured, as a table.

use std::fmt::Write as _;

/// What is asked of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At least so many times the comparison's figure.
    RatioAtLeast(f64),
    /// At most so many times the comparison's figure.
    RatioAtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// What it would be held against does not take part; says what that is.
    NotCompared(&'static str),
}

/// One measurement.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// Of both figures.
    pub unit: &'static str,
    /// Doorward's figure.
    pub ours: f64,
    /// What it is compared to, and its figure.
    pub theirs: Option<(String, f64)>,
    /// What is asked.
    pub target: Target,
}

impl Row {
    /// A figure against another one.
    pub fn against(name: &str, unit: &'static str, ours: f64, theirs: (&str, f64), target: Target) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            ours,
            theirs: Some((theirs.0.to_owned(), theirs.1)),
            target,
        }
    }

    /// A figure that stands for itself.
    pub fn alone(name: &str, unit: &'static str, ours: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            ours,
            theirs: None,
            target,
        }
    }

    /// Doorward's figure by the other one.
    pub fn ratio(&self) -> Option<f64> {
        self.theirs.as_ref().map(|(_, theirs)| self.ours / theirs)
    }

    /// How far the target is reached: 1 just so, more is better.
    pub fn reached(&self) -> Option<f64> {
        match self.target {
            Target::RatioAtLeast(least) => self.ratio().map(|ratio| ratio / least),
            Target::RatioAtMost(most) => self.ratio().map(|ratio| most / ratio),
            Target::AtLeast(least) => Some(self.ours / least),
            // Nothing at all is within every bound, none included.
            Target::AtMost(_) if self.ours == 0.0 => Some(f64::INFINITY),
            Target::AtMost(most) => Some(most / self.ours),
            Target::NotCompared(_) => None,
        }
    }

    /// Whether the target is met; `None`: not compared.
    pub fn met(&self) -> Option<bool> {
        // A figure that is no number meets nothing.
        self.reached().map(|reached| reached >= 1.0)
    }

    /// The target in words.
    pub fn target(&self) -> String {
        match self.target {
            Target::RatioAtLeast(least) => format!(">= {least} x"),
            Target::RatioAtMost(most) => format!("<= {most} x"),
            Target::AtLeast(least) => format!(">= {} {}", figure(least), self.unit),
            Target::AtMost(most) => format!("<= {} {}", figure(most), self.unit),
            Target::NotCompared(why) => why.to_owned(),
        }
    }
}

/// The table.
pub fn text(rows: &[Row]) -> String {
    let mut cells = vec![["row", "Doorward", "compared to", "ratio", "target", "met"].map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let theirs = row.theirs.as_ref();
        [
            row.name.clone(),
            format!("{} {}", figure(row.ours), row.unit),
            theirs.map_or_else(String::new, |(name, theirs)| {
                format!("{name}: {} {}", figure(*theirs), row.unit)
            }),
            row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2} x")),
            row.target(),
            match row.met() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "not compared",
            }
            .to_owned(),
        ]
    }));
    let widths: [usize; 6] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &cells {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// With about three digits that count.
pub fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
