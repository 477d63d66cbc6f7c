//! What every engine must do alike with trunks.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use ringtrip_model::{
    Account, FieldErrorKind, FieldErrors, NewTrunk, Secret, Timestamp, Trunk, TrunkId,
    TrunkSettings,
};
use ringtrip_store::{Page, StoreError, TrunkFilter, TrunkOrder, TrunkSort};
use support::{NOW, World, after, fault};

const FIRST: Page = Page {
    number: 1,
    size: 20,
};

fn settings() -> TrunkSettings {
    TrunkSettings {
        host: "sip.carrier.example".to_owned(),
        auth_username: Some("us".to_owned()),
        ..TrunkSettings::default()
    }
}

async fn trunk(
    world: &mut World,
    account: &Account,
    name: &str,
    settings: TrunkSettings,
    at: Timestamp,
) -> Result<Trunk, StoreError> {
    let password = Some(Secret::new("hush".to_owned()));
    let new = NewTrunk::new(account.id, name, password, settings, at, &mut world.rng);
    world.store.insert_trunk(new.unwrap()).await
}

#[tokio::test]
async fn a_trunk_is_kept_as_it_was_given_for_its_owner() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let made = trunk(&mut world, &alice, "Carrier", settings(), NOW)
        .await
        .unwrap();
    world.reopen().await;
    let find = async |account: &Account, id| world.store.trunk(account.id, id).await.unwrap();
    assert_eq!(find(&alice, made.id).await, Some(made.clone()));
    assert_eq!(find(&bob, made.id).await, None);
    assert_eq!(find(&alice, TrunkId::from_i64(1)).await, None);

    let change = |trunk: &mut Trunk| {
        trunk.settings.priority = 7;
        trunk.settings.enabled = false;
        trunk.settings.channel_limit = Some(30);
        trunk.auth_password = None;
        trunk.account = ringtrip_model::AccountId::from_uuid(uuid::Uuid::nil());
        Ok(())
    };
    let foreign = world.store.update_trunk(bob.id, made.id, after(5), change);
    assert_eq!(foreign.await.unwrap(), None);
    let changed = world
        .store
        .update_trunk(alice.id, made.id, after(5), change);
    let changed = changed.await.unwrap().unwrap();
    let expected = Trunk {
        auth_password: None,
        settings: TrunkSettings {
            priority: 7,
            enabled: false,
            channel_limit: Some(30),
            ..settings()
        },
        updated_at: after(5),
        ..made.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(find(&alice, made.id).await, Some(expected.clone()));
    let invalid = world
        .store
        .update_trunk(alice.id, made.id, after(6), |trunk| {
            trunk.settings.host = "not a host".to_owned();
            Ok(())
        });
    match invalid.await {
        Err(StoreError::Invalid(FieldErrors(faults))) => assert_eq!(faults[0].pointer, "/host"),
        other => panic!("{other:?}"),
    }

    let delete = async |account: &Account| {
        let deleted = world.store.delete_trunk(account.id, made.id);
        deleted.await.unwrap()
    };
    assert_eq!(delete(&bob).await, None);
    assert_eq!(delete(&alice).await, Some(expected));
    assert_eq!(delete(&alice).await, None);
}

#[tokio::test]
async fn names_are_unique_within_an_account_whatever_the_case() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let first = trunk(&mut world, &alice, "Carrier", settings(), NOW)
        .await
        .unwrap();
    let second = trunk(&mut world, &alice, "Other", settings(), NOW)
        .await
        .unwrap();
    let taken = (FieldErrorKind::Duplicate, "/name".to_owned());
    let again = trunk(&mut world, &alice, "cARRIER", settings(), NOW).await;
    assert_eq!(fault(again), taken);
    let rename = |name: &'static str| {
        move |trunk: &mut Trunk| {
            trunk.name = name.to_owned();
            Ok(())
        }
    };
    let (account, id) = (alice.id, second.id);
    let renamed = world
        .store
        .update_trunk(account, id, NOW, rename("CARRIER"));
    assert_eq!(fault(renamed.await), taken);
    let own = world
        .store
        .update_trunk(account, first.id, NOW, rename("CARRIER"));
    assert_eq!(own.await.unwrap().unwrap().name, "CARRIER");
    trunk(&mut world, &bob, "Carrier", settings(), NOW)
        .await
        .unwrap();
    // A refused one is not counted.
    let listed = world
        .store
        .list_trunks(
            alice.id,
            TrunkFilter::default(),
            TrunkOrder::default(),
            FIRST,
        )
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.total), (2, 2));
}

#[tokio::test]
async fn trunks_are_listed_by_filter_and_in_every_order() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    for (index, (name, priority, enabled)) in
        [("beta", 5, true), ("Alpha", 9, false), ("gamma", 5, true)]
            .into_iter()
            .enumerate()
    {
        let settings = TrunkSettings {
            priority,
            enabled,
            ..settings()
        };
        let at = after(i64::try_from(index).unwrap());
        trunk(&mut world, &alice, name, settings, at).await.unwrap();
    }
    let names = async |contains: Option<&str>, enabled, by, descending| {
        let filter = TrunkFilter {
            name_contains: contains.map(str::to_owned),
            enabled,
        };
        let order = TrunkOrder { by, descending };
        let listed = world.store.list_trunks(alice.id, filter, order, FIRST);
        let listed = listed.await.unwrap();
        assert_eq!(listed.total, listed.items.len() as u64);
        let names = listed.items.into_iter().map(|trunk| trunk.name);
        names.collect::<Vec<_>>()
    };
    use TrunkSort::{CreatedAt, Enabled, Name, Priority};
    assert_eq!(
        names(None, None, CreatedAt, true).await,
        ["gamma", "Alpha", "beta"]
    );
    assert_eq!(
        names(None, None, Name, false).await,
        ["Alpha", "beta", "gamma"]
    );
    assert_eq!(
        names(None, None, Priority, false).await,
        ["beta", "gamma", "Alpha"]
    );
    assert_eq!(
        names(None, None, Enabled, false).await,
        ["Alpha", "beta", "gamma"]
    );
    assert_eq!(
        names(Some("A"), Some(true), Name, true).await,
        ["gamma", "beta"]
    );
    assert_eq!(names(None, Some(false), Name, true).await, ["Alpha"]);
    assert_eq!(names(Some("x"), None, Name, true).await, [""; 0]);
}

#[tokio::test]
async fn a_list_is_as_long_however_much_of_it_a_page_holds() {
    let mut world = World::new().await;
    let alice = world.account("alice@example.org").await;
    for n in 0..5 {
        let name = format!("north {n}");
        trunk(&mut world, &alice, &name, settings(), after(n))
            .await
            .unwrap();
    }
    for (contains, long) in [
        (None, 5),
        (Some("north"), 5),
        (Some("3"), 1),
        (Some("x"), 0),
    ] {
        for (number, size) in [(1, 1), (1, 4), (1, 5), (1, 6), (2, 2), (3, 2), (4, 2)] {
            let filter = TrunkFilter {
                name_contains: contains.map(str::to_owned),
                enabled: None,
            };
            let order = TrunkOrder {
                by: TrunkSort::Name,
                descending: false,
            };
            let page = Page { number, size };
            let listed = world.store.list_trunks(alice.id, filter, order, page).await;
            let listed = listed.unwrap();
            let before = (number - 1) * size;
            let expected = long.min(before + size).saturating_sub(before);
            let found = (listed.total, listed.items.len());
            let expected = (u64::from(long), usize::try_from(expected).unwrap());
            assert_eq!(found, expected, "{contains:?} {page:?}");
        }
    }
}
