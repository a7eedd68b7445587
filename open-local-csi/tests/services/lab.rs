//! Nodes in memory: one with simulated pools, one with pools of files on simulated loop devices.

use std::sync::Arc;

use open_local_core::file::FileBackend;
use open_local_core::host::Host;
use open_local_core::sim::{
    Machine, SimBackend, SimFiles, SimFilesystems, SimLoops, SimThrottle, sim_host,
};
use open_local_core::{Backend, Bytes, Pool, PoolId, PoolSpec};
use open_local_csi::proto::Volume;
use open_local_csi::service::{Config, Driver, PoolEntry, PoolSet};
use open_local_csi::{Answer, Code};

use crate::ask;
use crate::cases::Case;
use crate::gate::Gate;

/// A node with the pools `fast` and `slow`.
pub(crate) struct Lab {
    pub(crate) driver: Driver,
    pub(crate) gate: Arc<Gate>,
    /// Whether its devices can be formatted and mounted.
    pub(crate) mounts: bool,
}

impl Lab {
    pub(crate) fn sim() -> Self {
        let machine = Machine::new(7);
        let backend = SimBackend::new(&machine);
        let gate = Gate::new();
        machine.arm(gate.clone());
        Self { driver: driver(&machine, machine.host(), &backend, "sim"), gate, mounts: true }
    }

    /// Pools of files. Nothing can be mounted here, but devices can be staged.
    pub(crate) fn file() -> Self {
        let files = Arc::new(SimFiles::new(7));
        files.set_total(Bytes::GIB);
        files.set_reflink(true);
        for folder in ["/srv", "/var/lib"] {
            files.add_folder(folder).unwrap();
        }
        let loops = SimLoops::new(&files).unwrap();
        let gate = Gate::new();
        let host = sim_host(files, 3).with_checkpoints(gate.clone());
        let backend = FileBackend::new(host.clone(), Arc::new(loops));
        let driver = driver(&Machine::new(7), host, &backend, "file");
        Self { driver, gate, mounts: false }
    }

    pub(crate) fn staging(&self, name: &str) -> String {
        format!("/staging/{name}")
    }

    pub(crate) fn target(&self, name: &str) -> String {
        format!("/pods/{name}")
    }
}

fn driver(machine: &Machine, host: Host, backend: &dyn Backend, kind: &str) -> Driver {
    let pools = ["fast", "slow"].map(|name| {
        let id = PoolId::new(name).unwrap();
        PoolEntry::new(id.clone(), kind, pool(backend, &id))
    });
    Driver::builder(Config::new("node-1"), host, Arc::new(SimFilesystems::new(machine)))
        .pools(PoolSet::new(pools).unwrap())
        .throttle(Arc::new(SimThrottle::new(machine)))
        .build()
        .unwrap()
}

fn pool(backend: &dyn Backend, id: &PoolId) -> Arc<dyn Pool> {
    let spec = PoolSpec::new(id.clone()).with_capacity(Bytes::from_mib(512).unwrap());
    let spec = match backend.name() {
        "file" => spec.at(format!("/srv/{id}")),
        _ => spec,
    };
    backend.ensure_pool(&spec).unwrap().get();
    backend.open_pool(id).unwrap()
}

/// Runs a case on every node that can do what it needs.
pub(crate) fn run(case: &Case) {
    for lab in [Lab::sim(), Lab::file()] {
        if case.rpc.service() == "Node" && !lab.mounts {
            continue;
        }
        case.check(&lab);
    }
}

impl Lab {
    pub(crate) fn create(&self, name: &str) -> Volume {
        self.create_in(name, "fast")
    }

    pub(crate) fn create_in(&self, name: &str, pool: &str) -> Volume {
        let mut request = ask::create(name);
        request.parameters.insert("vgName".into(), pool.into());
        self.driver.create_volume(&request).unwrap().volume.unwrap()
    }

    pub(crate) fn staged(&self, name: &str) -> Volume {
        let volume = self.create(name);
        let mut request = ask::stage(&volume, &self.staging(name));
        if !self.mounts {
            request.volume_capability = Some(ask::block(ask::WRITER));
        }
        self.driver.node_stage_volume(&request).unwrap();
        volume
    }

    pub(crate) fn published(&self, name: &str) -> Volume {
        let volume = self.staged(name);
        let request = ask::publish(&volume, &self.staging(name), &self.target(name));
        self.driver.node_publish_volume(&request).unwrap();
        volume
    }

    pub(crate) fn snapshot(&self, name: &str, volume: &str) -> String {
        let made = self.driver.create_snapshot(&ask::snapshot(name, volume)).unwrap();
        made.snapshot.unwrap().snapshot_id
    }

    /// Makes the second call while the first is under way.
    pub(crate) fn while_busy<A: Send + std::fmt::Debug, B>(
        &self,
        first: impl FnOnce(&Driver) -> Answer<A> + Send,
        second: impl FnOnce(&Driver) -> Answer<B>,
    ) -> Answer<B> {
        self.gate.close();
        std::thread::scope(|scope| {
            let under_way = scope.spawn(|| first(&self.driver));
            self.gate.until_taken();
            let answer = second(&self.driver);
            self.gate.open();
            under_way.join().unwrap().unwrap();
            answer
        })
    }
}

/// The code of an answer; `None` is OK.
pub(crate) fn code<T>(answer: &Answer<T>) -> Option<Code> {
    answer.as_ref().err().map(open_local_csi::Status::code)
}
