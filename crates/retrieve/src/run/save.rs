use std::sync::Arc;

use super::Run;
use super::file::File;
use super::sequencer::FileReader;

/// Saves a file whose bytes are replaced on the way: in order, by one reader that writes what it reads.
pub(super) fn spawn(run: Arc<Run>, file: Arc<File>) {
    let runtime = run.engine.runtime.clone();
    runtime.spawn(async move {
        let mut reader = FileReader::new(run, file);
        // The reader ends the file, whichever way.
        while let Some(Ok(_)) = reader.next_piece().await {}
    });
}
