//! Tags of volumes and of the group.

use open_local_core::{Error, ErrorKind};

use super::draft::{Draft, about};
use super::guards;
use super::operation::TagChange;
use super::step::Step;
use crate::format::names::check_tag;

/// Tags in their order, each once.
///
/// # Errors
/// `InvalidArgument` for one that lvm2 refuses.
pub(super) fn checked_tags(tags: &[String]) -> Result<Vec<String>, Error> {
    let mut checked: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags {
        check_tag(tag)?;
        if !checked.contains(tag) {
            checked.push(tag.clone());
        }
    }
    Ok(checked)
}

/// Changes tags and returns those that were really added and removed.
fn change(
    tags: &mut Vec<String>,
    change: &TagChange,
    subject: &str,
) -> Result<(Vec<String>, Vec<String>), Error> {
    if let Some(tag) = change.add.iter().find(|tag| change.remove.contains(tag)) {
        let message = format!("tag {tag} is to be added and to be removed");
        return Err(about(ErrorKind::InvalidArgument, subject, message));
    }
    let mut added = checked_tags(&change.add)?;
    added.retain(|tag| !tags.contains(tag));
    let removed = tags.iter().filter(|tag| change.remove.contains(tag)).cloned().collect();
    tags.retain(|tag| !change.remove.contains(tag));
    tags.extend(added.iter().cloned());
    Ok((added, removed))
}

impl Draft<'_> {
    pub(super) fn tag_volume(&mut self, name: &str, tags: &TagChange) -> Result<(), Error> {
        guards::public(&self.group, name)?;
        let lv = self.volume_mut(name)?;
        let (added, removed) = change(&mut lv.tags, tags, name)?;
        let id = lv.id;
        if !added.is_empty() || !removed.is_empty() {
            self.steps.push(Step::TagVolume { name: name.to_owned(), id, added, removed });
        }
        Ok(())
    }

    pub(super) fn tag_group(&mut self, tags: &TagChange) -> Result<(), Error> {
        let (added, removed) = change(&mut self.group.tags, tags, &self.group.name)?;
        if !added.is_empty() || !removed.is_empty() {
            self.steps.push(Step::TagGroup { added, removed });
        }
        Ok(())
    }
}
