//! A pool that hangs keeps its own calls away and nobody else's.

use std::sync::{Arc, Condvar};

use open_local_core::host::Checkpoints;
use open_local_core::{
    Attachment, Bytes, Capabilities, Change, Ensured, FormatTokens, Grown, Op, Plan, Pool,
    PoolInfo, PublishSpec, Removed, Result, Source, Subject, VolumeId, VolumeInfo, VolumeSpec,
};
use tonic::Status;

use super::*;

/// Longest wait of a test for anything.
const WAIT: Duration = Duration::from_secs(30);

/// What hangs just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hangs {
    Nothing,
    Changes,
    All,
}

#[derive(Debug)]
struct Valve(Mutex<Hangs>, Condvar);

impl Valve {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Hangs::Nothing), Condvar::new()))
    }

    fn set(&self, hangs: Hangs) {
        *self.0.lock().unwrap() = hangs;
        self.1.notify_all();
    }

    fn pass(&self, is_change: bool) {
        let stuck = |hangs: &mut Hangs| match hangs {
            Hangs::Nothing => false,
            Hangs::Changes => is_change,
            Hangs::All => true,
        };
        drop(self.1.wait_timeout_while(self.0.lock().unwrap(), WAIT, stuck).unwrap());
    }
}

impl Checkpoints for Valve {
    fn before(&self, _: Op, _: &Subject, _: &str) -> Result<()> {
        self.pass(true);
        Ok(())
    }
}

#[derive(Debug)]
struct Stuck(Arc<dyn Pool>, Arc<Valve>);

impl Stuck {
    fn look(&self) -> &dyn Pool {
        self.1.pass(false);
        self.0.as_ref()
    }

    fn change(&self) -> &dyn Pool {
        self.1.pass(true);
        self.0.as_ref()
    }
}

impl Pool for Stuck {
    fn info(&self) -> Result<PoolInfo> {
        self.look().info()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        self.look().volume(id)
    }
    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        self.look().volumes()
    }
    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        self.change().ensure_volume(spec)
    }
    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        self.change().grow_volume(id, size)
    }
    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        self.change().publish(spec)
    }
    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        self.change().unpublish(source)
    }
    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        self.change().remove_volume(id)
    }
    fn plan(&self, change: &Change) -> Result<Plan> {
        self.look().plan(change)
    }
    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        self.0.format_tokens()
    }
}

struct Site {
    running: Running,
    valve: Arc<Valve>,
}

impl Site {
    async fn start() -> Self {
        Self::start_as("bad", Duration::from_secs(30)).await
    }

    /// With a name for the pool that hangs: its threads are counted by it.
    async fn start_as(bad: &str, grace: Duration) -> Self {
        let machine = Machine::new(3);
        let backend = SimBackend::new(&machine);
        let valve = Valve::new();
        let entries = [bad, "good"].map(|name| {
            let id = PoolId::new(name).unwrap();
            backend.ensure_pool(&PoolSpec::new(id.clone())).unwrap().get();
            let pool = backend.open_pool(&id).unwrap();
            let pool = match name == bad {
                true => Arc::new(Stuck(pool, valve.clone())),
                false => pool,
            };
            PoolEntry::new(id, "sim", pool)
        });
        let pools = PoolSet::with_patience(entries, Duration::from_millis(1500)).unwrap();
        let filesystems = Arc::new(SimFilesystems::new(&machine));
        let driver = Driver::builder(Config::new("n"), machine.host(), filesystems)
            .pools(pools)
            .build()
            .unwrap();
        let running = start_with(driver, |options| {
            options.workers = 8;
            options.longest_answer = Duration::from_secs(4);
            options.grace = grace;
        });
        Self { running: running.await, valve }
    }

    async fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.running.channel().await)
    }

    async fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(self.running.channel().await)
    }
}

fn create_in(name: &str, pool: &str) -> proto::CreateVolumeRequest {
    let mut request = create(name);
    request.parameters.insert("vgName".into(), pool.into());
    request
}

fn delete(name: &str) -> proto::DeleteVolumeRequest {
    proto::DeleteVolumeRequest { volume_id: name.into(), ..Default::default() }
}

fn stage(volume: &proto::Volume) -> proto::NodeStageVolumeRequest {
    proto::NodeStageVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: format!("/staging/{}", volume.volume_id),
        volume_capability: create("x").volume_capabilities.pop(),
        volume_context: volume.volume_context.clone(),
        ..Default::default()
    }
}

fn publish(volume: &proto::Volume) -> proto::NodePublishVolumeRequest {
    proto::NodePublishVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: format!("/staging/{}", volume.volume_id),
        target_path: format!("/pod/{}", volume.volume_id),
        volume_capability: create("x").volume_capabilities.pop(),
        volume_context: volume.volume_context.clone(),
        ..Default::default()
    }
}

fn stats(name: &str) -> proto::NodeGetVolumeStatsRequest {
    proto::NodeGetVolumeStatsRequest {
        volume_id: name.into(),
        volume_path: format!("/pod/{name}"),
        ..Default::default()
    }
}

/// The whole life of a volume of the pool that does not hang.
async fn live(site: &Site, name: &str) {
    let (mut controller, mut node) = (site.controller().await, site.node().await);
    let made = controller.create_volume(create_in(name, "good")).await.unwrap().into_inner();
    let volume = made.volume.unwrap();
    node.node_stage_volume(stage(&volume)).await.unwrap();
    node.node_publish_volume(publish(&volume)).await.unwrap();
    node.node_get_volume_stats(stats(name)).await.unwrap();
    node.node_unpublish_volume(proto::NodeUnpublishVolumeRequest {
        volume_id: name.into(),
        target_path: format!("/pod/{name}"),
    })
    .await
    .unwrap();
    node.node_unstage_volume(proto::NodeUnstageVolumeRequest {
        volume_id: name.into(),
        staging_target_path: format!("/staging/{name}"),
    })
    .await
    .unwrap();
    controller.delete_volume(delete(name)).await.unwrap();
    let mut identity = IdentityClient::new(site.running.channel().await);
    identity.probe(proto::ProbeRequest {}).await.unwrap();
    identity.get_plugin_info(proto::GetPluginInfoRequest {}).await.unwrap();
    node.node_get_info(proto::NodeGetInfoRequest {}).await.unwrap();
}

/// Threads that look at the pool that hangs, by the name they have.
fn readers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "pool bad").count()
}

fn waits(status: &Status) -> bool {
    use tonic::Code::{Aborted, DeadlineExceeded, Unavailable};
    matches!(status.code(), DeadlineExceeded | Unavailable | Aborted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_hangs_keeps_nobody_else_away() {
    let site = Site::start().await;
    let (mut controller, mut node) = (site.controller().await, site.node().await);
    let made = controller.create_volume(create_in("b", "bad")).await.unwrap().into_inner();
    let bad = made.volume.unwrap();
    node.node_stage_volume(stage(&bad)).await.unwrap();
    node.node_publish_volume(publish(&bad)).await.unwrap();
    for hangs in [Hangs::All, Hangs::Changes] {
        site.valve.set(hangs);
        let calls: Vec<_> = (0..60)
            .map(|n| {
                let (mut controller, mut node) = (controller.clone(), node.clone());
                let (stage, looks) = (stage(&bad), hangs == Hangs::All);
                tokio::spawn(async move {
                    match n % 4 {
                        0 => node.node_stage_volume(stage).await.map(drop),
                        1 if looks => node.node_get_volume_stats(stats("b")).await.map(drop),
                        2 => controller.delete_volume(delete("b")).await.map(drop),
                        _ => {
                            let request = create_in(&format!("b{n}"), "bad");
                            controller.create_volume(request).await.map(drop)
                        }
                    }
                })
            })
            .collect();
        for n in 0..3 {
            live(&site, &format!("g{n}")).await;
        }
        assert!(readers() <= 16, "{}", readers());
        let mut refused = 0;
        for (n, call) in calls.into_iter().enumerate() {
            match call.await.unwrap() {
                Err(status) if waits(&status) => refused += 1,
                // It is published: that much is known without the pool.
                Err(status) => assert_eq!(status.code(), tonic::Code::FailedPrecondition),
                Ok(()) => panic!("call {n} was answered while {hangs:?} hangs"),
            }
        }
        assert!(refused >= 40, "{refused}");
        live(&site, "after").await;
        site.valve.set(Hangs::Nothing);
        let again = async {
            while controller.create_volume(create_in("later", "bad")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            controller.delete_volume(delete("later")).await.unwrap();
        };
        tokio::time::timeout(WAIT, again).await.unwrap();
        // What was begun has ended, and is there or is made by the same call.
        for n in 0..60 {
            let gone = async {
                while controller.delete_volume(delete(&format!("b{n}"))).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(WAIT, gone).await.unwrap();
        }
    }
    site.running.end().await;
}

/// Connections and the calls behind them have one grace, not one each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_what_hangs_once() {
    const GRACE: Duration = Duration::from_millis(400);
    let Site { running, valve } = Site::start_as("stuck", GRACE).await;
    let mut controller = ControllerClient::new(running.channel().await);
    valve.set(Hangs::Changes);
    let call = tokio::spawn(async move { controller.create_volume(create_in("b", "stuck")).await });
    while !running.seen.begun() {
        tokio::task::yield_now().await;
    }
    running.stop.send(()).unwrap();
    let twice = async {
        tokio::time::sleep(GRACE).await;
        tokio::time::sleep(GRACE * 9 / 10).await;
    };
    tokio::select! {
        served = running.task => served.unwrap().unwrap(),
        () = twice => panic!("it waits for a second grace"),
    }
    valve.set(Hangs::Nothing);
    let _ = call.await.unwrap();
    std::fs::remove_dir_all(&running.folder).unwrap();
}

/// A copy takes longer than anybody waits: it goes on, is not begun twice, and is found done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_work_goes_on_and_the_same_call_finds_it() {
    let machine = Machine::new(4);
    let backend = SimBackend::new(&machine);
    let id = PoolId::new("p").unwrap();
    backend.ensure_pool(&PoolSpec::new(id.clone())).unwrap().get();
    let entry = PoolEntry::new(id.clone(), "sim", backend.open_pool(&id).unwrap());
    let filesystems = Arc::new(SimFilesystems::new(&machine));
    let driver = Driver::builder(Config::new("n"), machine.host(), filesystems)
        .pools(PoolSet::new([entry]).unwrap())
        .build()
        .unwrap();
    let running = start_with(driver, |options| {
        options.longest_answer = Duration::from_secs(2);
    });
    let running = running.await;
    let mut controller = ControllerClient::new(running.channel().await);
    controller.create_volume(create("v")).await.unwrap();
    let mut copy = create("copy");
    copy.volume_content_source = Some(proto::VolumeContentSource {
        r#type: Some(proto::volume_content_source::Type::Volume(
            proto::volume_content_source::VolumeSource { volume_id: "v".into() },
        )),
    });
    let valve = Valve::new();
    valve.set(Hangs::Changes);
    machine.arm(valve.clone());
    let late = controller.create_volume(copy.clone()).await.unwrap_err();
    assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
    for _ in 0..3 {
        let status = controller.create_volume(copy.clone()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Aborted);
    }
    valve.set(Hangs::Nothing);
    let done = async {
        loop {
            match controller.create_volume(copy.clone()).await {
                Ok(made) => return made.into_inner().volume.unwrap(),
                Err(status) => assert!(waits(&status), "{status}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let volume = tokio::time::timeout(WAIT, done).await.unwrap();
    assert_eq!(volume.volume_id, "copy");
    assert!(volume.content_source.is_some());
    let all = controller.list_volumes(proto::ListVolumesRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().entries.len(), 2);
    running.end().await;
}
