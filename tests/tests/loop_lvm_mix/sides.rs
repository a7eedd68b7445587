//! The two that change the group.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{Host, SystemDevices, SystemEntropy};
use open_local_core::{Bytes, Error, ErrorKind, Extents, Sectors};
use open_local_lvm::exec::{Committed, PvOptions, Session, Settings};
use open_local_lvm::format::group::{Metadata, PhysicalVolume, Provenance, VolumeGroup};
use open_local_lvm::format::text::Value;
use open_local_lvm::plan::{
    Context, Geometry, Growth, LayoutOptions, NewPhysical, NewVolume, Operation, Reduction, Size,
    TagChange, plan,
};
use open_local_tests::LvmTools;

use crate::act::Act;

/// Done, or the reason why not.
pub(crate) type Outcome = Result<(), String>;

pub(crate) trait Side {
    fn name(&self) -> &'static str;

    /// Does it to the group, which was seen like this before.
    fn act(&self, act: &Act, before: &VolumeGroup) -> Outcome;
}

/// One session for the whole test, so that what it keeps in memory is put to the test as well.
pub(crate) struct Native {
    pub(crate) session: Session,
}

impl Native {
    pub(crate) fn open(tools: &LvmTools) -> Self {
        let host = Host::system();
        let mut settings = Settings::from_folder(&host, &tools.join("")).unwrap();
        assert_eq!(settings.lock_folder, tools.lock_folder());
        settings.hints_folder = tools.join("hints");
        let devices = Arc::new(SystemDevices);
        Self { session: Session::open(&host, devices, settings, tools.devices()).unwrap() }
    }
}

fn tags(tag: &str, add: bool) -> TagChange {
    let (yes, no) = (vec![tag.to_owned()], Vec::new());
    match add {
        true => TagChange { add: yes, remove: no },
        false => TagChange { add: no, remove: yes },
    }
}

/// What the group has on a device.
pub(crate) fn physical_on<'g>(group: &'g VolumeGroup, device: &Path) -> Option<&'g PhysicalVolume> {
    let on = |pv: &&PhysicalVolume| {
        pv.device.as_ref().and_then(Value::as_str) == Some(device.to_str().unwrap())
    };
    group.physical_volumes.iter().find(on)
}

/// What is one operation of a plan; the others are calls of their own.
fn operation(act: &Act, before: &VolumeGroup, devices: &[PathBuf]) -> Option<Operation> {
    Some(match act {
        Act::RenameGroup { .. } | Act::Join { .. } | Act::Leave { .. } => return None,
        Act::SetAllocatable { device, allocatable } => Operation::SetAllocatable {
            id: physical_on(before, &devices[*device]).unwrap().id,
            allocatable: *allocatable,
        },
        act => of_volumes(act),
    })
}

fn of_volumes(act: &Act) -> Operation {
    let size = |extents: &u64| Size::Extents(Extents::new(*extents));
    match act {
        Act::Create { name, extents, stripes, tag, read_only } => {
            let mut new = NewVolume::new(name, size(extents));
            new.stripes = u32::try_from(*stripes).unwrap();
            new.tags = tag.iter().cloned().collect();
            new.read_only = *read_only;
            Operation::CreateVolume(new)
        }
        Act::Extend { name, to } => Operation::Extend(Growth::new(name, size(to))),
        Act::Reduce { name, to } => {
            Operation::Reduce(Reduction { name: name.clone(), to: size(to) })
        }
        Act::Remove { name } => Operation::RemoveVolume(name.clone()),
        Act::Rename { from, to } => Operation::RenameVolume { from: from.clone(), to: to.clone() },
        Act::Tag { name, tag, add } => {
            Operation::TagVolume { name: name.clone(), tags: tags(tag, *add) }
        }
        Act::SetWritable { name, writable } => {
            Operation::SetWritable { name: name.clone(), writable: *writable }
        }
        Act::TagGroup { tag, add } => Operation::TagGroup(tags(tag, *add)),
        other => panic!("{other:?} is not about volumes"),
    }
}

impl Side for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn act(&self, act: &Act, before: &VolumeGroup) -> Outcome {
        let devices: Vec<PathBuf> = self.session.devices().map(Path::to_path_buf).collect();
        let mut locked = self.session.lock(&before.name).unwrap();
        assert_eq!(locked.group(), before, "a change nobody made");
        let view = locked.view();
        assert!(view.findings.is_empty(), "{:?}", view.findings);
        let Some(operation) = operation(act, before, &devices) else {
            locked.release();
            return self.members(act, before, &devices);
        };
        let answer = plan(&view.metadata, &[operation], &context()).map(|plan| {
            let done = locked.commit(plan.group(), "mix").unwrap();
            assert_eq!(done.changed, !plan.is_empty());
            well(&done);
        });
        locked.release();
        answer.map_err(expected)
    }
}

fn context() -> Context<'static> {
    Context {
        host: "node",
        time: 1_800_000_000,
        description: "mix",
        system_id: None,
        entropy: &SystemEntropy,
    }
}

fn well(done: &Committed) {
    assert!(done.degraded.is_empty() && done.backup.is_none(), "{done:?}");
}

/// An error that says no to what can't be done.
fn expected(error: Error) -> String {
    let known = [
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::OutOfSpace,
        ErrorKind::Busy,
        ErrorKind::Refused,
    ];
    assert!(known.contains(&error.kind()), "{error}");
    error.to_string()
}

impl Native {
    /// The group's name and its physical volumes.
    fn members(&self, act: &Act, before: &VolumeGroup, devices: &[PathBuf]) -> Outcome {
        let name = &before.name;
        let planned = |old: &VolumeGroup, operation| {
            let metadata = Metadata { group: old.clone(), provenance: Provenance::default() };
            Ok(plan(&metadata, &[operation], &context())?.metadata.group)
        };
        let done = match act {
            Act::RenameGroup { to } => self.session.rename_group(name, to, "mix"),
            Act::Leave { device } => {
                let id = physical_on(before, &devices[*device]).unwrap().id;
                let leave = |old: &VolumeGroup| planned(old, Operation::RemovePhysical(id));
                self.session.change_members(name, "mix", leave)
            }
            Act::Join { device } => {
                let path = &devices[*device];
                let id = self.session.create_pv(path, &PvOptions::default()).unwrap();
                let views = self.session.physical_volumes().unwrap();
                let view = views.into_iter().find(|view| view.id == id).unwrap();
                self.session.change_members(name, "mix", |old| {
                    let new = NewPhysical {
                        device: path.to_str().unwrap().to_owned(),
                        geometry: Geometry::plain(view.device_size),
                        options: LayoutOptions {
                            metadata_size: Bytes::MIB,
                            ..LayoutOptions::default()
                        },
                    };
                    let mut group = planned(old, Operation::AddPhysical(new))?;
                    let extent = group.extent_bytes().unwrap();
                    let pv = group.physical_volumes.last_mut().unwrap();
                    // It was laid out before, perhaps by the other side.
                    let data = view.device_size.get() - view.data_start.get();
                    pv.id = id;
                    pv.pe_start = Sectors::from_bytes_floor(view.data_start);
                    pv.pe_count = extent.extents_floor(Bytes::new(data));
                    Ok(group)
                })
            }
            other => panic!("{other:?} is one operation"),
        };
        done.map(|done| well(&done)).map_err(expected)
    }
}

impl Side for LvmTools {
    fn name(&self) -> &'static str {
        "lvm2"
    }

    fn act(&self, act: &Act, before: &VolumeGroup) -> Outcome {
        let group = before.name.as_str();
        let path = |name: &str| format!("{group}/{name}");
        let device = |index: &usize| self.devices()[*index].display().to_string();
        let change = |add: bool| if add { "--addtag" } else { "--deltag" };
        let run = |command: &str, arguments: &[&str]| {
            let quiet: [&str; 2] = ["-qq", "-y"];
            self.attempt(command, &[&quiet, arguments].concat()).map(drop)
        };
        match act {
            Act::Create { name, extents, stripes, tag, read_only } => {
                let (extents, stripes) = (extents.to_string(), stripes.to_string());
                let mut arguments = vec!["-an", "-Zn", "-Wn", "-n", name, "-l", &extents];
                arguments.extend(["-i", &stripes, "-p", if *read_only { "r" } else { "rw" }]);
                arguments.extend(tag.iter().flat_map(|tag| ["--addtag", tag.as_str()]));
                arguments.push(group);
                run("lvcreate", &arguments)
            }
            Act::Extend { name, to } => run("lvextend", &["-l", &to.to_string(), &path(name)]),
            Act::Reduce { name, to } => {
                run("lvreduce", &["-f", "-l", &to.to_string(), &path(name)])
            }
            Act::Remove { name } => run("lvremove", &[&path(name)]),
            Act::Rename { from, to } => run("lvrename", &[group, from, to]),
            Act::Tag { name, tag, add } => run("lvchange", &[change(*add), tag, &path(name)]),
            Act::SetWritable { name, writable } => {
                run("lvchange", &["-p", if *writable { "rw" } else { "r" }, &path(name)])
            }
            Act::TagGroup { tag, add } => run("vgchange", &[change(*add), tag, group]),
            Act::SetAllocatable { device: index, allocatable } => {
                run("pvchange", &["-x", if *allocatable { "y" } else { "n" }, &device(index)])
            }
            Act::RenameGroup { to } => run("vgrename", &[group, to]),
            Act::Join { device: index } => run("vgextend", &[group, &device(index)]),
            Act::Leave { device: index } => run("vgreduce", &[group, &device(index)]),
        }
    }
}
