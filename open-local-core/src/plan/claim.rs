//! What a pod asks for.

use super::media::Media;
use super::name::{ClaimUid, Name};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::spec::Provisioning;
use crate::units::Bytes;

/// Most claims of one pod.
pub const MAX_CLAIMS: usize = 64;

/// The kind of thing that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A volume out of a pool.
    Volume(Provisioning),
    /// A whole device.
    Device,
    /// A whole mount point.
    MountPoint,
    /// Something that is there already and takes no room, such as a read-only snapshot.
    Reference,
}

/// One claim of a pod. Checked by [`Pod::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub(super) uid: ClaimUid,
    pub(super) kind: Kind,
    pub(super) size: Bytes,
    pub(super) from: Bytes,
    pub(super) limit: Option<Bytes>,
    pub(super) pool: Option<Name>,
    pub(super) media: Media,
    pub(super) node: Option<Name>,
    pub(super) inline: bool,
}

impl Claim {
    const fn new(uid: ClaimUid, kind: Kind, size: Bytes) -> Self {
        Self {
            uid,
            kind,
            size,
            from: Bytes::ZERO,
            limit: None,
            pool: None,
            media: Media::Unspecified,
            node: None,
            inline: false,
        }
    }

    /// A volume whose room is taken at once.
    #[must_use]
    pub const fn thick(uid: ClaimUid, size: Bytes) -> Self {
        Self::new(uid, Kind::Volume(Provisioning::Thick), size)
    }

    /// A volume whose room is promised.
    #[must_use]
    pub const fn thin(uid: ClaimUid, size: Bytes) -> Self {
        Self::new(uid, Kind::Volume(Provisioning::Thin), size)
    }

    /// A whole device of at least this size.
    #[must_use]
    pub const fn device(uid: ClaimUid, size: Bytes) -> Self {
        Self::new(uid, Kind::Device, size)
    }

    /// A whole mount point of at least this size.
    #[must_use]
    pub const fn mount_point(uid: ClaimUid, size: Bytes) -> Self {
        Self::new(uid, Kind::MountPoint, size)
    }

    /// Something on this node that takes no room of its own, such as a read-only snapshot.
    #[must_use]
    pub fn reference(uid: ClaimUid, node: Name) -> Self {
        Self::new(uid, Kind::Reference, Bytes::ZERO).on_node(node)
    }

    /// A volume that is in this pool of this node and should grow from `from` to `to`.
    #[must_use]
    pub fn expansion(
        uid: ClaimUid,
        (node, pool): (Name, Name),
        provisioning: Provisioning,
        (from, to): (Bytes, Bytes),
    ) -> Self {
        let mut claim = Self::new(uid, Kind::Volume(provisioning), to);
        claim.from = from;
        claim.in_pool(pool).on_node(node)
    }

    /// Names the pool it must come from.
    #[must_use]
    pub fn in_pool(mut self, pool: Name) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Names the medium it must be on.
    #[must_use]
    pub const fn on_media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Names the node it must be on, as the restore of a snapshot of that node must.
    #[must_use]
    pub fn on_node(mut self, node: Name) -> Self {
        self.node = Some(node);
        self
    }

    /// Sets the largest device or mount point that is acceptable.
    #[must_use]
    pub const fn with_limit(mut self, limit: Bytes) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Says that the volume is written into the pod and lives as long as the pod. It is judged
    /// like any other; only the score that imitates the original counts it apart.
    #[must_use]
    pub const fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    /// The same claim under another identity.
    #[must_use]
    pub fn with_uid(mut self, uid: ClaimUid) -> Self {
        self.uid = uid;
        self
    }

    /// Its identity.
    #[must_use]
    pub const fn uid(&self) -> &ClaimUid {
        &self.uid
    }

    /// The kind of thing it asks for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The size it asks for.
    #[must_use]
    pub const fn size(&self) -> Bytes {
        self.size
    }

    fn complaint(&self) -> Option<(&'static str, &'static str)> {
        let whole = matches!(self.kind, Kind::Device | Kind::MountPoint);
        let volume = matches!(self.kind, Kind::Volume(_));
        if self.kind != Kind::Reference && self.size.is_zero() {
            return Some(("the size is 0", "ask for at least one byte"));
        }
        // The kernel counts device sizes in a signed 64-bit number (`loff_t`, Linux 6.18).
        if i64::try_from(self.size.get()).is_err() {
            return Some(("the size is larger than any block device", "ask for less than 8EiB"));
        }
        if self.from > self.size {
            return Some(("a volume can't shrink", "ask for at least the present size"));
        }
        if self.limit.is_some_and(|limit| !whole || limit < self.size) {
            return Some((
                "a limit is for a whole device or mount point and not below the size",
                "leave the limit out",
            ));
        }
        if self.pool.is_some() && !volume {
            return Some(("only a volume comes from a pool", "leave the pool out"));
        }
        (self.inline && !volume).then_some(("only a volume can be inline", "use a claim"))
    }
}

/// All claims of a pod that are not bound yet, checked and in the order they are judged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Volumes with a named pool, by pool; the largest first.
    pub(super) named: Box<[Claim]>,
    /// Volumes without one, the largest first.
    pub(super) free: Box<[Claim]>,
    /// Whole devices, the largest first.
    pub(super) devices: Box<[Claim]>,
    /// Whole mount points, the largest first.
    pub(super) mount_points: Box<[Claim]>,
    pub(super) references: Box<[Claim]>,
    /// Nodes that claims are pinned to. More than one: the pod fits nowhere.
    pub(super) pins: Box<[Name]>,
}

impl Pod {
    /// Checks the claims. Their order makes no difference to any answer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for more than [`MAX_CLAIMS`], two of one identity, a size of
    /// 0 or of 8 EiB and more, a shrinking expansion, and words that do not go with the kind.
    pub fn new(claims: impl IntoIterator<Item = Claim>) -> Result<Self> {
        let mut claims: Vec<Claim> = claims.into_iter().take(MAX_CLAIMS + 1).collect();
        let refuse = |uid: &ClaimUid, message: String, remedy: &str| {
            let subject = Subject::value(uid.as_str());
            Error::new(ErrorKind::InvalidArgument, Op::PlanChange, subject, message)
                .with_remedy(remedy)
        };
        if let Some(extra) = claims.get(MAX_CLAIMS) {
            let message = format!("a pod may have {MAX_CLAIMS} claims, and this is one more");
            return Err(refuse(&extra.uid, message, "use several pods"));
        }
        claims.sort_by(|a, b| a.uid.cmp(&b.uid));
        let mut last: Option<&Claim> = None;
        for claim in &claims {
            if let Some((complaint, remedy)) = claim.complaint() {
                return Err(refuse(&claim.uid, complaint.into(), remedy));
            }
            if last.is_some_and(|last| last.uid == claim.uid) {
                return Err(refuse(
                    &claim.uid,
                    "two claims have this identity".into(),
                    "name each claim once",
                ));
            }
            last = Some(claim);
        }
        let mut pins: Vec<Name> = claims.iter().filter_map(|c| c.node.clone()).collect();
        pins.sort();
        pins.dedup();
        claims.sort_by(|a, b| (&a.pool, b.size, &a.uid).cmp(&(&b.pool, a.size, &b.uid)));
        let some = |wanted: fn(&Claim) -> bool| claims.iter().filter(move |c| wanted(c)).cloned();
        Ok(Self {
            named: some(|c| matches!(c.kind, Kind::Volume(_)) && c.pool.is_some()).collect(),
            free: some(|c| matches!(c.kind, Kind::Volume(_)) && c.pool.is_none()).collect(),
            devices: some(|c| c.kind == Kind::Device).collect(),
            mount_points: some(|c| c.kind == Kind::MountPoint).collect(),
            references: some(|c| c.kind == Kind::Reference).collect(),
            pins: pins.into(),
        })
    }

    /// How many claims it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.claims().count()
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its claims, in the order they are judged in.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.named
            .iter()
            .chain(&self.free)
            .chain(&self.devices)
            .chain(&self.mount_points)
            .chain(&self.references)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> ClaimUid {
        ClaimUid::new(text).unwrap()
    }

    #[test]
    fn claims_that_make_no_sense_are_refused() {
        let name = || Name::new("x").unwrap();
        let grow = |from, to| {
            let sizes = (Bytes::new(from), Bytes::new(to));
            Claim::expansion(uid("a"), (name(), name()), Provisioning::Thick, sizes)
        };
        for bad in [
            Claim::thick(uid("a"), Bytes::ZERO),
            Claim::thin(uid("a"), Bytes::MAX),
            Claim::thick(uid("a"), Bytes::GIB).with_limit(Bytes::GIB),
            Claim::device(uid("a"), Bytes::GIB).with_limit(Bytes::MIB),
            Claim::device(uid("a"), Bytes::GIB).in_pool(name()),
            Claim::mount_point(uid("a"), Bytes::GIB).inline(),
            grow(2, 1),
        ] {
            let error = Pod::new([bad]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.remedy().is_some());
        }
        assert!(Pod::new([grow(1, 2)]).is_ok());
        let twins = [Claim::thick(uid("a"), Bytes::GIB), Claim::device(uid("a"), Bytes::GIB)];
        assert!(Pod::new(twins).unwrap_err().to_string().contains("two claims"));
    }

    #[test]
    fn a_million_claims_are_refused_without_being_read() {
        let endless = std::iter::repeat_with(|| Claim::thick(uid("a"), Bytes::GIB));
        assert!(Pod::new(endless).is_err());
    }
}
