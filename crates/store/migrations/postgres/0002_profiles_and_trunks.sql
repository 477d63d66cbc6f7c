-- Outbound voice profiles. How many connections use one is counted here, as connections come and go.
CREATE TABLE outbound_voice_profiles (
    id                BIGINT PRIMARY KEY NOT NULL,
    account_id        TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name              TEXT COLLATE "C" NOT NULL,
    name_folded       TEXT COLLATE "C" NOT NULL,
    enabled           BOOLEAN NOT NULL,
    settings          TEXT COLLATE "C" NOT NULL,
    connections_count BIGINT NOT NULL DEFAULT 0,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);

-- Each order that lists can have is that of an index which holds all that filters look at.
CREATE INDEX outbound_voice_profiles_by_account ON outbound_voice_profiles (account_id, created_at, id, name_folded);
CREATE INDEX outbound_voice_profiles_by_name ON outbound_voice_profiles (account_id, name_folded, id);
CREATE INDEX outbound_voice_profiles_by_enabled ON outbound_voice_profiles (account_id, enabled, id, name_folded);
CREATE INDEX outbound_voice_profiles_by_id ON outbound_voice_profiles (account_id, id, name_folded);

-- Trunks. The password is sealed, and absent where the carrier wants none.
CREATE TABLE trunks (
    id                BIGINT PRIMARY KEY NOT NULL,
    account_id        TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name              TEXT COLLATE "C" NOT NULL,
    name_folded       TEXT COLLATE "C" NOT NULL,
    enabled           BOOLEAN NOT NULL,
    priority          BIGINT NOT NULL,
    auth_password     BYTEA,
    encryption_key_id TEXT COLLATE "C",
    settings          TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    UNIQUE (account_id, name_folded)
);

CREATE INDEX trunks_by_account ON trunks (account_id, created_at, id, name_folded, enabled);
CREATE INDEX trunks_by_name ON trunks (account_id, name_folded, id, enabled);
CREATE INDEX trunks_by_enabled ON trunks (account_id, enabled, id, name_folded);
CREATE INDEX trunks_by_priority ON trunks (account_id, priority, id, name_folded, enabled);

-- A credential can be switched off.
ALTER TABLE telephony_credentials ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE;

ALTER TABLE accounts ADD COLUMN outbound_voice_profile_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN trunk_count BIGINT NOT NULL DEFAULT 0;

CREATE FUNCTION outbound_voice_profiles_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET outbound_voice_profile_count = outbound_voice_profile_count + 1
    WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER outbound_voice_profiles_added AFTER INSERT ON outbound_voice_profiles FOR EACH ROW
EXECUTE FUNCTION outbound_voice_profiles_added();

CREATE FUNCTION outbound_voice_profiles_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET outbound_voice_profile_count = outbound_voice_profile_count - 1
    WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER outbound_voice_profiles_deleted AFTER DELETE ON outbound_voice_profiles FOR EACH ROW
EXECUTE FUNCTION outbound_voice_profiles_deleted();

CREATE FUNCTION trunks_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET trunk_count = trunk_count + 1 WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER trunks_added AFTER INSERT ON trunks FOR EACH ROW
EXECUTE FUNCTION trunks_added();

CREATE FUNCTION trunks_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts SET trunk_count = trunk_count - 1 WHERE id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER trunks_deleted AFTER DELETE ON trunks FOR EACH ROW
EXECUTE FUNCTION trunks_deleted();

CREATE FUNCTION credential_connections_profile_taken() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE outbound_voice_profiles SET connections_count = connections_count + 1
    WHERE id = NEW.outbound_voice_profile_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_connections_profile_taken AFTER INSERT ON credential_connections FOR EACH ROW
WHEN (NEW.outbound_voice_profile_id IS NOT NULL)
EXECUTE FUNCTION credential_connections_profile_taken();

CREATE FUNCTION credential_connections_profile_given_back() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE outbound_voice_profiles SET connections_count = connections_count - 1
    WHERE id = OLD.outbound_voice_profile_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_connections_profile_given_back AFTER DELETE ON credential_connections FOR EACH ROW
WHEN (OLD.outbound_voice_profile_id IS NOT NULL)
EXECUTE FUNCTION credential_connections_profile_given_back();

CREATE FUNCTION credential_connections_profile_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE outbound_voice_profiles SET connections_count = connections_count - 1
    WHERE id = OLD.outbound_voice_profile_id;
    UPDATE outbound_voice_profiles SET connections_count = connections_count + 1
    WHERE id = NEW.outbound_voice_profile_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_connections_profile_changed AFTER UPDATE OF outbound_voice_profile_id ON credential_connections FOR EACH ROW
WHEN (OLD.outbound_voice_profile_id IS DISTINCT FROM NEW.outbound_voice_profile_id)
EXECUTE FUNCTION credential_connections_profile_changed();

-- Lists of what an account may have very many of walk an index alone, in the order of the list, whatever
-- they are filtered by; what few rows have is found by an index of its own.
DROP INDEX credential_connections_by_account;
CREATE INDEX credential_connections_by_account
    ON credential_connections (account_id, created_at, id, connection_name_folded, outbound_voice_profile_id);
CREATE INDEX credential_connections_by_name
    ON credential_connections (account_id, connection_name_folded, id, outbound_voice_profile_id);
CREATE INDEX credential_connections_by_active
    ON credential_connections (account_id, active, id, connection_name_folded, outbound_voice_profile_id);
CREATE INDEX credential_connections_by_profile
    ON credential_connections (account_id, outbound_voice_profile_id, created_at, id, connection_name_folded)
    WHERE outbound_voice_profile_id IS NOT NULL;

DROP INDEX telephony_credentials_by_account;
DROP INDEX telephony_credentials_by_name;
DROP INDEX telephony_credentials_by_tag;
DROP INDEX telephony_credentials_by_connection;
CREATE INDEX telephony_credentials_by_account
    ON telephony_credentials (account_id, created_at, id, expires_at, active);
CREATE INDEX telephony_credentials_by_name
    ON telephony_credentials (account_id, name, created_at, id, connection_id, expires_at, active);
CREATE INDEX telephony_credentials_by_tag
    ON telephony_credentials (account_id, tag, created_at, id, connection_id, expires_at, active)
    WHERE tag IS NOT NULL;
CREATE INDEX telephony_credentials_by_connection
    ON telephony_credentials (connection_id, account_id, created_at, id, expires_at, active);
CREATE INDEX telephony_credentials_by_account_and_end
    ON telephony_credentials (account_id, expires_at, created_at, id, active);
CREATE INDEX telephony_credentials_inactive
    ON telephony_credentials (account_id, active, created_at, id, expires_at)
    WHERE active = FALSE;
