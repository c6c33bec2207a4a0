use crate::query::QueryError;

/// How many edges a question may still look at.
pub(super) struct Work {
    left: usize,
    max_edges: usize,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exhausted {
    max_edges: usize,
}

impl From<Exhausted> for QueryError {
    fn from(Exhausted { max_edges }: Exhausted) -> Self {
        Self::TooMuchWork { max_edges }
    }
}

impl Work {
    pub(super) fn new(max_edges: usize) -> Self {
        Self {
            left: max_edges,
            max_edges,
        }
    }

    /// Looks at `edges` more edges.
    pub(super) fn spend(&mut self, edges: usize) -> Result<(), Exhausted> {
        let left = self.left.checked_sub(edges);
        self.left = left.ok_or(Exhausted {
            max_edges: self.max_edges,
        })?;
        Ok(())
    }
}
