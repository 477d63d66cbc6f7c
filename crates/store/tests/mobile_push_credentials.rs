//! Push credentials: sealed, found by their owner alone, and kept while a connection uses them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ringtrip_model::{
    Account, ConnectionSettings, CredentialConnection, CredentialConnectionId, FieldErrorKind,
    MobilePushCredential, MobilePushCredentialId, NewCredentialConnection, NewMobilePushCredential,
    PushPlatform, Secret,
};
use ringtrip_store::{MobilePushCredentialFilter, Page, StoreError};
use serde_json::json;
use support::{NOW, World, fault};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

/// Not keys: just what is shaped like them.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----";
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAMCAQI=\n-----END PRIVATE KEY-----";

fn ios(world: &mut World, account: &Account, alias: &str) -> NewMobilePushCredential {
    NewMobilePushCredential::ios(
        account.id,
        alias.to_owned(),
        Secret::new(CERTIFICATE.to_owned()),
        Secret::new(PRIVATE_KEY.to_owned()),
        NOW,
        &mut world.rng,
    )
    .unwrap()
}

fn android(world: &mut World, account: &Account, alias: &str) -> NewMobilePushCredential {
    let file = json!({
        "type": "service_account",
        "project_id": "p",
        "client_email": "push@p.example",
        "private_key": PRIVATE_KEY,
    });
    NewMobilePushCredential::android(
        account.id,
        alias.to_owned(),
        file.as_object(),
        NOW,
        &mut world.rng,
    )
    .unwrap()
}

async fn insert(world: &World, new: NewMobilePushCredential) -> MobilePushCredential {
    world
        .store
        .insert_mobile_push_credential(new)
        .await
        .unwrap()
}

#[tokio::test]
async fn push_credentials_come_back_as_they_were_to_their_owner_alone() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let (apple, google) = (
        ios(&mut world, &alice, "app"),
        android(&mut world, &alice, "droid"),
    );
    let apple = insert(&world, apple).await;
    let google = insert(&world, google).await;
    world.reopen().await;
    for added in [&apple, &google] {
        let read = world
            .store
            .mobile_push_credential(alice.id, added.id)
            .await
            .unwrap();
        assert_eq!(read.as_ref(), Some(added));
        let foreign = world
            .store
            .mobile_push_credential(bob.id, added.id)
            .await
            .unwrap();
        assert_eq!(foreign, None);
        let foreign = world
            .store
            .delete_mobile_push_credential(bob.id, added.id)
            .await
            .unwrap();
        assert_eq!(foreign, None);
    }
    let deleted = world
        .store
        .delete_mobile_push_credential(alice.id, apple.id)
        .await
        .unwrap();
    assert_eq!(deleted, Some(apple.clone()));
    let gone = world
        .store
        .mobile_push_credential(alice.id, apple.id)
        .await
        .unwrap();
    assert_eq!(gone, None);
}

#[tokio::test]
async fn an_alias_is_unique_within_an_account() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let first = ios(&mut world, &alice, "app");
    insert(&world, first).await;
    let again = android(&mut world, &alice, "app");
    assert_eq!(
        fault(world.store.insert_mobile_push_credential(again).await),
        (FieldErrorKind::Duplicate, "/alias".to_owned())
    );
    for (account, alias) in [(&bob, "app"), (&alice, "App")] {
        let new = ios(&mut world, account, alias);
        insert(&world, new).await;
    }
}

#[tokio::test]
async fn lists_are_filtered_and_counted() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    for (account, alias) in [(&alice, "one"), (&alice, "two"), (&bob, "one")] {
        let new = ios(&mut world, account, alias);
        insert(&world, new).await;
    }
    let new = android(&mut world, &alice, "three");
    insert(&world, new).await;
    let list = async |account: &Account, filter| {
        let store = &world.store;
        let listed = store
            .list_mobile_push_credentials(account.id, filter, FIRST)
            .await
            .unwrap();
        let mut aliases: Vec<_> = listed.items.into_iter().map(|c| c.alias).collect();
        aliases.sort();
        assert_eq!(aliases.len() as u64, listed.total);
        aliases.join(" ")
    };
    let any = MobilePushCredentialFilter::default;
    assert_eq!(list(&alice, any()).await, "one three two");
    assert_eq!(list(&bob, any()).await, "one");
    let alias = |alias: &str| MobilePushCredentialFilter {
        alias: Some(alias.to_owned()),
        ..any()
    };
    assert_eq!(list(&alice, alias("two")).await, "two");
    assert_eq!(list(&alice, alias("TWO")).await, "");
    assert_eq!(list(&alice, alias(&"x".repeat(9000))).await, "");
    let platform = |platform| MobilePushCredentialFilter {
        platform: Some(platform),
        ..any()
    };
    assert_eq!(list(&alice, platform(PushPlatform::Android)).await, "three");
    assert_eq!(list(&alice, platform(PushPlatform::Ios)).await, "one two");
    assert_eq!(list(&bob, platform(PushPlatform::Android)).await, "");
}

async fn set(
    world: &World,
    connection: &CredentialConnection,
    ios: Option<MobilePushCredentialId>,
    android: Option<MobilePushCredentialId>,
) -> Result<CredentialConnection, StoreError> {
    let changed = world
        .store
        .update_credential_connection(connection.account, connection.id, NOW, move |connection| {
            connection.settings.ios_push_credential_id = ios;
            connection.settings.android_push_credential_id = android;
            Ok(())
        })
        .await?;
    Ok(changed.unwrap().after)
}

#[tokio::test]
async fn a_connection_names_push_credentials_of_its_own_account_and_the_right_platform() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let office = world.connection(&alice, "office").await;
    let made = [
        ios(&mut world, &alice, "app"),
        android(&mut world, &alice, "droid"),
        ios(&mut world, &bob, "app"),
    ];
    let mut ids = Vec::new();
    for new in made {
        ids.push(insert(&world, new).await.id);
    }
    let [apple, google, bobs] = ids[..] else {
        panic!("three were made")
    };
    let unknown = MobilePushCredentialId::generate(&mut world.rng);
    for id in [google, bobs, unknown] {
        assert_eq!(
            fault(set(&world, &office, Some(id), None).await),
            (
                FieldErrorKind::NoSuchResource,
                "/ios_push_credential_id".to_owned()
            )
        );
    }
    for id in [apple, bobs, unknown] {
        assert_eq!(
            fault(set(&world, &office, None, Some(id)).await),
            (
                FieldErrorKind::NoSuchResource,
                "/android_push_credential_id".to_owned()
            )
        );
        let settings = ConnectionSettings {
            android_push_credential_id: Some(id),
            ..ConnectionSettings::default()
        };
        let new = NewCredentialConnection::new(
            alice.id,
            "new",
            "newuser1",
            "correct horse",
            settings,
            NOW,
            &mut world.rng,
        );
        assert_eq!(
            fault(world.store.insert_credential_connection(new.unwrap()).await).0,
            FieldErrorKind::NoSuchResource
        );
    }
    let after = set(&world, &office, Some(apple), Some(google))
        .await
        .unwrap();
    world.reopen().await;
    let read = async |id: CredentialConnectionId| {
        world
            .store
            .credential_connection(alice.id, id)
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(read(office.id).await, after);
    // What is in use stays, and goes once it is not.
    for id in [apple, google] {
        assert_eq!(
            fault(
                world
                    .store
                    .delete_mobile_push_credential(alice.id, id)
                    .await
            ),
            (FieldErrorKind::InUse, "/".to_owned())
        );
    }
    set(&world, &office, None, Some(google)).await.unwrap();
    let deleted = world
        .store
        .delete_mobile_push_credential(alice.id, apple)
        .await
        .unwrap();
    assert!(deleted.is_some());
    world
        .store
        .delete_credential_connection(alice.id, office.id)
        .await
        .unwrap();
    let deleted = world
        .store
        .delete_mobile_push_credential(alice.id, google)
        .await
        .unwrap();
    assert!(deleted.is_some());
}
