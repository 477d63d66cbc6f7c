//! Telephone numbers: whose they are, how they are found, and that none is lost with its connection.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ringtrip_model::{
    Account, Country, CredentialConnection, CredentialConnectionId, FieldError, FieldErrorKind,
    FieldErrors, ForwardingType, NewPhoneNumber, NumberPaymentMethod, PhoneNumber, PhoneNumberId,
    PhoneNumberSettings, PhoneNumberType,
};
use ringtrip_store::{
    NameMatch, Page, PhoneNumberFilter, PhoneNumberOrder, PhoneNumberSort, StoreError,
};
use support::{NOW, World, after, fault, unknown_connection};
use uuid::Uuid;

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

fn new(
    world: &mut World,
    account: &Account,
    number: &str,
    connection: Option<CredentialConnectionId>,
    settings: PhoneNumberSettings,
) -> NewPhoneNumber {
    let number = Some(number.parse().unwrap());
    NewPhoneNumber::new(
        account.id,
        number,
        None,
        None,
        connection,
        settings,
        NOW,
        &mut world.rng,
    )
    .unwrap()
}

async fn add(
    world: &mut World,
    account: &Account,
    number: &str,
    connection: Option<&CredentialConnection>,
    settings: PhoneNumberSettings,
) -> PhoneNumber {
    let new = new(world, account, number, connection.map(|c| c.id), settings);
    world.store.insert_phone_number(new).await.unwrap()
}

fn tagged(tags: &[&str]) -> PhoneNumberSettings {
    PhoneNumberSettings {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..PhoneNumberSettings::default()
    }
}

#[tokio::test]
async fn a_number_is_kept_whole_and_found_by_its_owner_alone() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let office = world.connection(&alice, "Büro").await;
    let mut settings = PhoneNumberSettings {
        customer_reference: Some("ref".to_owned()),
        external_pin: Some("1234".to_owned()),
        billing_group_id: Some(Uuid::from_u128(7)),
        deletion_lock_enabled: true,
        ..tagged(&["b", "a"])
    };
    settings.voice.usage_payment_method = NumberPaymentMethod::Channel;
    settings.voice.call_forwarding.forwarding_type = Some(ForwardingType::Always);
    let added = add(
        &mut world,
        &alice,
        "+14165550123",
        Some(&office),
        settings.clone(),
    )
    .await;
    assert_eq!(added.settings, settings);
    assert_eq!(added.connection_name.as_deref(), Some("Büro"));
    assert_eq!(
        (added.country.alpha2(), added.kind),
        ("CA", PhoneNumberType::Local)
    );
    world.reopen().await;
    let store = &world.store;
    assert_eq!(
        store.phone_number(alice.id, added.id).await.unwrap(),
        Some(added.clone())
    );
    assert_eq!(store.phone_number(bob.id, added.id).await.unwrap(), None);
    let unknown = PhoneNumberId::from_i64(1);
    assert_eq!(store.phone_number(alice.id, unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_number_exists_once_in_the_installation() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let plain = PhoneNumberSettings::default;
    let held = add(&mut world, &alice, "+13125550123", None, plain()).await;
    for account in [&alice, &bob] {
        let again = new(&mut world, account, "+13125550123", None, plain());
        assert_eq!(
            fault(world.store.insert_phone_number(again).await),
            (FieldErrorKind::Duplicate, "/phone_number".to_owned())
        );
    }
    world
        .store
        .delete_phone_number(alice.id, held.id)
        .await
        .unwrap()
        .unwrap();
    add(&mut world, &bob, "+13125550123", None, plain()).await;
}

#[tokio::test]
async fn a_connection_must_be_the_accounts_own() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let bobs = world.connection(&bob, "bob").await;
    let refused = (FieldErrorKind::NoSuchResource, "/connection_id".to_owned());
    let plain = PhoneNumberSettings::default;
    let held = add(&mut world, &alice, "+13125550123", None, plain()).await;
    for id in [bobs.id, unknown_connection()] {
        let new = new(&mut world, &alice, "+13125550124", Some(id), plain());
        assert_eq!(fault(world.store.insert_phone_number(new).await), refused);
        let changed = world
            .store
            .update_phone_number(alice.id, held.id, NOW, move |number| {
                number.connection = Some(id);
                Ok(())
            })
            .await;
        assert_eq!(fault(changed), refused);
    }
    // What was refused left nothing behind.
    let listed = world
        .store
        .list_phone_numbers(
            alice.id,
            PhoneNumberFilter::default(),
            PhoneNumberOrder::default(),
            FIRST,
        )
        .await
        .unwrap();
    assert_eq!((listed.items, listed.total), (vec![held], 1));
}

#[tokio::test]
async fn a_change_may_set_connection_and_settings_and_nothing_else() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let office = world.connection(&alice, "office").await;
    let before = add(&mut world, &alice, "+13125550123", None, tagged(&["old"])).await;
    let (id, moved) = (before.id, office.id);
    let changed = world
        .store
        .update_phone_number(alice.id, id, after(5), move |number| {
            number.id = PhoneNumberId::from_i64(1);
            number.account = bob.id;
            number.number = "+13125550199".parse().unwrap();
            number.created_at = after(9);
            number.connection = Some(moved);
            number.settings.tags = vec!["new".to_owned(), "new".to_owned()];
            Ok(())
        })
        .await
        .unwrap()
        .unwrap();
    let expected = PhoneNumber {
        connection: Some(office.id),
        connection_name: Some("office".to_owned()),
        settings: tagged(&["new"]),
        updated_at: after(5),
        ..before
    };
    assert_eq!(changed, expected);
    world.reopen().await;
    assert_eq!(
        world.store.phone_number(alice.id, id).await.unwrap(),
        Some(expected)
    );
    let ignored = |_: &mut PhoneNumber| Ok(());
    let foreign = world
        .store
        .update_phone_number(bob.id, id, NOW, ignored)
        .await;
    assert_eq!(foreign.unwrap(), None);
    let refusal = FieldError::new("/x", FieldErrorKind::Invalid, "no");
    let told = refusal.clone();
    let result = world
        .store
        .update_phone_number(alice.id, id, NOW, |_| Err(FieldErrors(vec![told])))
        .await;
    assert!(matches!(result, Err(StoreError::Invalid(FieldErrors(faults))) if faults == [refusal]));
    let result = world
        .store
        .update_phone_number(alice.id, id, NOW, |number| {
            number.settings.voice.translated_number = "a b".to_owned();
            Ok(())
        })
        .await;
    assert!(matches!(result, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn a_locked_number_stays() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let locked = PhoneNumberSettings {
        deletion_lock_enabled: true,
        ..tagged(&["a"])
    };
    let held = add(&mut world, &alice, "+13125550123", None, locked).await;
    assert_eq!(
        fault(world.store.delete_phone_number(alice.id, held.id).await),
        (
            FieldErrorKind::Terminal,
            "/deletion_lock_enabled".to_owned()
        )
    );
    world
        .store
        .update_phone_number(alice.id, held.id, NOW, |number| {
            number.settings.deletion_lock_enabled = false;
            Ok(())
        })
        .await
        .unwrap();
    let deleted = world
        .store
        .delete_phone_number(alice.id, held.id)
        .await
        .unwrap();
    assert_eq!(deleted.map(|number| number.id), Some(held.id));
    assert_eq!(
        world
            .store
            .delete_phone_number(alice.id, held.id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        world.store.phone_number(alice.id, held.id).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_number_outlives_its_connection() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let office = world.connection(&alice, "office").await;
    let other = world.connection(&alice, "other").await;
    let plain = PhoneNumberSettings::default;
    let lost = add(&mut world, &alice, "+13125550123", Some(&office), plain()).await;
    let kept = add(&mut world, &alice, "+13125550124", Some(&other), plain()).await;
    world
        .store
        .delete_credential_connection(alice.id, office.id)
        .await
        .unwrap()
        .unwrap();
    let unassigned = PhoneNumber {
        connection: None,
        connection_name: None,
        ..lost.clone()
    };
    let store = &world.store;
    assert_eq!(
        store.phone_number(alice.id, lost.id).await.unwrap(),
        Some(unassigned)
    );
    assert_eq!(
        store.phone_number(alice.id, kept.id).await.unwrap(),
        Some(kept)
    );
}

async fn found(world: &World, account: &Account, filter: PhoneNumberFilter) -> Vec<String> {
    let order = PhoneNumberOrder {
        by: PhoneNumberSort::PhoneNumber,
        descending: false,
    };
    let listed = world
        .store
        .list_phone_numbers(account.id, filter, order, FIRST)
        .await
        .unwrap();
    assert_eq!(listed.total, listed.items.len() as u64);
    listed
        .items
        .iter()
        .map(|number| number.number.to_string())
        .collect()
}

#[tokio::test]
async fn filters_narrow_a_list_to_what_meets_all_of_them() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let office = world.connection(&alice, "Head Office 100%").await;
    let shop = world.connection(&alice, "shop").await;
    let (us, ca, de) = ("+13125550123", "+14165550123", "+4915112345678");
    let by_channel = {
        let mut settings = PhoneNumberSettings {
            customer_reference: Some("Ref".to_owned()),
            billing_group_id: Some(Uuid::from_u128(7)),
            ..PhoneNumberSettings::default()
        };
        settings.voice.usage_payment_method = NumberPaymentMethod::Channel;
        settings
    };
    add(&mut world, &alice, us, Some(&office), tagged(&["a", "b"])).await;
    add(&mut world, &alice, ca, Some(&shop), tagged(&["b"])).await;
    add(&mut world, &alice, de, None, by_channel).await;
    add(&mut world, &bob, "+13125550199", None, tagged(&["a"])).await;

    let any = PhoneNumberFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let country = |code| Country::from_alpha2(code).unwrap();
    let named = |name| PhoneNumberFilter {
        connection_name: Some(name),
        ..any()
    };
    let number = |part| PhoneNumberFilter {
        phone_number: text(part),
        ..any()
    };
    let tag = |tag| PhoneNumberFilter {
        tag: text(tag),
        ..any()
    };
    for (filter, expected) in [
        (any(), vec![us, ca, de]),
        (number("555"), vec![us, ca]),
        (number("+1312"), vec![us]),
        (number("1312"), vec![us]),
        (number("+312"), vec![]),
        (number("12345678"), vec![de]),
        (number("3%5"), vec![]),
        (number("5_5"), vec![]),
        (tag("a"), vec![us]),
        (tag("b"), vec![us, ca]),
        (tag("B"), vec![]),
        (
            PhoneNumberFilter {
                without_tags: true,
                ..any()
            },
            vec![de],
        ),
        (
            PhoneNumberFilter {
                connection: Some(shop.id),
                ..any()
            },
            vec![ca],
        ),
        (
            PhoneNumberFilter {
                connection: Some(unknown_connection()),
                ..any()
            },
            vec![],
        ),
        (named(NameMatch::Contains("OFFICE".to_owned())), vec![us]),
        (named(NameMatch::Contains("o".to_owned())), vec![us, ca]),
        (named(NameMatch::StartsWith("head".to_owned())), vec![us]),
        (named(NameMatch::StartsWith("office".to_owned())), vec![]),
        (named(NameMatch::EndsWith("100%".to_owned())), vec![us]),
        (named(NameMatch::EndsWith("%".to_owned())), vec![us]),
        (named(NameMatch::Contains("_".to_owned())), vec![]),
        (named(NameMatch::Equals("SHOP".to_owned())), vec![ca]),
        (named(NameMatch::Equals("sho".to_owned())), vec![]),
        (
            PhoneNumberFilter {
                countries: Some(vec![country("US"), country("DE")]),
                ..any()
            },
            vec![us, de],
        ),
        (
            PhoneNumberFilter {
                countries: Some(Vec::new()),
                ..any()
            },
            vec![],
        ),
        (
            PhoneNumberFilter {
                kind: Some(PhoneNumberType::Mobile),
                ..any()
            },
            vec![de],
        ),
        (
            PhoneNumberFilter {
                customer_reference: text("Ref"),
                ..any()
            },
            vec![de],
        ),
        (
            PhoneNumberFilter {
                customer_reference: text("ref"),
                ..any()
            },
            vec![],
        ),
        (
            PhoneNumberFilter {
                billing_group: Some(Some(Uuid::from_u128(7))),
                ..any()
            },
            vec![de],
        ),
        (
            PhoneNumberFilter {
                billing_group: Some(None),
                ..any()
            },
            vec![us, ca],
        ),
        (
            PhoneNumberFilter {
                usage_payment_method: Some(NumberPaymentMethod::Channel),
                ..any()
            },
            vec![de],
        ),
        (
            PhoneNumberFilter {
                phone_number: text("555"),
                tag: text("b"),
                countries: Some(vec![country("CA")]),
                connection_name: Some(NameMatch::Contains("shop".to_owned())),
                ..any()
            },
            vec![ca],
        ),
    ] {
        let what = format!("{filter:?}");
        assert_eq!(found(&world, &alice, filter).await, expected, "{what}");
    }
}

#[tokio::test]
async fn lists_are_sorted_and_paged() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let (b, a) = (
        world.connection(&alice, "B").await,
        world.connection(&alice, "a").await,
    );
    let plain = PhoneNumberSettings::default;
    let mut by_channel = plain();
    by_channel.voice.usage_payment_method = NumberPaymentMethod::Channel;
    add(&mut world, &alice, "+13125550103", Some(&b), plain()).await;
    add(&mut world, &alice, "+13125550101", Some(&a), plain()).await;
    add(&mut world, &alice, "+13125550102", None, by_channel).await;
    let list = async |by, descending, number, size| {
        let order = PhoneNumberOrder { by, descending };
        let page = Page { number, size };
        let filter = PhoneNumberFilter::default();
        let listed = world
            .store
            .list_phone_numbers(alice.id, filter, order, page)
            .await
            .unwrap();
        assert_eq!(listed.total, 3);
        let last = |number: &PhoneNumber| number.number.to_string()[11..].to_owned();
        listed.items.iter().map(last).collect::<Vec<_>>().join("")
    };
    for (by, descending, expected) in [
        (PhoneNumberSort::PhoneNumber, false, "123"),
        (PhoneNumberSort::PhoneNumber, true, "321"),
        (PhoneNumberSort::ConnectionName, false, "132"),
        // Numbers without a connection come last in either direction.
        (PhoneNumberSort::ConnectionName, true, "312"),
    ] {
        assert_eq!(
            list(by, descending, 1, 50).await,
            expected,
            "{by:?} {descending}"
        );
    }
    let methods = list(PhoneNumberSort::UsagePaymentMethod, false, 1, 1).await;
    assert_eq!(methods, "2");
    let first = list(PhoneNumberSort::PhoneNumber, false, 1, 2).await;
    let second = list(PhoneNumberSort::PhoneNumber, false, 2, 2).await;
    let third = list(PhoneNumberSort::PhoneNumber, false, 3, 2).await;
    assert_eq!(
        (first.as_str(), second.as_str(), third.as_str()),
        ("12", "3", "")
    );
    assert_eq!(list(PhoneNumberSort::CreatedAt, true, 1, 50).await.len(), 3);
}
