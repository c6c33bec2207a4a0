//! Plots as SVG that fit any width: places are percentages, so that text and dots keep their size.

use maud::{Markup, html};

/// A scale from 0 to a round number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    top: f64,
    step: f64,
}

impl Scale {
    /// Holds `most` and has 2 to 5 steps of 1, 2 or 5 times a power of ten.
    pub(super) fn holding(most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let power = 10_f64.powf((most / 5.0).log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|factor| factor * power * 5.0 >= most);
        let step = factor.unwrap_or(10.0) * power;
        Self {
            top: (most / step).ceil() * step,
            step,
        }
    }

    /// The same for every plot that is compared with others.
    pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a f64>) -> Self {
        Self::holding(values.into_iter().copied().fold(0.0, f64::max))
    }

    fn ticks(self) -> Vec<f64> {
        let steps = (self.top / self.step).round() as u32;
        (0..=steps).map(|number| f64::from(number) * self.step).collect()
    }

    /// 0 to 100.
    fn percent(self, value: f64) -> f64 {
        (value / self.top * 100.0).clamp(0.0, 100.0)
    }
}

/// A number with three digits that count.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size == 0.0 || size >= 99.95 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn tick(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One row of a dot plot.
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// In no order.
    pub(super) values: Vec<f64>,
    pub(super) bar: Option<f64>,
}

const ROW: usize = 46;

/// All values of each row as dots, their range as a line, what sums them up as a bar. `title` is read aloud.
pub(super) fn dots(title: &str, unit: &str, rows: &[Row<'_>]) -> Markup {
    let scale = Scale::of(rows.iter().flat_map(|row| row.values.iter().chain(&row.bar)));
    let bottom = rows.len() * ROW;
    html! {
        svg role="img" aria-label=(title) height=(bottom + 34) {
            title { (title) }
            @for (number, at) in scale.ticks().into_iter().enumerate() {
                @let x = format!("{:.2}%", scale.percent(at));
                line class="grid" x1=(x) x2=(x) y1="0" y2=(bottom + 4) {}
                text x=(x) y=(bottom + 18) text-anchor=(anchor(number, scale)) { (tick(at)) }
            }
            text x="100%" y=(bottom + 33) text-anchor="end" { (unit) }
            @for (number, row) in rows.iter().enumerate() { (row.drawn(number * ROW, scale, unit)) }
        }
    }
}

/// Words at the ends stay inside.
fn anchor(number: usize, scale: Scale) -> &'static str {
    match number {
        0 => "start",
        _ if number + 1 == scale.ticks().len() => "end",
        _ => "middle",
    }
}

impl Row<'_> {
    fn drawn(&self, y: usize, scale: Scale, unit: &str) -> Markup {
        let place = |value: f64| format!("{:.2}%", scale.percent(value));
        let middle = y + 30;
        let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.values.iter().copied().fold(0.0, f64::max);
        html! {
            text class="name" x="0" y=(y + 16) { (self.name) }
            text class="value" x="100%" y=(y + 16) text-anchor="end" {
                @if let Some(bar) = self.bar { (figure(bar)) " " (unit) } @else { "no figures" }
            }
            @if !self.values.is_empty() {
                line class="range" x1=(place(least)) x2=(place(most)) y1=(middle) y2=(middle) {}
            }
            @for value in &self.values {
                circle class="dot" cx=(place(*value)) cy=(middle) r="5" {}
            }
            @if let Some(bar) = self.bar {
                line class="median" x1=(place(bar)) x2=(place(bar)) y1=(middle - 8) y2=(middle + 8) {}
            }
        }
    }
}

/// One line of a plot over time.
pub(super) struct Line<'a> {
    /// A class of the style sheet.
    pub(super) class: &'a str,
    pub(super) values: Vec<f64>,
}

/// The extent of a plot over time.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) height: usize,
    /// The end of the time axis.
    pub(super) seconds: f64,
    pub(super) scale: Scale,
}

/// Lines over time, from 0 to the end of the frame. `title` is read aloud.
pub(super) fn lines(title: &str, frame: Frame, seconds: &[f64], lines: &[Line<'_>]) -> Markup {
    let Frame { height, scale, .. } = frame;
    let y = |value: f64| 14.0 + height as f64 * (1.0 - scale.percent(value) / 100.0);
    html! {
        svg role="img" aria-label=(title) height=(height + 34) {
            title { (title) }
            @for at in scale.ticks() {
                line class="grid" x1="0" x2="100%" y1=(format!("{:.1}", y(at))) y2=(format!("{:.1}", y(at))) {}
                text x="0" y=(format!("{:.1}", y(at) - 3.0)) { (tick(at)) }
            }
            svg x="0" y="14" width="100%" height=(height) viewBox="0 0 1000 1000" preserveAspectRatio="none" {
                @for line in lines {
                    polyline class=(format!("line {}", line.class)) points=(points(frame, seconds, &line.values)) {}
                }
            }
            text x="0" y=(height + 30) { "0 s" }
            text x="100%" y=(height + 30) text-anchor="end" { (figure(frame.seconds)) " s" }
        }
    }
}

fn points(frame: Frame, seconds: &[f64], values: &[f64]) -> String {
    let place = |(at, value): (&f64, &f64)| {
        let x = (at / frame.seconds.max(1e-3) * 1e3).clamp(0.0, 1e3);
        format!("{x:.1},{:.1}", 1e3 - frame.scale.percent(*value) * 10.0)
    };
    seconds
        .iter()
        .zip(values)
        .map(place)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (most, top, steps) in [
            (812.0, 1_000.0, 5),
            (1.0, 1.0, 5),
            (0.37, 0.4, 4),
            (101.0, 150.0, 3),
            (6.0, 6.0, 3),
        ] {
            let scale = Scale::holding(most);
            assert!((scale.top - top).abs() < 1e-9, "{most}: {scale:?}");
            assert_eq!(scale.ticks().len(), steps + 1, "{most}");
        }
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Scale::holding(odd).ticks().len(), 6);
        }
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        let shown = [0.0, 0.0123, 0.5, 1.234, 12.34, 99.96, 1234.5].map(figure);
        assert_eq!(shown, ["0", "0.012", "0.50", "1.23", "12.3", "100", "1234"]);
        assert_eq!([0.2, 20.0, 1_000.0].map(tick), ["0.2", "20", "1000"]);
    }
}
