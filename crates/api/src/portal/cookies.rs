//! The cookies of the portal. Over HTTPS their names begin with `__Host-`, so that a browser takes them
//! from this host alone, over HTTPS alone, and for all of its paths. On loopback over plain HTTP, where
//! not every browser keeps such a cookie, they have plain names.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};
use ringtrip_model::{PlainToken, SESSION_LIFETIME};

use super::access::Channel;

const DEVICE_SECS: u64 = 400 * 24 * 3600;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Opens a session.
    Session,
    /// Tells a browser that somebody has signed in from before.
    Device,
}

impl Cookie {
    const fn name(self, channel: Channel) -> &'static str {
        match (self, channel) {
            (Self::Session, Channel::Secure) => "__Host-ringtrip_session",
            (Self::Session, Channel::Loopback) => "ringtrip_session",
            (Self::Device, Channel::Secure) => "__Host-ringtrip_device",
            (Self::Device, Channel::Loopback) => "ringtrip_device",
        }
    }

    /// Reads the token that a request shows.
    pub(crate) fn read(self, headers: &HeaderMap, channel: Channel) -> Option<PlainToken> {
        let name = self.name(channel);
        let values = headers.get_all(COOKIE).iter();
        let mut pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(have, _)| *have == name)?;
        PlainToken::parse(value)
    }

    /// Writes the header that makes a browser keep a token.
    pub(crate) fn set(self, token: &PlainToken, channel: Channel) -> HeaderValue {
        let lifetime = match self {
            Self::Session => SESSION_LIFETIME.as_secs(),
            Self::Device => DEVICE_SECS,
        };
        self.header(token.expose(), lifetime, channel)
    }

    /// Writes the header that makes a browser forget the token.
    pub(crate) fn clear(self, channel: Channel) -> HeaderValue {
        self.header("", 0, channel)
    }

    fn header(self, value: &str, max_age: u64, channel: Channel) -> HeaderValue {
        let name = self.name(channel);
        let secure = match channel {
            Channel::Secure => "; Secure",
            Channel::Loopback => "",
        };
        let text =
            format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
        let mut header = HeaderValue::try_from(text)
            .expect("tokens are letters and digits, and the rest is ours");
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use ringtrip_model::Generator;

    use super::*;

    #[test]
    fn a_cookie_reads_back_on_its_own_channel_only() {
        let token = PlainToken::generate(&mut Generator::from_seed([1; 32]));
        for (channel, other) in [
            (Channel::Secure, Channel::Loopback),
            (Channel::Loopback, Channel::Secure),
        ] {
            let set = Cookie::Session.set(&token, channel);
            let text = set.to_str().unwrap();
            let pair = text.split(';').next().unwrap();
            let mut headers = HeaderMap::new();
            let value = format!("a=b; x; {pair}; c=\"d\"");
            headers.append(COOKIE, "theme=dark".parse().unwrap());
            headers.append(COOKIE, value.parse().unwrap());
            assert_eq!(Cookie::Session.read(&headers, channel), Some(token.clone()));
            assert_eq!(Cookie::Session.read(&headers, other), None);
            assert_eq!(Cookie::Device.read(&headers, channel), None);
            assert_eq!(text.contains("; Secure"), channel == Channel::Secure);
            assert!(text.contains("; HttpOnly; SameSite=Lax"), "{text}");
            let cleared = Cookie::Session.clear(channel);
            assert!(cleared.to_str().unwrap().contains("=; Path=/; Max-Age=0"));
        }
    }
}
