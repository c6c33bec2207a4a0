//! From a claimed item to what is known of it: robots.txt, request, text, links.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crawldb::{Disposition, Item, ItemErrorKind, Outcome};
use extract::{ExtractError, Extracted, Input, Kind, kind_of};
use model::{Checksum, PageUrl};

use crate::deliver::{Page, Verdict, settled};
use crate::fetch::{Body, FetchError, Reply, Request};
use crate::incremental;
use crate::lane::Lane;
use crate::robots::Robots;
use crate::run::{Found, Run, Shared};

/// Why an item is finished before there is a page.
enum Halt {
    Failed(FetchError),
    Settled(Verdict),
    Released,
}

impl From<FetchError> for Halt {
    fn from(error: FetchError) -> Self {
        Self::Failed(error)
    }
}

type Reading<T> = Result<T, Halt>;

/// What came of the item, and where it links to.
pub(crate) async fn read(
    shared: &Arc<Shared>,
    run: &Arc<Run>,
    lane: &Lane,
    item: &Item,
) -> (Verdict, Vec<Found>) {
    let reader = Reader {
        shared,
        run,
        lane,
        item,
    };
    ended(shared, reader.read().await)
}

/// What came of an item whose body is at hand.
pub(crate) async fn digest(
    shared: &Arc<Shared>,
    run: &Arc<Run>,
    lane: &Lane,
    item: &Item,
    body: Body,
) -> Verdict {
    let reader = Reader {
        shared,
        run,
        lane,
        item,
    };
    ended(shared, reader.digest(body).await).0
}

fn ended(shared: &Shared, reading: Reading<(Verdict, Vec<Found>)>) -> (Verdict, Vec<Found>) {
    match reading {
        Ok(read) => read,
        Err(Halt::Settled(verdict)) => (verdict, Vec::new()),
        Err(Halt::Released) => (plain(Outcome::Released), Vec::new()),
        Err(Halt::Failed(error)) => {
            let now = shared.options.clock.now();
            let retry_after = error
                .retry_after
                .map(|wait| wait.min(shared.options.max_retry_after));
            (
                plain(Outcome::Failed {
                    error: error.at(now),
                    retry_after,
                    retryable: error.retryable,
                }),
                Vec::new(),
            )
        }
    }
}

fn plain(outcome: Outcome) -> Verdict {
    Verdict::Plain(Box::new(outcome))
}

struct Reader<'a> {
    shared: &'a Arc<Shared>,
    run: &'a Arc<Run>,
    lane: &'a Lane,
    item: &'a Item,
}

impl Reader<'_> {
    async fn read(&self) -> Reading<(Verdict, Vec<Found>)> {
        self.obey_robots().await?;
        // A page is asked for conditionally only if a 304 tells everything: text and links are in the archive.
        if self.is_archived() {
            match self.ask(true).await? {
                Reply::NotModified { etag, last_modified } => {
                    if let Some(links) = self.known_links().await {
                        return Ok((plain(Outcome::Unchanged { etag, last_modified }), links));
                    }
                }
                reply => return self.judge(reply).await,
            }
        }
        let reply = self.ask(false).await?;
        self.judge(reply).await
    }

    async fn obey_robots(&self) -> Reading<()> {
        if !self.run.source.settings.site.obey_robots || self.run.bucket.is_some() {
            return Ok(());
        }
        let rules = self.run.robots.rules(&self.run.fetcher, &self.item.url);
        let rules = self.lane.end.run_until_cancelled(rules).await;
        let rules: Arc<Robots> = rules.ok_or(Halt::Released)?.inspect_err(|error| {
            self.run.incomplete(&self.item.scope, error.message.clone());
        })?;
        if !rules.allows(&self.item.url) {
            return Err(Halt::Settled(plain(settled(Disposition::Disallowed))));
        }
        if let Some(delay) = rules.crawl_delay() {
            self.lane
                .gate
                .keep_apart(delay.min(self.shared.options.max_crawl_delay));
        }
        Ok(())
    }

    fn is_archived(&self) -> bool {
        let item = self.item;
        let has_validator = item.etag.is_some() || item.last_modified.is_some();
        has_validator && item.disposition == Some(Disposition::Indexed) && item.content.is_some()
    }

    async fn ask(&self, conditionally: bool) -> Reading<Reply> {
        self.check_host()?;
        let turn = self.lane.end.run_until_cancelled(self.lane.gate.turn());
        turn.await.ok_or(Halt::Released)?;
        self.check_host()?;
        let _permit = self
            .shared
            .connections
            .acquire()
            .await
            .map_err(|_| Halt::Released)?;
        let validator = |value: &'_ Option<String>| value.clone().filter(|_| conditionally);
        let (etag, last_modified) = (validator(&self.item.etag), validator(&self.item.last_modified));
        let request = Request {
            url: &self.item.url,
            etag: etag.as_deref(),
            last_modified: last_modified.as_deref(),
            max_bytes: self.run.source.settings.site.max_body_bytes,
            unwanted: if self.shared.deps.pdf.is_some() {
                other_media
            } else {
                other_media_or_pdf
            },
            now: self.shared.options.clock.now(),
        };
        let begun = Instant::now();
        let reply = match &self.run.bucket {
            Some(bucket) => bucket.fetch(&request).await,
            None => self.run.fetcher.fetch(&request).await,
        };
        self.account(reply, begun.elapsed())
    }

    /// A host that was given up is not waited for.
    fn check_host(&self) -> Reading<()> {
        match self.lane.gate.given_up() {
            None => Ok(()),
            Some(error) => {
                self.run.incomplete(&self.item.scope, error.message.clone());
                Err(error.clone().into())
            }
        }
    }

    fn account(&self, reply: Result<Reply, FetchError>, took: Duration) -> Reading<Reply> {
        self.shared.metrics.stage("fetch", took);
        match &reply {
            Err(error) if error.blames_host() => self.lane.gate.failed(self.shared, error),
            _ => self.lane.gate.answered(),
        }
        let bytes = match &reply {
            Ok(Reply::Page(body)) => body.bytes.len() as u64,
            _ => 0,
        };
        self.shared.metrics.fetched(bytes);
        self.run.work.add(bytes, took);
        Ok(reply?)
    }

    async fn judge(&self, reply: Reply) -> Reading<(Verdict, Vec<Found>)> {
        match reply {
            Reply::Page(body) => self.digest(body).await,
            Reply::Unwanted(media_type) => Err(Halt::Settled(plain(settled(Disposition::Unsupported(
                media_type,
            ))))),
            Reply::Gone(status) => Err(Halt::Settled(plain(Outcome::Gone {
                reason: format!("HTTP {status}"),
            }))),
            Reply::Redirect(target) => self.redirect(&target),
            Reply::NotModified { .. } => {
                let message = "HTTP 304 although nothing was asked conditionally";
                Err(FetchError::passing(ItemErrorKind::Server, message).into())
            }
        }
    }

    fn redirect(&self, target: &str) -> Reading<(Verdict, Vec<Found>)> {
        let target = self.item.url.join(target).map_err(|error| {
            FetchError::permanent(
                ItemErrorKind::Redirect,
                format!("the redirect leads nowhere: {error}"),
            )
        })?;
        Ok((Verdict::Redirect(target), Vec::new()))
    }

    async fn digest(&self, body: Body) -> Reading<(Verdict, Vec<Found>)> {
        let begun = Instant::now();
        let digest = Digest::new(self.run, self.item);
        let digested = self.on_processor(move || digest.page(body)).await?;
        self.shared.metrics.stage("extract", begun.elapsed());
        match digested {
            Digested::Done(verdict, links) => Ok((verdict, links)),
            Digested::Pdf(page) => Ok((self.read_pdf(page).await?, Vec::new())),
        }
    }

    /// Runs `work` on a thread of its own, one per processor.
    async fn on_processor<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
    ) -> Reading<T> {
        let _permit = self
            .shared
            .processors
            .acquire()
            .await
            .map_err(|_| Halt::Released)?;
        match tokio::task::spawn_blocking(work).await {
            Ok(worked) => Ok(worked?),
            // The runtime is going down; the page is as good as before.
            Err(error) if error.is_cancelled() => Err(Halt::Released),
            Err(_) => Err(FetchError::permanent(
                ItemErrorKind::Internal,
                "reading the page failed unexpectedly",
            )
            .into()),
        }
    }

    async fn read_pdf(&self, page: Box<Page>) -> Reading<Verdict> {
        let Some(pdf) = &self.shared.deps.pdf else {
            return Ok(plain(settled(Disposition::Unsupported(
                "application/pdf".to_owned(),
            ))));
        };
        let begun = Instant::now();
        let extract = pdf.read(&page.content).await.map_err(|error| match error {
            extract::PdfError::Io(_) => FetchError::passing(ItemErrorKind::Internal, error.to_string()),
            _ => FetchError::permanent(ItemErrorKind::Content, error.to_string()),
        })?;
        self.shared.metrics.stage("pdf", begun.elapsed());
        let extract = to_json(&extract)?;
        Ok(Verdict::Page(Box::new(Page { extract, ..*page })))
    }

    /// The links of the page as it is known; none where nobody can tell.
    async fn known_links(&self) -> Option<Vec<Found>> {
        match &self.run.bucket {
            Some(_) => Some(Vec::new()),
            None if incremental::is_incremental(self.run) => Some(Vec::new()),
            None => self.archived_links().await,
        }
    }

    /// The links of the page as archived; none where the archive cannot tell.
    async fn archived_links(&self) -> Option<Vec<Found>> {
        let keys = [self.item.content.clone()?, self.item.extract.clone()?];
        let parts = self.shared.deps.archive.get_many(&keys).await.inspect_err(|error| {
            tracing::warn!(item = %self.item.id, %error, "an archived page could not be read, fetching it again");
        });
        let [content, extract] = <[Vec<u8>; 2]>::try_from(parts.ok()?).ok()?;
        let digest = Digest::new(self.run, self.item);
        self.on_processor(move || Ok(digest.links_of(&content, &extract)))
            .await
            .ok()
    }
}

/// The part of an archived extract that tells how to read the content beside it.
#[derive(serde::Deserialize)]
struct MediaType {
    content_type: String,
}

fn other_media(content_type: Option<&str>, bytes: &[u8], url: &PageUrl) -> Option<String> {
    match kind_of(content_type, bytes, url) {
        Kind::Other(media_type) => Some(media_type),
        Kind::Html | Kind::Text | Kind::Markdown | Kind::Pdf => None,
    }
}

fn other_media_or_pdf(content_type: Option<&str>, bytes: &[u8], url: &PageUrl) -> Option<String> {
    match kind_of(content_type, bytes, url) {
        Kind::Pdf => Some("application/pdf".to_owned()),
        _ => other_media(content_type, bytes, url),
    }
}

fn to_json(extract: &extract::Extract) -> Result<Vec<u8>, FetchError> {
    serde_json::to_vec(extract)
        .map_err(|error| FetchError::permanent(ItemErrorKind::Internal, format!("the extract: {error}")))
}

/// The part of the work that keeps a processor busy.
struct Digest {
    run: Arc<Run>,
    item: Item,
}

enum Digested {
    Done(Verdict, Vec<Found>),
    /// Everything but the extract.
    Pdf(Box<Page>),
}

impl Digest {
    fn new(run: &Arc<Run>, item: &Item) -> Self {
        Self {
            run: Arc::clone(run),
            item: item.clone(),
        }
    }

    fn page(&self, mut body: Body) -> Result<Digested, FetchError> {
        let content = body.decode(self.run.source.settings.site.max_body_bytes)?;
        let input = Input {
            url: &self.item.url,
            content_type: body.content_type.as_deref(),
            bytes: &content,
        };
        let extracted = match extract::extract(&input) {
            Ok(extracted) => Some(extracted),
            Err(ExtractError::Pdf) => None,
            Err(ExtractError::Unsupported { content_type }) => {
                let outcome = settled(Disposition::Unsupported(content_type));
                return Ok(Digested::Done(plain(outcome), Vec::new()));
            }
        };
        let tags = Tags::read(&body.robots_tags);
        let checksum = Checksum::of(&content);
        let mut page = Page {
            checksum,
            content,
            archived: None,
            extract: Vec::new(),
            etag: body.etag,
            last_modified: body.last_modified,
            canonical: None,
            noindex: tags.noindex,
        };
        let Some(extracted) = extracted else {
            return Ok(Digested::Pdf(Box::new(page)));
        };
        let links = if tags.nofollow {
            Vec::new()
        } else {
            self.links(&extracted)
        };
        page.noindex |= extracted.noindex;
        page.canonical = self.canonical(&extracted);
        if self.is_unchanged(&page) {
            let outcome = Outcome::Unchanged {
                etag: page.etag,
                last_modified: page.last_modified,
            };
            let links = if incremental::is_incremental(&self.run) {
                Vec::new()
            } else {
                links
            };
            return Ok(Digested::Done(plain(outcome), links));
        }
        if page.canonical.is_none() && !page.noindex {
            page.extract = to_json(&extracted.extract)?;
        }
        Ok(Digested::Done(Verdict::Page(Box::new(page)), links))
    }

    fn is_unchanged(&self, page: &Page) -> bool {
        let item = &self.item;
        let was_indexed = item.disposition == Some(Disposition::Indexed) && item.extract.is_some();
        was_indexed && item.checksum == Some(page.checksum) && page.canonical.is_none() && !page.noindex
    }

    fn links_of(&self, content: &[u8], extract: &[u8]) -> Vec<Found> {
        let media_type: Option<MediaType> = serde_json::from_slice(extract).ok();
        let content_type = media_type
            .as_ref()
            .map(|media_type| media_type.content_type.as_str());
        let input = Input {
            url: &self.item.url,
            content_type,
            bytes: content,
        };
        extract::extract(&input)
            .map(|extracted| self.links(&extracted))
            .unwrap_or_default()
    }

    /// The links that lead to pages of this crawl which it has not met.
    fn links(&self, extracted: &Extracted) -> Vec<Found> {
        if extracted.nofollow || self.run.bucket.is_some() {
            return Vec::new();
        }
        let (run, depth) = (&self.run, self.item.depth.saturating_add(1));
        let admitted = extracted
            .links
            .iter()
            .filter(|link| !link.nofollow && run.bounds.admit(&link.url, depth));
        let mut fresh: Vec<_> = admitted
            .map(|link| (run.prints.of(link.url.as_str()), &link.url))
            .collect();
        {
            let met = run.met();
            fresh.retain(|(print, _)| !met.contains(*print));
        }
        let found = |(_, url): (_, &PageUrl)| Found::new(&run.prints, url.clone(), Some(&self.item), depth);
        fresh.into_iter().map(found).collect()
    }

    /// Another page of this crawl that the page names as its own address. What is in a bucket has the address that its
    /// key gives it: nobody says that an object has the other one.
    fn canonical(&self, extracted: &Extracted) -> Option<PageUrl> {
        if self.run.bucket.is_some() {
            return None;
        }
        let canonical = extracted.canonical.as_ref()?;
        let is_other = *canonical != self.item.url && self.run.bounds.admit(canonical, self.item.depth);
        is_other.then(|| canonical.clone())
    }
}

/// What `X-Robots-Tag` asks of every crawler; values for others are named by their agent and do not count.
#[derive(Default)]
struct Tags {
    noindex: bool,
    nofollow: bool,
}

impl Tags {
    fn read(values: &[String]) -> Self {
        let mut tags = Self::default();
        for value in values.iter().take(100) {
            for directive in value
                .split(',')
                .map(|directive| directive.trim().to_ascii_lowercase())
            {
                let for_all = |name: &str| directive == name;
                tags.noindex |= for_all("noindex") || for_all("none");
                tags.nofollow |= for_all("nofollow") || for_all("none");
            }
        }
        tags
    }
}
