use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::location::{Location, Scheme};
use crate::store::Store;

/// The stores that a run may ask, as its request wants them to be reached.
pub(crate) struct Stores {
    options: Arc<[(String, String)]>,
    open: Arc<OpenStores>,
}

/// The stores of all runs, each opened once: that takes milliseconds, and credentials that are fetched are kept.
#[derive(Default)]
pub(crate) struct OpenStores(Mutex<HashMap<Key, Arc<Store>>>);

type Key = (Arc<[(String, String)]>, Scheme, String);

impl Stores {
    pub(crate) fn new(options: Vec<(String, String)>, open: &Arc<OpenStores>) -> Self {
        Self {
            options: options.into(),
            open: Arc::clone(open),
        }
    }

    pub(crate) fn of(&self, location: &Location) -> Result<Arc<Store>, Error> {
        let key = (
            Arc::clone(&self.options),
            location.scheme(),
            location.bucket().to_owned(),
        );
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&key) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(Store::open(location, &self.options)?);
        // A run over a list of web addresses may meet many servers.
        if open.len() >= OpenStores::KEPT {
            open.clear();
        }
        open.insert(key, Arc::clone(&store));
        Ok(store)
    }
}

impl OpenStores {
    const KEPT: usize = 1_000;
}
