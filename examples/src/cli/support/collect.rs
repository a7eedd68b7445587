//! What goes into the archive.

use std::fs;
use std::io::Read;
use std::path::Path;

use open_local_core::host::{Clock, Loops, SystemClock, SystemLoops};
use open_local_core::state::MAX_RECORD;
use open_local_core::throttle::find_controllers;
use open_local_core::{Error, PoolExt, Result};
use serde_json::{Value, json};

use super::Item;
use crate::context::Context;
use crate::view;

/// Most records taken from one folder and those below it.
const MAX_RECORDS: usize = 2000;
/// How deep folders are searched for records.
const MAX_DEPTH: usize = 6;
/// Most bytes taken of one file of the kernel or of the log.
const MAX_TEXT: u64 = 4 << 20;

/// Gathers everything; what fails is listed in `errors.txt`.
pub(super) fn all(context: &Context) -> Vec<Item> {
    let mut bag = Bag::default();
    let host = &context.machine.host;
    bag.json("versions.json", &versions(context));
    let backends = view::capability::backends_json(&context.machine.registry);
    bag.json("backends.json", &backends);
    bag.pools(context);
    for (name, path) in [
        ("kernel.txt", "version"),
        ("mountinfo.txt", "self/mountinfo"),
        ("cgroup.txt", "self/cgroup"),
        ("partitions.txt", "partitions"),
    ] {
        bag.file(name, &host.roots.proc.join(path));
    }
    bag.cgroups(&host.roots.proc.join("self/mountinfo"));
    bag.loops();
    if let Some(ring) = &context.ring {
        for path in ring.files().iter().filter(|path| path.exists()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            bag.file(&name, path);
        }
        bag.records("state", &host.roots.state, MAX_DEPTH);
        bag.records("run", &host.roots.run, MAX_DEPTH);
    }
    bag.finish()
}

fn versions(context: &Context) -> Value {
    let roots = &context.machine.host.roots;
    json!({
        "open_local": env!("CARGO_PKG_VERSION"),
        "backend": context.backend().name(),
        "state": roots.state.to_string_lossy(),
        "run": roots.run.to_string_lossy(),
        "root": nix::unistd::geteuid().is_root(),
        "time": view::time::rfc3339(SystemClock.now()),
    })
}

#[derive(Default)]
struct Bag {
    items: Vec<Item>,
    errors: Vec<String>,
}

impl Bag {
    fn put(&mut self, name: &str, content: Vec<u8>) {
        let name = name.to_owned();
        self.items.push(Item { name, content });
    }

    fn json(&mut self, name: &str, value: &Value) {
        self.put(name, format!("{value:#}\n").into_bytes());
    }

    fn keep<T>(&mut self, what: &str, result: Result<T, impl Into<Failure>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(format!("{what}: {}", error.into().0));
                None
            }
        }
    }

    fn file(&mut self, name: &str, path: &Path) {
        let mut content = Vec::new();
        let read =
            fs::File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_end(&mut content));
        if self.keep(&path.display().to_string(), read).is_some() {
            self.put(name, content);
        }
    }

    fn pools(&mut self, context: &Context) {
        let backend = context.backend();
        let Some(pools) = self.keep("pools", backend.list_pools()) else {
            return;
        };
        let (mut shown, mut volumes, mut snapshots) = (vec![], vec![], vec![]);
        for info in &pools {
            shown.push(view::pool::json(info));
            let id = info.id();
            let Some(pool) = self.keep(&format!("pool {id}"), backend.open_pool(id)) else {
                continue;
            };
            let found = self.keep(&format!("volumes of {id}"), pool.volumes());
            for volume in found.unwrap_or_default() {
                volumes.push(json!({ "pool": id.as_str(), "volume": view::volume::json(&volume) }));
            }
            let found = pool.require_snapshots().and_then(|s| s.list_snapshots(None));
            let found = self.keep(&format!("snapshots of {id}"), found);
            for snapshot in found.unwrap_or_default() {
                snapshots.push(
                    json!({ "pool": id.as_str(), "snapshot": view::snapshot::json(&snapshot) }),
                );
            }
            if let Some(location) = info.spec.location.as_ref().filter(|_| context.machine.real) {
                self.records(&format!("pools/{id}"), location, MAX_DEPTH);
            }
        }
        self.json("pools.json", &json!({ "pools": shown }));
        self.json("volumes.json", &json!({ "volumes": volumes }));
        self.json("snapshots.json", &json!({ "snapshots": snapshots }));
    }

    fn cgroups(&mut self, mountinfo: &Path) {
        let Some(text) = self.keep("mount information", fs::read(mountinfo)) else {
            return;
        };
        let found = find_controllers(&text);
        let place = |mount: Option<&open_local_core::throttle::CgroupMount>| {
            mount.map(
                |m| json!({ "point": m.point.to_string_lossy(), "root": m.root.to_string_lossy() }),
            )
        };
        let shown = json!({
            "v1_blkio": place(found.v1_blkio.as_ref()),
            "v2": place(found.v2.as_ref()),
        });
        self.json("cgroups.json", &shown);
    }

    fn loops(&mut self) {
        let listed = SystemLoops::default().list();
        let devices: Vec<Value> = self
            .keep("loop devices", listed)
            .unwrap_or_default()
            .iter()
            .map(|device| {
                json!({
                    "device": device.path.to_string_lossy(),
                    "tag": device.tag,
                    "file_device": device.file_device.to_string(),
                    "file_inode": device.file_inode,
                    "read_only": device.read_only,
                    "direct_io": device.direct_io,
                    "size": device.size.get(),
                    "block_size": device.block_size.get(),
                })
            })
            .collect();
        self.json("loops.json", &json!({ "loops": devices }));
    }

    /// Takes our records, judged by their first words, and nothing else: never a volume's content.
    fn records(&mut self, name: &str, folder: &Path, depth: usize) {
        let Some(entries) = self.keep(&folder.display().to_string(), fs::read_dir(folder)) else {
            return;
        };
        let mut entries: Vec<_> = entries.filter_map(|entry| entry.ok()).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            let Ok(meta) = entry.path().symlink_metadata() else {
                continue;
            };
            if self.items.len() >= MAX_RECORDS {
                self.errors.push(format!("more than {MAX_RECORDS} files: {inner} left out"));
                return;
            }
            if meta.is_dir() && depth > 0 {
                self.records(&inner, &entry.path(), depth - 1);
            } else if meta.is_file()
                && meta.len() <= MAX_RECORD
                && let Ok(content) = fs::read(entry.path())
                && content.starts_with(b"open-local ")
            {
                self.put(&inner, content);
            }
        }
    }

    fn finish(mut self) -> Vec<Item> {
        let text = self.errors.join("\n");
        self.put("errors.txt", format!("{text}\n").into_bytes());
        self.items
    }
}

/// The text of what could not be collected.
struct Failure(String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.report().to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
