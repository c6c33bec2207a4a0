use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

/// A server that starts with the first test that needs it and ends with the last.
pub(crate) struct Started<T>(Arc<Mutex<Option<Arc<T>>>>, fn() -> Result<T>);

impl<T> Started<T> {
    pub(crate) fn new(start: fn() -> Result<T>) -> Self {
        Self(Arc::default(), start)
    }

    pub(crate) fn get(&self) -> Result<Arc<T>> {
        let mut started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = &*started {
            return Ok(Arc::clone(server));
        }
        Ok(Arc::clone(started.insert(Arc::new((self.1)()?))))
    }
}

impl<T> Clone for Started<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1)
    }
}
