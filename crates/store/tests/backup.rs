//! A backup is of one instant, holds everything, and is restored in full or not at all, on either
//! engine.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringtrip_model::{
    Account, CallEvent, CallEventKind, CallId, NewApiKey, NewTelephonyCredential, PlainApiKey,
    TelephonyCredential, Time,
};
use ringtrip_store::{
    BackupError, Forgotten, KeyError, Page, Store, StoreConfig, TelephonyCredentialFilter, back_up,
    restore,
};
use serde_json::Value;
use support::{Database, NOW, World, after, open, rng};
use tokio::sync::mpsc;

/// A database for what is restored: its key is the one of the original.
fn empty(original: &Database) -> Database {
    with_key(Database::new(), original)
}

fn with_key(database: Database, original: &Database) -> Database {
    std::fs::copy(original.config().key_file, database.config().key_file).unwrap();
    database
}

async fn all(store: &Store, account: &Account) -> Vec<TelephonyCredential> {
    let mut found = Vec::new();
    for number in 1.. {
        let filter = TelephonyCredentialFilter::default();
        let page = Page { number, size: 250 };
        let listing = store
            .list_telephony_credentials(account.id, filter, page, NOW)
            .await
            .unwrap();
        if listing.items.is_empty() {
            assert_eq!(listing.total, found.len() as u64, "an honest total");
            break;
        }
        found.extend(listing.items);
    }
    found.sort_by_key(|credential| credential.id);
    found
}

fn event(seq: u32, call: CallId) -> CallEvent {
    CallEvent {
        call,
        leg: None,
        seq,
        time: Time::ZERO,
        kind: CallEventKind::Answered,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_writes_holds_all_that_was_acknowledged_before_it_began() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    for _ in 0..300 {
        world.credential(&connection).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, done) = (world.store.clone(), Arc::clone(&done));
            let (acknowledge, connection) = (acknowledge.clone(), connection.clone());
            tokio::spawn(async move {
                let mut rng = rng(100 + writer);
                while !done.load(Ordering::Relaxed) {
                    let (account, id) = (connection.account, connection.id);
                    let new =
                        NewTelephonyCredential::new(account, id, None, None, None, NOW, &mut rng);
                    let made = store.insert_telephony_credential(new.unwrap()).await;
                    acknowledge.send(made.unwrap()).unwrap();
                    let made = store
                        .insert_telephony_credential(
                            NewTelephonyCredential::new(
                                account, id, None, None, None, NOW, &mut rng,
                            )
                            .unwrap(),
                        )
                        .await
                        .unwrap();
                    store
                        .delete_telephony_credential(account, made.id)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    let mut before = Vec::new();
    for _ in 0..40 {
        before.push(acknowledged.recv().await.unwrap());
    }
    let file = world.database.folder().join("backup");
    let config = world.database.config();
    let summary = back_up(&config.url, &file, NOW, &mut rng(8)).await.unwrap();
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(summary.rows > 340, "{summary:?}");

    let copy = empty(&world.database);
    let restored = restore(&copy.config(), &file, &mut rng(9)).await.unwrap();
    assert_eq!(restored, summary);
    let store = open(&copy).await;
    // What is listed and what is counted agree, so no write is there in part.
    let found = all(&store, &alice).await;
    let now = all(&world.store, &alice).await;
    for credential in &before {
        assert!(found.contains(credential), "{} is lost", credential.id);
    }
    assert!(found.len() >= 340 && found.len() <= now.len() + 4);
    store.close().await;
    world.store.close().await;
}

/// Something in every table that this test knows, and what is found again.
async fn furnish(world: &mut World) -> (Account, PlainApiKey) {
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "Büro, \"das\" ☎").await;
    for _ in 0..20 {
        world.credential(&connection).await;
    }
    let (new, key) = NewApiKey::new(alice.id, "ci", None, NOW, &mut world.rng).unwrap();
    world.store.insert_api_key(new).await.unwrap();
    let call = CallId::generate(&mut world.rng);
    let events: Vec<_> = (1..=3).map(|seq| (event(seq, call), NOW)).collect();
    world.store.insert_call_events(&events).await.unwrap();
    let body = "{\"a\":[1,2,3]}\n".repeat(1000);
    world
        .store
        .insert_call_report(alice.id, "r", "c", "v", body, NOW)
        .await
        .unwrap();
    (alice, key)
}

async fn is_the_same(world: &World, copy: &Database, alice: &Account, key: &PlainApiKey) {
    let store = open(copy).await;
    assert_eq!(store.account(alice.id).await.unwrap().as_ref(), Some(alice));
    let known = store.identify_api_key(key, NOW).await.unwrap().unwrap();
    assert_eq!((known.account, known.name.as_ref()), (alice.id, "ci"));
    assert_eq!(all(&store, alice).await, all(&world.store, alice).await);
    assert_eq!(store.signing_keys(), world.store.signing_keys());
    // Counters go on from where they were, and what counts is at work again.
    let credential = all(&store, alice).await.remove(0);
    store
        .delete_telephony_credential(alice.id, credential.id)
        .await
        .unwrap();
    assert_eq!(all(&store, alice).await.len(), 19);
    store.close().await;
}

/// The rows of a backup, whatever the order of tables, rows and columns.
fn rows(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let (mut table, mut rows) = (Value::Null, Vec::new());
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(values) = line.as_array() {
            let columns = table["columns"].as_array().unwrap().iter();
            let names = columns.map(|column| column[0].as_str().unwrap());
            let row: BTreeMap<_, _> = names.zip(values).collect();
            rows.push(format!("{} {row:?}", table["table"]));
        } else if line.get("columns").is_some() {
            table = line;
        }
    }
    rows.sort();
    rows
}

#[tokio::test]
async fn a_backup_is_the_same_on_either_engine() {
    let mut world = World::new().await;
    let (alice, key) = furnish(&mut world).await;
    let file = world.database.folder().join("backup");
    let config = world.database.config();
    back_up(&config.url, &file, NOW, &mut rng(8)).await.unwrap();
    // On Postgres the second one is the other engine, and the third goes back.
    let mut files = vec![file];
    for (step, copy) in [Database::new(), Database::on_file(), Database::new()]
        .into_iter()
        .enumerate()
    {
        let copy = with_key(copy, &world.database);
        restore(&copy.config(), &files[step], &mut rng(9))
            .await
            .unwrap();
        let next = world.database.folder().join(format!("backup{step}"));
        back_up(&copy.config().url, &next, NOW, &mut rng(8))
            .await
            .unwrap();
        files.push(next);
        is_the_same(&world, &copy, &alice, &key).await;
    }
    let first = rows(&files[0]);
    assert!(first.len() > 25);
    for file in &files[1..] {
        assert_eq!(rows(file), first, "{}", file.display());
    }
    world.store.close().await;
}

#[tokio::test]
async fn ids_that_were_given_out_are_not_given_out_again() {
    let mut world = World::new().await;
    let (alice, _) = furnish(&mut world).await;
    // The newest events are gone; who resumes after them must not see their ids again.
    let forgotten = Forgotten {
        call_events: Some(after(1)),
        ..Forgotten::default()
    };
    world.store.prune_history(forgotten).await.unwrap();
    let file = world.database.folder().join("backup");
    let config = world.database.config();
    back_up(&config.url, &file, NOW, &mut rng(8)).await.unwrap();
    let copy = empty(&world.database);
    restore(&copy.config(), &file, &mut rng(9)).await.unwrap();
    let store = open(&copy).await;
    let call = CallId::generate(&mut world.rng);
    store
        .insert_call_events(&[(event(1, call), NOW)])
        .await
        .unwrap();
    store.close().await;
    let again = copy.folder().join("again");
    back_up(&copy.config().url, &again, NOW, &mut rng(8))
        .await
        .unwrap();
    let text = std::fs::read_to_string(&again).unwrap();
    let header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(header["sequences"]["call_events"], 4, "{header}");
    assert_eq!(alice.email, "a@x");
    world.store.close().await;
}

async fn refused(config: &StoreConfig, file: &Path) -> BackupError {
    restore(config, file, &mut rng(9)).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_restored_in_full_leaves_no_trace() {
    let mut world = World::new().await;
    let (alice, key) = furnish(&mut world).await;
    let folder = world.database.folder();
    let file = folder.join("backup");
    let config = world.database.config();
    back_up(&config.url, &file, NOW, &mut rng(8)).await.unwrap();
    let again = back_up(&config.url, &file, NOW, &mut rng(8)).await;
    assert!(
        matches!(again, Err(BackupError::Exists { .. })),
        "{again:?}"
    );

    // A database in use.
    let error = refused(&config, &file).await;
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error:?}");

    let copy = empty(&world.database);
    let config = copy.config();
    let whole = std::fs::read_to_string(&file).unwrap();
    let bad = folder.join("bad");
    let half = whole.len() / 2;
    let half = (half..).find(|at| whole.is_char_boundary(*at)).unwrap();
    std::fs::write(&bad, &whole[..half]).unwrap();
    assert!(matches!(
        refused(&config, &bad).await,
        BackupError::Truncated
    ));
    std::fs::write(&bad, whole.replace("a@x", "b@x")).unwrap();
    let error = refused(&config, &bad).await;
    assert!(matches!(error, BackupError::Damaged { .. }), "{error:?}");
    std::fs::write(&bad, "my letters").unwrap();
    assert!(matches!(
        refused(&config, &bad).await,
        BackupError::NotABackup
    ));
    let (header, rest) = whole.split_once('\n').unwrap();
    let mut newer: Value = serde_json::from_str(header).unwrap();
    newer["schema"] = 9999.into();
    std::fs::write(&bad, format!("{newer}\n{rest}")).unwrap();
    let error = refused(&config, &bad).await;
    assert!(
        matches!(error, BackupError::NewerSchema { schema: 9999, .. }),
        "{error:?}"
    );

    // Without the key, or with another one.
    let keys = std::fs::read(&config.key_file).unwrap();
    std::fs::remove_file(&config.key_file).unwrap();
    let error = refused(&config, &file).await;
    assert!(
        matches!(error, BackupError::Key(KeyError::Missing { .. })),
        "{error:?}"
    );
    std::fs::write(
        &config.key_file,
        format!("ringtrip-key-1 {}\n", "5e".repeat(32)),
    )
    .unwrap();
    let error = refused(&config, &file).await;
    assert!(matches!(error, BackupError::KeyMissing { .. }), "{error:?}");

    // Nothing of it has left a trace that would keep the next attempt from succeeding.
    std::fs::write(&config.key_file, keys).unwrap();
    restore(&config, &file, &mut rng(9)).await.unwrap();
    is_the_same(&world, &copy, &alice, &key).await;
    world.store.close().await;
    let left: Vec<_> = std::fs::read_dir(copy.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".new-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
