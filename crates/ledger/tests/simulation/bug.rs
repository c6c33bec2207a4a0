/// A mistake that somebody has made or might make, in a store, in the log, or in whoever drives the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The conductor takes a scope for complete although reading it failed.
    ForgetsIncompleteScopes,
    /// A worker settles a page before it has told of the pages that it links to.
    SettlesBeforeSighting,
    /// The conductor ends its crawl without looking for orphans.
    NeverSweeps,
    /// The listener commits what it read before it is written.
    CommitsBeforeApplying,
    /// A live update is as new as the moment at which it is processed.
    VersionsByArrival,
    /// The store answers that it keeps an intent, and does not.
    LosesIntents,
    /// The index takes a document whatever its revision is.
    IgnoresDocumentRevisions,
    /// A replay stamps what it reads anew.
    ReplaysAsNew,
    /// Nobody carries out what a killed process began.
    NeverRecovers,
    /// A worker that retries more often than the source's settings say.
    RetriesTooOften,
    /// The store takes an item whatever its revision is.
    IgnoresItemRevisions,
    /// The guard believes that there are many more live items than there are.
    MiscountsLiveItems,
    /// The store says that it refreshed, and did not.
    NeverRefreshes,
    /// A worker does only what it was sent a request for.
    TrustsRequests,
    /// A replay does not read what was applied last.
    ReplaysHalf,
}

impl Bug {
    pub(crate) const ALL: [Self; 15] = [
        Self::ForgetsIncompleteScopes,
        Self::SettlesBeforeSighting,
        Self::NeverSweeps,
        Self::CommitsBeforeApplying,
        Self::VersionsByArrival,
        Self::IgnoresDocumentRevisions,
        Self::NeverRecovers,
        Self::ReplaysAsNew,
        Self::LosesIntents,
        Self::RetriesTooOften,
        Self::IgnoresItemRevisions,
        Self::MiscountsLiveItems,
        Self::NeverRefreshes,
        Self::TrustsRequests,
        Self::ReplaysHalf,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }

    /// The property that it must be seen to break.
    pub(crate) fn breaks(self) -> &'static str {
        match self {
            Self::ForgetsIncompleteScopes | Self::SettlesBeforeSighting => "I1",
            Self::NeverSweeps => "I2",
            Self::CommitsBeforeApplying | Self::VersionsByArrival => "I3",
            Self::IgnoresDocumentRevisions | Self::NeverRecovers => "I4",
            Self::ReplaysAsNew => "I5",
            Self::LosesIntents => "I6",
            Self::RetriesTooOften => "I7",
            Self::IgnoresItemRevisions => "I8",
            Self::MiscountsLiveItems => "I9",
            Self::NeverRefreshes => "I10",
            Self::TrustsRequests => "I11",
            Self::ReplaysHalf => "I12",
        }
    }
}
