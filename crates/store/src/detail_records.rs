//! The records of legs once more, as a customer searches them.

use std::ops::Range;

use ringtrip_model::{
    AccountId, CallId, CredentialConnectionId, Direction, LegId, LegRecord, Timestamp,
};

use crate::Store;
use crate::call_records::{self, direction_name};
use crate::db::QueryBuilder;
use crate::error::StoreError;
use crate::page::{Length, Listing, Page};
use crate::row::Columns;

const READING: &str = "searching call records";
const TABLE: &str = "call_records";

/// How a leg reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegProtocol {
    /// From a browser or an app, by the signalling of the WebRTC SDKs.
    Webrtc,
    /// By SIP.
    Sip,
}

impl LegProtocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Webrtc => "webrtc",
            Self::Sip => "sip",
        }
    }
}

/// The record of a leg, and the name that its connection has now, if it is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailRecord {
    /// The record.
    pub record: LegRecord,
    /// The connection's name.
    pub connection_name: Option<String>,
}

/// A text of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailRecordText {
    /// The party's user name.
    User,
    /// The protocol's own name of the leg.
    ProtocolCallId,
    /// The shown name of the caller.
    CallerName,
    /// The shown number of the caller.
    CallerNumber,
    /// What was dialled.
    Destination,
    /// The name of the connection.
    ConnectionName,
}

/// How a text is compared; case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextMatch {
    /// It is this.
    Equals,
    /// It holds this.
    Contains,
    /// It begins with this.
    StartsWith,
    /// It ends with this.
    EndsWith,
}

/// A number of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailRecordNumber {
    /// When the leg began, in microseconds since 1970.
    StartedAt,
    /// When it ended, in microseconds since 1970.
    EndedAt,
    /// For how many whole seconds it was answered.
    CallSecs,
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is this.
    Equal,
    /// It is greater.
    Greater,
    /// It is this or greater.
    AtLeast,
    /// It is less.
    Less,
    /// It is this or less.
    AtMost,
}

impl Comparison {
    const fn sql(self) -> &'static str {
        match self {
            Self::Equal => " = ",
            Self::Greater => " > ",
            Self::AtLeast => " >= ",
            Self::Less => " < ",
            Self::AtMost => " <= ",
        }
    }
}

/// One thing that listed records have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetailRecordCondition {
    /// The leg.
    Leg(LegId),
    /// The call.
    Call(CallId),
    /// The connection.
    Connection(CredentialConnectionId),
    /// Whether the party called or was called.
    Direction(Direction),
    /// A text.
    Text(DetailRecordText, TextMatch, String),
    /// A number.
    Number(DetailRecordNumber, Comparison, i64),
}

impl DetailRecordCondition {
    /// The two conditions of a span of time.
    pub fn started_within(span: Range<Timestamp>) -> [Self; 2] {
        let number = DetailRecordNumber::StartedAt;
        [
            Self::Number(number, Comparison::AtLeast, span.start.as_micros()),
            Self::Number(number, Comparison::Less, span.end.as_micros()),
        ]
    }
}

/// What a list of records is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailRecordOrder {
    /// What counts.
    pub by: DetailRecordNumber,
    /// Whether the greatest is first.
    pub descending: bool,
}

impl DetailRecordNumber {
    const fn sql(self) -> &'static str {
        match self {
            Self::StartedAt => "r.started_at",
            Self::EndedAt => "r.ended_at",
            Self::CallSecs => "(COALESCE(r.ended_at - r.answered_at, 0) / 1000000)",
        }
    }
}

impl DetailRecordText {
    const fn sql(self) -> &'static str {
        match self {
            Self::User => "r.user_name",
            Self::ProtocolCallId => "r.protocol_call_id",
            Self::CallerName => "r.caller_name",
            Self::CallerNumber => "r.caller_number",
            Self::Destination => "r.destination",
            Self::ConnectionName => "COALESCE(c.connection_name, '')",
        }
    }
}

impl Store {
    /// Lists an account's records that meet every condition. Without an order, and where it leaves
    /// records alike, the latest call is first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_detail_records(
        &self,
        account: AccountId,
        protocol: LegProtocol,
        conditions: Vec<DetailRecordCondition>,
        order: Vec<DetailRecordOrder>,
        page: Page,
    ) -> Result<Listing<DetailRecord>, StoreError> {
        const FROM: &str = " FROM call_records r
             LEFT JOIN credential_connections c ON c.id = r.connection_id AND c.account_id = r.account_id";
        let narrowed = |mut query: QueryBuilder| {
            query
                .push(FROM)
                .push(" WHERE r.account_id = ")
                .push_bind(account.to_string());
            query.push(" AND r.protocol = ").push_bind(protocol.name());
            for condition in &conditions {
                narrow(&mut query, condition);
            }
            query
        };
        let part = |_, _| {
            let mut query = narrowed(QueryBuilder::new(
                "SELECT r.*, c.connection_name AS connection_name",
            ));
            query.push(" ORDER BY ");
            for DetailRecordOrder { by, descending } in &order {
                query.push(by.sql());
                query.push(if *descending { " DESC, " } else { ", " });
            }
            // The last keys follow the first one's direction, so that an index can be walked.
            let ascending = order.first().is_some_and(|order| !order.descending);
            query.push(if ascending {
                "r.started_at, r.leg_id"
            } else {
                "r.started_at DESC, r.leg_id DESC"
            });
            page.push_onto(&mut query);
            query
        };
        let read = |row: &_| {
            Ok(DetailRecord {
                record: call_records::read(row)?,
                connection_name: Columns::new(row, TABLE, READING).get("connection_name")?,
            })
        };
        let length = Length::Query(narrowed(QueryBuilder::new("SELECT COUNT(*)")));
        self.list(READING, account, length, page, part, read).await
    }
}

fn narrow(query: &mut QueryBuilder, condition: &DetailRecordCondition) {
    query.push(" AND ");
    match condition {
        DetailRecordCondition::Leg(leg) => {
            query.push("r.leg_id = ").push_bind(leg.to_string());
        }
        DetailRecordCondition::Call(call) => {
            query.push("r.call_id = ").push_bind(call.to_string());
        }
        DetailRecordCondition::Connection(id) => {
            query.push("r.connection_id = ").push_bind(id.as_i64());
        }
        DetailRecordCondition::Direction(direction) => {
            query
                .push("r.direction = ")
                .push_bind(direction_name(*direction));
        }
        DetailRecordCondition::Number(number, comparison, value) => {
            query
                .push(number.sql())
                .push(comparison.sql())
                .push_bind(*value);
        }
        // LIKE would count case on one engine and not on the other, and no column is folded here.
        DetailRecordCondition::Text(text, how, value) => {
            let column = text.sql();
            let chars = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
            match how {
                TextMatch::Equals => {
                    query.push(column).push(" = ").push_bind(value.clone());
                }
                TextMatch::Contains => {
                    query.push("REPLACE(").push(column).push(", CAST(");
                    query.push_bind(value.clone()).push(" AS TEXT), '') <> ");
                    query.push(column);
                }
                TextMatch::StartsWith => {
                    query.push("SUBSTR(").push(column).push(", 1, CAST(");
                    query.push_bind(chars).push(" AS INTEGER)) = ");
                    query.push_bind(value.clone());
                }
                TextMatch::EndsWith => {
                    query
                        .push("(LENGTH(")
                        .push(column)
                        .push(") >= ")
                        .push_bind(chars);
                    query.push(" AND SUBSTR(").push(column).push(", LENGTH(");
                    query.push(column).push(") - CAST(").push_bind(chars);
                    query.push(" AS INTEGER) + 1) = ").push_bind(value.clone());
                    query.push(")");
                }
            }
        }
    }
}
