//! Pagination and sorting of lists.

use ringtrip_store::Page;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{ApiError, Place};
use crate::query::Query;

/// The largest page.
pub(crate) const MAX_SIZE: u32 = 250;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRequest {
    /// Counted from 1.
    pub(crate) number: u32,
    /// Rows on a page, 1 to 250.
    pub(crate) size: u32,
}

impl PageRequest {
    /// Reads `page[number]` and `page[size]`. Their aliases `page_number` and `page_size` win, since
    /// one SDK asks for the next page with an alias beside the stale bracket form.
    ///
    /// # Errors
    ///
    /// 400 for what is no whole number in range.
    pub(crate) fn read(query: &Query, default_size: u32) -> Result<Self, ApiError> {
        Self::read_up_to(query, default_size, MAX_SIZE)
    }

    /// As [`PageRequest::read`], for lists whose pages may not be as large.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn read_up_to(
        query: &Query,
        default_size: u32,
        max_size: u32,
    ) -> Result<Self, ApiError> {
        let one = |alias, name, pointer: &'static str, default, max: u32| {
            let Some(text) = query.get(alias).or_else(|| query.get(name)) else {
                return Ok(default);
            };
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            match text.parse() {
                Ok(value) if plain && (1..=max).contains(&value) => Ok(value),
                _ => Err(ApiError::InvalidQuery {
                    place: Place::Pointer(pointer.into()),
                    detail: format!("{name} must be a whole number from 1 to {max}."),
                }),
            }
        };
        Ok(Self {
            number: one("page_number", "page[number]", "page/number", 1, u32::MAX)?,
            size: one(
                "page_size",
                "page[size]",
                "page/size",
                default_size,
                max_size,
            )?,
        })
    }

    /// Describes the page that was found: `total_pages` is 0 when there is nothing at all.
    pub(crate) fn meta(self, total_results: u64) -> Meta {
        Meta {
            page_number: self.number,
            page_size: self.size,
            total_pages: total_results.div_ceil(u64::from(self.size)),
            total_results,
        }
    }
}

/// The `meta` of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PaginationMeta")]
pub(crate) struct Meta {
    page_number: u32,
    page_size: u32,
    total_pages: u64,
    total_results: u64,
}

/// A field that a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort<T> {
    /// The field.
    pub(crate) by: T,
    /// Whether the greatest is first.
    pub(crate) descending: bool,
}

/// How many fields a list can be sorted by at once.
const MAX_SORTS: usize = 4;

/// Reads `sort`: one of `fields`, and whether `-` stands before it, for the greatest first.
///
/// # Errors
///
/// 400 with the pointer `/sort` for any other value.
pub(crate) fn read_sort<T: Copy>(
    query: &Query,
    fields: &[(&str, T)],
) -> Result<Option<(T, bool)>, ApiError> {
    let Some(text) = query.get("sort").or_else(|| query.get("sort[]")) else {
        return Ok(None);
    };
    let Sort { by, descending } = one_sort(text, fields)?;
    Ok(Some((by, descending)))
}

/// Reads `sort` or `sort[]`: as [`read_sort`], but several, in a list with commas or repeated.
///
/// # Errors
///
/// 400 with the pointer `/sort` for any other value, and for more than four.
pub(crate) fn read_sorts<T: Copy>(
    query: &Query,
    fields: &[(&str, T)],
) -> Result<Vec<Sort<T>>, ApiError> {
    let texts = query.all("sort").chain(query.all("sort[]"));
    let sorts: Vec<_> = texts
        .flat_map(|text| text.split(','))
        .take(MAX_SORTS + 1)
        .map(|text| one_sort(text, fields))
        .collect::<Result<_, _>>()?;
    if sorts.len() > MAX_SORTS {
        return Err(ApiError::InvalidQuery {
            place: Place::Pointer("/sort".into()),
            detail: format!("A list can be sorted by at most {MAX_SORTS} fields."),
        });
    }
    Ok(sorts)
}

fn one_sort<T: Copy>(text: &str, fields: &[(&str, T)]) -> Result<Sort<T>, ApiError> {
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    match fields.iter().find(|(field, _)| *field == name) {
        Some((_, by)) => Ok(Sort {
            by: *by,
            descending,
        }),
        None => {
            let known: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
            Err(ApiError::InvalidQuery {
                place: Place::Pointer("/sort".into()),
                detail: format!(
                    "sort must be one of {}, optionally with - before it.",
                    known.join(", ")
                ),
            })
        }
    }
}

impl From<PageRequest> for Page {
    fn from(page: PageRequest) -> Self {
        Self {
            number: page.number,
            size: page.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<(u32, u32), String> {
        let read = PageRequest::read(&Query::parse(raw).unwrap(), 50);
        if let Err(ApiError::InvalidQuery {
            place: Place::Pointer(pointer),
            ..
        }) = read
        {
            return Err(pointer.into_owned());
        }
        let page = read.unwrap();
        Ok((page.number, page.size))
    }

    #[test]
    fn reads_both_spellings_and_lets_the_alias_win() {
        for (raw, expected) in [
            ("", (1, 50)),
            ("page[number]=3&page[size]=250", (3, 250)),
            ("page%5Bnumber%5D=3", (3, 50)),
            ("page_number=2&page[number]=1", (2, 50)),
            ("page[size]=10&page_size=20", (1, 20)),
            ("page[number]=4294967295", (u32::MAX, 50)),
        ] {
            assert_eq!(read(raw), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        for bad in [
            "0",
            "-1",
            "+1",
            "1.5",
            "",
            "abc",
            "4294967296",
            "99999999999999999999",
            "1%20",
        ] {
            assert_eq!(
                read(&format!("page[number]={bad}")),
                Err("page/number".to_owned()),
                "{bad}"
            );
        }
        for bad in ["0", "251", "1e3", "', DROP TABLE x"] {
            assert_eq!(
                read(&format!("page_size={bad}")),
                Err("page/size".to_owned()),
                "{bad}"
            );
        }
    }

    #[test]
    fn meta_is_honest() {
        let page = PageRequest {
            number: 1,
            size: 20,
        };
        for (total, pages) in [(0, 0), (1, 1), (20, 1), (21, 2)] {
            assert_eq!(page.meta(total).total_pages, pages);
        }
    }

    #[test]
    fn sorts_by_known_fields_only() {
        let sort = |raw| {
            read_sort(
                &Query::parse(raw).unwrap(),
                &[("created_at", 'c'), ("active", 'a')],
            )
        };
        assert_eq!(sort("").unwrap(), None);
        assert_eq!(sort("sort=active").unwrap(), Some(('a', false)));
        assert_eq!(sort("sort=-created_at").unwrap(), Some(('c', true)));
        assert!(matches!(
            sort("sort=password"),
            Err(ApiError::InvalidQuery { .. })
        ));
        assert!(matches!(
            sort("sort=--active"),
            Err(ApiError::InvalidQuery { .. })
        ));
    }

    #[test]
    fn sorts_by_several_fields_at_once() {
        let sorts = |raw| {
            let sorts = read_sorts(&Query::parse(raw).unwrap(), &[("a", 'a'), ("b", 'b')]);
            let sorts = sorts.map_err(|_| ())?;
            Ok(sorts
                .into_iter()
                .map(|sort| (sort.by, sort.descending))
                .collect::<Vec<_>>())
        };
        assert_eq!(sorts(""), Ok(vec![]));
        assert_eq!(sorts("sort=a"), Ok(vec![('a', false)]));
        let both = Ok(vec![('b', true), ('a', false)]);
        assert_eq!(sorts("sort[]=-b,a"), both);
        assert_eq!(sorts("sort[]=-b&sort[]=a"), both);
        for bad in ["sort=", "sort=c", "sort=a,", "sort=a,b,a,b,a"] {
            assert_eq!(sorts(bad), Err(()), "{bad}");
        }
    }
}
