//! Title, figures and legend.

use super::canvas::{Area, Canvas};
use super::{DETAILED, Drawing, MARGIN, WIDTH};

/// The space between two figures.
const GAP: u64 = 14;

pub(super) fn draw(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    let room = WIDTH - 2 * MARGIN;
    canvas.y = canvas.y.saturating_add(20);
    canvas.fitted((MARGIN, canvas.y), "ot", &drawing.title, (25, room));
    canvas.y = canvas.y.saturating_add(24);
    canvas.fitted((MARGIN, canvas.y), "om", &drawing.subtitle, (12, room));
    canvas.y = canvas.y.saturating_add(20);
    cards(canvas, drawing, room);
    if drawing.node_count() <= DETAILED {
        legend(canvas, drawing);
    }
}

fn cards(canvas: &mut Canvas, drawing: &Drawing<'_>, room: u64) {
    let count = u64::try_from(drawing.cards.len()).unwrap_or(1).max(1);
    let width = room.saturating_sub(GAP * (count - 1)).checked_div(count).unwrap_or(room);
    let mut x = MARGIN;
    for card in &drawing.cards {
        canvas.rect(Area::new(x, canvas.y, width, 82), 8, "ocard");
        let text = (x.saturating_add(16), width.saturating_sub(28));
        let y = canvas.y;
        canvas.fitted((text.0, y + 24), "om", card.label, (12, text.1));
        canvas.fitted((text.0, y + 48), "ov", &card.value, (19, text.1));
        canvas.fitted((text.0, y + 68), "om", &card.note, (12, text.1));
        x = x.saturating_add(width).saturating_add(GAP);
    }
    canvas.y = canvas.y.saturating_add(82);
}

/// What colours and shapes mean.
pub(super) fn legend(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    canvas.y = canvas.y.saturating_add(30);
    let mut x = MARGIN;
    let y = canvas.y;
    let mut entry = |canvas: &mut Canvas, class: &str, word: &str| {
        canvas.rect(Area::new(x, y - 11, 22, 13), 2, class);
        if class == "ores" {
            canvas.rect(Area::new(x, y - 11, 22, 13), 2, "oedge");
        }
        canvas.text((x + 29, y), "om", word);
        x = x.saturating_add(29 + 22 + super::text::pixels(word, 12));
    };
    entry(canvas, "oold", "taken before");
    entry(canvas, "onew", "new");
    if drawing.states.iter().any(|state| state.nodes.contains(&None)) {
        entry(canvas, "ogone", "gone with its node");
    }
    entry(canvas, "ores", "reserve");
    entry(canvas, "ofree", "free");
    let labels: Vec<&str> = drawing.states.iter().map(|state| state.label).collect();
    let bars = format!("bars from above: {}", labels.join(", "));
    canvas.text((WIDTH - MARGIN, y), "om or", &bars);
}
