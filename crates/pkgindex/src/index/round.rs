use tokio::sync::SetOnce;

use crate::index::Unavailable;

/// One turn of the committer, for everybody who waits for it.
#[derive(Debug, Default)]
pub(super) struct Round(SetOnce<Outcome>);

/// What became of what was decided before the turn began.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The store has it, and nobody else was faster.
    Confirmed,
    /// Somebody else was faster: decide again.
    TakenBack,
    /// The store does not answer or does not take it; what was applied in memory is taken back.
    Failed(Unavailable),
}

impl Round {
    pub(super) async fn outcome(&self) -> &Outcome {
        self.0.wait().await
    }

    pub(super) fn end(&self, outcome: Outcome) {
        // Each round is ended once, by the committer that took it.
        let _ = self.0.set(outcome);
    }
}
