//! Who did what: the entries, how they are listed, and how they go.

use std::sync::{Arc, PoisonError};

use ringtrip_model::{AccountId, Actor, AuditEvent, AuditEventId, Role, Timestamp};

use crate::accounts::Counter;
use crate::db::{self, Conn, QueryBuilder, Row};
use crate::error::StoreError;
use crate::page::{Length, Listing, Page, can_match};
use crate::row::Columns;
use crate::{Inner, Store};

const TABLE: &str = "audit_events";
const READING: &str = "reading the audit log";
const ADDING: &str = "adding to the audit log";
const PRUNING: &str = "pruning the audit log";

/// Entries that wait to be written in bulk.
const MAX_NOTES: usize = 20_000;
/// Entries in one statement.
const MAX_ROWS: usize = 200;
/// Entries that are deleted in one transaction.
const PRUNED_AT_ONCE: i64 = 1000;

/// What listed entries have in common. Everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditEventFilter {
    /// The earliest instant.
    pub from: Option<Timestamp>,
    /// The first instant that is too late.
    pub before: Option<Timestamp>,
    /// The sort of actor.
    pub actor_type: Option<String>,
    /// The actor.
    pub actor_id: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// The sort of thing.
    pub resource_type: Option<String>,
    /// The thing.
    pub resource_id: Option<String>,
}

impl Store {
    /// Takes note of an entry that no write of its own carries. It is written in bulk, at the next
    /// [`Store::write_notes`]. While the database takes nothing, some wait in memory; what does not
    /// fit is lost, and the log of the node says so.
    pub fn note_audit_event(&self, event: AuditEvent) {
        let mut notes = self
            .inner
            .notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MAX_NOTES {
            notes.push(event);
        } else {
            tracing::error!(
                action = event.action,
                "an entry of the audit log is lost: too many wait"
            );
        }
    }

    /// Writes what was noted since the last time: entries of the audit log, and when keys were used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the notes wait for the next time.
    pub async fn write_notes(&self) -> Result<(), StoreError> {
        let mut events = {
            let mut notes = self
                .inner
                .notes
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *notes)
        };
        // Whoever tells of several accounts takes them in one order.
        events.sort_by_key(|event| event.account);
        let uses = self.inner.key_uses.take();
        if events.is_empty() && uses.is_empty() {
            return Ok(());
        }
        let (events, uses) = (Arc::new(events), Arc::new(uses));
        let (written, used) = (Arc::clone(&events), Arc::clone(&uses));
        let done = self
            .write(
                ADDING,
                move |conn| {
                    Box::pin(async move {
                        let failed = StoreError::while_doing(ADDING);
                        insert_all(conn, &written).await.map_err(failed)?;
                        crate::api_keys::keep_uses(conn, &used).await
                    })
                },
                |_| {},
            )
            .await;
        if done.is_err() {
            for event in events.iter() {
                self.note_audit_event(event.clone());
            }
            self.inner.key_uses.give_back(&uses);
        }
        done
    }

    /// Lists an account's entries, the newest first unless asked otherwise.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_audit_events(
        &self,
        account: AccountId,
        filter: AuditEventFilter,
        oldest_first: bool,
        page: Page,
    ) -> Result<Listing<AuditEvent>, StoreError> {
        let texts = [
            ("actor_type", &filter.actor_type),
            ("actor_id", &filter.actor_id),
            ("action", &filter.action),
            ("resource_type", &filter.resource_type),
            ("resource_id", &filter.resource_id),
        ];
        if texts
            .iter()
            .any(|(_, text)| text.as_ref().is_some_and(|text| !can_match(text)))
        {
            return Ok(Listing::empty());
        }
        let narrowed = |mut query: QueryBuilder| {
            query
                .push(" WHERE account_id = ")
                .push_bind(account.to_string());
            if let Some(from) = filter.from {
                query
                    .push(" AND occurred_at >= ")
                    .push_bind(from.as_micros());
            }
            if let Some(before) = filter.before {
                query
                    .push(" AND occurred_at < ")
                    .push_bind(before.as_micros());
            }
            for (column, text) in texts {
                if let Some(text) = text {
                    query.push(" AND ").push(column).push(" = ");
                    query.push_bind(text.clone());
                }
            }
            query
        };
        let length = if filter == AuditEventFilter::default() {
            Length::Counted(Counter::AuditEvents)
        } else {
            let query = QueryBuilder::new("SELECT COUNT(*) FROM audit_events");
            Length::Query(narrowed(query))
        };
        let part = |_, _| {
            let mut query = narrowed(QueryBuilder::new("SELECT * FROM audit_events"));
            query.push(if oldest_first {
                " ORDER BY occurred_at, seq"
            } else {
                " ORDER BY occurred_at DESC, seq DESC"
            });
            page.push_onto(&mut query);
            query
        };
        self.list(READING, account, length, page, part, read).await
    }

    /// Deletes the entries of all accounts that are older than an instant, some at a time. Returns how
    /// many went.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what went before stays gone.
    pub async fn prune_audit_events(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let gone = self
                .write(
                    PRUNING,
                    move |conn| Box::pin(async move { prune(conn, before).await }),
                    |_| {},
                )
                .await?;
            if gone == 0 {
                return Ok(pruned);
            }
            pruned += gone;
        }
    }
}

async fn prune(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    let failed = StoreError::while_doing(PRUNING);
    // The tables themselves refuse what is younger than this.
    db::query("UPDATE audit_retention SET older_than = $1 WHERE id = 1")
        .bind(before.as_micros())
        .execute(conn)
        .await
        .map_err(failed)?;
    // Entries are written in the order of their time, or nearly: the first that stays ends the round.
    let done = db::query(
        "DELETE FROM audit_events
         WHERE seq IN (SELECT seq FROM audit_events ORDER BY seq LIMIT $2) AND occurred_at < $1",
    )
    .bind(before.as_micros())
    .bind(PRUNED_AT_ONCE)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(done.rows_affected())
}

/// Tells the log of every account what the operator did to a thing that all of them share.
pub(crate) async fn tell_all(
    conn: &mut Conn,
    inner: &Inner,
    action: &str,
    resource_type: &str,
    resource_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::while_doing(ADDING);
    let rows = db::query("SELECT id FROM accounts ORDER BY id")
        .fetch_all(&mut *conn)
        .await;
    let rows = rows.map_err(failed)?;
    let events = rows.iter().map(|row| {
        Ok(AuditEvent {
            id: inner.with_rng(AuditEventId::generate),
            account: Columns::new(row, "accounts", ADDING).parse("id")?,
            actor: Actor::Operator,
            action: action.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: Some(resource_id.to_owned()),
            source: None,
            succeeded: true,
            occurred_at: now,
        })
    });
    let events = events.collect::<Result<Vec<_>, StoreError>>()?;
    insert_all(conn, &events).await.map_err(failed)
}

/// Adds entries, in their order.
pub(crate) async fn insert_all(conn: &mut Conn, events: &[AuditEvent]) -> Result<(), sqlx::Error> {
    for events in events.chunks(MAX_ROWS) {
        let mut query = QueryBuilder::new(
            "INSERT INTO audit_events (id, account_id, actor_type, actor_id, actor_name, actor_role,
                 action, resource_type, resource_id, source_address, succeeded, occurred_at) ",
        );
        query.push_values(events, |mut row, event| {
            let (id, name, role) = match &event.actor {
                Actor::ApiKey { id, name } => (Some(id.to_string()), name.to_string(), None),
                Actor::User { id, email, role } => {
                    (Some(id.to_string()), email.to_string(), Some(role.name()))
                }
                Actor::Operator => (None, String::new(), None),
            };
            row.push_bind(event.id.to_string())
                .push_bind(event.account.to_string())
                .push_bind(event.actor.kind())
                .push_bind(id)
                .push_bind(name)
                .push_bind(role)
                .push_bind(event.action.as_str())
                .push_bind(event.resource_type.as_str())
                .push_bind(event.resource_id.clone())
                .push_bind(event.source.map(|source| source.to_string()))
                .push_bind(event.succeeded)
                .push_bind(event.occurred_at.as_micros());
        });
        // A statement for each number of rows: that for one comes all the time.
        let query = query.build().persistent(events.len() == 1);
        query.execute(conn).await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<AuditEvent, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let name: &str = columns.get("actor_name")?;
    let actor = match columns.get::<&str>("actor_type")? {
        "api_key" => Actor::ApiKey {
            id: columns.parse("actor_id")?,
            name: name.into(),
        },
        "user" => Actor::User {
            id: columns.parse("actor_id")?,
            email: name.into(),
            role: columns.name("actor_role", Role::from_name)?,
        },
        "operator" => Actor::Operator,
        _ => return Err(columns.malformed("actor_type")),
    };
    Ok(AuditEvent {
        id: columns.parse("id")?,
        account: columns.parse("account_id")?,
        actor,
        action: columns.get("action")?,
        resource_type: columns.get("resource_type")?,
        resource_id: columns.get("resource_id")?,
        source: columns.parse_optional("source_address")?,
        succeeded: columns.get("succeeded")?,
        occurred_at: columns.time("occurred_at")?,
    })
}
