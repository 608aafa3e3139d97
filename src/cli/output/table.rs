//! Tables without borders, as wide as the terminal at most.

use comfy_table::{Attribute, Color, ContentArrangement, Table};

use super::{Style, printable};

/// What a text says beside its words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
    /// Not important.
    Dim,
    /// Important.
    Strong,
}

impl Tone {
    /// Parameters of the SGR escape sequence (ECMA-48).
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
        }
    }

    /// Text in this tone. Its control characters must be out already.
    pub fn paint(self, color: bool, text: &str) -> String {
        match (color, self.sgr()) {
            (true, Some(sgr)) => format!("\x1b[{sgr}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// One cell: text without control characters, and its tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text in a tone.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: printable(text.as_ref()), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<Option<String>> for Cell {
    /// Nothing is a dash, so that a column can still be counted.
    fn from(text: Option<String>) -> Self {
        text.map_or_else(|| Self::new("-", Tone::Dim), Self::from)
    }
}

/// Least room of the last column of a list: less would say nothing, and it is left out.
const LEAST: usize = 8;

/// Cuts the last column so that each row is one line of the terminal: a list is read by its rows. Gives the number
/// of columns that are left.
pub(super) fn one_line(style: &Style, headers: &[&str], rows: &mut [Vec<Cell>]) -> usize {
    let Some(last) = headers.len().checked_sub(1) else { return 0 };
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.chain([headers[column].chars().count()]).max().unwrap_or(0) + 2
    };
    let taken: usize = (0..last).map(width).sum();
    let room = usize::from(style.width).saturating_sub(taken + 2);
    if room < LEAST {
        for row in rows.iter_mut() {
            row.truncate(last);
        }
        return last;
    }
    for cell in rows.iter_mut().filter_map(|row| row.get_mut(last)) {
        let line = cell.text.lines().next().unwrap_or_default();
        if line.chars().count() > room || line.len() < cell.text.len() {
            cell.text = line.chars().take(room - 1).chain(['…']).collect();
        }
    }
    headers.len()
}

pub(super) fn render(style: &Style, headers: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    // Never asks the terminal by itself: what is rendered depends on the style alone.
    table.force_no_tty();
    if style.color {
        table.enforce_styling();
    }
    if style.width == Style::UNBOUNDED {
        table.set_content_arrangement(ContentArrangement::Disabled);
    } else {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(style.width);
    }
    table.set_header(headers.iter().map(|header| shown(style, &Cell::new(header, Tone::Dim))));
    for row in rows {
        table.add_row(row.iter().map(|cell| shown(style, cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn shown(style: &Style, cell: &Cell) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(&cell.text);
    if !style.color {
        return shown;
    }
    match cell.tone {
        Tone::Plain => shown,
        Tone::Good => shown.fg(Color::DarkGreen),
        Tone::Warn => shown.fg(Color::DarkYellow),
        Tone::Bad => shown.fg(Color::DarkRed),
        Tone::Dim => shown.add_attribute(Attribute::Dim),
        Tone::Strong => shown.add_attribute(Attribute::Bold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn style(width: u16, color: bool) -> Style {
        Style { color, width, now: Timestamp::from_millis(0).unwrap() }
    }

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![Cell::new("v0.2.0", Tone::Good), "a long reason that does not fit".into()],
            vec!["v0.1.0".into(), None.into()],
        ]
    }

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let text = style(Style::UNBOUNDED, false).table(&["VERSION", "REASON"], rows());
        assert_eq!(text, "VERSION  REASON\nv0.2.0   a long reason that does not fit\nv0.1.0   -\n");
    }

    #[test]
    fn a_narrow_terminal_wraps_and_is_never_exceeded() {
        let text = style(24, false).table(&["VERSION", "REASON"], rows());
        assert!(text.lines().count() > 3, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 24), "{text}");
    }

    #[test]
    fn colour_is_there_only_when_asked_for() {
        assert!(!style(80, false).table(&["A", "B"], rows()).contains('\x1b'));
        assert!(style(80, true).table(&["A", "B"], rows()).contains('\x1b'));
    }
}
