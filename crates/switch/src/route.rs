//! What was dialled, and whether the caller may reach it.

use std::borrow::Cow;
use std::sync::Arc;

use ringtrip_model::{
    AudioCodec, CallingPreference, Destination, HangupCause, LegParty, OfferedMedia, Route,
    SessionId,
};

/// The longest destination we read, in bytes.
pub(crate) const MAX_DESTINATION_BYTES: usize = 256;
/// The longest user name we look up, in bytes.
const MAX_USER_BYTES: usize = 128;
/// The most digits of a number (ITU-T E.164 §6).
const MAX_NUMBER_DIGITS: usize = 15;

/// Reads what a party dialled.
///
/// Takes a user name, a telephone number with the usual separators, `user@host`, and the URIs
/// `sip:`, `sips:` (RFC 3261 §19.1.1, with port, parameters and headers, which are passed over) and
/// `tel:` (RFC 3966). `domains` are the hosts that are ours, lower-case. Digits alone are a number:
/// every user name has a letter among its first five characters.
pub fn parse_destination(text: &str, domains: &[String]) -> Destination {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_DESTINATION_BYTES || !text.is_ascii() {
        return Destination::Invalid;
    }
    let scheme = text
        .split_once(':')
        .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, rest)) if scheme == "sip" || scheme == "sips" => sip_uri(rest, domains),
        Some((scheme, rest)) if scheme == "tel" => number(until_parameters(rest)),
        Some(_) | None if text.contains('@') => sip_uri(text, domains),
        Some(_) | None => subscriber(text),
    }
}

/// Reads what follows `sip:`.
fn sip_uri(rest: &str, domains: &[String]) -> Destination {
    // A user part may hold `;`, `?` and `/` unescaped, so the host begins after the last `@`.
    let Some((user, host)) = rest.rsplit_once('@') else {
        return Destination::Invalid;
    };
    let Some(host) = host_of(host) else {
        return Destination::Invalid;
    };
    // A password in a URI is never right (RFC 3261 §19.1.1).
    let user = until_parameters(user);
    if user.is_empty() || user.contains(['@', ':']) {
        return Destination::Invalid;
    }
    let Some(user) = percent_decoded(user) else {
        return Destination::Invalid;
    };
    if domains
        .iter()
        .any(|ours| ours.trim_end_matches('.').eq_ignore_ascii_case(host))
    {
        subscriber(&user)
    } else {
        Destination::Foreign
    }
}

/// Returns the host of `host[:port][;parameters][?headers]`, if that is what it is.
fn host_of(text: &str) -> Option<&str> {
    let text = text.split([';', '?']).next().unwrap_or(text);
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']')?;
        (
            host,
            if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix(':')?)
            },
        )
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host = host.trim_end_matches('.');
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_');
    (port_is_one && !host.is_empty() && host.bytes().all(plain)).then_some(host)
}

/// Cuts `;parameters` off.
fn until_parameters(text: &str) -> &str {
    text.split(';').next().unwrap_or(text)
}

/// Undoes `%41`; nothing if an escape is broken or the result is not ASCII.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let code = after
            .get(..2)
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(code, 16).ok().filter(u8::is_ascii)?;
        decoded.push(char::from(byte));
        rest = after.get(2..)?;
    }
    decoded.push_str(rest);
    Some(Cow::Owned(decoded))
}

/// Reads a user name or a number.
fn subscriber(text: &str) -> Destination {
    if text.starts_with('+') || !text.bytes().any(|b| b.is_ascii_alphabetic()) {
        return number(text);
    }
    // RFC 3261 §25.1, `unreserved` and `user-unreserved`.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    if text.len() <= MAX_USER_BYTES && text.bytes().all(plain) {
        Destination::User(text.to_owned())
    } else {
        Destination::Invalid
    }
}

/// Reads a number: an optional `+`, digits, and separators to look at (RFC 3966 §5.1.1).
fn number(text: &str) -> Destination {
    let digits_of = text.strip_prefix('+').unwrap_or(text);
    let mut number = String::from("+");
    for key in digits_of.chars() {
        match key {
            '0'..='9' => number.push(key),
            ' ' | '-' | '.' | '(' | ')' => {}
            _ => return Destination::Invalid,
        }
    }
    if (2..=MAX_NUMBER_DIGITS + 1).contains(&number.len()) {
        Destination::Number(number)
    } else {
        Destination::Invalid
    }
}

/// What a permitted call will do: whom to ring, and with which media.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The callee.
    pub(crate) party: Arc<LegParty>,
    /// The devices to ring, each once, never the calling one.
    pub(crate) devices: Vec<SessionId>,
    /// Audio codecs in the order of the caller's offer; never empty.
    pub(crate) audio: Vec<AudioCodec>,
    /// Whether video may run.
    pub(crate) video: bool,
}

/// Who calls, as far as the decision needs it.
pub(crate) struct Asker<'a> {
    /// The party.
    pub(crate) party: &'a LegParty,
    /// The device that places the call.
    pub(crate) session: SessionId,
    /// What its offer holds.
    pub(crate) offered: &'a OfferedMedia,
}

/// Decides whether and how a call goes to a user.
///
/// # Errors
/// Returns the caller's cause. A stranger learns only that they may not call, whatever else would
/// stand in the way.
pub(crate) fn plan(
    asker: &Asker<'_>,
    route: Route,
    max_devices: usize,
) -> Result<Plan, HangupCause> {
    let (party, enabled, preference, devices) = match route {
        Route::Unknown => return Err(HangupCause::UnallocatedNumber),
        Route::Unavailable => return Err(HangupCause::NormalTemporaryFailure),
        Route::User {
            party,
            enabled,
            preference,
            devices,
        } => (party, enabled, preference, devices),
    };
    let invited = match preference {
        CallingPreference::Unrestricted => true,
        CallingPreference::Disabled | CallingPreference::Internal => {
            asker.party.account == party.account
        }
    };
    if !invited {
        return Err(HangupCause::CallRejected);
    }
    if !enabled {
        return Err(HangupCause::BearerCapabilityNotAuth);
    }
    let both = asker.party.policy.intersection(&party.policy);
    let audio: Vec<_> = asker
        .offered
        .audio
        .iter()
        .copied()
        .filter(|codec| both.audio.contains(codec))
        .collect();
    if audio.is_empty() {
        return Err(HangupCause::IncompatibleDestination);
    }
    let mut ring = Vec::new();
    for device in devices {
        if ring.len() < max_devices && device != asker.session && !ring.contains(&device) {
            ring.push(device);
        }
    }
    if ring.is_empty() {
        return Err(HangupCause::SubscriberAbsent);
    }
    Ok(Plan {
        party: Arc::new(party),
        devices: ring,
        audio,
        video: both.video && asker.offered.video,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Destination) {
        let domains = [
            "sip.telnyx.com".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        assert_eq!(parse_destination(text, &domains), *expected, "{text}");
    }

    #[test]
    fn users_of_ours_in_every_spelling() {
        for text in [
            "gencredAlice1",
            "  gencredAlice1 ",
            "sip:gencredAlice1@sip.telnyx.com",
            "SIP:gencredAlice1@SIP.Telnyx.COM",
            "sips:gencredAlice1@sip.telnyx.com.",
            "sip:gencredAlice1@127.0.0.1:5060;transport=ws?Subject=x",
            "sip:gencredAlice1@[::1]:5060",
            "gencredAlice1@sip.telnyx.com",
            "sip:gencred%41lice1@sip.telnyx.com",
            "sip:gencredAlice1;tag=1@sip.telnyx.com",
        ] {
            check(text, &Destination::User("gencredAlice1".to_owned()));
        }
        check("bob-screen", &Destination::User("bob-screen".to_owned()));
    }

    #[test]
    fn numbers_lose_their_separators() {
        for text in [
            "+13125550100",
            "+1 (312) 555-0100",
            "13125550100",
            "tel:+1-312-555-0100;phone-context=x",
            "sip:+13125550100@sip.telnyx.com;user=phone",
            "sip:+13125550100;phone-context=+1@127.0.0.1",
        ] {
            check(text, &Destination::Number("+13125550100".to_owned()));
        }
    }

    #[test]
    fn other_domains_are_foreign() {
        for text in [
            "sip:bob@example.com",
            "bob@evil-sip.telnyx.com",
            "sip:bob@sip.telnyx.com.evil.example",
            "sip:+1@[::2]",
        ] {
            check(text, &Destination::Foreign);
        }
    }

    #[test]
    fn nonsense_is_invalid() {
        let long = "a".repeat(300);
        for text in [
            "",
            " ",
            "sip:",
            "sip:@sip.telnyx.com",
            "sip:sip.telnyx.com",
            "sip:bob@",
            "sip:bob:secret@sip.telnyx.com",
            "sip:bob@sip.telnyx.com:99999",
            "sip:bob@sip.telnyx.com:",
            "sip:bob@[::1",
            "sip:bob@a@sip.telnyx.com",
            "sip:b%4@sip.telnyx.com",
            "sip:b%zz@sip.telnyx.com",
            "sip:b%ffb@sip.telnyx.com",
            "sip:b%00b@sip.telnyx.com",
            "bob smith",
            "bob\u{0}",
            "zoë",
            "+",
            "+1234567890123456",
            "tel:alice",
            "mailto:bob",
            &long,
        ] {
            check(text, &Destination::Invalid);
        }
    }
}
