//! Durations as bars, drawn in the page itself.

use maud::{Markup, html};

/// A bar.
pub(super) struct Bar {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// For the stylesheet: how it ended.
    pub class: &'static str,
    /// What is told of it.
    pub title: String,
    /// Where it leads.
    pub link: String,
}

const HEIGHT: f64 = 80.0;
const WIDTH: f64 = 10.0;
/// What can still be seen, and clicked.
const LEAST: f64 = 2.0;

/// The bars from left to right, the longest as high as the chart.
pub(super) fn bars(label: &str, bars: &[Bar]) -> Markup {
    let longest = bars.iter().map(|bar| bar.seconds).fold(f64::MIN_POSITIVE, f64::max);
    let placed = bars.iter().zip(0_u32..).map(|(bar, n)| {
        let height = (bar.seconds / longest * HEIGHT).max(LEAST);
        (bar, f64::from(n) * WIDTH, HEIGHT - height, height)
    });
    let width = f64::from(u32::try_from(bars.len()).unwrap_or(u32::MAX)) * WIDTH;
    html! {
        svg.chart role="img" aria-label=(label) viewBox=(format!("0 0 {width:.0} {HEIGHT:.0}")) preserveAspectRatio="none" {
            @for (bar, x, y, height) in placed {
                a href=(bar.link) {
                    rect class=(bar.class) x=(x + 1.0) y=(format!("{y:.1}")) width=(WIDTH - 2.0)
                        height=(format!("{height:.1}")) { title { (bar.title) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_as_high_as_the_chart() {
        let bar = |seconds| Bar {
            seconds,
            class: "good",
            title: String::new(),
            link: String::new(),
        };
        let chart = bars("x", &[bar(2.0), bar(1.0), bar(0.0)]).into_string();
        for height in ["80.0", "40.0", "2.0"] {
            assert!(chart.contains(&format!("height=\"{height}\"")), "{chart}");
        }
        assert!(bars("x", &[]).into_string().contains("viewBox=\"0 0 0 80\""));
    }
}
