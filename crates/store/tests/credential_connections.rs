//! What every engine must do alike with connections, and with the users that they and their credentials are.

mod support;

use ringtrip_model::{
    AccountId, CallingPreference, ConnectionSettings, CredentialConnection, CredentialConnectionId,
    FieldError, FieldErrorKind, FieldErrors, NewCredentialConnection, OutboundVoiceProfileId,
    Secret,
};
use ringtrip_store::{
    CredentialConnectionFilter, CredentialConnectionOrder, CredentialConnectionSort, Page,
    StoreError, TelephonyCredentialFilter,
};
use support::{NOW, World, after, fault, unknown_connection};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

#[tokio::test]
async fn a_connection_takes_its_credentials_with_it() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let (office, home) = (
        world.connection(&alice, "office").await,
        world.connection(&alice, "home").await,
    );
    let (a, b) = (
        world.credential(&office).await,
        world.credential(&office).await,
    );
    let kept = world.credential(&home).await;
    assert!(
        world
            .store
            .identify_user(&office.user_name)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        world
            .store
            .identify_user(&a.sip_username)
            .await
            .unwrap()
            .is_some()
    );
    let deleted = world
        .store
        .delete_credential_connection(alice.id, office.id)
        .await
        .unwrap();
    assert_eq!(deleted, Some(office.clone()));
    for _ in 0..2 {
        let store = &world.store;
        for gone in [&a, &b] {
            assert_eq!(
                store.telephony_credential(alice.id, gone.id).await.unwrap(),
                None
            );
            assert!(
                store
                    .identify_token_subject(gone.id)
                    .await
                    .unwrap()
                    .is_none()
            );
            assert!(
                store
                    .identify_user(&gone.sip_username)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        assert!(
            store
                .identify_user(&office.user_name)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(
            store
                .credential_connection(alice.id, office.id)
                .await
                .unwrap(),
            None
        );
        let listed = store
            .list_telephony_credentials(alice.id, TelephonyCredentialFilter::default(), FIRST, NOW)
            .await
            .unwrap();
        assert_eq!((listed.items, listed.total), (vec![kept.clone()], 1));
        world.reopen().await;
    }
    // Its user name is free again.
    let settings = ConnectionSettings::default();
    let again = NewCredentialConnection::new(
        alice.id,
        "n",
        &office.user_name,
        "12345678",
        settings,
        NOW,
        &mut world.rng,
    );
    assert!(
        world
            .store
            .insert_credential_connection(again.unwrap())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn every_setting_of_a_connection_is_kept() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let made = world.connection(&alice, "Büro").await;
    let changed = world
        .store
        .update_credential_connection(alice.id, made.id, after(1), |connection| {
            connection.connection_name = "Zentrale".to_owned();
            connection.password = Secret::new("another secret \u{1f600}".to_owned());
            let settings = &mut connection.settings;
            settings.active = false;
            settings.tags = vec!["a".to_owned(), "b\"'%".to_owned()];
            settings.sip_uri_calling_preference = Some(CallingPreference::Internal);
            settings.webhook_event_failover_url = None;
            settings.inbound.codecs = vec!["VP8".to_owned()];
            settings.inbound.channel_limit = Some(7);
            settings.outbound.localization = "de".to_owned();
            // Not the caller's to change.
            connection.id = CredentialConnectionId::from_i64(1);
            connection.account = AccountId::from_uuid(uuid::Uuid::nil());
            connection.created_at = after(77);
            Ok(())
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(changed.before, made);
    assert_eq!(
        (
            changed.after.id,
            changed.after.account,
            changed.after.created_at
        ),
        (made.id, alice.id, NOW)
    );
    assert_eq!(changed.after.updated_at, after(1));
    assert_eq!(changed.after.settings.outbound.localization, "DE");
    for _ in 0..2 {
        let found = world
            .store
            .credential_connection(alice.id, made.id)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&changed.after));
        world.reopen().await;
    }
}

#[tokio::test]
async fn a_refused_change_of_a_connection_changes_nothing() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let (one, two) = (
        world.connection(&alice, "one").await,
        world.connection(&alice, "two").await,
    );
    let taken = two.user_name.to_uppercase();
    let update = |change: fn(&mut CredentialConnection, &str) -> Result<(), FieldErrors>| {
        let taken = taken.clone();
        world
            .store
            .update_credential_connection(alice.id, one.id, after(1), move |c| change(c, &taken))
    };
    let duplicate = update(|connection, taken| {
        connection.user_name = taken.to_owned();
        Ok(())
    });
    assert_eq!(
        fault(duplicate.await),
        (FieldErrorKind::Duplicate, "/user_name".to_owned())
    );
    let invalid = update(|connection, _| {
        connection.settings.inbound.timeout_2xx_secs = 0;
        connection.connection_name.clear();
        Ok(())
    });
    match invalid.await {
        Err(StoreError::Invalid(FieldErrors(faults))) => {
            let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_ref()).collect();
            assert_eq!(pointers, ["/connection_name", "/inbound/timeout_2xx_secs"]);
        }
        other => panic!("{other:?}"),
    }
    let own = update(|connection, _| {
        connection.connection_name = "lost".to_owned();
        Err(FieldErrors(vec![FieldError::missing("/x")]))
    });
    assert!(matches!(own.await, Err(StoreError::Invalid(_))));
    let profile = update(|connection, _| {
        connection.settings.outbound.outbound_voice_profile_id =
            Some(OutboundVoiceProfileId::from_i64(5));
        Ok(())
    });
    let pointer = "/outbound/outbound_voice_profile_id".to_owned();
    assert_eq!(
        fault(profile.await),
        (FieldErrorKind::NoSuchResource, pointer)
    );
    // Its own user name in another case is no duplicate.
    let own_name = update(|connection, _| {
        connection.user_name.make_ascii_uppercase();
        Ok(())
    });
    let changed = own_name.await.unwrap().unwrap();
    assert_eq!(changed.before, one);
}

#[tokio::test]
async fn user_names_are_unique_over_all_accounts_whatever_the_case() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let first = world.connection(&alice, "office").await;
    let name = first.user_name.to_uppercase();
    let settings = ConnectionSettings::default();
    let new =
        NewCredentialConnection::new(bob.id, "x", name, "12345678", settings, NOW, &mut world.rng)
            .unwrap();
    let refused = world.store.insert_credential_connection(new).await;
    assert_eq!(
        fault(refused),
        (FieldErrorKind::Duplicate, "/user_name".to_owned())
    );
    // A refused one is not counted.
    let listed = world
        .store
        .list_credential_connections(
            bob.id,
            CredentialConnectionFilter::default(),
            Default::default(),
            FIRST,
        )
        .await
        .unwrap();
    assert_eq!(listed.total, 0);
}

#[tokio::test]
async fn connections_are_listed_by_part_of_their_name_and_sorted() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let mut made = Vec::new();
    for (i, name) in ["beta 100%", "ALPHA_1", "Ärger", r"back\slash", "alphaX1"]
        .into_iter()
        .enumerate()
    {
        let new = world.new_connection(&alice, name, after(i64::try_from(i).unwrap()));
        made.push(world.store.insert_credential_connection(new).await.unwrap());
    }
    let inactive = made[1].id;
    let off = |connection: &mut CredentialConnection| {
        connection.settings.active = false;
        Ok(())
    };
    world
        .store
        .update_credential_connection(alice.id, inactive, NOW, off)
        .await
        .unwrap();
    let names = async |part: Option<&str>, order| {
        let filter = CredentialConnectionFilter {
            connection_name_contains: part.map(str::to_owned),
            ..Default::default()
        };
        let listed = world
            .store
            .list_credential_connections(alice.id, filter, order, FIRST)
            .await
            .unwrap();
        assert_eq!(listed.total, listed.items.len() as u64);
        listed
            .items
            .into_iter()
            .map(|c| c.connection_name)
            .collect::<Vec<_>>()
    };
    let newest = CredentialConnectionOrder::default();
    assert_eq!(
        names(None, newest).await,
        ["alphaX1", r"back\slash", "Ärger", "ALPHA_1", "beta 100%"]
    );
    for (part, expected) in [
        ("alpha", vec!["alphaX1", "ALPHA_1"]),
        ("ÄRG", vec!["Ärger"]),
        ("%", vec!["beta 100%"]),
        ("_1", vec!["ALPHA_1"]),
        (r"\", vec![r"back\slash"]),
        ("'", vec![]),
        ("a\0", vec![]),
    ] {
        assert_eq!(names(Some(part), newest).await, expected, "{part}");
    }
    assert!(names(Some(&"%".repeat(200_000)), newest).await.is_empty());
    let by = |by, descending| CredentialConnectionOrder { by, descending };
    let sorted = names(None, by(CredentialConnectionSort::ConnectionName, false)).await;
    assert_eq!(
        sorted,
        ["ALPHA_1", "alphaX1", r"back\slash", "beta 100%", "Ärger"]
    );
    let mut reverse = names(None, by(CredentialConnectionSort::ConnectionName, true)).await;
    reverse.reverse();
    assert_eq!(reverse, sorted);
    assert_eq!(
        names(None, by(CredentialConnectionSort::Active, false)).await[0],
        "ALPHA_1"
    );
    assert_eq!(
        names(None, by(CredentialConnectionSort::Active, true)).await[4],
        "ALPHA_1"
    );
    assert_eq!(
        names(None, by(CredentialConnectionSort::CreatedAt, false)).await[0],
        "beta 100%"
    );
    let filter = CredentialConnectionFilter {
        outbound_voice_profile_id: Some(OutboundVoiceProfileId::from_i64(9)),
        ..Default::default()
    };
    let listed = world
        .store
        .list_credential_connections(alice.id, filter, newest, FIRST)
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.total), (0, 0));
}

#[tokio::test]
async fn users_are_identified_whatever_the_case() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let credential = world
        .labelled(&connection, "x", None, Some(after(10)), NOW)
        .await
        .unwrap();
    for user in [
        credential.sip_username.clone(),
        credential.sip_username.to_uppercase(),
    ] {
        for _ in 0..2 {
            let found = world.store.identify_user(&user).await.unwrap().unwrap();
            assert_eq!(found.party.user, credential.sip_username);
            assert_eq!(
                (found.party.credential, found.party.connection),
                (Some(credential.id), connection.id)
            );
            assert_eq!(
                (found.party.account, found.party.ring_timeout_secs),
                (alice.id, 90)
            );
            assert_eq!(found.party.policy.audio.len(), 4);
            assert_eq!(
                (found.preference, found.expires_at),
                (CallingPreference::Disabled, Some(after(10)))
            );
            assert!(found.password_matches(credential.sip_password.expose()));
            assert!(!found.password_matches("") && !found.password_matches("correct horse"));
            assert!(found.usable_at(after(9)) && !found.usable_at(after(10)));
        }
    }
    let found = world
        .store
        .identify_user(&connection.user_name.to_uppercase())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.party.credential, found.party.user.as_str()),
        (None, connection.user_name.as_str())
    );
    assert!(found.password_matches("correct horse") && found.usable_at(NOW));
    for nobody in ["", "nobody", "a\0", "%", &"x".repeat(100_000)] {
        assert!(world.store.identify_user(nobody).await.unwrap().is_none());
    }
    assert!(!format!("{found:?}").contains("correct horse"));
}

#[tokio::test]
async fn an_identity_follows_its_connection_at_once() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let credential = world.credential(&connection).await;
    let old_name = connection.user_name.clone();
    assert!(
        world
            .store
            .identify_user(&old_name)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        world
            .store
            .identify_token_subject(credential.id)
            .await
            .unwrap()
            .unwrap()
            .active
    );
    let change = |connection: &mut CredentialConnection| {
        connection.user_name = "renamed1".to_owned();
        connection.password = Secret::new("battery staple".to_owned());
        connection.settings.active = false;
        connection.settings.inbound.channel_limit = Some(3);
        connection.settings.outbound.channel_limit = Some(4);
        Ok(())
    };
    world
        .store
        .update_credential_connection(alice.id, connection.id, NOW, change)
        .await
        .unwrap();
    let store = &world.store;
    assert!(store.identify_user(&old_name).await.unwrap().is_none());
    let found = store.identify_user("RENAMED1").await.unwrap().unwrap();
    assert!(found.password_matches("battery staple") && !found.usable_at(NOW));
    assert!(
        !store
            .identify_token_subject(credential.id)
            .await
            .unwrap()
            .unwrap()
            .usable_at(NOW)
    );
    let limits = store.channel_limits(connection.id).await.unwrap();
    assert_eq!((limits.inbound, limits.outbound), (Some(3), Some(4)));
    let none = store.channel_limits(unknown_connection()).await.unwrap();
    assert_eq!((none.inbound, none.outbound), (Some(0), Some(0)));
    // Somebody else takes the name that is free now; it leads to them.
    let bob = world.account("b@x").await;
    let settings = ConnectionSettings::default();
    let new = NewCredentialConnection::new(
        bob.id,
        "x",
        &old_name,
        "12345678",
        settings,
        NOW,
        &mut world.rng,
    );
    world
        .store
        .insert_credential_connection(new.unwrap())
        .await
        .unwrap();
    let found = world.store.identify_user(&old_name).await.unwrap().unwrap();
    assert_eq!(found.party.account, bob.id);
}
