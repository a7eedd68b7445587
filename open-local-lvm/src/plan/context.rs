//! What a plan needs beside the group.

use open_local_core::host::Entropy;
use open_local_core::{Error, ErrorKind, Op, Subject};

use crate::format::group::VolumeGroup;
use crate::format::id::{ID_LEN, LvmId};

/// How often a UUID is drawn again that is taken already.
const DRAWS: usize = 16;

/// Who plans, when, and with which random bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Name of the host, recorded in the text and in new volumes.
    pub host: &'a str,
    /// Seconds since 1970, recorded likewise.
    pub time: i64,
    /// What is being done, recorded in the text for people.
    pub description: &'a str,
    /// The system id of this host, if it has one: a group with another one is foreign.
    pub system_id: Option<&'a str>,
    /// Where new UUIDs come from.
    pub entropy: &'a dyn Entropy,
}

impl Context<'_> {
    /// A UUID that nothing in the group has.
    ///
    /// # Errors
    /// Those of the source; `Corrupt` if it returns the same bytes over and over.
    pub(super) fn new_id(&self, group: Option<&VolumeGroup>) -> Result<LvmId, Error> {
        let is_taken = |id: LvmId| {
            group.is_some_and(|group| {
                group.id == id
                    || group.physical_by_id(&id).is_some()
                    || group.logical_volumes.iter().any(|lv| lv.id == id)
            })
        };
        for _ in 0..DRAWS {
            let mut random = [0u8; ID_LEN];
            self.entropy.fill(&mut random)?;
            let id = LvmId::from_random(random);
            if !is_taken(id) {
                return Ok(id);
            }
        }
        let message = "the source of random bytes repeats itself";
        Err(Error::new(ErrorKind::Corrupt, Op::PlanChange, Subject::Host, message))
    }
}
