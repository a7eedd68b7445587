//! Making and removing volumes.

use open_local_core::{Error, ErrorKind, Extents, Sectors};

use super::draft::{Draft, about, placed};
use super::guards;
use super::operation::NewVolume;
use super::segments::append;
use super::sizes::{policy, rounded, stripe_size};
use super::step::Step;
use super::tags::checked_tags;
use super::thin::{is_pool, thin_of};
use crate::alloc::{Policy, Request};
use crate::format::group::{AllocationPolicy, LogicalVolume, SegmentKind, Words, status};
use crate::format::names::check_new_volume_name;
use crate::format::text::Value;

/// What a new volume is before it has segments.
#[derive(Debug)]
pub(super) struct Blank<'a> {
    pub(super) name: &'a str,
    pub(super) writable: bool,
    pub(super) visible: bool,
    /// Where extents may lie, to be recorded.
    pub(super) policy: Option<Policy>,
    pub(super) tags: Vec<String>,
}

impl Draft<'_> {
    pub(super) fn create_volume(&mut self, new: &NewVolume) -> Result<(), Error> {
        check_new_volume_name(&new.name)?;
        guards::device_name(&self.group.name, &new.name)?;
        let tags = checked_tags(&new.tags)?;
        let wanted = new.size.extents(&self.group, &new.name)?;
        let extents = rounded(wanted, new.stripes, &new.name)?;
        let stripe_size = stripe_size(&self.group, new.stripes, new.stripe_size, &new.name)?;
        if let Some(lv) = self.group.logical(&new.name) {
            return alike(lv, new, extents, stripe_size);
        }
        if guards::is_taken(&self.group, &new.name) {
            let message = "the group remembers a removed volume of this name";
            return Err(about(ErrorKind::Conflict, &new.name, message));
        }
        self.room_for_one_more(&new.name)?;
        let request = Request {
            extents,
            stripes: new.stripes,
            policy: policy(&self.group, None, new.policy)?,
            choice: new.choice.clone(),
            tail: None,
        };
        let placements = placed(&self.group, &new.name, &request)?;
        let blank = Blank {
            name: &new.name,
            writable: !new.read_only,
            visible: true,
            policy: new.policy,
            tags,
        };
        let mut lv = self.blank(blank)?;
        append(&self.group, &mut lv, &placements, stripe_size)?;
        if wanted != extents {
            let message =
                format!("{}: rounded up to {extents} for {} stripes", new.name, new.stripes);
            self.warnings.push(message);
        }
        let on = self.runs(&placements);
        self.steps.push(Step::CreateVolume { name: new.name.clone(), id: lv.id, extents, on });
        self.insert(lv);
        Ok(())
    }

    /// Refuses a volume more than the group allows itself.
    ///
    /// # Errors
    /// `OutOfSpace`.
    pub(super) fn room_for_one_more(&self, name: &str) -> Result<(), Error> {
        let visible = self.group.logical_volumes.iter().filter(|lv| lv.is_visible()).count();
        let most = self.group.max_lv;
        if most != 0 && u64::try_from(visible).is_ok_and(|count| count >= u64::from(most)) {
            let message = format!("the group is limited to {most} volumes and has {visible}");
            return Err(about(ErrorKind::OutOfSpace, name, message)
                .with_remedy("see vgchange --maxlogicalvolumes"));
        }
        Ok(())
    }

    /// A volume without segments and with a new UUID.
    pub(super) fn blank(&self, blank: Blank<'_>) -> Result<LogicalVolume, Error> {
        let words = [
            Some(status::READ),
            blank.writable.then_some(status::WRITE),
            blank.visible.then_some(status::VISIBLE),
        ];
        Ok(LogicalVolume {
            name: blank.name.to_owned(),
            id: self.context.new_id(Some(&self.group))?,
            status: Words::new(words.into_iter().flatten()),
            flags: Words::default(),
            tags: blank.tags,
            creation_time: Some(self.context.time),
            creation_host: Some(Value::from(self.context.host)),
            lock_args: None,
            allocation_policy: blank.policy.map(recorded),
            profile: None,
            read_ahead: None,
            major: None,
            minor: None,
            segments: Vec::new(),
            unknown: Vec::new(),
        })
    }

    /// Adds a volume; lvm2 writes visible ones before hidden ones.
    pub(super) fn insert(&mut self, lv: LogicalVolume) {
        let volumes = &mut self.group.logical_volumes;
        let hidden = volumes.iter().position(|lv| !lv.is_visible());
        let at = hidden.filter(|_| lv.is_visible()).unwrap_or(volumes.len());
        volumes.insert(at, lv);
    }

    pub(super) fn remove_volume(&mut self, name: &str) -> Result<(), Error> {
        let Some(lv) = self.group.logical(name) else {
            return Ok(());
        };
        if thin_of(lv).is_some() {
            return self.remove_thin(name);
        }
        if is_pool(lv) {
            return self.remove_pool(name);
        }
        let lv = guards::plain(&self.group, name)?;
        let extents = lv.extents().unwrap_or(Extents::MAX);
        let step = Step::RemoveVolume { name: name.to_owned(), id: lv.id, extents };
        self.steps.push(step);
        self.group.logical_volumes.retain(|lv| lv.name != name);
        Ok(())
    }
}

fn recorded(policy: Policy) -> AllocationPolicy {
    match policy {
        Policy::Contiguous => AllocationPolicy::Contiguous,
        Policy::Cling => AllocationPolicy::Cling,
        Policy::Normal => AllocationPolicy::Normal,
    }
}

/// A volume of the name is there: nothing to do if it is like the one asked for.
fn alike(
    lv: &LogicalVolume,
    new: &NewVolume,
    extents: Extents,
    stripe_size: Option<Sectors>,
) -> Result<(), Error> {
    let differs = |field: &str, is: String, asked: String| {
        let message = format!("exists with another {field}: {is}, asked {asked}");
        Err(about(ErrorKind::Conflict, &new.name, message))
    };
    let Some(SegmentKind::Striped(first)) = lv.segments.first().map(|segment| &segment.kind) else {
        let kind = lv.segments.first().map(|segment| segment.segment_type.to_string());
        return differs("type", kind.unwrap_or_default(), "striped".to_owned());
    };
    if !lv.is_visible() {
        return differs("visibility", "hidden".to_owned(), "visible".to_owned());
    }
    if lv.extents() != Some(extents) {
        let is = lv.extents().unwrap_or(Extents::MAX);
        return differs("size", is.to_string(), extents.to_string());
    }
    let stripes = u32::try_from(first.areas.len()).unwrap_or(u32::MAX);
    if stripes != new.stripes {
        return differs("number of stripes", stripes.to_string(), new.stripes.to_string());
    }
    if stripes > 1 && first.stripe_size != stripe_size {
        let shown = |size: Option<Sectors>| size.unwrap_or(Sectors::ZERO).to_string();
        return differs("stripe size", shown(first.stripe_size), shown(stripe_size));
    }
    if lv.is_writable() == new.read_only {
        let shown = |writable| if writable { "writable" } else { "read-only" }.to_owned();
        return differs("access", shown(lv.is_writable()), shown(!new.read_only));
    }
    let missing = new.tags.iter().find(|tag| !lv.tags.contains(tag));
    match missing {
        Some(tag) => differs("set of tags", "without it".to_owned(), tag.clone()),
        None => Ok(()),
    }
}
