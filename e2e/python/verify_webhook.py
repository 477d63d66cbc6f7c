"""Verifies a webhook with the official SDK: reads {body, headers, public_key} from standard input, prints one line of
JSON: the event's id, type and class, or why it was refused."""

import json
import os
import sys

from telnyx import Telnyx

given = json.load(sys.stdin)
os.environ["TELNYX_PUBLIC_KEY"] = given["public_key"]
client = Telnyx(api_key="unused")
try:
    event = client.webhooks.unwrap(given["body"], headers=given["headers"])
except ValueError as refusal:
    print(json.dumps({"refused": str(refusal)}))
else:
    data = event.data
    print(json.dumps({"id": data.id, "event_type": data.event_type, "call_leg_id": data.payload.call_leg_id}))
