//! Every leg that ended has one record in the database, and no leg has two.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use ringtrip_model::{AccountId, Direction, Generator, HangupCause, HangupSource, LegRecord};
use ringtrip_store::{Page, Store, StoreConfig};
use serde_json::json;
use support::phone::{OFFER, Phone, call};
use support::process::Server;

/// Reads the records of a stopped server, by the names the legs had on the wire.
async fn records(folder: &Path, account: &str) -> BTreeMap<String, LegRecord> {
    let config = StoreConfig {
        url: format!("sqlite://{}", folder.join("ringtrip.db").display()),
        key_file: folder.join("ringtrip.key"),
    };
    let store = Store::open(config, &mut Generator::from_seed([1; 32]))
        .await
        .unwrap();
    let account: AccountId = account.parse().unwrap();
    let page = Page {
        number: 1,
        size: 250,
    };
    let listing = store.list_leg_records(account, page).await.unwrap();
    store.close().await;
    assert_eq!(listing.total, u64::try_from(listing.items.len()).unwrap());
    let mut records = BTreeMap::new();
    for record in listing.items {
        let name = record.protocol_call_id.clone();
        assert!(
            records.insert(name.clone(), record).is_none(),
            "{name} has two records"
        );
    }
    records
}

#[tokio::test]
async fn each_ended_leg_has_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    let (mut alice, mut bob) = (server.phone(0, 0).await, server.phone(0, 1).await);
    let mut tablet = server.phone(0, 1).await;
    let bob_is = bob.user.clone();
    // Caller's leg → cause; whoever it rang at → cause.
    let mut expected: BTreeMap<String, HangupCause> = BTreeMap::new();

    // Answered on one of two devices, hung up by the callee; the other byes cross.
    let (mine, his) = call(&mut alice, &mut bob).await;
    let lost = tablet.event("telnyx_rtc.invite").await["callID"]
        .as_str()
        .unwrap()
        .to_owned();
    tablet.event("telnyx_rtc.bye").await;
    bob.bye(&his).await;
    alice.bye(&mine).await;
    expected.insert(mine.clone(), HangupCause::NormalClearing);
    expected.insert(his.clone(), HangupCause::NormalClearing);
    expected.insert(lost, HangupCause::LoseRace);
    alice.event("telnyx_rtc.bye").await;

    // Cancelled by the caller.
    alice.invite("cancelled", &bob_is, OFFER).await;
    for phone in [&mut bob, &mut tablet] {
        let rings = phone.event("telnyx_rtc.invite").await["callID"]
            .as_str()
            .unwrap()
            .to_owned();
        expected.insert(rings, HangupCause::OriginatorCancel);
    }
    alice.event("telnyx_rtc.ringing").await;
    alice.bye("cancelled").await;
    expected.insert("cancelled".to_owned(), HangupCause::OriginatorCancel);
    for phone in [&mut bob, &mut tablet] {
        phone.event("telnyx_rtc.bye").await;
    }

    // To nobody.
    alice.invite("to-nobody", "gencrednobody", OFFER).await;
    alice.event("telnyx_rtc.bye").await;
    expected.insert("to-nobody".to_owned(), HangupCause::UnallocatedNumber);

    // To another tenant, who takes no calls from outside.
    let carol = server.phone(1, 0).await;
    alice.invite("to-strangers", &carol.user, OFFER).await;
    alice.event("telnyx_rtc.bye").await;
    expected.insert("to-strangers".to_owned(), HangupCause::CallRejected);

    // Alive when the server stops; the tablet has nothing to do with it.
    drop(tablet);
    server
        .wait_for_metric("ringtrip_sockets_open", |sockets| sockets == 3)
        .await;
    let (open, open_at_bob) = call(&mut alice, &mut bob).await;
    expected.insert(open, HangupCause::NormalTemporaryFailure);
    expected.insert(open_at_bob, HangupCause::NormalTemporaryFailure);
    let counted = u64::try_from(expected.len()).unwrap() - 2;
    server
        .wait_for_metric("ringtrip_leg_records_total", |records| records == counted)
        .await;
    assert!(server.stop().0.success());

    let found = records(folder.path(), &server.said("/accounts/0/user_id")).await;
    let causes: BTreeMap<String, HangupCause> = found
        .iter()
        .map(|(name, record)| (name.clone(), record.cause))
        .collect();
    assert_eq!(causes, expected);
    for record in found.values() {
        assert!(record.ended_at >= record.started_at, "{record:?}");
        assert!(
            record.answered_at.is_none_or(|at| at >= record.started_at),
            "{record:?}"
        );
    }
    let (caller, callee) = (&found[&mine], &found[&his]);
    assert_eq!(caller.call, callee.call);
    assert_ne!(caller.leg, callee.leg);
    assert_eq!(
        (caller.direction, callee.direction),
        (Direction::Outbound, Direction::Inbound)
    );
    assert_eq!(
        (caller.user.as_str(), callee.user.as_str()),
        (alice.user.as_str(), bob_is.as_str())
    );
    assert!(caller.answered_at.is_some() && callee.answered_at.is_some());
    assert_eq!(caller.audio, callee.audio);
    assert!(caller.audio.is_some());
    assert_eq!(
        (caller.source, callee.source),
        (HangupSource::Callee, HangupSource::Callee)
    );
    assert!(
        records(folder.path(), &server.said("/accounts/1/user_id"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn calls_at_once_have_their_records_and_no_more() {
    const CALLS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    let mut rest = server.rest(0).await;
    let connection = server.said("/accounts/0/connection_id");
    let mut pairs = Vec::new();
    for _ in 0..CALLS {
        let mut pair = Vec::new();
        for _ in 0..2 {
            let body = json!({"connection_id": connection});
            let made = rest
                .data("POST", "/v2/telephony_credentials", Some(&body))
                .await;
            let token = rest.token(made["id"].as_str().unwrap()).await;
            let mut phone = Phone::log_in(server.http, &token).await;
            phone.user = made["sip_username"].as_str().unwrap().to_owned();
            pair.push(phone);
        }
        pairs.push(pair);
    }
    let calls = pairs.into_iter().map(async |mut pair| {
        let mut callee = pair.pop().unwrap();
        let mut caller = pair.pop().unwrap();
        let names = call(&mut caller, &mut callee).await;
        // Both hang up at the same moment.
        tokio::join!(caller.bye(&names.0), callee.bye(&names.1));
        names
    });
    let names = futures_util::future::join_all(calls).await;
    server
        .wait_for_metric("ringtrip_calls_active", |calls| calls == 0)
        .await;
    assert!(server.stop().0.success());
    let found = records(folder.path(), &server.said("/accounts/0/user_id")).await;
    assert_eq!(found.len(), 2 * CALLS);
    for (caller, callee) in names {
        assert_eq!(found[&caller].call, found[&callee].call);
    }
}
