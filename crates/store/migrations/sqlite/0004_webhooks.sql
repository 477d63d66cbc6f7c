-- What belongs to a leg's connection, and what its beginning says of who calls whom.
ALTER TABLE call_events ADD COLUMN connection_id BIGINT;
ALTER TABLE call_events ADD COLUMN from_number TEXT;
ALTER TABLE call_events ADD COLUMN to_number TEXT;

-- The events that applications are told of. A query that means these rows repeats the condition.
CREATE INDEX call_events_told ON call_events (account_id, occurred_at, id)
    WHERE kind IN ('initiated', 'answered', 'bridged', 'hangup');

ALTER TABLE accounts ADD COLUMN webhook_delivery_count BIGINT NOT NULL DEFAULT 0;

CREATE TABLE webhook_keys (
    account_id        TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id),
    seed              BLOB NOT NULL,
    encryption_key_id TEXT NOT NULL
);

-- One row: the last event that was looked at. What happened before there were webhooks is not told.
CREATE TABLE webhook_cursor (
    one           BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    call_event_id BIGINT NOT NULL
);

INSERT INTO webhook_cursor (one, call_event_id)
SELECT 1, COALESCE(MAX(id), 0) FROM call_events;

-- The number orders deliveries as they were queued. A delivery is in the queue until it is finished, and
-- shown once it has started. What a row names may be gone meanwhile, so nothing is referenced.
CREATE TABLE webhook_deliveries (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    account_id    TEXT NOT NULL,
    connection_id BIGINT NOT NULL,
    call_id       TEXT NOT NULL,
    call_event_id BIGINT NOT NULL UNIQUE,
    event_id      TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    occurred_at   BIGINT NOT NULL,
    payload       TEXT NOT NULL,
    status        TEXT,
    tries         BIGINT NOT NULL DEFAULT 0,
    resend        BOOLEAN NOT NULL DEFAULT FALSE,
    queued_at     BIGINT NOT NULL,
    started_at    BIGINT,
    finished_at   BIGINT
);

CREATE INDEX webhook_deliveries_queued ON webhook_deliveries (number) WHERE finished_at IS NULL;
CREATE INDEX webhook_deliveries_resent ON webhook_deliveries (number) WHERE resend = TRUE;
CREATE INDEX webhook_deliveries_by_account ON webhook_deliveries (account_id, started_at, number)
    WHERE started_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (queued_at);

CREATE TABLE webhook_attempts (
    delivery         BIGINT NOT NULL REFERENCES webhook_deliveries (number) ON DELETE CASCADE,
    number           BIGINT NOT NULL,
    started_at       BIGINT NOT NULL,
    finished_at      BIGINT NOT NULL,
    error            BIGINT,
    url              TEXT,
    request_headers  TEXT NOT NULL,
    response_status  BIGINT,
    response_headers TEXT NOT NULL,
    response_body    TEXT NOT NULL,
    PRIMARY KEY (delivery, number)
);

CREATE TRIGGER webhook_deliveries_started AFTER UPDATE OF started_at ON webhook_deliveries
WHEN OLD.started_at IS NULL AND NEW.started_at IS NOT NULL BEGIN
    UPDATE accounts SET webhook_delivery_count = webhook_delivery_count + 1
    WHERE id = NEW.account_id;
END;

CREATE TRIGGER webhook_deliveries_deleted AFTER DELETE ON webhook_deliveries
WHEN OLD.started_at IS NOT NULL BEGIN
    UPDATE accounts SET webhook_delivery_count = webhook_delivery_count - 1
    WHERE id = OLD.account_id;
END;
