//! What the program takes of memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use open_local_core::Bytes;
use open_local_csi::proto;
use open_local_csi::server::services::controller_client::ControllerClient;
use open_local_tests::Scratch;

use super::{node, steps};

const VOLUMES: usize = 1000;

/// The program of the same build, if it was built.
fn program() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let program = here.parent()?.parent()?.join("open-local");
    program.exists().then_some(program)
}

/// Resident memory of a process in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

/// Prints what it takes without and with volumes.
pub(super) fn table(scratch: &Scratch) {
    let Some(program) = program() else {
        println!("memory: not measured; build the program: cargo build --release --bin open-local");
        return;
    };
    println!("| backend | MiB at start | MiB with {VOLUMES:} volumes, all listed |");
    println!("|---|--:|--:|");
    let size = Bytes::from_gib(128).expect("a size");
    let disk = scratch.disk("disk-memory", size, "xfs");
    for (backend, pool) in [
        ("file", format!("p=file:{}", disk.join("pool").display())),
        ("sim", "p=sim,capacity=1TiB".to_owned()),
    ] {
        let (before, after) = measure(scratch, &program, backend, &pool);
        let mib =
            |kib: u64| format!("{:.1}", f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0);
        println!("| {backend} | {} | {} |", mib(before), mib(after));
    }
}

#[expect(clippy::disallowed_methods, reason = "the program that is measured")]
fn measure(scratch: &Scratch, program: &Path, backend: &str, pool: &str) -> (u64, u64) {
    let folder = scratch.join(&format!("memory-{backend}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let socket = folder.join("csi.sock");
    let mut child = Command::new(program)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("--run-dir")
        .arg(folder.join("run"))
        .args(["csi", "--node-id", "node", "--pool", pool, "--max-volumes", "0"])
        .arg("--endpoint")
        .arg(&socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let figures = runtime.block_on(async {
        let channel = node::connect(&socket).await;
        let before = resident(child.id());
        let mut controller = ControllerClient::new(channel);
        for number in 0..VOLUMES {
            let request = steps::create(&format!("v{number}"));
            controller.create_volume(request).await.expect("a volume");
        }
        let list = controller.list_volumes(proto::ListVolumesRequest::default()).await;
        assert_eq!(list.expect("a list").into_inner().entries.len(), VOLUMES);
        (before, resident(child.id()))
    });
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    figures
}
