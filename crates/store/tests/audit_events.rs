//! The audit log: written with what it tells of, never changed, listed, and forgotten by age; on either
//! engine.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::sync::Arc;

use futures_util::future::join_all;
use ringtrip_model::{
    Account, Actor, ApiKeyId, AuditEvent, AuditEventId, NewApiKey, Role, TelephonyCredentialPatch,
    Timestamp, UserId,
};
use ringtrip_store::{AuditEventFilter, Page, Trail, inherited};
use sqlx::Connection;
use support::{NOW, World, after, fault};

const FIRST: Page = Page {
    number: 1,
    size: 250,
};

fn key(world: &mut World) -> Actor {
    Actor::ApiKey {
        id: ApiKeyId::generate(&mut world.rng),
        name: "ci".into(),
    }
}

fn trail(action: &'static str, account: &Account, actor: &Actor) -> Arc<Trail> {
    let trail = Trail::new(action, Some("203.0.113.1".parse().unwrap()), NOW);
    trail.identify(account.id, actor.clone());
    trail
}

async fn events(world: &World, account: &Account, filter: AuditEventFilter) -> Vec<AuditEvent> {
    let listed = world
        .store
        .list_audit_events(account.id, filter, true, FIRST)
        .await
        .unwrap();
    assert_eq!(listed.total, listed.items.len() as u64);
    listed.items
}

async fn all(world: &World, account: &Account) -> Vec<AuditEvent> {
    events(world, account, AuditEventFilter::default()).await
}

/// Runs a statement as somebody would who has the database, but not the program.
async fn by_hand(world: &World, sql: &'static str) -> Result<(), sqlx::Error> {
    let url = world.database.config().url;
    if world.database.is_postgres() {
        let mut conn = sqlx::PgConnection::connect(&url).await?;
        sqlx::query(sql).execute(&mut conn).await?;
        conn.close().await
    } else {
        let mut conn = sqlx::SqliteConnection::connect(&url).await?;
        sqlx::query(sql).execute(&mut conn).await?;
        conn.close().await
    }
}

#[tokio::test]
async fn what_is_written_under_a_trail_is_told_and_the_rest_is_not() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let connection = world.connection(&alice, "office").await;
    assert_eq!(all(&world, &alice).await, [], "nobody is behind that");
    let actor = key(&mut world);

    let new = world.new_credential(&connection);
    let made = trail("create", &alice, &actor)
        .cover(world.store.insert_telephony_credential(new))
        .await
        .unwrap();
    let patch = TelephonyCredentialPatch {
        name: Some("desk".to_owned()),
        ..TelephonyCredentialPatch::default()
    };
    trail("update", &alice, &actor)
        .cover(
            world
                .store
                .update_telephony_credential(alice.id, made.id, patch, NOW),
        )
        .await
        .unwrap();
    let (store, account, id) = (world.store.clone(), alice.id, made.id);
    // In a task of its own, as a deletion is that outlives its request.
    trail("delete", &alice, &actor)
        .cover(async {
            let deletion = async move { store.delete_telephony_credential(account, id).await };
            tokio::spawn(inherited(deletion)).await.unwrap().unwrap()
        })
        .await
        .unwrap();
    // What is not there is not deleted.
    let missing = trail("delete", &alice, &actor)
        .cover(world.store.delete_telephony_credential(alice.id, made.id))
        .await;
    assert_eq!(missing.unwrap(), None);

    world.reopen().await;
    let told = all(&world, &alice).await;
    let actions: Vec<_> = told.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["create", "update", "delete"]);
    for event in &told {
        assert_eq!(event.resource_type, "telephony_credential");
        assert_eq!(event.resource_id, Some(made.id.to_string()));
        assert_eq!(event.actor, actor);
        assert_eq!(event.source, Some("203.0.113.1".parse().unwrap()));
        assert_eq!((event.occurred_at, event.succeeded), (NOW, true));
        assert_eq!(event.account, alice.id);
    }
    assert_eq!(all(&world, &bob).await, []);
}

#[tokio::test]
async fn a_refused_write_leaves_no_entry_and_its_neighbours_do() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let actor = key(&mut world);
    let foreign = support::unknown_connection();
    let writes: Vec<_> = (0..30)
        .map(|index| {
            let connection = if index % 3 == 0 {
                foreign
            } else {
                connection.id
            };
            let new = ringtrip_model::NewTelephonyCredential::new(
                alice.id,
                connection,
                None,
                None,
                None,
                NOW,
                &mut world.rng,
            );
            let trail = trail("create", &alice, &actor);
            trail.cover(world.store.insert_telephony_credential(new.unwrap()))
        })
        .collect();
    let mut made = Vec::new();
    for result in join_all(writes).await {
        match result {
            Ok(credential) => made.push(credential.id.to_string()),
            refused => {
                fault(refused);
            }
        }
    }
    assert_eq!(made.len(), 20);
    let told = all(&world, &alice).await;
    let mut told: Vec<_> = told.into_iter().filter_map(|e| e.resource_id).collect();
    told.sort();
    made.sort();
    assert_eq!(told, made);
}

#[tokio::test]
async fn notes_are_written_in_bulk_and_the_last_ones_when_the_store_closes() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let actor = Actor::User {
        id: UserId::generate(&mut world.rng),
        email: "ann@example.org".into(),
        role: Role::ReadOnly,
    };
    let trail = trail("read", &alice, &actor);
    let note = |world: &mut World, resource: Option<&str>| {
        let id = AuditEventId::generate(&mut world.rng);
        let resource = resource.map(str::to_owned);
        let event = trail.event(id, "telephony_credential", resource, false);
        world.store.note_audit_event(event.clone().unwrap());
        event.unwrap()
    };
    let first: Vec<_> = (0..450)
        .map(|n| note(&mut world, Some(&n.to_string())))
        .collect();
    assert_eq!(all(&world, &alice).await, []);
    world.store.write_notes().await.unwrap();
    let listed = world
        .store
        .list_audit_events(alice.id, AuditEventFilter::default(), true, FIRST)
        .await
        .unwrap();
    assert_eq!(listed.total, 450);
    assert_eq!(listed.items, first[..250]);
    let last = note(&mut world, None);
    world.reopen().await;
    let newest = world
        .store
        .list_audit_events(alice.id, AuditEventFilter::default(), false, FIRST)
        .await
        .unwrap();
    assert_eq!((newest.total, &newest.items[0]), (451, &last));
}

#[tokio::test]
async fn entries_are_listed_by_what_they_tell() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let (one, other) = (key(&mut world), Actor::Operator);
    for (actor, action, kind, id, secs) in [
        (&one, "create", "api_key", "1", 0),
        (&one, "delete", "api_key", "1", 10),
        (&other, "create", "user", "2", 20),
    ] {
        let trail = Trail::new(action, None, after(secs));
        trail.identify(alice.id, actor.clone());
        let event_id = AuditEventId::generate(&mut world.rng);
        let event = trail.event(event_id, kind, Some(id.to_owned()), true);
        world.store.note_audit_event(event.unwrap());
    }
    world.store.write_notes().await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let none = AuditEventFilter::default;
    let Actor::ApiKey { id: key_id, .. } = &one else {
        panic!()
    };
    for (filter, expected) in [
        (none(), &[0, 10, 20][..]),
        (
            AuditEventFilter {
                from: Some(after(10)),
                ..none()
            },
            &[10, 20],
        ),
        (
            AuditEventFilter {
                before: Some(after(10)),
                ..none()
            },
            &[0],
        ),
        (
            AuditEventFilter {
                actor_type: text("operator"),
                ..none()
            },
            &[20],
        ),
        (
            AuditEventFilter {
                actor_id: text(&key_id.to_string()),
                ..none()
            },
            &[0, 10],
        ),
        (
            AuditEventFilter {
                action: text("create"),
                ..none()
            },
            &[0, 20],
        ),
        (
            AuditEventFilter {
                resource_type: text("api_key"),
                action: text("delete"),
                ..none()
            },
            &[10],
        ),
        (
            AuditEventFilter {
                resource_id: text("1"),
                ..none()
            },
            &[0, 10],
        ),
        (
            AuditEventFilter {
                resource_id: text("' OR 1=1"),
                ..none()
            },
            &[],
        ),
        (
            AuditEventFilter {
                resource_id: text("a\0b"),
                ..none()
            },
            &[],
        ),
    ] {
        let found = events(&world, &alice, filter.clone()).await;
        let secs = found
            .iter()
            .map(|event| event.occurred_at.as_secs() - NOW.as_secs());
        let secs: Vec<_> = secs.collect();
        assert_eq!(secs, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn nobody_changes_an_entry_and_only_age_takes_one_away() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let actor = Actor::Operator;
    for secs in 0..1500 {
        let trail = Trail::new("create", None, after(secs));
        trail.identify(alice.id, actor.clone());
        let id = AuditEventId::generate(&mut world.rng);
        world
            .store
            .note_audit_event(trail.event(id, "user", None, true).unwrap());
    }
    world.store.write_notes().await.unwrap();
    for sql in [
        "UPDATE audit_events SET action = 'nothing'",
        "UPDATE audit_events SET account_id = 'x' WHERE seq = 1",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE seq = 1",
    ] {
        let refused = by_hand(&world, sql).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    let pruned = world.store.prune_audit_events(after(1200)).await.unwrap();
    assert_eq!(pruned, 1200);
    let left = world
        .store
        .list_audit_events(alice.id, AuditEventFilter::default(), true, FIRST)
        .await
        .unwrap();
    assert_eq!((left.total, left.items[0].occurred_at), (300, after(1200)));
    assert_eq!(
        world.store.prune_audit_events(after(1200)).await.unwrap(),
        0
    );
    assert!(by_hand(&world, "DELETE FROM audit_events").await.is_err());
}

#[tokio::test]
async fn a_key_tells_when_it_was_used_and_ends_when_it_says() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let end = after(1000);
    let (new, plain) = NewApiKey::new(alice.id, "ci", Some(end), NOW, &mut world.rng).unwrap();
    let key = world.store.insert_api_key(new).await.unwrap();
    let used = async |world: &World| {
        world.store.write_notes().await.unwrap();
        let key = world
            .store
            .api_key(alice.id, key.id)
            .await
            .unwrap()
            .unwrap();
        key.last_used_at
    };
    let identify = async |world: &World, at: Timestamp| {
        let holder = world.store.identify_api_key(&plain, at).await.unwrap();
        holder.is_some()
    };
    assert_eq!(used(&world).await, None);
    for (secs, expected) in [(5, 5), (30, 5), (64, 5), (65, 65), (200, 200)] {
        assert!(identify(&world, after(secs)).await);
        assert_eq!(used(&world).await, Some(after(expected)), "{secs}");
    }
    world.reopen().await;
    assert!(identify(&world, after(230)).await);
    assert_eq!(used(&world).await, Some(after(200)));
    assert!(!identify(&world, end).await, "it has ended");
    assert!(identify(&world, after(999)).await);

    let renamed = world
        .store
        .rename_api_key(alice.id, key.id, "deploy".to_owned())
        .await;
    assert_eq!(renamed.unwrap().unwrap().name, "deploy");
    let holder = world.store.identify_api_key(&plain, after(999)).await;
    assert_eq!(&*holder.unwrap().unwrap().name, "deploy");
}
