//! Volumes as objects: shown, listed, grown, changed; room.

use open_local_csi::{Answer, proto};

use super::cases;
use crate::ask::{self, HUGE, MIB, SIZE};
use crate::lab::Lab;

fn list(lab: &Lab, most: i32, token: &str) -> Answer<proto::ListVolumesResponse> {
    let request = proto::ListVolumesRequest { max_entries: most, starting_token: token.to_owned() };
    lab.driver.list_volumes(&request)
}

fn capacity(
    lab: &Lab,
    change: impl Fn(&mut proto::GetCapacityRequest),
) -> Answer<proto::GetCapacityResponse> {
    let mut request = proto::GetCapacityRequest::default();
    change(&mut request);
    lab.driver.get_capacity(&request)
}

cases! {
    ValidateVolumeCapabilities validate_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.validate_volume_capabilities(&ask::validate("")).map(drop);
    ValidateVolumeCapabilities validate_names_no_capabilities InvalidArgument "volume_capabilities is missing" |lab| {
        lab.create("v");
        let mut request = ask::validate("v");
        request.volume_capabilities.clear();
        lab.driver.validate_volume_capabilities(&request).map(drop)
    };
    ValidateVolumeCapabilities validate_of_nothing NotFound "the volume does not exist" |lab| lab.driver.validate_volume_capabilities(&ask::validate("no-such")).map(drop);
    ValidateVolumeCapabilities validate_confirms_what_was_asked OK "what is supported is confirmed word by word" |lab| {
        lab.create("v");
        let answer = lab.driver.validate_volume_capabilities(&ask::validate("v"))?;
        assert_eq!(answer.confirmed.unwrap().volume_capabilities, ask::validate("v").volume_capabilities);
        Ok(())
    };
    ValidateVolumeCapabilities validate_does_not_confirm_what_is_not_supported OK "what is not supported is not confirmed, and is no error" |lab| {
        lab.create("v");
        for bad in ask::bad_ways() {
            let mut request = ask::validate("v");
            request.volume_capabilities.push(bad);
            let answer = lab.driver.validate_volume_capabilities(&request)?;
            assert!(answer.confirmed.is_none() && !answer.message.is_empty());
        }
        Ok(())
    };
    ListVolumes token_of_others Aborted "starting_token is invalid" |lab| list(lab, 0, "invalid-token").map(drop);
    ListVolumes max_entries_is_negative InvalidArgument "max_entries is negative" |lab| list(lab, -1, "").map(drop);
    ListVolumes every_volume_is_listed_once OK "the pages hold every volume once" |lab| {
        for name in ["a", "b", "c"] { lab.create(name); }
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = list(lab, 2, &token)?;
            assert!(page.entries.len() <= 2);
            seen.extend(page.entries.iter().map(|one| one.volume.clone().unwrap().volume_id));
            token = page.next_token;
            if token.is_empty() { break; }
        }
        assert_eq!(seen, ["a", "b", "c"]);
        Ok(())
    };
    ListVolumes a_page_goes_on_after_a_deletion OK "what a page ended with may be deleted before the next" |lab| {
        for name in ["a", "b", "c"] { lab.create(name); }
        let token = list(lab, 2, "")?.next_token;
        lab.driver.delete_volume(&ask::delete("b"))?;
        assert_eq!(list(lab, 2, &token)?.entries.len(), 1);
        Ok(())
    };
    ControllerGetVolume get_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.controller_get_volume(&ask::get("")).map(drop);
    ControllerGetVolume get_of_nothing NotFound "the volume does not exist" |lab| lab.driver.controller_get_volume(&ask::get("no-such")).map(drop);
    ControllerGetVolume get_shows_the_condition OK "the condition is shown" |lab| {
        lab.create("v");
        let answer = lab.driver.controller_get_volume(&ask::get("v"))?;
        assert!(!answer.status.unwrap().volume_condition.unwrap().abnormal);
        Ok(())
    };
    GetCapacity capacity_of_everything OK "nothing is asked for in particular" |lab| {
        let answer = capacity(lab, |_| {})?;
        assert!(answer.available_capacity > 0 && answer.maximum_volume_size > Some(0));
        Ok(())
    };
    GetCapacity capacity_that_is_shown_is_granted OK "a volume of maximum_volume_size is granted" |lab| {
        let largest = capacity(lab, |_| {})?.maximum_volume_size.unwrap();
        let mut request = ask::create("v");
        request.capacity_range = ask::range(largest / MIB * MIB, 0);
        lab.driver.create_volume(&request).map(drop)
    };
    GetCapacity capacity_elsewhere OK "another place has none here" |lab| {
        let segments = [("kubernetes.io/hostname".to_owned(), "node-2".to_owned())].into();
        let answer = capacity(lab, |r| r.accessible_topology = Some(proto::Topology { segments: Clone::clone(&segments) }))?;
        assert_eq!(answer.available_capacity, 0);
        Ok(())
    };
    GetCapacity capacity_of_an_unknown_parameter InvalidArgument "a parameter is not supported" |lab| capacity(lab, |r| { r.parameters.insert("csi.aliyun.com/no-such".into(), "1".into()); }).map(drop);
    GetCapacity capacity_of_a_bad_capability InvalidArgument "a capability is not supported" |lab| capacity(lab, |r| r.volume_capabilities = vec![ask::mount(ask::MULTI_NODE)]).map(drop);
    ControllerExpandVolume expand_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.controller_expand_volume(&ask::expand("", SIZE)).map(drop);
    ControllerExpandVolume expand_names_no_size InvalidArgument "capacity_range is missing" |lab| {
        lab.create("v");
        let mut request = ask::expand("v", SIZE);
        request.capacity_range = None;
        lab.driver.controller_expand_volume(&request).map(drop)
    };
    ControllerExpandVolume expand_to_a_negative_size InvalidArgument "required_bytes is negative" |lab| { lab.create("v"); lab.driver.controller_expand_volume(&ask::expand("v", -5)).map(drop) };
    ControllerExpandVolume expand_of_nothing NotFound "the volume does not exist" |lab| lab.driver.controller_expand_volume(&ask::expand("no-such", SIZE)).map(drop);
    ControllerExpandVolume expand_beyond_all_room OutOfRange "capacity_range is not supported" |lab| { lab.create("v"); lab.driver.controller_expand_volume(&ask::expand("v", HUGE)).map(drop) };
    ControllerExpandVolume expand_below_a_limit OutOfRange "the volume is larger than limit_bytes" |lab| {
        lab.create("v");
        let mut request = ask::expand("v", SIZE / 2);
        request.capacity_range = ask::range(SIZE / 2, SIZE / 2);
        lab.driver.controller_expand_volume(&request).map(drop)
    };
    ControllerExpandVolume expand_with_a_bad_capability InvalidArgument "the capability is not supported" |lab| {
        lab.create("v");
        let mut request = ask::expand("v", 2 * SIZE);
        request.volume_capability = Some(ask::mount(ask::MULTI_NODE));
        lab.driver.controller_expand_volume(&request).map(drop)
    };
    ControllerExpandVolume expand_twice OK "the size is reached already" |lab| {
        lab.create("v");
        for _ in 0..2 {
            let answer = lab.driver.controller_expand_volume(&ask::expand("v", 2 * SIZE))?;
            assert_eq!((answer.capacity_bytes, answer.node_expansion_required), (2 * SIZE, true));
        }
        Ok(())
    };
    ControllerExpandVolume expand_to_less OK "a volume does not shrink: its size is answered" |lab| {
        lab.create("v");
        let answer = lab.driver.controller_expand_volume(&ask::expand("v", SIZE / 2))?;
        assert_eq!(answer.capacity_bytes, SIZE);
        Ok(())
    };
    ControllerExpandVolume expansion_is_under_way Aborted "an operation on the volume is under way" |lab| {
        lab.create("v");
        lab.while_busy(|d| d.controller_expand_volume(&ask::expand("v", 2 * SIZE)), |d| d.controller_expand_volume(&ask::expand("v", 2 * SIZE))).map(drop)
    };
    ControllerModifyVolume modify_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.controller_modify_volume(&ask::modify("", "iops", "1")).map(drop);
    ControllerModifyVolume modify_of_nothing NotFound "the volume does not exist" |lab| lab.driver.controller_modify_volume(&ask::modify("no-such", "iops", "1")).map(drop);
    ControllerModifyVolume modify_by_an_unknown_key InvalidArgument "a parameter is not supported" |lab| { lab.create("v"); lab.driver.controller_modify_volume(&ask::modify("v", "colour", "1")).map(drop) };
    ControllerModifyVolume modify_by_a_bad_value InvalidArgument "the value of a parameter is not supported" |lab| { lab.create("v"); lab.driver.controller_modify_volume(&ask::modify("v", "iops", "many")).map(drop) };
    ControllerModifyVolume modify_twice OK "the same limits again" |lab| {
        lab.create("v");
        for _ in 0..2 { lab.driver.controller_modify_volume(&ask::modify("v", "iops", "100"))?; }
        Ok(())
    };
}
