//! Pools, nodes, room.

use super::*;
use crate::context::ClaimRef;
use crate::parameters::VolumeClass;
use open_local_core::plan::{Policy, Strategy};

fn capacity(lab: &Lab, parameters: &[(&str, &str)]) -> (i64, i64) {
    let parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let request = GetCapacityRequest { parameters, ..Default::default() };
    let answer = lab.driver.get_capacity(&request).unwrap();
    (answer.available_capacity, answer.maximum_volume_size.unwrap())
}

#[test]
fn the_largest_that_is_shown_is_granted_and_one_sector_more_is_not() {
    let lab = Lab::new(&[("a", 10), ("b", 8)]);
    let (available, largest) = capacity(&lab, &[]);
    assert_eq!((available, largest), (18 * GIB, 10 * GIB));
    assert_eq!(capacity(&lab, &[("vgName", "b")]), (8 * GIB, 8 * GIB));
    assert_eq!(capacity(&lab, &[("volumeType", "Device")]), (0, 0));
    let ask = |name: &str, bytes| {
        let mut request = request(name, 1);
        request.capacity_range = Some(CapacityRange { required_bytes: bytes, limit_bytes: 0 });
        lab.driver.create_volume(&request)
    };
    let status = ask("too-large", largest + 512).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("10GiB"), "{status}");
    ask("just-right", largest).unwrap();
    let place = Topology::of_node("node-2").message();
    let request = GetCapacityRequest { accessible_topology: Some(place), ..Default::default() };
    assert_eq!(lab.driver.get_capacity(&request).unwrap().available_capacity, 0);
}

#[test]
fn a_request_for_another_node_or_pool_is_refused_by_name() {
    let lab = Lab::new(&[("a", 10)]);
    let mut elsewhere = request("v", 1);
    elsewhere.accessibility_requirements = Some(TopologyRequirement {
        requisite: vec![Topology::of_node("node-2").message()],
        preferred: Vec::new(),
    });
    let status = lab.driver.create_volume(&elsewhere).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("node-2") && status.message().contains("node-1"));
    let mut pool = request("v", 1);
    pool.parameters.insert("vgName".into(), "missing".into());
    assert_eq!(code(lab.driver.create_volume(&pool)), Code::ResourceExhausted);
}

#[test]
fn a_name_in_two_pools_is_an_error_that_names_both() {
    let lab = Lab::new(&[("a", 10), ("b", 10)]);
    for entry in lab.driver.pools().iter() {
        let id = "twice".parse().unwrap();
        let _ =
            entry.pool.ensure_volume(&open_local_core::VolumeSpec::new(id, Bytes::GIB)).unwrap();
    }
    let status = lab.delete("twice").unwrap_err();
    assert!(status.message().contains("pool a") && status.message().contains("pool b"));
    assert!(lab.driver.list_volumes(&ListVolumesRequest::default()).is_err());
}

/// A pool that can't be read says nothing of what is in it.
#[test]
fn an_unknown_volume_is_gone_only_if_every_pool_could_be_read() {
    let lab = Lab::new(&[("a", 10), ("b", 10)]);
    lab.create("v", 1).unwrap();
    lab.delete("unknown").unwrap();
    let backend = SimBackend::new(&lab.machine);
    let gone = lab.driver.pools().iter().find(|one| one.pool.volumes().unwrap().is_empty());
    let gone = gone.unwrap().name.clone();
    let _ = backend.remove_pool(&gone).unwrap();
    assert_eq!(code(lab.delete("unknown")), Code::Unavailable);
    assert_eq!(code(lab.driver.list_volumes(&ListVolumesRequest::default())), Code::Unavailable);
    lab.delete("v").unwrap();
    // What is found is not kept away by the pool that is not.
    assert_eq!(code(lab.create("w", 1)), Code::Unavailable);
    let mut named = request("w", 1);
    let other = if gone.as_str() == "a" { "b" } else { "a" };
    named.parameters.insert("vgName".into(), other.into());
    lab.driver.create_volume(&named).unwrap();
}

#[derive(Debug)]
struct Pod(Vec<Sibling>);

impl Siblings for Pod {
    fn siblings(&self, _: &ClaimRef) -> Vec<Sibling> {
        self.0.clone()
    }
}

fn claimed(name: &str, gib: i64) -> CreateVolumeRequest {
    let mut request = request(name, gib);
    for (key, value) in [("name", name), ("namespace", "default")] {
        request.parameters.insert(format!("csi.storage.k8s.io/pvc/{key}"), value.into());
    }
    request
}

#[test]
fn claims_of_a_pod_fit_in_any_order_under_both_strategies() {
    for strategy in [Strategy::Binpack, Strategy::Spread] {
        for order in [[("large", 10), ("small", 8)], [("small", 8), ("large", 10)]] {
            let lab = Lab::with(&[("a", 10), ("b", 8)], |builder, machine| {
                let claims = [("large", 10u64), ("small", 8)].map(|(name, gib)| {
                    let claim = ClaimRef { namespace: "default".into(), name: name.into() };
                    let size = Bytes::from_gib(gib).unwrap();
                    Sibling::new(claim, size, VolumeClass::default())
                });
                let policy = Policy::new(strategy);
                let planner = LocalPlanner::new(machine.host().clock)
                    .with_siblings(Arc::new(Pod(claims.to_vec())))
                    .with_policy(policy);
                builder.placement(Arc::new(planner))
            });
            let [(first, size), (second, rest)] = order;
            lab.driver.create_volume(&claimed(first, size)).unwrap();
            // What is kept for the second is nobody else's.
            let stranger = lab.driver.create_volume(&claimed("stranger", 1));
            assert_eq!(code(stranger), Code::ResourceExhausted, "{strategy:?} {order:?}");
            lab.driver.create_volume(&claimed(second, rest)).unwrap();
        }
    }
}

#[test]
fn the_central_mode_serves_two_calls() {
    #[derive(Debug)]
    struct Cluster;
    impl Central for Cluster {
        fn expand(&self, request: &crate::request::ExpandVolume) -> Answer<Expanded> {
            Ok(Expanded { size: request.size.required, on_node: true })
        }
        fn modify(&self, _: &crate::request::ModifyVolume) -> Answer<()> {
            Ok(())
        }
    }
    let machine = Machine::new(1);
    let filesystems = Arc::new(SimFilesystems::new(&machine));
    let config = Config::new("n").with_mode(Mode::Central);
    let driver = Driver::builder(config, machine.host(), filesystems)
        .central(Arc::new(Cluster))
        .build()
        .unwrap();
    let expanded = driver.controller_expand_volume(&ControllerExpandVolumeRequest {
        volume_id: "v".into(),
        capacity_range: Some(CapacityRange { required_bytes: GIB, limit_bytes: 0 }),
        ..Default::default()
    });
    assert!(expanded.unwrap().node_expansion_required);
    assert_eq!(code(driver.create_volume(&request("v", 1))), Code::Unimplemented);
    assert_eq!(code(driver.node_get_info(&NodeGetInfoRequest {})), Code::Unimplemented);
}
