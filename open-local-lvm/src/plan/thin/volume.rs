//! New thin volumes, snapshots and clones.

use open_local_core::{Error, ErrorKind, Extents};

use super::device_id;
use super::grow::virtual_size;
use super::messages::pool;
use super::part::{source, thin_of};
use super::spec::{NewThin, ThinSource};
use crate::format::group::{LogicalVolume, Segment, ThinMessage, ThinSegment, flag};
use crate::format::names::check_new_volume_name;
use crate::plan::create::Blank;
use crate::plan::draft::{Draft, about};
use crate::plan::guards;
use crate::plan::step::Step;
use crate::plan::tags::checked_tags;

/// What a new volume is made from, looked up.
struct From {
    pool: String,
    extents: Extents,
    origin: Option<String>,
}

impl Draft<'_> {
    pub(in crate::plan) fn create_thin(&mut self, new: &NewThin) -> Result<(), Error> {
        let name = &new.name;
        check_new_volume_name(name)?;
        guards::device_name(&self.group.name, name)?;
        let tags = checked_tags(&new.tags)?;
        if let Some(lv) = self.group.logical(name) {
            return self.alike_thin(lv, new);
        }
        if guards::is_taken(&self.group, name) {
            let message = "the group remembers a removed volume of this name";
            return Err(about(ErrorKind::Conflict, name, message));
        }
        let From { pool: pool_name, extents, origin } = self.looked_up(new)?;
        self.room_for_one_more(name)?;
        let transaction_id = self.begin(&pool_name)?;
        let device_id = device_id::next(&self.group, &pool_name, pool(&self.group, &pool_name)?.1)?;
        let writable = !new.read_only;
        let mut lv = self.blank(Blank { name, writable, visible: true, policy: None, tags })?;
        if !new.auto_activation {
            lv.flags.add(flag::NOAUTOACTIVATE);
        }
        if new.skip_activation {
            lv.flags.add(flag::ACTIVATION_SKIP);
        }
        let segment = ThinSegment {
            thin_pool: pool_name.clone(),
            transaction_id,
            device_id,
            origin: origin.clone(),
            external_origin: None,
            merge: None,
        };
        lv.segments.push(Segment::thin(extents, segment));
        self.steps.push(Step::CreateThin {
            name: name.clone(),
            id: lv.id,
            pool: pool_name.clone(),
            device: device_id,
            extents,
            origin,
        });
        self.insert(lv);
        self.message(&pool_name, ThinMessage::Create { lv: name.clone() })
    }

    fn looked_up(&self, new: &NewThin) -> Result<From, Error> {
        match &new.source {
            ThinSource::Empty { pool: name, size } => {
                pool(&self.group, name)?;
                let extents = size.extents(&self.group, &new.name)?;
                virtual_size(&self.group, &new.name, extents)?;
                Ok(From { pool: name.clone(), extents, origin: None })
            }
            ThinSource::CopyOf { volume, size } => {
                let (lv, own) = source(&self.group, volume)?;
                let least = lv.extents().unwrap_or(Extents::MAX);
                let asked = size.map(|size| size.extents(&self.group, &new.name)).transpose()?;
                let extents = asked.unwrap_or(least);
                if extents < least {
                    let message = format!(
                        "{extents} asked for a copy of {volume}, which has {}",
                        least.get()
                    );
                    return Err(about(ErrorKind::InvalidArgument, &new.name, message)
                        .with_remedy("ask for as much or more"));
                }
                virtual_size(&self.group, &new.name, extents)?;
                let (pool, origin) = (own.thin_pool.clone(), Some(volume.clone()));
                Ok(From { pool, extents, origin })
            }
        }
    }

    /// A volume of the name is there: nothing to do if it is like the one asked for.
    ///
    /// What it was made from is compared while the group knows it: an origin that was removed, or
    /// rolled back, is forgotten.
    fn alike_thin(&self, lv: &LogicalVolume, new: &NewThin) -> Result<(), Error> {
        let differs = |field: &str, is: String, asked: String| {
            let message = format!("exists with another {field}: {is}, asked {asked}");
            Err(about(ErrorKind::Conflict, &new.name, message))
        };
        let Some(own) = thin_of(lv) else {
            let kind = lv.segments.first().map(|segment| segment.segment_type.to_string());
            return differs("type", kind.unwrap_or_default(), "thin".to_owned());
        };
        let size = match &new.source {
            ThinSource::Empty { pool, size } => {
                if own.thin_pool != *pool {
                    return differs("pool", own.thin_pool.clone(), pool.clone());
                }
                Some(*size)
            }
            ThinSource::CopyOf { volume, size } => {
                if let Some(is) = own.origin.as_ref().filter(|is| *is != volume) {
                    return differs("origin", is.clone(), volume.clone());
                }
                *size
            }
        };
        let extents = lv.extents().unwrap_or(Extents::MAX);
        if let Some(size) = size {
            let asked = size.extents(&self.group, &new.name)?;
            if asked != extents {
                return differs("size", extents.to_string(), asked.to_string());
            }
        }
        if lv.is_writable() == new.read_only {
            let shown = |writable| if writable { "writable" } else { "read-only" }.to_owned();
            return differs("access", shown(lv.is_writable()), shown(!new.read_only));
        }
        match new.tags.iter().find(|tag| !lv.tags.contains(tag)) {
            Some(tag) => differs("set of tags", "without it".to_owned(), tag.clone()),
            None => Ok(()),
        }
    }
}
