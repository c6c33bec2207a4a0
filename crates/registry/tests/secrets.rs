//! Secrets: sealed, bound to their names, sealed anew; and nothing of them in any file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use model::{ScraperId, Timestamp};
use registry::{
    Event, Keyring, KeyringError, NewAccount, NewScraper, Origin, Registry, RegistryError, Scope,
    ScraperSettings, Secret, SecretName, SignIn,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Files {
    _folder: tempfile::TempDir,
    database: PathBuf,
    keyring: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            database: folder.path().join("registry.sqlite"),
            keyring: folder.path().join("keyring"),
            _folder: folder,
        }
    }

    fn open(&self) -> Registry {
        Registry::open(&self.database, Keyring::open(&self.keyring).unwrap()).unwrap()
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.database).unwrap()
    }

    fn keys(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.keyring).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn scraper(text: &str) -> ScraperId {
    text.parse().unwrap()
}

fn secret_name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

async fn add_scraper(registry: &Registry, text: &str) -> ScraperId {
    let new = NewScraper {
        id: scraper(text),
        origin: Origin::Git {
            url: "https://git.example.org/a".to_owned(),
            reference: None,
        },
        settings: ScraperSettings::default(),
    };
    registry.add_scraper(new, NOW).await.unwrap().id
}

async fn set(registry: &Registry, scraper: &ScraperId, name: &str, value: &str) {
    let name = secret_name(name);
    registry
        .set_secret(scraper, &name, Secret::new(value))
        .await
        .unwrap();
}

async fn reveal(registry: &Registry, scraper: &ScraperId) -> Vec<(String, String)> {
    let secrets = registry.secrets(scraper).await.unwrap();
    let plain = |(name, secret): (SecretName, Secret)| (String::from(name), secret.reveal().to_owned());
    secrets.into_iter().map(plain).collect()
}

#[tokio::test]
async fn secrets_come_back_in_order_under_any_spelling_of_the_scraper() {
    let registry = Registry::memory(Keyring::random()).unwrap();
    let id = add_scraper(&registry, "Alice/Parks").await;
    set(&registry, &id, "MORPH_B", "second, é").await;
    set(&registry, &scraper("alice/parks"), "MORPH_A", "first").await;
    set(&registry, &id, "MORPH_B", "").await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [pair("MORPH_A", "first"), pair("MORPH_B", "")];
    assert_eq!(reveal(&registry, &scraper("ALICE/PARKS")).await, expected);
    registry
        .remove_secret(&id, &secret_name("MORPH_A"))
        .await
        .unwrap();
    assert_eq!(
        registry.secret_names(&id).await.unwrap(),
        [secret_name("MORPH_B")]
    );
    let gone = registry.remove_secret(&id, &secret_name("MORPH_A")).await;
    assert!(matches!(gone, Err(RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn what_cannot_be_a_secret_is_refused() {
    let registry = Registry::memory(Keyring::random()).unwrap();
    let id = add_scraper(&registry, "alice/parks").await;
    for name in [
        "",
        "MORPH_",
        "PATH",
        "morph_a",
        "MORPH_A-B",
        "MORPH_=",
        &format!("MORPH_{}", "A".repeat(95)),
    ] {
        assert!(SecretName::new(name).is_err(), "{name}");
    }
    for value in ["a\0b", &"x".repeat((32 << 10) + 1)] {
        let refused = registry
            .set_secret(&id, &secret_name("MORPH_A"), Secret::new(value))
            .await;
        assert!(matches!(refused, Err(RegistryError::Invalid(_))));
    }
    let nowhere = registry
        .set_secret(&scraper("alice/lakes"), &secret_name("MORPH_A"), Secret::new("a"))
        .await;
    assert!(matches!(nowhere, Err(RegistryError::NotFound { .. })));
    for number in 0..100 {
        set(&registry, &id, &format!("MORPH_{number}"), "a").await;
    }
    let too_many = registry
        .set_secret(&id, &secret_name("MORPH_X"), Secret::new("a"))
        .await;
    assert!(matches!(too_many, Err(RegistryError::Invalid(_))));
    set(&registry, &id, "MORPH_1", "b").await;
}

#[tokio::test]
async fn no_file_holds_a_secret_in_clear() {
    let files = Files::new();
    let registry = files.open();
    let id = add_scraper(&registry, "alice/parks").await;
    set(&registry, &id, "MORPH_TOKEN", "the secret itself").await;
    let (_, webhook_key) = registry
        .add_webhook(&id, "https://example.org/", vec![Event::Finished], NOW)
        .await
        .unwrap();
    let new = NewAccount {
        name: "bob".parse().unwrap(),
        email: None,
        password: Some(Secret::new("the password itself")),
        is_operator: false,
    };
    let bob = registry.add_account(new, NOW).await.unwrap().name;
    let SignIn::Done(session, _) = registry
        .sign_in("bob", Secret::new("the password itself"), NOW)
        .await
        .unwrap()
    else {
        panic!("the password is right")
    };
    let api_key = registry
        .issue_key(&bob, "", vec![Scope::Data], None, NOW)
        .await
        .unwrap()
        .token;
    let imported = Secret::new("a key from morph.io, 30 bytes!");
    registry
        .import_key(&bob, "", imported.clone(), vec![Scope::Data], NOW)
        .await
        .unwrap();
    let hidden = [
        "the secret itself",
        "the password itself",
        webhook_key.reveal(),
        session.reveal(),
        api_key.reveal(),
        imported.reveal(),
    ];
    for suffix in ["", "-wal"] {
        let path = PathBuf::from(format!("{}{suffix}", files.database.display()));
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.is_empty());
        for secret in hidden {
            assert!(
                !contains(&bytes, secret.as_bytes()),
                "{secret} is in {}",
                path.display()
            );
        }
    }
    assert_eq!(format!("{:?}", Secret::new("the secret itself")), "Secret(..)");
    let hash: String = files
        .sql()
        .query_row("SELECT password FROM accounts", [], |row| row.get(0))
        .unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_sealed_value_opens_only_where_it_was_put() {
    let files = Files::new();
    let registry = files.open();
    let (parks, lakes) = (
        add_scraper(&registry, "alice/parks").await,
        add_scraper(&registry, "bob/lakes").await,
    );
    set(&registry, &parks, "MORPH_A", "of alice").await;
    set(&registry, &parks, "MORPH_B", "of alice too").await;
    set(&registry, &lakes, "MORPH_A", "of bob").await;
    let value = "(SELECT value FROM secrets WHERE scraper = 'alice/parks' AND name = 'MORPH_A')";
    for (scraper, key, name) in [
        (&lakes, "bob/lakes", "MORPH_A"),
        (&parks, "alice/parks", "MORPH_B"),
    ] {
        let moved = format!("UPDATE secrets SET value = {value} WHERE scraper = '{key}' AND name = '{name}'");
        files.sql().execute(&moved, []).unwrap();
        let forged = registry.secrets(scraper).await.unwrap_err();
        assert!(
            matches!(forged, RegistryError::Keyring(KeyringError::Forged)),
            "{forged}"
        );
    }
}

#[tokio::test]
async fn changed_records_are_refused_not_shown() {
    let files = Files::new();
    let registry = files.open();
    let id = add_scraper(&registry, "alice/parks").await;
    set(&registry, &id, "MORPH_A", "value").await;
    let sealed: String = files
        .sql()
        .query_row("SELECT value FROM secrets", [], |row| row.get(0))
        .unwrap();
    let flipped = format!("{}{}", &sealed[..sealed.len() - 6], "AAAAAA");
    let (number, rest) = sealed.split_once(':').unwrap();
    for record in [
        "",
        number,
        &format!("{number}:"),
        &format!("{number}:AAAA"),
        &format!("{number}:?"),
        "x:AAAA",
        "99999999999:AAAA",
        &flipped,
        &format!("{number}0:{rest}"),
    ] {
        files
            .sql()
            .execute("UPDATE secrets SET value = ?1", [record])
            .unwrap();
        let refused = registry.secrets(&id).await.unwrap_err();
        assert!(
            matches!(refused, RegistryError::Keyring(_)),
            "{record}: {refused}"
        );
    }
}

#[tokio::test]
async fn rotation_seals_everything_anew() {
    let files = Files::new();
    let registry = files.open();
    let other = files.open();
    let id = add_scraper(&registry, "alice/parks").await;
    set(&registry, &id, "MORPH_A", "value").await;
    registry
        .add_webhook(&id, "https://example.org/", vec![Event::Finished], NOW)
        .await
        .unwrap();
    let first = files.keys().remove(0);
    assert_eq!(registry.rotate_sealing_key().await.unwrap(), 2);
    assert_eq!(files.keys().len(), 2);
    set(&other, &id, "MORPH_B", "by a process that was there before").await;
    assert_eq!(other.drop_unused_keys().await.unwrap(), 1);
    let number = |line: &str| line.split_once(' ').unwrap().0.parse::<u32>().unwrap();
    assert_eq!(number(&files.keys()[0]), number(&first) + 1);
    assert_eq!(reveal(&files.open(), &id).await.len(), 2);
    assert_eq!(registry.rotate_sealing_key().await.unwrap(), 3);
}

#[tokio::test]
async fn a_crash_while_rotating_loses_nothing() {
    let files = Files::new();
    let registry = files.open();
    let id = add_scraper(&registry, "alice/parks").await;
    set(&registry, &id, "MORPH_A", "value").await;
    let before = files.sql();
    before
        .execute_batch("CREATE TABLE kept AS SELECT * FROM secrets")
        .unwrap();
    registry.rotate_sealing_key().await.unwrap();
    // As if the process had died after it wrote the keyring and before it committed.
    before
        .execute_batch("DELETE FROM secrets; INSERT INTO secrets SELECT * FROM kept")
        .unwrap();
    assert_eq!(registry.drop_unused_keys().await.unwrap(), 0);
    assert_eq!(reveal(&registry, &id).await[0].1, "value");
    registry.rotate_sealing_key().await.unwrap();
    assert_eq!(registry.drop_unused_keys().await.unwrap(), 2);
    assert_eq!(reveal(&files.open(), &id).await[0].1, "value");
}

#[tokio::test]
async fn a_rotation_that_fails_changes_nothing() {
    let files = Files::new();
    let registry = files.open();
    let id = add_scraper(&registry, "alice/parks").await;
    set(&registry, &id, "MORPH_A", "value").await;
    let keys = files.keys();
    let number = keys[0].split_once(' ').unwrap().0;
    files
        .sql()
        .execute("UPDATE secrets SET value = ?1", [format!("{number}:AAAA")])
        .unwrap();
    for _ in 0..3 {
        assert!(registry.rotate_sealing_key().await.is_err());
    }
    assert_eq!(files.keys(), keys);
}

#[tokio::test]
async fn a_full_keyring_stays_readable() {
    let files = Files::new();
    let registry = files.open();
    let (number, key) = {
        let first = files.keys().remove(0);
        let (number, key) = first.split_once(' ').unwrap();
        (number.parse::<u32>().unwrap(), key.to_owned())
    };
    let full: String = (number..number + 1000)
        .map(|number| format!("{number} {key}\n"))
        .collect();
    std::fs::write(&files.keyring, full).unwrap();
    let refused = registry.rotate_sealing_key().await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::Keyring(KeyringError::Full)),
        "{refused}"
    );
    assert_eq!(registry.drop_unused_keys().await.unwrap(), 999);
    registry.rotate_sealing_key().await.unwrap();
}

#[tokio::test]
async fn a_missing_key_is_named() {
    let files = Files::new();
    let registry = files.open();
    let id = add_scraper(&registry, "alice/parks").await;
    set(&registry, &id, "MORPH_A", "value").await;
    let kept = std::fs::read(&files.keyring).unwrap();
    std::fs::remove_file(&files.keyring).unwrap();
    let lost = registry.secrets(&id).await.unwrap_err();
    assert!(
        matches!(lost, RegistryError::Keyring(KeyringError::Io { .. })),
        "{lost}"
    );
    let another = Keyring::open(&files.keyring).unwrap();
    let registry = Registry::open(&files.database, another).unwrap();
    let unknown = registry.secrets(&id).await.unwrap_err();
    assert!(
        matches!(unknown, RegistryError::Keyring(KeyringError::UnknownKey(_))),
        "{unknown}"
    );
    std::fs::write(&files.keyring, kept).unwrap();
    assert_eq!(reveal(&registry, &id).await[0].1, "value");
}

#[test]
fn the_keyring_is_private_and_never_guessed_at() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    Keyring::open(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(files_in(folder.path()), 1);
    let whole = std::fs::read_to_string(&path).unwrap();
    let doubled = format!("{whole}{whole}");
    for damaged in [
        "",
        "1",
        "1 ",
        "1 AAAA\n",
        &whole[..whole.len() - 5],
        &format!("x{whole}"),
        &doubled,
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert!(
            matches!(Keyring::open(&path), Err(KeyringError::Damaged(_))),
            "{damaged:?}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Keyring::open(&path), Err(KeyringError::Exposed(_))));
    }
    let nowhere = Keyring::open(&folder.path().join("missing/keyring"));
    assert!(matches!(nowhere, Err(KeyringError::Io { .. })));
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn processes_that_start_together_agree_on_one_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Keyring::open(&path).unwrap());
        }
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    assert_eq!(files_in(folder.path()), 1);
}
