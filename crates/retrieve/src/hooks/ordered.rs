//! The chain of hooks that see one file's bytes in their order.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::account::Account;
use super::traits::OrderedHook;
use crate::error::Error;

/// The ordered hooks of one file: each one's output is the next one's input.
#[derive(Default)]
pub(crate) struct Ordered {
    steps: Vec<Step>,
}

struct Step {
    account: Arc<Account>,
    hook: Box<dyn OrderedHook>,
}

impl Ordered {
    pub(super) fn add(&mut self, account: &Arc<Account>, hook: Box<dyn OrderedHook>) {
        let account = Arc::clone(account);
        self.steps.push(Step { account, hook });
    }

    /// Whether bytes come out as they went in, so that the file may be written in any order.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What comes out of the chain when `bytes` go in; may be none yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook): a hook refuses the file or panicked. The chain is of no use then.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Result<Bytes, Error> {
        let mut steps = self.steps.iter_mut();
        steps.try_fold(bytes, |bytes, step| step.push(bytes))
    }

    /// What is left in the chain, after the last byte.
    ///
    /// # Errors
    ///
    /// As [`Ordered::push`].
    pub(crate) fn finish(&mut self) -> Result<Bytes, Error> {
        let mut steps = self.steps.iter_mut();
        steps.try_fold(Bytes::new(), |bytes, step| {
            let pushed = step.push(bytes)?;
            Ok(joined(pushed, step.finish()?))
        })
    }
}

impl Step {
    fn push(&mut self, bytes: Bytes) -> Result<Bytes, Error> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let Self { account, hook } = self;
        let result = account.call(|| hook.on_ordered(bytes))?;
        result.map_err(|reason| account.refusal(&reason))
    }

    fn finish(&mut self) -> Result<Bytes, Error> {
        let Self { account, hook } = self;
        let result = account.call(|| hook.finish())?;
        result.map_err(|reason| account.refusal(&reason))
    }
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    if second.is_empty() {
        return first;
    }
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(&first);
    both.extend_from_slice(&second);
    both.freeze()
}
