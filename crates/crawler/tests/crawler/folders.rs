//! Crawls of folders of this machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crawldb::{Crawl, CrawlKind, CrawlStatus, SiteSettings, SourceKind};
use crawler::StartedCrawl;
use model::PageUrl;

use crate::world::{World, check, check_completed, settings};

async fn world(folder: &Path) -> World {
    let site = SiteSettings {
        start: vec![PageUrl::parse("https://site.test/docs/").unwrap()],
        delay_ms: 0,
        ..SiteSettings::default()
    };
    let world = World::empty(None);
    let path = folder.to_owned();
    world.add(settings(SourceKind::Folder { path }, site)).await;
    world
}

async fn crawl_incrementally(world: &World) -> Crawl {
    let crawler = world.crawler();
    let started = crawler
        .start(&world.source, CrawlKind::Incremental)
        .await
        .unwrap();
    let StartedCrawl::Running(id) = started else {
        panic!("{started:?}");
    };
    let crawl = world.ended(&crawler, &id).await;
    crawler.stop().await;
    crawl
}

/// A folder with two pages.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("notes")).unwrap();
    fs::write(folder.path().join("a.html"), "<p>a</p>").unwrap();
    fs::write(folder.path().join("notes/b & c.md"), "# b").unwrap();
    folder
}

#[tokio::test]
async fn files_with_text_become_pages() {
    let folder = folder();
    fs::write(folder.path().join("film.mp4"), "moving").unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let world = world(folder.path()).await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/docs/a.html: indexed
        /docs/empty: indexed
        /docs/film.mp4: unsupported application/octet-stream
        /docs/notes/b%20&%20c.md: indexed",
    );
}

#[tokio::test]
async fn what_is_hidden_or_leads_out_of_the_folder_is_left_out() {
    let (folder, outside) = (folder(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret.html"), "<p>secret</p>").unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join(".git/config.txt"), "hidden").unwrap();
    fs::write(folder.path().join(".hidden.html"), "hidden").unwrap();
    symlink(outside.path().join("secret.html"), folder.path().join("out.html")).unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink("..", folder.path().join("notes/circle")).unwrap();
    symlink("nowhere", folder.path().join("broken.html")).unwrap();
    symlink("a.html", folder.path().join("within.html")).unwrap();
    let world = world(folder.path()).await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/docs/a.html: indexed
        /docs/notes/b%20&%20c.md: indexed
        /docs/within.html: indexed",
    );
}

#[tokio::test]
async fn what_is_new_changed_or_gone_is_found_by_the_next_crawl() {
    let folder = folder();
    fs::write(folder.path().join("goes.txt"), "for now").unwrap();
    let world = world(folder.path()).await;
    check_completed(&world.crawl().await);
    fs::write(folder.path().join("a.html"), "<p>changed</p>").unwrap();
    fs::write(folder.path().join("new.txt"), "new").unwrap();
    fs::remove_file(folder.path().join("goes.txt")).unwrap();
    let crawl = world.crawl().await;
    check_completed(&crawl);
    check(
        &world.items().await,
        "/docs/a.html: indexed
        /docs/goes.txt: deleted
        /docs/new.txt: indexed
        /docs/notes/b%20&%20c.md: unchanged indexed",
    );
    assert_eq!(crawl.fetched_bytes, ("<p>changed</p>".len() + "new".len()) as u64);
    assert_eq!(world.applied().await.0["/docs/goes.txt"], "delete");
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_protects_what_it_may_hold() {
    let folder = folder();
    let world = world(folder.path()).await;
    check_completed(&world.crawl().await);
    fs::remove_file(folder.path().join("a.html")).unwrap();
    let notes = folder.path().join("notes");
    fs::set_permissions(&notes, fs::Permissions::from_mode(0o000)).unwrap();
    let is_readable = fs::read_dir(&notes).is_ok();
    let crawl = world.crawl().await;
    fs::set_permissions(&notes, fs::Permissions::from_mode(0o700)).unwrap();
    if is_readable {
        // The superuser reads everything.
        return check_completed(&crawl);
    }
    assert!(
        crawl.enumeration.incomplete.contains_key("site.test"),
        "{crawl:?}"
    );
    assert!(!world.items().await.values().any(|fate| fate == "deleted"));
}

#[tokio::test]
async fn a_folder_that_is_not_there_fails_the_crawl_and_deletes_nothing() {
    let folder = folder();
    let world = world(folder.path()).await;
    check_completed(&world.crawl().await);
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).unwrap();
    let crawl = world.crawl().await;
    fs::rename(&away, folder.path()).unwrap();
    assert_eq!(crawl.status, CrawlStatus::Failed);
    assert!(
        crawl
            .reason
            .as_deref()
            .unwrap_or_default()
            .contains("could not be listed"),
        "{crawl:?}"
    );
    assert!(!world.items().await.values().any(|fate| fate == "deleted"));
}

#[tokio::test]
async fn an_incremental_crawl_looks_only_at_what_changed_and_deletes_nothing() {
    let folder = folder();
    let world = world(folder.path()).await;
    check_completed(&world.crawl().await);
    check_completed(&crawl_incrementally(&world).await);
    fs::write(folder.path().join("new.txt"), "new").unwrap();
    fs::remove_file(folder.path().join("a.html")).unwrap();
    let crawl = crawl_incrementally(&world).await;
    check_completed(&crawl);
    assert_eq!((crawl.totals.seen, crawl.totals.new), (1, 1));
    check(
        &world.items().await,
        "/docs/a.html: indexed
        /docs/new.txt: indexed
        /docs/notes/b%20&%20c.md: indexed",
    );
}
