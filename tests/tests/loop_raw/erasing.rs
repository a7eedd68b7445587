//! Erasing: each way, read back from the device; killed with SIGKILL anywhere.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{
    Clock, CountSteps, Devices, KillAt, SystemClock, SystemDevices, Unchecked,
};
use open_local_core::raw::signatures;
use open_local_core::{Backend, Phase, Pool, PoolExt, PublishSpec, Upkeep, VolumeId, VolumeSpec};
use open_local_tests::{child, scratch};

use super::rack::{Rack, backend_in, from_parent, mib, pool_id};

/// Environment variable that tells a child before which step to die; 0 to count them.
const STEP: &str = "OPEN_LOCAL_TEST_STEP";

fn volume() -> VolumeId {
    VolumeId::new("db").unwrap()
}

/// One device in a pool, erased, claimed by a volume and full of sevens.
fn used(test: &str, size: u64, erase: &str) -> Rack {
    let rack = Rack::new(test, &[mib(size)]);
    let backend = rack.backend(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&rack.spec(0..1).with_parameter("erase", erase)).unwrap();
    let pool = rack.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    rack.fill(0, 7);
    rack
}

/// Removes the volume and erases its device.
fn release(pool: &dyn Pool) {
    let _ = pool.remove_volume(&volume()).unwrap();
    let done = pool.maintain_all().unwrap();
    assert!(done.left.is_zero(), "{done:?}");
}

#[test]
fn zeroing_leaves_nothing() {
    let rack = used("raw-zero", 24, "zero");
    release(rack.open().unwrap().as_ref());
    assert_eq!(rack.values(0), [0]);
}

#[test]
fn discarding_leaves_nothing_where_the_device_keeps_its_promise() {
    let rack = used("raw-discard", 24, "discard");
    release(rack.open().unwrap().as_ref());
    assert_eq!(rack.values(0), [0]);
    // Given back to the file below, too.
    let blocks =
        std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&rack.devices[0].file).unwrap());
    assert_eq!(blocks, 0);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an oracle outside the SDK, which fails if it finds nothing"
)]
fn erasing_signatures_leaves_the_rest() {
    let rack = used("raw-signatures", 64, "signatures");
    scratch::run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), rack.path(0).as_os_str()]);
    let before = signatures(rack.look(0).as_ref()).unwrap();
    assert!(before.iter().any(|found| found.name == "ext4"), "{before:?}");
    release(rack.open().unwrap().as_ref());
    assert_eq!(signatures(rack.look(0).as_ref()).unwrap(), []);
    assert!(rack.values(0).contains(&7), "more than the signatures is gone");
    let blkid = Command::new("blkid").arg("-p").arg(rack.path(0)).output().unwrap();
    assert!(blkid.stdout.is_empty(), "{blkid:?}");
}

#[test]
fn without_erasing_the_next_volume_finds_what_was_there_and_nothing_else() {
    let rack = used("raw-none", 24, "none");
    let pool = rack.open().unwrap();
    release(pool.as_ref());
    assert_eq!(rack.values(0), [7]);
    let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    scratch::run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), rack.path(0).as_os_str()]);
    release(pool.as_ref());
    // Its own file system is known to be there: the device can be claimed with it.
    let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    release(pool.as_ref());
    // One that somebody else made since is not.
    scratch::run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), rack.path(0).as_os_str()]);
    let refused = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap_err();
    assert_eq!(refused.kind(), open_local_core::ErrorKind::Refused, "{}", refused.report());
    assert!(refused.report().to_string().contains("ext4"), "{}", refused.report());
}

/// What a child does; nothing for everybody else.
#[test]
fn worker() {
    let (Ok(step), Some(own)) = (std::env::var(STEP), from_parent()) else {
        return;
    };
    let step: u64 = step.parse().unwrap();
    let count = Arc::new(CountSteps::default());
    let backend = match step {
        0 => backend_in(&own, count.clone()),
        step => backend_in(&own, Arc::new(KillAt::new(step))),
    };
    release(backend.open_pool(&pool_id()).unwrap().as_ref());
    assert_eq!(step, 0, "survived step {step}");
    println!("steps {}", count.steps());
}

fn run_worker(rack: &Rack, step: u64) -> child::Ended {
    let own = rack.for_child();
    let environment = [own.as_slice(), &[(STEP.into(), step.to_string().into())]].concat();
    child::run(&child::one_test("erasing::worker"), &environment)
}

#[test]
fn killed_before_any_step_a_retry_finishes_and_all_of_it_reads_zero() {
    let rack = used("raw-kill", 24, "zero");
    let ended = run_worker(&rack, 0);
    assert!(ended.success(), "{}", ended.said);
    let steps = ended.number_after("steps ").unwrap();
    assert!(steps > 10, "only {steps} steps");
    for step in 1..=steps {
        let pool = rack.open().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
        rack.fill(0, 7);
        let ended = run_worker(&rack, step);
        assert_eq!(ended.signal(), Some(9), "step {step}: {ended:?}");
        // Either it still is a volume, untouched, or it is nobody's and its room is used.
        let volumes = pool.volumes().unwrap();
        assert_eq!(volumes.len(), 1, "step {step}: {volumes:?}");
        match volumes[0].phase {
            Phase::Ready => assert_eq!(rack.values(0), [7], "step {step}"),
            _ => assert!(pool.info().unwrap().capacity.available.is_zero(), "step {step}"),
        }
        if volumes[0].phase == Phase::Ready {
            let _ = pool.remove_volume(&volume()).unwrap();
        }
        let done = pool.maintain_all().unwrap();
        assert!(done.left.is_zero(), "step {step}: {done:?}");
        assert_eq!(rack.values(0), [0], "step {step}");
        assert_eq!(pool.info().unwrap().capacity.available, mib(24), "step {step}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a child that is killed while it works")]
fn killed_in_the_middle_of_its_work_it_goes_on_where_it_was() {
    let rack = used("raw-kill-middle", 512, "zero");
    let pool = rack.open().unwrap();
    let me = child::one_test("erasing::worker");
    let mut child = Command::new(&me.program)
        .args(&me.arguments)
        .envs(rack.for_child())
        .env(STEP, "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = || {
        let volumes = pool.volumes().unwrap();
        volumes.iter().find_map(|info| match info.phase {
            Phase::Erasing(done) if done.ppm() > 0 => Some(done),
            _ => None,
        })
    };
    let mut seen = None;
    for _ in 0..10_000 {
        seen = begun();
        if seen.is_some() || child.try_wait().unwrap().is_some() {
            break;
        }
        SystemClock.sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = seen.expect("it was never seen at work");
    let left = begun().expect("it had ended before it was killed: make the device larger");
    assert!(left >= seen);
    let again = pool.maintain_all().unwrap();
    assert!(again.left.is_zero() && again.done < mib(512), "begun anew: {again:?}");
    assert_eq!(rack.values(0), [0]);
}

#[test]
fn what_is_in_use_is_never_erased() {
    let rack = used("raw-in-use", 64, "zero");
    let pool = rack.open().unwrap();
    scratch::run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), rack.path(0).as_os_str()]);
    let target = rack.scratch.join("mnt");
    std::fs::create_dir(&target).unwrap();
    scratch::run("mount", &[rack.path(0).as_os_str(), target.as_os_str()]);
    let busy = pool.remove_volume(&volume()).unwrap_err();
    assert_eq!(busy.kind(), open_local_core::ErrorKind::Busy, "{}", busy.report());
    assert!(busy.report().to_string().contains("mnt"), "{}", busy.report());
    scratch::run("umount", &[target.as_os_str()]);
    let _ = pool.remove_volume(&volume()).unwrap();
    // Mounted once more after its removal was ordered.
    scratch::run("mount", &[rack.path(0).as_os_str(), target.as_os_str()]);
    let busy = pool.maintain(open_local_core::Bytes::MAX).unwrap_err();
    assert_eq!(busy.kind(), open_local_core::ErrorKind::Busy, "{}", busy.report());
    std::fs::write(target.join("file"), b"still there").unwrap();
    scratch::run("umount", &[target.as_os_str()]);
    // Open for writing in a process that has not claimed it.
    let mut writer = holder(&rack);
    let busy = pool.maintain(open_local_core::Bytes::MAX).unwrap_err();
    assert_eq!(busy.kind(), open_local_core::ErrorKind::Busy, "{}", busy.report());
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(pool.maintain_all().unwrap().left, Upkeep::default().left);
    assert_eq!(rack.values(0), [0]);
    let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    let _ = pool.publish(&PublishSpec::new(volume())).unwrap();
    assert!(SystemDevices.writers(rack.devices[0].device.number).unwrap().is_empty());
}

/// A process that has the device open for writing.
#[expect(clippy::disallowed_methods, reason = "a stranger")]
fn holder(rack: &Rack) -> std::process::Child {
    let device = std::fs::OpenOptions::new().write(true).open(rack.path(0)).unwrap();
    let child = Command::new("sleep").arg("600").stdout(device).spawn().unwrap();
    assert!(rack.look(0).size().unwrap() > mib(1));
    child
}
