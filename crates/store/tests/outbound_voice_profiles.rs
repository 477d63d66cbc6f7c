//! What every engine must do alike with outbound voice profiles.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use ringtrip_model::{
    Account, CredentialConnection, FieldErrorKind, FieldErrors, NewOutboundVoiceProfile,
    OutboundVoiceProfile, OutboundVoiceProfileId, ProfileSettings, Rate, Timestamp,
};
use ringtrip_store::{
    CredentialConnectionFilter, CredentialConnectionOrder, CredentialConnectionSort,
    OutboundVoiceProfileFilter, OutboundVoiceProfileOrder, OutboundVoiceProfileSort, Page,
    StoreError,
};
use support::{NOW, World, after, fault};

const FIRST: Page = Page {
    number: 1,
    size: 20,
};

async fn profile(
    world: &mut World,
    account: &Account,
    name: &str,
    at: Timestamp,
) -> OutboundVoiceProfile {
    let settings = ProfileSettings::default();
    let new = NewOutboundVoiceProfile::new(account.id, name, settings, at, &mut world.rng);
    let stored = world.store.insert_outbound_voice_profile(new.unwrap());
    stored.await.unwrap()
}

/// Puts a connection on a profile, or takes it off.
async fn assign(
    world: &World,
    connection: &CredentialConnection,
    profile: Option<OutboundVoiceProfileId>,
) -> Result<(), StoreError> {
    let change = move |connection: &mut CredentialConnection| {
        connection.settings.outbound.outbound_voice_profile_id = profile;
        Ok(())
    };
    let (account, id) = (connection.account, connection.id);
    let done = world
        .store
        .update_credential_connection(account, id, NOW, change);
    done.await.map(|changed| assert!(changed.is_some()))
}

async fn count(world: &World, profile: &OutboundVoiceProfile) -> u64 {
    let found = world
        .store
        .outbound_voice_profile(profile.account, profile.id);
    found.await.unwrap().unwrap().connections_count
}

#[tokio::test]
async fn a_profile_is_kept_as_it_was_given_for_its_owner() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let settings = ProfileSettings {
        enabled: false,
        daily_spend_limit: Some("0100.50".to_owned()),
        max_destination_rate: Rate::from_f64(0.05),
        ..ProfileSettings::default()
    };
    let new =
        NewOutboundVoiceProfile::new(alice.id, "Office", settings.clone(), NOW, &mut world.rng);
    let made = world.store.insert_outbound_voice_profile(new.unwrap());
    let made = made.await.unwrap();
    assert_eq!(made.settings, settings);
    world.reopen().await;
    let find = async |account: &Account, id| {
        let found = world.store.outbound_voice_profile(account.id, id);
        found.await.unwrap()
    };
    assert_eq!(find(&alice, made.id).await, Some(made.clone()));
    assert_eq!(find(&bob, made.id).await, None);
    let unknown = OutboundVoiceProfileId::from_i64(1);
    assert_eq!(find(&alice, unknown).await, None);

    let rename = |profile: &mut OutboundVoiceProfile| {
        profile.name = "Home".to_owned();
        profile.connections_count = 99;
        profile.created_at = after(99);
        Ok(())
    };
    let foreign = world
        .store
        .update_outbound_voice_profile(bob.id, made.id, after(5), rename);
    assert_eq!(foreign.await.unwrap(), None);
    let changed = world
        .store
        .update_outbound_voice_profile(alice.id, made.id, after(5), rename)
        .await
        .unwrap()
        .unwrap();
    let expected = OutboundVoiceProfile {
        name: "Home".to_owned(),
        updated_at: after(5),
        ..made.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(find(&alice, made.id).await, Some(expected.clone()));
    let invalid =
        world
            .store
            .update_outbound_voice_profile(alice.id, made.id, after(6), |profile| {
                profile.name.clear();
                Ok(())
            });
    match invalid.await {
        Err(StoreError::Invalid(FieldErrors(faults))) => assert_eq!(faults[0].pointer, "/name"),
        other => panic!("{other:?}"),
    }

    let delete = async |account: &Account| {
        let deleted = world
            .store
            .delete_outbound_voice_profile(account.id, made.id);
        deleted.await.unwrap()
    };
    assert_eq!(delete(&bob).await, None);
    assert_eq!(delete(&alice).await, Some(expected));
    assert_eq!(delete(&alice).await, None);
}

#[tokio::test]
async fn connections_name_own_profiles_and_are_counted_by_them() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let (one, two) = (
        profile(&mut world, &alice, "one", NOW).await,
        profile(&mut world, &alice, "two", NOW).await,
    );
    let foreign = profile(&mut world, &bob, "foreign", NOW).await;
    let first = world.connection(&alice, "first").await;
    let second = world.connection(&alice, "second").await;

    let no_such = (
        FieldErrorKind::NoSuchResource,
        "/outbound/outbound_voice_profile_id".to_owned(),
    );
    for id in [foreign.id, OutboundVoiceProfileId::from_i64(5)] {
        assert_eq!(fault(assign(&world, &first, Some(id)).await), no_such);
    }
    assert_eq!(count(&world, &foreign).await, 0);

    assign(&world, &first, Some(one.id)).await.unwrap();
    assign(&world, &first, Some(one.id)).await.unwrap();
    assign(&world, &second, Some(one.id)).await.unwrap();
    assert_eq!(count(&world, &one).await, 2);
    assign(&world, &second, Some(two.id)).await.unwrap();
    assert_eq!(
        (count(&world, &one).await, count(&world, &two).await),
        (1, 1)
    );

    // A new connection counts from its beginning, and is refused like a change.
    let mut settings = world.new_connection(&alice, "x", NOW);
    for (id, good) in [(foreign.id, false), (two.id, true)] {
        let mut connection = settings.clone().into_connection();
        connection.settings.outbound.outbound_voice_profile_id = Some(id);
        let new = ringtrip_model::NewCredentialConnection::new(
            connection.account,
            connection.connection_name,
            connection.user_name,
            "correct horse",
            connection.settings,
            NOW,
            &mut world.rng,
        );
        let added = world.store.insert_credential_connection(new.unwrap()).await;
        if good {
            settings = world.new_connection(&alice, "y", NOW);
            assert_eq!(
                added.unwrap().settings.outbound.outbound_voice_profile_id,
                Some(id)
            );
        } else {
            assert_eq!(fault(added), no_such);
        }
    }
    assert_eq!(count(&world, &two).await, 2);

    let listed = async |profile: &OutboundVoiceProfile, by| {
        let filter = CredentialConnectionFilter {
            outbound_voice_profile_id: Some(profile.id),
            ..CredentialConnectionFilter::default()
        };
        let descending = false;
        let order = CredentialConnectionOrder { by, descending };
        let found = world
            .store
            .list_credential_connections(alice.id, filter, order, FIRST)
            .await
            .unwrap();
        let names = found.items.into_iter().map(|c| c.connection_name);
        (names.collect::<Vec<_>>(), found.total)
    };
    for by in [
        CredentialConnectionSort::CreatedAt,
        CredentialConnectionSort::ConnectionName,
        CredentialConnectionSort::Active,
    ] {
        let (names, total) = listed(&two, by).await;
        assert_eq!((names.len(), total), (2, 2), "{by:?}");
    }
    let by = CredentialConnectionSort::ConnectionName;
    assert_eq!(listed(&two, by).await.0, ["second", "x"]);
    assert_eq!(listed(&foreign, by).await, (vec![], 0));

    // A profile in use stays; it goes when the last connection left it.
    let delete = async |profile: &OutboundVoiceProfile| {
        let deleted = world
            .store
            .delete_outbound_voice_profile(profile.account, profile.id);
        deleted.await
    };
    let in_use = (FieldErrorKind::InUse, "/".to_owned());
    assert_eq!(fault(delete(&one).await), in_use);
    assign(&world, &first, None).await.unwrap();
    assert!(delete(&one).await.unwrap().is_some());
    assert_eq!(fault(delete(&two).await), in_use);
    let gone = world
        .store
        .delete_credential_connection(alice.id, second.id)
        .await;
    assert!(gone.unwrap().is_some());
    assert_eq!(count(&world, &two).await, 1);
    // What names a profile that went cannot come back to it.
    assert_eq!(fault(assign(&world, &first, Some(one.id)).await), no_such);
}

#[tokio::test]
async fn profiles_are_listed_by_name_and_in_every_order() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    for (index, name) in ["beta 100%", "Alpha_1", "gamma", "ALPHA 2"]
        .into_iter()
        .enumerate()
    {
        let at = after(i64::try_from(index).unwrap());
        profile(&mut world, &alice, name, at).await;
    }
    profile(&mut world, &bob, "alpha of bob", NOW).await;
    let names = async |contains: Option<&str>, order, page| {
        let filter = OutboundVoiceProfileFilter {
            name_contains: contains.map(str::to_owned),
        };
        let listed = world
            .store
            .list_outbound_voice_profiles(alice.id, filter, order, page)
            .await
            .unwrap();
        let names = listed.items.into_iter().map(|profile| profile.name);
        (names.collect::<Vec<_>>(), listed.total)
    };
    let newest = OutboundVoiceProfileOrder::default();
    let all = ["ALPHA 2", "gamma", "Alpha_1", "beta 100%"].map(str::to_owned);
    assert_eq!(names(None, newest, FIRST).await, (all.to_vec(), 4));
    assert_eq!(
        names(Some("alpha"), newest, FIRST).await.0,
        ["ALPHA 2", "Alpha_1"]
    );
    assert_eq!(names(Some("a_1"), newest, FIRST).await.0, ["Alpha_1"]);
    assert_eq!(names(Some("0%"), newest, FIRST).await.0, ["beta 100%"]);
    assert_eq!(names(Some("x\0"), newest, FIRST).await, (vec![], 0));
    // Every page from either end, and none past it.
    for (number, expected) in [(1, &all[..1]), (2, &all[1..2]), (4, &all[3..]), (5, &[])] {
        let page = Page { number, size: 1 };
        assert_eq!(names(None, newest, page).await, (expected.to_vec(), 4));
    }
    let by = |by, descending| OutboundVoiceProfileOrder { by, descending };
    for sort in [
        OutboundVoiceProfileSort::Enabled,
        OutboundVoiceProfileSort::CreatedAt,
        OutboundVoiceProfileSort::Name,
        OutboundVoiceProfileSort::ServicePlan,
        OutboundVoiceProfileSort::TrafficType,
        OutboundVoiceProfileSort::UsagePaymentMethod,
    ] {
        let (mut up, _) = names(None, by(sort, false), FIRST).await;
        let (down, _) = names(None, by(sort, true), FIRST).await;
        up.reverse();
        assert_eq!(up, down, "{sort:?}");
    }
    assert_eq!(
        names(None, by(OutboundVoiceProfileSort::Name, false), FIRST)
            .await
            .0,
        ["ALPHA 2", "Alpha_1", "beta 100%", "gamma"]
    );
}
