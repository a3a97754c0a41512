//! One look for every table.

use comfy_table::{ContentArrangement, LineStyle, Row, Table, TableStyle};

/// Renders with two spaces between columns and none before the first, to leave room for words.
pub(crate) fn render(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A table under `header`, no wider than the terminal.
pub(crate) fn table(header: impl Into<Row>) -> Table {
    let mut table = plain();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
    table.set_header(header);
    table
}

/// A table of names and values.
pub(crate) fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    // Where there is no terminal, as wide as it likes.
    if let Some((width, _)) = terminal_size::terminal_size_of(std::io::stdout()) {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.0);
    }
    table
}
