//! The server on a real socket, with a simulated node behind it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use open_local_core::sim::{Machine, SimBackend, SimFilesystems};
use open_local_core::{Backend, PoolId, PoolSpec};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};

use super::services::controller_client::ControllerClient;
use super::services::identity_client::IdentityClient;
use super::services::node_client::NodeClient;
use super::*;
use crate::proto;
use crate::service::{Config, Driver, PoolEntry, PoolSet};
use crate::{Code, Rpc};

mod hung;

static NEXT: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(Rpc, Option<Code>)>>, AtomicU32);

impl Seen {
    /// Whether any call was begun.
    fn begun(&self) -> bool {
        self.1.load(Ordering::Relaxed) != 0
    }
}

impl Observer for Seen {
    fn begun(&self, _: Rpc) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
    fn ended(&self, rpc: Rpc, code: Option<Code>, _: Duration) {
        self.0.lock().unwrap().push((rpc, code));
    }
}

fn driver() -> Driver {
    let machine = Machine::new(3);
    let backend = SimBackend::new(&machine);
    let id = PoolId::new("p").unwrap();
    backend.ensure_pool(&PoolSpec::new(id.clone())).unwrap().get();
    let entry = PoolEntry::new(id.clone(), "sim", backend.open_pool(&id).unwrap());
    let filesystems = std::sync::Arc::new(SimFilesystems::new(&machine));
    Driver::builder(Config::new("n"), machine.host(), filesystems)
        .pools(PoolSet::new([entry]).unwrap())
        .build()
        .unwrap()
}

struct Running {
    folder: PathBuf,
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<open_local_core::Result<()>>,
    seen: std::sync::Arc<Seen>,
}

async fn start() -> Running {
    start_with(driver(), |_| {}).await
}

async fn start_with(driver: Driver, change: impl FnOnce(&mut ServerOptions)) -> Running {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("csi-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("csi.sock");
    let (stop, stopped) = oneshot::channel();
    let seen = std::sync::Arc::new(Seen::default());
    let mut options = ServerOptions::new(&socket);
    options.largest_message = 64 << 10;
    change(&mut options);
    let observer = std::sync::Arc::clone(&seen);
    let task = tokio::spawn(serve(driver, options, observer, async {
        let _ = stopped.await;
    }));
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    Running { folder, socket, stop, task, seen }
}

impl Running {
    async fn channel(&self) -> Channel {
        let uri = format!("unix://{}", self.socket.display());
        Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        assert!(!self.socket.exists());
        let left: Vec<_> = std::fs::read_dir(&self.folder).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        std::fs::remove_dir(&self.folder).unwrap();
    }
}

fn create(name: &str) -> proto::CreateVolumeRequest {
    use proto::volume_capability::{AccessMode, AccessType, MountVolume};
    proto::CreateVolumeRequest {
        name: name.into(),
        volume_capabilities: vec![proto::VolumeCapability {
            access_type: Some(AccessType::Mount(MountVolume::default())),
            access_mode: Some(AccessMode { mode: 1 }),
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn calls_go_over_the_socket_and_the_socket_is_ours_alone() {
    let running = start().await;
    let mode = std::fs::metadata(&running.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let channel = running.channel().await;
    let info = IdentityClient::new(channel.clone())
        .get_plugin_info(proto::GetPluginInfoRequest {})
        .await
        .unwrap();
    assert_eq!(info.into_inner().name, "local.csi.aliyun.com");
    let mut controller = ControllerClient::new(channel.clone());
    let made = controller.create_volume(create("v")).await.unwrap().into_inner();
    assert_eq!(made.volume.unwrap().volume_id, "v");
    let refused = controller.create_volume(create("")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let large = controller.create_volume(create(&"x".repeat(128 << 10))).await.unwrap_err();
    assert_eq!(large.code(), tonic::Code::OutOfRange);
    let stats = proto::NodeGetVolumeStatsRequest {
        volume_id: "none".into(),
        volume_path: "/x".into(),
        ..Default::default()
    };
    let missing = NodeClient::new(channel).node_get_volume_stats(stats).await.unwrap_err();
    assert_eq!(missing.code(), tonic::Code::NotFound);
    let seen = running.seen.0.lock().unwrap().clone();
    assert!(seen.contains(&(Rpc::CreateVolume, None)));
    assert!(seen.contains(&(Rpc::CreateVolume, Some(Code::InvalidArgument))));
    running.end().await;
}

#[tokio::test]
async fn a_hundred_creates_at_once_are_a_hundred_volumes() {
    let running = start().await;
    let channel = running.channel().await;
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let mut controller = ControllerClient::new(channel.clone());
            tokio::spawn(async move { controller.create_volume(create(&format!("v{n}"))).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut controller = ControllerClient::new(channel);
    let all = controller.list_volumes(proto::ListVolumesRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().entries.len(), 100);
    running.end().await;
}

#[tokio::test]
async fn a_socket_somebody_answers_at_is_left_alone_and_a_dead_one_replaced() {
    let running = start().await;
    let options = ServerOptions::new(&running.socket);
    let never = std::future::pending();
    let second = serve(driver(), options, std::sync::Arc::new(NoObserver), never).await;
    assert_eq!(second.unwrap_err().kind(), open_local_core::ErrorKind::Busy);
    let file = running.folder.join("file");
    std::fs::write(&file, "precious").unwrap();
    let options = ServerOptions::new(&file);
    let never = std::future::pending();
    let refused = serve(driver(), options, std::sync::Arc::new(NoObserver), never).await;
    assert_eq!(refused.unwrap_err().kind(), open_local_core::ErrorKind::Refused);
    std::fs::remove_file(&file).unwrap();
    // Somebody else's socket takes the place of ours: it is not removed at the end.
    let other = running.folder.join("other");
    drop(std::os::unix::net::UnixListener::bind(&other).unwrap());
    std::fs::rename(&other, &running.socket).unwrap();
    running.stop.send(()).unwrap();
    running.task.await.unwrap().unwrap();
    assert!(running.socket.exists());
    // A dead socket is replaced.
    let (stop, stopped) = oneshot::channel::<()>();
    let options = ServerOptions::new(&running.socket);
    let again = tokio::spawn(serve(driver(), options, std::sync::Arc::new(NoObserver), async {
        let _ = stopped.await;
    }));
    while std::os::unix::net::UnixStream::connect(&running.socket).is_err() {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    again.await.unwrap().unwrap();
    std::fs::remove_dir_all(&running.folder).unwrap();
}

/// What a kill leaves of a start is removed by the next, and nothing else is.
#[tokio::test]
async fn what_a_killed_start_left_is_removed_and_only_that() {
    use std::os::unix::fs::DirBuilderExt;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("csi-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let private = |name: &str| {
        let made = folder.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&made).unwrap();
        made
    };
    // In a container the number of the one before may be ours.
    let own = private(&format!(".csi.sock.{}", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(own.join("s")).unwrap());
    // Above the largest number that Linux gives.
    let dead = private(".csi.sock.4194305");
    drop(std::os::unix::net::UnixListener::bind(dead.join("s")).unwrap());
    let empty = private(".csi.sock.4194306.0123456789abcdef");
    let kept = [
        private(".other.sock.4194305"),
        private(".csi.sock.1"),
        private(".csi.sock.4194307"),
        private(".csi.sock.4194308"),
    ];
    std::fs::write(kept[2].join("precious"), "x").unwrap();
    let answering = std::os::unix::net::UnixListener::bind(kept[3].join("s")).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let options = ServerOptions::new(folder.join("csi.sock"));
    let served = tokio::spawn(serve(driver(), options, std::sync::Arc::new(NoObserver), async {
        let _ = stopped.await;
    }));
    while std::os::unix::net::UnixStream::connect(folder.join("csi.sock")).is_err() {
        tokio::task::yield_now().await;
    }
    for gone in [own, dead, empty] {
        assert!(!gone.exists(), "{}", gone.display());
    }
    for kept in kept {
        assert!(kept.exists(), "{}", kept.display());
    }
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    drop(answering);
    std::fs::remove_dir_all(&folder).unwrap();
}
