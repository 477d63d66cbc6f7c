//! Webhooks: their keys, the queue that the log fills, and what became of them.

mod support;

use ringtrip_model::{
    AccountId, AudioCodec, CallEvent, CallEventKind, CallId, CallerId, CredentialConnectionId,
    CustomHeader, Direction, HangupCause, HangupSource, Initiation, LegId, LegQuality, LegRecord,
    NodeId, OfferedMedia, OutboundVoiceProfileId, Time, Timestamp, WebhookAnswer, WebhookAttempt,
    WebhookDeliveryId, WebhookError, WebhookEventId, WebhookEventType, WebhookStatus,
};
use ringtrip_store::{
    CallEventFilter, Forgotten, NewWebhook, Page, QueuedWebhook, ToldStep, WebhookDeliveryFilter,
};
use support::{NOW, World, after};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

/// A leg of a tenant, with the events of its life.
struct Life {
    call: CallId,
    leg: LegId,
    account: AccountId,
    connection: CredentialConnectionId,
}

impl Life {
    fn new(world: &mut World, account: AccountId, connection: i64) -> Self {
        Self {
            call: CallId::generate(&mut world.rng),
            leg: LegId::generate(&mut world.rng),
            account,
            connection: CredentialConnectionId::from_i64(connection),
        }
    }

    fn event(&self, seq: u32, kind: CallEventKind) -> (CallEvent, Timestamp) {
        let event = CallEvent {
            call: self.call,
            leg: Some(self.leg),
            seq,
            time: Time::ZERO,
            kind,
        };
        (event, after(seq.into()))
    }

    fn begin(&self) -> (CallEvent, Timestamp) {
        let initiation = Initiation {
            account: self.account,
            connection: self.connection,
            direction: Direction::Inbound,
            caller: CallerId {
                name: "Ann".to_owned(),
                number: "+15550100".to_owned(),
            },
            to: "bob".to_owned(),
            offered: Some(OfferedMedia {
                audio: vec![AudioCodec::Opus],
                video: false,
            }),
            custom_headers: vec![CustomHeader {
                name: "X-A".to_owned(),
                value: "1".to_owned(),
            }],
            client_state: Some("c3RhdGU=".to_owned()),
        };
        self.event(1, CallEventKind::Initiated(Box::new(initiation)))
    }

    fn end(&self) -> (CallEvent, Timestamp) {
        let kind = CallEventKind::Hangup {
            cause: HangupCause::UserBusy,
            source: HangupSource::Callee,
        };
        self.event(9, kind)
    }

    fn whole(&self) -> Vec<(CallEvent, Timestamp)> {
        let other = self.leg;
        vec![
            self.begin(),
            self.event(2, CallEventKind::Ringing),
            self.event(3, CallEventKind::Answered),
            self.event(4, CallEventKind::Bridged { with: other }),
            self.event(5, CallEventKind::MediaConnected),
            self.end(),
        ]
    }
}

fn webhook(world: &mut World, life: &Life, call_event: i64) -> NewWebhook {
    NewWebhook {
        id: WebhookDeliveryId::generate(&mut world.rng),
        call_event,
        account: life.account,
        connection: life.connection,
        call: life.call,
        event: WebhookEventId::generate(&mut world.rng),
        event_type: WebhookEventType::CallInitiated,
        occurred_at: NOW,
        payload: "{\"from\":\"+15550100\",\"Note\":\"5%_Off\"}".to_owned(),
    }
}

async fn queue(world: &World, webhook: &NewWebhook) -> QueuedWebhook {
    let queued = world
        .store
        .queue_webhooks(vec![webhook.clone()], webhook.call_event, NOW)
        .await;
    queued.expect("what a test prepares is read").remove(0)
}

fn attempt(at: i64, error: Option<WebhookError>) -> WebhookAttempt {
    WebhookAttempt {
        started_at: after(at),
        finished_at: after(at + 1),
        error,
        url: Some("https://hooks.example/Call".to_owned()),
        request_headers: vec![("user-agent".to_owned(), "telnyx-webhooks".to_owned())],
        answer: Some(WebhookAnswer {
            status: 200,
            headers: vec![("server".to_owned(), "Nginx".to_owned())],
            body: "Thanks!".to_owned(),
        }),
    }
}

#[tokio::test]
async fn a_tenant_has_one_key_for_ever() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    let key = world.store.webhook_key(alice).await.unwrap();
    assert_eq!(
        world.store.webhook_key(alice).await.unwrap().public(),
        key.public()
    );
    let other = world.store.webhook_key(bob).await.unwrap();
    assert_ne!(other.public(), key.public());
    world.reopen().await;
    let again = world.store.webhook_key(alice).await.unwrap();
    assert_eq!(again.public(), key.public());
    assert_eq!(again.sign(1, b"x"), key.sign(1, b"x"));
}

#[tokio::test]
async fn requests_at_once_agree_on_one_key() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let keys = (0..16).map(|_| world.store.webhook_key(alice));
    let keys = futures_util::future::join_all(keys).await;
    let first = keys[0].as_ref().unwrap().public();
    assert!(
        keys.iter()
            .all(|key| key.as_ref().unwrap().public() == first)
    );
}

#[tokio::test]
async fn the_log_tells_what_applications_want_to_know() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let life = Life::new(&mut world, alice, 7);
    // The end comes in a batch of its own: whose leg it is, the log knows.
    let mut events = life.whole();
    let end = events.pop().unwrap();
    world.store.insert_call_events(&events).await.unwrap();
    world.store.insert_call_events(&[end]).await.unwrap();
    let told = world.store.told_events_after(0, 100).await.unwrap();
    let steps: Vec<_> = told.iter().map(|event| event.step).collect();
    let hangup = ToldStep::Hangup {
        cause: HangupCause::UserBusy,
        source: HangupSource::Callee,
    };
    assert_eq!(
        steps,
        [
            ToldStep::Initiated,
            ToldStep::Answered,
            ToldStep::Bridged,
            hangup
        ]
    );
    for event in &told {
        assert_eq!(
            (event.account, event.connection, event.call, event.leg),
            (alice, life.connection, life.call, life.leg)
        );
    }
    assert_eq!(told[1].occurred_at, after(3));
    let rest = world.store.told_events_after(told[1].id, 1).await.unwrap();
    assert_eq!(rest, [told[2].clone()]);

    let unknown = LegId::generate(&mut world.rng);
    let begun = world
        .store
        .leg_beginnings(&[life.leg, unknown])
        .await
        .unwrap();
    assert_eq!(begun.len(), 1);
    let begun = &begun[&life.leg];
    assert_eq!(begun.started_at, after(1));
    assert_eq!(begun.direction, Direction::Inbound);
    assert_eq!(
        (begun.caller.name.as_str(), begun.caller.number.as_str()),
        ("Ann", "+15550100")
    );
    assert_eq!(begun.to, "bob");
    assert_eq!(begun.offered, Some(vec!["opus".to_owned()]));
    assert_eq!(begun.custom_headers[0].value, "1");
    assert_eq!(begun.client_state.as_deref(), Some("c3RhdGU="));
}

#[tokio::test]
async fn how_a_leg_sounded_is_known_once_it_is_recorded() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let life = Life::new(&mut world, alice, 7);
    let silent = LegId::generate(&mut world.rng);
    assert!(
        world
            .store
            .leg_qualities(&[life.leg])
            .await
            .unwrap()
            .is_empty()
    );
    let quality = LegQuality {
        packets_sent: 3,
        ..LegQuality::default()
    };
    let record = |leg, quality| LegRecord {
        leg,
        call: life.call,
        node: NodeId(1),
        account: alice,
        connection: life.connection,
        credential: None,
        user: "u".to_owned(),
        protocol_call_id: "c".to_owned(),
        direction: Direction::Inbound,
        caller: CallerId::default(),
        destination: "bob".to_owned(),
        started_at: NOW,
        answered_at: None,
        ended_at: NOW,
        cause: HangupCause::UserBusy,
        source: HangupSource::Callee,
        audio: None,
        video: None,
        quality,
    };
    let records = [record(life.leg, Some(quality)), record(silent, None)];
    world.store.insert_leg_records(&records).await.unwrap();
    let known = world
        .store
        .leg_qualities(&[life.leg, silent, LegId::generate(&mut world.rng)])
        .await
        .unwrap();
    assert_eq!(known.len(), 2);
    assert_eq!((known[&life.leg], known[&silent]), (Some(quality), None));
}

#[tokio::test]
async fn an_event_is_queued_once_and_the_cursor_moves_with_it() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let life = Life::new(&mut world, alice, 7);
    assert_eq!(world.store.webhook_cursor().await.unwrap(), 0);
    let first = webhook(&mut world, &life, 11);
    let second = webhook(&mut world, &life, 12);
    let queued = world
        .store
        .queue_webhooks(vec![first.clone(), second], 15, NOW)
        .await
        .unwrap();
    assert_eq!(queued.len(), 2);
    assert!(queued[0].number < queued[1].number);
    // The same event again, under another name: it is there.
    let again = NewWebhook {
        id: WebhookDeliveryId::generate(&mut world.rng),
        ..first.clone()
    };
    let waiting = world.store.queue_webhooks(vec![again], 3, NOW).await;
    assert_eq!(waiting.unwrap(), queued[..1], "the one that waits");
    world.reopen().await;
    assert_eq!(
        world.store.webhook_cursor().await.unwrap(),
        15,
        "it never goes back"
    );
    let stored = world.store.queued_webhooks(0, 10).await.unwrap();
    assert_eq!(stored, queued);
    let behind = world.store.queued_webhooks(queued[0].number, 10).await;
    assert_eq!(behind.unwrap(), queued[1..]);
    let content = world.store.webhook_content(queued[0].number).await.unwrap();
    let content = content.unwrap();
    assert_eq!(content.event, first.event);
    assert_eq!(content.event_type, WebhookEventType::CallInitiated);
    assert_eq!(content.payload, first.payload);
    assert_eq!(world.store.webhook_content(-1).await.unwrap(), None);
}

#[tokio::test]
async fn attempts_are_kept_and_the_last_ends_the_delivery() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    let life = Life::new(&mut world, alice, 7);
    let new = webhook(&mut world, &life, 11);
    let queued = queue(&world, &new).await;
    assert_eq!(
        world.store.webhook_delivery(alice, new.id).await.unwrap(),
        None,
        "nothing was tried yet"
    );
    let failed = WebhookAttempt {
        answer: None,
        ..attempt(10, Some(WebhookError::TimedOut))
    };
    world
        .store
        .record_webhook_attempt(queued.number, failed.clone(), false)
        .await
        .unwrap();
    let shown = world.store.webhook_delivery(alice, new.id).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(
        (shown.status, shown.started_at, shown.finished_at),
        (WebhookStatus::Failed, after(10), None)
    );
    assert_eq!(world.store.queued_webhooks(0, 9).await.unwrap()[0].tries, 1);
    world
        .store
        .record_webhook_attempt(queued.number, attempt(20, None), true)
        .await
        .unwrap();
    world.reopen().await;
    let shown = world.store.webhook_delivery(alice, new.id).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(shown.attempts, [attempt(20, None), failed]);
    assert_eq!(
        (shown.status, shown.started_at, shown.finished_at),
        (WebhookStatus::Delivered, after(10), Some(after(21)))
    );
    assert_eq!(
        (shown.event, shown.event_type, shown.connection, shown.call),
        (new.event, new.event_type, life.connection, life.call)
    );
    assert_eq!(world.store.queued_webhooks(0, 9).await.unwrap(), []);
    assert_eq!(
        world.store.webhook_delivery(bob, new.id).await.unwrap(),
        None
    );
    // What is gone takes no attempts.
    world
        .store
        .record_webhook_attempt(queued.number + 1, attempt(1, None), true)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_delivery_is_sent_again_from_the_start_and_keeps_its_latest_attempts() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    let life = Life::new(&mut world, alice, 7);
    let new = webhook(&mut world, &life, 11);
    let queued = queue(&world, &new).await;
    let number = queued.number;
    for at in 0..4 {
        let failed = attempt(at, Some(WebhookError::NotAccepted));
        let recorded = world.store.record_webhook_attempt(number, failed, at == 3);
        recorded.await.unwrap();
    }
    assert_eq!(
        world.store.resend_webhook(bob, new.id, NOW).await.unwrap(),
        None
    );
    assert_eq!(world.store.resent_webhooks(0, 9).await.unwrap(), []);
    let again = world
        .store
        .resend_webhook(alice, new.id, NOW)
        .await
        .unwrap();
    let again = again.unwrap();
    assert_eq!(again.finished_at, None);
    assert_eq!(again.attempts.len(), 4);
    world.store.webhook_resent().await;
    assert_eq!(world.store.resent_webhooks(0, 9).await.unwrap(), [queued]);
    assert_eq!(world.store.queued_webhooks(0, 9).await.unwrap(), [queued]);
    for at in 10..16 {
        let failed = attempt(at, Some(WebhookError::NotAccepted));
        let recorded = world.store.record_webhook_attempt(number, failed, at == 15);
        recorded.await.unwrap();
        assert_eq!(world.store.resent_webhooks(0, 9).await.unwrap(), []);
    }
    let shown = world.store.webhook_delivery(alice, new.id).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(shown.attempts.len(), 8);
    assert_eq!(shown.attempts[0].started_at, after(15));
    assert_eq!(shown.started_at, after(0));
}

#[tokio::test]
async fn what_is_dropped_is_shown_and_can_be_sent_again() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let life = Life::new(&mut world, alice, 7);
    let new = webhook(&mut world, &life, 11);
    let queued = queue(&world, &new).await;
    world
        .store
        .drop_webhooks(vec![queued.number], after(5))
        .await
        .unwrap();
    let shown = world.store.webhook_delivery(alice, new.id).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(
        (shown.status, shown.finished_at),
        (WebhookStatus::Failed, Some(after(5)))
    );
    assert_eq!(shown.attempts[0].error, Some(WebhookError::Dropped));
    assert_eq!(world.store.queued_webhooks(0, 9).await.unwrap(), []);
    // An attempt that was under way then changes its status, and not that it is over.
    world
        .store
        .record_webhook_attempt(queued.number, attempt(6, None), false)
        .await
        .unwrap();
    let shown = world.store.webhook_delivery(alice, new.id).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(
        (shown.status, shown.finished_at),
        (WebhookStatus::Delivered, Some(after(5)))
    );
    assert!(
        world
            .store
            .resend_webhook(alice, new.id, NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(world.store.queued_webhooks(0, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn deliveries_are_listed_by_what_they_have_in_common() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await.id, world.account("b@x").await.id);
    let life = Life::new(&mut world, alice, 7);
    let mut ids = Vec::new();
    for event in 1..=3 {
        let mut new = webhook(&mut world, &life, event);
        if event == 3 {
            new.event_type = WebhookEventType::CallHangup;
            new.payload = "{}".to_owned();
        }
        let queued = queue(&world, &new).await;
        ids.push(new.id);
        let error = (event == 2).then_some(WebhookError::NotConnected);
        let mut tried = attempt(event * 10, error);
        if event == 2 {
            tried.answer = None;
        }
        world
            .store
            .record_webhook_attempt(queued.number, tried, true)
            .await
            .unwrap();
    }
    let waiting = webhook(&mut world, &life, 4);
    queue(&world, &waiting).await;
    let list = async |filter: WebhookDeliveryFilter| {
        let listed = world
            .store
            .list_webhook_deliveries(alice, filter, FIRST)
            .await
            .unwrap();
        assert_eq!(listed.total, listed.items.len() as u64);
        let found = listed
            .items
            .iter()
            .map(|delivery| 1 + ids.iter().position(|id| *id == delivery.id).unwrap());
        found.collect::<Vec<_>>()
    };
    let none = WebhookDeliveryFilter::default;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(list(none()).await, [3, 2, 1]);
    for (filter, expected) in [
        (
            WebhookDeliveryFilter {
                status: Some(WebhookStatus::Failed),
                ..none()
            },
            &[2][..],
        ),
        (
            WebhookDeliveryFilter {
                status: Some(WebhookStatus::Delivered),
                ..none()
            },
            &[3, 1],
        ),
        (
            WebhookDeliveryFilter {
                event_types: Some(vec![WebhookEventType::CallHangup]),
                ..none()
            },
            &[3],
        ),
        (
            WebhookDeliveryFilter {
                event_types: Some(Vec::new()),
                ..none()
            },
            &[],
        ),
        (
            WebhookDeliveryFilter {
                webhook_contains: text("5%_oFF"),
                ..none()
            },
            &[2, 1],
        ),
        (
            WebhookDeliveryFilter {
                webhook_contains: text("5__off"),
                ..none()
            },
            &[],
        ),
        (
            WebhookDeliveryFilter {
                webhook_contains: text("call.HANGUP"),
                ..none()
            },
            &[3],
        ),
        (
            WebhookDeliveryFilter {
                attempts_contain: text("nginx"),
                ..none()
            },
            &[3, 1],
        ),
        (
            WebhookDeliveryFilter {
                attempts_contain: text("HOOKS.example/call"),
                ..none()
            },
            &[3, 2, 1],
        ),
        (
            WebhookDeliveryFilter {
                attempts_contain: text("thanks?"),
                ..none()
            },
            &[],
        ),
        (
            WebhookDeliveryFilter {
                started_from: Some(after(20)),
                ..none()
            },
            &[3, 2],
        ),
        (
            WebhookDeliveryFilter {
                started_to: Some(after(20)),
                ..none()
            },
            &[2, 1],
        ),
        (
            WebhookDeliveryFilter {
                finished_from: Some(after(22)),
                ..none()
            },
            &[3],
        ),
        (
            WebhookDeliveryFilter {
                finished_to: Some(after(21)),
                ..none()
            },
            &[2, 1],
        ),
    ] {
        assert_eq!(list(filter.clone()).await, expected, "{filter:?}");
    }
    for part in ["a\0".to_owned(), "%".repeat(100_000)] {
        let filter = WebhookDeliveryFilter {
            attempts_contain: Some(part.clone()),
            webhook_contains: Some(part),
            ..none()
        };
        assert_eq!(list(filter).await, [0; 0]);
    }
    let page = Page { number: 2, size: 2 };
    let second = world
        .store
        .list_webhook_deliveries(alice, none(), page)
        .await;
    let second = second.unwrap();
    assert_eq!((second.items.len(), second.total), (1, 3));
    let foreign = world
        .store
        .list_webhook_deliveries(bob, none(), FIRST)
        .await;
    assert_eq!(foreign.unwrap().total, 0);
}

#[tokio::test]
async fn old_deliveries_are_forgotten_and_counted_no_more() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await.id;
    let life = Life::new(&mut world, alice, 7);
    let old = webhook(&mut world, &life, 1);
    let number = queue(&world, &old).await.number;
    world
        .store
        .record_webhook_attempt(number, attempt(1, None), true)
        .await
        .unwrap();
    let waiting = webhook(&mut world, &life, 2);
    queue(&world, &waiting).await;
    let forgotten = Forgotten {
        webhook_deliveries: Some(after(100)),
        ..Forgotten::default()
    };
    let pruned = world.store.prune_history(forgotten).await.unwrap();
    assert_eq!(pruned.webhook_deliveries, 1, "what waits is kept");
    let listed = world
        .store
        .list_webhook_deliveries(alice, WebhookDeliveryFilter::default(), FIRST)
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.total), (0, 0));
    assert_eq!(world.store.queued_webhooks(0, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn events_are_listed_by_what_they_have_in_common() {
    let mut world = World::new().await;
    let (alice, bob) = (world.account("a@x").await, world.account("b@x").await.id);
    let office = world.connection(&alice, "The Office").await;
    let life = Life::new(&mut world, alice.id, office.id.as_i64());
    let other = Life::new(&mut world, alice.id, 8);
    let foreign = Life::new(&mut world, bob, 7);
    for life in [&life, &other, &foreign] {
        world.store.insert_call_events(&life.whole()).await.unwrap();
    }
    let first = world.store.told_events_after(0, 1).await.unwrap().remove(0);
    let new = webhook(&mut world, &life, first.id);
    let number = queue(&world, &new).await.number;
    let failed = attempt(1, Some(WebhookError::NotAccepted));
    world
        .store
        .record_webhook_attempt(number, failed, true)
        .await
        .unwrap();
    let count = async |filter: CallEventFilter| {
        let listed = world.store.list_call_events(alice.id, filter, FIRST).await;
        let listed = listed.unwrap();
        assert_eq!(listed.total, listed.items.len() as u64);
        assert!(
            listed
                .items
                .is_sorted_by_key(|event| (event.occurred_at, event.id))
        );
        assert!(listed.items.iter().all(|event| event.account == alice.id));
        listed.total
    };
    let none = CallEventFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let profile = OutboundVoiceProfileId::from_i64(5);
    for (filter, expected) in [
        (none(), 8),
        (
            CallEventFilter {
                leg: Some(life.leg),
                ..none()
            },
            4,
        ),
        (
            CallEventFilter {
                leg: Some(foreign.leg),
                ..none()
            },
            0,
        ),
        (
            CallEventFilter {
                call: Some(other.call),
                ..none()
            },
            4,
        ),
        (
            CallEventFilter {
                connection: Some(office.id),
                ..none()
            },
            4,
        ),
        (
            CallEventFilter {
                connection_name_contains: text("OFF"),
                ..none()
            },
            4,
        ),
        (
            CallEventFilter {
                connection_name_contains: text("%"),
                ..none()
            },
            0,
        ),
        (
            CallEventFilter {
                outbound_voice_profile: Some(profile),
                ..none()
            },
            0,
        ),
        (
            CallEventFilter {
                from_number: text("+15550100"),
                ..none()
            },
            8,
        ),
        (
            CallEventFilter {
                from_number: text("+1555010"),
                ..none()
            },
            0,
        ),
        (
            CallEventFilter {
                to_number: text("bob"),
                leg: Some(life.leg),
                ..none()
            },
            4,
        ),
        (
            CallEventFilter {
                to_number: text("a\0"),
                ..none()
            },
            0,
        ),
        (
            CallEventFilter {
                types: Some(vec![WebhookEventType::CallBridged]),
                ..none()
            },
            2,
        ),
        (
            CallEventFilter {
                failed: Some(true),
                ..none()
            },
            1,
        ),
        (
            CallEventFilter {
                failed: Some(false),
                ..none()
            },
            7,
        ),
        (
            CallEventFilter {
                occurred_from: Some(after(3)),
                ..none()
            },
            6,
        ),
        (
            CallEventFilter {
                occurred_before: Some(after(3)),
                ..none()
            },
            2,
        ),
    ] {
        assert_eq!(count(filter.clone()).await, expected, "{filter:?}");
    }
}
