-- Times are microseconds since 1970. Text in a *_folded column is lower case, folded by the program.
-- A sealed value stands beside the id of the key that sealed it.

CREATE TABLE encryption_keys (
    id    TEXT PRIMARY KEY NOT NULL,
    proof BLOB NOT NULL
);

CREATE TABLE signing_keys (
    generation        BIGINT PRIMARY KEY NOT NULL,
    id                TEXT NOT NULL UNIQUE,
    secret            BLOB NOT NULL,
    encryption_key_id TEXT NOT NULL,
    retired           BOOLEAN NOT NULL
);

CREATE TABLE accounts (
    id                          TEXT PRIMARY KEY NOT NULL,
    email                       TEXT NOT NULL,
    email_folded                TEXT NOT NULL UNIQUE,
    organization_name           TEXT NOT NULL,
    credential_connection_count BIGINT NOT NULL DEFAULT 0,
    telephony_credential_count  BIGINT NOT NULL DEFAULT 0,
    call_report_bytes           BIGINT NOT NULL DEFAULT 0,
    created_at                  BIGINT NOT NULL,
    updated_at                  BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id          TEXT PRIMARY KEY NOT NULL,
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    name        TEXT NOT NULL,
    lookup      TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL,
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);

CREATE INDEX api_keys_by_account ON api_keys (account_id, created_at);

CREATE TABLE credential_connections (
    id                        BIGINT PRIMARY KEY NOT NULL,
    account_id                TEXT NOT NULL REFERENCES accounts (id),
    connection_name           TEXT NOT NULL,
    connection_name_folded    TEXT NOT NULL,
    user_name                 TEXT NOT NULL,
    user_name_folded          TEXT NOT NULL UNIQUE,
    password                  BLOB NOT NULL,
    encryption_key_id         TEXT NOT NULL,
    active                    BOOLEAN NOT NULL,
    outbound_voice_profile_id BIGINT,
    settings                  TEXT NOT NULL,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL
);

CREATE INDEX credential_connections_by_account ON credential_connections (account_id, created_at, id);

CREATE TABLE telephony_credentials (
    id                  TEXT PRIMARY KEY NOT NULL,
    account_id          TEXT NOT NULL REFERENCES accounts (id),
    connection_id       BIGINT NOT NULL REFERENCES credential_connections (id),
    name                TEXT NOT NULL,
    tag                 TEXT,
    sip_username        TEXT NOT NULL,
    sip_username_folded TEXT NOT NULL UNIQUE,
    sip_password        BLOB NOT NULL,
    encryption_key_id   TEXT NOT NULL,
    expires_at          BIGINT,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL
);

CREATE INDEX telephony_credentials_by_account ON telephony_credentials (account_id, created_at, id);
CREATE INDEX telephony_credentials_by_name ON telephony_credentials (account_id, name);
CREATE INDEX telephony_credentials_by_tag ON telephony_credentials (account_id, tag) WHERE tag IS NOT NULL;
CREATE INDEX telephony_credentials_by_connection ON telephony_credentials (connection_id);
CREATE INDEX telephony_credentials_by_end ON telephony_credentials (expires_at) WHERE expires_at IS NOT NULL;

-- What of an account is counted is counted here, so that no statement can forget it.
CREATE TRIGGER credential_connections_added AFTER INSERT ON credential_connections BEGIN
    UPDATE accounts SET credential_connection_count = credential_connection_count + 1
    WHERE id = NEW.account_id;
END;

CREATE TRIGGER credential_connections_deleted AFTER DELETE ON credential_connections BEGIN
    UPDATE accounts SET credential_connection_count = credential_connection_count - 1
    WHERE id = OLD.account_id;
END;

CREATE TRIGGER telephony_credentials_added AFTER INSERT ON telephony_credentials BEGIN
    UPDATE accounts SET telephony_credential_count = telephony_credential_count + 1
    WHERE id = NEW.account_id;
END;

CREATE TRIGGER telephony_credentials_deleted AFTER DELETE ON telephony_credentials BEGIN
    UPDATE accounts SET telephony_credential_count = telephony_credential_count - 1
    WHERE id = OLD.account_id;
END;

-- One row for each ended leg; what a row names may be gone meanwhile, so nothing is referenced.
CREATE TABLE call_records (
    leg_id           TEXT PRIMARY KEY NOT NULL,
    call_id          TEXT NOT NULL,
    node_id          BIGINT NOT NULL,
    account_id       TEXT NOT NULL,
    connection_id    BIGINT NOT NULL,
    credential_id    TEXT,
    user_name        TEXT NOT NULL,
    protocol_call_id TEXT NOT NULL,
    direction        TEXT NOT NULL,
    caller_name      TEXT NOT NULL,
    caller_number    TEXT NOT NULL,
    destination      TEXT NOT NULL,
    started_at       BIGINT NOT NULL,
    answered_at      BIGINT,
    ended_at         BIGINT NOT NULL,
    cause            TEXT NOT NULL,
    hangup_source    TEXT NOT NULL,
    audio_codec      TEXT,
    video_codec      TEXT,
    quality          TEXT
);

CREATE INDEX call_records_by_account ON call_records (account_id, started_at, leg_id);
CREATE INDEX call_records_by_call ON call_records (call_id);

-- The id orders events as they were written; a reader resumes after the last one it saw. An event is
-- without an owner only if the events that tell whose leg it is were dropped under load.
CREATE TABLE call_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT,
    call_id    TEXT NOT NULL,
    seq        BIGINT NOT NULL,
    leg_id     TEXT,
    occurred_at BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    detail     TEXT NOT NULL,
    UNIQUE (call_id, seq)
);

CREATE INDEX call_events_by_account ON call_events (account_id, id);
CREATE INDEX call_events_by_age ON call_events (occurred_at);
CREATE INDEX call_events_by_leg ON call_events (leg_id) WHERE kind = 'initiated';

-- A segment's size is that of its body; a small one counts as a kibibyte, for the rest of its row.
CREATE TABLE call_reports (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id     TEXT NOT NULL,
    call_report_id TEXT NOT NULL,
    call_id        TEXT NOT NULL,
    segment        BIGINT NOT NULL,
    voice_sdk_id   TEXT NOT NULL,
    size_bytes     BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    body           TEXT NOT NULL,
    UNIQUE (account_id, call_id, segment)
);

CREATE INDEX call_reports_by_report_id ON call_reports (account_id, call_report_id, size_bytes);
CREATE INDEX call_reports_by_age ON call_reports (created_at, id, size_bytes);

CREATE TRIGGER call_reports_added AFTER INSERT ON call_reports BEGIN
    UPDATE accounts SET call_report_bytes = call_report_bytes + NEW.size_bytes
    WHERE id = NEW.account_id;
END;

CREATE TRIGGER call_reports_deleted AFTER DELETE ON call_reports BEGIN
    UPDATE accounts SET call_report_bytes = call_report_bytes - OLD.size_bytes
    WHERE id = OLD.account_id;
END;
