//! `open-local lvm volume …`: volumes in the metadata of a group, and as block devices.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use open_local_core::{Bytes, Extents, Result};
use open_local_lvm::alloc::{Policy as Allocation, PvChoice};
use open_local_lvm::exec::GroupView;
use open_local_lvm::plan::{Growth, NewVolume, Operation, Reduction, Size, TagChange};

use super::activate::{How, Which, activate, deactivate};
use super::change::{Wish, Words, change, invalid};
use super::site::{On, Site, physical_on};
use crate::answer::Answer;
use crate::context::Globals;

/// What to do with volumes of a group. All but activate and deactivate write metadata only: no
/// device of a volume is made or changed.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a linear or striped volume; it is not activated, and what its extents hold stays
    Create(Create),
    /// Make a volume at least so large; the device of an active one does not follow
    Extend(Extend),
    /// Make an inactive volume smaller; what lies behind its new end is lost
    Reduce(Reduce),
    /// Remove an inactive volume
    Remove {
        /// Its name
        name: String,
        /// Which group it is in
        #[command(flatten)]
        of: Of,
    },
    /// Give an inactive volume another name
    Rename {
        /// The name it has
        name: String,
        /// The name it gets
        to: String,
        /// Which group it is in
        #[command(flatten)]
        of: Of,
    },
    /// Add and remove tags
    Tag {
        /// Its name
        name: String,
        /// Which tags
        #[command(flatten)]
        tags: Tags,
        /// Which group it is in
        #[command(flatten)]
        of: Of,
    },
    /// Make a volume read-only or writable; the device of an active one does not follow
    Set {
        /// Its name
        name: String,
        /// Whether it may be written: ro or rw
        #[arg(long, value_enum)]
        access: Access,
        /// Which group it is in
        #[command(flatten)]
        of: Of,
    },
    /// Make a volume a block device, or give the device of an active one the table it should have
    Activate(Activation),
    /// Remove the block device of a volume, and layers that no other volume uses
    Deactivate(Activation),
}

/// Arguments of `lvm volume activate` and `lvm volume deactivate`.
#[derive(Debug, Args)]
pub struct Activation {
    /// The volume
    pub name: String,
    /// How
    #[command(flatten)]
    pub how: How,
    /// Which group it is in
    #[command(flatten)]
    pub of: Of,
}

/// The group of a volume.
#[derive(Debug, Args)]
pub struct Of {
    /// The group; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Its devices
    #[command(flatten)]
    pub on: On,
}

/// A size, in bytes or extents.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how-large").required(true))]
pub struct HowLarge {
    /// The size of the volume, rounded up to whole extents, such as 10GiB
    #[arg(long, group = "how-large")]
    pub size: Option<Bytes>,
    /// The size of the volume in extents
    #[arg(long, value_name = "COUNT", group = "how-large")]
    pub extents: Option<u64>,
}

/// Where extents are taken from.
#[derive(Debug, Args)]
pub struct Placing {
    /// Stripes [default: 1; where a volume grows, as it has]
    #[arg(long, value_name = "COUNT")]
    pub stripes: Option<u32>,
    /// The size of a stripe, a power of two [default: 64KiB]
    #[arg(long, value_name = "SIZE")]
    pub stripe_size: Option<Bytes>,
    /// How extents may lie [default: as the group has it]
    #[arg(long, value_enum)]
    pub policy: Option<Policy>,
    /// Take extents from this device of the group only; may be repeated
    #[arg(long = "only", value_name = "DEVICE")]
    pub only: Vec<PathBuf>,
    /// Take no extents from this device of the group; may be repeated
    #[arg(long = "avoid", value_name = "DEVICE")]
    pub avoid: Vec<PathBuf>,
}

/// Tags to add and to remove.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which-tags").required(true).multiple(true))]
pub struct Tags {
    /// A tag to add; may be repeated
    #[arg(long = "add", value_name = "TAG", group = "which-tags")]
    pub add: Vec<String>,
    /// A tag to remove; may be repeated
    #[arg(long = "remove", value_name = "TAG", group = "which-tags")]
    pub remove: Vec<String>,
}

/// Arguments of `lvm volume create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: String,
    /// Its size
    #[command(flatten)]
    pub size: HowLarge,
    /// Where it lies
    #[command(flatten)]
    pub placing: Placing,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// It may only be read
    #[arg(long)]
    pub read_only: bool,
    /// Which group it is in
    #[command(flatten)]
    pub of: Of,
}

/// Arguments of `lvm volume extend`.
#[derive(Debug, Args)]
pub struct Extend {
    /// Its name
    pub name: String,
    /// Its size afterwards
    #[command(flatten)]
    pub size: HowLarge,
    /// Where the rest lies
    #[command(flatten)]
    pub placing: Placing,
    /// Which group it is in
    #[command(flatten)]
    pub of: Of,
}

/// Arguments of `lvm volume reduce`.
#[derive(Debug, Args)]
pub struct Reduce {
    /// Its name
    pub name: String,
    /// Its size afterwards
    #[command(flatten)]
    pub size: HowLarge,
    /// Which group it is in
    #[command(flatten)]
    pub of: Of,
}

/// Whether a volume may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// It may only be read.
    Ro,
    /// It may be written.
    Rw,
}

/// How extents may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// In one run a stripe
    Contiguous,
    /// On one device a stripe
    Cling,
    /// Anywhere
    Normal,
}

impl From<Policy> for Allocation {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Contiguous => Self::Contiguous,
            Policy::Cling => Self::Cling,
            Policy::Normal => Self::Normal,
        }
    }
}

impl HowLarge {
    fn size(&self) -> Result<Size> {
        match (self.size, self.extents) {
            (Some(size), None) => Ok(Size::AtLeast(size)),
            (None, Some(extents)) => Ok(Size::Extents(Extents::new(extents))),
            _ => Err(invalid("size", "one size is needed", "give --size or --extents")),
        }
    }
}

impl Placing {
    fn choice(&self, view: &GroupView) -> Result<PvChoice> {
        let ids = |paths: &[PathBuf]| -> Result<_> {
            paths.iter().map(|path| physical_on(view, path)).collect()
        };
        Ok(PvChoice { only: ids(&self.only)?, avoid: ids(&self.avoid)? })
    }
}

impl From<&Tags> for TagChange {
    fn from(tags: &Tags) -> Self {
        Self { add: tags.add.clone(), remove: tags.remove.clone() }
    }
}

impl Command {
    pub(super) const fn of(&self) -> &Of {
        match self {
            Self::Create(Create { of, .. })
            | Self::Extend(Extend { of, .. })
            | Self::Reduce(Reduce { of, .. })
            | Self::Remove { of, .. }
            | Self::Rename { of, .. }
            | Self::Tag { of, .. }
            | Self::Set { of, .. }
            | Self::Activate(Activation { of, .. })
            | Self::Deactivate(Activation { of, .. }) => of,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// As [`open_local_lvm::plan::plan`] and [`open_local_lvm::exec::Session::change`]; `Busy` for an
/// active volume where that matters; `Refused` if what is lost was not confirmed.
pub fn run(globals: &Globals, command: &Command) -> Result<Answer> {
    let of = command.of();
    on_site(globals, &of.on.open(globals, &[])?, command)
}

/// Runs a command on devices that are open.
pub(super) fn on_site(globals: &Globals, site: &Site, command: &Command) -> Result<Answer> {
    let group = site.group_name(command.of().group.as_deref())?;
    let wish = match command {
        Command::Activate(arguments) => {
            let which = Which::Volume(&arguments.name);
            return activate(site, &group, which, &arguments.how);
        }
        Command::Deactivate(arguments) => {
            let which = Which::Volume(&arguments.name);
            return deactivate(site, &group, which, &arguments.how);
        }
        Command::Create(arguments) => create(site, &group, arguments)?,
        Command::Extend(arguments) => extend(site, &group, arguments)?,
        Command::Reduce(arguments) => reduce(arguments)?,
        Command::Remove { name, .. } => Wish {
            what: "open-local lvm volume remove",
            operations: vec![Operation::RemoveVolume(name.clone())],
            inactive: vec![name.clone()],
            loses: Some(format!("this removes volume {name} and its content")),
            words: Words { done: "removed", nothing: "absent" },
            ..Wish::default()
        },
        Command::Rename { name, to, .. } => Wish {
            what: "open-local lvm volume rename",
            operations: vec![Operation::RenameVolume { from: name.clone(), to: to.clone() }],
            inactive: vec![name.clone()],
            ..Wish::default()
        },
        Command::Tag { name, tags, .. } => Wish {
            what: "open-local lvm volume tag",
            operations: vec![Operation::TagVolume { name: name.clone(), tags: tags.into() }],
            ..Wish::default()
        },
        Command::Set { name, access, .. } => Wish {
            what: "open-local lvm volume set",
            operations: vec![Operation::SetWritable {
                name: name.clone(),
                writable: *access == Access::Rw,
            }],
            stale: vec![name.clone()],
            ..Wish::default()
        },
    };
    change(globals, site, &group, &wish)
}

fn create(site: &Site, group: &str, arguments: &Create) -> Result<Wish> {
    let mut new = NewVolume::new(&arguments.name, arguments.size.size()?);
    let placing = &arguments.placing;
    new.stripes = placing.stripes.unwrap_or(1);
    new.stripe_size = placing.stripe_size;
    new.policy = placing.policy.map(Into::into);
    new.choice = placing.choice(&site.session.group(group)?)?;
    new.tags.clone_from(&arguments.tags);
    new.read_only = arguments.read_only;
    Ok(Wish {
        what: "open-local lvm volume create",
        operations: vec![Operation::CreateVolume(new)],
        words: Words { done: "created", nothing: "unchanged" },
        ..Wish::default()
    })
}

fn extend(site: &Site, group: &str, arguments: &Extend) -> Result<Wish> {
    let mut growth = Growth::new(&arguments.name, arguments.size.size()?);
    let placing = &arguments.placing;
    growth.stripes = placing.stripes;
    growth.stripe_size = placing.stripe_size;
    growth.policy = placing.policy.map(Into::into);
    growth.choice = placing.choice(&site.session.group(group)?)?;
    Ok(Wish {
        what: "open-local lvm volume extend",
        operations: vec![Operation::Extend(growth)],
        stale: vec![arguments.name.clone()],
        words: Words { done: "grew", nothing: "already-large" },
        ..Wish::default()
    })
}

fn reduce(arguments: &Reduce) -> Result<Wish> {
    let name = &arguments.name;
    let to = arguments.size.size()?;
    Ok(Wish {
        what: "open-local lvm volume reduce",
        operations: vec![Operation::Reduce(Reduction { name: name.clone(), to })],
        inactive: vec![name.clone()],
        loses: Some(format!("this cuts off the end of volume {name} and what lies there")),
        ..Wish::default()
    })
}
