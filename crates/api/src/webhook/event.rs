//! How an event is told: the payloads of `call.initiated`, `call.answered`, `call.bridged` and
//! `call.hangup`, and the envelope they travel in.

use ringtrip_model::{CredentialConnection, Direction, HangupCause, HangupSource, LegQuality};
use ringtrip_store::{LegBeginning, ToldEvent, ToldStep, WebhookContent};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Makes the payload of an event: what all of them have, then what its type has. The connection gives its
/// tags and codecs, unless it is gone.
pub fn payload(
    event: &ToldEvent,
    begun: Option<&LegBeginning>,
    connection: Option<&CredentialConnection>,
    quality: Option<&LegQuality>,
) -> Map<String, Value> {
    let own = match event.step {
        ToldStep::Initiated => initiated(begun, connection),
        ToldStep::Answered => json!({ "state": "answered" }),
        ToldStep::Bridged => json!({}),
        ToldStep::Hangup { cause, source } => json!({
            "state": "hangup",
            "hangup_cause": hangup_cause(cause, source),
            "hangup_source": hangup_source(source),
            "sip_hangup_cause": cause.sip_status().to_string(),
            "call_quality_stats": quality.map(call_quality_stats),
        }),
    };
    let common = json!({
        "call_control_id": event.leg.call_control_id(),
        "connection_id": event.connection.to_string(),
        "call_leg_id": event.leg.to_string(),
        "call_session_id": event.call.to_string(),
        "client_state": begun.and_then(|begun| begun.client_state.as_deref()),
        "from": begun.map(|begun| begun.caller.number.as_str()),
        "to": begun.map(|begun| begun.to.as_str()),
        "start_time": begun.map(|begun| begun.started_at.to_precise()),
        "tags": connection.map_or(&[][..], |connection| &connection.settings.tags),
    });
    let (Value::Object(mut payload), Value::Object(own)) = (common, own) else {
        unreachable!("both are written as objects above");
    };
    payload.extend(own);
    payload
}

fn initiated(begun: Option<&LegBeginning>, connection: Option<&CredentialConnection>) -> Value {
    let direction = begun.map(|begun| match begun.direction {
        Direction::Outbound => "outgoing",
        Direction::Inbound => "incoming",
    });
    let headers = begun.map_or(&[][..], |begun| &begun.custom_headers);
    let headers: Vec<Value> = headers
        .iter()
        .map(|header| json!({ "name": header.name, "value": header.value }))
        .collect();
    let offered = begun.and_then(|begun| begun.offered.as_ref());
    json!({
        "direction": direction,
        "state": "bridging",
        "caller_id_name": begun.map(|begun| begun.caller.name.as_str()),
        "connection_codecs": connection.map(|connection| connection.settings.inbound.codecs.join(",")),
        "offered_codecs": offered.map(|offered| offered.join(",")),
        "custom_headers": headers,
        "sip_headers": [],
        // There is no carrier between us and the party that could attest or screen anything.
        "shaken_stir_attestation": null,
        "shaken_stir_validated": null,
        "call_screening_result": null,
    })
}

/// Says why a leg ended in the few words that Telnyx has for it.
fn hangup_cause(cause: HangupCause, source: HangupSource) -> &'static str {
    match (cause, source) {
        // Only the longest duration of a call ends an answered one without anybody's doing.
        (HangupCause::NormalClearing, HangupSource::Server) => "time_limit",
        (HangupCause::NormalClearing, HangupSource::Caller | HangupSource::Callee) => {
            "normal_clearing"
        }
        (
            HangupCause::UnallocatedNumber
            | HangupCause::NoRouteDestination
            | HangupCause::SubscriberAbsent
            | HangupCause::InvalidNumberFormat,
            _,
        ) => "not_found",
        (HangupCause::UserBusy, _) => "user_busy",
        (HangupCause::NoAnswer, _) => "no_answer",
        (HangupCause::NoUserResponse | HangupCause::RecoveryOnTimerExpire, _) => "timeout",
        (HangupCause::CallRejected | HangupCause::BearerCapabilityNotAuth, _) => "call_rejected",
        (HangupCause::OriginatorCancel | HangupCause::LoseRace, _) => "originator_cancel",
        (
            HangupCause::DestinationOutOfOrder
            | HangupCause::NormalTemporaryFailure
            | HangupCause::SwitchCongestion
            | HangupCause::IncompatibleDestination,
            _,
        ) => "unspecified",
    }
}

const fn hangup_source(source: HangupSource) -> &'static str {
    match source {
        HangupSource::Caller => "caller",
        HangupSource::Callee => "callee",
        HangupSource::Server => "unknown",
    }
}

/// Tells what was measured; *inbound* is from the party to us. Numbers are texts, as Telnyx has them.
fn call_quality_stats(quality: &LegQuality) -> Value {
    let mut inbound = json!({
        "packet_count": quality.packets_received.to_string(),
        "skip_packet_count": quality.packets_lost.to_string(),
        "jitter_packet_count": quality.packets_received.to_string(),
        "jitter_max_variance": format!("{:.2}", f64::from(quality.jitter_us) / 1000.0),
    });
    if let Some(score) = mean_opinion_score(quality) {
        inbound["mos"] = format!("{score:.2}").into();
    }
    json!({
        "inbound": inbound,
        "outbound": {
            "packet_count": quality.packets_sent.to_string(),
            "skip_packet_count": quality.packets_lost_remote.to_string(),
        },
    })
}

/// Estimates how well the party was heard, 1 to 4.41, by the E-model (ITU-T G.107) with its default values: delay
/// as half the round trip and a buffer of twice the jitter, loss as for G.711 with concealment (G.113, Bpl
/// 25.1). Nothing if nothing was received.
fn mean_opinion_score(quality: &LegQuality) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of packets needs no more than 53 bits"
    )]
    let (received, lost) = (quality.packets_received as f64, quality.packets_lost as f64);
    if received == 0.0 {
        return None;
    }
    let round_trip_ms = f64::from(quality.round_trip_us.unwrap_or(0)) / 1000.0;
    let delay_ms = round_trip_ms / 2.0 + 2.0 * f64::from(quality.jitter_us) / 1000.0;
    let delay = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
    let loss_percent = 100.0 * lost / (received + lost);
    let loss = 95.0 * loss_percent / (loss_percent + 25.1);
    let rating = (93.2 - delay - loss).clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7.0e-6;
    Some(score.clamp(1.0, 4.5))
}

/// Makes the body of a request: the event in the envelope of webhook format 2. Byte for byte what is
/// signed.
///
/// # Errors
/// Fails if the payload is not JSON, which what [`payload`] made always is.
pub fn body(
    content: &WebhookContent,
    attempt: u32,
    delivered_to: &str,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        data: Data<'a>,
        meta: Meta<'a>,
    }
    #[derive(Serialize)]
    struct Data<'a> {
        event_type: &'static str,
        id: String,
        occurred_at: String,
        payload: &'a RawValue,
        record_type: &'static str,
    }
    #[derive(Serialize)]
    struct Meta<'a> {
        attempt: u32,
        delivered_to: &'a str,
    }
    let payload = serde_json::from_str(&content.payload)?;
    serde_json::to_vec(&Body {
        data: Data {
            event_type: content.event_type.name(),
            id: content.event.to_string(),
            occurred_at: content.occurred_at.to_precise(),
            payload,
            record_type: "event",
        },
        meta: Meta {
            attempt,
            delivered_to,
        },
    })
}

#[cfg(test)]
mod tests {
    use ringtrip_model::{
        AccountId, CallId, CallerId, ConnectionSettings, CustomHeader, Generator, LegId,
        NewCredentialConnection, Timestamp, WebhookEventId, WebhookEventType,
    };

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_795_253_400_123_456);

    fn connection() -> CredentialConnection {
        let mut rng = Generator::from_seed([3; 32]);
        let settings = ConnectionSettings {
            tags: vec!["vip".to_owned()],
            ..ConnectionSettings::default()
        };
        let account = AccountId::generate(&mut rng);
        NewCredentialConnection::new(
            account,
            "main",
            "alice",
            "correct horse",
            settings,
            AT,
            &mut rng,
        )
        .unwrap()
        .into_connection()
    }

    fn event(connection: &CredentialConnection, step: ToldStep) -> ToldEvent {
        let mut rng = Generator::from_seed([4; 32]);
        ToldEvent {
            id: 9,
            account: connection.account,
            connection: connection.id,
            call: CallId::generate(&mut rng),
            leg: LegId::generate(&mut rng),
            occurred_at: AT,
            step,
        }
    }

    fn beginning() -> LegBeginning {
        LegBeginning {
            started_at: AT,
            direction: Direction::Inbound,
            caller: CallerId {
                name: "Alice".to_owned(),
                number: "+15550100".to_owned(),
            },
            to: "gencredbob".to_owned(),
            offered: Some(vec!["opus".to_owned(), "PCMU".to_owned()]),
            custom_headers: vec![CustomHeader {
                name: "X-Order".to_owned(),
                value: "17".to_owned(),
            }],
            client_state: None,
        }
    }

    #[test]
    fn every_payload_names_the_leg_and_who_calls_whom() {
        let connection = connection();
        let hangup = ToldStep::Hangup {
            cause: HangupCause::UserBusy,
            source: HangupSource::Callee,
        };
        for step in [
            ToldStep::Initiated,
            ToldStep::Answered,
            ToldStep::Bridged,
            hangup,
        ] {
            let event = event(&connection, step);
            let payload = payload(&event, Some(&beginning()), Some(&connection), None);
            assert_eq!(payload["call_control_id"], format!("v3:{}", event.leg));
            assert_eq!(payload["call_leg_id"], event.leg.to_string());
            assert_eq!(payload["call_session_id"], event.call.to_string());
            assert_eq!(payload["connection_id"], connection.id.to_string());
            assert_eq!(payload["client_state"], Value::Null);
            assert_eq!(payload["from"], "+15550100");
            assert_eq!(payload["to"], "gencredbob");
            assert_eq!(payload["start_time"], "2026-11-21T09:30:00.123456Z");
            assert_eq!(payload["tags"], json!(["vip"]));
        }
    }

    #[test]
    fn a_beginning_tells_direction_codecs_and_headers() {
        let connection = connection();
        let event = event(&connection, ToldStep::Initiated);
        let payload = payload(&event, Some(&beginning()), Some(&connection), None);
        assert_eq!(payload["direction"], "incoming");
        assert_eq!(payload["state"], "bridging");
        assert_eq!(payload["caller_id_name"], "Alice");
        assert_eq!(
            payload["connection_codecs"],
            "G722,G711U,G711A,G729,OPUS,H.264"
        );
        assert_eq!(payload["offered_codecs"], "opus,PCMU");
        assert_eq!(
            payload["custom_headers"],
            json!([{"name": "X-Order", "value": "17"}])
        );
        for absent in [
            "shaken_stir_attestation",
            "shaken_stir_validated",
            "call_screening_result",
        ] {
            assert_eq!(payload[absent], Value::Null);
        }
    }

    #[test]
    fn an_end_tells_why_through_whom_and_how_it_sounded() {
        let connection = connection();
        let quality = LegQuality {
            packets_sent: 100,
            packets_received: 200,
            packets_lost: 3,
            packets_lost_remote: 4,
            jitter_us: 1_500,
            round_trip_us: Some(40_000),
            ..LegQuality::default()
        };
        let step = ToldStep::Hangup {
            cause: HangupCause::NormalClearing,
            source: HangupSource::Caller,
        };
        let event = event(&connection, step);
        let payload = payload(
            &event,
            Some(&beginning()),
            Some(&connection),
            Some(&quality),
        );
        assert_eq!(payload["hangup_cause"], "normal_clearing");
        assert_eq!(payload["hangup_source"], "caller");
        assert_eq!(payload["sip_hangup_cause"], "200");
        let stats = &payload["call_quality_stats"];
        assert_eq!(stats["inbound"]["packet_count"], "200");
        assert_eq!(stats["inbound"]["skip_packet_count"], "3");
        assert_eq!(stats["inbound"]["jitter_max_variance"], "1.50");
        assert_eq!(stats["outbound"]["packet_count"], "100");
        assert_eq!(stats["outbound"]["skip_packet_count"], "4");
        let score: f64 = stats["inbound"]["mos"].as_str().unwrap().parse().unwrap();
        assert!((4.1..4.41).contains(&score), "{score}");
    }

    #[test]
    fn loss_and_delay_lower_the_score() {
        let quality = |lost, round_trip_us| LegQuality {
            packets_received: 1000 - lost,
            packets_lost: lost,
            round_trip_us: Some(round_trip_us),
            ..LegQuality::default()
        };
        let scores = [(0, 0), (20, 0), (20, 400_000), (200, 900_000), (1000, 0)]
            .map(|(lost, delay)| mean_opinion_score(&quality(lost, delay)));
        for pair in scores.windows(2) {
            assert!(pair[0] > pair[1], "{scores:?}");
        }
        assert_eq!(scores[4], None, "nothing was heard at all");
    }

    #[test]
    fn every_cause_has_a_word_of_telnyx() {
        let words = [
            "call_rejected",
            "normal_clearing",
            "originator_cancel",
            "timeout",
            "time_limit",
            "user_busy",
            "not_found",
            "no_answer",
            "unspecified",
        ];
        for cause in HangupCause::ALL {
            for source in [
                HangupSource::Caller,
                HangupSource::Callee,
                HangupSource::Server,
            ] {
                assert!(words.contains(&hangup_cause(cause, source)), "{cause:?}");
            }
        }
    }

    #[test]
    fn the_envelope_is_that_of_format_2() {
        let content = WebhookContent {
            event: WebhookEventId::generate(&mut Generator::from_seed([5; 32])),
            event_type: WebhookEventType::CallHangup,
            occurred_at: AT,
            payload: "{\"from\":\"é\"}".to_owned(),
        };
        let body = body(&content, 2, "https://example.org/hooks").unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "data": {
                    "record_type": "event",
                    "event_type": "call.hangup",
                    "id": content.event.to_string(),
                    "occurred_at": "2026-11-21T09:30:00.123456Z",
                    "payload": {"from": "é"},
                },
                "meta": {"attempt": 2, "delivered_to": "https://example.org/hooks"},
            })
        );
    }
}
