"""Runs every operation with the official Python SDK. How a driver reports: see ../README.md."""

import asyncio
import base64
import json
import os
import re
import secrets
import sys
import traceback

import telnyx
from telnyx import AsyncTelnyx, Telnyx

FACTS = json.loads(os.environ["RINGTRIP_SDK_FACTS"])
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NUMERIC = r"\d{18,19}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

# Both settings come from the environment: this is all that a program of a customer's changes.
api = Telnyx()


class Made:
    """What earlier operations made and later ones use."""


made = Made()


def unique():
    return secrets.token_hex(6)


def number():
    return f"+1312{secrets.randbelow(8_000_000) + 2_000_000}"


def same(found, wanted, why=""):
    if found != wanted:
        raise AssertionError(f"{why or 'expected'} {wanted!r}, got {found!r}")


def like(found, pattern):
    if not re.fullmatch(pattern, found or ""):
        raise AssertionError(f"{found!r} is not like {pattern}")


def true(condition, why):
    if not condition:
        raise AssertionError(why)


def every(pages):
    """Collects what the SDK's auto-paging yields."""
    items = []
    for item in pages:
        items.append(item)
        true(len(items) <= 10_000, "the paging does not end")
    return items


def ids(items):
    return [item.id for item in items]


def fails(kind, status, code, call, *args, **kwargs):
    """Checks the class, the status and the first error's code; returns that error."""
    try:
        call(*args, **kwargs)
    except kind as error:
        same(error.status_code, status)
        first = error.body["errors"][0]
        same(first["code"], code, error.body)
        true(first["title"] and first["detail"], "an error has a title and a detail")
        return first
    raise AssertionError(f"expected {kind.__name__}")


def get(path, **query):
    return api.get(path, cast_to=object, options={"params": query})


def report(operation, result, detail):
    print(json.dumps({"operation": operation, "result": result, "detail": detail}), flush=True)


OPERATIONS = []


def operation(name, method, result="passed"):
    """Declares an operation. `method` is the SDK's own name for it; they run in the order of this file."""

    def declare(body):
        OPERATIONS.append((name, method, body, result))
        return body

    return declare


def generic(name, method):
    """Declares an operation that the SDK has no method for; its generic request methods run it."""
    return operation(name, method, "generic")


# The account


@generic("whoami.retrieve", "client.get")
def _():
    data = get("/whoami")["data"]
    same(data["user_id"], FACTS["user_id"])
    true(data["organization_id"] and data["email"], "who it is")


@operation("balance.retrieve", "balance.retrieve")
def _():
    data = api.balance.retrieve().data
    same(data.record_type, "balance")
    like(data.currency, "[A-Z]{3}")
    for figure in (data.balance, data.credit_limit, data.available_credit, data.pending):
        like(figure, r"-?\d+\.\d\d")


@generic("account.retrieve", "client.get")
def _():
    same(get("/account")["data"]["id"], FACTS["user_id"])


@generic("api_keys.create", "client.post")
def _():
    made.key_name = f"python {unique()}"
    made.key = api.post("/api_keys", cast_to=object, body={"name": made.key_name})["data"]
    like(made.key["api_key"], r"KEY[0-9A-F]{32}_[A-Za-z0-9]{22}")
    same(made.key["name"], made.key_name)
    other = Telnyx(api_key=made.key["api_key"])
    same(other.get("/whoami", cast_to=object)["data"]["user_id"], FACTS["user_id"])


@generic("api_keys.list", "client.get")
def _():
    (row,) = [row for row in get("/api_keys", **{"page[size]": 250})["data"] if row["id"] == made.key["id"]]
    same(row["name"], made.key_name)
    true(not row.get("api_key"), "a key is shown once")


@generic("api_keys.update", "client.patch")
def _():
    body = {"name": f"{made.key_name} renamed"}
    same(api.patch(f"/api_keys/{made.key['id']}", cast_to=object, body=body)["data"]["name"], body["name"])


@generic("api_keys.delete", "client.delete")
def _():
    api.delete(f"/api_keys/{made.key['id']}", cast_to=object)
    fails(telnyx.AuthenticationError, 401, "10009", Telnyx(api_key=made.key["api_key"]).balance.retrieve)


# Outbound voice profiles


@operation("outbound_voice_profiles.create", "outbound_voice_profiles.create")
def _():
    made.profile_name = f"python {unique()}"
    profile = api.outbound_voice_profiles.create(
        name=made.profile_name,
        whitelisted_destinations=["US", "DE"],
        concurrent_call_limit=7,
        daily_spend_limit="12.50",
        daily_spend_limit_enabled=True,
        max_destination_rate=0.25,
        tags=["a", "b"],
        calling_window={"start_time": "08:00:00.00Z", "end_time": "18:00:00.00Z", "calls_per_cld": 5},
        call_recording={
            "call_recording_type": "all",
            "call_recording_channels": "dual",
            "call_recording_format": "mp3",
        },
    ).data
    made.profile = profile
    like(profile.id, NUMERIC)
    same(profile.record_type, "outbound_voice_profile")
    same(profile.name, made.profile_name)
    same(profile.whitelisted_destinations, ["US", "DE"])
    same(profile.concurrent_call_limit, 7)
    same(profile.daily_spend_limit, "12.50")
    same(profile.daily_spend_limit_enabled, True)
    same(profile.max_destination_rate, 0.25)
    same(profile.tags, ["a", "b"])
    same(profile.calling_window.start_time, "08:00:00.00Z")
    same(profile.calling_window.calls_per_cld, 5)
    same(profile.call_recording.call_recording_type, "all")
    same(profile.call_recording.call_recording_channels, "dual")
    same((profile.traffic_type, profile.service_plan), ("conversational", "global"))
    same(profile.enabled, True)
    same(profile.connections_count, 0)
    like(profile.created_at, TIME)


@operation("outbound_voice_profiles.retrieve", "outbound_voice_profiles.retrieve")
def _():
    same(api.outbound_voice_profiles.retrieve(made.profile.id).data, made.profile)


@operation("outbound_voice_profiles.list", "outbound_voice_profiles.list")
def _():
    twin = api.outbound_voice_profiles.create(name=f"{made.profile_name} twin").data
    contains = {"name": {"contains": made.profile_name.upper()}}
    found = every(api.outbound_voice_profiles.list(filter=contains, sort="-name", page_size=1))
    same(ids(found), [twin.id, made.profile.id])
    api.outbound_voice_profiles.delete(twin.id)


@operation("outbound_voice_profiles.update", "outbound_voice_profiles.update")
def _():
    changed = api.outbound_voice_profiles.update(
        made.profile.id,
        name=f"{made.profile_name} changed",
        enabled=False,
        call_recording={"call_recording_format": "wav"},
    ).data
    same(changed.name, f"{made.profile_name} changed")
    same(changed.enabled, False)
    same(changed.call_recording.call_recording_format, "wav")
    same(changed.call_recording.call_recording_channels, "dual", "nested objects are merged")
    same(changed.whitelisted_destinations, ["US", "DE"], "what is absent stays")


# Credential connections, connections


def connection(tag, **fields):
    wanted = {"connection_name": f"python {tag}", "user_name": f"p{unique()}", "password": f"p{tag}", **fields}
    return api.credential_connections.create(**wanted).data


@operation("credential_connections.create", "credential_connections.create")
def _():
    made.connection_tag = unique()
    made.connection = connection(
        made.connection_tag,
        inbound={"codecs": ["OPUS"], "timeout_2xx_secs": 45},
        outbound={"outbound_voice_profile_id": made.profile.id},
        tags=["x"],
    )
    like(made.connection.id, NUMERIC)
    same(made.connection.record_type, "credential_connection")
    same(made.connection.password, f"p{made.connection_tag}", "a password is readable")
    same(made.connection.inbound.codecs, ["OPUS"])
    same(made.connection.inbound.timeout_2xx_secs, 45)
    same(made.connection.inbound.timeout_1xx_secs, 3)
    same(made.connection.outbound.localization, "US")
    same(made.connection.outbound.outbound_voice_profile_id, made.profile.id)
    same(made.connection.tags, ["x"])
    same(made.connection.webhook_api_version, "1")


@operation("credential_connections.retrieve", "credential_connections.retrieve")
def _():
    same(api.credential_connections.retrieve(made.connection.id).data, made.connection)


@operation("credential_connections.list", "credential_connections.list")
def _():
    twin = connection(f"{made.connection_tag} b")
    contains = {"connection_name": {"contains": made.connection_tag.upper()}}
    found = every(api.credential_connections.list(filter=contains, sort="connection_name", page_size=1))
    same(ids(found), [made.connection.id, twin.id])
    of_profile = {"outbound_voice_profile_id": made.profile.id}
    same(ids(every(api.credential_connections.list(filter=of_profile))), [made.connection.id])
    api.credential_connections.delete(twin.id)


@operation("credential_connections.update", "credential_connections.update")
def _():
    changed = api.credential_connections.update(
        made.connection.id, inbound={"dnis_number_format": "+e164"}, active=False, conversation_persistence=True
    ).data
    same(changed.inbound.codecs, ["OPUS"], "nested objects are merged")
    same(changed.inbound.timeout_2xx_secs, 45)
    same(changed.inbound.dnis_number_format, "+e164")
    same(changed.active, False)
    same(changed.conversation_persistence, True)
    same(api.credential_connections.update(made.connection.id, active=True).data.active, True)


@operation(
    "credential_connections.check_registration_status", "credential_connections.actions.check_registration_status"
)
def _():
    status = api.credential_connections.actions.check_registration_status(made.connection.id).data
    same(status.record_type, "registration_status")
    same(status.status, "Not Registered")
    same(status.sip_username, made.connection.user_name)
    same(status.last_registration, None)


@operation("connections.retrieve", "connections.retrieve")
def _():
    found = api.connections.retrieve(made.connection.id).data
    same(found.id, made.connection.id)
    same(found.record_type, "credential_connection")
    same(found.connection_name, made.connection.connection_name)
    same(found.outbound_voice_profile_id, made.profile.id, "the profile is at the top level")


@operation("connections.list", "connections.list")
def _():
    contains = {"connection_name": {"contains": made.connection_tag}}
    same(ids(every(api.connections.list(filter=contains, sort="connection_name"))), [made.connection.id])
    everything = ids(every(api.connections.list(page_size=2)))
    true(made.connection.id in everything, "one of all")
    same(len(set(everything)), len(everything), "each once:")


@operation("connections.list_active_calls", "connections.list_active_calls")
def _():
    (call,) = every(api.connections.list_active_calls(FACTS["live"]["connection_id"]))
    same(call.record_type, "call")
    like(call.call_leg_id, UUID)
    like(call.call_session_id, UUID)
    true(call.call_control_id, "a call control id")
    true(isinstance(call.call_duration, int), "seconds")
    same(every(api.connections.list_active_calls(made.connection.id)), [])


# Telephony credentials


def decode(part):
    """Reads one base64url part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@operation("telephony_credentials.create", "telephony_credentials.create")
def _():
    made.tag = f"tag {unique()} + & %"
    made.credential = api.telephony_credentials.create(
        connection_id=made.connection.id, name="Front desk", tag=made.tag
    ).data
    credential = made.credential
    like(credential.id, UUID)
    same(credential.record_type, "credential")
    same(credential.resource_id, f"connection:{made.connection.id}")
    same(credential.expired, False)
    same(credential.expires_at, None)
    like(credential.sip_username, r"gencred[A-Za-z0-9]{42}")
    like(credential.sip_password, r"[0-9a-f]{32}")
    same(credential.user_id, FACTS["user_id"])
    like(credential.created_at, TIME)
    true("tag" not in credential.to_dict(), "a tag is never returned")


@operation("telephony_credentials.retrieve", "telephony_credentials.retrieve")
def _():
    same(api.telephony_credentials.retrieve(made.credential.id).data, made.credential)


@operation("telephony_credentials.list", "telephony_credentials.list")
def _():
    for wanted in (
        {"tag": made.tag},
        {"sip_username": made.credential.sip_username},
        {"resource_id": f"connection:{made.connection.id}"},
        {"tag": made.tag, "name": "Front desk", "status": "active"},
    ):
        same(every(api.telephony_credentials.list(filter=wanted)), [made.credential], f"{wanted}:")
    same(every(api.telephony_credentials.list(filter={"tag": made.tag, "status": "expired"})), [])


@operation("telephony_credentials.update", "telephony_credentials.update")
def _():
    credentials, credential = api.telephony_credentials, made.credential
    changed = credentials.update(credential.id, name="Back office", expires_at="2099-01-02T03:04:05+02:00").data
    same(changed.name, "Back office")
    same(changed.expires_at, "2099-01-02T01:04:05.000Z", "offsets are converted to UTC:")
    same(changed.sip_password, credential.sip_password)
    same(credentials.update(credential.id).data.name, "Back office", "an empty update changes nothing:")
    other = connection(unique())
    moved = credentials.update(credential.id, connection_id=other.id).data
    same(moved.resource_id, f"connection:{other.id}")
    same(moved.sip_username, credential.sip_username)
    credentials.update(credential.id, connection_id=made.connection.id)
    api.credential_connections.delete(other.id)


@operation("telephony_credentials.create_token", "telephony_credentials.create_token")
def _():
    create_token = api.telephony_credentials.create_token
    token = create_token(made.credential.id)
    same(token, token.strip().strip('"'))
    header, payload, _ = token.split(".")
    same(decode(header), {"alg": "HS512", "typ": "JWT"})
    claims = decode(payload)
    same(list(claims), ["aud", "exp", "iat", "iss", "jti", "nbf", "sub", "tel_token", "typ"])
    same(claims["sub"], made.credential.id)
    same(claims["exp"] - claims["iat"], 86_400)
    true(token != create_token(made.credential.id), "each token is its own")
    raw = api.telephony_credentials.with_raw_response.create_token(made.credential.id).http_response
    same(raw.status_code, 201)
    true(raw.headers["content-type"].startswith("text/plain"), "a token is bare text")


@generic("telephony_credentials.deactivate", "client.post")
def _():
    path = f"/telephony_credentials/{made.credential.id}/actions/deactivate"
    same(api.post(path, cast_to=object)["data"]["id"], made.credential.id)
    try:
        api.telephony_credentials.create_token(made.credential.id)
    except telnyx.APIStatusError as error:
        true(error.status_code < 500, "a client's error")
    else:
        raise AssertionError("an inactive credential makes no token")


@generic("telephony_credentials.activate", "client.post")
def _():
    path = f"/telephony_credentials/{made.credential.id}/actions/activate"
    same(api.post(path, cast_to=object)["data"]["id"], made.credential.id)
    true(api.telephony_credentials.create_token(made.credential.id), "a token")


@generic("telephony_credentials.list_tags", "client.get")
def _():
    page = get("/telephony_credentials/tags", **{"page[size]": 250})
    same([row for row in page["data"] if row["tag"] == made.tag], [{"tag": made.tag, "amount": 1}])
    same(page["meta"]["page_number"], 1)


# Phone numbers


@generic("phone_numbers.create", "client.post")
def _():
    made.phone_number = number()
    made.number = api.post("/phone_numbers", cast_to=object, body={"phone_number": made.phone_number})["data"]
    like(made.number["id"], NUMERIC)
    same(made.number["phone_number"], made.phone_number)
    same(made.number["status"], "active")


@operation("phone_numbers.retrieve", "phone_numbers.retrieve")
def _():
    found = api.phone_numbers.retrieve(made.number["id"]).data
    same(found.record_type, "phone_number")
    same(found.phone_number, made.phone_number)
    same(found.country_iso_alpha2, "US")
    same(found.status, "active")
    same(found.tags, [])
    same(found.deletion_lock_enabled, False)
    true(found.purchased_at and found.created_at, "when it came")


@operation("phone_numbers.update", "phone_numbers.update")
def _():
    changed = api.phone_numbers.update(
        made.number["id"],
        connection_id=made.connection.id,
        tags=["desk"],
        customer_reference="ref 1",
        external_pin="1234",
    ).data
    same(changed.connection_id, made.connection.id)
    same(changed.connection_name, made.connection.connection_name)
    same(changed.tags, ["desk"])
    same(changed.customer_reference, "ref 1")
    same(changed.external_pin, "1234")
    off = api.phone_numbers.update(made.number["id"], connection_id="").data
    true(not off.connection_id, "an empty connection_id takes the number off its connection")
    api.phone_numbers.update(made.number["id"], connection_id=made.connection.id)


@operation("phone_numbers.list", "phone_numbers.list")
def _():
    digits = made.phone_number[1:]
    for wanted in (
        {"phone_number": digits},
        {"connection_id": made.connection.id},
        {"phone_number": digits, "tag": "desk", "status": "active"},
    ):
        found = every(api.phone_numbers.list(filter=wanted, sort="phone_number"))
        same(ids(found), [made.number["id"]], f"{wanted}:")


@operation("phone_numbers.voice.retrieve", "phone_numbers.voice.retrieve")
def _():
    found = api.phone_numbers.voice.retrieve(made.number["id"]).data
    same(found.record_type, "voice_settings")
    same(found.phone_number, made.phone_number)
    same(found.connection_id, made.connection.id)
    same(found.tech_prefix_enabled, False)


@operation("phone_numbers.voice.update", "phone_numbers.voice.update")
def _():
    forwards_to = number()
    voice = api.phone_numbers.voice
    changed = voice.update(
        made.number["id"],
        call_forwarding={
            "call_forwarding_enabled": True,
            "forwards_to": forwards_to,
            "forwarding_type": "on-failure",
        },
        inbound_call_screening="flag_calls",
    ).data
    same(changed.call_forwarding.forwards_to, forwards_to)
    same(changed.call_forwarding.forwarding_type, "on-failure")
    same(changed.inbound_call_screening, "flag_calls")
    after = voice.update(made.number["id"], call_forwarding={"call_forwarding_enabled": False}).data
    same(after.call_forwarding.call_forwarding_enabled, False)
    same(after.call_forwarding.forwards_to, forwards_to, "nested objects are merged:")


@operation("phone_numbers.voice.list", "phone_numbers.voice.list")
def _():
    found = every(api.phone_numbers.voice.list(filter={"phone_number": made.phone_number[1:]}))
    same(ids(found), [made.number["id"]])


@operation("phone_numbers.delete", "phone_numbers.delete")
def _():
    same(api.phone_numbers.delete(made.number["id"]).data.id, made.number["id"])
    fails(telnyx.NotFoundError, 404, "10005", api.phone_numbers.retrieve, made.number["id"])


# Mobile push credentials


@operation("mobile_push_credentials.create", "mobile_push_credentials.create")
def _():
    made.alias = f"python {unique()}"
    create, push = api.mobile_push_credentials.create, FACTS["push"]
    made.ios = create(
        create_mobile_push_credential_request={
            "type": "ios",
            "alias": made.alias,
            "certificate": push["certificate"],
            "private_key": push["private_key"],
        }
    ).data
    like(made.ios.id, UUID)
    same(made.ios.type, "ios")
    same(made.ios.alias, made.alias)
    same(made.ios.certificate, push["certificate"])
    made.android = create(
        create_mobile_push_credential_request={
            "type": "android",
            "alias": f"{made.alias} 2",
            "project_account_json_file": push["project_account_json_file"],
        }
    ).data
    same(made.android.type, "android")
    same(made.android.project_account_json_file["project_id"], push["project_account_json_file"]["project_id"])


@operation("mobile_push_credentials.retrieve", "mobile_push_credentials.retrieve")
def _():
    same(api.mobile_push_credentials.retrieve(made.ios.id).data, made.ios)


@operation("mobile_push_credentials.list", "mobile_push_credentials.list")
def _():
    same(every(api.mobile_push_credentials.list(filter={"alias": made.alias})), [made.ios])
    same(every(api.mobile_push_credentials.list(filter={"alias": made.alias, "type": "android"})), [])
    found = ids(every(api.mobile_push_credentials.list(page_size=1)))
    true({made.ios.id, made.android.id} <= set(found), "both are in the whole list")


@operation("mobile_push_credentials.delete", "mobile_push_credentials.delete")
def _():
    for credential in (made.ios, made.android):
        same(api.mobile_push_credentials.delete(credential.id), None)
        fails(telnyx.NotFoundError, 404, "10005", api.mobile_push_credentials.retrieve, credential.id)


# What happened


@operation("detail_records.list", "detail_records.list")
def _():
    ended = FACTS["ended"]
    records = every(api.detail_records.list(filter={"record_type": "webrtc", "date_range": "today"}, page_size=2))
    (record,) = [record for record in records if getattr(record, "connection_id", None) == ended["connection_id"]]
    same(record.record_type, "webrtc_detail_record")
    same(record.auth_username, ended["sip_username"])
    same(record.direction, "outbound")


@operation("call_events.list", "call_events.list")
def _():
    events = every(api.call_events.list(filter={"leg_id": FACTS["ended"]["leg_id"]}))
    true(events, "the ended call has events")
    for event in events:
        same(event.record_type, "call_event")
        same(event.call_leg_id, FACTS["ended"]["leg_id"])
    true("call.hangup" in [event.name for event in events], [event.name for event in events])


@operation("voice_sdk_call_reports.list", "voice_sdk_call_reports.list")
def _():
    reports = every(api.voice_sdk_call_reports.list(sort="desc", page_size=1))
    true(FACTS["ended"]["call_id"] in [report.call_id for report in reports], "the ended call has a report")


@operation("voice_sdk_call_reports.retrieve", "voice_sdk_call_reports.retrieve")
def _():
    reports = api.voice_sdk_call_reports.retrieve(FACTS["ended"]["call_id"])
    true(isinstance(reports, list) and reports, "a bare array")
    same(reports[0].call_id, FACTS["ended"]["call_id"])


@operation("webhook_deliveries.list", "webhook_deliveries.list")
def _():
    wanted = {"event_type": "call.hangup", "status": {"eq": "delivered"}}
    deliveries = every(api.webhook_deliveries.list(filter=wanted))
    ours = [one for one in deliveries if one.webhook.payload["connection_id"] == FACTS["ended"]["connection_id"]]
    true(ours, "the end of the call was delivered")
    made.delivery = ours[0]
    same(made.delivery.record_type, "webhook_delivery")
    same(made.delivery.webhook.event_type, "call.hangup")
    same(made.delivery.attempts[0].http.request.url, FACTS["ended"]["webhook_url"])
    same(made.delivery.attempts[0].http.response.status, 200)


@operation("webhook_deliveries.retrieve", "webhook_deliveries.retrieve")
def _():
    same(api.webhook_deliveries.retrieve(made.delivery.id).data, made.delivery)


@operation("sip_registration_status.retrieve", "sip_registration_status.list")
def _():
    status = api.sip_registration_status.list(
        credential_type="telephony_credential", username=made.credential.sip_username
    )
    same(status.registered, False)
    same(status.credential_username, made.credential.sip_username)
    same(status.connection_id, made.connection.id)
    same(status.connection_name, made.connection.connection_name)


# Trunks


@generic("trunks.create", "client.post")
def _():
    made.trunk_name = f"python {unique()}"
    body = {"name": made.trunk_name, "host": "sip.carrier.example", "transport": "udp"}
    made.trunk = api.post("/trunks", cast_to=object, body=body)["data"]
    same(made.trunk["record_type"], "trunk")
    same(made.trunk["name"], made.trunk_name)
    same(made.trunk["host"], "sip.carrier.example")


@generic("trunks.retrieve", "client.get")
def _():
    same(get(f"/trunks/{made.trunk['id']}")["data"]["name"], made.trunk_name)


@generic("trunks.list", "client.get")
def _():
    page = get("/trunks", **{"page[size]": 250})
    true(made.trunk["id"] in [row["id"] for row in page["data"]], "one of all")
    same(page["meta"]["page_number"], 1)


@generic("trunks.update", "client.patch")
def _():
    same(api.patch(f"/trunks/{made.trunk['id']}", cast_to=object, body={"priority": 7})["data"]["priority"], 7)


@generic("trunks.delete", "client.delete")
def _():
    path = f"/trunks/{made.trunk['id']}"
    same(api.delete(path, cast_to=object)["data"]["id"], made.trunk["id"])
    fails(telnyx.NotFoundError, 404, "10005", get, path)


# Whatever the resource


@operation("any.environment", "Telnyx()")
def _():
    same(api.telephony_credentials.list().meta.page_number, 1)


@operation("any.base_url", "Telnyx(base_url=…)")
def _():
    slashed = Telnyx(base_url=os.environ["TELNYX_BASE_URL"] + "/")
    same(slashed.telephony_credentials.retrieve(made.credential.id).data.id, made.credential.id)


@operation("any.auto_paging", "for … in")
def _():
    tag = unique()
    wanted = {api.telephony_credentials.create(connection_id=made.connection.id, tag=tag).data.id for _ in range(5)}
    page = api.telephony_credentials.list(filter={"tag": tag}, page_size=2)
    same((page.meta.page_number, page.meta.total_pages, page.meta.total_results), (1, 3, 5))
    found = ids(every(page))
    same(len(found), 5)
    same(set(found), wanted)

    async def asynchronous():
        async with AsyncTelnyx() as client:
            return [one.id async for one in client.telephony_credentials.list(filter={"tag": tag}, page_size=2)]

    same(asyncio.run(asynchronous()), found)


@operation("any.unauthorized", "AuthenticationError")
def _():
    stranger = Telnyx(api_key=FACTS["unknown_key"])
    fails(telnyx.AuthenticationError, 401, "10009", stranger.telephony_credentials.list)


@operation("any.unprocessable", "UnprocessableEntityError")
def _():
    kind, create = telnyx.UnprocessableEntityError, api.telephony_credentials.create
    same(fails(kind, 422, "10004", create, connection_id="")["source"]["pointer"], "/connection_id")
    same(fails(kind, 422, "10017", create, connection_id="1")["source"]["pointer"], "/connection_id")
    taken = fails(kind, 422, "10012", connection, "twin twin", user_name=made.connection.user_name)
    same(taken["source"]["pointer"], "/user_name")
    bad = fails(kind, 422, "10015", connection, "bad format", inbound={"dnis_number_format": "no"})
    same(bad["source"]["pointer"], "/inbound/dnis_number_format")


@operation("any.not_found", "NotFoundError")
def _():
    unknown = "00000000-0000-4000-8000-000000000000"
    fails(telnyx.NotFoundError, 404, "10005", api.telephony_credentials.retrieve, unknown)


# Removals


@operation("telephony_credentials.delete", "telephony_credentials.delete")
def _():
    credentials, credential = api.telephony_credentials, made.credential
    same(credentials.delete(credential.id).data.id, credential.id)
    fails(telnyx.NotFoundError, 404, "10005", credentials.retrieve, credential.id)
    fails(telnyx.NotFoundError, 404, "10005", credentials.delete, credential.id)
    fails(telnyx.NotFoundError, 404, "10005", credentials.create_token, credential.id)


@operation("credential_connections.delete", "credential_connections.delete")
def _():
    credential = api.telephony_credentials.create(connection_id=made.connection.id).data
    same(api.credential_connections.delete(made.connection.id).data.id, made.connection.id)
    fails(telnyx.NotFoundError, 404, "10005", api.credential_connections.retrieve, made.connection.id)
    fails(telnyx.NotFoundError, 404, "10005", api.telephony_credentials.retrieve, credential.id)


@operation("outbound_voice_profiles.delete", "outbound_voice_profiles.delete")
def _():
    same(api.outbound_voice_profiles.delete(made.profile.id).data.id, made.profile.id)
    fails(telnyx.NotFoundError, 404, "10005", api.outbound_voice_profiles.retrieve, made.profile.id)


def main():
    print(json.dumps({"sdk": f"telnyx {telnyx.__version__}"}), flush=True)
    for name, method, body, result in OPERATIONS:
        try:
            body()
        except Exception as error:
            traceback.print_exc()
            report(name, "failed", f"{method}: {type(error).__name__}: {error}")
        else:
            report(name, result, method)


if __name__ == "__main__":
    sys.exit(main())
