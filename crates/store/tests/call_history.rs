//! Records, events and reports: written once, however often they are handed in.

mod support;

use ringtrip_model::{
    AccountId, AudioCodec, CallEvent, CallEventKind, CallId, CallerId, CredentialConnectionId,
    CustomHeader, Digit, Direction, FieldErrorKind, HangupCause, HangupSource, Initiation, LegId,
    LegQuality, LegRecord, NodeId, OfferedMedia, TelephonyCredentialId, Time, Timestamp,
    VideoCodec,
};
use ringtrip_store::{
    Forgotten, MAX_ACCOUNT_REPORTS_BYTES, MAX_REPORT_BYTES, MAX_REPORT_ID_BYTES,
    MAX_REPORT_ID_SEGMENTS, MAX_REPORT_SEGMENTS, Page, PrunedHistory, ReportBudget, StoreError,
};
use support::{NOW, World, after, fault};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

/// All that only explains a call, of before an instant.
fn explanations(before: Timestamp) -> Forgotten {
    Forgotten {
        call_events: Some(before),
        call_reports: Some(before),
        call_records: None,
        webhook_deliveries: None,
    }
}

fn record(world: &mut World, account: AccountId) -> LegRecord {
    let rng = &mut world.rng;
    LegRecord {
        leg: LegId::generate(rng),
        call: CallId::generate(rng),
        node: NodeId(u32::MAX),
        account,
        connection: CredentialConnectionId::from_i64(i64::MAX),
        credential: Some(TelephonyCredentialId::generate(rng)),
        user: "gencredX".to_owned(),
        protocol_call_id: "c-1".to_owned(),
        direction: Direction::Outbound,
        caller: CallerId {
            name: "Alice é".to_owned(),
            number: "+1".to_owned(),
        },
        destination: "bob".to_owned(),
        started_at: NOW,
        answered_at: Some(after(2)),
        ended_at: after(9),
        cause: HangupCause::NormalClearing,
        source: HangupSource::Caller,
        audio: Some(AudioCodec::Opus),
        video: Some(VideoCodec::Vp8),
        quality: Some(LegQuality {
            packets_sent: u64::MAX,
            round_trip_us: Some(17),
            ..LegQuality::default()
        }),
    }
}

#[tokio::test]
async fn a_leg_has_one_record() {
    let mut world = World::new().await;
    let account = world.account("a@x").await.id;
    let full = record(&mut world, account);
    let bare = LegRecord {
        leg: LegId::generate(&mut world.rng),
        credential: None,
        answered_at: None,
        audio: None,
        video: None,
        quality: None,
        direction: Direction::Inbound,
        source: HangupSource::Server,
        started_at: after(1),
        ..full.clone()
    };
    assert!(world.store.insert_leg_record(&full).await.unwrap());
    let second = LegRecord {
        cause: HangupCause::UserBusy,
        ..full.clone()
    };
    assert!(!world.store.insert_leg_record(&second).await.unwrap());
    world
        .store
        .insert_leg_records(&[full.clone(), bare.clone(), bare.clone()])
        .await
        .unwrap();
    world.store.insert_leg_records(&[]).await.unwrap();
    world.reopen().await;
    let listed = world.store.list_leg_records(account, FIRST).await.unwrap();
    assert_eq!((listed.items, listed.total), (vec![bare, full], 2));
    let other = AccountId::generate(&mut world.rng);
    assert_eq!(
        world
            .store
            .list_leg_records(other, FIRST)
            .await
            .unwrap()
            .total,
        0
    );
}

#[tokio::test]
async fn every_cause_and_codec_is_kept() {
    let mut world = World::new().await;
    let account = world.account("a@x").await.id;
    let mut written = Vec::new();
    for (i, cause) in HangupCause::ALL.into_iter().enumerate() {
        let audio = Some(AudioCodec::ALL[i % 4]);
        let ended_at = after(i64::try_from(i).unwrap());
        written.push(LegRecord {
            cause,
            audio,
            started_at: ended_at,
            ended_at,
            ..record(&mut world, account)
        });
    }
    world.store.insert_leg_records(&written).await.unwrap();
    written.reverse();
    assert_eq!(
        world
            .store
            .list_leg_records(account, FIRST)
            .await
            .unwrap()
            .items,
        written
    );
}

#[tokio::test]
async fn texts_of_clients_are_kept_without_nul() {
    let mut world = World::new().await;
    let account = world.account("a@x").await.id;
    let odd = LegRecord {
        destination: "a\0b".to_owned(),
        ..record(&mut world, account)
    };
    world.store.insert_leg_records(&[odd]).await.unwrap();
    let listed = world.store.list_leg_records(account, FIRST).await.unwrap();
    assert_eq!(listed.items[0].destination, "a\u{fffd}b");
}

fn initiated(account: AccountId, direction: Direction) -> CallEventKind {
    CallEventKind::Initiated(Box::new(Initiation {
        account,
        connection: CredentialConnectionId::from_i64(7),
        direction,
        caller: CallerId {
            name: "A".to_owned(),
            number: "a".to_owned(),
        },
        to: "b\0".to_owned(),
        offered: Some(OfferedMedia {
            audio: vec![AudioCodec::Opus, AudioCodec::Pcmu],
            video: true,
        }),
        custom_headers: vec![CustomHeader {
            name: "X-Order".to_owned(),
            value: "17\0".to_owned(),
        }],
        client_state: Some("c3RhdGU=".to_owned()),
    }))
}

#[tokio::test]
async fn each_tenant_sees_the_events_of_its_own_legs() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    let call = CallId::generate(&mut world.rng);
    let (a, b) = (
        LegId::generate(&mut world.rng),
        LegId::generate(&mut world.rng),
    );
    let event = |seq, leg, kind| {
        (
            CallEvent {
                call,
                leg,
                seq,
                time: Time::ZERO,
                kind,
            },
            after(seq.into()),
        )
    };
    let begin = [
        event(1, Some(a), initiated(alice, Direction::Outbound)),
        event(2, Some(b), initiated(bob, Direction::Inbound)),
        event(3, Some(b), CallEventKind::Ringing),
    ];
    let end = [
        event(4, Some(b), CallEventKind::Answered),
        event(5, None, CallEventKind::MediaConnected),
        event(6, Some(a), CallEventKind::Bridged { with: b }),
        event(
            7,
            Some(a),
            CallEventKind::Dtmf {
                digit: Digit::from_char('#').unwrap(),
            },
        ),
        event(
            8,
            Some(a),
            CallEventKind::Hangup {
                cause: HangupCause::NormalClearing,
                source: HangupSource::Callee,
            },
        ),
    ];
    world.store.insert_call_events(&begin).await.unwrap();
    // The same again, and what follows it, as after a failure whose outcome is unknown.
    world
        .store
        .insert_call_events(&[&begin[..], &end[..]].concat())
        .await
        .unwrap();
    world.store.insert_call_events(&end).await.unwrap();
    world.store.insert_call_events(&[]).await.unwrap();
    let kinds = async |account, from| {
        let events = world
            .store
            .call_events_after(account, from, 100)
            .await
            .unwrap();
        events
            .into_iter()
            .map(|event| (event.seq, event.kind))
            .collect::<Vec<_>>()
    };
    let named = |list: &[(u32, &str)]| {
        list.iter()
            .map(|(s, k)| (*s, (*k).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(alice, 0).await,
        named(&[
            (1, "initiated"),
            (5, "media_connected"),
            (6, "bridged"),
            (7, "dtmf"),
            (8, "hangup")
        ])
    );
    assert_eq!(
        kinds(bob, 0).await,
        named(&[(2, "initiated"), (3, "ringing"), (4, "answered")])
    );
    let all = world.store.call_events_after(alice, 0, 2).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(
        kinds(alice, all[1].id).await,
        named(&[(6, "bridged"), (7, "dtmf"), (8, "hangup")])
    );
    assert_eq!(
        (all[0].leg, all[0].call, all[0].occurred_at),
        (Some(a), call, after(1))
    );
    assert_eq!(all[0].detail["to"], "b\u{fffd}");
    assert_eq!(all[0].detail["direction"], "outbound");
    assert_eq!(all[0].detail["caller_name"], "A");
    assert_eq!(
        all[0].detail["offered"],
        serde_json::json!(["opus", "PCMU", "VP8"])
    );
    assert_eq!(all[0].detail["custom_headers"][0]["value"], "17\u{fffd}");
    assert_eq!(all[0].detail["client_state"], "c3RhdGU=");
}

#[tokio::test]
async fn many_events_are_written_at_once() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let mut events = Vec::new();
    for _ in 0..300 {
        let (call, leg) = (
            CallId::generate(&mut world.rng),
            Some(LegId::generate(&mut world.rng)),
        );
        let event = |seq, kind| {
            (
                CallEvent {
                    call,
                    leg,
                    seq,
                    time: Time::ZERO,
                    kind,
                },
                NOW,
            )
        };
        events.push(event(1, initiated(alice, Direction::Outbound)));
        events.push(event(2, CallEventKind::Answered));
    }
    let (begun, answered): (Vec<_>, Vec<_>) =
        events.into_iter().partition(|(event, _)| event.seq == 1);
    world.store.insert_call_events(&begun).await.unwrap();
    world.store.insert_call_events(&answered).await.unwrap();
    assert_eq!(
        world
            .store
            .call_events_after(alice, 0, 10_000)
            .await
            .unwrap()
            .len(),
        600
    );
}

#[tokio::test]
async fn reports_are_kept_up_to_their_limits() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    for i in 0..MAX_REPORT_SEGMENTS {
        let body = format!("{{\"segment\":{i}}}");
        world
            .store
            .insert_call_report(alice, "r1", "c1", "VSDK", body, after(i.into()))
            .await
            .unwrap();
    }
    let (largest, long) = (" ".repeat(MAX_REPORT_BYTES), "c".repeat(257));
    let larger = format!("{largest} ");
    let insert = |account, call, body| {
        world
            .store
            .insert_call_report(account, "r1", call, "", body, NOW)
    };
    assert_eq!(
        fault(insert(alice, "c1", "{}").await).0,
        FieldErrorKind::LimitReached
    );
    insert(alice, "c2", "{}").await.unwrap();
    insert(bob, "c1", "{}").await.unwrap();
    insert(alice, "c3", &largest).await.unwrap();
    assert_eq!(
        fault(insert(alice, "c4", &larger).await).0,
        FieldErrorKind::OutOfRange
    );
    assert_eq!(
        fault(insert(alice, "c4", "\0").await).0,
        FieldErrorKind::Invalid
    );
    assert_eq!(
        fault(insert(alice, &long, "{}").await).0,
        FieldErrorKind::OutOfRange
    );
    world.reopen().await;
    let kept = world.store.list_call_reports(alice, "c1").await.unwrap();
    assert_eq!(kept.len(), 20);
    assert_eq!(
        (kept[19].segment, kept[19].body.as_str()),
        (20, "{\"segment\":19}")
    );
    assert_eq!(
        (kept[3].voice_sdk_id.as_str(), kept[3].created_at),
        ("VSDK", after(3))
    );
    assert_eq!(
        world
            .store
            .list_call_reports(bob, "c1")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(world.store.list_call_reports(bob, "c2").await.unwrap(), []);
}

fn full(result: Result<(), StoreError>) -> ReportBudget {
    match result {
        Err(StoreError::ReportsFull(budget)) => budget,
        other => panic!("not full: {other:?}"),
    }
}

#[tokio::test]
async fn a_report_id_has_room_for_so_many_segments_however_calls_are_named() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let insert = async |id: &str, call: u32| {
        let call = format!("c{call}");
        world
            .store
            .insert_call_report(alice, id, &call, "", "{}", NOW)
            .await
    };
    for call in 0..MAX_REPORT_ID_SEGMENTS {
        insert("r1", call).await.unwrap();
    }
    assert_eq!(full(insert("r1", 1000).await), ReportBudget::ReportId);
    insert("r2", 1000).await.unwrap();
}

#[tokio::test]
async fn a_report_id_and_an_account_have_room_for_so_many_bytes() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    let largest = " ".repeat(MAX_REPORT_BYTES);
    let insert = async |account, id: u64, call: u64, body: &str| {
        let (id, call) = (format!("r{id}"), format!("c{id}-{call}"));
        world
            .store
            .insert_call_report(account, &id, &call, "", body, after(0))
            .await
    };
    let of_an_id = MAX_REPORT_ID_BYTES / MAX_REPORT_BYTES as u64;
    let ids = MAX_ACCOUNT_REPORTS_BYTES / MAX_REPORT_ID_BYTES;
    for id in 0..ids {
        for call in 0..of_an_id {
            insert(alice, id, call, &largest).await.unwrap();
        }
        if id == 0 {
            // A small one has its row, too.
            assert_eq!(
                full(insert(alice, id, of_an_id, "").await),
                ReportBudget::ReportId
            );
        }
    }
    assert_eq!(
        full(insert(alice, ids, 0, "{}").await),
        ReportBudget::Account
    );
    insert(bob, 0, 0, "{}").await.unwrap();
    // Room comes back with what is forgotten.
    let pruned = world
        .store
        .prune_history(explanations(after(1)))
        .await
        .unwrap();
    assert_eq!(pruned.call_reports, ids * of_an_id + 1);
    insert(alice, 0, 0, &largest).await.unwrap();
}

#[tokio::test]
async fn history_is_forgotten_by_age_in_many_small_writes() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let call = CallId::generate(&mut world.rng);
    let leg = Some(LegId::generate(&mut world.rng));
    let mut events = Vec::new();
    for seq in 1..=1200_u32 {
        let kind = match seq {
            1 => initiated(alice, Direction::Outbound),
            _ => CallEventKind::Ringing,
        };
        let event = CallEvent {
            call,
            leg,
            seq,
            time: Time::ZERO,
            kind,
        };
        // Not quite in order, as after a step of the clock.
        let at = if seq == 3 { 5000 } else { seq.into() };
        events.push((event, after(at)));
    }
    world.store.insert_call_events(&events).await.unwrap();
    for i in 0..4_u32 {
        let at = after(i64::from(i) * 600);
        world
            .store
            .insert_call_report(alice, "r1", "c1", "", format!("{i}"), at)
            .await
            .unwrap();
    }
    let record = record(&mut world, alice);
    world.store.insert_leg_record(&record).await.unwrap();

    let before = world.store.write_counts().requests;
    let pruned = world
        .store
        .prune_history(explanations(after(1200)))
        .await
        .unwrap();
    let expected = PrunedHistory {
        call_events: 1198,
        call_reports: 2,
        call_records: 0,
        webhook_deliveries: 0,
    };
    assert_eq!(pruned, expected);
    assert!(world.store.write_counts().requests - before >= 4);
    let left = world.store.call_events_after(alice, 0, 9999).await.unwrap();
    let left: Vec<u32> = left.iter().map(|event| event.seq).collect();
    assert_eq!(left, [3, 1200]);
    let again = world
        .store
        .prune_history(explanations(after(1200)))
        .await
        .unwrap();
    assert_eq!(again, PrunedHistory::default());

    // What comes is numbered after what is left.
    world
        .store
        .insert_call_report(alice, "r1", "c1", "", "4", after(9000))
        .await
        .unwrap();
    let reports = world.store.list_call_reports(alice, "c1").await.unwrap();
    let reports: Vec<_> = reports
        .iter()
        .map(|r| (r.segment, r.body.as_str()))
        .collect();
    assert_eq!(reports, [(3, "2"), (4, "3"), (5, "4")]);
    let records = world.store.list_leg_records(alice, FIRST).await.unwrap();
    assert_eq!(records.total, 1, "records stay");
    for (before, left) in [(after(9), 1), (after(10), 0)] {
        let forgotten = Forgotten {
            call_records: Some(before),
            ..Forgotten::default()
        };
        let pruned = world.store.prune_history(forgotten).await.unwrap();
        assert_eq!(pruned.call_records, 1 - left);
        let records = world.store.list_leg_records(alice, FIRST).await.unwrap();
        assert_eq!(records.total, left);
    }
}

#[tokio::test]
async fn reports_are_found_one_by_one_in_the_order_in_which_they_came() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    for (account, call, body, at) in [
        (alice, "call-1", "{\"n\":1}", 0),
        (alice, "call-2", "{\"n\":2}", 1),
        (alice, "call-1", "{\"n\":3}", 2),
        (bob, "call-1", "{\"n\":4}", 3),
    ] {
        let body = body.to_owned();
        let insert =
            world
                .store
                .insert_call_report(account, "report", call, "sdk", body, after(at));
        insert.await.unwrap();
    }
    world.reopen().await;
    let store = &world.store;
    let bodies = async |account, rows: Vec<_>| {
        let mut bodies = Vec::new();
        for row in rows {
            bodies.extend(
                store
                    .call_report(account, row)
                    .await
                    .unwrap()
                    .map(|report| report.body),
            );
        }
        bodies.concat()
    };
    let page = async |oldest_first, number, size| {
        let page = Page { number, size };
        let listed = store
            .list_call_report_rows(alice, oldest_first, page)
            .await
            .unwrap();
        assert_eq!(listed.total, 3);
        listed.items
    };
    let oldest = page(true, 1, 50).await;
    assert_eq!(
        bodies(alice, oldest.clone()).await,
        r#"{"n":1}{"n":2}{"n":3}"#
    );
    // Whose they are counts, not where they are.
    assert_eq!(bodies(bob, oldest).await, "");
    assert_eq!(
        bodies(alice, page(false, 1, 2).await).await,
        r#"{"n":3}{"n":2}"#
    );
    assert_eq!(bodies(alice, page(false, 2, 2).await).await, r#"{"n":1}"#);
    assert!(page(false, 3, 2).await.is_empty());
    let of_call = store.call_report_rows(alice, "call-1").await.unwrap();
    assert_eq!(bodies(alice, of_call).await, r#"{"n":1}{"n":3}"#);
    assert!(
        store
            .call_report_rows(alice, "call-3")
            .await
            .unwrap()
            .is_empty()
    );
    store.prune_history(explanations(after(2))).await.unwrap();
    assert_eq!(
        store
            .list_call_report_rows(alice, true, FIRST)
            .await
            .unwrap()
            .total,
        1
    );
}
