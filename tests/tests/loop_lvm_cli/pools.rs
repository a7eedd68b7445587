//! Pools by the tools, without device-mapper: everything but a device.

use std::sync::Arc;

use open_local_core::host::{
    BlockIo, Checkpoints, CountSteps, DeviceAccess, Devices, StopAt, SystemDevices, Unchecked,
};
use open_local_core::{
    Backend, Bytes, Change, ErrorKind, FormatToken, FsKind, Health, Phase, Pool, PoolExt, PoolId,
    PoolSpec, PublishSpec, Result, Source, Uuid, VolumeId, VolumeInfo, VolumeSpec,
};
use open_local_lvm::cli::{CliBackend, CliConfig, Mapper};
use open_local_lvm::exec::Settings;
use open_local_lvm::pool::LvmBackend;
use open_local_tests::{LvmTools, Scratch};

const MIB: u64 = 1 << 20;

fn mib(count: u64) -> Bytes {
    Bytes::new(count * MIB)
}

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn id() -> PoolId {
    "cli-pool".parse().unwrap()
}

/// Devices, and both engines on them.
struct Site {
    oracle: LvmTools,
    scratch: Scratch,
}

impl Site {
    fn new(name: &str, sizes: &[u64]) -> Self {
        let scratch = Scratch::new(name);
        let sizes: Vec<_> = sizes.iter().map(|n| (mib(*n), Bytes::new(512))).collect();
        let oracle = LvmTools::new(&scratch, &sizes);
        Self { oracle, scratch }
    }

    fn spec(&self) -> PoolSpec {
        let devices: Vec<String> =
            self.oracle.devices().iter().map(|path| path.display().to_string()).collect();
        PoolSpec::new(id()).with_parameter("devices", devices.join(","))
    }

    fn cli_with(&self, checkpoints: Arc<dyn Checkpoints>) -> CliBackend {
        let host = self.scratch.host().with_checkpoints(checkpoints);
        let config = CliConfig::from_folder(&host, &self.oracle.join(""), &[]).unwrap();
        CliBackend::new(host, Arc::new(SystemDevices), config.with_mapper(Mapper::Absent))
    }

    fn cli(&self) -> CliBackend {
        self.cli_with(Arc::new(Unchecked))
    }

    fn native(&self) -> LvmBackend {
        let host = self.scratch.host();
        let settings = Settings::from_folder(&host, &self.oracle.join("")).unwrap();
        LvmBackend::new(host, Arc::new(SystemDevices), settings)
    }

    fn made(name: &str) -> Self {
        let site = Self::new(name, &[64, 64]);
        assert!(site.cli().ensure_pool(&site.spec()).unwrap().changed());
        assert!(!site.cli().ensure_pool(&site.spec()).unwrap().changed());
        site
    }

    fn pool(&self) -> Arc<dyn Pool> {
        self.cli().open_pool(&id()).unwrap()
    }

    fn device(&self, number: usize) -> Box<dyn BlockIo> {
        let path = &self.oracle.devices()[number];
        SystemDevices.open(path, DeviceAccess::Claim).unwrap()
    }

    /// What both engines show of a pool but for what only one of them knows.
    fn agree(&self) {
        let (cli, native) = (self.pool(), self.native().open_pool(&id()).unwrap());
        assert_eq!(cli.volumes().unwrap(), native.volumes().unwrap());
        let (one, other) = (cli.info().unwrap(), native.info().unwrap());
        assert_eq!(
            (one.capacity, &one.spec, &one.health),
            (other.capacity, &other.spec, &other.health)
        );
        self.oracle.run("vgck", &[id().as_str()]);
    }
}

#[test]
fn volumes_are_made_grown_and_removed_in_the_metadata_alone() {
    let site = Site::made("cli-pool-life");
    let pool = site.pool();
    let room = pool.info().unwrap();
    assert_eq!((room.backend.as_str(), &room.health), ("lvm-cli", &Health::Healthy));
    assert_eq!(room.capacity.available, mib(88));
    let spec = VolumeSpec::new(vol("snapshot-1"), mib(5)).with_tag("team", "a b#c");
    let made = pool.ensure_volume(&spec).unwrap();
    assert!(made.changed());
    assert_eq!((made.get().size, made.get().requested), (mib(8), mib(5)));
    assert_eq!((made.get().phase, &made.get().tags), (Phase::Ready, &spec.tags));
    assert!(!pool.ensure_volume(&spec).unwrap().changed());
    let other = VolumeSpec::new(spec.id.clone(), mib(9)).with_tag("team", "a b#c");
    assert_eq!(pool.ensure_volume(&other).unwrap_err().kind(), ErrorKind::Conflict);
    site.agree();
    assert!(pool.grow_volume(&spec.id, mib(60)).unwrap().changed());
    assert!(!pool.grow_volume(&spec.id, mib(60)).unwrap().changed());
    assert!(!pool.ensure_volume(&spec).unwrap().changed());
    let more = pool.grow_volume(&spec.id, mib(92)).unwrap_err();
    assert_eq!(more.kind(), ErrorKind::OutOfSpace);
    let tokens = pool.require_format_tokens().unwrap();
    assert_eq!(tokens.format_token(&spec.id).unwrap(), FormatToken::Unused);
    let started = FormatToken::Started { kind: FsKind::Xfs, uuid: Uuid::from_bytes([7; 16]) };
    tokens.set_format_token(&spec.id, started).unwrap();
    assert_eq!(tokens.format_token(&spec.id).unwrap(), started);
    tokens.set_format_token(&spec.id, FormatToken::Spent).unwrap();
    assert!(tokens.set_format_token(&spec.id, FormatToken::Unused).is_err());
    let publish = pool.publish(&PublishSpec::new(spec.id.clone())).unwrap_err();
    assert_eq!(publish.kind(), ErrorKind::Unsupported);
    assert!(!pool.unpublish(&Source::Volume(spec.id.clone())).unwrap().changed());

    assert!(pool.remove_volume(&spec.id).unwrap().changed());
    assert!(!pool.remove_volume(&spec.id).unwrap().changed());
    let listed = pool.volumes().unwrap();
    assert_eq!(listed.len(), 1);
    assert!(matches!(listed[0].phase, Phase::Erasing(_)));
    assert_eq!(pool.info().unwrap().capacity.available, mib(28));
    site.agree();
    assert_eq!(site.cli().remove_pool(&id()).unwrap_err().kind(), ErrorKind::Busy);
    let piece = pool.maintain(mib(20)).unwrap();
    assert_eq!((piece.done, piece.left), (mib(20), mib(40)));
    site.agree();
    let piece = site.pool().maintain(Bytes::MAX).unwrap();
    assert_eq!((piece.done, piece.left), (mib(40), Bytes::ZERO));
    assert!(pool.volumes().unwrap().is_empty());
    assert!(site.cli().remove_pool(&id()).unwrap().changed());
    assert!(!site.cli().remove_pool(&id()).unwrap().changed());
    assert!(site.cli().list_pools().unwrap().is_empty());
    assert_eq!(site.oracle.report("pvs", &["pv_name"], &[]), []);
}

/// What somebody left on the disks is not seen in a new volume's ends, and nothing of a removed
/// one is left.
#[test]
fn new_ends_and_all_of_what_is_removed_read_as_zeroes() {
    let site = Site::made("cli-pool-zero");
    // Both devices from behind the metadata: 17 MiB to the end.
    let dirt = vec![0xa5u8; 1 << 20];
    let all = |check: &dyn Fn(&dyn BlockIo, u64)| {
        for number in 0..2 {
            let device = site.device(number);
            (17..64).for_each(|at| check(device.as_ref(), at * MIB));
            device.flush().unwrap();
        }
    };
    all(&|device, at| device.write_at(at, &dirt).unwrap());
    let zeroes = || {
        let count = std::cell::Cell::new(0u64);
        all(&|device, at| {
            let mut read = vec![0; 1 << 20];
            device.read_at(at, &mut read).unwrap();
            count.set(count.get() + read.iter().filter(|byte| **byte == 0).count() as u64);
        });
        count.get()
    };
    let pool = site.pool();
    let striped = VolumeSpec::new(vol("b"), mib(8)).with_parameter("stripes", "2");
    pool.ensure_volume(&striped).unwrap().get();
    assert_eq!(zeroes(), MIB);
    // In two places.
    pool.ensure_volume(&VolumeSpec::new(vol("a"), mib(60))).unwrap().get();
    assert_eq!(zeroes(), 2 * MIB);
    // One device is full: there is no place for two stripes.
    let more = VolumeSpec::new(vol("c"), mib(8)).with_parameter("stripes", "2");
    assert_eq!(pool.ensure_volume(&more).unwrap_err().kind(), ErrorKind::OutOfSpace);
    for name in ["a", "b"] {
        assert!(pool.remove_volume(&vol(name)).unwrap().changed());
    }
    let _ = pool.maintain_all().unwrap();
    assert_eq!(zeroes(), mib(68).get());
    assert!(pool.volumes().unwrap().is_empty());
}

/// One change after the other, the native engine and the tools in turns.
#[test]
fn both_engines_go_on_with_each_others_pools() {
    let site = Site::made("cli-pool-turns");
    let engines: [Box<dyn Backend>; 2] = [Box::new(site.cli()), Box::new(site.native())];
    let pool = |round: usize| engines[round % 2].open_pool(&id()).unwrap();
    for round in 0..4 {
        let names = ["plain", "snapshot-x", "a_tdata"];
        for (number, name) in names.iter().enumerate() {
            let spec =
                VolumeSpec::new(vol(name), mib(4)).with_tag("n", format!("{number} {round}"));
            assert!(pool(round).ensure_volume(&spec).unwrap().changed());
            assert!(!pool(round + 1).ensure_volume(&spec).unwrap().changed());
        }
        assert!(pool(round + 1).grow_volume(&vol("plain"), mib(12)).unwrap().changed());
        let tokens = pool(round);
        let tokens = tokens.require_format_tokens().unwrap();
        tokens.set_format_token(&vol("a_tdata"), FormatToken::Spent).unwrap();
        site.agree();
        for (number, name) in names.iter().enumerate() {
            assert!(pool(round + number).remove_volume(&vol(name)).unwrap().changed());
            assert!(!pool(round + number + 1).remove_volume(&vol(name)).unwrap().changed());
        }
        site.agree();
        let _ = pool(round).maintain(mib(6)).unwrap();
        let _ = pool(round + 1).maintain_all().unwrap();
        assert!(pool(round).volumes().unwrap().is_empty());
    }
    assert!(engines[1].remove_pool(&id()).unwrap().changed());
    assert!(engines[1].ensure_pool(&site.spec()).unwrap().changed());
    assert!(!engines[0].ensure_pool(&site.spec()).unwrap().changed());
    site.agree();
    assert!(engines[0].remove_pool(&id()).unwrap().changed());
}

/// What cuts are tried with: an act on a pool, and what there is once it is done.
type Act = fn(&dyn Pool) -> Result<()>;

fn shape(volumes: &[VolumeInfo]) -> Vec<(Bytes, Bytes, bool)> {
    volumes.iter().map(|v| (v.size, v.requested, v.phase == Phase::Ready)).collect()
}

#[test]
fn an_act_cut_before_any_step_and_repeated_ends_as_if_uncut() {
    let acts: [(&str, Act); 5] = [
        ("make", |pool| pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(4))).map(|_| ())),
        ("grow", |pool| pool.grow_volume(&vol("old"), mib(12)).map(|_| ())),
        ("remove", |pool| pool.remove_volume(&vol("old")).map(|_| ())),
        ("erase", |pool| {
            let _ = pool.remove_volume(&vol("old"))?;
            pool.maintain_all().map(|_| ())
        }),
        ("token", |pool| {
            pool.require_format_tokens()?.set_format_token(&vol("old"), FormatToken::Spent)
        }),
    ];
    let mut cuts = 0;
    for (name, act) in acts {
        let fresh = || {
            let site = Site::made(&format!("cli-cut-{name}"));
            site.pool().ensure_volume(&VolumeSpec::new(vol("old"), mib(8))).unwrap().get();
            site
        };
        let site = fresh();
        let count = Arc::new(CountSteps::default());
        act(site.cli_with(Arc::clone(&count) as _).open_pool(&id()).unwrap().as_ref()).unwrap();
        let wanted = shape(&site.pool().volumes().unwrap());
        for at in 1..=count.steps() {
            let site = fresh();
            let stop: Arc<dyn Checkpoints> = Arc::new(StopAt::new(at));
            let cut = act(site.cli_with(stop).open_pool(&id()).unwrap().as_ref());
            assert_eq!(cut.unwrap_err().kind(), ErrorKind::Indeterminate, "{name} at {at}");
            act(site.pool().as_ref()).unwrap();
            assert_eq!(shape(&site.pool().volumes().unwrap()), wanted, "{name} at {at}");
            site.agree();
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts >= 9);
}

#[test]
fn making_and_removing_a_pool_cut_before_any_step_is_finished_by_the_next_call() {
    for (name, removing) in [("make", false), ("unmake", true)] {
        let act = |backend: &CliBackend, spec: &PoolSpec| match removing {
            false => backend.ensure_pool(spec).map(|_| ()),
            true => backend.remove_pool(&id()).map(|_| ()),
        };
        let fresh = || match removing {
            false => Site::new(&format!("cli-pool-{name}"), &[64]),
            true => {
                let site = Site::new(&format!("cli-pool-{name}"), &[64]);
                site.cli().ensure_pool(&site.spec()).unwrap().get();
                site
            }
        };
        let site = fresh();
        let count = Arc::new(CountSteps::default());
        act(&site.cli_with(Arc::clone(&count) as _), &site.spec()).unwrap();
        assert!(count.steps() >= 3, "{}", count.steps());
        for at in 1..=count.steps() {
            let site = fresh();
            let cut = act(&site.cli_with(Arc::new(StopAt::new(at))), &site.spec());
            assert_eq!(cut.unwrap_err().kind(), ErrorKind::Indeterminate, "{name} at {at}");
            act(&site.cli(), &site.spec()).unwrap();
            if removing {
                assert!(site.cli().list_pools().unwrap().is_empty());
                assert_eq!(site.oracle.report("pvs", &["pv_name"], &[]), []);
            } else {
                site.agree();
                assert!(site.cli().remove_pool(&id()).unwrap().changed());
            }
        }
    }
}

#[test]
fn plans_are_what_is_then_run_and_what_cannot_be_is_refused() {
    let site = Site::made("cli-pool-plan");
    let pool = site.pool();
    let spec = VolumeSpec::new(vol("v"), mib(4));
    let plan = pool.plan(&Change::EnsureVolume(spec.clone())).unwrap();
    let [create, zero, ready] = plan.steps() else { panic!("{plan}") };
    assert!(create.starts_with("run lvm lvcreate --setautoactivation n -an -Zn -Wn"), "{plan}");
    assert!(zero.contains("zero both ends of v") && ready.contains("lvchange --deltag"), "{plan}");
    assert!(pool.volumes().unwrap().is_empty());
    pool.ensure_volume(&spec).unwrap().get();
    assert!(pool.plan(&Change::EnsureVolume(spec.clone())).unwrap().is_empty());
    let unknown = spec.clone().with_parameter("colour", "red");
    assert_eq!(pool.ensure_volume(&unknown).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let thin = site.spec().with_parameter("mode", "thin").with_parameter("group", "other");
    assert_eq!(site.cli().ensure_pool(&thin).unwrap_err().kind(), ErrorKind::Unsupported);
    // A volume of somebody else, and a group of somebody else.
    site.oracle.create_volume("theirs", &["-l", "1", id().as_str()]);
    let same = VolumeSpec::new(vol("theirs"), mib(4));
    assert_eq!(pool.ensure_volume(&same).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!pool.remove_volume(&same.id).unwrap().changed());
    assert!(pool.remove_volume(&vol("v")).unwrap().changed());
    let _ = pool.maintain_all().unwrap();
    // The group was made for the pool, but somebody uses it now: only the pool goes.
    assert!(site.cli().remove_pool(&id()).unwrap().changed());
    assert_eq!(site.oracle.report("lvs", &["lv_name"], &[]).len(), 1);
    let foreign = site.spec().with_parameter("adopt", "no");
    let again = site.cli().ensure_pool(&foreign);
    assert!(again.is_ok() || again.is_err_and(|e| e.kind() == ErrorKind::Refused));
}
