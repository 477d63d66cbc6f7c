//! The descriptions that a browser would write, and the few lines of the server's that matter.

use std::net::SocketAddr;

use anyhow::Context;

use crate::leg::LegDescription;

/// The payload type of Opus in our descriptions, and thereby in the server's.
pub(crate) const OPUS: u8 = 111;
/// The id of `ssrc-audio-level` in our offers.
pub(crate) const AUDIO_LEVEL: u8 = 1;

/// Where and how to reach the server for one leg.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// Whether we begin the DTLS handshake.
    pub(crate) active: bool,
}

impl Remote {
    /// Reads the server's offer or answer.
    ///
    /// # Errors
    /// When something that a browser needs is missing.
    pub(crate) fn parse(sdp: &str, ours_is_active_by_choice: bool) -> anyhow::Result<Self> {
        let value = |name: &str| {
            let found = sdp
                .lines()
                .find_map(|line| line.strip_prefix("a=")?.strip_prefix(name));
            found.with_context(|| format!("no a={name} in {sdp}"))
        };
        let candidate: Vec<&str> = sdp
            .lines()
            .filter_map(|line| line.strip_prefix("a=candidate:"))
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|parts| parts.get(4).is_some_and(|ip| ip.starts_with("127.")))
            .with_context(|| format!("no candidate on loopback in {sdp}"))?;
        let address = format!(
            "{}:{}",
            candidate[4],
            candidate.get(5).copied().unwrap_or_default()
        );
        let active = match value("setup:")?.trim() {
            "actpass" => ours_is_active_by_choice,
            setup => setup == "passive",
        };
        Ok(Self {
            address: address.parse()?,
            ufrag: value("ice-ufrag:")?.trim().to_owned(),
            pwd: value("ice-pwd:")?.trim().to_owned(),
            active,
        })
    }
}

/// Writes an offer with the lines that Chromium's has.
pub(crate) fn offer(leg: &LegDescription) -> String {
    let LegDescription {
        address,
        ufrag,
        pwd,
        fingerprint,
        ssrc,
        ..
    } = leg;
    let (ip, port) = (address.ip(), address.port());
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS 3f1c\r\n\
         m=audio {port} UDP/TLS/RTP/SAVPF {OPUS} 63 9 0 8 13 110 126\r\nc=IN IP4 {ip}\r\n\
         a=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2122260223 {ip} {port} typ host generation 0 network-id 1\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\n\
         a=extmap:{AUDIO_LEVEL} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
         a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
         a=sendrecv\r\na=msid:3f1c 7b2e\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
         a=rtpmap:{OPUS} opus/48000/2\r\na=rtcp-fb:{OPUS} transport-cc\r\n\
         a=fmtp:{OPUS} minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
         a=fmtp:63 {OPUS}/{OPUS}\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
         a=rtpmap:126 telephone-event/8000\r\na=ssrc:{ssrc} cname:load\r\na=ssrc:{ssrc} msid:3f1c 7b2e\r\n"
    )
}

/// Writes the answer to an offer of the server's: Opus under the number it has there.
///
/// # Errors
/// When it does not offer Opus.
pub(crate) fn answer(leg: &LegDescription, offer: &str) -> anyhow::Result<(String, u8)> {
    let LegDescription {
        address,
        ufrag,
        pwd,
        fingerprint,
        ssrc,
        ..
    } = leg;
    let (ip, port) = (address.ip(), address.port());
    let find = |prefix: &str, what: &str| {
        let lines = offer.lines().filter_map(|line| line.strip_prefix(prefix));
        let found = lines.filter(|line| line.to_ascii_lowercase().contains(what));
        found
            .filter_map(|line| line.split([' ', '/']).next())
            .next()
            .map(str::to_owned)
    };
    let opus = find("a=rtpmap:", " opus/48000").context("no Opus in the server's offer")?;
    let mid = offer
        .lines()
        .find_map(|line| line.strip_prefix("a=mid:"))
        .unwrap_or("0");
    let level = find("a=extmap:", "ssrc-audio-level").map_or_else(String::new, |id| {
        format!("a=extmap:{id} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n")
    });
    let events = find("a=rtpmap:", " telephone-event/48000");
    let events_number = events
        .as_ref()
        .map_or_else(String::new, |number| format!(" {number}"));
    let events_line = events.map_or_else(String::new, |n| {
        format!("a=rtpmap:{n} telephone-event/48000\r\n")
    });
    let text = format!(
        "v=0\r\no=- 6115924113301411 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n\
         a=msid-semantic: WMS 3f1c\r\n\
         m=audio {port} UDP/TLS/RTP/SAVPF {opus}{events_number}\r\nc=IN IP4 {ip}\r\n\
         a=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2122260223 {ip} {port} typ host generation 0 network-id 1\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\na=mid:{mid}\r\n{level}\
         a=sendrecv\r\na=msid:3f1c 7b2e\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
         a=rtpmap:{opus} opus/48000/2\r\na=fmtp:{opus} minptime=10;useinbandfec=1\r\n{events_line}\
         a=ssrc:{ssrc} cname:load\r\n"
    );
    Ok((text, opus.parse()?))
}
