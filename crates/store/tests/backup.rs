//! A backup is of one instant, holds everything, and is restored in full or not at all, on either
//! engine.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringtrip_model::{
    Account, Actor, CallEvent, CallEventKind, CallId, CallerId, CredentialConnection, Direction,
    HangupCause, HangupSource, HashedPassword, LegId, LegQuality, LegRecord, NewAccount, NewApiKey,
    NewInvitation, NewMobilePushCredential, NewOutboundVoiceProfile, NewPhoneNumber,
    NewTelephonyCredential, NewTrunk, NewUser, NodeId, PhoneNumberSettings, PlainApiKey,
    PlainToken, PortalSession, PortalSessionId, ProfileSettings, Role, Secret, TelephonyCredential,
    Time, Trunk, TrunkSettings, WebhookAnswer, WebhookAttempt, WebhookDeliveryId, WebhookEventId,
    WebhookEventType,
};
use ringtrip_store::{
    BackupError, Forgotten, KeptAnswer, KeyError, NamedCreate, NewPortalSession, NewWebhook, Page,
    Store, StoreConfig, TelephonyCredentialFilter, Trail, back_up, restore,
};
use serde_json::Value;
use sqlx::{Connection, Executor};
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

/// Something in every table, and what is found again.
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
    furnish_resources(world, &alice, &connection).await;
    furnish_webhooks(world, &connection, call).await;
    furnish_people(world).await;
    (alice, key)
}

async fn furnish_resources(world: &mut World, alice: &Account, connection: &CredentialConnection) {
    let (store, rng) = (&world.store, &mut world.rng);
    let settings = ProfileSettings::default();
    let profile = NewOutboundVoiceProfile::new(alice.id, "abroad", settings, NOW, rng).unwrap();
    store.insert_outbound_voice_profile(profile).await.unwrap();
    let settings = PhoneNumberSettings {
        tags: vec!["desk".to_owned()],
        ..PhoneNumberSettings::default()
    };
    let number = Some("+14165550123".parse().unwrap());
    let at = Some(connection.id);
    let number = NewPhoneNumber::new(alice.id, number, None, None, at, settings, NOW, rng).unwrap();
    store.insert_phone_number(number).await.unwrap();
    let secret = |kind: &str| {
        let text = format!("-----BEGIN {kind}-----\nMAMCAQE=\n-----END {kind}-----");
        Secret::new(text)
    };
    let (certificate, key) = (secret("CERTIFICATE"), secret("PRIVATE KEY"));
    let push = NewMobilePushCredential::ios(alice.id, "app".to_owned(), certificate, key, NOW, rng);
    store
        .insert_mobile_push_credential(push.unwrap())
        .await
        .unwrap();

    // Made by the operator, under a name of its own.
    let settings = TrunkSettings {
        host: "sip.carrier.example".to_owned(),
        auth_username: Some("us".to_owned()),
        ..TrunkSettings::default()
    };
    let password = Some(Secret::new("hush".to_owned()));
    let trunk = NewTrunk::new(alice.id, "Carrier", password, settings, NOW, rng).unwrap();
    let create = NamedCreate::new(alice.id, "POST", "/v2/trunks", "order-1", b"{}");
    let noting = store.noting(create, NOW, |_: &Trunk| KeptAnswer {
        status: 201,
        body: Secret::new(b"{}".to_vec()),
    });
    let trail = Trail::new("create", Some("203.0.113.1".parse().unwrap()), NOW);
    trail.identify(alice.id, Actor::Operator);
    trail.cover(noting.insert_trunk(trunk)).await.unwrap();
}

async fn furnish_webhooks(world: &mut World, connection: &CredentialConnection, call: CallId) {
    let (store, rng) = (&world.store, &mut world.rng);
    let record = LegRecord {
        leg: LegId::generate(rng),
        call,
        node: NodeId(1),
        account: connection.account,
        connection: connection.id,
        credential: None,
        user: connection.user_name.clone(),
        protocol_call_id: "c".to_owned(),
        direction: Direction::Inbound,
        caller: CallerId::default(),
        destination: "bob".to_owned(),
        started_at: NOW,
        answered_at: None,
        ended_at: NOW,
        cause: HangupCause::UserBusy,
        source: HangupSource::Callee,
        audio: None,
        video: None,
        quality: Some(LegQuality::default()),
    };
    store.insert_leg_records(&[record]).await.unwrap();
    store.webhook_key(connection.account).await.unwrap();
    let webhook = NewWebhook {
        id: WebhookDeliveryId::generate(rng),
        call_event: 3,
        account: connection.account,
        connection: connection.id,
        call,
        event: WebhookEventId::generate(rng),
        event_type: WebhookEventType::CallInitiated,
        occurred_at: NOW,
        payload: "{}".to_owned(),
    };
    let queued = store.queue_webhooks(vec![webhook], 3, NOW).await.unwrap();
    let attempt = WebhookAttempt {
        started_at: NOW,
        finished_at: after(1),
        error: None,
        url: Some("https://hooks.example/call".to_owned()),
        request_headers: vec![("user-agent".to_owned(), "telnyx-webhooks".to_owned())],
        answer: Some(WebhookAnswer {
            status: 200,
            headers: Vec::new(),
            body: "Thanks!".to_owned(),
        }),
    };
    store
        .record_webhook_attempt(queued[0].number, attempt, true)
        .await
        .unwrap();
}

async fn furnish_people(world: &mut World) {
    let (store, rng) = (&world.store, &mut world.rng);
    let (email, nobody) = ("ann@example.org", HashedPassword::of_nobody());
    let account = NewAccount::new(email, "", NOW, rng).unwrap();
    let id = account.account().id;
    let user = NewUser::new(id, email, "", Role::Owner, NOW, rng).unwrap();
    let ann = store.sign_up(account, user, nobody).await.unwrap();
    let by = Some(ann.id);
    let (invitation, _) =
        NewInvitation::new(id, "bea@example.org", Role::Admin, by, NOW, rng).unwrap();
    store.insert_invitation(invitation).await.unwrap();
    let link = PlainToken::generate(rng).hashed();
    let found = store.renew_password_reset_link(email, link, NOW).await;
    assert!(found.unwrap().is_some());
    let session = NewPortalSession {
        session: PortalSession {
            id: PortalSessionId::generate(rng),
            user: ann.id,
            created_at: NOW,
            last_seen_at: NOW,
            source: "203.0.113.1".to_owned(),
            user_agent: "a browser".to_owned(),
        },
        token: PlainToken::generate(rng).hashed(),
        device: PlainToken::generate(rng).hashed(),
        replaces: None,
    };
    let begun = store.begin_portal_session(ann.id, None, session, NOW).await;
    assert!(begun.unwrap().is_some());
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
    let trail = Trail::new("delete", None, NOW);
    trail.identify(alice.id, Actor::Operator);
    trail
        .cover(store.delete_telephony_credential(alice.id, credential.id))
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

/// The tables of a backup that have no row.
fn empty_tables(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    let mut table = String::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line.get("columns").is_some() {
            table = line["table"].as_str().unwrap().to_owned();
            rows.insert(table.clone(), 0);
        } else if line.is_array() {
            *rows.get_mut(&table).unwrap() += 1;
        }
    }
    rows.retain(|_, count| *count == 0);
    rows.into_keys().collect()
}

#[tokio::test]
async fn a_backup_is_the_same_on_either_engine() {
    let mut world = World::new().await;
    let (alice, key) = furnish(&mut world).await;
    let file = world.database.folder().join("backup");
    let config = world.database.config();
    back_up(&config.url, &file, NOW, &mut rng(8)).await.unwrap();
    let empty = empty_tables(&file);
    assert!(empty.is_empty(), "furnish puts nothing into {empty:?}");
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
async fn tables_of_others_stay_out_of_a_backup() {
    let mut world = World::new().await;
    furnish(&mut world).await;
    let config = world.database.config();
    let before = world.database.folder().join("before");
    back_up(&config.url, &before, NOW, &mut rng(8))
        .await
        .unwrap();
    let sql = "CREATE TABLE notes (id INTEGER PRIMARY KEY, at DATE)";
    if world.database.is_postgres() {
        let mut conn = sqlx::PgConnection::connect(&config.url).await.unwrap();
        let counted = "CREATE TABLE counted (id BIGINT GENERATED ALWAYS AS IDENTITY, at DATE)";
        conn.execute(counted).await.unwrap();
        conn.execute(sql).await.unwrap();
    } else {
        let mut conn = sqlx::SqliteConnection::connect(&config.url).await.unwrap();
        conn.execute(sql).await.unwrap();
    }
    let after = world.database.folder().join("after");
    back_up(&config.url, &after, NOW, &mut rng(8))
        .await
        .unwrap();
    assert_eq!(rows(&after), rows(&before));
    let copy = empty(&world.database);
    restore(&copy.config(), &after, &mut rng(9)).await.unwrap();
    world.store.close().await;
}

#[tokio::test]
async fn ids_that_were_given_out_are_not_given_out_again() {
    let mut world = World::new().await;
    furnish(&mut world).await;
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
