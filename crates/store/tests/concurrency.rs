//! Many tasks at once, on several threads: nothing is lost, nothing comes back, counts are right.

mod support;

use std::collections::BTreeSet;

use ringtrip_model::{Generator, NewTelephonyCredential, TelephonyCredentialPatch};
use ringtrip_store::{Page, StoreError, TelephonyCredentialFilter};
use support::{NOW, World};

const TASKS: u8 = 16;
const ROUNDS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_so() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (store, account, connection) = (world.store.clone(), alice.id, connection.id);
        let mut rng = Generator::from_seed([100 + task; 32]);
        tasks.spawn(async move {
            let mut kept = BTreeSet::new();
            for round in 0..ROUNDS {
                let new = NewTelephonyCredential::new(
                    account, connection, None, None, None, NOW, &mut rng,
                );
                let made = store
                    .insert_telephony_credential(new.unwrap())
                    .await
                    .unwrap();
                assert!(
                    store
                        .telephony_credential(account, made.id)
                        .await
                        .unwrap()
                        .is_some()
                );
                let name = format!("{task}/{round}");
                let patch = TelephonyCredentialPatch {
                    name: Some(name.clone()),
                    ..Default::default()
                };
                store
                    .update_telephony_credential(account, made.id, patch, NOW)
                    .await
                    .unwrap()
                    .unwrap();
                let found = store
                    .telephony_credential(account, made.id)
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(found.name, name, "a change is seen once it is acknowledged");
                assert!(
                    store
                        .identify_user(&made.sip_username)
                        .await
                        .unwrap()
                        .is_some()
                );
                if round % 3 == 0 {
                    store
                        .delete_telephony_credential(account, made.id)
                        .await
                        .unwrap()
                        .unwrap();
                    assert!(
                        store
                            .telephony_credential(account, made.id)
                            .await
                            .unwrap()
                            .is_none()
                    );
                    assert!(
                        store
                            .identify_user(&made.sip_username)
                            .await
                            .unwrap()
                            .is_none()
                    );
                    assert!(
                        store
                            .identify_token_subject(made.id)
                            .await
                            .unwrap()
                            .is_none()
                    );
                } else {
                    kept.insert((made.id, name));
                }
            }
            kept
        });
    }
    let kept: BTreeSet<_> = tasks.join_all().await.into_iter().flatten().collect();
    for _ in 0..2 {
        let mut found = BTreeSet::new();
        for number in 1.. {
            let (filter, page) = (
                TelephonyCredentialFilter::default(),
                Page { number, size: 100 },
            );
            let listed = world
                .store
                .list_telephony_credentials(alice.id, filter, page, NOW)
                .await
                .unwrap();
            assert_eq!(listed.total, kept.len() as u64);
            if listed.items.is_empty() {
                break;
            }
            found.extend(
                listed
                    .items
                    .into_iter()
                    .map(|credential| (credential.id, credential.name)),
            );
        }
        assert_eq!(found, kept);
        world.reopen().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deleted_row_is_never_served_however_many_read_it() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    for _ in 0..30 {
        let credential = world.credential(&connection).await;
        // Cold: readers race with the deletion for the right to fill the cache.
        world.reopen().await;
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, account, id) = (world.store.clone(), alice.id, credential.id);
            let user = credential.sip_username.clone();
            readers.spawn(async move {
                while store
                    .telephony_credential(account, id)
                    .await
                    .unwrap()
                    .is_some()
                {
                    store.identify_user(&user).await.unwrap();
                    // What is answered from memory never waits: the others must get their turn.
                    tokio::task::yield_now().await;
                }
            });
        }
        world
            .store
            .delete_telephony_credential(alice.id, credential.id)
            .await
            .unwrap()
            .unwrap();
        assert!(
            world
                .store
                .telephony_credential(alice.id, credential.id)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            world
                .store
                .identify_token_subject(credential.id)
                .await
                .unwrap()
                .is_none()
        );
        readers.join_all().await;
        assert!(
            world
                .store
                .identify_user(&credential.sip_username)
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_and_deletions_of_the_same_things_do_not_stand_in_each_others_way() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    for round in 0..30 {
        let connection = world.connection(&alice, "office").await;
        let credential = world.credential(&connection).await;
        let (account, id) = (alice.id, connection.id);
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4 {
            let store = world.store.clone();
            tasks.spawn(async move {
                let patch = TelephonyCredentialPatch {
                    name: Some(format!("{round}/{task}")),
                    ..Default::default()
                };
                let changed = store.update_telephony_credential(account, credential.id, patch, NOW);
                changed.await.map(drop)
            });
            let store = world.store.clone();
            let new = world.new_credential(&connection);
            tasks.spawn(async move { store.insert_telephony_credential(new).await.map(drop) });
        }
        let store = world.store.clone();
        tasks.spawn(async move {
            let deleted = store.delete_telephony_credential(account, credential.id);
            deleted.await.map(drop)
        });
        let store = world.store.clone();
        tasks.spawn(async move {
            let deleted = store.delete_credential_connection(account, id).await;
            assert!(deleted.unwrap().is_some());
            Ok(())
        });
        for done in tasks.join_all().await {
            // Whoever came too late for the connection is told so.
            if let Err(error) = done {
                assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
            }
        }
        let (filter, page) = (
            TelephonyCredentialFilter::default(),
            Page {
                number: 1,
                size: 10,
            },
        );
        let left = world
            .store
            .list_telephony_credentials(alice.id, filter, page, NOW);
        assert_eq!(left.await.unwrap().total, 0);
    }
}
