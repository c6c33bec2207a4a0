//! Keys for programs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use model::{OwnerName, Timestamp};
use registry::{KeyId, Keyring, LONGEST_OVERLAP, NewAccount, Registry, RegistryError, Scope, Secret};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

async fn registry() -> (Registry, OwnerName) {
    let registry = Registry::memory(Keyring::random()).unwrap();
    let name: OwnerName = "Alice".parse().unwrap();
    let new = NewAccount {
        name: name.clone(),
        email: None,
        password: None,
        is_operator: false,
    };
    registry.add_account(new, NOW).await.unwrap();
    (registry, name)
}

#[tokio::test]
async fn a_key_is_known_by_itself_alone() {
    let (registry, alice) = registry().await;
    let scopes = vec![Scope::Run, Scope::Data, Scope::Run];
    let issued = registry
        .issue_key(&alice, "nightly", scopes, None, NOW)
        .await
        .unwrap();
    let token = issued.token.reveal();
    assert_eq!(token.len(), 5 + 32);
    assert!(token.starts_with("haul_") && token.starts_with(&issued.key.prefix));
    let known = registry.key(token, NOW).await.unwrap().unwrap();
    assert_eq!(
        (known.id, &known.owner, known.scopes),
        (issued.key.id, &alice, vec![Scope::Data, Scope::Run])
    );
    for guess in [
        "",
        "haul_",
        &token[1..],
        &token.to_uppercase(),
        &issued.key.prefix,
    ] {
        assert_eq!(registry.key(guess, NOW).await.unwrap(), None, "{guess}");
    }
    assert!(!format!("{issued:?}").contains(token));
}

#[tokio::test]
async fn use_is_noted_to_the_hour() {
    let (registry, alice) = registry().await;
    let issued = registry
        .issue_key(&alice, "", vec![Scope::Data], None, NOW)
        .await
        .unwrap();
    let used_at = async || registry.keys(&alice).await.unwrap()[0].used_at;
    assert_eq!(used_at().await, None);
    registry.key(issued.token.reveal(), NOW).await.unwrap();
    assert_eq!(used_at().await, Some(NOW));
    registry
        .key(issued.token.reveal(), NOW.after(HOUR - Duration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(used_at().await, Some(NOW));
    registry
        .key(issued.token.reveal(), NOW.after(HOUR))
        .await
        .unwrap();
    assert_eq!(used_at().await, Some(NOW.after(HOUR)));
}

#[tokio::test]
async fn keys_end_when_they_expire_or_are_revoked() {
    let (registry, alice) = registry().await;
    let end = Some(NOW.after(HOUR));
    let short = registry
        .issue_key(&alice, "", vec![Scope::Data], end, NOW)
        .await
        .unwrap();
    let long = registry
        .issue_key(&alice, "", vec![Scope::Data], None, NOW)
        .await
        .unwrap();
    assert!(registry.key(short.token.reveal(), NOW).await.unwrap().is_some());
    assert_eq!(
        registry.key(short.token.reveal(), NOW.after(HOUR)).await.unwrap(),
        None
    );
    registry.revoke_key(&alice, long.key.id).await.unwrap();
    assert_eq!(registry.key(long.token.reveal(), NOW).await.unwrap(), None);
    let gone = registry.revoke_key(&alice, long.key.id).await;
    assert!(matches!(gone, Err(RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn a_rotated_key_overlaps_with_the_new_one() {
    let (registry, alice) = registry().await;
    let end = Some(NOW.after(100 * HOUR));
    let old = registry
        .issue_key(&alice, "nightly", vec![Scope::Run], end, NOW)
        .await
        .unwrap();
    let later = NOW.after(50 * HOUR);
    let new = registry
        .rotate_key(&alice, old.key.id, 3600, later)
        .await
        .unwrap();
    assert_eq!(
        (new.key.label.as_str(), &new.key.scopes),
        ("nightly", &old.key.scopes)
    );
    assert_eq!(new.key.expires_at, Some(later.after(100 * HOUR)));
    let is_known = async |token: &Secret, now| registry.key(token.reveal(), now).await.unwrap().is_some();
    assert!(is_known(&old.token, later.after(HOUR / 2)).await);
    assert!(!is_known(&old.token, later.after(HOUR)).await);
    assert!(is_known(&new.token, later.after(HOUR)).await);
}

#[tokio::test]
async fn rotation_never_makes_a_key_live_longer() {
    let (registry, alice) = registry().await;
    let end = NOW.after(HOUR);
    let old = registry
        .issue_key(&alice, "", vec![Scope::Run], Some(end), NOW)
        .await
        .unwrap();
    registry
        .rotate_key(&alice, old.key.id, LONGEST_OVERLAP.as_secs(), NOW)
        .await
        .unwrap();
    assert_eq!(registry.keys(&alice).await.unwrap()[1].expires_at, Some(end));
}

#[tokio::test]
async fn ends_that_make_no_sense_are_refused() {
    let (registry, alice) = registry().await;
    let ended = registry
        .issue_key(&alice, "", vec![Scope::Run], Some(NOW), NOW)
        .await;
    assert!(matches!(ended, Err(RegistryError::Invalid(_))));
    let key = registry
        .issue_key(&alice, "", vec![Scope::Run], None, NOW)
        .await
        .unwrap()
        .key;
    let long = LONGEST_OVERLAP.as_secs() + 1;
    let refused = registry.rotate_key(&alice, key.id, long, NOW).await;
    assert!(matches!(refused, Err(RegistryError::Invalid(_))));
    assert_eq!(registry.keys(&alice).await.unwrap(), [key]);
}

#[tokio::test]
async fn keys_of_others_cannot_be_touched() {
    let (registry, alice) = registry().await;
    let issued = registry
        .issue_key(&alice, "", vec![Scope::Run], None, NOW)
        .await
        .unwrap();
    let bob: OwnerName = "bob".parse().unwrap();
    assert!(registry.revoke_key(&bob, issued.key.id).await.is_err());
    assert!(registry.rotate_key(&bob, issued.key.id, 0, NOW).await.is_err());
    assert!(registry.key(issued.token.reveal(), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn an_owner_comes_with_the_first_key() {
    let (registry, _) = registry().await;
    let bob: OwnerName = "bob".parse().unwrap();
    assert!(registry.owner(&bob).await.is_err());
    let issued = registry
        .issue_key(&bob, "", vec![Scope::Data], None, NOW)
        .await
        .unwrap();
    assert_eq!(issued.key.owner, bob);
    assert_eq!(registry.owner(&bob).await.unwrap().name, bob);
}

#[tokio::test]
async fn keys_from_morph_go_on_working() {
    let (registry, alice) = registry().await;
    let token = "j8Xl0cgkCHSQGlLAKPGX";
    let import = async |token: &str| {
        registry
            .import_key(&alice, "from morph", Secret::new(token), vec![Scope::Data], NOW)
            .await
    };
    let key = import(token).await.unwrap();
    assert_eq!(key.prefix, "j8Xl");
    assert_eq!(registry.key(token, NOW).await.unwrap().unwrap().id, key.id);
    assert!(matches!(import(token).await, Err(RegistryError::Exists { .. })));
    assert!(matches!(
        import("too short").await,
        Err(RegistryError::Invalid(_))
    ));
}

#[tokio::test]
async fn there_is_an_end_to_keys_and_labels() {
    let (registry, alice) = registry().await;
    let issue = async |label: &str, scopes| registry.issue_key(&alice, label, scopes, None, NOW).await;
    assert!(matches!(
        issue("a\nb", vec![Scope::Data]).await,
        Err(RegistryError::Invalid(_))
    ));
    assert!(matches!(
        issue(&"x".repeat(201), vec![Scope::Data]).await,
        Err(RegistryError::Invalid(_))
    ));
    assert!(matches!(issue("", vec![]).await, Err(RegistryError::Invalid(_))));
    for _ in 0..100 {
        issue("", vec![Scope::Data]).await.unwrap();
    }
    assert!(matches!(
        issue("", vec![Scope::Data]).await,
        Err(RegistryError::Invalid(_))
    ));
    let newest = registry.keys(&alice).await.unwrap()[0].id;
    registry.revoke_key(&alice, newest).await.unwrap();
    assert!(
        issue("", vec![Scope::Data]).await.unwrap().key.id > newest,
        "numbers are not given twice"
    );
    assert_ne!(newest, KeyId(0));
}
