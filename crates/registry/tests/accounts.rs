//! People: accounts, passwords, sessions, identities, organisations.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use model::{OwnerName, Timestamp};
use registry::{
    Account, AccountChange, Identity, Keyring, NewAccount, OwnerKind, Registry, RegistryError, Scope, Secret,
    SignIn,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
const PASSWORD: &str = "correct horse battery";

fn registry() -> Registry {
    Registry::memory(Keyring::random()).unwrap()
}

fn name(text: &str) -> OwnerName {
    text.parse().unwrap()
}

fn new_account(text: &str) -> NewAccount {
    NewAccount {
        name: name(text),
        email: Some(format!("{text}@example.org")),
        password: Some(Secret::new(PASSWORD)),
        is_operator: false,
    }
}

async fn add(registry: &Registry, text: &str) -> Account {
    registry.add_account(new_account(text), NOW).await.unwrap()
}

async fn try_password(registry: &Registry, who: &str, password: &str, now: Timestamp) -> SignIn {
    registry.sign_in(who, Secret::new(password), now).await.unwrap()
}

async fn signed_in(registry: &Registry, who: &str, now: Timestamp) -> Secret {
    match try_password(registry, who, PASSWORD, now).await {
        SignIn::Done(token, _) => token,
        other => panic!("{other:?}"),
    }
}

fn disabled(is_disabled: bool) -> AccountChange {
    AccountChange {
        is_disabled: Some(is_disabled),
        ..AccountChange::default()
    }
}

fn operator(is_operator: bool) -> AccountChange {
    AccountChange {
        is_operator: Some(is_operator),
        ..AccountChange::default()
    }
}

fn nothing_reserved(_: &str) -> bool {
    false
}

async fn has_session(registry: &Registry, token: &Secret, now: Timestamp) -> bool {
    registry.session(token, now).await.unwrap().is_some()
}

#[tokio::test]
async fn a_name_is_taken_once_however_it_is_written() {
    let registry = registry();
    let account = add(&registry, "Alice").await;
    assert_eq!(account.name, name("Alice"));
    assert!(account.has_password && account.wants_mail && !account.is_operator);
    let again = registry.add_account(new_account("ALICE"), NOW).await.unwrap_err();
    assert!(matches!(again, RegistryError::Exists { .. }), "{again}");
    assert_eq!(registry.account(&name("alice")).await.unwrap(), account);
    assert_eq!(
        registry.owner(&name("alice")).await.unwrap().kind,
        OwnerKind::Person
    );
}

#[tokio::test]
async fn bad_passwords_and_addresses_are_refused() {
    let registry = registry();
    for password in ["short", "elevenbytes", &"x".repeat(1025)] {
        let mut new = new_account("alice");
        new.password = Some(Secret::new(password));
        let refused = registry.add_account(new, NOW).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Invalid(_)), "{refused}");
    }
    for email in [
        "",
        "alice",
        "a@b@c",
        "a@b\r\nBcc: all@example.org",
        "a b@c",
        "<a@b>",
        &format!("a@{}", "b".repeat(254)),
    ] {
        let mut new = new_account("alice");
        new.email = Some(email.to_owned());
        let refused = registry.add_account(new, NOW).await.unwrap_err();
        assert!(
            matches!(refused, RegistryError::Invalid(_)),
            "{email:?}: {refused}"
        );
    }
    assert_eq!(registry.accounts().await.unwrap(), []);
}

#[tokio::test]
async fn signing_in_gives_a_session_that_slides() {
    let registry = registry();
    let alice = add(&registry, "alice").await;
    let token = signed_in(&registry, "ALICE", NOW).await;
    let later = NOW.after(29 * DAY);
    let session = registry.session(&token, later).await.unwrap().unwrap();
    assert_eq!(session.account, alice);
    assert_eq!(session.expires_at, later.after(30 * DAY));
    assert!(has_session(&registry, &token, later.after(29 * DAY)).await);
    assert!(!has_session(&registry, &token, later.after(60 * DAY)).await);
}

#[tokio::test]
async fn signing_out_ends_one_session() {
    let registry = registry();
    add(&registry, "alice").await;
    let (here, there) = (
        signed_in(&registry, "alice", NOW).await,
        signed_in(&registry, "alice", NOW).await,
    );
    registry.sign_out(&here).await.unwrap();
    assert!(!has_session(&registry, &here, NOW).await);
    assert!(has_session(&registry, &there, NOW).await);
    assert!(!has_session(&registry, &Secret::new("guess"), NOW).await);
}

#[tokio::test]
async fn the_wrong_password_and_the_unknown_name_look_alike() {
    let registry = registry();
    add(&registry, "alice").await;
    for who in ["alice", "nobody", "not a name", ""] {
        for tries in 1..=10 {
            let outcome = try_password(&registry, who, "wrong password", NOW).await;
            assert!(matches!(outcome, SignIn::Wrong), "{who} {tries} {outcome:?}");
            if !matches!(who, "alice" | "nobody") {
                break;
            }
        }
    }
    for who in ["alice", "nobody"] {
        let outcome = try_password(&registry, who, PASSWORD, NOW).await;
        let minute = NOW.after(Duration::from_secs(60));
        assert!(
            matches!(outcome, SignIn::TooMany(until) if until == minute),
            "{who} {outcome:?}"
        );
    }
}

#[tokio::test]
async fn waiting_or_the_right_password_ends_the_waiting() {
    let registry = registry();
    add(&registry, "alice").await;
    for _ in 0..10 {
        try_password(&registry, "alice", "wrong password", NOW).await;
    }
    let later = NOW.after(Duration::from_secs(61));
    try_password(&registry, "alice", "wrong password", later).await;
    let blocked = try_password(&registry, "alice", PASSWORD, later).await;
    let two_minutes = later.after(Duration::from_secs(120));
    assert!(
        matches!(blocked, SignIn::TooMany(until) if until == two_minutes),
        "{blocked:?}"
    );
    signed_in(&registry, "alice", two_minutes).await;
    for _ in 0..9 {
        let outcome = try_password(&registry, "alice", "wrong password", two_minutes).await;
        assert!(matches!(outcome, SignIn::Wrong), "{outcome:?}");
    }
}

#[tokio::test]
async fn many_tries_at_one_time_count_each() {
    let registry = registry();
    add(&registry, "alice").await;
    let tries = (0..14).map(|_| {
        let registry = registry.clone();
        tokio::spawn(async move { try_password(&registry, "alice", "wrong password", NOW).await })
    });
    let mut refused = 0;
    for one in tries.collect::<Vec<_>>() {
        refused += u32::from(matches!(one.await.unwrap(), SignIn::TooMany(_)));
    }
    assert_eq!(refused, 4);
}

#[tokio::test]
async fn a_disabled_account_is_shut_out_everywhere() {
    let registry = registry();
    let alice = add(&registry, "alice").await;
    let token = signed_in(&registry, "alice", NOW).await;
    let identity = Identity {
        provider: "github".to_owned(),
        subject: "1".to_owned(),
    };
    registry
        .add_identity(&alice.name, identity.clone())
        .await
        .unwrap();
    let key = registry
        .issue_key(&alice.name, "", vec![Scope::Data], None, NOW)
        .await
        .unwrap();
    registry
        .change_account(&alice.name, disabled(true))
        .await
        .unwrap();
    assert!(!has_session(&registry, &token, NOW).await);
    assert!(matches!(
        try_password(&registry, "alice", PASSWORD, NOW).await,
        SignIn::Wrong
    ));
    assert!(
        registry
            .sign_in_as(identity, "alice", None, true, nothing_reserved, NOW)
            .await
            .is_err()
    );
    assert_eq!(registry.key(key.token.reveal(), NOW).await.unwrap(), None);
    registry
        .change_account(&alice.name, disabled(false))
        .await
        .unwrap();
    assert!(!has_session(&registry, &token, NOW).await);
    assert!(registry.key(key.token.reveal(), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn another_password_ends_every_session() {
    let registry = registry();
    let alice = add(&registry, "alice").await;
    let token = signed_in(&registry, "alice", NOW).await;
    registry
        .set_password(&alice.name, Secret::new("another long one"))
        .await
        .unwrap();
    assert!(!has_session(&registry, &token, NOW).await);
    assert!(matches!(
        try_password(&registry, "alice", PASSWORD, NOW).await,
        SignIn::Wrong
    ));
    let outcome = try_password(&registry, "alice", "another long one", NOW).await;
    assert!(matches!(outcome, SignIn::Done(..)), "{outcome:?}");
    let missing = registry
        .set_password(&name("bob"), Secret::new("another long one"))
        .await;
    assert!(matches!(missing, Err(RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn the_last_operator_stays_one() {
    let registry = registry();
    let mut new = new_account("alice");
    new.is_operator = true;
    let alice = registry.add_account(new, NOW).await.unwrap();
    let bob = add(&registry, "bob").await;
    for change in [disabled(true), operator(false)] {
        let refused = registry.change_account(&alice.name, change).await;
        assert!(matches!(refused, Err(RegistryError::Invalid(_))));
    }
    registry.change_account(&bob.name, operator(true)).await.unwrap();
    let demoted = registry.change_account(&alice.name, operator(false)).await;
    assert!(!demoted.unwrap().is_operator);
}

#[tokio::test]
async fn a_change_touches_only_what_it_names() {
    let registry = registry();
    let alice = add(&registry, "alice").await;
    registry
        .change_account(&alice.name, disabled(true))
        .await
        .unwrap();
    let mail = AccountChange {
        email: Some(None),
        wants_mail: Some(false),
        ..AccountChange::default()
    };
    let changed = registry.change_account(&alice.name, mail).await.unwrap();
    let expected = Account {
        email: None,
        wants_mail: false,
        is_disabled: true,
        ..alice
    };
    assert_eq!(changed, expected);
    assert_eq!(registry.account(&expected.name).await.unwrap(), expected);
    let nobody = registry.change_account(&name("bob"), disabled(true)).await;
    assert!(matches!(nobody, Err(RegistryError::NotFound { .. })));
}

/// Only four passwords are looked at at a time, so that of nine some come after the change, which is the first in the line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_changed_meanwhile_opens_no_session() {
    let registry = registry();
    let alice = add(&registry, "alice").await;
    let tries = sign_ins(&registry, 9);
    let change = registry.set_password(&alice.name, Secret::new("another long one"));
    let (changed, tries) = tokio::join!(change, tries);
    changed.unwrap();
    for tried in tries {
        if let SignIn::Done(token, _) = tried {
            assert!(!has_session(&registry, &token, NOW).await);
        }
    }
}

/// So many who sign in at one time with the password as it is now.
async fn sign_ins(registry: &Registry, count: usize) -> Vec<SignIn> {
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..count {
        let registry = registry.clone();
        tries.spawn(async move { try_password(&registry, "alice", PASSWORD, NOW).await });
    }
    tries.join_all().await
}

#[tokio::test]
async fn who_comes_from_a_provider_gets_a_free_name_and_keeps_it() {
    let registry = registry();
    add(&registry, "alice").await;
    let identity = |subject: &str| Identity {
        provider: "github".to_owned(),
        subject: subject.to_owned(),
    };
    let stranger = registry
        .sign_in_as(identity("1"), "alice", None, false, nothing_reserved, NOW)
        .await;
    assert!(matches!(stranger, Err(RegistryError::NotFound { .. })));
    let email = Some("al@example.org".to_owned());
    let (token, account) = registry
        .sign_in_as(identity("1"), "Alice", email, true, nothing_reserved, NOW)
        .await
        .unwrap();
    assert_eq!(account.name, name("Alice-2"));
    assert!(!account.has_password && !account.is_operator);
    assert!(has_session(&registry, &token, NOW).await);
    let (_, again) = registry
        .sign_in_as(identity("1"), "renamed", None, false, nothing_reserved, NOW)
        .await
        .unwrap();
    assert_eq!(again, account);
    let (_, odd) = registry
        .sign_in_as(identity("2"), "../日本!", None, true, nothing_reserved, NOW)
        .await
        .unwrap();
    assert_eq!(odd.name, name("person"));
    let taken = registry.add_identity(&name("alice"), identity("2")).await;
    assert!(matches!(taken, Err(RegistryError::Exists { .. })));
    assert!(matches!(
        try_password(&registry, "Alice-2", "no password here", NOW).await,
        SignIn::Wrong
    ));
}

#[tokio::test]
async fn an_identity_is_taken_away_unless_it_is_the_last_way_in() {
    let registry = registry();
    let identity = |subject: &str| Identity {
        provider: "github".to_owned(),
        subject: subject.to_owned(),
    };
    let (_, account) = registry
        .sign_in_as(identity("1"), "alice", None, true, nothing_reserved, NOW)
        .await
        .unwrap();
    let alice = account.name;
    registry.add_identity(&alice, identity("2")).await.unwrap();
    let known = async || registry.identities(&alice).await.unwrap();
    assert_eq!(known().await, [identity("1"), identity("2")]);
    registry.remove_identity(&alice, identity("1")).await.unwrap();
    let last = registry.remove_identity(&alice, identity("2")).await;
    assert!(matches!(last, Err(RegistryError::Invalid(_))));
    assert_eq!(known().await, [identity("2")]);
    registry
        .set_password(&alice, Secret::new(PASSWORD))
        .await
        .unwrap();
    let of_others = registry.remove_identity(&name("bob"), identity("2")).await;
    assert!(matches!(of_others, Err(RegistryError::NotFound { .. })));
    registry.remove_identity(&alice, identity("2")).await.unwrap();
    assert_eq!(known().await, []);
}

#[tokio::test]
async fn reserved_names_are_judged_as_they_become() {
    let registry = registry();
    let is_reserved: fn(&str) -> bool = |name| name == "api";
    for (wanted, expected) in [("_api", "api-2"), ("a pi", "api-3"), ("apis", "apis")] {
        let identity = Identity {
            provider: "oidc".to_owned(),
            subject: wanted.to_owned(),
        };
        let (_, account) = registry
            .sign_in_as(identity, wanted, None, true, is_reserved, NOW)
            .await
            .unwrap();
        assert_eq!(account.name, name(expected), "{wanted}");
    }
}

#[tokio::test]
async fn members_manage_what_their_organisation_owns() {
    let registry = registry();
    let (alice, bob) = (add(&registry, "alice").await, add(&registry, "bob").await);
    let council = name("Council");
    let owner = registry
        .set_organisation(&council, vec![name("ALICE"), name("alice")], NOW)
        .await
        .unwrap();
    assert_eq!(
        (owner.kind, owner.members),
        (OwnerKind::Organisation, vec![name("alice")])
    );
    assert!(registry.may_manage(&alice, &name("council")).await.unwrap());
    assert!(!registry.may_manage(&bob, &council).await.unwrap());
    assert!(registry.may_manage(&bob, &name("BOB")).await.unwrap());
    assert!(
        registry
            .may_manage(
                &Account {
                    is_operator: true,
                    ..bob.clone()
                },
                &council
            )
            .await
            .unwrap()
    );
    registry
        .set_organisation(&council, vec![name("bob")], NOW)
        .await
        .unwrap();
    assert!(!registry.may_manage(&alice, &council).await.unwrap());
}

#[tokio::test]
async fn organisations_are_listed_with_their_members_and_by_member() {
    let registry = registry();
    for person in ["bob", "Alice"] {
        add(&registry, person).await;
    }
    for (organisation, members) in [
        ("Parks", vec![name("bob")]),
        ("council", vec![name("bob"), name("alice")]),
        ("empty", vec![]),
    ] {
        registry
            .set_organisation(&name(organisation), members, NOW)
            .await
            .unwrap();
    }
    let all = registry.organisations().await.unwrap();
    let all: Vec<_> = all.into_iter().map(|owner| (owner.name, owner.members)).collect();
    let expected = [
        (name("council"), vec![name("Alice"), name("bob")]),
        (name("empty"), vec![]),
        (name("Parks"), vec![name("bob")]),
    ];
    assert_eq!(all, expected);
    let of_bob = registry.organisations_of(&name("BOB")).await.unwrap();
    assert_eq!(of_bob, [name("council"), name("Parks")]);
}

#[tokio::test]
async fn organisations_and_people_do_not_share_names() {
    let registry = registry();
    add(&registry, "alice").await;
    let taken = registry.set_organisation(&name("alice"), vec![], NOW).await;
    assert!(matches!(taken, Err(RegistryError::Exists { .. })));
    registry
        .set_organisation(&name("council"), vec![], NOW)
        .await
        .unwrap();
    let taken = registry.add_account(new_account("council"), NOW).await;
    assert!(matches!(taken, Err(RegistryError::Exists { .. })));
    let unknown = registry
        .set_organisation(&name("council"), vec![name("nobody")], NOW)
        .await;
    assert!(matches!(unknown, Err(RegistryError::NotFound { .. })));
}
