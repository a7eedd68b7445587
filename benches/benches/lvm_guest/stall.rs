//! What a writer on another volume of the pool sees while one is extended.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use open_local_benches::lanes::{median, millis};
use open_local_core::host::{Clock, SystemClock};
use open_local_tests::Direct;

use crate::group::{Group, NEIGHBOUR, mib, volume};

/// Between two writes.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the writer is watched while nothing else happens.
const QUIET: Duration = Duration::from_millis(500);
/// What grows: larger with each round, as long as the guest lives.
const GROWING: &str = "growing";
/// More writes than any run makes; then the writer only writes.
const MOST: usize = 1_000_000;

/// When a write began and how long it took.
type Write = (Duration, Duration);

fn writer(node: &Path, end: &AtomicBool) -> Vec<Write> {
    let device = Direct::open(node).expect("open the neighbour's volume");
    let mut writes = Vec::new();
    while !end.load(Ordering::SeqCst) {
        let start = SystemClock.monotonic();
        device.fill(0, 4096, 7).expect("write");
        if writes.len() < MOST {
            writes.push((start, SystemClock.monotonic().saturating_sub(start)));
        }
        SystemClock.sleep(PAUSE);
    }
    writes
}

/// The longest write that was under way in a span of time.
fn longest(writes: &[Write], span: (Duration, Duration)) -> Duration {
    let meets = |write: &&Write| write.0 < span.1 && write.0.saturating_add(write.1) > span.0;
    writes.iter().filter(meets).map(|write| write.1).max().unwrap_or_default()
}

fn span(work: impl FnOnce()) -> (Duration, Duration) {
    let start = SystemClock.monotonic();
    work();
    (start, SystemClock.monotonic())
}

/// The longest write in each extension, ours and theirs, as a table in Markdown.
pub(crate) fn table(group: &Group, rounds: u32) -> String {
    if group.pool.volume(&volume(GROWING)).is_err() {
        group.make(GROWING);
    }
    let mut size = group.pool.volume(&volume(GROWING)).expect("the volume that grows").size;
    let end = AtomicBool::new(false);
    let mut spans: Vec<(&str, (Duration, Duration))> = Vec::new();
    let node = group.node(NEIGHBOUR);
    let writes = std::thread::scope(|scope| {
        let writer = scope.spawn(|| writer(&node, &end));
        for _ in 0..rounds {
            spans.push(("nothing", span(|| SystemClock.sleep(QUIET))));
            size = size.saturating_add(mib(4));
            spans.push((
                "native",
                span(|| {
                    let _ = group.pool.grow_volume(&volume(GROWING), size).expect("grow");
                }),
            ));
            size = size.saturating_add(mib(4));
            spans.push((
                "lvm2",
                span(|| {
                    group.lvm("lvextend", &["-L", "+4m", &group.path(GROWING)]);
                }),
            ));
        }
        end.store(true, Ordering::SeqCst);
        writer.join().expect("the writer")
    });
    let mut text = "| a neighbour's longest write during | median, ms | longest, ms | the whole \
                    took, ms |\n|---|--:|--:|--:|"
        .to_owned();
    for side in ["nothing", "native", "lvm2"] {
        let of_side = || spans.iter().filter(|(name, _)| *name == side);
        let stalls: Vec<Duration> = of_side().map(|(_, span)| longest(&writes, *span)).collect();
        let whole: Vec<Duration> =
            of_side().map(|(_, span)| span.1.saturating_sub(span.0)).collect();
        let most = stalls.iter().max().copied().unwrap_or_default();
        let what =
            if side == "nothing" { "nothing".to_owned() } else { format!("an extension, {side}") };
        let (stall, whole) = (millis(median(&stalls)), millis(median(&whole)));
        text.push_str(&format!("\n| {what} | {stall} | {} | {whole} |", millis(most)));
    }
    text.push('\n');
    text
}
