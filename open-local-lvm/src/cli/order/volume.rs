//! Linear and striped volumes, and what is done to volumes of all types.

use std::path::PathBuf;

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};

use super::{Order, about, add_tags, bytes, device, new_name, path_of, size, tag_change};
use crate::alloc::PvChoice;
use crate::format::names::check_name;
use crate::plan::{Growth, NewVolume, Reduction, TagChange};

/// Where the extents of a new volume are taken from, and what becomes of its first bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Where {
    /// From these devices only; from all of the group if empty.
    pub devices: Vec<PathBuf>,
    /// Leave the volume active, its first 4 KiB zeroed and known signatures wiped. Needs
    /// device-mapper.
    pub active: bool,
}

/// The tools are told devices, not UUIDs.
fn refuse_choice(choice: &PvChoice, subject: Subject) -> Result<()> {
    if *choice == PvChoice::default() {
        return Ok(());
    }
    let message = "physical volumes are chosen by UUID";
    Err(Error::new(ErrorKind::InvalidArgument, Op::RunProgram, subject, message)
        .with_remedy("name devices: the tools take no UUIDs here"))
}

fn stripes(count: u32, stripe_size: Option<Bytes>) -> Vec<String> {
    let mut arguments = Vec::new();
    if count > 1 {
        arguments.extend(["-i".to_owned(), count.to_string()]);
        arguments.extend(stripe_size.into_iter().flat_map(|size| ["-I".to_owned(), bytes(size)]));
    }
    arguments
}

impl Order {
    fn on_volume(command: &'static str, group: &str, name: &str) -> Result<(Self, String)> {
        Ok((Self::changing_in(command, group, name), path_of(group, name)?))
    }

    /// Makes a linear or striped volume. Unless it is left active it holds what its extents held.
    ///
    /// # Errors
    /// `InvalidArgument` for names, tags and paths that the tools do not take, and for physical
    /// volumes that are chosen by UUID.
    pub fn create_volume(group: &str, new: &NewVolume, on: &Where) -> Result<Self> {
        check_name(group)?;
        refuse_choice(&new.choice, about(group, &new.name))?;
        let devices: Result<Vec<String>> = on.devices.iter().map(|path| device(path)).collect();
        let start: &[&str] = match on.active {
            true => &["-ay", "-Zy", "-Wy", "-y"],
            false => &["-an", "-Zn", "-Wn", "-y"],
        };
        Ok(Self::changing_in("lvcreate", group, &new.name)
            .args(start.iter().copied())
            .args(size(new.size))
            .args(stripes(new.stripes, new.stripe_size))
            .args(new.policy.into_iter().flat_map(|policy| ["--alloc", policy.as_str()]))
            .args(new.read_only.then_some("-pr"))
            .args(add_tags(&new.tags)?)
            .args(["-n", &new_name(&new.name)?, group])
            .args(devices?))
    }

    /// Makes a volume larger, whatever its type.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn extend_volume(group: &str, growth: &Growth, on: &[PathBuf]) -> Result<Self> {
        let (order, path) = Self::on_volume("lvextend", group, &growth.name)?;
        refuse_choice(&growth.choice, about(group, &growth.name))?;
        let devices: Result<Vec<String>> = on.iter().map(|path| device(path)).collect();
        Ok(order
            .args(size(growth.to))
            .args(growth.stripes.map_or(Vec::new(), |n| stripes(n, growth.stripe_size)))
            .args(growth.policy.into_iter().flat_map(|policy| ["--alloc", policy.as_str()]))
            .arg(path)
            .args(devices?))
    }

    /// Makes a volume smaller; what lies behind the new end is lost.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn reduce_volume(group: &str, reduction: &Reduction) -> Result<Self> {
        let (order, path) = Self::on_volume("lvreduce", group, &reduction.name)?;
        Ok(order.args(["-f"]).args(size(reduction.to)).arg(path))
    }

    /// Removes a volume, whatever its type. The tools deactivate it first; one that is open they
    /// refuse.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn remove_volume(group: &str, name: &str) -> Result<Self> {
        let (order, path) = Self::on_volume("lvremove", group, name)?;
        Ok(order.args(["-y", &path]))
    }

    /// Gives a volume another name.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn rename_volume(group: &str, from: &str, to: &str) -> Result<Self> {
        let (order, _) = Self::on_volume("lvrename", group, from)?;
        Ok(order.args([group, from, &new_name(to)?]))
    }

    /// Adds and removes tags of a volume, in one change of the group.
    ///
    /// # Errors
    /// As [`Self::create_volume`], also where there is nothing to change.
    pub fn tag_volume(group: &str, name: &str, tags: &TagChange) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        Ok(order.args(tag_change(tags)?).arg(path))
    }

    /// Makes a volume writable or read-only.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn set_writable(group: &str, name: &str, writable: bool) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        Ok(order.args([if writable { "-prw" } else { "-pr" }, &path]))
    }

    /// Says whether a volume is activated with its group.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn set_autoactivation(group: &str, name: &str, on: bool) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        Ok(order.args(["--setautoactivation", if on { "y" } else { "n" }, &path]))
    }

    /// Makes a volume a device, also one that is marked to be left out.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn activate(group: &str, name: &str) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        Ok(order.args(["-ay", "-K", &path]))
    }

    /// The same with a device that refuses writes; the volume itself stays as it is.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn activate_read_only(group: &str, name: &str) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        let config = format!("activation/read_only_volume_list=[\"{path}\"]");
        Ok(order.args(["--config", &config, "-ay", "-K", &path]))
    }

    /// Gives the device of a volume the table that its group has for it.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn refresh(group: &str, name: &str) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        Ok(order.args(["--refresh", &path]))
    }

    /// Takes the device of a volume away; one that is open the tools refuse.
    ///
    /// # Errors
    /// As [`Self::create_volume`].
    pub fn deactivate(group: &str, name: &str) -> Result<Self> {
        let (order, path) = Self::on_volume("lvchange", group, name)?;
        Ok(order.args(["-an", &path]))
    }
}
