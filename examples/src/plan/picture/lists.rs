//! Pods without a place, and what else there is to say.

use super::canvas::Canvas;
use super::{Drawing, MARGIN, WIDTH};

/// Most groups of pods, and most reasons of each, that are drawn.
const GROUPS: usize = 30;
const REASONS: usize = 8;

pub(super) fn draw(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    let room = WIDTH - 2 * MARGIN;
    if !drawing.stuck.is_empty() {
        canvas.heading("os oe", &drawing.stuck_heading);
        for stuck in drawing.stuck.iter().take(GROUPS) {
            canvas.y = canvas.y.saturating_add(20);
            canvas.fitted((MARGIN, canvas.y), "ob", &stuck.pods, (14, room));
            for reason in stuck.reasons.iter().take(REASONS) {
                canvas.y = canvas.y.saturating_add(18);
                canvas.fitted((MARGIN + 18, canvas.y), "om", reason, (12, room - 18));
            }
            rest(canvas, stuck.reasons.len(), REASONS, "reasons");
            canvas.y = canvas.y.saturating_add(6);
        }
        rest(canvas, drawing.stuck.len(), GROUPS, "groups of pods");
    }
    if !drawing.notes.is_empty() {
        canvas.heading("os", "Notes");
        for note in &drawing.notes {
            canvas.y = canvas.y.saturating_add(18);
            canvas.fitted((MARGIN, canvas.y), "om", note, (12, room));
        }
    }
}

fn rest(canvas: &mut Canvas, all: usize, shown: usize, what: &str) {
    let more = all.saturating_sub(shown);
    if more > 0 {
        canvas.y = canvas.y.saturating_add(18);
        canvas.text((MARGIN + 18, canvas.y), "om", &format!("and {more} more {what}"));
    }
}
