//! Writes that wait together are committed together, and each stands or falls by itself.

mod support;

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::{join_all, try_join_all};
use ringtrip_model::{CredentialConnection, TelephonyCredentialPatch};
use ringtrip_store::{Page, StoreError, TelephonyCredentialFilter, WriteCounts};
use support::{NOW, World, after};

#[tokio::test]
async fn a_hundred_writes_share_one_commit() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let new: Vec<_> = (0..250)
        .map(|_| world.new_credential(&connection))
        .collect();
    let before = world.store.write_counts();
    // Polled in one go, all of them are waiting before the writer's turn comes.
    let made = try_join_all(
        new.into_iter()
            .map(|new| world.store.insert_telephony_credential(new)),
    );
    let made = made.await.unwrap();
    let WriteCounts { requests, commits } = world.store.write_counts();
    assert_eq!(
        (requests - before.requests, commits - before.commits),
        (250, 3)
    );
    world.reopen().await;
    for credential in &made {
        let found = world
            .store
            .telephony_credential(alice.id, credential.id)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(credential));
    }
}

#[tokio::test]
async fn a_refused_write_takes_no_other_with_it() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let nowhere = CredentialConnection {
        id: support::unknown_connection(),
        ..connection.clone()
    };
    let new: Vec<_> = (0..90)
        .map(|i| world.new_credential(if i % 3 == 0 { &nowhere } else { &connection }))
        .collect();
    let before = world.store.write_counts().commits;
    let results = join_all(
        new.into_iter()
            .map(|new| world.store.insert_telephony_credential(new)),
    )
    .await;
    assert_eq!(world.store.write_counts().commits - before, 1);
    for (i, result) in results.iter().enumerate() {
        match result {
            Ok(_) => assert_ne!(i % 3, 0),
            Err(StoreError::Refused(_)) => assert_eq!(i % 3, 0),
            Err(other) => panic!("{other:?}"),
        }
    }
    // Neither rows nor the counter keep a trace of the refused ones.
    let (filter, page) = (
        TelephonyCredentialFilter::default(),
        Page {
            number: 1,
            size: 250,
        },
    );
    let listed = world
        .store
        .list_telephony_credentials(alice.id, filter, page, NOW)
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.total), (60, 60));
}

#[tokio::test]
async fn changes_of_one_row_in_one_batch_happen_in_order() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let changes = (0..50).map(|i| {
        world.store.update_credential_connection(
            alice.id,
            connection.id,
            after(i),
            move |connection| {
                connection.settings.tags.push(i.to_string());
                Ok(())
            },
        )
    });
    let changes = try_join_all(changes).await.unwrap();
    let tags = |connection: &CredentialConnection| connection.settings.tags.len();
    for (i, change) in changes.iter().enumerate() {
        let change = change.as_ref().unwrap();
        assert_eq!((tags(&change.before), tags(&change.after)), (i, i + 1));
    }
    let kept = world
        .store
        .credential_connection(alice.id, connection.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tags(&kept), 50, "no change is lost");
}

#[tokio::test]
async fn a_panic_ends_its_own_write_alone() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let change = |i: i64| {
        world.store.update_credential_connection(
            alice.id,
            connection.id,
            after(i),
            move |connection| {
                assert_ne!(i, 1, "a defect");
                connection.settings.tags.push(i.to_string());
                Ok(())
            },
        )
    };
    let results = join_all((0..3).map(change)).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(results[1].as_ref().unwrap_err().is_unavailable());
    let kept = world
        .store
        .credential_connection(alice.id, connection.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.settings.tags, ["0", "2"]);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_done() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let credential = world.credential(&connection).await;
    let patch = TelephonyCredentialPatch {
        name: Some("new".to_owned()),
        ..Default::default()
    };
    {
        let mut update = Box::pin(world.store.update_telephony_credential(
            alice.id,
            credential.id,
            patch,
            NOW,
        ));
        // One poll hands the request to the writer; then the caller is gone.
        assert!((&mut update).now_or_never().is_none());
    }
    world.reopen().await;
    let found = world
        .store
        .telephony_credential(alice.id, credential.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.name, "new");
}

#[tokio::test]
async fn a_large_write_waits_for_those_that_wait_and_is_alone_in_its_commit() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let order = Mutex::new(Vec::new());
    let (order, store) = (&order, &world.store.clone());
    let reports = join_all((0..3).map(|i| async move {
        let call = format!("c{i}");
        store
            .insert_call_report(alice.id, "r1", &call, "", "{}", NOW)
            .await
            .unwrap();
        order.lock().unwrap().push("report");
    }));
    let new: Vec<_> = (0..150)
        .map(|_| world.new_credential(&connection))
        .collect();
    let credentials = join_all(new.into_iter().map(|new| async move {
        store.insert_telephony_credential(new).await.unwrap();
        order.lock().unwrap().push("credential");
    }));
    let before = store.write_counts();
    // All of them wait before the writer's turn comes, the reports first.
    futures_util::future::join(reports, credentials).await;
    let WriteCounts { requests, commits } = store.write_counts();
    assert_eq!(
        (requests - before.requests, commits - before.commits),
        (153, 5)
    );
    let order = order.lock().unwrap();
    let reports = order.iter().filter(|done| **done == "report").count();
    assert_eq!((order[0], reports), ("credential", 3));
    assert_eq!(order.last(), Some(&"report"));
}

#[tokio::test]
async fn what_waits_in_either_queue_is_written_before_the_store_closes() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let new = world.new_credential(&connection);
    let mut report = Box::pin(
        world
            .store
            .insert_call_report(alice.id, "r1", "c1", "", "{}", NOW),
    );
    let mut credential = Box::pin(world.store.insert_telephony_credential(new));
    assert!((&mut report).now_or_never().is_none());
    assert!((&mut credential).now_or_never().is_none());
    drop((report, credential));
    world.reopen().await;
    let reports = world.store.list_call_reports(alice.id, "c1").await.unwrap();
    let (filter, page) = (
        TelephonyCredentialFilter::default(),
        Page {
            number: 1,
            size: 50,
        },
    );
    let credentials = world
        .store
        .list_telephony_credentials(alice.id, filter, page, NOW)
        .await
        .unwrap();
    assert_eq!((reports.len(), credentials.total), (1, 1));
}
