//! What every bus must do, run on each kind.

use std::time::Duration;

use ringtrip_cluster::{Bus, LegRange, Registration};
use ringtrip_model::{
    AccountId, CallId, ChannelLimits, Contact, ContactTransport, CredentialConnectionId, Generator,
    LegId, LegParty, LiveLeg, MediaPolicy, PermitRefusal, PermitRequest, RevokeScope, SessionId,
    Timestamp,
};

const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000 + secs)
}

fn contact(port: u16, secs: i64) -> Contact {
    Contact {
        address: [203, 0, 113, 9].into(),
        port: Some(port),
        transport: ContactTransport::Wss,
        user_agent: Some("phone".to_owned()),
        since: at(secs),
    }
}

fn party(rng: &mut Generator, user: &str) -> LegParty {
    LegParty {
        account: AccountId::generate(rng),
        connection: CredentialConnectionId::from_i64(7),
        credential: None,
        user: user.to_owned(),
        policy: MediaPolicy::default(),
        ring_timeout_secs: 90,
    }
}

#[tokio::test]
async fn users_are_found_while_logged_in_whatever_the_case() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([1; 32]));
    let alice = party(&mut rng, "genCredAlice");
    let (first, second) = (SessionId::generate(&mut rng), SessionId::generate(&mut rng));
    bus.bind(first, &alice, "r1", contact(1, 0));
    bus.bind(second, &alice, "r2", contact(1, 0));
    bus.bind(second, &alice, "r2", contact(1, 0));
    assert_eq!(bus.devices("GENCREDALICE"), [first, second]);
    bus.unbind(first, &alice, "r1", at(9));
    assert_eq!(bus.devices("gencredalice"), [second]);
    bus.unbind(second, &alice, "r2", at(9));
    assert!(bus.devices("gencredalice").is_empty());
}

#[tokio::test(start_paused = true)]
async fn call_report_ids_outlive_their_session_by_ten_minutes() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([2; 32]));
    let (alice, session) = (party(&mut rng, "alice"), SessionId::generate(&mut rng));
    bus.bind(session, &alice, "r", contact(1, 0));
    assert_eq!(bus.report_owner("r"), Some(alice.account));
    assert_eq!(bus.report_owner("x"), None);
    bus.unbind(session, &alice, "r", at(9));
    tokio::time::advance(Duration::from_secs(599)).await;
    assert_eq!(bus.report_owner("r"), Some(alice.account));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(bus.report_owner("r"), None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_returns_keeps_its_call_report_id() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([3; 32]));
    let (alice, session) = (party(&mut rng, "alice"), SessionId::generate(&mut rng));
    bus.bind(session, &alice, "r", contact(1, 0));
    bus.unbind(session, &alice, "r", at(9));
    bus.bind(session, &alice, "r", contact(1, 0));
    tokio::time::advance(Duration::from_secs(700)).await;
    assert_eq!(bus.report_owner("r"), Some(alice.account));
}

#[tokio::test]
async fn the_latest_login_tells_where_a_user_is() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([5; 32]));
    let alice = party(&mut rng, "genCredAlice");
    let (first, second) = (SessionId::generate(&mut rng), SessionId::generate(&mut rng));
    assert_eq!(bus.registration("gencredalice"), Registration::default());
    bus.bind(first, &alice, "r1", contact(1, 10));
    bus.bind(second, &alice, "r2", contact(2, 20));
    let both = bus.registration("GENCREDALICE");
    assert_eq!(both.contact, Some(contact(2, 20)));
    assert_eq!(
        (both.last_login, both.changed_at),
        (Some(at(20)), Some(at(10)))
    );
    // The older device comes back on another connection: it is the latest then.
    bus.bind(first, &alice, "r1", contact(3, 30));
    assert_eq!(bus.devices("gencredalice"), [first, second]);
    assert_eq!(
        bus.registration("gencredalice").contact,
        Some(contact(3, 30))
    );
    bus.unbind(first, &alice, "r1", at(40));
    assert_eq!(
        bus.registration("gencredalice").contact,
        Some(contact(2, 20))
    );
    bus.unbind(second, &alice, "r2", at(50));
    let gone = Registration {
        contact: None,
        last_login: Some(at(20)),
        changed_at: Some(at(50)),
    };
    assert_eq!(bus.registration("gencredalice"), gone);
    bus.bind(second, &alice, "r2", contact(4, 60));
    assert_eq!(bus.registration("gencredalice").changed_at, Some(at(60)));
}

#[tokio::test]
async fn live_legs_are_listed_by_connection_until_they_end() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([6; 32]));
    let account = AccountId::generate(&mut rng);
    let (ours, other) = (
        CredentialConnectionId::from_i64(1),
        CredentialConnectionId::from_i64(2),
    );
    let mut begin = |connection, secs| {
        let leg = LiveLeg {
            leg: LegId::generate(&mut rng),
            call: CallId::generate(&mut rng),
            account,
            connection,
            started_at: at(secs),
            client_state: None,
        };
        bus.begin_leg(leg.clone());
        leg
    };
    let legs: Vec<LiveLeg> = (0..5).map(|secs| begin(ours, secs)).collect();
    let elsewhere = begin(other, 0);
    let page = |range, limit| {
        let page = bus.live_legs(ours, range, limit);
        assert_eq!(page.total, 5);
        (page.legs, page.earlier, page.later)
    };
    assert_eq!(
        page(LegRange::Skip(0), 2),
        (legs[..2].to_vec(), false, true)
    );
    assert_eq!(
        page(LegRange::Skip(2), 2),
        (legs[2..4].to_vec(), true, true)
    );
    assert_eq!(
        page(LegRange::Skip(4), 2),
        (legs[4..].to_vec(), true, false)
    );
    assert_eq!(page(LegRange::Skip(9), 2), (Vec::new(), true, false));
    let after = |leg: usize| LegRange::After(legs[leg].place());
    let before = |leg: usize| LegRange::Before(legs[leg].place());
    assert_eq!(page(after(0), 9), (legs[1..].to_vec(), true, false));
    assert_eq!(page(after(4), 9), (Vec::new(), true, false));
    assert_eq!(page(before(3), 2), (legs[1..3].to_vec(), true, true));
    assert_eq!(page(before(0), 2), (Vec::new(), false, true));

    // A place stays one when its leg has ended.
    bus.end_leg(legs[1].leg);
    bus.end_leg(legs[1].leg);
    let rest = bus.live_legs(ours, after(1), 9);
    assert_eq!((rest.legs, rest.total), (legs[2..].to_vec(), 4));
    for leg in &legs {
        bus.end_leg(leg.leg);
    }
    let none = bus.live_legs(ours, LegRange::Skip(0), 9);
    assert_eq!((none.legs, none.total), (Vec::new(), 0));
    assert!(!none.earlier && !none.later);
    assert_eq!(bus.live_legs(other, LegRange::Skip(0), 9).legs, [elsewhere]);
}

#[tokio::test]
async fn limits_count_running_calls_only() {
    let (bus, mut rng) = (Bus::local(3), Generator::from_seed([4; 32]));
    let mut request = |from: i64, to: i64| PermitRequest {
        call: CallId::generate(&mut rng),
        account: AccountId::from_uuid(uuid_nil()),
        from: CredentialConnectionId::from_i64(from),
        to: CredentialConnectionId::from_i64(to),
    };
    let limits = ChannelLimits {
        outbound: Some(2),
        inbound: Some(1),
    };
    let (a, b, c, d, e) = (
        request(1, 2),
        request(1, 2),
        request(1, 3),
        request(1, 4),
        request(5, 6),
    );
    assert_eq!(bus.acquire(&a, limits), Ok(()));
    assert_eq!(
        bus.acquire(&a, limits),
        Ok(()),
        "asking twice takes one place"
    );
    assert_eq!(bus.acquire(&b, limits), Err(PermitRefusal::Inbound));
    assert_eq!(bus.acquire(&c, limits), Ok(()));
    assert_eq!(bus.acquire(&d, limits), Err(PermitRefusal::Outbound));
    bus.release(a.call);
    bus.release(a.call);
    assert_eq!(bus.acquire(&b, limits), Ok(()));
    assert_eq!(bus.acquire(&e, ChannelLimits::default()), Ok(()));
    assert_eq!(
        bus.acquire(&d, ChannelLimits::default()),
        Err(PermitRefusal::Node)
    );
}

fn uuid_nil() -> uuid::Uuid {
    uuid::Uuid::nil()
}

#[tokio::test]
async fn revoke_returns_once_signalling_is_done() {
    let bus = Bus::local(1);
    let scope = RevokeScope::Connection(CredentialConnectionId::from_i64(9));
    bus.revoke(scope).await; // nobody listens: nothing to end

    let mut revocations = bus.subscribe_revocations();
    let asking = tokio::spawn({
        let bus = bus.clone();
        async move { bus.revoke(scope).await }
    });
    let revocation = revocations.recv().await.unwrap();
    assert_eq!(revocation.scope, scope);
    assert!(!asking.is_finished());
    revocation.done.send(()).unwrap();
    asking.await.unwrap();
}
