//! A driver with its server in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use open_local_core::file::FileBackend;
use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{Quiescer, SystemLoops, SystemMounts};
use open_local_core::sim::{Machine, SimBackend, SimFilesystems};
use open_local_core::{Backend, Bytes, PoolId, PoolSpec};
use open_local_csi::server::{NoObserver, ServerOptions, serve};
use open_local_csi::service::{Config, Driver, PoolEntry, PoolSet};
use open_local_tests::Scratch;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Which pool the volumes come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pools {
    Sim,
    File,
}

impl Pools {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::File => "file",
        }
    }

    fn driver(self, scratch: &Scratch, number: u32) -> Driver {
        let id = PoolId::new("bench").expect("a name");
        let config = Config::new("node").with_max_volumes(0);
        match self {
            Self::Sim => {
                let machine = Machine::new(1);
                let backend = SimBackend::new(&machine);
                let spec = PoolSpec::new(id.clone());
                let _ = backend.ensure_pool(&spec).expect("a pool");
                let pool = backend.open_pool(&id).expect("the pool");
                let filesystems = Arc::new(SimFilesystems::new(&machine));
                let set = PoolSet::new([PoolEntry::new(id, "sim", pool)]).expect("one pool");
                Driver::builder(config, machine.host(), filesystems).pools(set).build()
            }
            Self::File => {
                let size = Bytes::from_gib(64).expect("a size");
                let disk = scratch.disk(&format!("disk-{number}"), size, "xfs");
                let host = scratch.host();
                let filesystems =
                    Arc::new(HostFilesystems::new(host.clone(), Arc::new(SystemMounts)));
                let quiescer: Arc<dyn Quiescer> = filesystems.clone();
                let loops = Arc::new(SystemLoops::new(&host.roots));
                let backend = FileBackend::new(host.clone(), loops).with_quiescer(quiescer);
                let id = PoolId::new(format!("bench-{number}")).expect("a name");
                let spec = PoolSpec::new(id.clone()).at(disk.join("pool"));
                let _ = backend.ensure_pool(&spec).expect("a pool");
                let pool = backend.open_pool(&id).expect("the pool");
                let set = PoolSet::new([PoolEntry::new(id, "file", pool)]).expect("one pool");
                let filesystems: Arc<dyn Filesystems> = filesystems;
                Driver::builder(config, host, filesystems).pools(set).build()
            }
        }
        .expect("a driver")
    }
}

/// A server, and channels to it.
pub(super) struct Node {
    pub(super) runtime: Runtime,
    pub(super) folder: PathBuf,
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    task: JoinHandle<open_local_core::Result<()>>,
}

impl Node {
    pub(super) fn start(scratch: &Scratch, pools: Pools) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = scratch.join(&format!("node-{number}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = folder.join("csi.sock");
        let driver = pools.driver(scratch, number);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (stop, stopped) = oneshot::channel();
        let options = ServerOptions::new(&socket);
        let task = runtime.spawn(serve(driver, options, Arc::new(NoObserver), async {
            let _ = stopped.await;
        }));
        let node = Self { runtime, folder, socket, stop, task };
        // The first one waits until somebody answers.
        drop(node.channel());
        node
    }

    /// A connection of its own.
    pub(super) fn channel(&self) -> Channel {
        self.runtime.block_on(connect(&self.socket))
    }

    pub(super) fn end(self) {
        self.stop.send(()).expect("the server runs");
        self.runtime.block_on(self.task).expect("the server ends").expect("it served");
    }
}

/// Waits for a socket, and connects.
pub(super) async fn connect(socket: &Path) -> Channel {
    let uri = format!("unix://{}", socket.display());
    let endpoint = Endpoint::from_shared(uri).expect("a socket");
    for _ in 0..500 {
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nobody answers at {}", socket.display());
}
