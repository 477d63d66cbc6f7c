//! What the store's tests share: stores of their own, and things to put in them.
#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use ringtrip_model::{
    Account, ConnectionSettings, CredentialConnection, CredentialConnectionId, FieldError,
    FieldErrorKind, Generator, NewAccount, NewCredentialConnection, NewTelephonyCredential,
    TelephonyCredential, Timestamp,
};
use ringtrip_store::{Store, StoreError};

mod database;

pub(crate) use database::Database;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

pub(crate) fn after(secs: i64) -> Timestamp {
    Timestamp::from_secs(NOW.as_secs() + secs)
}

pub(crate) fn rng(seed: u8) -> Generator {
    Generator::from_seed([seed; 32])
}

pub(crate) async fn open(database: &Database) -> Store {
    Store::open(database.config(), &mut rng(0)).await.unwrap()
}

/// A store, a generator, and the database.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) rng: Generator,
    users: u32,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Database::new()).await
    }

    /// A store on a SQLite file, for what only that engine does.
    pub(crate) async fn on_file() -> Self {
        Self::on(Database::on_file()).await
    }

    async fn on(database: Database) -> Self {
        let store = open(&database).await;
        Self {
            database,
            store,
            rng: rng(1),
            users: 0,
        }
    }

    /// Closes the store and opens it again: what is then there came from the disk.
    pub(crate) async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(&self.database).await;
    }

    pub(crate) async fn account(&mut self, email: &str) -> Account {
        let new = NewAccount::new(email, "", NOW, &mut self.rng).unwrap();
        self.store.insert_account(new).await.unwrap()
    }

    pub(crate) fn new_connection(
        &mut self,
        account: &Account,
        name: &str,
        at: Timestamp,
    ) -> NewCredentialConnection {
        self.users += 1;
        let user = format!("user{}", self.users);
        let settings = ConnectionSettings::default();
        NewCredentialConnection::new(
            account.id,
            name,
            user,
            "correct horse",
            settings,
            at,
            &mut self.rng,
        )
        .unwrap()
    }

    pub(crate) async fn connection(
        &mut self,
        account: &Account,
        name: &str,
    ) -> CredentialConnection {
        let new = self.new_connection(account, name, NOW);
        self.store.insert_credential_connection(new).await.unwrap()
    }

    pub(crate) fn new_credential(
        &mut self,
        connection: &CredentialConnection,
    ) -> NewTelephonyCredential {
        let (account, id) = (connection.account, connection.id);
        NewTelephonyCredential::new(account, id, None, None, None, NOW, &mut self.rng).unwrap()
    }

    pub(crate) async fn credential(
        &mut self,
        connection: &CredentialConnection,
    ) -> TelephonyCredential {
        let new = self.new_credential(connection);
        self.store.insert_telephony_credential(new).await.unwrap()
    }

    pub(crate) async fn labelled(
        &mut self,
        connection: &CredentialConnection,
        name: &str,
        tag: Option<&str>,
        expires_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<TelephonyCredential, StoreError> {
        let new = NewTelephonyCredential::new(
            connection.account,
            connection.id,
            Some(name.to_owned()),
            tag.map(str::to_owned),
            expires_at,
            at,
            &mut self.rng,
        );
        self.store.insert_telephony_credential(new.unwrap()).await
    }
}

pub(crate) fn unknown_connection() -> CredentialConnectionId {
    CredentialConnectionId::from_i64(1)
}

/// Takes the one fault that a refusal names.
pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, StoreError>) -> (FieldErrorKind, String) {
    match result {
        Err(StoreError::Refused(FieldError { kind, pointer, .. })) => (kind, pointer.into_owned()),
        other => panic!("not refused: {other:?}"),
    }
}
