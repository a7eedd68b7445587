//! Devices that become physical volumes of a group, and leave it.

use std::path::{Path, PathBuf};

use open_local_core::host::{parse_mountinfo, read_small};
use open_local_core::raw::{DeviceReport, Signature, look, names};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Sectors, Subject};
use open_local_lvm::exec::{PvOptions, PvView};
use open_local_lvm::format::group::{PhysicalVolume, VolumeGroup};
use open_local_lvm::format::text::Value;
use open_local_lvm::plan::{
    Geometry, LayoutOptions, NewGroup, NewPhysical, Operation, Plan, PvLayout, Step, create_group,
    plan,
};

use super::change::{Words, answer, dry, metadata};
use super::group::{Blank, Create, Extend};
use super::site::{Site, physical_on};
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::{Globals, absolute};

/// Longest attribute of a queue in `/sys`.
const MAX_ATTRIBUTE: usize = 64;
/// A mount table larger than this is not read.
const MAX_TABLE: usize = 16 << 20;

/// Makes a group.
///
/// # Errors
/// As [`create_group`], [`open_local_lvm::exec::Session::create_pv`] and
/// [`open_local_lvm::exec::Session::create_group`].
pub(super) fn create(globals: &Globals, site: &Site, arguments: &Create) -> Result<Answer> {
    let name = &arguments.name;
    let devices: Vec<PathBuf> = site.session.devices().map(Path::to_path_buf).collect();
    let words = Words { done: "created", nothing: "unchanged" };
    if site.session.groups()?.contains(name) {
        return existing(site, arguments, words);
    }
    let views = site.session.physical_volumes()?;
    let mut new = NewGroup::new(name, joining(site, &devices, &views, &arguments.blank)?);
    new.extent_size = arguments.extent_size;
    new.tags.clone_from(&arguments.tags);
    let what = "open-local lvm group create";
    let planned = create_group(&new, &site.context(what))?;
    let steps = steps(&planned, &views);
    let subject = Subject::value(name);
    if site.dry_run {
        return Ok(dry(subject, &steps, &planned.warnings));
    }
    make_physical(globals, site, subject, &devices, &arguments.blank)?;
    let mut group = planned.metadata.group;
    adopt(&mut group.physical_volumes, group.extent_size, &site.session.physical_volumes()?)?;
    let done = site.session.create_group(&group, what)?;
    Ok(answer(&done, &steps, planned.warnings, words))
}

/// A group of the name is there: it is what was asked for, or it is in the way.
fn existing(site: &Site, arguments: &Create, words: Words) -> Result<Answer> {
    let view = site.session.group(&arguments.name)?;
    let group = &view.metadata.group;
    let own = |device: &Path| view.devices.iter().flatten().any(|of_group| of_group == device);
    let same_devices = view.devices.iter().all(Option::is_some) && site.session.devices().all(own);
    let has_tags = arguments.tags.iter().all(|tag| group.tags.contains(tag));
    let subject = Subject::value(&arguments.name);
    if !same_devices || group.extent_size.to_bytes() != Some(arguments.extent_size) || !has_tags {
        let message = "there is a group of this name with other devices, extents or tags";
        return Err(Error::new(ErrorKind::Conflict, Op::PlanChange, subject, message)
            .with_remedy("choose another name, or change it with lvm group extend, reduce, tag"));
    }
    if site.dry_run {
        return Ok(dry(subject, &[], &[]));
    }
    let done = site.session.change(&arguments.name, "unchanged", |old| Ok(old.clone()))?;
    Ok(answer(&done, &[], Vec::new(), words))
}

/// Adds devices to a group.
///
/// # Errors
/// As [`create`].
pub(super) fn extend(globals: &Globals, site: &Site, arguments: &Extend) -> Result<Answer> {
    let name = &arguments.name;
    let views = site.session.physical_volumes()?;
    let view = site.session.group(name)?;
    let added: Result<Vec<PathBuf>> = arguments.add.iter().map(|path| absolute(path)).collect();
    let mut added = added?;
    added.retain(|path| !view.devices.iter().flatten().any(|own| own == path));
    let what = "open-local lvm group extend";
    let joining = joining(site, &added, &views, &arguments.blank)?;
    let operations: Vec<Operation> = joining.into_iter().map(Operation::AddPhysical).collect();
    let planned = plan(&view.metadata, &operations, &site.context(what))?;
    let steps = steps(&planned, &views);
    let subject = Subject::value(name);
    if site.dry_run {
        return Ok(dry(subject, &steps, &planned.warnings));
    }
    make_physical(globals, site, subject, &added, &arguments.blank)?;
    let views = site.session.physical_volumes()?;
    let done = site.session.change_members(name, what, |old| {
        // Planned again: the group may be another one since it was shown.
        let mut new = plan(&metadata(old), &operations, &site.context(what))?.metadata.group;
        let is_new = |pv: &&mut PhysicalVolume| old.physical_by_id(&pv.id).is_none();
        let (extent_size, pvs) = (new.extent_size, new.physical_volumes.iter_mut());
        adopt(pvs.filter(is_new), extent_size, &views)?;
        Ok(new)
    })?;
    Ok(answer(&done, &steps, planned.warnings, Words::default()))
}

/// Takes devices out of a group.
///
/// # Errors
/// As [`plan`] and [`open_local_lvm::exec::Session::change_members`].
pub(super) fn reduce(site: &Site, name: &str, drop: &[PathBuf]) -> Result<Answer> {
    let what = "open-local lvm group reduce";
    let view = site.session.group(name)?;
    let mut operations = Vec::new();
    for path in drop {
        match physical_on(&view, path) {
            Ok(id) => operations.push(Operation::RemovePhysical(id)),
            // Out of the group already; a wrong path could not have been opened.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let planned = plan(&view.metadata, &operations, &site.context(what))?;
    let steps = super::change::texts(&planned);
    if site.dry_run {
        return Ok(dry(Subject::value(name), &steps, &planned.warnings));
    }
    let done = site.session.change_members(name, what, |old: &VolumeGroup| {
        Ok(plan(&metadata(old), &operations, &site.context(what))?.metadata.group)
    })?;
    Ok(answer(&done, &steps, planned.warnings, Words::default()))
}

/// What the devices are to the plan. Those that can't join are refused, before any is changed.
pub(super) fn joining(
    site: &Site,
    devices: &[PathBuf],
    views: &[PvView],
    blank: &Blank,
) -> Result<Vec<NewPhysical>> {
    let table = site.host.roots.proc.join("self/mountinfo");
    let mounts = read_small(site.host.files.as_ref(), &table, MAX_TABLE).map_err(|e| {
        Error::from_io(Op::Prove, Subject::path(&table), "can't read the mount table", e)
    })?;
    let mounts = parse_mountinfo(&mounts)?;
    let one = |path: &PathBuf| {
        let refuse = |kind, message: String, remedy: &'static str| {
            let subject = Subject::device(path);
            Err(Error::new(kind, Op::PlanChange, subject, message).with_remedy(remedy))
        };
        let view = views.iter().find(|view| view.path == *path);
        if let Some(why) = view.and_then(|view| view.taken.as_deref()) {
            let message = format!("it is a physical volume and {why}");
            let remedy = "take it out of its group first, or choose another device";
            return refuse(ErrorKind::Refused, message, remedy);
        }
        let (_, report) = look(&site.host, site.devices.as_ref(), &mounts, path)?;
        if let Some(why) = report.in_use() {
            return refuse(ErrorKind::Busy, why, "end that use first");
        }
        let kept = |held: &&Signature| !blank.replace.iter().any(|name| name == held.name);
        let foreign: Vec<Signature> = report.signatures.iter().filter(kept).cloned().collect();
        if view.is_none() && !foreign.is_empty() {
            let remedy =
                "save what is needed of it, and name what may be destroyed: --replace NAME";
            return refuse(ErrorKind::Refused, format!("it holds {}", names(&foreign)), remedy);
        }
        let usual = LayoutOptions::default();
        let metadata_size = blank.metadata_size.unwrap_or(usual.metadata_size);
        let options = LayoutOptions { metadata_size, ..usual };
        let (device, geometry) = (path.display().to_string(), geometry(site, &report));
        if let Some(view) = view.filter(|_| blank.metadata_size.is_some()) {
            require_areas(view, &PvLayout::new(&device, &geometry, &options)?)?;
        }
        Ok(NewPhysical { device, geometry, options })
    };
    devices.iter().map(one).collect()
}

/// Refuses a physical volume that is there with another room for metadata than is asked for.
fn require_areas(view: &PvView, wanted: &PvLayout) -> Result<()> {
    if view.area_places == wanted.metadata_areas {
        return Ok(());
    }
    let sizes = |sizes: Vec<Bytes>| match sizes.as_slice() {
        [] => "no room for metadata".to_owned(),
        several => {
            let sizes: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("{} for metadata", sizes.join(" and "))
        }
    };
    let asked = wanted.metadata_areas.iter().map(|area| Bytes::new(area.size)).collect();
    let (has, asked) = (sizes(view.areas.clone()), sizes(asked));
    let message = format!("it is a physical volume with {has}, and {asked} are asked for");
    Err(Error::new(ErrorKind::Conflict, Op::PlanChange, Subject::device(&view.path), message)
        .with_remedy(
            "leave --metadata-size out to take it as it is, or make it anew: open-local lvm pv \
             remove, then create",
        ))
}

/// What the kernel says of a device; what it does not say is taken for 0.
fn geometry(site: &Site, report: &DeviceReport) -> Geometry {
    let folder = site.host.roots.sys.join(format!("dev/block/{}", report.number));
    let attribute = |name: &str| {
        let paths = ["queue", "../queue"].map(|queue| folder.join(queue).join(name));
        let text = paths
            .iter()
            .find_map(|path| read_small(site.host.files.as_ref(), path, MAX_ATTRIBUTE).ok())?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok().map(Bytes::new)
    };
    let mut geometry = Geometry::plain(report.size);
    geometry.logical_block = report.block_size;
    geometry.minimum_io = attribute("minimum_io_size").unwrap_or(Bytes::ZERO);
    geometry.optimal_io = attribute("optimal_io_size").unwrap_or(Bytes::ZERO);
    geometry
}

/// The steps in words; a device that is a physical volume already is taken as it is.
fn steps(planned: &Plan, views: &[PvView]) -> Vec<String> {
    let one = |step: &Step| match step {
        Step::MakePhysical { device, .. }
            if views.iter().any(|view| view.path.as_os_str() == device.as_str()) =>
        {
            format!("take {device}, which is a physical volume of no group, as it is")
        }
        step => step.to_string(),
    };
    planned.steps.iter().map(one).collect()
}

/// Makes devices physical volumes; those that are free ones stay as they are.
fn make_physical(
    globals: &Globals,
    site: &Site,
    subject: Subject,
    devices: &[PathBuf],
    blank: &Blank,
) -> Result<()> {
    if !blank.replace.is_empty() {
        let loses = format!("this destroys {} on its devices", blank.replace.join(", "));
        confirm::destruction(globals, Op::PlanChange, subject, &loses)?;
    }
    let mut options = PvOptions::default();
    options.metadata_size = blank.metadata_size;
    options.destroy.clone_from(&blank.replace);
    devices.iter().try_for_each(|path| site.session.create_pv(path, &options).map(drop))
}

/// Gives physical volumes of a plan the UUIDs and sizes that their labels have.
fn adopt<'g>(
    pvs: impl IntoIterator<Item = &'g mut PhysicalVolume>,
    extent_size: Sectors,
    views: &[PvView],
) -> Result<()> {
    let extent = extent_size.to_bytes().and_then(open_local_core::ExtentSize::new);
    for pv in pvs {
        let device = pv.device.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let refuse = |kind, message: &str, remedy: &'static str| {
            Error::new(kind, Op::PlanChange, Subject::device(Path::new(&device)), message)
                .with_remedy(remedy)
        };
        let view = views.iter().find(|view| view.path.as_os_str() == device.as_str());
        let (Some(view), Some(extent)) = (view, extent) else {
            let message = "it is no physical volume any more";
            return Err(refuse(ErrorKind::Conflict, message, "repeat the command"));
        };
        if view.areas.len() > 1 {
            let message = "it has two metadata areas, which is not laid out here";
            return Err(refuse(ErrorKind::Unsupported, message, "use vgcreate or vgextend"));
        }
        let count = extent.extents_floor(view.device_size.saturating_sub(view.data_start));
        if count.is_zero() {
            let message = "it has no room for an extent";
            return Err(refuse(ErrorKind::InvalidArgument, message, "take a larger device"));
        }
        pv.id = view.id;
        pv.dev_size = Some(Sectors::from_bytes_floor(view.device_size));
        pv.pe_start = Sectors::from_bytes_floor(view.data_start);
        pv.pe_count = count;
    }
    Ok(())
}
