//! Parts of lists, and the text that lists are searched by.
//!
//! A page is found by walking an index in the order of its list: [`page_query`] asks the index for ids alone,
//! and reads the rows of those. However deep a page lies, no other row is touched. Where the walk passes over
//! nothing, it reads the rows as it goes, which is easier to plan.

use ringtrip_model::AccountId;

use crate::Store;
use crate::accounts::{self, Counter};
use crate::db::{Column, Conn, QueryBuilder, Reads, Row};
use crate::error::StoreError;
use crate::row;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Counted from 1; 0 reads as 1.
    pub number: u32,
    /// How many items a part has.
    pub size: u32,
}

impl Page {
    pub(crate) fn limit(self) -> i64 {
        i64::from(self.size)
    }

    pub(crate) fn offset(self) -> i64 {
        i64::from(self.number.saturating_sub(1)).saturating_mul(i64::from(self.size))
    }

    /// Adds to a query that it is this part that is wanted.
    pub(crate) fn push_onto(self, query: &mut QueryBuilder) {
        query.push(" LIMIT ").push_bind(self.limit());
        query.push(" OFFSET ").push_bind(self.offset());
    }

    fn is_head(self) -> bool {
        self.offset() == 0 && self.size > 0
    }

    /// The way to the first part of any list.
    fn head(self) -> Walk {
        Walk {
            backwards: false,
            limit: self.limit(),
            offset: 0,
        }
    }

    /// Finds the way to the page in a list of so many items, from whichever end of the list is nearer;
    /// nothing if it lies past the end.
    pub(crate) fn walk(self, total: u64) -> Option<Walk> {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let left = total.checked_sub(self.offset()).filter(|left| *left > 0)?;
        let limit = self.limit().min(left);
        let behind = left - limit;
        Some(if behind < self.offset() {
            Walk {
                backwards: true,
                limit,
                offset: behind,
            }
        } else {
            Walk {
                backwards: false,
                limit,
                offset: self.offset(),
            }
        })
    }
}

/// The column that says how long a list is.
const TOTAL: &str = "length_of_list";

/// How many rows are few: as many as are cheaper to find and sort than to meet on a walk.
pub(crate) const NARROW: u64 = 1000;

/// The way to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Whether to go against the order of the list.
    pub(crate) backwards: bool,
    /// How many items to take.
    pub(crate) limit: i64,
    /// How many items to pass over before.
    pub(crate) offset: i64,
}

/// Makes the query of one page. `walked` is the order in which the index is walked, `order` that of the list;
/// `narrow` adds the conditions, which are `exact` if the index has just the rows that meet them side by side.
pub(crate) fn page_query(
    table: &'static str,
    walked: &'static str,
    order: &'static str,
    walk: Walk,
    exact: bool,
    narrow: impl FnOnce(&mut QueryBuilder),
) -> QueryBuilder {
    let mut query = QueryBuilder::new("SELECT * FROM ");
    if exact && walk.offset == 0 && !walk.backwards {
        query.push(table);
        narrow(&mut query);
        query.push(walked).push(" LIMIT ").push_bind(walk.limit);
        return query;
    }
    query
        .push(table)
        .push(" WHERE id IN (SELECT id FROM ")
        .push(table);
    narrow(&mut query);
    query.push(walked).push(" LIMIT ").push_bind(walk.limit);
    query.push(" OFFSET ").push_bind(walk.offset).push(")");
    query.push(order);
    query
}

/// One part of a list, and how long the whole list is; both as of the same instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items of the part; empty past the end.
    pub items: Vec<T>,
    /// How many items all parts have together.
    pub total: u64,
}

impl<T> Listing<T> {
    pub(crate) const fn empty() -> Self {
        Self {
            items: Vec::new(),
            total: 0,
        }
    }
}

/// How long a list is.
pub(crate) enum Length {
    /// As a counter of the account says.
    Counted(Counter),
    /// As this query finds.
    Query(QueryBuilder),
    /// As this query finds, and the best way to a part depends on it.
    First(QueryBuilder),
    /// As this query finds, which looks at every row of the account, as the way to a part may have to.
    Sought(QueryBuilder),
}

impl Length {
    fn query(self, account: AccountId) -> QueryBuilder {
        match self {
            Self::Counted(counter) => accounts::counter_query(account, counter),
            Self::Query(query) | Self::First(query) | Self::Sought(query) => query,
        }
    }
}

impl Store {
    /// Reads one part of a list, and how long the whole list is. `part` makes the query of the part, unless it
    /// lies past the end, of a list that is so long at most; `read` reads a row of it.
    pub(crate) async fn list<T>(
        &self,
        doing: &'static str,
        account: AccountId,
        length: Length,
        page: Page,
        part: impl Fn(u64, Walk) -> QueryBuilder,
        read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Listing<T>, StoreError> {
        let failed = StoreError::while_doing(doing);
        let is_head = page.is_head() && !matches!(length, Length::First(_));
        let reads = if is_head { Reads::Once } else { Reads::Several };
        let mut snapshot = self.snapshot(doing, account, reads).await?;
        let found = if is_head {
            find_head(&mut snapshot, account, length, page, part).await
        } else {
            find_part(&mut snapshot, account, length, page, part).await
        };
        let (total, rows) = found.map_err(failed)?;
        snapshot.end().await.map_err(failed)?;
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Listing {
            items,
            total: row::count(total),
        })
    }

    /// Reads one part of what an account has in a table, in an order, as far as `narrow` lets it in.
    pub(crate) async fn list_table<T>(
        &self,
        doing: &'static str,
        account: AccountId,
        (table, order): (&'static str, &'static str),
        page: Page,
        narrow: impl Fn(&mut QueryBuilder),
        read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Listing<T>, StoreError> {
        let narrowed = |select| {
            let mut query = QueryBuilder::new(select);
            query.push(" FROM ").push(table);
            query
                .push(" WHERE account_id = ")
                .push_bind(account.to_string());
            narrow(&mut query);
            query
        };
        let part = |_, _| {
            let mut query = narrowed("SELECT *");
            query.push(" ORDER BY ").push(order);
            page.push_onto(&mut query);
            query
        };
        let length = Length::Query(narrowed("SELECT COUNT(*)"));
        self.list(doing, account, length, page, part, read).await
    }
}

/// Reads the first part of a list, and how long it is: the part is where it is however long the list is, and is
/// empty only where the list is. One statement reads both.
async fn find_head(
    conn: &mut Conn,
    account: AccountId,
    length: Length,
    page: Page,
    part: impl Fn(u64, Walk) -> QueryBuilder,
) -> Result<(i64, Vec<Row>), sqlx::Error> {
    let query = || part(u64::MAX, page.head());
    if matches!(length, Length::Sought(_)) {
        let rows = query().build().fetch_all(conn).await?;
        let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        // A part that is not full is the whole list.
        if total < page.limit() {
            return Ok((total, rows));
        }
    }
    let query = query().with_column(TOTAL, length.query(account));
    let rows = query.build().fetch_all(conn).await?;
    let total = rows.first().map(|row| i64::read(row, TOTAL)).transpose()?;
    Ok((total.unwrap_or(0), rows))
}

/// Finds out how long a list is, then where the part lies in it, and reads it.
async fn find_part(
    conn: &mut Conn,
    account: AccountId,
    length: Length,
    page: Page,
    part: impl Fn(u64, Walk) -> QueryBuilder,
) -> Result<(i64, Vec<Row>), sqlx::Error> {
    let length = length.query(account).build_query_scalar();
    let total = length.fetch_optional(conn).await?.unwrap_or(0);
    let rows = match page.walk(row::count(total)) {
        Some(walk) => {
            part(row::count(total), walk)
                .build()
                .fetch_all(conn)
                .await?
        }
        None => Vec::new(),
    };
    Ok((total, rows))
}

/// Brings a text into the form in which case does not count.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Makes a `LIKE` pattern that matches any text that holds this one, for use with `ESCAPE '\'`.
pub(crate) fn contains_pattern(text: &str) -> String {
    format!("%{}%", literal(text))
}

/// As [`contains_pattern`], for any text that begins with this one.
pub(crate) fn starts_pattern(text: &str) -> String {
    format!("{}%", literal(text))
}

/// As [`contains_pattern`], for any text that ends with this one.
pub(crate) fn ends_pattern(text: &str) -> String {
    format!("%{}", literal(text))
}

/// Makes the part of a `LIKE` pattern that matches this text and nothing else.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Tells whether a stored text can equal or hold this one at all. What is longer than any stored text,
/// or has the character that none may have, is not worth asking the database for.
pub(crate) fn can_match(text: &str) -> bool {
    !text.contains('\0') && text.len() <= ringtrip_model::MAX_LABEL_CHARS * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_literally() {
        assert_eq!(contains_pattern("a"), "%a%");
        assert_eq!(contains_pattern(r"5%_\"), r"%5\%\_\\%");
        assert_eq!(starts_pattern("_a"), r"\_a%");
        assert_eq!(ends_pattern("a%"), r"%a\%");
    }

    #[test]
    fn the_nearer_end_is_where_a_walk_begins() {
        let walk = |number, total| {
            let page = Page { number, size: 10 };
            page.walk(total)
                .map(|walk| (walk.backwards, walk.offset, walk.limit))
        };
        assert_eq!(walk(1, 0), None);
        assert_eq!(walk(1, 1), Some((false, 0, 1)));
        assert_eq!(walk(1, 100), Some((false, 0, 10)));
        assert_eq!(walk(5, 100), Some((false, 40, 10)));
        assert_eq!(walk(6, 100), Some((true, 40, 10)));
        assert_eq!(walk(10, 100), Some((true, 0, 10)));
        assert_eq!(walk(10, 95), Some((true, 0, 5)));
        assert_eq!(walk(10, 90), None);
        assert_eq!(walk(u32::MAX, 100), None);
    }

    #[test]
    fn the_last_page_does_not_overflow() {
        let page = Page {
            number: u32::MAX,
            size: u32::MAX,
        };
        assert!(page.offset() > 0);
        assert_eq!(Page { number: 0, size: 5 }.offset(), 0);
        assert_eq!(Page { number: 3, size: 5 }.offset(), 10);
    }
}
