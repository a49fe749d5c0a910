//! Tables for terminals and files.

use comfy_table::{CellAlignment, presets};

/// The layout of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Borders for a terminal.
    Terminal,
    /// Markdown for a file.
    Markdown,
}

/// A table with a header row.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[impl AsRef<str>]) -> Self {
        Self { head: head.iter().map(|cell| cell.as_ref().to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn text(&self, layout: Layout) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(match layout {
            Layout::Terminal => presets::UTF8_BORDERS_ONLY,
            Layout::Markdown => presets::ASCII_MARKDOWN,
        });
        table.set_header(self.head.clone());
        table.add_rows(self.rows.clone());
        let numeric = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.all(|cell| cell == "-" || cell.parse::<f64>().is_ok())
        };
        for (index, column) in table.column_iter_mut().enumerate() {
            if numeric(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }
}
