//! What every engine must do alike with telephony credentials: the switch, the tags, and the lists of many.
//! (`conformance.rs` has the rest.)

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use ringtrip_model::{CredentialConnection, FieldErrorKind, TelephonyCredentialStatus as Status};
use ringtrip_store::{Page, StatusFilter, TelephonyCredentialFilter};
use support::{NOW, World, after, fault};

async fn listed(
    world: &World,
    of: &CredentialConnection,
    status: Option<StatusFilter>,
    page: Page,
) -> (Vec<String>, u64) {
    let filter = TelephonyCredentialFilter {
        status,
        ..TelephonyCredentialFilter::default()
    };
    let found = world
        .store
        .list_telephony_credentials(of.account, filter, page, NOW)
        .await
        .unwrap();
    let names = found.items.into_iter().map(|credential| credential.name);
    (names.collect(), found.total)
}

const ALL: Page = Page {
    number: 1,
    size: 250,
};

#[tokio::test]
async fn a_credential_that_is_switched_off_is_known_and_cannot_be_used() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let home = world.connection(&alice, "home").await;
    let made = world.credential(&home).await;
    assert!(made.active);
    let switch = async |world: &World, account: &ringtrip_model::Account, active, secs| {
        world
            .store
            .switch_telephony_credential(account.id, made.id, active, after(secs))
            .await
    };
    let usable = async |world: &World| {
        let user = made.sip_username.to_uppercase();
        let by_name = world.store.identify_user(&user).await.unwrap().unwrap();
        let by_token = world.store.identify_token_subject(made.id).await;
        let by_token = by_token.unwrap().unwrap().usable_at(NOW);
        assert_eq!(by_name.usable_at(NOW), by_token);
        by_token
    };
    assert!(usable(&world).await);
    assert_eq!(switch(&world, &bob, false, 1).await.unwrap(), None);
    assert!(usable(&world).await);
    let off = switch(&world, &alice, false, 2).await.unwrap().unwrap();
    assert_eq!((off.active, off.updated_at), (false, after(2)));
    assert!(!usable(&world).await);
    // Once more changes nothing.
    let again = switch(&world, &alice, false, 3).await.unwrap().unwrap();
    assert_eq!(again, off);
    world.reopen().await;
    assert!(!usable(&world).await);
    let found = world.store.telephony_credential(alice.id, made.id).await;
    assert_eq!(found.unwrap(), Some(off));
    let on = switch(&world, &alice, true, 4).await.unwrap().unwrap();
    assert!(on.active && usable(&world).await);

    // An end is final.
    let ended = world
        .labelled(&home, "ended", None, Some(after(10)), NOW)
        .await;
    let ended = ended.unwrap();
    let late = world
        .store
        .switch_telephony_credential(alice.id, ended.id, false, after(10));
    let terminal = (FieldErrorKind::Terminal, "/status".to_owned());
    assert_eq!(fault(late.await), terminal);
}

#[tokio::test]
async fn credentials_are_listed_by_every_set_of_states() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let home = world.connection(&alice, "home").await;
    for (name, secs, end, active) in [
        ("plain", 0, None, true),
        ("later", 1, Some(after(50)), true),
        ("off", 2, None, false),
        ("off with end", 3, Some(after(50)), false),
        ("over", 4, Some(NOW), true),
        ("off and over", 5, Some(after(-1)), false),
    ] {
        let begun = after(secs - 100);
        let made = world.labelled(&home, name, None, end, begun).await.unwrap();
        if !active {
            let off = world
                .store
                .switch_telephony_credential(alice.id, made.id, false, begun);
            assert!(off.await.unwrap().is_some());
        }
    }
    let all = [
        "off and over",
        "over",
        "off with end",
        "off",
        "later",
        "plain",
    ];
    for (status, expected) in [
        (None, &all[..]),
        (Some(StatusFilter::Only(Status::Active)), &all[4..]),
        (Some(StatusFilter::Only(Status::Inactive)), &all[2..4]),
        (Some(StatusFilter::Only(Status::Expired)), &all[..2]),
        (Some(StatusFilter::AllBut(Status::Active)), &all[..4]),
        (
            Some(StatusFilter::AllBut(Status::Inactive)),
            &["off and over", "over", "later", "plain"],
        ),
        (Some(StatusFilter::AllBut(Status::Expired)), &all[2..]),
    ] {
        let (names, total) = listed(&world, &home, status, ALL).await;
        assert_eq!(
            (names.as_slice(), total),
            (expected.map_str().as_slice(), expected.len() as u64),
            "{status:?}"
        );
        // Page by page it is the same list, from either end.
        let mut walked = Vec::new();
        for number in 1..=u32::try_from(expected.len() + 1).unwrap() {
            let page = Page { number, size: 1 };
            walked.extend(listed(&world, &home, status, page).await.0);
        }
        assert_eq!(walked, names, "{status:?}");
    }
}

/// Owns the texts of a slice.
trait MapStr {
    fn map_str(&self) -> Vec<String>;
}

impl MapStr for [&str] {
    fn map_str(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[tokio::test]
async fn deep_pages_of_many_are_the_list_in_its_order() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    let home = world.connection(&alice, "home").await;
    // More than are few, so that lists by state walk the index in the order of the list; many begin at once.
    for index in 0..1_050 {
        let name = format!("{index:04}");
        let end = (index % 50 == 0).then(|| after(-1));
        let begun = after(index / 4 - 5_000);
        world
            .labelled(&home, &name, None, end, begun)
            .await
            .unwrap();
    }
    for status in [
        None,
        Some(StatusFilter::Only(Status::Active)),
        Some(StatusFilter::AllBut(Status::Inactive)),
    ] {
        let mut walked = Vec::new();
        for number in 1..=6 {
            let page = Page { number, size: 200 };
            let (names, total) = listed(&world, &home, status, page).await;
            let all = if status.is_some_and(|s| s == StatusFilter::Only(Status::Active)) {
                1_029
            } else {
                1_050
            };
            assert_eq!(total, all);
            walked.extend(names);
        }
        // Those of one instant are in the order of their ids, which are random.
        let instants: Vec<u32> = walked
            .iter()
            .map(|name| name.parse::<u32>().unwrap() / 4)
            .collect();
        assert!(instants.is_sorted_by(|a, b| a >= b));
        let mut names = walked.clone();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), walked.len(), "every credential once");
        assert_eq!(
            walked.len() as u64,
            listed(&world, &home, status, ALL).await.1
        );
    }
}

#[tokio::test]
async fn tags_are_listed_with_how_many_hold_them() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let (home, foreign) = (
        world.connection(&alice, "home").await,
        world.connection(&bob, "foreign").await,
    );
    let mut last = None;
    for tag in [Some("red"), Some("blue"), None, Some("red"), Some("Ärger")] {
        last = world.labelled(&home, "x", tag, None, NOW).await.ok();
    }
    world
        .labelled(&foreign, "x", Some("red"), None, NOW)
        .await
        .unwrap();
    let tags = async |world: &World, page| {
        let found = world.store.list_telephony_credential_tags(alice.id, page);
        let found = found.await.unwrap();
        let tags = found.items.into_iter().map(|tag| (tag.tag, tag.amount));
        (tags.collect::<Vec<_>>(), found.total)
    };
    let expected = [("blue", 1), ("red", 2), ("Ärger", 1)].map(|(tag, n)| (tag.to_owned(), n));
    assert_eq!(tags(&world, ALL).await, (expected.to_vec(), 3));
    let second = Page { number: 2, size: 2 };
    assert_eq!(tags(&world, second).await, (expected[2..].to_vec(), 3));
    let gone = world
        .store
        .delete_telephony_credential(alice.id, last.unwrap().id);
    assert!(gone.await.unwrap().is_some());
    assert_eq!(tags(&world, ALL).await, (expected[..2].to_vec(), 2));
}
