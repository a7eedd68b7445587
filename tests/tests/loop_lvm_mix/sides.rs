//! The two that change the group.

use std::sync::Arc;

use open_local_core::host::{Host, SystemDevices, SystemEntropy};
use open_local_core::{ErrorKind, Extents};
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::plan::{
    Context, Growth, NewVolume, Operation, Reduction, Size, TagChange, plan,
};
use open_local_tests::LvmTools;

use crate::GROUP;
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

fn operation(act: &Act, before: &VolumeGroup) -> Operation {
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
        Act::SetAllocatable { device, allocatable } => Operation::SetAllocatable {
            id: before.physical_volumes[*device].id,
            allocatable: *allocatable,
        },
    }
}

impl Side for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn act(&self, act: &Act, before: &VolumeGroup) -> Outcome {
        let context = Context {
            host: "node",
            time: 1_800_000_000,
            description: "mix",
            system_id: None,
            entropy: &SystemEntropy,
        };
        let mut locked = self.session.lock(GROUP).unwrap();
        assert_eq!(locked.group(), before, "a change nobody made");
        let view = locked.view();
        assert!(view.findings.is_empty(), "{:?}", view.findings);
        let answer = match plan(&view.metadata, &[operation(act, before)], &context) {
            Ok(plan) => {
                let done = locked.commit(plan.group(), "mix").unwrap();
                assert_eq!(done.changed, !plan.is_empty());
                assert!(done.degraded.is_empty() && done.backup.is_none(), "{done:?}");
                Ok(())
            }
            Err(error) => {
                let known = [ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::OutOfSpace];
                assert!(known.contains(&error.kind()), "{error}");
                Err(error.to_string())
            }
        };
        locked.release();
        answer
    }
}

impl Side for LvmTools {
    fn name(&self) -> &'static str {
        "lvm2"
    }

    fn act(&self, act: &Act, _before: &VolumeGroup) -> Outcome {
        let path = |name: &str| format!("{GROUP}/{name}");
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
                arguments.push(GROUP);
                run("lvcreate", &arguments)
            }
            Act::Extend { name, to } => run("lvextend", &["-l", &to.to_string(), &path(name)]),
            Act::Reduce { name, to } => {
                run("lvreduce", &["-f", "-l", &to.to_string(), &path(name)])
            }
            Act::Remove { name } => run("lvremove", &[&path(name)]),
            Act::Rename { from, to } => run("lvrename", &[GROUP, from, to]),
            Act::Tag { name, tag, add } => run("lvchange", &[change(*add), tag, &path(name)]),
            Act::SetWritable { name, writable } => {
                run("lvchange", &["-p", if *writable { "rw" } else { "r" }, &path(name)])
            }
            Act::TagGroup { tag, add } => run("vgchange", &[change(*add), tag, GROUP]),
            Act::SetAllocatable { device, allocatable } => {
                let device = self.devices()[*device].display().to_string();
                run("pvchange", &["-x", if *allocatable { "y" } else { "n" }, &device])
            }
        }
    }
}
