//! Lists walk indexes: what the engines themselves say of each list's queries.

#[path = "../tests/support/database.rs"]
mod database;

use ringtrip_model::{
    AccountId, CredentialConnectionId, Generator, OutboundVoiceProfileId,
    TelephonyCredentialStatus as Status, Timestamp,
};

use self::database::Database;
use crate::db::{self, Conn, QueryBuilder};
use crate::error::StoreError;
use crate::page::{NARROW, Page, Walk};
use crate::telephony_credentials::Wanted;
use crate::{
    CredentialConnectionFilter, CredentialConnectionOrder, CredentialConnectionSort,
    OutboundVoiceProfileFilter, OutboundVoiceProfileOrder, OutboundVoiceProfileSort, StatusFilter,
    Store, TelephonyCredentialFilter, TrunkFilter, TrunkOrder, TrunkSort, credential_connections,
    outbound_voice_profiles, telephony_credentials, trunks,
};

const ROWS: i64 = 5_000;
const PROFILE: OutboundVoiceProfileId = OutboundVoiceProfileId::from_i64(7);
const FORTH: Walk = Walk {
    backwards: false,
    limit: 50,
    offset: 1_000,
};
/// As the first part is read, along with the length.
const HEAD: Walk = Walk { offset: 0, ..FORTH };
const BACK: Walk = Walk {
    backwards: true,
    ..FORTH
};

/// A store with an account that has many of everything, and statistics of it.
async fn full_store(database: &Database, account: AccountId) -> Store {
    let mut rng = Generator::from_seed([3; 32]);
    let store = Store::open(database.config(), &mut rng).await.unwrap();
    let failed = StoreError::while_doing("testing");
    store
        .write(
            "testing",
            move |conn| Box::pin(async move { fill(conn, account).await.map_err(failed) }),
            |_| {},
        )
        .await
        .unwrap();
    if database.is_postgres() {
        let mut conn = store.inner.pool.acquire().await.unwrap();
        for sql in [
            "VACUUM ANALYZE telephony_credentials",
            "VACUUM ANALYZE credential_connections",
            "VACUUM ANALYZE outbound_voice_profiles",
            "VACUUM ANALYZE trunks",
        ] {
            db::query(sql).execute(&mut conn).await.unwrap();
        }
    }
    store
}

/// Takes a connection that plans. Postgres reads a whole table where an account has most of its rows, which is
/// right; here it shall say whether there is an index.
async fn planner(database: &Database, store: &Store) -> Conn {
    let mut conn = store.inner.pool.acquire().await.unwrap();
    if database.is_postgres() {
        let sql = "SET enable_seqscan = off";
        db::query(sql).execute(&mut conn).await.unwrap();
    }
    conn
}

async fn fill(conn: &mut Conn, account: AccountId) -> Result<(), sqlx::Error> {
    let account = account.to_string();
    db::query(
        "INSERT INTO accounts (id, email, email_folded, organization_name, created_at, updated_at)
         VALUES ($1, 'a', 'a', 'a', 1, 1)",
    )
    .bind(account.clone())
    .execute(conn)
    .await?;
    for sql in [
        "INSERT INTO outbound_voice_profiles
             (id, account_id, name, name_folded, enabled, settings, created_at, updated_at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         SELECT i, $1, 'p' || i, 'p' || i, i % 2 = 0, '{}', i, i FROM n",
        "INSERT INTO trunks
             (id, account_id, name, name_folded, enabled, priority, settings, created_at, updated_at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         SELECT i, $1, 't' || i, 't' || i, i % 2 = 0, i % 10, '{}', i, i FROM n",
    ] {
        db::query(sql)
            .bind(account.clone())
            .bind(ROWS)
            .execute(conn)
            .await?;
    }
    for sql in [
        "INSERT INTO credential_connections
             (id, account_id, connection_name, connection_name_folded, user_name, user_name_folded, password,
              encryption_key_id, active, outbound_voice_profile_id, settings, created_at, updated_at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         SELECT i, $1, 'c' || i, 'c' || i, 'u' || i, 'u' || i, $3, 'k', i % 2 = 0,
                CASE WHEN i % 2 = 0 THEN 7 END, '{}', i, i FROM n",
        "INSERT INTO telephony_credentials
             (id, account_id, connection_id, name, tag, sip_username, sip_username_folded, sip_password,
              encryption_key_id, expires_at, created_at, updated_at, active)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         SELECT 'c' || i, $1, 1 + i % 3, 'n' || (i % 2), CASE WHEN i % 4 = 0 THEN 't' || (i % 40) END,
                's' || i, 's' || i, $3, 'k', CASE WHEN i % 3 = 0 THEN i END, i, i, i % 50 <> 0 FROM n",
    ] {
        db::query(sql)
            .bind(account.clone())
            .bind(ROWS)
            .bind(vec![0_u8; 64])
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Asserts that no step of a plan goes through a table: rows are looked up by what few have, or found in an
/// index that holds all that is asked.
async fn assert_walks_indexes(what: &str, query: QueryBuilder, conn: &mut Conn) {
    let plan = query.plan(conn).await;
    let text = plan.join("\n");
    let own = [
        "telephony_credentials",
        "credential_connections",
        "outbound_voice_profiles",
        "trunks",
    ];
    for step in plan.iter().map(|step| step.trim()) {
        assert!(!step.contains("Seq Scan on"), "{what}\n{text}");
        let scanned = step.strip_prefix("SCAN ").unwrap_or_default();
        let scans = own.iter().any(|table| scanned.starts_with(table));
        assert!(!scans, "{what}\n{text}");
        // SQLite's words for an index whose rows are then read.
        let reads_rows = step.starts_with("SEARCH ") && step.contains(" USING INDEX ");
        let few = [
            "(id=?)",
            "(sip_username_folded=?)",
            "telephony_credentials_by_tag (account_id=? AND tag=?)",
        ];
        assert!(
            !reads_rows || few.iter().any(|few| step.ends_with(few)),
            "{what}\n{text}"
        );
    }
}

/// Asserts that rows are read one after the other as an index has them, and no others.
async fn assert_reads_in_order(what: &str, query: QueryBuilder, conn: &mut Conn) {
    let plan = query.plan(conn).await;
    let text = plan.join("\n");
    for step in plan.iter().map(|step| step.trim()) {
        let ordered = !step.contains("TEMP B-TREE") && !step.contains("Sort");
        let by_index = !step.starts_with("SCAN") && !step.contains("Seq Scan on");
        assert!(
            ordered && by_index && !step.contains("Filter:"),
            "{what}\n{text}"
        );
    }
}

fn statuses() -> Vec<Option<StatusFilter>> {
    let all = Status::ALL.iter().copied();
    let mut statuses = vec![None];
    statuses.extend(all.clone().map(StatusFilter::Only).map(Some));
    statuses.extend(all.map(StatusFilter::AllBut).map(Some));
    statuses
}

#[tokio::test]
async fn lists_of_credentials_walk_indexes_whatever_they_are_filtered_by() {
    let database = Database::new();
    let account = AccountId::generate(&mut Generator::from_seed([4; 32]));
    let store = full_store(&database, account).await;
    let mut conn = planner(&database, &store).await;
    let text = |bit: usize, kinds: usize, text: &str| (kinds & bit != 0).then(|| text.to_owned());
    for kinds in 0..16 {
        for status in statuses() {
            let filter = TelephonyCredentialFilter {
                tag: text(1, kinds, "t4"),
                name: text(2, kinds, "n0"),
                sip_username: text(4, kinds, "s8"),
                connection: (kinds & 8 != 0).then(|| CredentialConnectionId::from_i64(1)),
                status,
            };
            let wanted = Wanted {
                account,
                filter: &filter,
                now: Timestamp::from_micros(ROWS / 2),
            };
            let what = format!("{filter:?}");
            assert_walks_indexes(&what, wanted.count_query(), &mut conn).await;
            let first = wanted.list_query(u64::MAX, HEAD);
            if filter == TelephonyCredentialFilter::default() {
                assert_reads_in_order(&what, first, &mut conn).await;
            } else {
                let first = first.with_column("total", wanted.count_query());
                assert_walks_indexes(&what, first, &mut conn).await;
            }
            for total in [NARROW, NARROW + 1] {
                for walk in [FORTH, BACK] {
                    let query = wanted.list_query(total, walk);
                    assert_walks_indexes(&what, query, &mut conn).await;
                }
            }
        }
    }
    let page = Page { number: 2, size: 2 };
    let tags = telephony_credentials::tag_list_query(account, page);
    assert_walks_indexes("tags", tags, &mut conn).await;
    let count = telephony_credentials::tag_count_query(account);
    assert_walks_indexes("how many tags", count, &mut conn).await;
    drop(conn);
    store.close().await;
}

#[tokio::test]
async fn lists_of_connections_profiles_and_trunks_walk_indexes_too() {
    let database = Database::new();
    let account = AccountId::generate(&mut Generator::from_seed([5; 32]));
    let store = full_store(&database, account).await;
    let mut conn = planner(&database, &store).await;
    let contains = || Some("1".to_owned());
    for (connection_name_contains, outbound_voice_profile_id) in [
        (None, None),
        (contains(), None),
        (None, Some(PROFILE)),
        (contains(), Some(PROFILE)),
    ] {
        let filter = CredentialConnectionFilter {
            connection_name_contains,
            outbound_voice_profile_id,
        };
        let count = credential_connections::count_query(account, &filter);
        assert_walks_indexes("how many connections", count, &mut conn).await;
        for by in [
            CredentialConnectionSort::CreatedAt,
            CredentialConnectionSort::ConnectionName,
            CredentialConnectionSort::Active,
        ] {
            let descending = true;
            let order = CredentialConnectionOrder { by, descending };
            for (total, walk) in [(NARROW, FORTH), (NARROW + 1, BACK)] {
                let query =
                    credential_connections::list_query(account, &filter, order, total, walk);
                let what = format!("{filter:?} {order:?}");
                assert_walks_indexes(&what, query, &mut conn).await;
            }
        }
    }
    for name_contains in [None, contains()] {
        let filter = OutboundVoiceProfileFilter { name_contains };
        let count = outbound_voice_profiles::count_query(account, &filter);
        assert_walks_indexes("how many profiles", count, &mut conn).await;
        for by in [
            OutboundVoiceProfileSort::Enabled,
            OutboundVoiceProfileSort::CreatedAt,
            OutboundVoiceProfileSort::Name,
            OutboundVoiceProfileSort::ServicePlan,
        ] {
            let descending = true;
            let order = OutboundVoiceProfileOrder { by, descending };
            for walk in [FORTH, BACK] {
                let query = outbound_voice_profiles::list_query(account, &filter, order, walk);
                assert_walks_indexes(&format!("{filter:?} {order:?}"), query, &mut conn).await;
            }
        }
    }
    for (name_contains, enabled) in [(None, None), (contains(), None), (contains(), Some(true))] {
        let filter = TrunkFilter {
            name_contains,
            enabled,
        };
        let count = trunks::count_query(account, &filter);
        assert_walks_indexes("how many trunks", count, &mut conn).await;
        for by in [
            TrunkSort::CreatedAt,
            TrunkSort::Name,
            TrunkSort::Priority,
            TrunkSort::Enabled,
        ] {
            let descending = true;
            let order = TrunkOrder { by, descending };
            for walk in [FORTH, BACK] {
                let query = trunks::list_query(account, &filter, order, walk);
                assert_walks_indexes(&format!("{filter:?} {order:?}"), query, &mut conn).await;
            }
        }
    }
    drop(conn);
    store.close().await;
}
