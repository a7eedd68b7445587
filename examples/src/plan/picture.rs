//! Pictures of a cluster before and after: one self-contained file, SVG or HTML.
//!
//! Up to [`DETAILED`] nodes each pool has its bars, before above after, all to one scale; above
//! that an overview shows every node as a cell and the fullest in detail. Nothing in the file is
//! fetched from elsewhere or run, colours follow the reader's light or dark mode, and every name is
//! escaped.

mod bars;
mod canvas;
mod head;
mod lists;
mod overview;
mod page;
mod scene;
mod text;
mod theme;

use open_local_core::plan::Node;

pub use scene::{compared, drained, filled, placed};

use canvas::Canvas;

/// Most nodes that are all drawn in detail.
pub const DETAILED: usize = 60;

/// The width of a picture in pixels; its height follows from what it holds.
const WIDTH: u64 = 1200;
/// The empty space at its edges.
const MARGIN: u64 = 28;

/// The form of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page, with a table of the pods.
    Html,
    /// A drawing.
    Svg,
}

/// The nodes at one moment.
#[derive(Debug)]
struct State<'d> {
    label: &'static str,
    /// In the order of the cluster; a drained one is missing.
    nodes: Vec<Option<&'d Node>>,
    /// How many pods are on each.
    pods: Vec<usize>,
}

/// Pods without a place, and why.
#[derive(Debug)]
struct Stuck {
    pods: String,
    reasons: Vec<String>,
}

/// A figure at the head of the picture.
#[derive(Debug)]
struct Card {
    label: &'static str,
    value: String,
    note: String,
}

/// What is to be drawn.
#[derive(Debug)]
pub struct Drawing<'d> {
    title: String,
    subtitle: String,
    cards: Vec<Card>,
    /// The first is before, the others are what it is compared with.
    states: Vec<State<'d>>,
    stuck_heading: String,
    stuck: Vec<Stuck>,
    notes: Vec<String>,
    /// Pod, node, score, where.
    rows: Vec<[String; 4]>,
    more_rows: usize,
}

impl Drawing<'_> {
    /// The content of the file.
    #[must_use]
    pub fn draw(&self, format: Format) -> String {
        match format {
            Format::Svg => self.svg(true),
            Format::Html => page::html(self, &self.svg(false)),
        }
    }

    fn svg(&self, alone: bool) -> String {
        let mut canvas = Canvas::default();
        head::draw(&mut canvas, self);
        if self.node_count() > DETAILED {
            overview::draw(&mut canvas, self);
        } else {
            let all: Vec<usize> = (0..self.node_count()).collect();
            bars::draw(&mut canvas, self, &all);
        }
        lists::draw(&mut canvas, self);
        canvas.into_svg(&self.title, alone)
    }

    fn node_count(&self) -> usize {
        self.states.first().map_or(0, |state| state.nodes.len())
    }

    /// A node in every state.
    fn node(&self, index: usize) -> impl Iterator<Item = Option<&Node>> {
        self.states.iter().map(move |state| state.nodes.get(index).copied().flatten())
    }
}
