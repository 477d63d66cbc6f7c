"""Makes a connection, a credential and a token as a customer's backend would; prints them as one line of JSON."""

import json
import os
import secrets

from telnyx import Telnyx

summary = json.loads(os.environ["RINGTRIP_E2E"])["summary"]
api = Telnyx(api_key=summary["accounts"][0]["api_key"], base_url=summary["api_base"])
name = f"b{secrets.token_hex(6)}"
connection = api.credential_connections.create(connection_name=name, user_name=name, password=secrets.token_hex(12)).data
credential = api.telephony_credentials.create(connection_id=connection.id).data
token = api.telephony_credentials.create_token(credential.id)
print(json.dumps({"address": credential.sip_username, "token": token}))
