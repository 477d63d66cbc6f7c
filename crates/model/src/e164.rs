//! Telephone numbers in international form, and what can be told from their digits alone: the country
//! and the kind of line.
//!
//! The table is of the assignments of ITU-T E.164 and of the North American Numbering Plan as they
//! stood in the autumn of 2026. It is honest about its limits: digits that are assigned to no single
//! country (satellites, universal freephone, area codes without a place) have none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::words::words;

/// A telephone number in international form: `+` and 7 to 15 digits (ITU-T E.164), of which the first
/// is no zero. A number that begins with `+1` has eleven, as the North American plan wants.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(String);

/// Why a text is not a telephone number in international form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a telephone number in +E.164 format, such as +13125550123")]
pub struct E164Error;

impl FromStr for E164 {
    type Err = E164Error;

    fn from_str(text: &str) -> Result<Self, E164Error> {
        let digits = text.strip_prefix('+').ok_or(E164Error)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        if !plain || !(7..=15).contains(&digits.len()) || digits.starts_with('0') {
            return Err(E164Error);
        }
        if let Some(national) = digits.strip_prefix('1') {
            let bytes = national.as_bytes();
            // NXX NXX XXXX, where N is 2 to 9.
            if bytes.len() != 10 || bytes[0] < b'2' || bytes[3] < b'2' {
                return Err(E164Error);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl E164 {
    /// Returns the number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the digits without the `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// Tells which country the number belongs to; nothing where its digits do not say.
    ///
    /// A North American toll-free number reaches the whole continent and counts as one of the United
    /// States. North American premium and personal numbers (900, 5xx, 700) have no country.
    pub fn country(&self) -> Option<Country> {
        let digits = self.digits();
        let alpha2 = match digits.strip_prefix('1') {
            Some(national) => north_american_country(national[..3].parse().ok()?)?,
            None => (1..=LONGEST_PREFIX.min(digits.len()))
                .rev()
                .find_map(|length| {
                    let found =
                        PREFIXES.binary_search_by_key(&&digits[..length], |(prefix, _)| *prefix);
                    found.ok().map(|index| PREFIXES[index].1)
                })?,
        };
        Country::from_alpha2(alpha2)
    }

    /// Tells what kind of line the number is, as far as its digits say; [`PhoneNumberType::Local`]
    /// where they do not.
    pub fn number_type(&self) -> PhoneNumberType {
        let digits = self.digits();
        TYPES
            .iter()
            .flat_map(|(kind, prefixes)| prefixes.iter().map(move |prefix| (prefix, *kind)))
            .filter(|(prefix, _)| digits.starts_with(**prefix))
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(PhoneNumberType::Local, |(_, kind)| kind)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows the number of digits only: a number names a person.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({} digits)", self.digits().len())
    }
}

/// A country by its code of two letters (ISO 3166-1 alpha-2, and XK for Kosovo).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(&'static str);

impl Country {
    /// Finds a country by its two capital letters.
    pub fn from_alpha2(alpha2: &str) -> Option<Self> {
        let index = COUNTRIES.binary_search(&alpha2).ok()?;
        Some(Self(COUNTRIES[index]))
    }

    /// Returns the two letters.
    pub const fn alpha2(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.0)
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let alpha2 = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::from_alpha2(&alpha2)
            .ok_or_else(|| serde::de::Error::custom("not the two letters of a country"))
    }
}

words! {
    /// What kind of line a number is.
    PhoneNumberType {
        /// Of a place.
        Local = "local",
        /// Free for the caller.
        TollFree = "toll_free",
        /// Of a mobile network.
        Mobile = "mobile",
        /// Of a country, and of no place in it.
        National = "national",
        /// Paid by both sides.
        SharedCost = "shared_cost",
    }
}

/// Tells which country an area code of the North American Numbering Plan (country code 1) is in.
#[rustfmt::skip]
const fn north_american_country(area: u16) -> Option<&'static str> {
    Some(match area {
        // Canada; the 6xx with equal digits are its own services.
        204 | 226 | 236 | 249 | 250 | 257 | 263 | 273 | 289 | 306 | 343 | 354 | 365 | 367 | 368 | 382 | 403
        | 416 | 418 | 428 | 431 | 437 | 438 | 450 | 468 | 474 | 506 | 514 | 519 | 548 | 579 | 581 | 584
        | 587 | 600 | 604 | 613 | 622 | 633 | 639 | 644 | 647 | 655 | 672 | 677 | 683 | 688 | 705 | 709
        | 742 | 753 | 778 | 780 | 782 | 807 | 819 | 825 | 867 | 873 | 879 | 902 | 905 | 942 => "CA",
        // The Caribbean and the Atlantic.
        242 => "BS",
        246 => "BB",
        264 => "AI",
        268 => "AG",
        284 => "VG",
        345 => "KY",
        441 => "BM",
        473 => "GD",
        649 => "TC",
        658 | 876 => "JM",
        664 => "MS",
        721 => "SX",
        758 => "LC",
        767 => "DM",
        784 => "VC",
        809 | 829 | 849 => "DO",
        868 => "TT",
        869 => "KN",
        // Territories of the United States with country codes of their own.
        340 => "VI",
        670 => "MP",
        671 => "GU",
        684 => "AS",
        787 | 939 => "PR",
        // Toll-free.
        800 | 822 | 833 | 844 | 855 | 866 | 877 | 888 => "US",
        // The United States.
        201..=203 | 205..=210 | 212..=220 | 223..=225 | 227..=229 | 231 | 234 | 235 | 239 | 240 | 248
        | 251..=254 | 256 | 260 | 262 | 267 | 269 | 270 | 272 | 274 | 276 | 279 | 281 | 283 | 301..=305
        | 307..=310 | 312..=321 | 323..=327 | 329..=332 | 334 | 336 | 337 | 339 | 341 | 346 | 347 | 350..=353
        | 357 | 360 | 361 | 363 | 364 | 369 | 380 | 385 | 386 | 401 | 402 | 404..=410 | 412..=415 | 417 | 419
        | 423..=425 | 430 | 432 | 434..=436 | 440 | 442 | 443 | 445 | 447 | 448 | 457 | 458 | 463..=465
        | 469..=472 | 475 | 478..=480 | 483 | 484 | 501..=505 | 507..=510 | 512 | 513 | 515..=518 | 520 | 530
        | 531 | 534 | 539..=541 | 551 | 557 | 559 | 561..=564 | 567 | 570..=575 | 580 | 582 | 585 | 586
        | 601..=603 | 605..=610 | 612 | 614..=621 | 623 | 624 | 626 | 628..=631 | 636 | 640 | 641 | 645 | 646
        | 650 | 651 | 656 | 657 | 659..=662 | 667 | 669 | 678..=682 | 686 | 689 | 701..=704 | 706..=708
        | 712..=720 | 724..=732 | 734 | 737 | 738 | 740 | 743 | 747 | 748 | 754 | 757 | 760 | 762 | 763 | 765
        | 769..=775 | 779 | 781 | 785 | 786 | 801..=806 | 808 | 810 | 812..=818 | 820 | 821 | 826 | 828
        | 830..=832 | 835 | 837..=840 | 843 | 845 | 847 | 848 | 850 | 854 | 856..=865 | 870 | 872 | 878 | 901
        | 903 | 904 | 906..=910 | 912..=920 | 924 | 925 | 928..=931 | 934 | 936..=938 | 940 | 941 | 943 | 945
        | 947..=949 | 951 | 952 | 954 | 956 | 959 | 970..=973 | 975 | 978..=980 | 983..=986 | 989 => "US",
        _ => return None,
    })
}

/// The digits of the longest prefix in [`PREFIXES`].
const LONGEST_PREFIX: usize = 7;

/// Which digits belong to which country outside North America, in the order of the text; the longest
/// prefix counts. Saint Barthélemy and Saint Martin share their numbers with Guadeloupe.
#[rustfmt::skip]
const PREFIXES: &[(&str, &str)] = &[
    ("20", "EG"), ("211", "SS"), ("212", "MA"), ("2125288", "EH"), ("2125289", "EH"), ("213", "DZ"),
    ("216", "TN"), ("218", "LY"), ("220", "GM"), ("221", "SN"), ("222", "MR"), ("223", "ML"), ("224", "GN"),
    ("225", "CI"), ("226", "BF"), ("227", "NE"), ("228", "TG"), ("229", "BJ"), ("230", "MU"), ("231", "LR"),
    ("232", "SL"), ("233", "GH"), ("234", "NG"), ("235", "TD"), ("236", "CF"), ("237", "CM"), ("238", "CV"),
    ("239", "ST"), ("240", "GQ"), ("241", "GA"), ("242", "CG"), ("243", "CD"), ("244", "AO"), ("245", "GW"),
    ("246", "IO"), ("247", "AC"), ("248", "SC"), ("249", "SD"), ("250", "RW"), ("251", "ET"), ("252", "SO"),
    ("253", "DJ"), ("254", "KE"), ("255", "TZ"), ("256", "UG"), ("257", "BI"), ("258", "MZ"), ("260", "ZM"),
    ("261", "MG"), ("262", "RE"), ("262269", "YT"), ("262639", "YT"), ("263", "ZW"), ("264", "NA"), ("265", "MW"),
    ("266", "LS"), ("267", "BW"), ("268", "SZ"), ("269", "KM"), ("27", "ZA"), ("290", "SH"), ("2908", "TA"),
    ("291", "ER"), ("297", "AW"), ("298", "FO"), ("299", "GL"), ("30", "GR"), ("31", "NL"), ("32", "BE"),
    ("33", "FR"), ("34", "ES"), ("350", "GI"), ("351", "PT"), ("352", "LU"), ("353", "IE"), ("354", "IS"),
    ("355", "AL"), ("356", "MT"), ("357", "CY"), ("358", "FI"), ("35818", "AX"), ("359", "BG"), ("36", "HU"),
    ("370", "LT"), ("371", "LV"), ("372", "EE"), ("373", "MD"), ("374", "AM"), ("375", "BY"), ("376", "AD"),
    ("377", "MC"), ("378", "SM"), ("379", "VA"), ("380", "UA"), ("381", "RS"), ("382", "ME"), ("383", "XK"),
    ("385", "HR"), ("386", "SI"), ("387", "BA"), ("389", "MK"), ("39", "IT"), ("3906698", "VA"), ("40", "RO"),
    ("41", "CH"), ("420", "CZ"), ("421", "SK"), ("423", "LI"), ("43", "AT"), ("44", "GB"), ("441481", "GG"),
    ("441534", "JE"), ("441624", "IM"), ("4474576", "IM"), ("447509", "JE"), ("447524", "IM"), ("447624", "IM"),
    ("4477003", "JE"), ("4477007", "JE"), ("4477008", "JE"), ("447781", "GG"), ("447797", "JE"), ("447829", "JE"),
    ("447839", "GG"), ("4479111", "GG"), ("4479117", "GG"), ("447924", "IM"), ("447937", "JE"), ("45", "DK"),
    ("46", "SE"), ("47", "NO"), ("4779", "SJ"), ("48", "PL"), ("49", "DE"), ("500", "FK"), ("501", "BZ"),
    ("502", "GT"), ("503", "SV"), ("504", "HN"), ("505", "NI"), ("506", "CR"), ("507", "PA"), ("508", "PM"),
    ("509", "HT"), ("51", "PE"), ("52", "MX"), ("53", "CU"), ("54", "AR"), ("55", "BR"), ("56", "CL"),
    ("57", "CO"), ("58", "VE"), ("590", "GP"), ("591", "BO"), ("592", "GY"), ("593", "EC"), ("594", "GF"),
    ("595", "PY"), ("596", "MQ"), ("597", "SR"), ("598", "UY"), ("5993", "BQ"), ("5994", "BQ"), ("5996", "CW"),
    ("5997", "BQ"), ("5999", "CW"), ("60", "MY"), ("61", "AU"), ("6189162", "CC"), ("6189164", "CX"),
    ("62", "ID"), ("63", "PH"), ("64", "NZ"), ("65", "SG"), ("66", "TH"), ("670", "TL"), ("6721", "AQ"),
    ("6723", "NF"), ("673", "BN"), ("674", "NR"), ("675", "PG"), ("676", "TO"), ("677", "SB"), ("678", "VU"),
    ("679", "FJ"), ("680", "PW"), ("681", "WF"), ("682", "CK"), ("683", "NU"), ("685", "WS"), ("686", "KI"),
    ("687", "NC"), ("688", "TV"), ("689", "PF"), ("690", "TK"), ("691", "FM"), ("692", "MH"), ("7", "RU"),
    ("76", "KZ"), ("77", "KZ"), ("81", "JP"), ("82", "KR"), ("84", "VN"), ("850", "KP"), ("852", "HK"),
    ("853", "MO"), ("855", "KH"), ("856", "LA"), ("86", "CN"), ("880", "BD"), ("886", "TW"), ("90", "TR"),
    ("91", "IN"), ("92", "PK"), ("93", "AF"), ("94", "LK"), ("95", "MM"), ("960", "MV"), ("961", "LB"),
    ("962", "JO"), ("963", "SY"), ("964", "IQ"), ("965", "KW"), ("966", "SA"), ("967", "YE"), ("968", "OM"),
    ("970", "PS"), ("971", "AE"), ("972", "IL"), ("973", "BH"), ("974", "QA"), ("975", "BT"), ("976", "MN"),
    ("977", "NP"), ("98", "IR"), ("992", "TJ"), ("993", "TM"), ("994", "AZ"), ("995", "GE"), ("996", "KG"),
    ("998", "UZ"),
];

/// Every country of ISO 3166-1, and the codes that are used beside it for Kosovo, Ascension and Tristan
/// da Cunha, which have numbers of their own; in the order of the text.
#[rustfmt::skip]
const COUNTRIES: &[&str] = &[
    "AC", "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA",
    "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW",
    "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW",
    "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ",
    "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR",
    "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ",
    "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ",
    "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH",
    "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC",
    "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL",
    "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE",
    "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TA", "TC",
    "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM",
    "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "XK", "YE", "YT", "ZA", "ZM", "ZW",
];

/// Which digits tell what kind of line a number is; the longest prefix counts.
#[rustfmt::skip]
const TYPES: &[(PhoneNumberType, &[&str])] = &[
    (PhoneNumberType::TollFree, &[
        "1800", "1822", "1833", "1844", "1855", "1866", "1877", "1888", "2780", "31800", "32800", "33800", "33801",
        "33802", "33803", "33804", "33805", "34800", "34900", "3531800", "39800", "39803", "41800", "43800", "44800",
        "44808", "4580", "4620", "47800", "48800", "49800", "52800", "55800", "611800", "64508", "64800", "651800",
        "800", "81120", "81800", "852800", "86800", "911800", "971800", "9721800",
    ]),
    (PhoneNumberType::Mobile, &[
        "276", "277", "278", "316", "32455", "32456", "3246", "3247", "3248", "3249", "336", "337", "346", "347",
        "3538", "393", "4174", "4175", "4176", "4177", "4178", "4179", "43650", "4366", "4367", "4368", "4369", "447",
        "4670", "4672", "4673", "4676", "4679", "474", "479", "4845", "4850", "4851", "4853", "4857", "4860",
        "4866", "4869", "4872", "4873", "4878", "4879", "4888", "4915", "4916", "4917", "614", "642", "658",
        "659", "8170", "8180", "8190", "8525", "8526", "8529", "8613", "8614", "8615", "8616", "8617", "8618",
        "8619", "919", "9715", "9725",
    ]),
    (PhoneNumberType::National, &[
        "2787", "3184", "3185", "3188", "339", "353818", "39199", "4158", "43720", "443", "4455", "4456", "4470",
        "4932", "49700", "653", "8150",
    ]),
    (PhoneNumberType::SharedCost, &[
        "2786", "3278", "3381", "3382", "3389", "34901", "34902", "3531850", "3531890", "39840", "39841", "39847",
        "39848", "4184", "43810", "43820", "4484", "4487", "4677", "48801", "49180", "6113", "808", "86400",
        "971600",
    ]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> E164 {
        text.parse()
            .unwrap_or_else(|_| panic!("{text} is a number"))
    }

    #[test]
    fn numbers_have_a_plus_and_seven_to_fifteen_digits() {
        for good in [
            "+13125550123",
            "+4930901820",
            "+442079460000",
            "+6834000",
            "+861012345678",
            "+881612345678",
            "+223456789012345",
        ] {
            assert_eq!(number(good).to_string(), good);
        }
        for bad in [
            "",
            "+",
            "13125550123",
            "0013125550123",
            "+0123456789",
            "+123456",
            "+1234567890123456",
            "+1 312 555 0123",
            "+1312555012",
            "+131255501234",
            "+11125550123",
            "+13121550123",
            "+1312555012x",
            "+٣١٢٥٥٥٠١٢٣",
            "++3125550123",
            "+4930901820 ",
            "sip:+13125550123",
        ] {
            assert_eq!(bad.parse::<E164>(), Err(E164Error), "{bad}");
        }
    }

    #[test]
    fn the_united_states_canada_and_the_caribbean_are_told_apart() {
        for (text, country) in [
            ("+13125550123", Some("US")),
            ("+12125550123", Some("US")),
            ("+19075550123", Some("US")),
            ("+18085550123", Some("US")),
            ("+16795550123", Some("US")),
            ("+14165550123", Some("CA")),
            ("+16045550123", Some("CA")),
            ("+18675550123", Some("CA")),
            ("+16005550123", Some("CA")),
            ("+18765550123", Some("JM")),
            ("+16585550123", Some("JM")),
            ("+18095550123", Some("DO")),
            ("+18295550123", Some("DO")),
            ("+18495550123", Some("DO")),
            ("+12425550123", Some("BS")),
            ("+12465550123", Some("BB")),
            ("+12645550123", Some("AI")),
            ("+12685550123", Some("AG")),
            ("+12845550123", Some("VG")),
            ("+13455550123", Some("KY")),
            ("+14415550123", Some("BM")),
            ("+14735550123", Some("GD")),
            ("+16495550123", Some("TC")),
            ("+16645550123", Some("MS")),
            ("+17215550123", Some("SX")),
            ("+17585550123", Some("LC")),
            ("+17675550123", Some("DM")),
            ("+17845550123", Some("VC")),
            ("+18685550123", Some("TT")),
            ("+18695550123", Some("KN")),
            ("+17875550123", Some("PR")),
            ("+19395550123", Some("PR")),
            ("+13405550123", Some("VI")),
            ("+16715550123", Some("GU")),
            ("+16705550123", Some("MP")),
            ("+16845550123", Some("AS")),
            ("+18005550123", Some("US")),
            // No place has these.
            ("+15555550123", None),
            ("+19005550123", None),
            ("+15005550123", None),
            ("+17005550123", None),
            ("+12115550123", None),
            ("+19115550123", None),
        ] {
            assert_eq!(
                number(text).country().map(Country::alpha2),
                country,
                "{text}"
            );
        }
    }

    #[test]
    fn countries_that_share_a_code_are_told_apart() {
        for (text, country) in [
            ("+442079460000", Some("GB")),
            ("+441481720000", Some("GG")),
            ("+441534720000", Some("JE")),
            ("+441624720000", Some("IM")),
            ("+447911123456", Some("GG")),
            ("+447911223456", Some("GB")),
            ("+74951234567", Some("RU")),
            ("+77012345678", Some("KZ")),
            ("+390612345678", Some("IT")),
            ("+390669812345", Some("VA")),
            ("+4721234567", Some("NO")),
            ("+4779123456", Some("SJ")),
            ("+212522123456", Some("MA")),
            ("+212528812345", Some("EH")),
            ("+262262123456", Some("RE")),
            ("+262639123456", Some("YT")),
            ("+358181234567", Some("AX")),
            ("+35891234567", Some("FI")),
            ("+59991234567", Some("CW")),
            ("+5997123456", Some("BQ")),
            ("+5991234567", None),
            ("+29081234", Some("TA")),
            ("+29021234", Some("SH")),
            ("+61891641234", Some("CX")),
            ("+61212345678", Some("AU")),
            ("+672312345", Some("NF")),
            ("+38344123456", Some("XK")),
            ("+4930901820", Some("DE")),
            ("+33123456789", Some("FR")),
            // Satellites, universal numbers and codes that nobody has.
            ("+881612345678", None),
            ("+882161234567", None),
            ("+80012345678", None),
            ("+97912345678", None),
            ("+21012345678", None),
            ("+99912345678", None),
        ] {
            assert_eq!(
                number(text).country().map(Country::alpha2),
                country,
                "{text}"
            );
        }
    }

    #[test]
    fn the_kind_of_a_line_is_told_where_its_digits_say_so() {
        for (text, kind) in [
            ("+13125550123", PhoneNumberType::Local),
            ("+18885550123", PhoneNumberType::TollFree),
            ("+447700900123", PhoneNumberType::Mobile),
            ("+447012345678", PhoneNumberType::National),
            ("+443001234567", PhoneNumberType::National),
            ("+448081570000", PhoneNumberType::TollFree),
            ("+448451234567", PhoneNumberType::SharedCost),
            ("+442079460000", PhoneNumberType::Local),
            ("+4915112345678", PhoneNumberType::Mobile),
            ("+4930901820", PhoneNumberType::Local),
            ("+353818123456", PhoneNumberType::National),
            ("+353861234567", PhoneNumberType::Mobile),
            ("+8613812345678", PhoneNumberType::Mobile),
            ("+861012345678", PhoneNumberType::Local),
            ("+80012345678", PhoneNumberType::TollFree),
        ] {
            assert_eq!(number(text).number_type(), kind, "{text}");
        }
    }

    #[test]
    fn the_tables_are_in_order_and_name_countries_that_exist() {
        assert!(PREFIXES.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(COUNTRIES.is_sorted_by(|a, b| a < b));
        for (prefix, country) in PREFIXES {
            assert!(prefix.len() <= LONGEST_PREFIX, "{prefix}");
            assert!(!prefix.starts_with(['0', '1']), "{prefix}");
            assert!(Country::from_alpha2(country).is_some(), "{country}");
        }
        for area in 0..1000 {
            if let Some(country) = north_american_country(area) {
                assert!((200..1000).contains(&area));
                assert!(Country::from_alpha2(country).is_some(), "{country}");
            }
        }
        let mut kinds: Vec<_> = TYPES.iter().flat_map(|(_, prefixes)| *prefixes).collect();
        let all = kinds.len();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), all);
    }

    #[test]
    fn countries_are_written_in_capitals() {
        assert_eq!(Country::from_alpha2("DE").map(Country::alpha2), Some("DE"));
        for bad in ["", "D", "de", "DEU", "ZZ", "EU", "UK"] {
            assert_eq!(Country::from_alpha2(bad), None, "{bad}");
        }
        assert_eq!(format!("{:?}", number("+13125550123")), "E164(11 digits)");
    }
}
