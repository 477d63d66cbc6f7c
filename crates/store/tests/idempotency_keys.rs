//! Creates that come again under their key.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use ringtrip_model::{Account, CredentialConnection, Secret, TelephonyCredential};
use ringtrip_store::{KeptAnswer, NamedCreate, Page, Repeated, Store, StoreError};
use support::{NOW, World, after};

const DAY: i64 = 24 * 3600;
const FIRST: Page = Page {
    number: 1,
    size: 50,
};

fn create(account: &Account, key: &str, body: &str) -> NamedCreate {
    NamedCreate::new(
        account.id,
        "POST",
        "/v2/telephony_credentials",
        key,
        body.as_bytes(),
    )
}

fn answer(made: &TelephonyCredential) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        body: Secret::new(made.sip_password.expose().clone().into_bytes()),
    }
}

async fn count(store: &Store, account: &Account) -> u64 {
    let listed = store
        .list_telephony_credentials(account.id, Default::default(), FIRST, NOW)
        .await;
    listed.unwrap().total
}

async fn insert(
    world: &mut World,
    connection: &CredentialConnection,
    create: &NamedCreate,
    at: i64,
) -> Result<TelephonyCredential, StoreError> {
    let new = world.new_credential(connection);
    let store = world.store.noting(create.clone(), after(at), answer);
    store.insert_telephony_credential(new).await
}

#[tokio::test]
async fn the_row_and_its_answer_are_there_together_and_once() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "main").await;
    let order = create(&alice, "order-1", "{}");
    assert_eq!(world.store.repeated(&order, NOW).await.unwrap(), None);
    let made = insert(&mut world, &connection, &order, 0).await.unwrap();

    world.reopen().await;
    let same = Some(Repeated::Same(answer(&made)));
    assert_eq!(world.store.repeated(&order, NOW).await.unwrap(), same);
    let other = create(&alice, "order-1", "{\"name\":\"x\"}");
    let known = world.store.repeated(&other, NOW).await.unwrap();
    assert_eq!(known, Some(Repeated::OtherBody));
    // A second attempt is undone, whatever its body is.
    for again in [&order, &other] {
        let refused = insert(&mut world, &connection, again, 1).await;
        assert!(matches!(refused, Err(StoreError::Repeated)), "{refused:?}");
    }
    assert_eq!(count(&world.store, &alice).await, 1);
    assert_eq!(world.store.repeated(&order, NOW).await.unwrap(), same);
    // The store goes on.
    world.credential(&connection).await;
    assert_eq!(count(&world.store, &alice).await, 2);
}

#[tokio::test]
async fn what_was_refused_is_not_kept() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "main").await;
    let order = create(&alice, "order-1", "{}");
    let mut gone = connection.clone();
    gone.id = support::unknown_connection();
    let refused = insert(&mut world, &gone, &order, 0).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(world.store.repeated(&order, NOW).await.unwrap(), None);
    insert(&mut world, &connection, &order, 0).await.unwrap();
    assert_eq!(count(&world.store, &alice).await, 1);
}

#[tokio::test]
async fn many_attempts_at_once_make_one_row() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "main").await;
    let order = create(&alice, "order-1", "{}");
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let new = world.new_credential(&connection);
            let store = world.store.noting(order.clone(), NOW, answer);
            tokio::spawn(async move { store.insert_telephony_credential(new).await })
        })
        .collect();
    let mut made = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, StoreError::Repeated), "{error:?}"),
        }
    }
    assert_eq!((made, count(&world.store, &alice).await), (1, 1));
}

#[tokio::test]
async fn a_key_counts_for_its_owner_and_its_path_and_for_a_day() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let connection = world.connection(&alice, "main").await;
    let order = create(&alice, "order-1", "{}");
    insert(&mut world, &connection, &order, 0).await.unwrap();
    for other in [
        create(&bob, "order-1", "{}"),
        create(&alice, "order-2", "{}"),
        NamedCreate::new(
            alice.id,
            "POST",
            "/v2/credential_connections",
            "order-1",
            b"{}",
        ),
        NamedCreate::new(
            alice.id,
            "PUT",
            "/v2/telephony_credentials",
            "order-1",
            b"{}",
        ),
        NamedCreate::new(
            alice.id,
            "POST",
            "/v2/telephony_credentialso",
            "rder-1",
            b"{}",
        ),
    ] {
        assert_eq!(world.store.repeated(&other, NOW).await.unwrap(), None);
    }
    let known = world.store.repeated(&order, after(DAY - 1)).await.unwrap();
    assert!(matches!(known, Some(Repeated::Same(_))));
    assert_eq!(
        world.store.repeated(&order, after(DAY)).await.unwrap(),
        None
    );
    let made = insert(&mut world, &connection, &order, DAY).await.unwrap();
    assert_eq!(
        world.store.repeated(&order, after(DAY)).await.unwrap(),
        Some(Repeated::Same(answer(&made)))
    );
    assert_eq!(count(&world.store, &alice).await, 2);
}

#[tokio::test]
async fn old_answers_are_forgotten() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "main").await;
    for (key, at) in [("old", 0), ("young", 100)] {
        let order = create(&alice, key, "{}");
        insert(&mut world, &connection, &order, at).await.unwrap();
    }
    assert_eq!(world.store.prune_kept_answers(after(DAY)).await.unwrap(), 1);
    assert_eq!(world.store.prune_kept_answers(after(DAY)).await.unwrap(), 0);
    let young = create(&alice, "young", "{}");
    let known = world.store.repeated(&young, after(DAY)).await.unwrap();
    assert!(matches!(known, Some(Repeated::Same(_))));
    assert_eq!(count(&world.store, &alice).await, 2, "the rows stay");
}
