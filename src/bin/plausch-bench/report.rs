//! The figures of all runs, and the table that they become.

use std::collections::BTreeMap;

/// The groups of rows, in the table's order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Limits,
    Server,
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    Tls,
    Idle,
    Growth,
    Media,
    Ratios,
}

const SECTIONS: [(Section, &str); 7] = [
    (Section::Limits, "Limits of the machine, and Redis on it"),
    (Section::Server, "Server"),
    (Section::Tls, "TLS"),
    (Section::Idle, "At rest"),
    (Section::Growth, "Growth"),
    (Section::Media, "Media"),
    (Section::Ratios, "Ratios"),
];

#[derive(Clone, Copy)]
pub enum Unit {
    Rate,
    Millis,
    Seconds,
    Kib,
    Mib,
    /// A percentage, from a share of 1.
    Percent,
    Number,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::Rate => format!("{} /s", significant(value)),
            Unit::Millis => format!("{} ms", significant(value)),
            Unit::Seconds => format!("{} s", significant(value)),
            Unit::Kib => format!("{value:.1} KiB"),
            Unit::Mib => format!("{value:.2} MiB"),
            Unit::Percent => format!("{:.0} %", value * 100.0),
            Unit::Number => significant(value),
        }
    }
}

/// Three digits or the whole part, with commas.
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let digits = text.find('.').unwrap_or(text.len());
    let mut shown = String::new();
    for (index, letter) in text.chars().enumerate() {
        if index > 0 && index < digits && (digits - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(letter);
    }
    shown
}

#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Spread { median, min, max })
    }
}

#[derive(Default)]
pub struct Report {
    figures: BTreeMap<String, Vec<f64>>,
    rows: BTreeMap<Section, Vec<[String; 4]>>,
}

impl Report {
    pub fn add(&mut self, key: impl Into<String>, value: f64) {
        self.figures.entry(key.into()).or_default().push(value);
    }

    pub fn median(&self, key: &str) -> Option<f64> {
        Some(Spread::of(self.figures.get(key)?)?.median)
    }

    pub fn row(&mut self, section: Section, name: &str, key: &str, unit: Unit, remark: &str) {
        let spread = self.figures.get(key).and_then(|values| Spread::of(values));
        if let Some(spread) = spread {
            self.push(section, name, spread, unit, remark);
        }
    }

    pub fn absent(&mut self, section: Section, name: &str, why: &str) {
        let row = [name, "—", "", why].map(str::to_owned);
        self.rows.entry(section).or_default().push(row);
    }

    /// Adds a row for one figure divided by another, if both were measured. The spread is that of
    /// runs that were made in turns.
    pub fn ratio(&mut self, name: &str, over: &str, under: &str, goal: &str) {
        let (Some(overs), Some(unders)) = (self.figures.get(over), self.figures.get(under)) else {
            return;
        };
        let quotients: Vec<f64> = overs.iter().zip(unders).map(|(a, b)| a / b).collect();
        let medians = (
            Spread::of(overs),
            Spread::of(unders),
            Spread::of(&quotients),
        );
        if let (Some(over), Some(under), Some(mut spread)) = medians {
            spread.median = over.median / under.median;
            spread.min = spread.min.min(spread.median);
            spread.max = spread.max.max(spread.median);
            self.push(Section::Ratios, name, spread, Unit::Number, goal);
        }
    }

    /// "0.93 of Redis" and the like, for the last column.
    pub fn compare(&self, over: &str, under: &str, with: &str) -> String {
        match (self.median(over), self.median(under)) {
            (Some(over), Some(under)) => format!("{} of {with}", significant(over / under)),
            _ => String::new(),
        }
    }

    fn push(&mut self, section: Section, name: &str, spread: Spread, unit: Unit, remark: &str) {
        let median = unit.show(spread.median);
        let bare = |value| {
            let shown = unit.show(value);
            shown.split(' ').next().unwrap_or_default().to_owned()
        };
        let range = format!("{}–{}", bare(spread.min), bare(spread.max));
        let row = [name.to_owned(), median, range, remark.to_owned()];
        self.rows.entry(section).or_default().push(row);
    }

    pub fn table(&self) -> String {
        let head = ["", "median", "min–max", "compared"].map(str::to_owned);
        let mut rows = vec![head];
        for (section, title) in SECTIONS {
            if let Some(of_section) = self.rows.get(&section) {
                rows.push([
                    format!("**{title}**"),
                    String::new(),
                    String::new(),
                    String::new(),
                ]);
                rows.extend(of_section.iter().cloned());
            }
        }
        let mut widths = [3; 4];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let [a, b, c, d] = widths;
        let mut text = String::new();
        for (index, [name, median, range, remark]) in rows.iter().enumerate() {
            text.push_str(&format!(
                "| {name:a$} | {median:>b$} | {range:>c$} | {remark:d$} |\n"
            ));
            if index == 0 {
                let [a, b, c, d] = [a, b - 1, c - 1, d].map(|width| "-".repeat(width));
                text.push_str(&format!("| {a} | {b}: | {c}: | {d} |\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_or_all_of_their_whole_part() {
        let shown = [0.0123, 0.9996, 9.999, 99.96, 1234.5, 1_234_567.0].map(significant);
        assert_eq!(
            shown,
            ["0.012", "1.00", "10.0", "100", "1,234", "1,234,567"]
        );
    }

    #[test]
    fn a_ratio_is_that_of_medians_and_its_spread_that_of_runs() {
        let mut report = Report::default();
        for (a, b) in [(1.0, 2.0), (2.0, 2.0), (3.0, 4.0)] {
            report.add("a", a);
            report.add("b", b);
        }
        report.ratio("a of b", "a", "b", "");
        report.ratio("a of nothing", "a", "c", "");
        let table = report.table();
        assert!(table.contains("| a of b"), "{table}");
        assert!(table.contains("|   1.00 | 0.500–1.00 |"), "{table}");
        assert!(!table.contains("nothing"), "{table}");
    }
}
