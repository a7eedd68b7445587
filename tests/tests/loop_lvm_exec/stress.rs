//! Native loops and loops of the tools on one group at once: no commit is lost.

use std::sync::atomic::{AtomicU32, Ordering};

use open_local_tests::{LvmTools, Scratch};

use crate::work::{display, mib, seen_by_tools, session, tagged};

/// Loops of each kind.
const LOOPS: usize = 2;
/// Commits a loop of the tools makes; a native one makes three times as many.
const COMMITS: usize = 40;

#[test]
fn no_commit_of_native_and_tool_loops_is_lost() {
    let scratch = Scratch::new("lvm-stress");
    let tools = LvmTools::new(&scratch, &mib(&[64, 64]));
    let devices: Vec<String> = tools.devices().iter().map(|device| display(device)).collect();
    tools.run("vgcreate", &["-qq", "vg", &devices[0], &devices[1]]);
    tools.create_volume("v", &["-l", "1", "vg"]);
    let (before, _) = seen_by_tools(&tools, "vg");
    let running = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 0..LOOPS {
            let (tools, running) = (&tools, &running);
            running.fetch_add(1, Ordering::SeqCst);
            scope.spawn(move || {
                for round in 0..COMMITS {
                    let tag = format!("t{number}-{round}");
                    tools.run("lvchange", &["-qq", "--addtag", &tag, "vg/v"]);
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
            scope.spawn(move || {
                let native = session(tools);
                for round in 0..COMMITS * 3 {
                    let tag = format!("n{number}-{round}");
                    native.change("vg", "tag", |old| Ok(tagged(old, &tag))).unwrap();
                }
            });
        }
    });
    let (after, tags) = seen_by_tools(&tools, "vg");
    let native = LOOPS * COMMITS * 3;
    let ours: Vec<&String> = tags.iter().filter(|tag| tag.starts_with('n')).collect();
    let rows = tools.report("lvs", &["lv_tags"], &["vg/v"]);
    let theirs = rows[0]["lv_tags"].as_str().unwrap().split(',').count();
    println!(
        "{native} native commits and {} of the tools: number {before} to {after}, {} and {theirs} tags",
        LOOPS * COMMITS,
        ours.len()
    );
    assert_eq!(usize::try_from(after - before).unwrap(), native + LOOPS * COMMITS);
    assert_eq!((ours.len(), theirs), (native, LOOPS * COMMITS));
    tools.run("vgck", &["vg"]);
    assert!(session(&tools).group("vg").unwrap().findings.is_empty());
    let left = std::fs::read_dir(tools.lock_folder()).unwrap().count();
    assert_eq!(left, 0, "lock files were left");
}
