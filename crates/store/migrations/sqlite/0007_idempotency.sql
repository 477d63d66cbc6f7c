-- Answers to creates that brought a key of the client's choosing, for as long as the key counts. The id is a
-- hash of owner, method, path and key; the answer, which may hold secrets, is sealed, with a hash of the body.
CREATE TABLE idempotency_keys (
    id                TEXT PRIMARY KEY NOT NULL,
    account_id        TEXT NOT NULL REFERENCES accounts (id),
    -- Counts up within an account, so that the oldest can make room.
    place             BIGINT NOT NULL,
    status            BIGINT NOT NULL,
    answer            BLOB NOT NULL,
    encryption_key_id TEXT NOT NULL,
    created_at        BIGINT NOT NULL
);

CREATE INDEX idempotency_keys_by_account ON idempotency_keys (account_id, place);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
