//! The conformance suite on pools in volume groups in a guest with udev: its rules make the links,
//! and every call waits for them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "guest_lvm_pool/rack.rs"]
#[allow(dead_code, reason = "the other target uses the rest")]
mod rack;

use std::io;

use open_local_core::Backend;
use open_local_core::conformance::{self, SCRIPT_VARIABLE};
use open_local_core::host::{Invocation, ProgramRunner, SystemRunner};
use open_local_lvm::activate::UdevMode;
use open_local_tests::guest::rounds;
use rack::{Rack, Site};

/// What a second process does; nothing unless the suite started it.
#[test]
fn worker() {
    let (Ok(script), Some(site)) = (std::env::var(SCRIPT_VARIABLE), Site::from_parent()) else {
        return;
    };
    let pool = site.backend(conformance::worker_checkpoints()).open_pool(&site.id()).unwrap();
    conformance::run_worker(pool.as_ref(), &script, &mut io::stdout()).unwrap();
}

/// Runs some cases, or with more rounds all of them; no cookie is left.
fn passes(thin: bool, some: &[&str]) {
    let name = if thin { "udev-thin" } else { "udev-thick" };
    let rack = Rack::new(name, thin, UdevMode::Wait(UdevMode::PATIENCE));
    let all = rounds(1) > 1;
    for filter in if all { &[""][..] } else { some } {
        let report = conformance::run(&rack, filter);
        println!("{report}");
        report.assert_passed().unwrap();
    }
    let cookies = SystemRunner.run(&Invocation::new("/sbin/dmsetup").arg("udevcookies")).unwrap();
    let cookies = String::from_utf8_lossy(&cookies.stdout).into_owned();
    assert!(!cookies.contains("0xd4d"), "{cookies}");
}

#[test]
fn the_suite_passes_on_thick_volumes_with_udev() {
    passes(false, &["publishing/shown", "growth/online", "restart/"]);
}

#[test]
fn the_suite_passes_on_thin_volumes_with_udev() {
    passes(true, &["publishing/shown", "restores/hold"]);
}
