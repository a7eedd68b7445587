//! What the tests that run in a guest ask of it.

use open_local_core::host::{Invocation, ProgramRunner, SystemRunner};

/// Environment variable that sets how many seeds, points and rounds the long tests go through:
/// a few by default, many in a soak.
pub const ROUNDS: &str = "OPEN_LOCAL_TEST_ROUNDS";

/// How many rounds a test makes: what the environment says, else this many.
///
/// # Panics
/// If the environment says something that is no number.
#[must_use]
#[expect(clippy::panic, reason = "a run that was asked for something else must fail")]
pub fn rounds(few: u64) -> u64 {
    let Some(text) = std::env::var_os(ROUNDS) else {
        return few;
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{ROUNDS} is {}, which is no number", text.display()))
}

/// Loads kernel modules.
///
/// # Panics
/// If one can't be loaded: a tier that lacks something must fail.
#[expect(clippy::panic, reason = "a tier that lacks something must fail")]
pub fn require_modules(names: &[&str]) {
    for name in names {
        let output = SystemRunner.run(&Invocation::new("/sbin/modprobe").arg(*name));
        match output {
            Ok(output) if output.success() => {}
            other => panic!("this test needs the kernel module {name}: {other:?}"),
        }
    }
}
