-- The key with the highest generation seals; a key is retired once nothing is sealed with it.
ALTER TABLE encryption_keys ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE encryption_keys ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE encryption_keys ADD COLUMN retired_at BIGINT;

CREATE UNIQUE INDEX encryption_keys_by_generation ON encryption_keys (generation);

CREATE INDEX call_records_by_age ON call_records (ended_at);
