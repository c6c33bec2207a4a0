use model::Checksum;
use registry::{Origin, RegistryError, ScraperFilter, ScraperSettings};

use crate::world::{World, id};

#[tokio::test]
async fn names_are_kept_as_written_and_found_in_any_case() {
    let world = World::new();
    world.add("Ann/Bus", ScraperSettings::default()).await;
    assert_eq!(world.scraper(&id("ann/bus")).await.id.to_string(), "Ann/Bus");
    let again = world.try_add("ANN/BUS", ScraperSettings::default()).await;
    assert!(matches!(again, Err(RegistryError::Exists { .. })));
    assert_eq!(
        world
            .try_add("ann/train", ScraperSettings::default())
            .await
            .unwrap()
            .id
            .to_string(),
        "Ann/train"
    );
}

#[tokio::test]
async fn names_become_what_was_written_first() {
    let world = World::new();
    world.add("Ann/Bus", ScraperSettings::default()).await;
    for (typed, expected) in [
        ("ann/BUS", "Ann/Bus"),
        ("ANN/Tram", "Ann/Tram"),
        ("Bob/Tram", "Bob/Tram"),
    ] {
        let canonical = world.registry.canonical(&id(typed)).await.unwrap();
        assert_eq!(canonical.to_string(), expected);
    }
}

#[tokio::test]
async fn other_code_leaves_the_settings_that_are_in_force() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let before = world.scraper(&bus).await;
    let settings = ScraperSettings {
        public: true,
        ..ScraperSettings::default()
    };
    let changed =
        world
            .registry
            .change_scraper(&bus, before.origin.clone(), settings.clone(), Some(1), world.now);
    assert_eq!(changed.await.unwrap().configuration, 2);
    let upload = Origin::Upload {
        checksum: Checksum::of(b"tar"),
    };
    for replaced in [Some(before.origin), None] {
        let set = world.registry.set_origin(&bus, upload.clone(), world.now).await;
        assert_eq!(set.unwrap(), replaced);
        let after = world.scraper(&bus).await;
        assert_eq!((&after.settings, &after.origin), (&settings, &upload));
        assert_eq!(after.configuration, 3);
    }
}

#[tokio::test]
async fn who_looked_before_somebody_elses_change_is_refused() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let seen = world.scraper(&bus).await;
    let change = async |description: &str, expected| {
        let settings = ScraperSettings {
            description: description.to_owned(),
            ..ScraperSettings::default()
        };
        let origin = seen.origin.clone();
        let changed = world
            .registry
            .change_scraper(&bus, origin, settings, expected, world.now);
        changed.await
    };
    change("first", Some(seen.configuration)).await.unwrap();
    let refused = change("second", Some(seen.configuration)).await;
    assert!(matches!(refused, Err(RegistryError::ChangedMeanwhile { .. })));
    assert_eq!(world.scraper(&bus).await.settings.description, "first");
    assert_eq!(change("first", None).await.unwrap().configuration, 2);
    assert_eq!(change("third", None).await.unwrap().configuration, 3);
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let world = World::new();
    let check = async |change: fn(&mut ScraperSettings)| {
        let mut settings = ScraperSettings::default();
        change(&mut settings);
        world.try_add("ann/bus", settings).await.unwrap_err().to_string()
    };
    assert!(
        check(|it| it.schedule = Some("sometimes".into()))
            .await
            .contains("is not a schedule")
    );
    assert!(
        check(|it| it.limits.memory_mib = 0)
            .await
            .contains("memory_mib is 0")
    );
    assert!(check(|it| it.keep_versions = 0).await.contains("keep 1 to 1,000"));
    assert!(
        check(|it| it.after = Some(id("Ann/Bus")))
            .await
            .contains("after itself")
    );
    assert!(
        check(|it| it.after = Some(id("ann/none")))
            .await
            .contains("no scraper ann/none")
    );
}

#[tokio::test]
async fn addresses_of_repositories_hide_no_options_and_no_passwords() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let try_url = async |url: &str, reference: Option<&str>| {
        let origin = Origin::Git {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
        };
        let changed =
            world
                .registry
                .change_scraper(&bus, origin, ScraperSettings::default(), None, world.now);
        changed.await.is_ok()
    };
    assert!(try_url("https://git.example/bus.git", Some("main")).await);
    assert!(try_url("git@git.example:ann/bus.git", None).await);
    assert!(!try_url("--upload-pack=touch", None).await);
    assert!(!try_url("https://git.example/bus.git", Some("-x")).await);
    assert!(!try_url("https://ann:pass@git.example/bus.git", None).await);
    assert!(!try_url("https://t0ken@git.example/bus.git", None).await);
}

#[tokio::test]
async fn lists_are_in_order_by_page_by_owner_and_by_text() {
    let world = World::new();
    for name in ["ann/bus", "bob/tram", "ann/train"] {
        let description = format!("100% of {name}");
        let settings = ScraperSettings {
            description,
            ..ScraperSettings::default()
        };
        world.add(name, settings).await;
    }
    let list = async |filter: ScraperFilter| {
        let found = world.registry.scrapers(filter).await.unwrap();
        found
            .iter()
            .map(|scraper| scraper.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list(ScraperFilter::default()).await,
        ["ann/bus", "ann/train", "bob/tram"]
    );
    let of_ann = ScraperFilter {
        owner: Some("Ann".parse().unwrap()),
        ..ScraperFilter::default()
    };
    assert_eq!(list(of_ann).await, ["ann/bus", "ann/train"]);
    let page = ScraperFilter {
        after: Some(id("ann/bus")),
        limit: 1,
        ..ScraperFilter::default()
    };
    assert_eq!(list(page).await, ["ann/train"]);
    let text = |text: &str| ScraperFilter {
        text: Some(text.into()),
        ..ScraperFilter::default()
    };
    assert_eq!(list(text("TR")).await, ["ann/train", "bob/tram"]);
    assert_eq!(list(text("100%")).await.len(), 3);
    assert_eq!(list(text("1%s")).await.len(), 0);
}

#[tokio::test]
async fn a_schedule_that_stays_keeps_its_turn() {
    let mut world = World::new();
    let settings = ScraperSettings {
        schedule: Some("cron 0 3 * * * Europe/Oslo".into()),
        ..ScraperSettings::default()
    };
    let bus = world.add("ann/bus", settings.clone()).await;
    let before = world.scraper(&bus).await;
    world.wait(3600);
    let change = async |settings: ScraperSettings| {
        let changed = world
            .registry
            .change_scraper(&bus, before.origin.clone(), settings, None, world.now);
        changed.await.unwrap().due_at
    };
    let mut described = settings.clone();
    described.description = "buses".into();
    assert_eq!(change(described).await, before.due_at);
    let hourly = ScraperSettings {
        schedule: Some("hourly".into()),
        ..settings.clone()
    };
    assert!(change(hourly).await < before.due_at);
    let never = ScraperSettings {
        schedule: None,
        ..settings
    };
    assert_eq!(change(never).await, None);
}
