//! Nodes in detail: a bar a pool and moment, all to one scale, and a chip a device.

use open_local_core::plan::{Exclusive, Node, NodePool};
use open_local_core::{Bytes, Provisioning, Ratio};

use super::canvas::{Area, Canvas, share};
use super::{Drawing, MARGIN, WIDTH};
use crate::plan::figures;
use crate::view::size::{human, percent};

/// Where the names of pools, the bars and the figures begin, and where all ends.
const POOLS: u64 = 220;
const BARS: u64 = 372;
const FIGURES: u64 = 925;
const RIGHT: u64 = WIDTH - MARGIN;
/// The longest bar.
const LONGEST: u64 = FIGURES - BARS - 20;

/// Heights of the bar of before and of each after, and the space between.
const THIN: u64 = 6;
const THICK: u64 = 14;
const SPACE: u64 = 2;

/// A chip.
const CHIP: (u64, u64) = (166, 24);
/// Most chips of a node that are drawn; more are counted.
const CHIPS: usize = 40;

/// Draws these nodes.
pub(super) fn draw(canvas: &mut Canvas, drawing: &Drawing<'_>, nodes: &[usize]) {
    let pools = nodes.iter().flat_map(|index| drawing.node(*index).flatten());
    let largest = pools.flat_map(Node::pools).map(|pool| pool.total().get()).max().unwrap_or(0);
    canvas.y = canvas.y.saturating_add(26);
    let ticks = if largest > 0 { scale(canvas, largest) } else { Vec::new() };
    let (mark, top) = (canvas.mark(), canvas.y);
    for index in nodes {
        canvas.line((MARGIN, canvas.y), (RIGHT, canvas.y), "oline");
        node(canvas, drawing, *index, largest);
    }
    let bottom = canvas.y;
    canvas.beneath(mark, |canvas| {
        for x in ticks {
            canvas.line((x, top), (x, bottom), "ogrid");
        }
    });
}

/// A round step of which four to eight make up the largest pool.
fn step(largest: u64) -> u64 {
    let mut step = 1u64;
    while largest / step > 8 {
        step = step.saturating_mul(2);
        // Halves and fifths of a unit make odd words.
        if largest / step <= 8 {
            break;
        }
    }
    step
}

/// Writes the scale; answers where its ticks are.
fn scale(canvas: &mut Canvas, largest: u64) -> Vec<u64> {
    let mut ticks = Vec::new();
    let step = step(largest);
    let y = canvas.y;
    let mut at = 0u64;
    while at <= largest {
        let x = BARS.saturating_add(share(at, largest, LONGEST));
        canvas.text((x, y), "ox oc", &human(Bytes::new(at)));
        ticks.push(x);
        let Some(next) = at.checked_add(step) else {
            break;
        };
        at = next;
    }
    canvas.y = y.saturating_add(10);
    ticks
}

fn node(canvas: &mut Canvas, drawing: &Drawing<'_>, index: usize, largest: u64) {
    let Some(before) = drawing.node(index).next().flatten() else {
        return;
    };
    let top = canvas.y.saturating_add(14);
    name(canvas, drawing, index, before, top);
    canvas.y = top;
    for pool in before.pools() {
        let states: Vec<Option<&NodePool>> = drawing
            .node(index)
            .map(|node| node.and_then(|node| node.pool(pool.name().as_str())))
            .collect();
        pool_row(canvas, drawing, pool, (&states, largest));
    }
    for (what, list) in [
        ("devices", Node::devices as fn(&Node) -> &[Exclusive]),
        ("mount points", Node::mount_points),
    ] {
        let states: Vec<Option<&[Exclusive]>> =
            drawing.node(index).map(|node| node.map(list)).collect();
        chips(canvas, what, list(before), &states);
    }
    canvas.y = canvas.y.max(top.saturating_add(40)).saturating_add(12);
}

fn name(canvas: &mut Canvas, drawing: &Drawing<'_>, index: usize, before: &Node, top: u64) {
    let room = POOLS - MARGIN - 14;
    let name = before.name().as_str();
    canvas.fitted((MARGIN, top + 13), "ob", name, (14, room));
    let counts: Vec<usize> =
        drawing.states.iter().map(|state| state.pods.get(index).copied().unwrap_or(0)).collect();
    let shown: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let pods = match (counts.first(), counts.last()) {
        (Some(a), Some(b)) if counts.iter().all(|n| n == a) => {
            if *b == 1 {
                "1 pod".to_owned()
            } else {
                format!("{b} pods")
            }
        }
        _ => match shown.split_first() {
            Some((before, after)) => format!("{before} → {} pods", after.join(" | ")),
            None => String::new(),
        },
    };
    if drawing.node(index).any(|node| node.is_none()) {
        canvas.fitted((MARGIN, top + 31), "om oe", &format!("drained, {pods}"), (12, room));
        return;
    }
    canvas.fitted((MARGIN, top + 31), "om", &pods, (12, room));
}

fn pool_row(
    canvas: &mut Canvas,
    drawing: &Drawing<'_>,
    pool: &NodePool,
    (states, largest): (&[Option<&NodePool>], u64),
) {
    let y = canvas.y;
    let room = BARS - POOLS - 12;
    canvas.fitted((POOLS, y + 11), "", pool.name().as_str(), (13, room));
    let mut kind = crate::plan::report::kind_and_media(pool);
    if states.len() > 2 {
        kind = format!("{} {kind}", human(pool.total()));
    }
    canvas.fitted((POOLS, y + 26), "ox", &kind, (11, room));
    let mut bar_y = y;
    let old = pool.committed();
    let full = share(pool.total().get(), largest, LONGEST);
    for (index, state) in states.iter().enumerate() {
        let height = if index == 0 { THIN } else { THICK };
        let area = Area::new(BARS, bar_y, full, height);
        match state {
            Some(state) => canvas.group(&words(state), |canvas| bar(canvas, area, state, old)),
            None => canvas.rect(area, 2, "ogone"),
        }
        bar_y = bar_y.saturating_add(height).saturating_add(SPACE);
    }
    figures_of(canvas, y, drawing, states);
    canvas.y = bar_y.max(y + 28).saturating_add(10);
}

/// One pool at one moment, for pointing at.
fn words(pool: &NodePool) -> String {
    let largest = pool.available(Provisioning::Thick).max(pool.available(Provisioning::Thin));
    let mut text =
        format!("{}: {} of {} taken", pool.name(), human(pool.committed()), human(pool.total()));
    if !pool.thin().is_zero() {
        text.push_str(&format!(", {} promised to thin volumes", human(pool.thin())));
    }
    if !pool.reserve().is_zero() {
        text.push_str(&format!(", {} reserve", human(pool.reserve())));
    }
    text.push_str(&format!(", largest volume still granted {}", human(largest)));
    text
}

/// Taken before, new, free, reserve.
fn bar(canvas: &mut Canvas, area: Area, pool: &NodePool, old: Bytes) {
    let Area { x, y, w, h } = area;
    let total = pool.total().get();
    canvas.rect(area, 2, "ofree");
    let kept = pool.total().saturating_sub(figures::budget(pool)).get();
    let kept = share(kept, total, w);
    if kept > 0 {
        canvas.rect(Area::new(x + w - kept, y, kept, h), 0, "ores");
    }
    let taken = pool.committed();
    let end = share(taken.get(), total, w);
    let middle = share(taken.min(old).get(), total, w).min(end);
    if middle > 0 {
        canvas.rect(Area::new(x, y, middle, h), 2, "oold");
    }
    if end > middle {
        canvas.rect(Area::new(x + middle, y, end - middle, h), 2, "onew");
    }
    if taken > figures::budget(pool) {
        canvas.rect(Area::new((x + w).saturating_sub(4), y, 4, h), 0, "obad");
    }
}

/// What is taken and left, in two lines at the right.
fn figures_of(canvas: &mut Canvas, y: u64, drawing: &Drawing<'_>, states: &[Option<&NodePool>]) {
    let room = RIGHT - FIGURES;
    if states.len() > 2 {
        let after = drawing.states.iter().zip(states).skip(1);
        for ((state, pool), y) in after.zip([y + 11, y + 27]) {
            let line = match pool {
                Some(pool) => {
                    format!("{}: {}, {}", state.label, human(pool.committed()), left(pool))
                }
                None => format!("{}: gone", state.label),
            };
            canvas.fitted((FIGURES, y), "ox", &line, (11, room));
        }
        return;
    }
    let word = |state: &Option<&NodePool>| {
        state.map_or_else(|| "gone".to_owned(), |pool| human(pool.committed()))
    };
    let before = states.first().map(word).unwrap_or_default();
    let after = states.last().map(word).unwrap_or_default();
    let total = states.iter().flatten().next().map_or(Bytes::ZERO, |pool| pool.total());
    let line = if states.last().is_some_and(Option::is_none) {
        format!("{before} of {}, gone", human(total))
    } else if before == after {
        format!("{after} of {}", human(total))
    } else {
        format!("{before} → {after} of {}", human(total))
    };
    canvas.fitted((FIGURES, y + 11), "", &line, (13, room));
    if let Some(Some(pool)) = states.last() {
        canvas.fitted((FIGURES, y + 27), "ox", &left(pool), (11, room));
    }
}

/// `90% full, 157 GiB left`: the largest volume that would still be granted.
fn left(pool: &NodePool) -> String {
    let ratio = Ratio::of(pool.committed(), figures::budget(pool).max(Bytes::new(1)));
    let largest = pool.available(Provisioning::Thick).max(pool.available(Provisioning::Thin));
    format!("{} full, {} left", percent(ratio), human(largest))
}

/// Devices or mount points: a chip each, a stripe for each moment after the first.
fn chips(canvas: &mut Canvas, what: &str, before: &[Exclusive], states: &[Option<&[Exclusive]>]) {
    if before.is_empty() {
        return;
    }
    canvas.y = canvas.y.saturating_add(2);
    canvas.text((POOLS, canvas.y + 16), "", what);
    let mut x = BARS;
    for (index, one) in before.iter().enumerate() {
        if index >= CHIPS {
            let more = format!("and {} more", before.len().saturating_sub(CHIPS));
            canvas.text((x + 4, canvas.y + 16), "om", &more);
            break;
        }
        if x + CHIP.0 > RIGHT {
            x = BARS;
            canvas.y = canvas.y.saturating_add(CHIP.1 + 4);
        }
        let later: Vec<Option<bool>> = states
            .iter()
            .skip(1)
            .map(|state| {
                let found = state.as_ref()?.iter().find(|other| other.name() == one.name());
                found.map(Exclusive::is_free)
            })
            .collect();
        chip(canvas, (x, canvas.y), one, &later);
        x = x.saturating_add(CHIP.0 + 6);
    }
    canvas.y = canvas.y.saturating_add(CHIP.1 + 6);
}

fn chip(canvas: &mut Canvas, (x, y): (u64, u64), one: &Exclusive, later: &[Option<bool>]) {
    let (w, h) = CHIP;
    let word = |free: bool| if free { "free" } else { "taken" };
    let after: Vec<&str> = later.iter().map(|state| state.map_or("gone", word)).collect();
    let says = format!(
        "{} {}, {}: {} → {}",
        one.name(),
        human(one.size()),
        one.media(),
        word(one.is_free()),
        after.join(" | ")
    );
    let class = |state: &Option<bool>| match (one.is_free(), state) {
        (_, None) => "ogone",
        (true, Some(false)) => "onew",
        (false, Some(false)) => "oold",
        (_, Some(true)) => "ofree",
    };
    let mut stripes: Vec<&str> = later.iter().map(class).collect();
    stripes.dedup();
    let dark = stripes.iter().all(|class| matches!(*class, "onew" | "oold"));
    let text = match (dark, stripes.len()) {
        (_, 2..) => "oh",
        (true, _) => "ok",
        (false, _) => "",
    };
    canvas.group(&says, |canvas| {
        let count = u64::try_from(stripes.len()).unwrap_or(1).max(1);
        let radius = if count == 1 { 3 } else { 0 };
        for (stripe, class) in (0u64..).zip(&stripes) {
            let area = Area::new(x, y + h * stripe / count, w, h / count);
            canvas.rect(area, radius, class);
        }
        let name = one.name().as_str();
        let short = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name);
        let size = human(one.size());
        let room = w.saturating_sub(22 + super::text::pixels(&size, 11));
        canvas.fitted((x + 8, y + 16), text, short, (12, room));
        canvas.text((x + w - 8, y + 16), &format!("ox or {text}"), &size);
    });
}
