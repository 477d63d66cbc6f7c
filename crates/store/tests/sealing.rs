//! No secret stands readable in any file of the database, and only the right key opens it.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use std::path::Path;

use ringtrip_model::NewApiKey;
use ringtrip_store::{KeyError, OpenError, Store, StoreError};
use sqlx::Connection;
use support::{Database, NOW, World, rng};

fn bytes_of_all_files(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let database = files.filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("ringtrip.db")
    });
    database
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[tokio::test]
async fn no_secret_is_readable_in_the_files() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let credential = world.credential(&connection).await;
    let (new, key) = NewApiKey::new(alice.id, "ci", None, NOW, &mut world.rng).unwrap();
    world.store.insert_api_key(new).await.unwrap();
    let signing = world.store.signing_keys();
    let check = |when: &str| {
        let bytes = bytes_of_all_files(world.database.folder());
        assert!(
            holds(&bytes, credential.sip_username.as_bytes()),
            "{when}: the search finds what is there"
        );
        assert!(holds(&bytes, key.lookup().as_bytes()), "{when}");
        for secret in [
            credential.sip_password.expose().as_bytes(),
            b"correct horse",
            &key.expose().as_bytes()[36..],
            signing[0].secret(),
        ] {
            assert!(!holds(&bytes, secret), "{when}");
        }
    };
    check("in the write-ahead log");
    world.store.close().await;
    check("in the closed database");
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused_and_nothing_is_changed() {
    let mut world = World::new().await;
    let alice = world.account("a@x").await;
    world.store.close().await;
    let config = world.database.config();
    let key_file = config.key_file.clone();
    let right = std::fs::read(&key_file).unwrap();

    std::fs::remove_file(&key_file).unwrap();
    let refused = Store::open(config.clone(), &mut rng(9)).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::Key(KeyError::Missing { .. })),
        "{refused:?}"
    );
    assert!(
        !key_file.exists(),
        "no new key is made beside a database in use"
    );

    let other = Database::new();
    let other_config = other.config();
    Store::open(other_config.clone(), &mut rng(8))
        .await
        .unwrap()
        .close()
        .await;
    std::fs::copy(&other_config.key_file, &key_file).unwrap();
    let refused = Store::open(config.clone(), &mut rng(9)).await.unwrap_err();
    assert!(matches!(refused, OpenError::WrongKey { .. }), "{refused:?}");
    assert!(!refused.to_string().contains('\n'));

    std::fs::write(&key_file, right).unwrap();
    let store = Store::open(config, &mut rng(9)).await.unwrap();
    assert_eq!(store.account(alice.id).await.unwrap(), Some(alice));
    store.close().await;
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let database = Database::on_file();
    let config = database.config();
    let path = database.folder().join("ringtrip.db");

    std::fs::write(
        &path,
        "this is a letter, not a database; it is long enough to have a header",
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Store::open(config.clone(), &mut rng(1)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::remove_file(&path).unwrap();

    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut foreign = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    sqlx::query("CREATE TABLE recipes (id INTEGER)")
        .execute(&mut foreign)
        .await
        .unwrap();
    foreign.close().await.unwrap();
    let refused = Store::open(config.clone(), &mut rng(1)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused:?}");
    assert!(!config.key_file.exists());

    let nowhere = ringtrip_store::StoreConfig {
        url: "sqlite:///no/such/folder/x.db".to_owned(),
        ..config.clone()
    };
    assert!(matches!(
        Store::open(nowhere, &mut rng(1)).await,
        Err(OpenError::Create { .. })
    ));
    let unknown = ringtrip_store::StoreConfig {
        url: "mysql://localhost".to_owned(),
        ..config
    };
    assert!(matches!(
        Store::open(unknown, &mut rng(1)).await,
        Err(OpenError::UnsupportedUrl)
    ));
}

#[tokio::test]
async fn a_password_that_is_copied_to_another_row_does_not_open() {
    let mut world = World::on_file().await;
    let alice = world.account("a@x").await;
    let connection = world.connection(&alice, "office").await;
    let (a, b) = (
        world.credential(&connection).await,
        world.credential(&connection).await,
    );
    world.store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(world.database.folder().join("ringtrip.db"));
    let mut direct = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    sqlx::query(
        "UPDATE telephony_credentials
         SET sip_password = (SELECT sip_password FROM telephony_credentials WHERE id = $1) WHERE id = $2",
    )
    .bind(a.id.to_string())
    .bind(b.id.to_string())
    .execute(&mut direct)
    .await
    .unwrap();
    direct.close().await.unwrap();
    let store = support::open(&world.database).await;
    assert_eq!(
        store.telephony_credential(alice.id, a.id).await.unwrap(),
        Some(a)
    );
    let found = store.telephony_credential(alice.id, b.id).await;
    assert!(
        matches!(found, Err(StoreError::Corrupt { .. })),
        "{found:?}"
    );
    store.close().await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let world = World::on_file().await;
    world.store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(world.database.folder().join("ringtrip.db"));
    let mut direct = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut direct)
    .await
    .unwrap();
    direct.close().await.unwrap();
    let refused = Store::open(world.database.config(), &mut rng(1))
        .await
        .unwrap_err();
    assert!(matches!(refused, OpenError::Migrate(_)), "{refused:?}");
}
