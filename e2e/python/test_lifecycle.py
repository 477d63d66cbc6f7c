"""The whole life of a credential, a token and a connection with the official Python SDK."""

import base64
import json
import os
import secrets
import subprocess
import sys
import unittest

import telnyx
from telnyx import Telnyx

SUMMARY = json.loads(os.environ["RINGTRIP_E2E"])["summary"]
ACCOUNTS = SUMMARY["accounts"]

UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def client(account=0, **options):
    """Returns an SDK client for one of the two tenants."""
    return Telnyx(api_key=ACCOUNTS[account]["api_key"], base_url=SUMMARY["api_base"], **options)


def unique():
    return secrets.token_hex(6)


class Lifecycle(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.api = client()

    def connection(self, api=None, **fields):
        tag = unique()
        wanted = {"connection_name": f"e2e {tag}", "user_name": f"p{tag}", "password": secrets.token_hex(12), **fields}
        return (api or self.api).credential_connections.create(**wanted).data

    def credential(self, connection=None, **fields):
        connection = connection or self.connection()
        return self.api.telephony_credentials.create(connection_id=connection.id, **fields).data

    def fails(self, kind, status, code, call, *args, **kwargs):
        """Checks the class, the status and the first error's code; returns that error."""
        with self.assertRaises(kind) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.status_code, status)
        first = caught.exception.body["errors"][0]
        self.assertEqual(first["code"], code, caught.exception.body)
        self.assertTrue(first["title"])
        self.assertTrue(first["detail"])
        return first

    def test_credential_from_creation_to_deletion(self):
        connection = self.connection()
        tag = f"tag {unique()} + & %"
        made = self.credential(connection, name="Front desk", tag=tag)
        self.assertRegex(made.id, UUID)
        self.assertEqual(made.record_type, "credential")
        self.assertEqual(made.resource_id, f"connection:{connection.id}")
        self.assertIs(made.expired, False)
        self.assertIsNone(made.expires_at)
        self.assertRegex(made.sip_username, r"^gencred[A-Za-z0-9]{42}$")
        self.assertRegex(made.sip_password, r"^[0-9a-f]{32}$")
        self.assertEqual(made.user_id, ACCOUNTS[0]["user_id"])
        self.assertRegex(made.created_at, TIME)
        self.assertNotIn("tag", made.to_dict())

        credentials = self.api.telephony_credentials
        self.assertEqual(credentials.retrieve(made.id).data, made)
        self.assertEqual(list(credentials.list(filter={"tag": tag})), [made])

        changed = credentials.update(made.id, name="Back office").data
        self.assertEqual(changed.name, "Back office")
        self.assertEqual(changed.sip_password, made.sip_password)
        self.assertEqual(credentials.update(made.id).data.name, "Back office")

        other = self.connection()
        moved = credentials.update(made.id, connection_id=other.id).data
        self.assertEqual(moved.resource_id, f"connection:{other.id}")
        self.assertEqual(moved.sip_username, made.sip_username)

        self.assertEqual(credentials.delete(made.id).data.id, made.id)
        self.fails(telnyx.NotFoundError, 404, "10005", credentials.retrieve, made.id)
        self.fails(telnyx.NotFoundError, 404, "10005", credentials.delete, made.id)
        self.fails(telnyx.NotFoundError, 404, "10005", credentials.create_token, made.id)

    def test_token_is_bare_text_for_one_credential(self):
        made = self.credential()
        token = self.api.telephony_credentials.create_token(made.id)
        self.assertIsInstance(token, str)
        self.assertEqual(token, token.strip().strip('"'))
        header, payload, _ = token.split(".")
        self.assertEqual(decode(header), {"alg": "HS512", "typ": "JWT"})
        claims = decode(payload)
        self.assertEqual(list(claims), ["aud", "exp", "iat", "iss", "jti", "nbf", "sub", "tel_token", "typ"])
        self.assertEqual(claims["sub"], made.id)
        self.assertEqual(claims["exp"] - claims["iat"], 86_400)
        self.assertNotEqual(token, self.api.telephony_credentials.create_token(made.id), "each token is its own")

    def test_token_ends_with_its_credential(self):
        made = self.credential(expires_at="2099-01-01T00:00:00Z")
        self.assertEqual(made.expires_at, "2099-01-01T00:00:00.000Z")
        raw = self.api.telephony_credentials.with_raw_response.create_token(made.id)
        self.assertEqual(raw.http_response.status_code, 201)
        self.assertTrue(raw.http_response.headers["content-type"].startswith("text/plain"))

    def test_lists_page_by_themselves(self):
        tag = unique()
        connection = self.connection()
        made = {self.credential(connection, tag=tag).id for _ in range(5)}
        page = self.api.telephony_credentials.list(filter={"tag": tag}, page_size=2)
        self.assertEqual(page.meta.total_pages, 3)
        self.assertEqual(page.meta.page_number, 1)
        found = [credential.id for credential in page]
        self.assertEqual(len(found), 5)
        self.assertEqual(set(found), made)
        by_resource = self.api.telephony_credentials.list(filter={"resource_id": f"connection:{connection.id}"})
        self.assertEqual({credential.id for credential in by_resource}, made)

    def test_connection_from_creation_to_deletion(self):
        connections = self.api.credential_connections
        made = self.connection(inbound={"codecs": ["OPUS"], "timeout_2xx_secs": 45}, tags=["x"])
        self.assertRegex(made.id, r"^\d{18,19}$")
        self.assertEqual(made.record_type, "credential_connection")
        self.assertEqual(made.inbound.codecs, ["OPUS"])
        self.assertEqual(made.outbound.localization, "US")
        self.assertEqual(connections.retrieve(made.id).data, made)

        changed = connections.update(made.id, inbound={"dnis_number_format": "+e164"}, active=False).data
        self.assertEqual(changed.inbound.codecs, ["OPUS"])
        self.assertEqual(changed.inbound.timeout_2xx_secs, 45)
        self.assertEqual(changed.inbound.dnis_number_format, "+e164")
        self.assertIs(changed.active, False)

        named = connections.list(filter={"connection_name": {"contains": made.connection_name}})
        self.assertEqual([connection.id for connection in named], [made.id])

        self.assertEqual(connections.delete(made.id).data.id, made.id)
        self.fails(telnyx.NotFoundError, 404, "10005", connections.retrieve, made.id)

    def test_errors_are_the_documented_classes(self):
        stranger = Telnyx(api_key="KEY" + "0" * 32 + "_" + "0" * 22, base_url=SUMMARY["api_base"])
        self.fails(telnyx.AuthenticationError, 401, "10009", stranger.telephony_credentials.list)
        create = self.api.telephony_credentials.create
        blank = self.fails(telnyx.UnprocessableEntityError, 422, "10004", create, connection_id="")
        self.assertEqual(blank["source"]["pointer"], "/connection_id")
        unknown = self.fails(telnyx.UnprocessableEntityError, 422, "10017", create, connection_id="1")
        self.assertEqual(unknown["source"]["pointer"], "/connection_id")
        twin = self.connection()
        taken = self.fails(telnyx.UnprocessableEntityError, 422, "10012", self.connection, user_name=twin.user_name)
        self.assertEqual(taken["source"]["pointer"], "/user_name")
        bad = self.fails(telnyx.UnprocessableEntityError, 422, "10015", self.connection, inbound={"dnis_number_format": "no"})
        self.assertEqual(bad["source"]["pointer"], "/inbound/dnis_number_format")

    def test_tenants_do_not_see_each_other(self):
        made = self.credential()
        others = client(1)
        self.fails(telnyx.NotFoundError, 404, "10005", others.telephony_credentials.retrieve, made.id)
        self.fails(telnyx.NotFoundError, 404, "10005", others.telephony_credentials.delete, made.id)
        self.assertEqual(list(others.telephony_credentials.list(filter={"sip_username": made.sip_username})), [])

    def test_settings_from_the_environment_are_enough(self):
        script = "import telnyx; print(telnyx.Telnyx().telephony_credentials.list().meta.page_number)"
        env = {**os.environ, "TELNYX_API_KEY": ACCOUNTS[0]["api_key"], "TELNYX_BASE_URL": SUMMARY["api_base"]}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "1"), done.stderr)


def decode(part):
    """Reads one base64url part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


if __name__ == "__main__":
    unittest.main()
