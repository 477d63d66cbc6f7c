-- What a push service wants to see, sealed. A connection names the one of each platform that it uses, and
-- one that is in use cannot go.
CREATE TABLE mobile_push_credentials (
    id                TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id        TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    alias             TEXT COLLATE "C" NOT NULL,
    platform          TEXT COLLATE "C" NOT NULL,
    material          BYTEA NOT NULL,
    encryption_key_id TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    UNIQUE (account_id, alias)
);

CREATE INDEX mobile_push_credentials_by_account ON mobile_push_credentials (account_id, created_at, id);

ALTER TABLE credential_connections ADD COLUMN ios_push_credential_id TEXT COLLATE "C" REFERENCES mobile_push_credentials (id);
ALTER TABLE credential_connections ADD COLUMN android_push_credential_id TEXT COLLATE "C" REFERENCES mobile_push_credentials (id);

CREATE INDEX credential_connections_by_ios_push ON credential_connections (ios_push_credential_id)
    WHERE ios_push_credential_id IS NOT NULL;
CREATE INDEX credential_connections_by_android_push ON credential_connections (android_push_credential_id)
    WHERE android_push_credential_id IS NOT NULL;

-- A number outlives the connection that its calls go to.
CREATE TABLE phone_numbers (
    id                   BIGINT PRIMARY KEY NOT NULL,
    account_id           TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    phone_number         TEXT COLLATE "C" NOT NULL UNIQUE,
    country              TEXT COLLATE "C" NOT NULL,
    phone_number_type    TEXT COLLATE "C" NOT NULL,
    connection_id        BIGINT REFERENCES credential_connections (id) ON DELETE SET NULL,
    customer_reference   TEXT COLLATE "C",
    billing_group_id     TEXT COLLATE "C",
    usage_payment_method TEXT COLLATE "C" NOT NULL,
    settings             TEXT COLLATE "C" NOT NULL,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL
);

CREATE INDEX phone_numbers_by_account ON phone_numbers (account_id, created_at, id);
CREATE INDEX phone_numbers_by_number ON phone_numbers (account_id, phone_number);
CREATE INDEX phone_numbers_by_connection ON phone_numbers (connection_id) WHERE connection_id IS NOT NULL;
CREATE INDEX phone_numbers_by_reference ON phone_numbers (account_id, customer_reference)
    WHERE customer_reference IS NOT NULL;

-- The tags of a number once more, to be found by.
CREATE TABLE phone_number_tags (
    phone_number_id BIGINT NOT NULL REFERENCES phone_numbers (id) ON DELETE CASCADE,
    account_id      TEXT COLLATE "C" NOT NULL,
    tag             TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (phone_number_id, tag)
);

CREATE INDEX phone_number_tags_by_tag ON phone_number_tags (account_id, tag, phone_number_id);

ALTER TABLE accounts ADD COLUMN phone_number_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN mobile_push_credential_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN call_report_count BIGINT NOT NULL DEFAULT 0;

UPDATE accounts SET call_report_count = (SELECT COUNT(*) FROM call_reports WHERE account_id = accounts.id);

CREATE FUNCTION phone_numbers_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET phone_number_count = phone_number_count + 1 WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER phone_numbers_added AFTER INSERT ON phone_numbers FOR EACH ROW EXECUTE FUNCTION phone_numbers_added();

CREATE FUNCTION phone_numbers_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET phone_number_count = phone_number_count - 1 WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER phone_numbers_deleted AFTER DELETE ON phone_numbers FOR EACH ROW EXECUTE FUNCTION phone_numbers_deleted();

CREATE FUNCTION mobile_push_credentials_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET mobile_push_credential_count = mobile_push_credential_count + 1 WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER mobile_push_credentials_added AFTER INSERT ON mobile_push_credentials FOR EACH ROW EXECUTE FUNCTION mobile_push_credentials_added();

CREATE FUNCTION mobile_push_credentials_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET mobile_push_credential_count = mobile_push_credential_count - 1 WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER mobile_push_credentials_deleted AFTER DELETE ON mobile_push_credentials FOR EACH ROW EXECUTE FUNCTION mobile_push_credentials_deleted();

CREATE FUNCTION call_reports_counted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET call_report_count = call_report_count + 1 WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER call_reports_counted AFTER INSERT ON call_reports FOR EACH ROW EXECUTE FUNCTION call_reports_counted();

CREATE FUNCTION call_reports_uncounted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET call_report_count = call_report_count - 1 WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER call_reports_uncounted AFTER DELETE ON call_reports FOR EACH ROW EXECUTE FUNCTION call_reports_uncounted();

CREATE INDEX call_reports_by_account ON call_reports (account_id, created_at, id);

-- How a leg reached us, which decides what sort of detail record it is.
ALTER TABLE call_records ADD COLUMN protocol TEXT COLLATE "C" NOT NULL DEFAULT 'webrtc';

CREATE INDEX call_records_by_protocol ON call_records (account_id, protocol, started_at, leg_id);
CREATE INDEX call_records_by_user ON call_records (account_id, user_name, started_at, leg_id);
