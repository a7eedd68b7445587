//! Shapes and text, one after the other, downwards.

use std::fmt::Write;

use super::text::{escape, fit};
use super::theme;
use super::{MARGIN, WIDTH};

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Area {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) w: u64,
    pub(super) h: u64,
}

impl Area {
    pub(super) const fn new(x: u64, y: u64, w: u64, h: u64) -> Self {
        Self { x, y, w, h }
    }
}

/// A drawing that grows downwards.
#[derive(Debug)]
pub(super) struct Canvas {
    out: String,
    /// Where the next part begins.
    pub(super) y: u64,
}

impl Default for Canvas {
    fn default() -> Self {
        Self { out: String::new(), y: MARGIN }
    }
}

impl Canvas {
    fn push(&mut self, part: std::fmt::Arguments<'_>) {
        // A string takes all it is given.
        let _ = self.out.write_fmt(part);
    }

    /// A filled shape, with rounded corners of this radius.
    pub(super) fn rect(&mut self, area: Area, radius: u64, class: &str) {
        let Area { x, y, w, h } = area;
        let round = if radius > 0 { format!(" rx=\"{radius}\"") } else { String::new() };
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"{round} class=\"{class}\"/>\n"
        ));
    }

    /// A line of this class.
    pub(super) fn line(&mut self, (x1, y1): (u64, u64), (x2, y2): (u64, u64), class: &str) {
        self.push(format_args!("<path d=\"M{x1} {y1}L{x2} {y2}\" class=\"{class}\"/>\n"));
    }

    /// Text with its left end, or the end its class says, on the base line at this place.
    pub(super) fn text(&mut self, (x, y): (u64, u64), class: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>\n"));
    }

    /// Text of this font size in at most so many pixels; what is cut can be read by pointing at it.
    pub(super) fn fitted(
        &mut self,
        at: (u64, u64),
        class: &str,
        text: &str,
        (size, room): (u64, u64),
    ) {
        let shown = fit(text, size, room);
        if shown == text {
            return self.text(at, class, text);
        }
        self.group(text, |canvas| canvas.text(at, class, &shown));
    }

    /// What is drawn inside says this when it is pointed at.
    pub(super) fn group(&mut self, says: &str, draw: impl FnOnce(&mut Self)) {
        let says = escape(says);
        self.push(format_args!("<g><title>{says}</title>\n"));
        draw(self);
        self.push(format_args!("</g>\n"));
    }

    /// Draws beneath what was drawn since `mark`, which [`Self::mark`] gave.
    pub(super) fn beneath(&mut self, mark: usize, draw: impl FnOnce(&mut Self)) {
        let above = self.out.split_off(mark.min(self.out.len()));
        draw(self);
        self.out.push_str(&above);
    }

    pub(super) const fn mark(&self) -> usize {
        self.out.len()
    }

    /// A heading and the room around it.
    pub(super) fn heading(&mut self, class: &str, text: &str) {
        self.y = self.y.saturating_add(34);
        self.fitted((MARGIN, self.y), class, text, (16, WIDTH - 2 * MARGIN));
        self.y = self.y.saturating_add(14);
    }

    /// The whole drawing. Alone, it brings its own name space.
    pub(super) fn into_svg(self, title: &str, alone: bool) -> String {
        let height = self.y.saturating_add(MARGIN);
        let space = if alone { " xmlns=\"http://www.w3.org/2000/svg\"" } else { "" };
        let size =
            if alone { format!(" width=\"{WIDTH}\" height=\"{height}\"") } else { String::new() };
        let (title, style) = (escape(title), theme::STYLE);
        format!(
            "<svg{space} class=\"ol\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\"{size}>\n\
             <title>{title}</title>\n<style>{style}</style>\n\
             <defs><pattern id=\"ohatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><path d=\"M0 0V6\" class=\"ohl\"/></pattern></defs>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" class=\"obg\"/>\n{}</svg>\n",
            self.out
        )
    }
}

/// So much of `whole` as pixels of `room`, rounded to the nearest; something is never nothing.
pub(super) fn share(part: u64, whole: u64, room: u64) -> u64 {
    let product = u128::from(part.min(whole)).saturating_mul(u128::from(room));
    let half = u128::from(whole / 2);
    let pixels = product.saturating_add(half).checked_div(u128::from(whole)).unwrap_or(0);
    let pixels = u64::try_from(pixels).unwrap_or(room).min(room);
    if part > 0 { pixels.max(1) } else { 0 }
}
