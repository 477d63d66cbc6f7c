//! Keys are rotated while another process serves, and nothing is lost with the old ones.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use ringtrip_model::{
    Account, Actor, CredentialConnection, Secret, TelephonyCredentialId, Timestamp,
};
use ringtrip_store::{
    AuditEventFilter, OpenError, Page, Resealed, RotateError, Store, TelephonyCredentialFilter,
};
use support::{NOW, World, after, open, rng};

const DAY: i64 = 24 * 60 * 60;

async fn all_passwords(
    store: &Store,
    account: &Account,
    now: Timestamp,
) -> BTreeMap<TelephonyCredentialId, Secret<String>> {
    let mut found = BTreeMap::new();
    for number in 1.. {
        let page = Page { number, size: 250 };
        let filter = TelephonyCredentialFilter::default();
        let listing = store
            .list_telephony_credentials(account.id, filter, page, now)
            .await
            .unwrap();
        if listing.items.is_empty() {
            break;
        }
        for credential in listing.items {
            found.insert(credential.id, credential.sip_password);
        }
    }
    found
}

async fn create(
    world: &mut World,
    connection: &CredentialConnection,
    count: usize,
) -> BTreeMap<TelephonyCredentialId, Secret<String>> {
    let mut made = BTreeMap::new();
    while made.len() < count {
        let batch = 100.min(count - made.len());
        let new: Vec<_> = (0..batch)
            .map(|_| world.new_credential(connection))
            .collect();
        let inserts = new
            .into_iter()
            .map(|new| world.store.insert_telephony_credential(new));
        for credential in join_all(inserts).await {
            let credential = credential.unwrap();
            made.insert(credential.id, credential.sip_password);
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_rows_get_a_new_key_while_another_process_serves() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let mut expected = create(&mut world, &connection, 10_000).await;
    let old = world.store.encryption_keys().await.unwrap()[0].id.clone();

    let operator = open(&world.database).await;
    let done = Arc::new(AtomicBool::new(false));
    let serving = {
        let (done, store) = (Arc::clone(&done), world.store.clone());
        let (mut more, connection) = (rng(7), connection.clone());
        tokio::spawn(async move {
            let mut made = Vec::new();
            while !done.load(Ordering::Relaxed) || made.len() < 20 {
                let new = ringtrip_model::NewTelephonyCredential::new(
                    connection.account,
                    connection.id,
                    None,
                    None,
                    None,
                    NOW,
                    &mut more,
                );
                made.push(
                    store
                        .insert_telephony_credential(new.unwrap())
                        .await
                        .unwrap(),
                );
                let password = format!("correct horse {}", made.len());
                store
                    .update_credential_connection(
                        connection.account,
                        connection.id,
                        NOW,
                        move |connection| {
                            connection.password = Secret::new(password);
                            Ok(())
                        },
                    )
                    .await
                    .unwrap();
            }
            made
        })
    };
    let new = operator
        .rotate_encryption_key(NOW, &mut rng(3))
        .await
        .unwrap();
    assert_ne!(new, old);
    let mut heard = 0;
    let resealed = operator.reseal(|rows| heard = rows).await.unwrap();
    assert!(resealed.rows > 10_000, "{resealed:?}");
    assert_eq!((heard, resealed.unopened), (resealed.rows, 0));
    done.store(true, Ordering::Relaxed);
    let made = serving.await.unwrap();
    expected.extend(made.iter().map(|made| (made.id, made.sip_password.clone())));

    // The process that serves learns of it, and finishes what it sealed with the old key meanwhile.
    assert!(world.store.refresh_keys().await.unwrap());
    assert!(!world.store.refresh_keys().await.unwrap());
    while world.store.tidy_keys(NOW).await.unwrap() != Resealed::default() {}
    let keys = world.store.encryption_keys().await.unwrap();
    assert_eq!(
        [
            (&keys[0].id, keys[0].retired_at),
            (&keys[1].id, keys[1].retired_at)
        ],
        [(&new, None), (&old, Some(NOW))]
    );
    assert_eq!(operator.reseal(|_| {}).await.unwrap(), Resealed::default());

    // A day later the old key leaves the file, and everything is still there.
    let third = operator
        .rotate_encryption_key(after(DAY + 1), &mut rng(4))
        .await
        .unwrap();
    operator.reseal(|_| {}).await.unwrap();
    operator.close().await;
    world.reopen().await;
    let keys = world.store.encryption_keys().await.unwrap();
    let keys: Vec<_> = keys.iter().map(|key| (&key.id, key.in_file)).collect();
    assert_eq!(keys, [(&third, true), (&new, true)]);
    assert_eq!(all_passwords(&world.store, &alice, NOW).await, expected);
    let found = world
        .store
        .credential_connection(alice.id, connection.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        found.password.expose(),
        &format!("correct horse {}", made.len())
    );
    world.store.close().await;
}

#[tokio::test]
async fn a_row_with_an_unknown_key_makes_the_key_file_be_read_again() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let expected = create(&mut world, &connection, 3).await;
    let operator = open(&world.database).await;
    let new = operator
        .rotate_encryption_key(NOW, &mut rng(3))
        .await
        .unwrap();
    operator.reseal(|_| {}).await.unwrap();
    assert_eq!(all_passwords(&world.store, &alice, NOW).await, expected);
    // It still seals with the old key, which the rest of the world can open.
    let late = world.credential(&connection).await;
    let found = operator.telephony_credential(alice.id, late.id).await;
    assert_eq!(found.unwrap(), Some(late));
    assert!(world.store.refresh_keys().await.unwrap());
    assert_eq!(world.store.encryption_keys().await.unwrap()[0].id, new);
    operator.close().await;
    world.store.close().await;
}

#[tokio::test]
async fn a_signing_key_of_another_process_is_learned() {
    let world = World::new().await;
    let first = world.store.signing_keys();
    let operator = open(&world.database).await;
    operator.rotate_signing_key(NOW, &mut rng(5)).await.unwrap();
    assert_eq!(world.store.signing_keys(), first);
    assert!(world.store.refresh_keys().await.unwrap());
    let second = world.store.signing_keys();
    assert_eq!(second, operator.signing_keys());
    assert_eq!(second[1], first[0], "old tokens stay valid");
    assert!(!world.store.refresh_keys().await.unwrap());
    operator.close().await;
    world.store.close().await;
}

#[tokio::test]
async fn a_rotation_that_was_broken_off_goes_on_with_the_key_it_had_made() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let expected = create(&mut world, &connection, 2).await;
    let key_file = world.database.config().key_file;
    let before = std::fs::read_to_string(&key_file).unwrap();
    let line = format!("ringtrip-key-1 {}\n", "5e".repeat(32));
    std::fs::write(&key_file, format!("{line}{before}")).unwrap();
    let old = world.store.encryption_keys().await.unwrap()[0].id.clone();

    world.reopen().await;
    let late = world.credential(&connection).await;
    let keys = world.store.encryption_keys().await.unwrap();
    assert_eq!(keys.len(), 1, "a key in the file alone seals nothing");
    assert_eq!(keys[0].id, old);
    let new = world
        .store
        .rotate_encryption_key(NOW, &mut rng(3))
        .await
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(&key_file).unwrap(),
        format!("{line}{before}")
    );
    // Here it is broken off once more; the next start knows both.
    world.reopen().await;
    assert_eq!(world.store.encryption_keys().await.unwrap()[0].id, new);
    world.store.tidy_keys(NOW).await.unwrap();
    let mut found = all_passwords(&world.store, &alice, NOW).await;
    assert_eq!(found.remove(&late.id), Some(late.sip_password));
    assert_eq!(found, expected);
    world.store.close().await;
}

#[tokio::test]
async fn a_key_file_without_the_newest_key_is_refused() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    world.connection(&alice, "office").await;
    let config = world.database.config();
    let before = std::fs::read(&config.key_file).unwrap();
    let new = world
        .store
        .rotate_encryption_key(NOW, &mut rng(3))
        .await
        .unwrap();
    world.store.reseal(|_| {}).await.unwrap();
    world.store.close().await;
    std::fs::write(&config.key_file, before).unwrap();
    let refused = Store::open(config, &mut rng(9)).await.unwrap_err();
    assert!(
        matches!(&refused, OpenError::WrongKey { expected, .. } if *expected == new),
        "{refused:?}"
    );
}

#[tokio::test]
async fn two_rotations_at_once_do_not_write_over_each_other() {
    let world = World::new().await;
    let key_file = world.database.config().key_file;
    let lock = std::fs::File::create(key_file.with_extension("key.lock")).unwrap();
    lock.lock().unwrap();
    let before = std::fs::read(&key_file).unwrap();
    let refused = world.store.rotate_encryption_key(NOW, &mut rng(3)).await;
    assert!(matches!(refused, Err(RotateError::UnderWay { .. })));
    assert_eq!(std::fs::read(&key_file).unwrap(), before);
    drop(lock);
    world
        .store
        .rotate_encryption_key(NOW, &mut rng(3))
        .await
        .unwrap();
    world.store.close().await;
}

#[tokio::test]
async fn a_rotation_is_in_the_audit_log_of_every_account() {
    let mut world = World::new().await;
    let accounts = [world.account("a@x").await, world.account("b@x").await];
    let sealing = world
        .store
        .rotate_encryption_key(NOW, &mut rng(3))
        .await
        .unwrap();
    world
        .store
        .rotate_signing_key(after(1), &mut rng(4))
        .await
        .unwrap();
    let signing = world.store.signing_keys()[0].id.to_string();
    for account in accounts {
        let filter = AuditEventFilter {
            action: Some("rotate".to_owned()),
            ..AuditEventFilter::default()
        };
        let page = Page {
            number: 1,
            size: 10,
        };
        let found = world
            .store
            .list_audit_events(account.id, filter, true, page)
            .await
            .unwrap();
        let told: Vec<_> = found
            .items
            .into_iter()
            .map(|event| (event.actor, event.resource_type, event.resource_id))
            .collect();
        let expected = [("encryption_key", &sealing), ("signing_key", &signing)]
            .map(|(kind, id)| (Actor::Operator, kind.to_owned(), Some(id.clone())));
        assert_eq!(told, expected);
    }
    world.store.close().await;
}
