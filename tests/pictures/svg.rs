//! Frames as SVG: a window with a terminal in it, one picture or a film. Pure: frames in, text out.
//!
//! The text is text, to be searched and copied, and held to the columns by `textLength` whatever font there is. Lines of boxes
//! and the blocks of sparklines are paths, because fonts leave gaps between them. What stands still in a film is written once:
//! marks are grouped by the shots that they are in, and each group has one animation.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
};

use super::frame::{Cell, Frame, GROUND, Ink, PLAIN, Style};

/// A cell, in user units.
const CELL: (usize, usize) = (8, 17);
/// From a cell's top to the line that its letters stand on.
const BASE: usize = 13;
/// Around the terminal; above it the title bar stands.
const MARGIN: usize = 12;
const BAR: usize = 30;

/// A frame of a film.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    /// What the window's title says.
    pub(crate) title: String,
    /// What the terminal shows.
    pub(crate) frame: Frame,
    /// For how long, in milliseconds.
    pub(crate) milliseconds: u64,
}

/// How marks are put on the paper; what is painted first lies below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Paint {
    /// The mark is an outline to fill.
    Fill(Ink),
    /// The mark is a line to draw.
    Stroke(Ink),
    /// The mark is an element.
    Text,
}

type Mark = (Paint, String);

/// One picture.
pub(crate) fn still(title: &str, frame: &Frame) -> String {
    film(&[Shot { title: title.to_owned(), frame: frame.clone(), milliseconds: 1_000 }], 0)
}

/// A film of shots of one size, over and over. What does not play films shows the shot `poster`.
pub(crate) fn film(shots: &[Shot], poster: usize) -> String {
    let (columns, lines) = shots[0].frame.size();
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, lines * CELL.1 + BAR + MARGIN);
    let mut groups: BTreeMap<(Paint, Vec<bool>), Vec<String>> = BTreeMap::new();
    let mut shown: BTreeMap<Mark, Vec<bool>> = BTreeMap::new();
    for (at, shot) in shots.iter().enumerate() {
        for mark in marks(shot, width) {
            shown.entry(mark).or_insert_with(|| vec![false; shots.len()])[at] = true;
        }
    }
    for ((paint, mark), when) in shown {
        groups.entry((paint, when)).or_default().push(mark);
    }
    let times = Times::of(shots);
    let mut svg = head(&shots[poster].title, (width, height));
    for ((paint, when), marks) in &groups {
        let marks = match paint {
            Paint::Fill(ink) => format!("<path fill=\"{ink}\" d=\"{}\"/>", marks.concat()),
            Paint::Stroke(ink) => format!("<path stroke=\"{ink}\" d=\"{}\"/>", marks.concat()),
            Paint::Text => marks.join("\n"),
        };
        if when.iter().all(|shown| *shown) {
            let _ = writeln!(svg, "{marks}");
        } else {
            let rest = if when[poster] { "" } else { " visibility=\"hidden\"" };
            let _ = writeln!(svg, "<g{rest}>{}\n{marks}\n</g>", times.animation(when));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// What every picture opens with: its size, its letters, the window.
fn head(title: &str, (width, height): (usize, usize)) -> String {
    let title = escaped(title);
    let buttons = [20, 38, 56].map(|x| format!("<circle cx=\"{x}\" cy=\"15\" r=\"5\" fill=\"#4a515d\"/>")).concat();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',\
         'Liberation Mono',monospace\" font-size=\"13\" fill=\"{PLAIN}\">\n<title>{title}</title>\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{GROUND}\" stroke=\"#7f8896\"/>\n{buttons}\n",
        width - 1,
        height - 1,
    )
}

/// When each shot begins, as shares of the whole.
struct Times {
    starts: Vec<f64>,
    seconds: f64,
}

impl Times {
    fn of(shots: &[Shot]) -> Self {
        let whole: u64 = shots.iter().map(|shot| shot.milliseconds).sum();
        let mut past = 0;
        let starts = shots.iter().map(|shot| {
            let start = past as f64 / whole as f64;
            past += shot.milliseconds;
            start
        });
        Self { starts: starts.collect(), seconds: whole as f64 / 1_000.0 }
    }

    /// Shows what is around it in the shots that `when` says, and only then.
    fn animation(&self, when: &[bool]) -> String {
        let changes = |at: &usize| *at == 0 || when[*at] != when[*at - 1];
        let at: Vec<usize> = (0..when.len()).filter(changes).collect();
        let values: Vec<&str> = at.iter().map(|at| if when[*at] { "visible" } else { "hidden" }).collect();
        let starts: Vec<String> = at.iter().map(|at| short(self.starts[*at])).collect();
        format!(
            "<animate attributeName=\"visibility\" calcMode=\"discrete\" repeatCount=\"indefinite\" dur=\"{}s\" values=\"{}\" \
             keyTimes=\"{}\"/>",
            short(self.seconds),
            values.join(";"),
            starts.join(";"),
        )
    }
}

/// Four digits are finer than the eye.
fn short(share: f64) -> String {
    let text = format!("{share:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Everything that is on the paper in a shot.
fn marks(shot: &Shot, width: usize) -> Vec<Mark> {
    let title =
        format!("<text x=\"{}\" y=\"20\" text-anchor=\"middle\" fill=\"#9aa3b2\">{}</text>", width / 2, escaped(&shot.title));
    let mut marks = vec![(Paint::Text, title)];
    for (y, line) in shot.frame.lines.iter().enumerate() {
        grounds(line, y, &mut marks);
        letters(line, y, &mut marks);
        blocks(line, y, &mut marks);
        let arms: Vec<_> =
            line.iter().map(|cell| arms(&cell.sign).map(|[left, right, ..]| (cell.style, [left, right]))).collect();
        for (ink, from, to) in strokes(&arms) {
            let (x, length) = (MARGIN + from * CELL.0 / 2, (to - from) * CELL.0 / 2);
            marks.push((Paint::Stroke(ink), format!("M{x} {}h{length}", middle(y))));
        }
    }
    let columns = shot.frame.size().0;
    for x in 0..columns {
        let column = shot.frame.lines.iter().map(|line| &line[x]);
        let arms: Vec<_> = column.map(|cell| arms(&cell.sign).map(|[.., up, down]| (cell.style, [up, down]))).collect();
        for (ink, from, to) in strokes(&arms) {
            // Halves of an odd height: the first is the smaller one.
            let at = |half: usize| BAR + half / 2 * CELL.1 + half % 2 * (CELL.1 / 2);
            marks.push((Paint::Stroke(ink), format!("M{} {}v{}", MARGIN + x * CELL.0 + CELL.0 / 2, at(from), at(to) - at(from))));
        }
    }
    marks
}

fn middle(y: usize) -> usize {
    BAR + y * CELL.1 + CELL.1 / 2
}

/// Runs of cells with another ground.
fn grounds(line: &[Cell], y: usize, marks: &mut Vec<Mark>) {
    let mut x = 0;
    for run in line.chunk_by(|a, b| a.style.ground == b.style.ground) {
        let ground = run[0].style.ground;
        if ground != GROUND {
            marks.push((Paint::Fill(ground), rectangle(x, run.len(), BAR + y * CELL.1, CELL.1)));
        }
        x += run.len();
    }
}

fn rectangle(column: usize, columns: usize, y: usize, height: usize) -> String {
    let (x, width) = (MARGIN + column * CELL.0, columns * CELL.0);
    format!("M{x} {y}h{width}v{height}h-{width}z")
}

/// Words: runs of one style, with single blanks between them.
fn letters(line: &[Cell], y: usize, marks: &mut Vec<Mark>) {
    let is_letter = |cell: &Cell| cell.sign != " " && arms(&cell.sign).is_none() && block(&cell.sign).is_none();
    let mut x = 0;
    while x < line.len() {
        if !is_letter(&line[x]) {
            x += 1;
            continue;
        }
        let style = line[x].style;
        let mut end = x + 1;
        while end < line.len() {
            let next = &line[end];
            let goes_on = is_letter(next) && next.style == style;
            let bridges = next.sign == " "
                && next.style.ground == style.ground
                && line.get(end + 1).is_some_and(|after| is_letter(after) && after.style == style);
            if !goes_on && !bridges {
                break;
            }
            end += 1;
        }
        let text: String = line[x..end].iter().map(|cell| cell.sign.as_str()).collect();
        marks.push((Paint::Text, word(&text, (x, y), end - x, style)));
        x = end;
    }
}

fn word(text: &str, (x, y): (usize, usize), columns: usize, style: Style) -> String {
    let mut attributes = String::new();
    let mut say = |name: &str, value: &dyn Display| {
        let _ = write!(attributes, " {name}=\"{value}\"");
    };
    if columns > 1 {
        say("textLength", &(columns * CELL.0));
    }
    if style.ink != PLAIN {
        say("fill", &style.ink);
    }
    if style.bold {
        say("font-weight", &"bold");
    }
    if style.dim {
        say("opacity", &".6");
    }
    if style.italic {
        say("font-style", &"italic");
    }
    if style.underline {
        say("text-decoration", &"underline");
    }
    let (x, y) = (MARGIN + x * CELL.0, BAR + y * CELL.1 + BASE);
    format!("<text x=\"{x}\" y=\"{y}\"{attributes}>{}</text>", escaped(text))
}

/// Blocks of a sparkline, from the ground up.
fn blocks(line: &[Cell], y: usize, marks: &mut Vec<Mark>) {
    let mut x = 0;
    for run in line.chunk_by(|a, b| a.sign == b.sign && a.style == b.style) {
        if let Some(eighths) = block(&run[0].sign) {
            let height = (eighths * CELL.1).div_ceil(8);
            marks.push((Paint::Fill(run[0].style.ink), rectangle(x, run.len(), BAR + (y + 1) * CELL.1 - height, height)));
        }
        x += run.len();
    }
}

/// How many eighths of its cell a block fills, from below.
fn block(sign: &str) -> Option<usize> {
    let sign = sign.chars().next()? as usize;
    (0x2581..=0x2588).contains(&sign).then(|| sign - 0x2580)
}

/// The arms of a sign that boxes are made of: left, right, up, down.
fn arms(sign: &str) -> Option<[bool; 4]> {
    let arms = match sign {
        "─" => 0b1100,
        "│" => 0b0011,
        "┌" => 0b0101,
        "┐" => 0b1001,
        "└" => 0b0110,
        "┘" => 0b1010,
        "├" => 0b0111,
        "┤" => 0b1011,
        "┬" => 0b1101,
        "┴" => 0b1110,
        "┼" => 0b1111,
        _ => return None,
    };
    Some([8, 4, 2, 1].map(|arm| arms & arm != 0))
}

/// Lines along a row or a column, in halves of cells: colour, start, end.
fn strokes(cells: &[Option<(Style, [bool; 2])>]) -> Vec<(Ink, usize, usize)> {
    let mut strokes: Vec<(Ink, usize, usize)> = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let Some((style, halves)) = cell else { continue };
        for (half, drawn) in (2 * at..).zip(halves) {
            match strokes.last_mut() {
                _ if !drawn => {}
                Some((ink, _, end)) if *end == half && *ink == style.ink => *end += 1,
                _ => strokes.push((style.ink, half, half + 1)),
            }
        }
    }
    strokes
}

impl Display for Ink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::frame::frame;
    use super::*;

    fn shot(bytes: &str, milliseconds: u64) -> Shot {
        Shot { title: "t".into(), frame: frame(bytes, (12, 1)), milliseconds }
    }

    fn texts(svg: &str) -> Vec<&str> {
        svg.lines().filter(|line| line.starts_with("<text")).map(|line| line.split(['>', '<']).nth(2).unwrap()).collect()
    }

    #[test]
    fn a_box_with_words_and_a_sparkline() {
        let screen = "┌─ a <b> ─┐\r\n│\x1b[1;31m!!\x1b[0m one two│\r\n│ \x1b[7mrow \x1b[0m ▁▄█ │\r\n└─────────┘";
        insta::assert_snapshot!(still("cordboard & co", &frame(screen, (12, 4))));
    }

    #[test]
    fn words_are_runs_of_one_style_and_wide_gaps_part_them() {
        let svg = still("", &frame("one two   \x1b[1mthree\x1b[0m \x1b[34mfour\x1b[0mfive", (24, 1)));
        let mut found = texts(&svg);
        found.sort_unstable();
        assert_eq!(found, ["", "five", "four", "one two", "three"]);
        assert!(svg.contains("textLength=\"56\">one two<") && svg.contains("font-weight=\"bold\">three<"), "{svg}");
    }

    #[test]
    fn a_picture_does_not_move_and_asks_for_nothing() {
        let svg = still("x", &frame("a", (2, 1)));
        for word in ["<animate", "visibility", "href", "url(", "<script", "<image", "<style"] {
            assert!(!svg.contains(word), "{word} in {svg}");
        }
        assert_eq!(svg.matches("http").count(), 1, "the name of the language alone: {svg}");
    }

    #[test]
    fn what_stands_still_in_a_film_is_written_once() {
        let svg = film(&[shot("still  1", 500), shot("still  2", 1_000), shot("still  1", 500)], 1);
        assert_eq!(svg.matches(">still<").count(), 1);
        assert_eq!(svg.matches(">1<").count(), 1, "{svg}");
        assert!(svg.contains("dur=\"2s\" values=\"visible;hidden;visible\" keyTimes=\"0;0.25;0.75\""), "{svg}");
        assert!(svg.contains("dur=\"2s\" values=\"hidden;visible;hidden\" keyTimes=\"0;0.25;0.75\""), "{svg}");
        let hidden: Vec<&str> = svg.split("<g visibility=\"hidden\">").skip(1).collect();
        assert!(hidden.len() == 1 && hidden[0].contains(">1<"), "what shows no films shows the second shot: {svg}");
    }

    #[test]
    fn hostile_text_stays_text() {
        let svg = still("<&\">", &frame("</text><script>&", (20, 1)));
        assert!(svg.contains("&lt;/text&gt;&lt;script&gt;&amp;") && svg.contains("aria-label=\"&lt;&amp;&quot;&gt;\""), "{svg}");
    }

    #[test]
    fn lines_of_boxes_meet() {
        let arms: Vec<_> = ["┌", "─", " ", "┐"]
            .iter()
            .map(|sign| arms(sign).map(|[left, right, ..]| (frame("", (1, 1)).lines[0][0].style, [left, right])))
            .collect();
        assert_eq!(strokes(&arms), [(PLAIN, 1, 4), (PLAIN, 6, 7)]);
    }
}
