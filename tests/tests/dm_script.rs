//! The simulated kernel tells what the real one told when `guest_dm` was last compared with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;

use open_local_tests::dm_script::{ALL, on_simulation};

/// Set it to write what is told now.
const RENEW: &str = "OPEN_LOCAL_RENEW";

#[test]
fn scripts_tell_what_a_real_kernel_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dm_script");
    let mut lines = 0;
    for (name, script) in ALL {
        let told = on_simulation(script).join("\n") + "\n";
        let path = folder.join(name).with_extension("told");
        if std::env::var_os(RENEW).is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &told).unwrap();
        }
        let wanted = fs::read_to_string(&path).unwrap();
        for (told, wanted) in told.lines().zip(wanted.lines()) {
            assert_eq!(told, wanted, "{name}");
        }
        assert_eq!(told, wanted, "{name}");
        assert!(!told.contains("the script has no") && !told.contains("no command"), "{told}");
        lines += told.lines().count();
    }
    println!("{lines} answers as recorded");
}
