//! What must be true once it is quiet.

use std::collections::BTreeMap;

use crawldb::{
    Body, Crawl, CrawlStatus, Crawldb, Document, IndexName, Intent, Item, ItemState, Reference, Scan, Source,
};
use futures::FutureExt;
use ledger::{LIVE_GROUP, Ledger, Replay, ReplayFrom};
use model::{CrawlId, PageUrl, SourceId, Timestamp, Version};
use updates::{Applied, Change, topics};

use crate::bug::Bug;
use crate::stage::Stage;
use crate::truth::{Page, Site, checksum_of, extract_of};
use crate::witness::Key;

const MANY: usize = 1_000;

/// The stores in memory answer at once.
fn at_once<T, E: std::fmt::Debug>(call: impl Future<Output = Result<T, E>>) -> T {
    call.now_or_never().expect("memory does not wait").unwrap()
}

fn items_of(crawldb: &Crawldb, source: &SourceId) -> Vec<Item> {
    at_once(crawldb.items(&Scan::all(source, MANY)))
}

fn documents_of(crawldb: &Crawldb, index: &IndexName) -> BTreeMap<PageUrl, Document> {
    let documents = at_once(crawldb.documents().scan_documents(index, None, MANY));
    documents
        .into_iter()
        .map(|document| (document.url.clone(), document))
        .collect()
}

fn sources(stage: &Stage) -> Vec<Source> {
    at_once(stage.store.truth().sources())
}

fn intents(stage: &Stage, source: &SourceId) -> Vec<Intent> {
    at_once(stage.store.truth().store().list_intents(source))
}

/// What is not done yet, in words; nothing where all is.
pub(crate) fn unrest(stage: &Stage) -> String {
    let truth = stage.store.truth();
    let mut left = Vec::new();
    for (site, source) in sources(stage).iter().enumerate() {
        let id = &source.id;
        let untold = stage.sites()[site].outbox.len();
        let running = at_once(truth.running(source));
        let live = CrawlId::live(id);
        let waiting = |item: &&Item| {
            item.state.is_open() && item.crawl == live
                || matches!(item.state, ItemState::Escalated | ItemState::Ignored)
        };
        let items = items_of(&truth, id);
        let waiting: Vec<&Item> = items.iter().filter(waiting).collect();
        if !stage.log.is_level(LIVE_GROUP, &topics::live(id)) {
            left.push(format!("{id}: live updates are left"));
        }
        if untold > 0 || !running.is_empty() || !waiting.is_empty() {
            let waiting: Vec<_> = waiting.iter().map(|item| (&item.id, item.state)).collect();
            left.push(format!(
                "{id}: {untold} untold, running {running:?}, waiting {waiting:?}"
            ));
        }
        let intents = intents(stage, id);
        if !intents.is_empty() && !stage.world.has(Bug::NeverRecovers) {
            left.push(format!("{id}: intents {intents:?}"));
        }
    }
    left.join("; ")
}

pub(crate) fn is_at_rest(stage: &Stage) -> bool {
    unrest(stage).is_empty()
}

/// Whether no deletion waits for a person who would approve it, or for the janitor after one did.
pub(crate) fn is_decided(stage: &Stage) -> bool {
    let truth = stage.store.truth();
    sources(stage).iter().enumerate().all(|(site, source)| {
        let newest = at_once(truth.crawls(Some(&source.id), 1)).pop();
        let blocked = newest.filter(|crawl| crawl.status == CrawlStatus::Blocked);
        blocked.is_none_or(|crawl| crawl.orphans.approval.is_none() && !missed_have_left(stage, site, &crawl))
    })
}

/// Whether everything that the crawl missed has left the source.
pub(crate) fn missed_have_left(stage: &Stage, site: usize, crawl: &Crawl) -> bool {
    let source = crawl.id.source();
    let scan = Scan {
        missed_by: Some(crawl.started_at),
        ..Scan::all(&source, MANY)
    };
    let missed = at_once(stage.store.truth().items(&scan));
    let sites = stage.sites();
    let site = &sites[site];
    let has_left = |item: &Item| site.page(&item.id).is_none_or(|page| !site.is_reachable(page));
    missed
        .iter()
        .filter(|item| item.state != ItemState::Deleted)
        .all(has_left)
}

/// Where a source tells everything, its items are right before any further crawl.
pub(crate) fn told_sources_are_level(stage: &Stage) {
    let truth = stage.store.truth();
    for site in stage.sites().iter().filter(|site| site.tells_all()) {
        for item in items_of(&truth, &site.id)
            .iter()
            .filter(|item| item.version != Version::NONE && !item.state.is_open())
        {
            // A person's word is as new as the clock of whoever takes it says; the next crawl puts right what it outdid.
            if item.state == ItemState::Deleted && item.ruling.is_some() {
                continue;
            }
            // What cannot be reached any more may be taken for gone, as long as nobody tells of it.
            let page = site.page(&item.id).filter(|page| site.never_left(page));
            let said = page.and_then(|page| page.content).map(checksum_of);
            if item.checksum != said && said.is_some() {
                let (id, state) = (&item.id, item.state);
                stage.world.find(
                    "I3",
                    format!(
                        "{id} {state:?} {:?} does not say what the source told last",
                        item.version
                    ),
                );
            }
        }
    }
}

/// Whether the index shows what is there, and nothing else.
pub(crate) fn is_settled(stage: &Stage) -> bool {
    gone_but_shown(stage).is_empty() && not_shown_as_they_are(stage).is_empty()
}

fn gone_but_shown(stage: &Stage) -> Vec<String> {
    let documents = documents_of(&stage.store.truth(), &IndexName::default());
    let sites = stage.sites();
    let mut shown = Vec::new();
    for site in sites.iter() {
        for page in site.pages.iter().filter(|page| page.content.is_none()) {
            let is_known = is_known_by_crawls(stage, site, page);
            if is_known && body_of(documents.get(&page.url), site, page).is_some() {
                shown.push(format!("{} of {} left, and is shown", page.id, site.id));
            }
        }
    }
    shown
}

/// What no crawl ever saw is deleted on the word of the source alone, so it may stay where that cannot be had.
fn is_known_by_crawls(stage: &Stage, site: &Site, page: &Page) -> bool {
    let item = at_once(stage.store.truth().item(&site.id, &page.id));
    site.verifies() || item.is_some_and(|item| item.seen_crawl_at > Timestamp::default())
}

fn body_of<'a>(document: Option<&'a Document>, site: &Site, page: &Page) -> Option<&'a Body> {
    let mut references = document?.references.iter();
    let reference = references.find(|reference| reference.source == site.id && reference.item == page.id)?;
    reference.body.as_ref()
}

/// Everything that holds at the end.
pub(crate) fn all(stage: &Stage) {
    for gone in gone_but_shown(stage) {
        stage.world.find("I2", gone);
    }
    for (property, what) in not_shown_as_they_are(stage) {
        stage.world.find(property, what);
    }
    nothing_was_taken_that_stayed(stage);
    documents_follow_items(stage);
    the_log_follows_items(stage);
    applying_twice_changes_nothing(stage);
    a_replay_gives_the_same_index(stage);
}

fn not_shown_as_they_are(stage: &Stage) -> Vec<(&'static str, String)> {
    let documents = documents_of(&stage.store.truth(), &IndexName::default());
    let mut found = Vec::new();
    for site in stage.sites().iter() {
        for page in site.pages.iter().filter(|page| site.is_reachable(page)) {
            let content = page.content.expect("a page that can be reached is there");
            let wanted = Body {
                checksum: checksum_of(content),
                extract: extract_of(content),
            };
            let (id, source) = (&page.id, &site.id);
            match body_of(documents.get(&page.url), site, page) {
                None => found.push(("I1", format!("{id} of {source} is there, and not shown"))),
                Some(body) if *body != wanted => {
                    found.push((
                        "I3",
                        format!("{id} of {source} is shown as {body:?}, not as {content}"),
                    ));
                }
                Some(_) => {}
            }
        }
    }
    found
}

fn nothing_was_taken_that_stayed(stage: &Stage) {
    let sites = stage.sites();
    for (source, item) in stage.witness.withdrawn() {
        let site = sites.iter().find(|site| site.id == source);
        let stayed = site.and_then(|site| site.page(&item).filter(|page| site.never_left(page)));
        if stayed.is_some() {
            stage.world.find(
                "I1",
                format!("{item} of {source} was there all the time, and was taken out of the index"),
            );
        }
    }
}

fn documents_follow_items(stage: &Stage) {
    let truth = stage.store.truth();
    let documents = documents_of(&truth, &IndexName::default());
    let mut wanted: BTreeMap<(PageUrl, Key), Body> = BTreeMap::new();
    for source in sources(stage) {
        for item in items_of(&truth, &source.id) {
            if let Some(body) = Reference::of(&item).body {
                wanted.insert((item.url, (item.source, item.id)), body);
            }
        }
    }
    for (url, document) in documents {
        for reference in document.present() {
            let key = (url.clone(), (reference.source.clone(), reference.item.clone()));
            if wanted.remove(&key).as_ref() != reference.body.as_ref() {
                stage
                    .world
                    .find("I4", format!("{key:?} is shown as its item is not"));
            }
        }
    }
    for (key, body) in wanted {
        stage
            .world
            .find("I4", format!("{key:?} is not shown, and its item is {body:?}"));
    }
}

fn the_log_follows_items(stage: &Stage) {
    let truth = stage.store.truth();
    for source in sources(stage) {
        let newest: BTreeMap<String, Applied> = applied(stage, &source.id)
            .into_iter()
            .map(|applied| (applied.item.to_string(), applied))
            .collect();
        for item in items_of(&truth, &source.id) {
            let said = newest.get(item.id.as_str()).and_then(body_applied);
            if said != Reference::of(&item).body {
                stage.world.find(
                    "I6",
                    format!("the log says {said:?} last of {} {:?}", item.id, item.checksum),
                );
            }
        }
    }
}

/// What was applied of a source, in the order of the log.
fn applied(stage: &Stage, source: &SourceId) -> Vec<Applied> {
    let records = stage.log.records(&topics::applied(source));
    records
        .iter()
        .filter_map(|record| record.decode().unwrap())
        .collect()
}

fn body_applied(applied: &Applied) -> Option<Body> {
    match &applied.change {
        Change::Upsert {
            checksum, extract, ..
        } => Some(Body {
            checksum: *checksum,
            extract: extract.clone(),
        }),
        Change::Delete { .. } => None,
    }
}

fn reference_of(applied: &Applied) -> (PageUrl, Reference) {
    let reference = Reference {
        source: applied.source.clone(),
        item: applied.item.clone(),
        version: applied.version,
        write: applied.write,
        last_updated: applied.at,
        body: body_applied(applied),
    };
    let url = PageUrl::parse(applied.item.as_str()).expect("items are named after their addresses");
    (url, reference)
}

/// Any prefix of what was applied, applied to the index that has it, or twice to another one, changes nothing.
fn applying_twice_changes_nothing(stage: &Stage) {
    let truth = stage.store.truth();
    let mut references: Vec<(PageUrl, Reference)> = Vec::new();
    for source in sources(stage) {
        references.extend(applied(stage, &source.id).iter().map(reference_of));
    }
    if stage.world.has(Bug::ReplaysAsNew) {
        for (number, (_, reference)) in references.iter_mut().enumerate() {
            reference.version = Version::from_u64(u64::MAX / 4 + number as u64);
        }
    }
    references.truncate(stage.world.roll(|dice| dice.index(references.len() + 1)));
    let other = IndexName::new("other").unwrap();
    at_once(truth.refer(&other, &references));
    for index in [IndexName::default(), other] {
        let before = documents_of(&truth, &index);
        at_once(truth.refer(&index, &references));
        if documents_of(&truth, &index) != before {
            stage.world.find(
                "I5",
                format!("applying {} records again changes {index}", references.len()),
            );
        }
    }
}

/// Who brings what to which document.
fn shown_in(crawldb: &Crawldb, index: &IndexName) -> BTreeMap<(PageUrl, Key), Option<Body>> {
    let documents = documents_of(crawldb, index);
    let shown = documents.iter().flat_map(|(url, document)| {
        document.present().map(|reference| {
            let key = (reference.source.clone(), reference.item.clone());
            ((url.clone(), key), reference.body.clone())
        })
    });
    shown.collect()
}

fn a_replay_gives_the_same_index(stage: &Stage) {
    let truth = stage.store.truth();
    let ledger = Ledger::new(stage.crawldb.clone(), stage.updates.clone(), "the replayer");
    let next = IndexName::new("next").unwrap();
    let forgets = usize::from(stage.world.has(Bug::ReplaysHalf));
    for source in sources(stage).into_iter().skip(forgets) {
        let replay = Replay {
            source: source.id,
            from: ReplayFrom::Beginning,
            into: Some(next.clone()),
        };
        let mut replay = std::pin::pin!(ledger.replay(&replay, &|_| {}));
        let replayed = loop {
            if let Some(replayed) = replay.as_mut().now_or_never() {
                break replayed;
            }
        };
        replayed.unwrap();
    }
    let (live, again) = (shown_in(&truth, &IndexName::default()), shown_in(&truth, &next));
    if live != again {
        stage
            .world
            .find("I12", format!("the index shows {live:?}, the replay {again:?}"));
    }
}
