ALTER TABLE accounts ADD COLUMN audit_event_count BIGINT NOT NULL DEFAULT 0;

ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;

-- People. The password is an argon2id hash.
CREATE TABLE users (
    id              TEXT PRIMARY KEY NOT NULL,
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    email           TEXT NOT NULL,
    email_folded    TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    role            TEXT NOT NULL,
    password        TEXT NOT NULL,
    last_sign_in_at BIGINT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

CREATE INDEX users_by_account ON users (account_id, created_at, id);

-- Tokens are kept as their SHA-256.
CREATE TABLE portal_sessions (
    token        BLOB PRIMARY KEY NOT NULL,
    id           TEXT NOT NULL UNIQUE,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    source       TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL
);

CREATE INDEX portal_sessions_by_user ON portal_sessions (user_id, last_seen_at, id);

-- Browsers that somebody has signed in from: a guesser elsewhere does not lock them out.
CREATE TABLE known_devices (
    token        BLOB NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (token, user_id)
);

CREATE INDEX known_devices_by_user ON known_devices (user_id, last_seen_at);

CREATE TABLE invitations (
    id         TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    email      TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    role       TEXT NOT NULL,
    token      BLOB NOT NULL UNIQUE,
    invited_by TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (account_id, email_folded)
);

CREATE INDEX invitations_by_account ON invitations (account_id, created_at, id);

-- Links that work once: to the first person's sign-up, and to a new password.
CREATE TABLE one_time_links (
    token      BLOB PRIMARY KEY NOT NULL,
    purpose    TEXT NOT NULL,
    user_id    TEXT UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT
);

-- Who did what. What an entry names may be gone, so nothing is referenced; seq is the order of writing.
CREATE TABLE audit_events (
    seq            INTEGER PRIMARY KEY NOT NULL,
    id             TEXT NOT NULL,
    account_id     TEXT NOT NULL,
    actor_type     TEXT NOT NULL,
    actor_id       TEXT,
    actor_name     TEXT NOT NULL,
    actor_role     TEXT,
    action         TEXT NOT NULL,
    resource_type  TEXT NOT NULL,
    resource_id    TEXT,
    source_address TEXT,
    succeeded      BOOLEAN NOT NULL,
    occurred_at    BIGINT NOT NULL
);

CREATE INDEX audit_events_by_account ON audit_events (account_id, occurred_at, seq);

-- Entries may be deleted that are older than this. One row.
CREATE TABLE audit_retention (
    id         BIGINT PRIMARY KEY NOT NULL,
    older_than BIGINT NOT NULL
);

INSERT INTO audit_retention (id, older_than) VALUES (1, 0);

CREATE TRIGGER audit_events_never_change BEFORE UPDATE ON audit_events BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_events_go_by_age BEFORE DELETE ON audit_events
WHEN OLD.occurred_at >= (SELECT older_than FROM audit_retention WHERE id = 1) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_events_added AFTER INSERT ON audit_events BEGIN
    UPDATE accounts SET audit_event_count = audit_event_count + 1
    WHERE id = NEW.account_id;
END;

CREATE TRIGGER audit_events_deleted AFTER DELETE ON audit_events BEGIN
    UPDATE accounts SET audit_event_count = audit_event_count - 1
    WHERE id = OLD.account_id;
END;
