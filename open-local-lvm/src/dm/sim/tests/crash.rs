//! The power goes at every write and flush below a pool: what was committed is there, whole.

use std::collections::BTreeSet;

use open_local_core::sim::LoggedDisks;

use super::*;

const META: &str = "/dev/meta";
const DATA: &str = "/dev/data";

/// A machine that starts with these disks: the pool and its volume 1, if it has it.
fn start(disks: &LoggedDisks) -> (SimDm, bool) {
    let files = Arc::new(SimFiles::new(1));
    let dm = SimDm::new(&files, Arc::new(disks.clone())).unwrap();
    let (meta, data) = (dm.add_disk(META).unwrap(), dm.add_disk(DATA).unwrap());
    let make = |name: &str, table: String| {
        dm.create(name, "").unwrap();
        let id = DmId::name(name);
        dm.load(&id, &table.parse().unwrap(), false)?;
        dm.resume(&id, SuspendFlags::default(), Udev::NO_UDEV).map(drop)
    };
    make("pool", format!("0 1024 thin-pool {meta} {data} 128 0 0")).unwrap();
    let pool = dm.number(&DmId::name("pool")).unwrap();
    let found = make("v", format!("0 1024 thin {pool} 1"));
    (dm, found.is_ok())
}

fn read(dm: &SimDm, block: usize) -> u8 {
    let number = dm.number(&DmId::name("v")).unwrap();
    let device = dm.open_number(number, DeviceAccess::Look).unwrap();
    let mut bytes = vec![0; BLOCK];
    device.read_at(u64::try_from(block * BLOCK).unwrap(), &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a mixed block");
    bytes[0]
}

#[test]
fn every_state_a_power_cut_leaves_is_an_old_or_a_new_one() {
    let disks = LoggedDisks::new();
    for path in [META, DATA] {
        disks.add(path, Bytes::new(512 << 10), Bytes::new(4096));
    }
    let pool = DmId::name("pool");
    let say = |dm: &SimDm, text: &str| dm.message(&pool, Sectors::new(0), text).unwrap();
    drop(start(&disks));
    disks.record();
    let (dm, _) = start(&disks);
    say(&dm, "create_thin 1");
    say(&dm, "set_transaction_id 0 1");
    drop(dm);
    let (dm, found) = start(&disks);
    assert!(found);
    let v = dm.number(&DmId::name("v")).unwrap();
    let device = dm.open_number(v, DeviceAccess::Direct(OpenMode::ReadWrite)).unwrap();
    for block in 0..2u8 {
        device.write_at(u64::from(block) * 65_536, &[block + 1; BLOCK]).unwrap();
        device.flush().unwrap();
    }
    let events = disks.log().len();
    let (mut seen, mut outcomes) = (BTreeSet::new(), BTreeSet::new());
    for cut in 0..=events {
        for crash in disks.crashes(cut, 2) {
            if !seen.insert(crash.fingerprint()) {
                continue;
            }
            let (dm, found) = start(&disks.after(&crash));
            let lines = dm.status(&pool, StatusMode::Now).unwrap();
            let id = lines[0].status.pool_report().unwrap().transaction_id;
            // The id counts only with what it stands for.
            assert!(found || id == 0, "{crash}");
            let content = if found { [read(&dm, 0), read(&dm, 1)] } else { [0; 2] };
            assert!(matches!(content, [0, 0] | [1, 0] | [1, 2]), "{crash}: {content:?}");
            outcomes.insert((found, id, content));
        }
    }
    println!("{events} events, {} states, {outcomes:?}", seen.len());
    assert_eq!(outcomes.len(), 5, "{outcomes:?}");
}
