use std::collections::HashSet;

use crate::change::Revision;
use crate::command::{Verb, commands, write_line};
use crate::graph::Graph;
use crate::index::{Attempt, BatchError, Index, Shared, changes_of};

impl Index {
    /// Makes the packages of `lines` all there are, as one change: those that are not among them go. Returns the revision after it, and
    /// how many packages went.
    pub async fn replace(&self, lines: &[u8]) -> Result<(Revision, usize), BatchError> {
        let wanted = changes_of(lines)?;
        let kept: HashSet<_> = wanted.iter().map(|line| line.package).collect();
        if !self.shared.is_writable {
            return Err(BatchError::ReadOnly);
        }
        let mut done = Ok((Revision(0), 0));
        self.until_decided(|| self.shared.attempt_replace(lines, &kept, &mut done))
            .await?;
        done
    }
}

impl Shared {
    fn attempt_replace(
        &self,
        lines: &[u8],
        kept: &HashSet<&str>,
        done: &mut Result<(Revision, usize), BatchError>,
    ) -> Attempt {
        let mut state = self.write();
        if let Some(refused) = self.refuse(&state) {
            return refused;
        }
        let mut batch = lines.to_vec();
        let removed = remove_others(&state.graph, kept, &mut batch);
        let batch: Vec<_> = commands(&batch).flatten().collect();
        *done = match state.apply(&batch, self.options.cycles) {
            Ok(()) => Ok((state.applied, removed)),
            Err(refusals) => Err(BatchError::Refused(refusals)),
        };
        self.ticket(&state, true)
    }
}

/// Appends a REMOVE line for every package that is not in `kept`.
fn remove_others(graph: &Graph, kept: &HashSet<&str>, batch: &mut Vec<u8>) -> usize {
    let others = graph.names().filter(|name| !kept.contains(name));
    others
        .map(|name| write_line(batch, Verb::Remove, name, std::iter::empty()))
        .count()
}
