//! Running the built program.

use std::process::{Command, Output, Stdio};

/// What one run answered.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    pub fn error(&self) -> serde_json::Value {
        let parsed: serde_json::Value =
            serde_json::from_str(&self.stderr).unwrap_or_else(|e| panic!("{e}: {}", self.stderr));
        parsed["error"].clone()
    }
}

/// Runs it on the simulated machine.
pub fn sim(arguments: &[&str]) -> Run {
    run(&[&["--backend", "sim"], arguments].concat())
}

/// Runs it with these arguments, nothing on standard input and no environment of ours.
#[expect(
    clippy::disallowed_methods,
    reason = "the test starts the program under test, as a shell would"
)]
pub fn run(arguments: &[&str]) -> Run {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_open-local"))
        .args(arguments)
        .env_remove("OPEN_LOCAL_BACKEND")
        .env_remove("OPEN_LOCAL_POOL")
        .env_remove("OPEN_LOCAL_STATE_DIR")
        .env_remove("OPEN_LOCAL_RUN_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
