//! A large cluster at a glance: a cell a node, how many are how full, and the fullest in detail.

use open_local_core::Ratio;
use open_local_core::plan::Node;

use super::canvas::{Area, Canvas};
use super::{Drawing, MARGIN, WIDTH, bars, head};
use crate::plan::figures;
use crate::view::size::percent;

/// Upper ends of the classes of fullness, in per cent; the last class has none.
const CLASSES: [(u64, &str, &str); 6] = [
    (20, "h0", "below 20%"),
    (40, "h1", "20–40%"),
    (60, "h2", "40–60%"),
    (80, "h3", "60–80%"),
    (95, "h4", "80–95%"),
    (u64::MAX, "h5", "95% and more"),
];

/// Nodes in detail.
const WORST: usize = 8;

/// Where cells begin: before it stands the name of the first node of the row.
const LEFT: u64 = 150;

fn class(node: Option<&Node>) -> &'static str {
    let Some(node) = node else {
        return "ogone";
    };
    let full = figures::fullness(node) / 10_000;
    CLASSES.iter().find(|(end, ..)| full < *end).map_or("h5", |(_, class, _)| class)
}

pub(super) fn draw(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    canvas.heading("os", "Every node: how full its pools are");
    legend(canvas, drawing);
    cells(canvas, drawing);
    canvas.heading("os", "How many nodes are how full");
    histogram(canvas, drawing);
    let worst = worst(drawing);
    let gone = drawing.states.iter().any(|state| state.nodes.contains(&None));
    let heading = match gone {
        true => format!("The drained node, and the {} fullest", worst.len().saturating_sub(1)),
        false => format!("The {} fullest nodes", worst.len()),
    };
    canvas.heading("os", &heading);
    canvas.y = canvas.y.saturating_sub(10);
    head::legend(canvas, drawing);
    bars::draw(canvas, drawing, &worst);
}

fn legend(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    canvas.y = canvas.y.saturating_add(14);
    let y = canvas.y;
    let mut x = MARGIN;
    for (_, class, word) in CLASSES {
        canvas.rect(Area::new(x, y - 11, 14, 14), 3, class);
        canvas.text((x + 20, y), "om", word);
        x = x.saturating_add(20 + 20 + super::text::pixels(word, 12));
    }
    if drawing.states.iter().any(|state| state.nodes.contains(&None)) {
        canvas.rect(Area::new(x, y - 11, 14, 14), 3, "ogone");
        canvas.text((x + 20, y), "om", "drained");
    }
    let labels: Vec<&str> = drawing.states.iter().map(|state| state.label).collect();
    let parts = format!("each cell from above: {}", labels.join(", "));
    canvas.text((WIDTH - MARGIN, y), "om or", &parts);
    canvas.y = y.saturating_add(16);
}

fn cells(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    let count = drawing.node_count();
    let (size, gap) = match count {
        0..=200 => (34u64, 4u64),
        201..=800 => (24, 3),
        801..=2500 => (16, 2),
        _ => (9, 1),
    };
    let room = WIDTH - MARGIN - LEFT;
    let columns = usize::try_from(room / (size + gap)).unwrap_or(1).max(1);
    let font = size.clamp(9, 12);
    for index in 0..count {
        let (row, column) = (index / columns, index % columns);
        let at = |number: usize| u64::try_from(number).unwrap_or(0).saturating_mul(size + gap);
        let area = Area::new(LEFT + at(column), canvas.y + at(row), size, size);
        if let Some(node) = drawing.node(index).next().flatten() {
            if column == 0 && (size >= 16 || row % 2 == 0) {
                let y = area.y + size / 2 + 4;
                canvas.fitted((MARGIN, y), "ox", node.name().as_str(), (font, LEFT - MARGIN - 10));
            }
            cell(canvas, drawing, index, node, area);
        }
    }
    let rows = u64::try_from(count.div_ceil(columns)).unwrap_or(0);
    canvas.y = canvas.y.saturating_add(rows.saturating_mul(size + gap));
}

/// A quarter of the cell is before, the rest is what comes after.
fn cell(canvas: &mut Canvas, drawing: &Drawing<'_>, index: usize, node: &Node, area: Area) {
    let shown: Vec<String> = drawing
        .node(index)
        .zip(&drawing.states)
        .map(|(node, state)| match node {
            Some(node) => {
                let full = percent(Ratio::from_ppm(figures::fullness(node)));
                format!("{} {full}", state.label)
            }
            None => format!("{} drained", state.label),
        })
        .collect();
    let says = format!("{}: {}", node.name(), shown.join(", "));
    canvas.group(&says, |canvas| {
        let top = area.h.div_ceil(4);
        let later = u64::try_from(drawing.states.len()).unwrap_or(2).saturating_sub(1).max(1);
        for (part, node) in (0u64..).zip(drawing.node(index)) {
            let rest = area.h - top;
            let own = match part {
                0 => Area { h: top, ..area },
                n => Area { y: area.y + top + rest * (n - 1) / later, h: rest / later, ..area },
            };
            canvas.rect(own, 0, class(node));
        }
    });
}

fn histogram(canvas: &mut Canvas, drawing: &Drawing<'_>) {
    const BINS: usize = 11;
    const HEIGHT: u64 = 110;
    let mut counts = vec![[0u64; BINS]; drawing.states.len()];
    for (state, bins) in drawing.states.iter().zip(&mut counts) {
        for node in state.nodes.iter().flatten() {
            let bin = usize::try_from(figures::fullness(node) / 100_000).unwrap_or(BINS);
            if let Some(count) = bins.get_mut(bin.min(BINS - 1)) {
                *count = count.saturating_add(1);
            }
        }
    }
    let most = counts.iter().flatten().copied().max().unwrap_or(1).max(1);
    let room = WIDTH - 2 * MARGIN;
    let bins = u64::try_from(BINS).unwrap_or(1);
    let wide = room / bins;
    let bars = u64::try_from(drawing.states.len()).unwrap_or(1).max(1);
    let bar = (wide - 24) / bars;
    let base = canvas.y + 24 + HEIGHT;
    for bin in 0..BINS {
        let left = MARGIN + wide * u64::try_from(bin).unwrap_or(0);
        for (index, bins) in (0u64..).zip(&counts) {
            let count = bins.get(bin).copied().unwrap_or(0);
            let height = super::canvas::share(count, most, HEIGHT);
            let x = left + 6 + index * bar;
            let class = if index == 0 { "oold" } else { "onew" };
            canvas.rect(Area::new(x, base - height, bar.saturating_sub(2), height), 2, class);
            if count > 0 {
                canvas.text((x + bar / 2 - 1, base - height - 5), "ox oc", &count.to_string());
            }
        }
        let word = if bin + 1 < BINS {
            format!("{}–{}%", bin * 10, bin * 10 + 10)
        } else {
            "100%".to_owned()
        };
        canvas.text((left + wide / 2 - 6, base + 17), "ox oc", &word);
    }
    canvas.line((MARGIN, base), (WIDTH - MARGIN, base), "oline");
    canvas.y = base + 26;
}

/// The drained nodes, and then those that are fullest in the end.
fn worst(drawing: &Drawing<'_>) -> Vec<usize> {
    let last = drawing.states.last();
    let mut all: Vec<(u64, usize)> = (0..drawing.node_count())
        .map(|index| {
            let node = last.and_then(|state| state.nodes.get(index).copied().flatten());
            (node.map_or(u64::MAX, figures::fullness), index)
        })
        .collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    all.into_iter().take(WORST).map(|(_, index)| index).collect()
}
