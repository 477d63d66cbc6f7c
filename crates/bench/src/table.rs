//! The table that the bench prints: one row per figure, over all repetitions.

use std::borrow::Cow;
use std::fmt::Write;

/// One figure.
#[derive(Debug, Clone)]
struct Row {
    name: Cow<'static, str>,
    unit: &'static str,
    /// The figure should not exceed it.
    goal: Option<f64>,
    /// One for each repetition.
    values: Vec<f64>,
}

/// The rows, in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Notes a figure that has a goal.
    pub(crate) fn goal(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        unit: &'static str,
        goal: f64,
        value: f64,
    ) {
        self.push(name.into(), unit, Some(goal), value);
    }

    /// Notes a figure that stands beside those with goals.
    pub(crate) fn note(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        unit: &'static str,
        value: f64,
    ) {
        self.push(name.into(), unit, None, value);
    }

    fn push(&mut self, name: Cow<'static, str>, unit: &'static str, goal: Option<f64>, value: f64) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.values.push(value),
            None => self.rows.push(Row {
                name,
                unit,
                goal,
                values: vec![value],
            }),
        }
    }

    /// Writes the table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "| figure | unit | min | median | max | goal | |\n|---|---|---:|---:|---:|---:|---|\n",
        );
        for row in &self.rows {
            let mut values = row.values.clone();
            values.sort_by(f64::total_cmp);
            let (min, median, max) = (
                values[0],
                values[values.len() / 2],
                values[values.len() - 1],
            );
            let goal = row
                .goal
                .map_or_else(String::new, |goal| format!("≤ {}", short(goal)));
            let verdict = row
                .goal
                .map_or("", |goal| if median <= goal { "ok" } else { "missed" });
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {goal} | {verdict} |",
                row.name,
                row.unit,
                short(min),
                short(median),
                short(max),
            );
        }
        text
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        x if x >= 100.0 || x.fract() == 0.0 => 0,
        x if x >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// Returns the value below which this share (0 to 1) of the values lies; zero if there are none.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index between zero and the length"
    )]
    let at = (share * (values.len() - 1) as f64).round() as usize;
    values[at.min(values.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_its_spread_and_whether_the_goal_was_met() {
        let mut table = Table::default();
        for value in [3.0, 1.0, 2.5] {
            table.goal("fast", "µs", 2.6, value);
            table.goal("slow", "µs", 2.0, value);
            table.note("beside", "KiB", 1234.56);
        }
        let lines: Vec<String> = table
            .markdown()
            .lines()
            .skip(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(lines[0], "| fast | µs | 1 | 2.50 | 3 | ≤ 2.60 | ok |");
        assert_eq!(lines[1], "| slow | µs | 1 | 2.50 | 3 | ≤ 2 | missed |");
        assert_eq!(lines[2], "| beside | KiB | 1235 | 1235 | 1235 |  |  |");
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let mut values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile(&mut values, 0.5), 3.0);
        assert_eq!(quantile(&mut values, 0.99), 5.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
