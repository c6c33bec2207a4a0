use std::collections::BTreeSet;

use archive::{Archive, Manifest, PackVersion, Swap};
use model::{Host, SourceId};

use crate::build::{BuildError, Built};

/// Packers that publish one host at the same time are a mistake of the set-up; after so many lost races we say so.
const TRIES: usize = 5;

/// Puts a built pack in force: the file first, then the manifest that names it.
pub(crate) async fn publish(
    archive: &Archive,
    host: &Host,
    sources: &BTreeSet<SourceId>,
    built: &Built,
    keep_versions: usize,
) -> Result<Manifest, BuildError> {
    archive
        .put_pack(host, &built.version.checksum, &built.path())
        .await?;
    for _ in 0..TRIES {
        let old = archive.manifest(host).await?;
        let (manifest, dropped) = next_manifest(host, sources, &built.version, old, keep_versions);
        if archive.swap_manifest(&manifest).await? == Swap::Done {
            for version in dropped {
                archive.delete_pack(host, &version.checksum).await?;
            }
            return Ok(manifest);
        }
    }
    Err(BuildError::Contended)
}

/// The manifest that puts `version` in force, and the packs that it no longer keeps.
fn next_manifest(
    host: &Host,
    sources: &BTreeSet<SourceId>,
    version: &PackVersion,
    old: Option<Manifest>,
    keep_versions: usize,
) -> (Manifest, Vec<PackVersion>) {
    let number = old.as_ref().map_or(1, |old| old.number + 1);
    let mut previous: Vec<PackVersion> = old
        .into_iter()
        .flat_map(|old| std::iter::once(old.current).chain(old.previous))
        .collect();
    previous.retain(|kept| kept.checksum != version.checksum);
    let dropped = previous.split_off(previous.len().min(keep_versions.saturating_sub(1)));
    let sources = sources.iter().cloned().collect();
    let manifest = Manifest {
        host: host.clone(),
        sources,
        number,
        current: version.clone(),
        previous,
    };
    (manifest, dropped)
}
