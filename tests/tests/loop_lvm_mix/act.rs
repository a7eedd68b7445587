//! What one operation asks for.

/// An operation; extents and stripes as numbers.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Create { name: String, extents: u64, stripes: u64, tag: Option<String>, read_only: bool },
    Extend { name: String, to: u64 },
    Reduce { name: String, to: u64 },
    Remove { name: String },
    Rename { from: String, to: String },
    Tag { name: String, tag: String, add: bool },
    SetWritable { name: String, writable: bool },
    TagGroup { tag: String, add: bool },
    SetAllocatable { device: usize, allocatable: bool },
    RenameGroup { to: String },
    Join { device: usize },
    Leave { device: usize },
}

/// Kinds of operations, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    CreateLinear,
    CreateStriped,
    Extend,
    Reduce,
    Remove,
    Rename,
    Tag,
    Untag,
    SetWritable,
    TagGroup,
    SetAllocatable,
    RenameGroup,
    Join,
    Leave,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::CreateLinear,
        Self::CreateStriped,
        Self::Extend,
        Self::Reduce,
        Self::Remove,
        Self::Rename,
        Self::Tag,
        Self::Untag,
        Self::SetWritable,
        Self::TagGroup,
        Self::SetAllocatable,
        Self::RenameGroup,
        Self::Join,
        Self::Leave,
    ];
}

impl Act {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Create { stripes: 1, .. } => Kind::CreateLinear,
            Self::Create { .. } => Kind::CreateStriped,
            Self::Extend { .. } => Kind::Extend,
            Self::Reduce { .. } => Kind::Reduce,
            Self::Remove { .. } => Kind::Remove,
            Self::Rename { .. } => Kind::Rename,
            Self::Tag { add: true, .. } => Kind::Tag,
            Self::Tag { .. } => Kind::Untag,
            Self::SetWritable { .. } => Kind::SetWritable,
            Self::TagGroup { .. } => Kind::TagGroup,
            Self::SetAllocatable { .. } => Kind::SetAllocatable,
            Self::RenameGroup { .. } => Kind::RenameGroup,
            Self::Join { .. } => Kind::Join,
            Self::Leave { .. } => Kind::Leave,
        }
    }
}
