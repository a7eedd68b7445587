//! What is preferred among placements that fit.

/// Where volumes without a named pool go, and which nodes score high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// Fill what is already fullest, so that large holes remain elsewhere.
    #[default]
    Binpack,
    /// Use what is emptiest, so that load and growth are shared.
    Spread,
}

/// Weights of [`Scoring::Compatible`] for keeping pods away from what they do not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AntiAffinity {
    /// For pods without a device claim: points of a node without free devices.
    pub devices: u16,
    /// For pods without a mount-point claim: points of a node without free mount points.
    pub mount_points: u16,
}

/// Which definition of [`super::Score`] is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Scoring {
    /// 0 to 1000, as the module page defines it.
    #[default]
    PerMille,
    /// The scale of the original: 0 to 10 a part, the parts added.
    Compatible(AntiAffinity),
}

/// Most attempts to put a volume into a pool before a node answers `SearchLimit`.
pub const DEFAULT_SEARCH_LIMIT: u32 = 65_536;

/// What is preferred, and how long is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Policy {
    /// Where volumes go and which nodes score high.
    pub strategy: Strategy,
    /// The definition of the score.
    pub scoring: Scoring,
    /// Most attempts to put a volume into a pool of one node.
    pub search_limit: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            scoring: Scoring::default(),
            search_limit: DEFAULT_SEARCH_LIMIT,
        }
    }
}

impl Policy {
    /// The default policy with this strategy.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self { strategy, ..Self::default() }
    }

    /// Sets the definition of the score.
    #[must_use]
    pub const fn with_scoring(mut self, scoring: Scoring) -> Self {
        self.scoring = scoring;
        self
    }

    /// Sets the most attempts of a search.
    #[must_use]
    pub const fn with_search_limit(mut self, attempts: u32) -> Self {
        self.search_limit = attempts;
        self
    }
}
