//! Ratios as bars, in SVG: a card that can be read on a light page and on a dark one.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

use crate::guest::shown;

/// What is compared, and its ratio in each scene.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) bars: Vec<(String, f64)>,
}

const WIDTH: f64 = 720.0;
/// Where a ratio of 1 stands, and how far each doubling is from the last.
const ONE: f64 = 180.0;
const DOUBLING: f64 = 80.0;
/// The ticks: ½ to 64.
const TICKS: std::ops::RangeInclusive<i32> = -1..=6;
const TOP: f64 = 84.0;
const BAR: f64 = 14.0;
const BETWEEN: f64 = 32.0;

/// The whole file.
pub(crate) fn draw(groups: &[Group]) -> String {
    let rows: f64 = groups.iter().map(height).sum();
    let bottom = TOP + rows;
    let height = bottom + 34.0;
    let mut marks = String::new();
    let mut top = TOP;
    for group in groups {
        marks += &draw_group(group, top);
        top += self::height(group);
    }
    let ticks: String = TICKS.map(|power| tick(power, bottom)).collect();
    let name = "One login with pam_u2f: how many times what pam_passkey takes";
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title\">
  <title id=\"title\">{name}</title>
  <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"10\" fill=\"#ffffff\" stroke=\"#d5dbe6\"/>
  <g font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" font-size=\"12\">
  <text x=\"24\" y=\"32\" font-size=\"15\" font-weight=\"bold\" fill=\"#1d2433\">{name}</text>
  <text x=\"24\" y=\"54\" fill=\"#5b6b86\">credentials × keys plugged in · right of 1× pam_u2f takes more, left of it pam_passkey</text>
{ticks}{marks}  </g>
</svg>
"
    )
}

fn tick(power: i32, bottom: f64) -> String {
    let x = ONE + DOUBLING * f64::from(power);
    let (colour, label) = match power {
        -1 => ("#e3e8f0", "½".to_owned()),
        0 => ("#33507d", "1".to_owned()),
        _ => ("#e3e8f0", (1 << power).to_string()),
    };
    format!(
        "  <path d=\"M{x} {from}V{bottom}\" stroke=\"{colour}\"/>\n  \
         <text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#5b6b86\">{label}×</text>\n",
        from = TOP - 8.0,
        y = bottom + 18.0,
    )
}

#[allow(clippy::cast_precision_loss, reason = "a handful of bars")]
fn height(group: &Group) -> f64 {
    BETWEEN + BAR * group.bars.len() as f64
}

fn draw_group(group: &Group, top: f64) -> String {
    let mut marks = format!(
        "  <text x=\"{x}\" y=\"{y}\" font-weight=\"bold\" fill=\"#1d2433\">{name}</text>\n",
        x = ONE + 6.0,
        y = top + 14.0,
        name = group.name,
    );
    let mut y = top + 20.0;
    for (scene, ratio) in &group.bars {
        // No further to the left than there is room; its number says how far it would go.
        let length = (DOUBLING * ratio.log2()).max(-1.3 * DOUBLING);
        let (x, colour) = if length < 0.0 {
            (ONE + length, "#c8553d")
        } else {
            (ONE, "#33507d")
        };
        let _ = writeln!(
            marks,
            "  <text x=\"24\" y=\"{base}\" fill=\"#5b6b86\">{scene}</text>\n  \
             <rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{thick}\" fill=\"{colour}\"/>\n  \
             <text x=\"{end:.1}\" y=\"{base}\" fill=\"#1d2433\">{shown}</text>",
            base = y + 11.0,
            width = length.abs(),
            thick = BAR - 2.0,
            end = ONE + length.max(0.0) + 6.0,
            shown = shown(*ratio),
        );
        y += BAR;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(ratio: f64) -> String {
        let group = Group {
            name: "opens",
            bars: vec![("8 × 1".to_owned(), ratio)],
        };
        let drawn = draw(&[group]);
        let bar = drawn.lines().find(|line| line.contains("12\" fill"));
        bar.expect("a bar").trim().to_owned()
    }

    #[test]
    fn more_than_one_points_to_the_right_a_tick_for_each_doubling() {
        let bar = bar(4.0);
        assert!(
            bar.contains("x=\"180.0\"") && bar.contains("width=\"160.0\""),
            "{bar}"
        );
    }

    #[test]
    fn less_than_one_points_to_the_left_in_another_colour() {
        let less = bar(0.5);
        assert!(
            less.contains("x=\"100.0\"") && less.contains("width=\"80.0\""),
            "{less}"
        );
        assert!(!less.contains("#33507d"), "{less}");
    }
}
