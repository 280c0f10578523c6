//! Times of phases as a table with bars.

use std::time::Duration;

use migration::journal::PhaseTimes;

use crate::{out, ui};

/// Columns of the longest bar.
const WIDTH: f64 = 20.0;

/// A line for each phase; the bar is how long the last run took in it.
pub fn print(phases: &[PhaseTimes]) {
    let block = if has_blocks() { '█' } else { '#' };
    let longest = phases.iter().map(|phase| phase.last).fold(0.0, f64::max);
    let name = phases.iter().map(|phase| phase.phase.chars().count()).max();
    let name = name.unwrap_or_default().max("phase".len());
    out!(
        "{:<name$}  {:>5}  {:>11}  {:>11}  {:>11}",
        "phase",
        "runs",
        "median",
        "p95",
        "last"
    );
    for phase in phases {
        let slower = phase
            .slower()
            .map_or(String::new(), |times| format!("  {times:.1} times the median"));
        out!(
            "{:<name$}  {:>5}  {:>11}  {:>11}  {:>11}  {}{slower}",
            phase.phase,
            phase.runs,
            time(phase.median),
            time(phase.p95),
            time(phase.last),
            bar(block, phase.last, longest),
        );
    }
}

fn time(milliseconds: f64) -> String {
    ui::time(Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default())
}

/// Whether the terminal draws blocks: by the locale, and not where plain text is asked for.
fn has_blocks() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let is_utf8 = locale.is_some_and(|locale| locale.to_ascii_uppercase().replace('-', "").contains("UTF8"));
    is_utf8 && set("NO_COLOR").is_none()
}

/// Blocks for a part of the longest; whatever took time at all has one.
fn bar(block: char, part: f64, longest: f64) -> String {
    let mut text = String::new();
    let mut filled = 0.5;
    while longest > 0.0 && part > 0.0 && (filled < part / longest * WIDTH || text.is_empty()) {
        text.push(block);
        filled += 1.0;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_the_times() {
        assert_eq!(bar('#', 10.0, 10.0).len(), 20);
        assert_eq!(bar('#', 5.0, 10.0).len(), 10);
        assert_eq!(bar('#', 0.01, 10.0).len(), 1);
        assert_eq!(bar('#', 0.0, 10.0), "");
        assert_eq!(bar('#', 0.0, 0.0), "");
    }
}
