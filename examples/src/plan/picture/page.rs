//! The page around a drawing: the drawing, and a table of the pods.

use super::Drawing;
use super::text::escape;
use super::theme::PAGE;

/// A page that needs nothing but itself. Its policy forbids scripts and anything from elsewhere.
pub(super) fn html(drawing: &Drawing<'_>, svg: &str) -> String {
    let title = escape(&drawing.title);
    let mut table = String::new();
    if !drawing.rows.is_empty() {
        table.push_str(
            "<details><summary>All pods as a table</summary>\n<table>\n\
             <tr><th>Pod</th><th>Node</th><th>Score</th><th>Where</th></tr>\n",
        );
        for row in &drawing.rows {
            let cells: String =
                row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            table.push_str(&format!("<tr>{cells}</tr>\n"));
        }
        table.push_str("</table>\n");
        if drawing.more_rows > 0 {
            table.push_str(&format!("<p>and {} more</p>\n", drawing.more_rows));
        }
        table.push_str("</details>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{PAGE}</style>\n</head>\n<body>\n<main>\n{svg}{table}\
         </main>\n</body>\n</html>\n"
    )
}
