-- Times are microseconds since 1970. Text in a *_folded column is lower case, folded by the program.
-- A sealed value stands beside the id of the key that sealed it.

CREATE TABLE encryption_keys (
    id    TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    proof BYTEA NOT NULL
);

CREATE TABLE signing_keys (
    generation        BIGINT PRIMARY KEY NOT NULL,
    id                TEXT COLLATE "C" NOT NULL UNIQUE,
    secret            BYTEA NOT NULL,
    encryption_key_id TEXT COLLATE "C" NOT NULL,
    retired           BOOLEAN NOT NULL
);

CREATE TABLE accounts (
    id                          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    email                       TEXT COLLATE "C" NOT NULL,
    email_folded                TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_name           TEXT COLLATE "C" NOT NULL,
    credential_connection_count BIGINT NOT NULL DEFAULT 0,
    telephony_credential_count  BIGINT NOT NULL DEFAULT 0,
    call_report_bytes           BIGINT NOT NULL DEFAULT 0,
    created_at                  BIGINT NOT NULL,
    updated_at                  BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name        TEXT COLLATE "C" NOT NULL,
    lookup      TEXT COLLATE "C" NOT NULL UNIQUE,
    secret_hash BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);

CREATE INDEX api_keys_by_account ON api_keys (account_id, created_at);

CREATE TABLE credential_connections (
    id                        BIGINT PRIMARY KEY NOT NULL,
    account_id                TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    connection_name           TEXT COLLATE "C" NOT NULL,
    connection_name_folded    TEXT COLLATE "C" NOT NULL,
    user_name                 TEXT COLLATE "C" NOT NULL,
    user_name_folded          TEXT COLLATE "C" NOT NULL UNIQUE,
    password                  BYTEA NOT NULL,
    encryption_key_id         TEXT COLLATE "C" NOT NULL,
    active                    BOOLEAN NOT NULL,
    outbound_voice_profile_id BIGINT,
    settings                  TEXT COLLATE "C" NOT NULL,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL
);

CREATE INDEX credential_connections_by_account ON credential_connections (account_id, created_at, id);

CREATE TABLE telephony_credentials (
    id                  TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id          TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    connection_id       BIGINT NOT NULL REFERENCES credential_connections (id),
    name                TEXT COLLATE "C" NOT NULL,
    tag                 TEXT COLLATE "C",
    sip_username        TEXT COLLATE "C" NOT NULL,
    sip_username_folded TEXT COLLATE "C" NOT NULL UNIQUE,
    sip_password        BYTEA NOT NULL,
    encryption_key_id   TEXT COLLATE "C" NOT NULL,
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
CREATE FUNCTION credential_connections_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET credential_connection_count = credential_connection_count + 1
    WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_connections_added AFTER INSERT ON credential_connections FOR EACH ROW EXECUTE FUNCTION credential_connections_added();

CREATE FUNCTION credential_connections_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET credential_connection_count = credential_connection_count - 1
    WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_connections_deleted AFTER DELETE ON credential_connections FOR EACH ROW EXECUTE FUNCTION credential_connections_deleted();

CREATE FUNCTION telephony_credentials_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET telephony_credential_count = telephony_credential_count + 1
    WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER telephony_credentials_added AFTER INSERT ON telephony_credentials FOR EACH ROW EXECUTE FUNCTION telephony_credentials_added();

CREATE FUNCTION telephony_credentials_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET telephony_credential_count = telephony_credential_count - 1
    WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER telephony_credentials_deleted AFTER DELETE ON telephony_credentials FOR EACH ROW EXECUTE FUNCTION telephony_credentials_deleted();

-- One row for each ended leg; what a row names may be gone meanwhile, so nothing is referenced.
CREATE TABLE call_records (
    leg_id           TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    call_id          TEXT COLLATE "C" NOT NULL,
    node_id          BIGINT NOT NULL,
    account_id       TEXT COLLATE "C" NOT NULL,
    connection_id    BIGINT NOT NULL,
    credential_id    TEXT COLLATE "C",
    user_name        TEXT COLLATE "C" NOT NULL,
    protocol_call_id TEXT COLLATE "C" NOT NULL,
    direction        TEXT COLLATE "C" NOT NULL,
    caller_name      TEXT COLLATE "C" NOT NULL,
    caller_number    TEXT COLLATE "C" NOT NULL,
    destination      TEXT COLLATE "C" NOT NULL,
    started_at       BIGINT NOT NULL,
    answered_at      BIGINT,
    ended_at         BIGINT NOT NULL,
    cause            TEXT COLLATE "C" NOT NULL,
    hangup_source    TEXT COLLATE "C" NOT NULL,
    audio_codec      TEXT COLLATE "C",
    video_codec      TEXT COLLATE "C",
    quality          TEXT COLLATE "C"
);

CREATE INDEX call_records_by_account ON call_records (account_id, started_at, leg_id);
CREATE INDEX call_records_by_call ON call_records (call_id);

-- The id orders events as they were written; a reader resumes after the last one it saw. An event is
-- without an owner only if the events that tell whose leg it is were dropped under load.
CREATE TABLE call_events (
    id         BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    account_id TEXT COLLATE "C",
    call_id    TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL,
    leg_id     TEXT COLLATE "C",
    occurred_at BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    detail     TEXT COLLATE "C" NOT NULL,
    UNIQUE (call_id, seq)
);

CREATE INDEX call_events_by_account ON call_events (account_id, id);
CREATE INDEX call_events_by_age ON call_events (occurred_at);
CREATE INDEX call_events_by_leg ON call_events (leg_id) WHERE kind = 'initiated';

-- A segment's size is that of its body; a small one counts as a kibibyte, for the rest of its row.
CREATE TABLE call_reports (
    id             BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    account_id     TEXT COLLATE "C" NOT NULL,
    call_report_id TEXT COLLATE "C" NOT NULL,
    call_id        TEXT COLLATE "C" NOT NULL,
    segment        BIGINT NOT NULL,
    voice_sdk_id   TEXT COLLATE "C" NOT NULL,
    size_bytes     BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    body           TEXT COLLATE "C" NOT NULL,
    UNIQUE (account_id, call_id, segment)
);

CREATE INDEX call_reports_by_report_id ON call_reports (account_id, call_report_id, size_bytes);
CREATE INDEX call_reports_by_age ON call_reports (created_at, id, size_bytes);

CREATE FUNCTION call_reports_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET call_report_bytes = call_report_bytes + NEW.size_bytes
    WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER call_reports_added AFTER INSERT ON call_reports FOR EACH ROW EXECUTE FUNCTION call_reports_added();

CREATE FUNCTION call_reports_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET call_report_bytes = call_report_bytes - OLD.size_bytes
    WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER call_reports_deleted AFTER DELETE ON call_reports FOR EACH ROW EXECUTE FUNCTION call_reports_deleted();
