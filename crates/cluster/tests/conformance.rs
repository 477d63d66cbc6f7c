//! What every bus must do, run on each kind.

use std::time::Duration;

use ringtrip_cluster::Bus;
use ringtrip_model::{
    AccountId, CallId, ChannelLimits, CredentialConnectionId, Generator, LegParty, MediaPolicy,
    PermitRefusal, PermitRequest, RevokeScope, SessionId,
};

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
    bus.bind(first, &alice, "r1");
    bus.bind(second, &alice, "r2");
    bus.bind(second, &alice, "r2");
    assert_eq!(bus.devices("GENCREDALICE"), [first, second]);
    bus.unbind(first, &alice, "r1");
    assert_eq!(bus.devices("gencredalice"), [second]);
    bus.unbind(second, &alice, "r2");
    assert!(bus.devices("gencredalice").is_empty());
}

#[tokio::test(start_paused = true)]
async fn call_report_ids_outlive_their_session_by_ten_minutes() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([2; 32]));
    let (alice, session) = (party(&mut rng, "alice"), SessionId::generate(&mut rng));
    bus.bind(session, &alice, "r");
    assert_eq!(bus.report_owner("r"), Some(alice.account));
    assert_eq!(bus.report_owner("x"), None);
    bus.unbind(session, &alice, "r");
    tokio::time::advance(Duration::from_secs(599)).await;
    assert_eq!(bus.report_owner("r"), Some(alice.account));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(bus.report_owner("r"), None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_returns_keeps_its_call_report_id() {
    let (bus, mut rng) = (Bus::local(10), Generator::from_seed([3; 32]));
    let (alice, session) = (party(&mut rng, "alice"), SessionId::generate(&mut rng));
    bus.bind(session, &alice, "r");
    bus.unbind(session, &alice, "r");
    bus.bind(session, &alice, "r");
    tokio::time::advance(Duration::from_secs(700)).await;
    assert_eq!(bus.report_owner("r"), Some(alice.account));
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
