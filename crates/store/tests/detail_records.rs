//! Records of legs, as they are searched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ringtrip_model::{
    Account, CallId, CallerId, CredentialConnection, CredentialConnectionId, Direction,
    HangupCause, HangupSource, LegId, LegRecord, NodeId,
};
use ringtrip_store::{
    Comparison, DetailRecordCondition as Condition, DetailRecordNumber as Number,
    DetailRecordOrder, DetailRecordText as Text, LegProtocol, Page, TextMatch,
};
use support::{NOW, World, after};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

/// A record named by its `protocol_call_id`.
fn record(
    world: &mut World,
    account: &Account,
    name: &str,
    connection: CredentialConnectionId,
    begins: i64,
    answered_for: Option<i64>,
) -> LegRecord {
    let rng = &mut world.rng;
    LegRecord {
        leg: LegId::generate(rng),
        call: CallId::generate(rng),
        node: NodeId(1),
        account: account.id,
        connection,
        credential: None,
        user: format!("user-{name}"),
        protocol_call_id: name.to_owned(),
        direction: Direction::Outbound,
        caller: CallerId {
            name: "Ann %".to_owned(),
            number: "+13125550123".to_owned(),
        },
        destination: format!("+4930{name}"),
        started_at: after(begins),
        answered_at: answered_for.map(|_| after(begins + 2)),
        ended_at: after(begins + 2 + answered_for.unwrap_or(0)),
        cause: HangupCause::NormalClearing,
        source: HangupSource::Caller,
        audio: None,
        video: None,
        quality: None,
    }
}

struct Searched {
    world: World,
    alice: Account,
    office: CredentialConnection,
    records: Vec<LegRecord>,
}

/// Three legs of Alice's, a minute apart: the first for 60 seconds, the second not answered, the third for 5.
async fn searched() -> Searched {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await);
    let office = world.connection(&alice, "Office").await;
    let gone = CredentialConnectionId::from_i64(7);
    let mut records = vec![
        record(&mut world, &alice, "A1", office.id, 0, Some(60)),
        record(&mut world, &alice, "b2", gone, 60, None),
        record(&mut world, &alice, "c3", office.id, 120, Some(5)),
    ];
    records[2].direction = Direction::Inbound;
    let bobs = record(&mut world, &bob, "A1", gone, 0, Some(60));
    world.store.insert_leg_records(&records).await.unwrap();
    world.store.insert_leg_records(&[bobs]).await.unwrap();
    Searched {
        world,
        alice,
        office,
        records,
    }
}

impl Searched {
    async fn find(
        &self,
        protocol: LegProtocol,
        conditions: Vec<Condition>,
        order: Vec<DetailRecordOrder>,
    ) -> String {
        let store = &self.world.store;
        let listed = store
            .list_detail_records(self.alice.id, protocol, conditions, order, FIRST)
            .await
            .unwrap();
        let names: Vec<_> = listed
            .items
            .iter()
            .map(|found| found.record.protocol_call_id.as_str())
            .collect();
        assert_eq!(names.len() as u64, listed.total);
        names.join(" ")
    }
}

#[tokio::test]
async fn each_account_finds_its_own_records_with_the_name_that_the_connection_has_now() {
    let searched = searched().await;
    let listed = searched
        .world
        .store
        .list_detail_records(
            searched.alice.id,
            LegProtocol::Webrtc,
            Vec::new(),
            Vec::new(),
            FIRST,
        )
        .await
        .unwrap();
    let names: Vec<_> = listed
        .items
        .iter()
        .map(|found| found.connection_name.as_deref())
        .collect();
    assert_eq!(names, [Some("Office"), None, Some("Office")]);
    let mut records: Vec<_> = listed.items.into_iter().map(|found| found.record).collect();
    records.reverse();
    assert_eq!((records, listed.total), (searched.records, 3));
}

#[tokio::test]
async fn no_leg_has_come_by_sip() {
    let searched = searched().await;
    assert_eq!(
        searched
            .find(LegProtocol::Sip, Vec::new(), Vec::new())
            .await,
        ""
    );
}

#[tokio::test]
async fn records_are_found_by_what_they_hold() {
    let searched = searched().await;
    let [first, second, _] = &searched.records[..] else {
        panic!("there are three")
    };
    let micros = |secs| after(secs).as_micros();
    let text = |text, how, value: &str| vec![Condition::Text(text, how, value.to_owned())];
    let number = |number, how, value| vec![Condition::Number(number, how, value)];
    for (conditions, expected) in [
        (vec![], "c3 b2 A1"),
        (vec![Condition::Leg(first.leg)], "A1"),
        (vec![Condition::Call(second.call)], "b2"),
        (vec![Condition::Connection(searched.office.id)], "c3 A1"),
        (vec![Condition::Direction(Direction::Inbound)], "c3"),
        (text(Text::User, TextMatch::Equals, "user-A1"), "A1"),
        (text(Text::User, TextMatch::Equals, "user-a1"), ""),
        (text(Text::User, TextMatch::Contains, "r-b"), "b2"),
        (text(Text::User, TextMatch::Contains, "R-b"), ""),
        (text(Text::User, TextMatch::StartsWith, "user-"), "c3 b2 A1"),
        (text(Text::User, TextMatch::StartsWith, "ser"), ""),
        (
            text(Text::User, TextMatch::StartsWith, "user-A1-and-more"),
            "",
        ),
        (text(Text::User, TextMatch::EndsWith, "3"), "c3"),
        (text(Text::User, TextMatch::EndsWith, "user-c3"), "c3"),
        (text(Text::User, TextMatch::EndsWith, "a user-c3"), ""),
        (text(Text::ProtocolCallId, TextMatch::Equals, "A1"), "A1"),
        (text(Text::CallerName, TextMatch::Contains, "%"), "c3 b2 A1"),
        (text(Text::CallerName, TextMatch::Contains, "_"), ""),
        (
            text(Text::CallerNumber, TextMatch::StartsWith, "+1312"),
            "c3 b2 A1",
        ),
        (text(Text::Destination, TextMatch::Equals, "+4930b2"), "b2"),
        (
            text(Text::ConnectionName, TextMatch::Equals, "Office"),
            "c3 A1",
        ),
        (text(Text::ConnectionName, TextMatch::Equals, ""), "b2"),
        (
            number(Number::StartedAt, Comparison::AtLeast, micros(60)),
            "c3 b2",
        ),
        (
            number(Number::StartedAt, Comparison::Greater, micros(60)),
            "c3",
        ),
        (
            number(Number::StartedAt, Comparison::Less, micros(60)),
            "A1",
        ),
        (
            number(Number::StartedAt, Comparison::AtMost, micros(60)),
            "b2 A1",
        ),
        (
            number(Number::EndedAt, Comparison::Equal, micros(62)),
            "b2 A1",
        ),
        (number(Number::CallSecs, Comparison::Equal, 60), "A1"),
        (number(Number::CallSecs, Comparison::Equal, 0), "b2"),
        (number(Number::CallSecs, Comparison::AtLeast, 5), "c3 A1"),
        (Condition::started_within(NOW..after(60)).to_vec(), "A1"),
        (
            [
                text(Text::User, TextMatch::StartsWith, "user"),
                number(Number::CallSecs, Comparison::Less, 60),
                vec![Condition::Connection(searched.office.id)],
            ]
            .concat(),
            "c3",
        ),
    ] {
        let what = format!("{conditions:?}");
        let found = searched
            .find(LegProtocol::Webrtc, conditions, Vec::new())
            .await;
        assert_eq!(found, expected, "{what}");
    }
}

#[tokio::test]
async fn records_are_sorted_by_what_is_asked_for() {
    let searched = searched().await;
    let by = |by, descending| DetailRecordOrder { by, descending };
    for (order, expected) in [
        (vec![], "c3 b2 A1"),
        (vec![by(Number::StartedAt, false)], "A1 b2 c3"),
        (vec![by(Number::StartedAt, true)], "c3 b2 A1"),
        (vec![by(Number::CallSecs, false)], "b2 c3 A1"),
        (vec![by(Number::CallSecs, true)], "A1 c3 b2"),
        (
            vec![by(Number::EndedAt, false), by(Number::StartedAt, true)],
            "b2 A1 c3",
        ),
    ] {
        let found = searched
            .find(LegProtocol::Webrtc, Vec::new(), order.clone())
            .await;
        assert_eq!(found, expected, "{order:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let searched = searched().await;
    let page = async |number| {
        let page = Page { number, size: 2 };
        let store = &searched.world.store;
        let listed = store
            .list_detail_records(
                searched.alice.id,
                LegProtocol::Webrtc,
                Vec::new(),
                Vec::new(),
                page,
            )
            .await
            .unwrap();
        (listed.items.len(), listed.total)
    };
    assert_eq!(
        (page(1).await, page(2).await, page(3).await),
        ((2, 3), (1, 3), (0, 3))
    );
}
