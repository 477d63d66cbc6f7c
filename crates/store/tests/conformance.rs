//! What every engine must do alike. Nothing here knows which engine runs: a second one joins by a
//! second way to make a [`World`]. Resources with a file of their own are in `telephony_credentials.rs`,
//! `credential_connections.rs` and so on.

mod support;

use ringtrip_model::{
    AccountId, ApiKeyId, CredentialConnection, FieldError, FieldErrorKind, NewAccount, NewApiKey,
    PlainApiKey, TelephonyCredentialId, TelephonyCredentialPatch, TelephonyCredentialStatus,
};
use ringtrip_store::{
    Expiry, KeyIdentity, Page, StatusFilter, StoreError, TelephonyCredentialFilter,
};
use support::{NOW, World, after, fault, unknown_connection};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

#[tokio::test]
async fn accounts_are_found_by_id_and_address_and_addresses_are_unique() {
    let mut world = World::new().await;
    let alice = world.account("Alice@example.org").await;
    let taken = NewAccount::new("aLICE@EXAMPLE.org", "", NOW, &mut world.rng).unwrap();
    assert_eq!(
        fault(world.store.insert_account(taken).await),
        (FieldErrorKind::Duplicate, "/email".to_owned())
    );
    world.reopen().await;
    assert_eq!(
        world.store.account(alice.id).await.unwrap(),
        Some(alice.clone())
    );
    assert_eq!(
        world
            .store
            .account_by_email("alice@example.ORG")
            .await
            .unwrap(),
        Some(alice.clone())
    );
    assert_eq!(
        world
            .store
            .account_by_email("bob@example.org")
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        world
            .store
            .account(AccountId::generate(&mut world.rng))
            .await
            .unwrap(),
        None
    );
    assert_eq!(world.store.list_accounts().await.unwrap(), [alice]);
}

#[tokio::test]
async fn keys_identify_their_account_until_they_are_revoked() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let (new, key) = NewApiKey::new(alice.id, "ci", None, NOW, &mut world.rng).unwrap();
    let other = PlainApiKey::generate(&mut world.rng);
    assert_eq!(world.store.identify_api_key(&key, NOW).await.unwrap(), None);
    let row = world.store.insert_api_key(new).await.unwrap();
    let holder = Some(KeyIdentity {
        account: alice.id,
        key: row.id,
        name: "ci".into(),
    });
    // Twice: from the database, then from memory.
    for _ in 0..2 {
        assert_eq!(
            world.store.identify_api_key(&key, NOW).await.unwrap(),
            holder
        );
        assert_eq!(
            world.store.identify_api_key(&other, NOW).await.unwrap(),
            None
        );
        let forged = PlainApiKey::parse(&format!("{}_{}", key.lookup(), "A".repeat(22))).unwrap();
        assert_eq!(
            world.store.identify_api_key(&forged, NOW).await.unwrap(),
            None
        );
    }
    let listed = world.store.list_api_keys(alice.id, FIRST).await.unwrap();
    assert_eq!((listed.total, listed.items), (1, vec![row.clone()]));
    let foreign = world.store.list_api_keys(bob.id, FIRST).await.unwrap();
    assert_eq!((foreign.total, foreign.items), (0, vec![]));
    // Foreign and unknown look alike.
    assert_eq!(
        world
            .store
            .revoke_api_key(bob.id, row.id, NOW)
            .await
            .unwrap(),
        None
    );
    let unknown = ApiKeyId::generate(&mut world.rng);
    assert_eq!(
        world
            .store
            .revoke_api_key(alice.id, unknown, NOW)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        world.store.identify_api_key(&key, NOW).await.unwrap(),
        holder
    );
    assert_eq!(
        world
            .store
            .revoke_api_key(alice.id, row.id, NOW)
            .await
            .unwrap(),
        Some(row.clone())
    );
    assert_eq!(world.store.identify_api_key(&key, NOW).await.unwrap(), None);
    assert_eq!(
        world
            .store
            .revoke_api_key(alice.id, row.id, NOW)
            .await
            .unwrap(),
        None
    );
    world.reopen().await;
    assert_eq!(world.store.identify_api_key(&key, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_needs_an_account() {
    let mut world = World::new().await;
    let nobody = AccountId::generate(&mut world.rng);
    let (new, _) = NewApiKey::new(nobody, "ci", None, NOW, &mut world.rng).unwrap();
    let refused = world.store.insert_api_key(new).await;
    assert!(matches!(refused, Err(StoreError::UnknownAccount)));
}

#[tokio::test]
async fn a_credential_is_kept_whole() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let made = world
        .labelled(
            &connection,
            "desk é\u{1f600}",
            Some("blue"),
            Some(after(9)),
            NOW,
        )
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(
            world
                .store
                .telephony_credential(alice.id, made.id)
                .await
                .unwrap(),
            Some(made.clone())
        );
        world.reopen().await;
    }
}

#[tokio::test]
async fn foreign_and_unknown_look_alike() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let connection = world.connection(&alice, "office").await;
    let credential = world.credential(&connection).await;
    let patch = TelephonyCredentialPatch {
        name: Some("mine".to_owned()),
        ..Default::default()
    };
    // With a warm cache and with a cold one.
    for _ in 0..2 {
        let store = &world.store;
        assert_eq!(
            store
                .telephony_credential(bob.id, credential.id)
                .await
                .unwrap(),
            None
        );
        let changed = store
            .update_telephony_credential(bob.id, credential.id, patch.clone(), NOW)
            .await;
        assert_eq!(changed.unwrap(), None);
        assert_eq!(
            store
                .delete_telephony_credential(bob.id, credential.id)
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            store
                .credential_connection(bob.id, connection.id)
                .await
                .unwrap(),
            None
        );
        let changed = store
            .update_credential_connection(bob.id, connection.id, NOW, |_| Ok(()))
            .await;
        assert_eq!(changed.unwrap(), None);
        assert_eq!(
            store
                .delete_credential_connection(bob.id, connection.id)
                .await
                .unwrap(),
            None
        );
        let listed = store
            .list_telephony_credentials(bob.id, TelephonyCredentialFilter::default(), FIRST, NOW)
            .await
            .unwrap();
        assert_eq!((listed.items.len(), listed.total), (0, 0));
        // The owner's are untouched.
        let found = store
            .telephony_credential(alice.id, credential.id)
            .await
            .unwrap();
        assert_eq!(found, Some(credential.clone()));
        let found = store
            .credential_connection(alice.id, connection.id)
            .await
            .unwrap();
        assert_eq!(found, Some(connection.clone()));
        world.reopen().await;
    }
    // A credential under a foreign connection is refused like one under none.
    for id in [connection.id, unknown_connection()] {
        let bobs = CredentialConnection {
            account: bob.id,
            id,
            ..connection.clone()
        };
        let refused = world.labelled(&bobs, "x", None, None, NOW).await;
        assert_eq!(
            fault(refused),
            (FieldErrorKind::NoSuchResource, "/connection_id".to_owned())
        );
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_moves_between_own_connections_only() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let (office, home) = (
        world.connection(&alice, "office").await,
        world.connection(&alice, "home").await,
    );
    let foreign = world.connection(&bob, "office").await;
    let before = world
        .labelled(&office, "desk", Some("blue"), None, NOW)
        .await
        .unwrap();
    let update = |patch| {
        world
            .store
            .update_telephony_credential(alice.id, before.id, patch, after(5))
    };

    for id in [foreign.id, unknown_connection()] {
        let patch = TelephonyCredentialPatch {
            connection: Some(id),
            ..Default::default()
        };
        assert_eq!(
            fault(update(patch).await),
            (FieldErrorKind::NoSuchResource, "/connection_id".to_owned())
        );
    }
    let patch = TelephonyCredentialPatch {
        name: Some("a\0".to_owned()),
        ..Default::default()
    };
    assert!(matches!(update(patch).await, Err(StoreError::Invalid(_))));
    let found = world
        .store
        .telephony_credential(alice.id, before.id)
        .await
        .unwrap();
    assert_eq!(
        found.as_ref(),
        Some(&before),
        "what is refused changes nothing"
    );

    let patch = TelephonyCredentialPatch {
        connection: Some(home.id),
        tag: Some(None),
        expires_at: Some(Some(after(60))),
        ..Default::default()
    };
    let changed = update(patch).await.unwrap().unwrap();
    assert_eq!(changed.before, before);
    let changed = changed.after;
    assert_eq!(
        (
            changed.connection,
            changed.tag.as_deref(),
            changed.name.as_str()
        ),
        (home.id, None, "desk")
    );
    assert_eq!(
        (changed.sip_username.clone(), changed.updated_at),
        (before.sip_username, after(5))
    );
    for _ in 0..2 {
        let found = world
            .store
            .telephony_credential(alice.id, before.id)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&changed));
        world.reopen().await;
    }
}

#[tokio::test]
async fn an_expired_credential_can_only_be_deleted() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let credential = world
        .labelled(&connection, "x", None, Some(after(10)), NOW)
        .await
        .unwrap();
    let later = TelephonyCredentialPatch {
        expires_at: Some(Some(after(99))),
        ..Default::default()
    };
    let refused = world
        .store
        .update_telephony_credential(alice.id, credential.id, later.clone(), after(10))
        .await;
    match refused {
        Err(StoreError::Refused(FieldError {
            pointer, detail, ..
        })) => {
            assert_eq!(pointer, "/status");
            assert_eq!(detail, "can't update credentials in expired status");
        }
        other => panic!("{other:?}"),
    }
    assert!(
        world
            .store
            .update_telephony_credential(alice.id, credential.id, later, after(9))
            .await
            .is_ok()
    );
    assert!(
        world
            .store
            .delete_telephony_credential(alice.id, credential.id)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn what_is_deleted_is_found_nowhere() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let credential = world.credential(&connection).await;
    let user = credential.sip_username.clone();
    assert!(world.store.identify_user(&user).await.unwrap().is_some());
    assert!(
        world
            .store
            .identify_token_subject(credential.id)
            .await
            .unwrap()
            .is_some()
    );
    let deleted = world
        .store
        .delete_telephony_credential(alice.id, credential.id)
        .await
        .unwrap();
    assert_eq!(deleted, Some(credential.clone()));
    for _ in 0..2 {
        let store = &world.store;
        assert_eq!(
            store
                .telephony_credential(alice.id, credential.id)
                .await
                .unwrap(),
            None
        );
        assert!(store.identify_user(&user).await.unwrap().is_none());
        assert!(
            store
                .identify_token_subject(credential.id)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(
            store
                .delete_telephony_credential(alice.id, credential.id)
                .await
                .unwrap(),
            None
        );
        world.reopen().await;
    }
}

#[tokio::test]
async fn a_tag_holds_a_thousand_credentials() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let (connection, bobs) = (
        world.connection(&alice, "office").await,
        world.connection(&bob, "office").await,
    );
    let mut all = Vec::new();
    while all.len() < 1000 {
        let mut some = Vec::new();
        for _ in 0..50 {
            let tag = Some("full".to_owned());
            let new = ringtrip_model::NewTelephonyCredential::new(
                alice.id,
                connection.id,
                None,
                tag,
                None,
                NOW,
                &mut world.rng,
            );
            some.push(world.store.insert_telephony_credential(new.unwrap()));
        }
        all.extend(futures_util::future::try_join_all(some).await.unwrap());
    }
    let full = (FieldErrorKind::LimitReached, "/tag".to_owned());
    assert_eq!(
        fault(
            world
                .labelled(&connection, "x", Some("full"), None, NOW)
                .await
        ),
        full
    );
    let other = world
        .labelled(&connection, "x", Some("other"), None, NOW)
        .await
        .unwrap();
    let patch = TelephonyCredentialPatch {
        tag: Some(Some("full".to_owned())),
        ..Default::default()
    };
    let move_in = || {
        world
            .store
            .update_telephony_credential(alice.id, other.id, patch.clone(), NOW)
    };
    assert_eq!(fault(move_in().await), full);
    // One that is in may be changed and stay in; another account's tag is another tag.
    let stay = world
        .store
        .update_telephony_credential(alice.id, all[0].id, patch.clone(), NOW)
        .await;
    assert!(stay.unwrap().is_some());
    world
        .store
        .delete_telephony_credential(alice.id, all[1].id)
        .await
        .unwrap();
    assert!(move_in().await.unwrap().is_some());
    assert!(
        world
            .labelled(&bobs, "x", Some("full"), None, NOW)
            .await
            .is_ok()
    );
    let filter = TelephonyCredentialFilter {
        tag: Some("full".to_owned()),
        ..Default::default()
    };
    let listed = world
        .store
        .list_telephony_credentials(alice.id, filter, FIRST, NOW)
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.total), (50, 1000));
}

#[tokio::test]
async fn credentials_are_listed_by_filter_and_page() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let (office, home) = (
        world.connection(&alice, "office").await,
        world.connection(&alice, "home").await,
    );
    let a = world
        .labelled(&office, "a", Some("blue"), None, after(-3))
        .await
        .unwrap();
    let b = world
        .labelled(&home, "b%", Some("BLUE"), Some(after(5)), after(-2))
        .await
        .unwrap();
    let c = world
        .labelled(&home, "c", None, Some(after(10)), after(-1))
        .await
        .unwrap();
    let text = |text: &str| Some(text.to_owned());
    let none = TelephonyCredentialFilter::default();
    for (filter, expected) in [
        (none.clone(), vec![&c, &b, &a]),
        (
            TelephonyCredentialFilter {
                tag: text("blue"),
                ..none.clone()
            },
            vec![&a],
        ),
        (
            TelephonyCredentialFilter {
                name: text("b%"),
                ..none.clone()
            },
            vec![&b],
        ),
        (
            TelephonyCredentialFilter {
                name: text("%"),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                name: text("' OR 1=1 --"),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                name: text("a\0"),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                name: text(&"x".repeat(100_000)),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                sip_username: text(&c.sip_username),
                ..none.clone()
            },
            vec![&c],
        ),
        (
            TelephonyCredentialFilter {
                sip_username: text(&c.sip_username.to_uppercase()),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                connection: Some(home.id),
                ..none.clone()
            },
            vec![&c, &b],
        ),
        (
            TelephonyCredentialFilter {
                connection: Some(unknown_connection()),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                status: Some(StatusFilter::Only(TelephonyCredentialStatus::Active)),
                ..none.clone()
            },
            vec![&c, &a],
        ),
        (
            TelephonyCredentialFilter {
                status: Some(StatusFilter::Only(TelephonyCredentialStatus::Expired)),
                ..none.clone()
            },
            vec![&b],
        ),
        (
            TelephonyCredentialFilter {
                status: Some(StatusFilter::Only(TelephonyCredentialStatus::Inactive)),
                ..none.clone()
            },
            vec![],
        ),
        (
            TelephonyCredentialFilter {
                connection: Some(home.id),
                name: text("c"),
                ..none.clone()
            },
            vec![&c],
        ),
    ] {
        let listed = world
            .store
            .list_telephony_credentials(alice.id, filter.clone(), FIRST, after(5))
            .await
            .unwrap();
        let names = |list: &[&ringtrip_model::TelephonyCredential]| {
            list.iter().map(|c| c.id).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&listed.items.iter().collect::<Vec<_>>()),
            names(&expected),
            "{filter:?}"
        );
        assert_eq!(listed.total, expected.len() as u64, "{filter:?}");
    }
    for (page, expected) in [
        (Page { number: 1, size: 2 }, vec![c.id, b.id]),
        (Page { number: 2, size: 2 }, vec![a.id]),
        (Page { number: 3, size: 2 }, vec![]),
        (
            Page {
                number: u32::MAX,
                size: 250,
            },
            vec![],
        ),
        (Page { number: 3, size: 1 }, vec![a.id]),
    ] {
        let listed = world
            .store
            .list_telephony_credentials(alice.id, none.clone(), page, NOW)
            .await
            .unwrap();
        assert_eq!(
            listed.items.iter().map(|c| c.id).collect::<Vec<_>>(),
            expected,
            "{page:?}"
        );
        assert_eq!(listed.total, 3);
    }
}

#[tokio::test]
async fn the_order_is_total_when_times_are_equal() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(world.credential(&connection).await.id);
    }
    ids.sort_by(|a, b| b.cmp(a));
    let mut seen = Vec::new();
    for number in 1..=7 {
        let page = Page { number, size: 3 };
        let filter = TelephonyCredentialFilter::default();
        let listed = world
            .store
            .list_telephony_credentials(alice.id, filter, page, NOW)
            .await
            .unwrap();
        seen.extend(listed.items.iter().map(|c| c.id));
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn credentials_that_end_are_swept_in_order() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let mut ids: Vec<TelephonyCredentialId> = Vec::new();
    for secs in [30, 10, 20] {
        ids.push(
            world
                .labelled(&connection, "x", None, Some(after(secs)), NOW)
                .await
                .unwrap()
                .id,
        );
    }
    world.credential(&connection).await;
    let sweep = async |from, until, limit| {
        let found = world
            .store
            .credentials_expiring(Expiry::after_all_at(after(from)), after(until), limit)
            .await
            .unwrap();
        found.into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    assert_eq!(sweep(0, 100, 10).await, [ids[1], ids[2], ids[0]]);
    assert_eq!(sweep(10, 20, 10).await, [ids[2]]);
    assert_eq!(sweep(0, 100, 1).await, [ids[1]]);

    // Many may end at the same instant: none is passed over at the end of a batch.
    for _ in 0..4 {
        world
            .labelled(&connection, "same", None, Some(after(50)), NOW)
            .await
            .unwrap();
    }
    let (mut place, mut seen) = (Expiry::after_all_at(after(30)), Vec::new());
    loop {
        let found = world
            .store
            .credentials_expiring(place, after(100), 3)
            .await
            .unwrap();
        let Some(last) = found.last() else { break };
        place = Expiry::of(last);
        seen.extend(found.iter().map(|found| found.id));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn signing_keys_outlive_the_process_and_at_most_two_are_active() {
    let mut world = World::new().await;
    let first = world.store.signing_keys();
    assert_eq!(first.len(), 1);
    world.reopen().await;
    assert_eq!(world.store.signing_keys(), first);
    world
        .store
        .rotate_signing_key(NOW, &mut world.rng)
        .await
        .unwrap();
    let second = world.store.signing_keys();
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    world
        .store
        .rotate_signing_key(NOW, &mut world.rng)
        .await
        .unwrap();
    let third = world.store.signing_keys();
    assert_eq!((third.len(), &third[1]), (2, &second[0]));
    world.reopen().await;
    assert_eq!(world.store.signing_keys(), third);
}

#[tokio::test]
async fn a_store_in_memory_works_and_a_closed_one_is_unavailable() {
    let config = ringtrip_store::StoreConfig {
        url: "sqlite::memory:".to_owned(),
        key_file: "/nowhere".into(),
    };
    let mut rng = support::rng(1);
    let store = ringtrip_store::Store::open(config, &mut rng).await.unwrap();
    let new = NewAccount::new("a@x", "", NOW, &mut rng).unwrap();
    let account = store.insert_account(new).await.unwrap();
    assert_eq!(
        store.account(account.id).await.unwrap(),
        Some(account.clone())
    );
    store.close().await;
    store.close().await;
    assert!(
        store
            .account(account.id)
            .await
            .unwrap_err()
            .is_unavailable()
    );
    let new = NewAccount::new("b@x", "", NOW, &mut rng).unwrap();
    assert!(
        store
            .insert_account(new)
            .await
            .unwrap_err()
            .is_unavailable()
    );
}
