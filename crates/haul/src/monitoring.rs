//! What every process shows at `/metrics`, beside what its stages count.

use std::time::{Duration, Instant, SystemTime};

use ledger::Surveyor;
use model::Timestamp;
use prometheus_client::registry::Registry;
use tokio_util::task::AbortOnDropHandle;

use crate::assembly::Stores;
use crate::data_folder::DataFolder;
use crate::process_metrics;
use crate::store_metrics::StoreMetrics;

/// How often the stores are asked what they hold.
const SURVEY_EVERY: Duration = Duration::from_secs(15);
/// A survey that takes long is followed by a pause of so many times its length.
const PAUSE_FACTOR: u32 = 10;

/// Registers the figures of a process that only serves a store.
pub(crate) fn watch_store(store: &StoreMetrics, folder: &DataFolder, registry: &mut Registry) {
    process_metrics::register(registry, folder.path().to_owned());
    store.register(registry);
}

/// Registers the figures of this process, its stores and its ledger, and surveys the stores until it is dropped.
pub(crate) fn watch(stores: &Stores, folder: &DataFolder, registry: &mut Registry) -> AbortOnDropHandle<()> {
    watch_store(&stores.store_metrics, folder, registry);
    stores.ledger.register(registry);
    let surveyor = stores.ledger.surveyor();
    surveyor.register(registry);
    AbortOnDropHandle::new(tokio::spawn(survey(surveyor)))
}

async fn survey(mut surveyor: Surveyor) {
    loop {
        let begun = Instant::now();
        if let Err(error) = surveyor.look(Timestamp::from(SystemTime::now())).await {
            tracing::warn!(%error, "the stores could not be asked what they hold; it is tried again");
        }
        tokio::time::sleep(SURVEY_EVERY.max(begun.elapsed() * PAUSE_FACTOR)).await;
    }
}
