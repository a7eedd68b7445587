//! Devices become physical volumes and blank devices again.

use std::path::{Path, PathBuf};

use open_local_core::host::{parse_mountinfo, read_small};
use open_local_core::raw::{Signature, prove_writable};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};

use super::device::Device;
use super::locks::{HeldLock, LockMode};
use super::members::taken;
use super::session::Session;
use super::{hints, refusal};
use crate::format::id::LvmId;
use crate::format::label::{DiskArea, EXTENSION_VERSION, Extension, Label, PvHeader, SECTOR};
use crate::format::mda::MdaHeader;
use crate::plan::PvLayout;

/// Where the first metadata area begins (lvm2: the page size).
const AREA_START: u64 = 4096;
/// What the data area begins at a multiple of, unless the device wants more.
const ALIGNMENT: u64 = 1 << 20;
/// A device that asks for more alignment than this is not believed.
const MAX_ALIGNMENT: u64 = 64 << 20;
/// The size of a metadata area that nobody asked for otherwise.
const USUAL_AREA: Bytes = Bytes::new(16 << 20);
/// The smallest metadata area: lvm2 2.03.16 makes none below 1 MiB less the label's 4 KiB.
const MIN_AREA: u64 = (1 << 20) - AREA_START;
const MAX_TABLE: usize = 16 << 20;
/// Rounds of finding and wiping signatures: one hides behind another at most a few times.
const MAX_WIPES: usize = 8;

/// How a device is made a physical volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PvOptions {
    /// Its UUID; a random one unless set.
    pub id: Option<LvmId>,
    /// The size of its metadata area, rounded up to where the data area begins; 16 MiB unless set,
    /// which hold about 20,000 volumes; lvm2's own 1 MiB about 1,100. It can't be changed later.
    pub metadata_size: Option<Bytes>,
    /// Where everything lies, as a plan has it: then [`Self::metadata_size`] does not count.
    pub layout: Option<PvLayout>,
    /// Names of signatures that may be destroyed, as [`Signature::name`] has them.
    pub destroy: Vec<String>,
}

impl PvOptions {
    /// Sets the UUID.
    #[must_use]
    pub const fn with_id(mut self, id: LvmId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the size of the metadata area.
    #[must_use]
    pub const fn with_metadata_size(mut self, size: Bytes) -> Self {
        self.metadata_size = Some(size);
        self
    }

    /// Sets where everything lies: one or two metadata areas, or none.
    #[must_use]
    pub fn with_layout(mut self, layout: PvLayout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Lets signatures of this name be destroyed.
    #[must_use]
    pub fn destroying(mut self, name: &str) -> Self {
        self.destroy.push(name.to_owned());
        self
    }
}

/// A physical volume among the devices of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PvView {
    /// Its device.
    pub path: PathBuf,
    /// Its UUID.
    pub id: LvmId,
    /// The size of the device now.
    pub device_size: Bytes,
    /// Where its first extent begins.
    pub data_start: Bytes,
    /// Sizes of its metadata areas.
    pub areas: Vec<Bytes>,
    /// The same areas with their places.
    pub area_places: Vec<DiskArea>,
    /// The group it belongs to, where that is on the devices.
    pub group: Option<String>,
    /// Why it can't join a group; `None` if it can.
    pub taken: Option<String>,
}

impl Session {
    /// The physical volumes on the devices.
    ///
    /// # Errors
    /// `Busy` if the locks are held beyond the deadline, `Io`.
    pub fn physical_volumes(&self) -> Result<Vec<PvView>> {
        let lock = self.locks.global(LockMode::Shared)?;
        let observed = self.observe();
        lock.release(&self.host);
        let views = observed.members().filter_map(|member| {
            let device = self.devices.get(member.device)?;
            let header = &member.label.header;
            Some(PvView {
                path: device.path.clone(),
                id: header.id,
                device_size: Bytes::new(device.size()),
                data_start: Bytes::new(header.data_start().unwrap_or(0)),
                areas: member.areas.iter().map(|area| Bytes::new(area.size)).collect(),
                area_places: header.metadata_areas.clone(),
                group: observed.owner(&header.id),
                taken: taken(&observed, member),
            })
        });
        Ok(views.collect())
    }

    /// Makes a device of the session a physical volume that belongs to no group.
    ///
    /// The metadata area is made first and the label last: cut off in between, the device is none.
    ///
    /// # Errors
    /// `Refused` if it holds a signature that may not be destroyed, or lvm2 uses a devices file;
    /// `Busy` if it is in use; `Conflict` if it has another size than a layout says, or is a
    /// physical volume with other metadata areas than were asked for;
    /// `InvalidArgument` if it is no device of this session or too small.
    ///
    /// # Idempotency
    /// A device with this UUID, or any if none was asked for, that is free stays as it is.
    pub fn create_pv(&self, path: &Path, options: &PvOptions) -> Result<LvmId> {
        let global = self.take_global(path)?;
        let answer = self.create_pv_locked(path, options);
        global.release(&self.host);
        answer
    }

    fn create_pv_locked(&self, path: &Path, options: &PvOptions) -> Result<LvmId> {
        let (index, device) = self.device_at(path)?;
        let observed = self.observe();
        if let Some(member) = observed.members().find(|member| member.device == index) {
            let own = member.label.header.id;
            let refuse = |message: String| {
                Err(Error::new(ErrorKind::Refused, Op::EnsurePool, device.subject(), message)
                    .with_remedy("take it out of its group, or remove the physical volume first"))
            };
            return match taken(&observed, member) {
                Some(why) => refuse(format!("it is a physical volume and {why}")),
                None if options.id.is_none_or(|id| id == own) => {
                    self.require_areas(device, &member.label.header, options)?;
                    self.claim_free(index).map(|_| own)
                }
                None => refuse(format!("it is the physical volume {own}")),
            };
        }
        let id = match options.id {
            Some(id) => id,
            None => {
                let mut random = [0; 32];
                self.host.entropy.fill(&mut random)?;
                LvmId::from_random(random)
            }
        };
        if observed.members().any(|member| member.label.header.id == id) {
            let message = format!("another device is the physical volume {id}");
            return Err(Error::new(ErrorKind::Conflict, Op::EnsurePool, device.subject(), message));
        }
        let header = match &options.layout {
            Some(layout) => planned(device, id, layout)?,
            None => self.layout(device, id, options.metadata_size.unwrap_or(USUAL_AREA))?,
        };
        let claim = self.wipe(device, &options.destroy)?;
        let void = hints::void(&self.host, &self.settings)?;
        let before = |step| self.host.checkpoints.before(Op::WriteDevice, &device.subject(), step);
        for area in &header.metadata_areas {
            let mut first = MdaHeader::empty(area.offset, area.size).encode().to_vec();
            // What a former area left must not be taken for a text.
            first.resize(usize::try_from(AREA_START).unwrap_or(SECTOR), 0);
            before("write an empty metadata area")?;
            device.write(area.offset, &first)?;
        }
        before("clear the sectors of labels")?;
        device.write(0, &[0; 4 * SECTOR])?;
        before("flush the metadata area")?;
        device.flush()?;
        self.write_label(index, &Label { sector: 1, header }, "write the label")?;
        void.renew(&self.host, &self.settings)?;
        drop(claim);
        Ok(id)
    }

    /// Makes a physical volume that belongs to no group a blank device: its label is cleared.
    ///
    /// # Errors
    /// `Refused` if it belongs to a group, `Busy` if it is in use, `InvalidArgument`, `Io`.
    ///
    /// # Idempotency
    /// A device that is no physical volume stays as it is.
    pub fn remove_pv(&self, path: &Path) -> Result<()> {
        let global = self.take_global(path)?;
        let answer = self.remove_pv_locked(path);
        global.release(&self.host);
        answer
    }

    /// Lets the label of a physical volume that belongs to no group say how large its device is
    /// now. One of a group is resized with the group:
    /// [`ResizePhysical`](crate::plan::Operation::ResizePhysical) and [`Self::change_members`].
    ///
    /// # Errors
    /// `NotFound` if the device is no physical volume, `Refused` if it belongs to a group, or if
    /// the device no longer holds what is on it; `InvalidArgument`, `Io`.
    ///
    /// # Idempotency
    /// A label that says so already is not written.
    pub fn resize_pv(&self, path: &Path) -> Result<Bytes> {
        let global = self.take_global(path)?;
        let answer = self.resize_pv_locked(path);
        global.release(&self.host);
        answer
    }

    fn resize_pv_locked(&self, path: &Path) -> Result<Bytes> {
        let (index, device) = self.device_at(path)?;
        let observed = self.observe();
        let refuse = |kind, message: String, remedy: &'static str| {
            Err(Error::new(kind, Op::EnsurePool, device.subject(), message).with_remedy(remedy))
        };
        let Some(member) = observed.members().find(|member| member.device == index) else {
            let message = "it is no physical volume".to_owned();
            return refuse(ErrorKind::NotFound, message, "make it one first");
        };
        self.require_free(device, taken(&observed, member))?;
        let header = &member.label.header;
        let ends = header.metadata_areas.iter().map(|area| area.offset.saturating_add(area.size));
        let needed = ends.chain(header.data_start()).max().unwrap_or(0);
        if needed > device.size() {
            let message = format!("its areas reach to byte {needed} of {}", device.size());
            return refuse(ErrorKind::Refused, message, "let the device have its size again");
        }
        if header.device_size != device.size() {
            let void = hints::void(&self.host, &self.settings)?;
            let mut label = member.label.clone();
            label.header.device_size = device.size();
            self.write_label(index, &label, "write the new size")?;
            void.renew(&self.host, &self.settings)?;
        }
        Ok(Bytes::new(device.size()))
    }

    fn remove_pv_locked(&self, path: &Path) -> Result<()> {
        let (index, device) = self.device_at(path)?;
        let observed = self.observe();
        let Some(member) = observed.members().find(|member| member.device == index) else {
            return Ok(());
        };
        self.require_free(device, taken(&observed, member))?;
        let is_ours = |signature: &Signature| signature.name == LVM_SIGNATURE;
        let proof = self.prove(device, &is_ours)?;
        let claim = proof.claim(self.seam.as_ref())?;
        let void = hints::void(&self.host, &self.settings)?;
        let sector = u64::try_from(SECTOR).unwrap_or(512);
        self.host.checkpoints.before(Op::WriteDevice, &device.subject(), "clear the label")?;
        device.write(member.label.sector.saturating_mul(sector), &[0; SECTOR])?;
        self.host.checkpoints.before(Op::WriteDevice, &device.subject(), "flush it")?;
        device.flush()?;
        drop(claim);
        void.renew(&self.host, &self.settings)
    }

    /// Proves that a free physical volume holds nothing but its label and that nobody uses it;
    /// answers the claim on its device, to be held while it joins a group.
    ///
    /// # Errors
    /// `Refused` naming another signature, `Busy` if it is in use.
    pub(super) fn claim_free(
        &self,
        index: usize,
    ) -> Result<Option<Box<dyn open_local_core::host::BlockIo>>> {
        let Some(device) = self.devices.get(index) else {
            return Ok(None);
        };
        let is_ours = |signature: &Signature| signature.name == LVM_SIGNATURE;
        self.prove(device, &is_ours)?.claim(self.seam.as_ref()).map(Some)
    }

    /// A mark without a text, which is what a cut call leaves, is judged by [`taken`].
    fn require_free(&self, device: &Device, taken: Option<String>) -> Result<()> {
        match taken {
            None => Ok(()),
            Some(why) => {
                let message = format!("the physical volume {why}");
                Err(Error::new(ErrorKind::Refused, Op::RemovePool, device.subject(), message)
                    .with_remedy("take it out of its group first"))
            }
        }
    }

    fn take_global(&self, path: &Path) -> Result<HeldLock> {
        self.require_writable(&path.display().to_string())?;
        refusal::refuse_devices_file(&self.settings)?;
        self.locks.global(LockMode::Exclusive)
    }

    fn device_at(&self, path: &Path) -> Result<(usize, &Device)> {
        let mut devices = self.devices.iter().enumerate();
        devices.find(|(_, device)| device.path == path).ok_or_else(|| {
            let message = "it is not one of the devices of this session";
            Error::new(ErrorKind::InvalidArgument, Op::EnsurePool, Subject::device(path), message)
        })
    }

    fn prove(
        &self,
        device: &Device,
        allowed: &dyn Fn(&Signature) -> bool,
    ) -> Result<open_local_core::raw::DeviceProof> {
        let table = self.host.roots.proc.join("self/mountinfo");
        let mounts = read_small(self.host.files.as_ref(), &table, MAX_TABLE).map_err(|e| {
            Error::from_io(Op::Prove, Subject::path(&table), "can't read the mount table", e)
        })?;
        let mounts = parse_mountinfo(&mounts)?;
        let devices = self.seam.as_ref();
        prove_writable(&self.host, devices, &mounts, &device.path, device.number, allowed)
    }

    /// Destroys the signatures that may be destroyed; answers the claim on the device.
    fn wipe(
        &self,
        device: &Device,
        destroy: &[String],
    ) -> Result<Box<dyn open_local_core::host::BlockIo>> {
        let allowed = |signature: &Signature| destroy.iter().any(|name| name == signature.name);
        for _ in 0..MAX_WIPES {
            let proof = self.prove(device, &allowed)?;
            let claim = proof.claim(self.seam.as_ref())?;
            if proof.report().signatures.is_empty() {
                return Ok(claim);
            }
            for signature in &proof.report().signatures {
                let step = "destroy a signature that was named";
                self.host.checkpoints.before(Op::WriteDevice, &device.subject(), step)?;
                let start = signature.offset - signature.offset % 512;
                device.write(start, &[0; SECTOR])?;
            }
            self.host.checkpoints.before(Op::WriteDevice, &device.subject(), "flush that")?;
            device.flush()?;
        }
        let message = "it shows signatures whatever is wiped";
        Err(Error::new(ErrorKind::Refused, Op::EnsurePool, device.subject(), message)
            .with_remedy("wipe it with wipefs --all and look at what is left"))
    }

    /// Refuses a physical volume whose metadata areas are not those that were asked for: they
    /// can't be made larger later.
    fn require_areas(&self, device: &Device, there: &PvHeader, options: &PvOptions) -> Result<()> {
        let wanted = match (&options.layout, options.metadata_size) {
            (Some(layout), _) => layout.metadata_areas.clone(),
            (None, Some(size)) => self.layout(device, there.id, size)?.metadata_areas,
            (None, None) => return Ok(()),
        };
        if wanted == there.metadata_areas {
            return Ok(());
        }
        let sizes = |areas: &[DiskArea]| match areas {
            [] => "no metadata area".to_owned(),
            areas => {
                let sizes = areas.iter().map(|area| Bytes::new(area.size).to_string());
                format!("a metadata area of {}", sizes.collect::<Vec<_>>().join(" and one of "))
            }
        };
        let (has, asked) = (sizes(&there.metadata_areas), sizes(&wanted));
        let message = format!("it is a physical volume with {has}, and {asked} was asked for");
        Err(Error::new(ErrorKind::Conflict, Op::EnsurePool, device.subject(), message)
            .with_remedy("take it as it is, or remove the physical volume and make it anew"))
    }

    fn layout(&self, device: &Device, id: LvmId, metadata_size: Bytes) -> Result<PvHeader> {
        let alignment = self.alignment(device);
        let wanted = metadata_size.get().max(MIN_AREA);
        let data =
            AREA_START.checked_add(wanted).and_then(|e| e.checked_next_multiple_of(alignment));
        let data = data.filter(|data| data.saturating_add(alignment) <= device.size());
        let Some(data) = data else {
            let message = format!(
                "{} are too few for a metadata area of {metadata_size} and data",
                Bytes::new(device.size())
            );
            let subject = device.subject();
            return Err(Error::new(ErrorKind::InvalidArgument, Op::EnsurePool, subject, message)
                .with_remedy("take a larger device or a smaller metadata area"));
        };
        Ok(PvHeader {
            id,
            device_size: device.size(),
            data_areas: vec![DiskArea { offset: data, size: 0 }],
            metadata_areas: vec![DiskArea {
                offset: AREA_START,
                size: data.saturating_sub(AREA_START),
            }],
            extension: Some(Extension {
                version: EXTENSION_VERSION,
                flags: 0,
                bootloader_areas: Vec::new(),
            }),
        })
    }

    /// 1 MiB, or a multiple of what the device says it likes (`minimum_io_size`,
    /// `optimal_io_size`).
    fn alignment(&self, device: &Device) -> u64 {
        let folder = self.host.roots.sys.join(format!("dev/block/{}", device.number));
        let attribute = |name: &str| {
            let paths = ["queue", "../queue"].map(|queue| folder.join(queue).join(name));
            let read = |path: &PathBuf| read_small(self.host.files.as_ref(), path, 64).ok();
            let text = paths.iter().find_map(read)?;
            std::str::from_utf8(&text).ok()?.trim().parse::<u64>().ok()
        };
        let likes = ["minimum_io_size", "optimal_io_size"].into_iter().filter_map(attribute).max();
        let likes = likes.filter(|likes| *likes > 0).unwrap_or(1);
        let multiple = ALIGNMENT.checked_next_multiple_of(likes).unwrap_or(ALIGNMENT);
        if multiple <= MAX_ALIGNMENT && multiple % 512 == 0 { multiple } else { ALIGNMENT }
    }
}

/// The header that a layout says, without the mark of belonging to a group.
fn planned(device: &Device, id: LvmId, layout: &PvLayout) -> Result<PvHeader> {
    if layout.device_size.get() != device.size() {
        let message = format!(
            "it has {} now, and was laid out for {}",
            Bytes::new(device.size()),
            layout.device_size
        );
        return Err(Error::new(ErrorKind::Conflict, Op::EnsurePool, device.subject(), message)
            .with_remedy("plan again"));
    }
    let mut header = layout.header(id);
    if let Some(extension) = &mut header.extension {
        extension.flags = 0;
    }
    Ok(header)
}

/// What core's probe calls a physical volume.
const LVM_SIGNATURE: &str = "LVM2 physical volume";
