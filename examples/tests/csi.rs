//! `open-local csi` and `csi-client` on the simulated machine: settings, endpoints, refusals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod program;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use open_local_core::host::{Clock, SystemClock};
use program::{Run, run};

static NEXT: AtomicU32 = AtomicU32::new(0);
/// How often and how long what another process does is waited for.
const TURNS: u32 = 400;
const TURN: Duration = Duration::from_millis(25);

/// A driver on the simulated machine in a folder of its own.
struct Server {
    folder: PathBuf,
    child: Child,
}

fn folder() -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("open-local-csi-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TURNS {
        if let Some(found) = look() {
            return found;
        }
        SystemClock.sleep(TURN);
    }
    panic!("{what} did not come");
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_open-local"))
            .arg("--state-dir")
            .arg(folder.join("state"))
            .arg("--run-dir")
            .arg(folder.join("run"))
            .args(["--log-level", "info", "csi", "--node-id", "n", "--interval", "1s"])
            .args(["--endpoint", &format!("unix://{}/csi.sock", folder.display())])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { folder, child };
        until("the socket", || server.folder.join("csi.sock").exists().then_some(()));
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// The addresses in the order they are served.
    fn addresses(&self) -> Vec<SocketAddr> {
        let log = self.log();
        let after = log.split("serving address=").skip(1);
        after.map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap()).collect()
    }

    fn client(&self, arguments: &[&str]) -> Run {
        let endpoint = format!("unix://{}/csi.sock", self.folder.display());
        run(&[&["csi-client", "--endpoint", &endpoint], arguments].concat())
    }

    fn ok(&self, arguments: &[&str]) -> serde_json::Value {
        let run = self.client(&[arguments, &["-o", "json"]].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {}\n{}", run.stderr, self.log());
        run.json()
    }

    #[expect(clippy::disallowed_methods, reason = "a signal as an operator sends it")]
    fn end(mut self, signal: &str) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("/bin/kill").args([signal, &id]).status().unwrap().success());
        let status = until("the end", || self.child.try_wait().unwrap());
        assert!(!self.folder.join("csi.sock").exists());
        (status, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a page answers: the status, and all that follows the headers.
fn page(address: SocketAddr, path: &str) -> (u16, String) {
    raw(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

fn raw(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The other side may have had enough before all is written.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_default(), body.to_owned())
}

#[test]
fn calls_of_every_kind_go_through_the_client() {
    let server = Server::start(&["--pool", "p=sim,capacity=10GiB"]);
    assert_eq!(server.ok(&["probe"])["ready"], true);
    assert_eq!(server.ok(&["info"])["name"], "local.csi.aliyun.com");
    assert_eq!(server.ok(&["node-info"])["topology"]["kubernetes.io/hostname"], "n");
    let can = server.ok(&["capabilities"])["capabilities"].clone();
    assert!(can["node"].as_array().unwrap().iter().any(|word| word == "STAGE_UNSTAGE_VOLUME"));
    let made = server.ok(&["create", "v", "--size", "1GiB", "--capability", "mount:ext4"]);
    assert_eq!(made["volume"]["size"], 1u64 << 30);
    let context = server.folder.join("v.json");
    std::fs::write(&context, made.to_string()).unwrap();
    let context = context.to_str().unwrap();
    server.ok(&["stage", "v", "--staging", "/s/v", "--context-from", context]);
    server.ok(&[
        "publish",
        "v",
        "--staging",
        "/s/v",
        "--target",
        "/t/v",
        "--context-from",
        context,
    ]);
    assert_eq!(server.ok(&["stats", "v", "--path", "/t/v"])["usage"][0]["unit"], "bytes");
    assert_eq!(server.ok(&["snapshot", "create", "s", "--volume", "v"])["snapshot"]["ready"], true);
    server.ok(&["create", "r", "--size", "1GiB", "--from-snapshot", "s"]);
    server.ok(&["create", "c", "--size", "1GiB", "--from-volume", "v"]);
    let grown = server.ok(&["expand", "v", "--size", "2GiB"]);
    assert_eq!(
        (&grown["size"], &grown["node_expansion_required"]),
        (&(2u64 << 30).into(), &true.into())
    );
    assert_eq!(server.ok(&["node-expand", "v", "--path", "/t/v"])["size"], 2u64 << 30);
    let group = server.ok(&["group", "create", "g", "--volume", "v", "--volume", "c"]);
    assert_eq!(group["group_snapshot"]["snapshots"].as_array().unwrap().len(), 2);
    server.ok(&["group", "get", "g"]);
    assert_eq!(server.ok(&["snapshot", "list"])["snapshots"].as_array().unwrap().len(), 3);
    assert_eq!(server.ok(&["snapshot", "get", "s"])["snapshot"]["volume"], "v");
    assert_eq!(server.ok(&["validate", "v", "--capability", "block"])["confirmed"], true);
    assert_eq!(server.ok(&["validate", "v", "--access", "nodes-writers"])["confirmed"], false);
    server.ok(&["modify", "v", "--mutable", "bps=1Mi"]);
    assert_eq!(server.ok(&["get", "v"])["volume"]["id"], "v");
    let first = server.ok(&["list", "--max-entries", "1"]);
    let token = first["next_token"].as_str().unwrap();
    let rest = server.ok(&["list", "--token", token]);
    assert_eq!(rest["volumes"].as_array().unwrap().len(), 2);
    assert_eq!(server.ok(&["capacity"])["available"].as_u64().unwrap() % 512, 0);
    server.ok(&["unpublish", "v", "--target", "/t/v"]);
    server.ok(&["unstage", "v", "--staging", "/s/v"]);
    server.ok(&["group", "delete", "g", "--yes"]);
    server.ok(&["snapshot", "delete", "s", "--yes"]);
    for volume in ["v", "r", "c"] {
        server.ok(&["delete", volume, "--yes"]);
    }
    let shown = server.client(&["list"]);
    assert_eq!(shown.stdout, "there is no volume\n");
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("id=") && log.contains("ensure volume"), "{log}");
}

#[test]
fn a_refusal_has_its_code_its_reason_and_what_to_do_next() {
    let server = Server::start(&["--pool", "p=sim,capacity=1GiB"]);
    let secret = server.folder.join("secret");
    std::fs::write(&secret, "never-to-be-seen\n").unwrap();
    let secret = format!("key={}", secret.display());
    server.ok(&["create", "v", "--size", "1MiB", "--secret", &secret]);
    for (arguments, code, said, next) in [
        (&["create", "w", "--size", "2GiB"][..], 5, "RESOURCE_EXHAUSTED (8)", "capacity"),
        (&["create", "v", "--size", "2MiB"], 4, "ALREADY_EXISTS (6)", "csi-client list"),
        (
            &["create", "w", "--parameter", "vgname=p", "--parameter", "bps=x"],
            2,
            "INVALID_ARGUMENT (3)",
            "--help",
        ),
        (&["get", "nope"], 3, "NOT_FOUND (5)", "csi-client list"),
        (&["snapshot", "create", "s", "--volume", "nope"], 3, "NOT_FOUND (5)", "snapshot list"),
        (&["controller-publish", "v", "--node", "n"], 10, "UNIMPLEMENTED (12)", "capabilities"),
        (&["list", "--token", "nonsense"], 6, "ABORTED (10)", "again"),
    ] {
        let run = server.client(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        let help = run.stderr.lines().find(|line| line.starts_with("help: ")).unwrap();
        assert!(help.contains(next), "{help}");
        let json = server.client(&[arguments, &["-o", "json"]].concat()).error();
        assert_eq!(json["exit_code"], code);
    }
    assert_eq!(server.client(&["delete", "v"]).code, 7, "without --yes");
    assert!(server.client(&["delete", "v", "--dry-run"]).stdout.contains("call DeleteVolume"));
    let (status, log) = server.end("-INT");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("never-to-be-seen"), "{log}");
}

#[test]
fn nobody_at_the_socket_is_told_apart_from_no_socket() {
    let folder = folder();
    let socket = folder.join("s");
    let endpoint = format!("unix://{}", socket.display());
    let probe = ["csi-client", "--endpoint", &endpoint, "probe"];
    let absent = run(&probe);
    assert_eq!(absent.code, 3, "{}", absent.stderr);
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let dead = run(&probe);
    assert_ne!((dead.code, dead.code), (0, 3), "{}", dead.stderr);
    assert!(dead.stderr.contains("nobody answers"), "{}", dead.stderr);
    // Somebody who never answers.
    std::fs::remove_file(&socket).unwrap();
    let _mute = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let late = run(&["csi-client", "--endpoint", &endpoint, "--timeout", "300ms", "probe"]);
    assert_eq!(late.code, 12, "{}", late.stderr);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn figures_and_health_are_served_on_both_protocols() {
    let server = Server::start(&[
        "--pool",
        "p=sim,capacity=1GiB",
        "--metrics-address",
        "127.0.0.1:0",
        "--metrics-address",
        "[::1]:0",
        "--metrics-address",
        "[::]:0",
        "--health-address",
        "127.0.0.1:0",
    ]);
    server.ok(&["create", "v", "--size", "1MiB"]);
    let _ = server.client(&["get", "nope"]);
    let addresses = server.addresses();
    assert_eq!(addresses.len(), 4, "{}", server.log());
    let (mut figures, mut health) = (0, 0);
    for address in addresses {
        // All addresses at once is reached by each of them.
        let reached: Vec<SocketAddr> = match address.ip().is_unspecified() {
            true => ["127.0.0.1", "::1"]
                .map(|ip| SocketAddr::new(ip.parse().unwrap(), address.port()))
                .into(),
            false => vec![address],
        };
        for address in reached {
            let (status, body) = page(address, "/metrics");
            if status == 404 {
                health += 1;
                assert_eq!(page(address, "/healthz"), (200, "ok\n".to_owned()));
                until("readiness", || (page(address, "/readyz").0 == 200).then_some(()));
                continue;
            }
            figures += 1;
            assert_eq!(status, 200);
            for part in [
                "open_local_csi_operations_total{service=\"Controller\",method=\"CreateVolume\",code=\"OK\"} 1\n",
                "method=\"ControllerGetVolume\",code=\"NOT_FOUND\"} 1\n",
                "open_local_csi_operation_duration_seconds_bucket{le=\"+Inf\",",
                "open_local_csi_operations_in_flight{service=\"Controller\",method=\"CreateVolume\"} 0\n",
                "open_local_pool_size_bytes{pool=\"p\"} 1073741824\n",
                "open_local_pool_stale{pool=\"p\"} 0\n",
                "# EOF\n",
            ] {
                assert!(body.contains(part), "{part} is missing in\n{body}");
            }
            assert_eq!(page(address, "/healthz").0, 404, "health is served where it was asked for");
        }
    }
    assert_eq!((figures, health), (4, 1));
}

#[test]
fn hostile_requests_are_ended_and_hurt_nobody() {
    let server = Server::start(&["--pool", "p=sim", "--metrics-address", "127.0.0.1:0"]);
    let address = server.addresses()[0];
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(64 << 10));
    assert!((400..500).contains(&raw(address, long.as_bytes()).0));
    let headers = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(4000));
    assert!((400..500).contains(&raw(address, headers.as_bytes()).0));
    assert_eq!(
        raw(address, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").0,
        405
    );
    let _ = raw(address, b"\x00\xff\x16\x03\x01\r\n\r\n");
    // More connections that say nothing than are worked on at once: the others wait, and come in.
    let silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(page(address, "/metrics").0, 200);
    drop(silent);
}

/// What is planned by who has named a pool for the other commands in the environment.
#[expect(clippy::disallowed_methods, reason = "the program under test")]
fn with_shells_pool(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_open-local"))
        .args(["--dry-run", "csi"])
        .args(arguments)
        .env("OPEN_LOCAL_POOL", "shells")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn settings_come_from_the_line_the_environment_and_the_file() {
    let folder = folder();
    let file = folder.join("csi.yaml");
    let path = file.to_str().unwrap();
    std::fs::write(
        &file,
        "node_id: from-file\nendpoint: unix:///run/x/from-file.sock\npool: [p=sim]\n",
    )
    .unwrap();
    let planned = run(&["--dry-run", "csi", "--config", path]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(planned.stdout.contains("/run/x/from-file.sock"), "{}", planned.stdout);
    let planned =
        run(&["--dry-run", "csi", "--config", path, "--endpoint", "/run/x/from-line.sock"]);
    assert!(planned.stdout.contains("/run/x/from-line.sock"), "{}", planned.stdout);
    assert!(with_shells_pool(&["--config", path]).contains("ensure pool p of backend sim"));
    std::fs::write(&file, "node-id: n\nmetrics-adress: 9810\n").unwrap();
    let wrong = run(&["--dry-run", "csi", "--config", path]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let said =
        "line 2, column 1: unknown option \"metrics-adress\" (did you mean metrics-address?)";
    assert!(wrong.stderr.contains(said), "{}", wrong.stderr);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_central_mode_needs_no_pool_and_serves_nothing_of_a_node() {
    let server = Server::start(&["--driver-mode", "controller"]);
    assert_eq!(server.ok(&["probe"])["ready"], true);
    for arguments in [&["create", "v", "--size", "1MiB"][..], &["node-info"]] {
        let run = server.client(arguments);
        assert_eq!(run.code, 10, "{arguments:?}: {}", run.stderr);
    }
    assert!(server.log().contains("nothing here knows the cluster yet"), "{}", server.log());
}

#[test]
fn command_lines_of_the_original_start_it() {
    let planned = run(&[
        "--dry-run",
        "csi",
        "--nodeID=n",
        "--endpoint=unix://var/lib/kubelet/plugins/x/csi.sock",
        "--driver=yodaplugin.csi.alibabacloud.com",
        "--driver-mode=all",
        "--path.sysfs=/sys",
        "--lvmdPort=1736",
        "--enable-spdk=false",
        "--use_node_hostname",
        "-v=4",
        "--v=4",
        "--extender-scheduler-names",
        "default-scheduler",
        "--cgroupDriver",
        "systemd",
        "--grpc_connection_timeout=3",
        "--pool",
        "p=sim",
    ]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(planned.stdout.contains("yodaplugin.csi.alibabacloud.com"), "{}", planned.stdout);
    assert!(planned.stdout.contains("/var/lib/kubelet/plugins/x/csi.sock"), "{}", planned.stdout);
    assert_eq!(planned.stderr.matches("WARN").count(), 1, "{}", planned.stderr);
    for name in ["lvmdPort", "enable-spdk", "use-node-hostname", "cgroupDriver"] {
        assert!(planned.stderr.contains(name), "{name}: {}", planned.stderr);
    }
}

#[test]
fn what_can_not_be_served_is_refused_before_anything_is_made() {
    for (arguments, code, parts) in [
        (&["--node-id", "n"][..], 2, &["no pool", "--pool"][..]),
        (&["--pool", "p=sim"], 2, &["--node-id"]),
        (&["--node-id", "n", "--pool", "p=sim", "--pool", "p=file:/x"], 2, &["p=sim", "p=file:/x"]),
        (&["--node-id", "n", "--pool", "p=tape:/x"], 3, &["tape", "file, lvm"]),
        (&["--node-id", "a", "--node-topology", "b", "--pool", "p=sim"], 2, &["= b", "told a"]),
        (&["--node-id", "n", "--pool", "p=sim", "--metrics-address", "host:1"], 2, &["[::]:9810"]),
        (&["--node-id", "n", "--pool", "p=sim", "--endpoint", "tcp://1.2.3.4:5"], 2, &["unix://"]),
        (&["--node-id", "n", "--colour", "red"], 2, &["--colour"]),
    ] {
        let run = run(&[&["csi"], arguments].concat());
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{part} is missing in {}", run.stderr);
        }
    }
}
