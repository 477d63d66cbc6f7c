//! Frames that are no requests.

use serde_json::{Value, json};

use crate::client::{ALICE, World, error_of};

#[test]
fn what_cannot_be_read_is_refused_without_an_id() {
    for logged_in in [false, true] {
        let mut world = World::new();
        let socket = if logged_in {
            world.log_in(ALICE).socket
        } else {
            world.open()
        };
        for text in [
            "",
            "hello",
            "{",
            "null",
            "7",
            "\"text\"",
            "[]",
            r#"[{"jsonrpc":"2.0","id":1,"method":"telnyx_rtc.ping"}]"#,
            r#"{"id":1,"id":2,"method":"telnyx_rtc.ping"}"#,
            r#"{"id":null,"method":"telnyx_rtc.ping"}"#,
            r#"{"id":{"a":1},"method":"telnyx_rtc.ping"}"#,
            r#"{"id":[1],"method":"telnyx_rtc.ping"}"#,
            r#"{"id":true,"method":"telnyx_rtc.ping"}"#,
            r#"{"id":"\ud800","method":"telnyx_rtc.ping"}"#,
            "{\"id\":1,\"method\":\"a\u{1}b\"}",
            r#"{"id":1,"method":"telnyx_rtc.ping"} trailing"#,
        ] {
            world.send_text(socket, text);
            let frame = world.frame(socket);
            assert_eq!(frame["id"], Value::Null, "{text}");
            assert_eq!(
                error_of(&frame),
                (-32600, "Invalid Request".to_owned()),
                "{text}"
            );
        }
        world.assert_silent(socket);
        assert!(world.closed.is_empty());
    }
}

#[test]
fn a_readable_id_is_kept_when_the_rest_is_wrong() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    let deep = format!(
        r#"{{"id":"deep","method":"telnyx_rtc.info","params":{}1{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for (text, id) in [
        (deep.as_str(), json!("deep")),
        (r#"{"id":7,"method":7}"#, json!(7)),
        (r#"{"id":"m","method":{"a":1}}"#, json!("m")),
    ] {
        world.send_text(alice.socket, text);
        let frame = world.frame(alice.socket);
        assert_eq!(
            (&frame["id"], &frame["error"]["code"]),
            (&id, &json!(-32600))
        );
    }
}

#[test]
fn ids_come_back_exactly_as_they_were() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for id in [
        "1",
        "-1",
        "9007199254740993",
        "123456789012345678901234567890",
        "\"\"",
        "\"uuid\"",
        r#""é\u0041""#,
    ] {
        world.endpoint.handle_frame(
            alice.socket,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"telnyx_rtc.ping"}}"#),
            world.now,
        );
        let Some(ringtrip_verto::Output::Send { frame, .. }) = world.endpoint.poll_output() else {
            panic!("{id}")
        };
        assert!(frame.contains(&format!(r#""id":{id},"#)), "{frame}");
    }
}

#[test]
fn wrong_types_inside_of_call_messages_are_errors_and_nothing_more() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    world.call_out(alice, "a");
    for method in ["invite", "answer", "bye", "modify", "info", "attach"] {
        for params in [
            json!(null),
            json!(1),
            json!("x"),
            json!([]),
            json!([1, 2, 3, 4, 5, 6, 7]),
            json!({"dialogParams": "x"}),
            json!({"dialogParams": ["a", "a", "a"]}),
            json!({"dialogParams": {"callID": {"x": 1}}}),
            json!({"callID": 1}),
        ] {
            let (code, _) = world.refused(
                alice.socket,
                &format!("telnyx_rtc.{method}"),
                params.clone(),
            );
            assert!(
                code == -32600 || code == -32002,
                "{method} {params}: {code}"
            );
        }
    }
    world.assert_no_events();
}

#[test]
fn responses_of_the_client_are_taken_silently() {
    let mut world = World::new();
    let alice = world.log_in(ALICE);
    for text in [
        r#"{"jsonrpc":"2.0","id":1000001,"result":{"method":"telnyx_rtc.invite"}}"#,
        r#"{"jsonrpc":"2.0","id":1000002,"error":{"code":-1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":"x","result":null}"#,
        r#"{"id":3,"method":"telnyx_rtc.bye","result":{}}"#,
    ] {
        world.send_text(alice.socket, text);
    }
    world.assert_silent(alice.socket);
}
