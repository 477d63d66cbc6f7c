//! Reading.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{
    Candidate, CandidateKind, Direction, Extension, Feedback, MAX_ATTRIBUTES, MAX_BYTES,
    MAX_CANDIDATES, MAX_FORMATS, MAX_SECTIONS, MAX_TOKEN_BYTES, Payload, SdpError, Section,
    SectionKind, SessionDescription, Setup,
};
use crate::plan::Fingerprint;

impl SessionDescription {
    /// Reads a description. Lines may end in CRLF or LF; unknown lines and attributes are passed over.
    ///
    /// # Errors
    ///
    /// [`SdpError`] if it is no SDP, exceeds a bound of this module, or a line it needs is malformed.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLarge { bytes: text.len() });
        }
        let mut reader = Reader::default();
        let mut any = false;
        for (index, raw) in text.split('\n').enumerate() {
            let line = index + 1;
            let content = raw.strip_suffix('\r').unwrap_or(raw);
            if content.is_empty() {
                continue;
            }
            if !any && content != "v=0" {
                return Err(SdpError::NoVersion);
            }
            any = true;
            let bad = SdpError::BadLine {
                what: "SDP line",
                line,
            };
            let (kind, value) = content.split_once('=').ok_or(bad)?;
            if content.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
                return Err(bad);
            }
            match kind {
                "o" => reader.origin(value),
                "c" => reader.connection(value),
                "m" => reader.section(value, line)?,
                "a" => reader.attribute(value, line)?,
                _ if kind.len() == 1 && kind.as_bytes()[0].is_ascii_lowercase() => {}
                _ => return Err(bad),
            }
        }
        if any {
            Ok(reader.finish())
        } else {
            Err(SdpError::NoVersion)
        }
    }
}

/// What may be given once for the whole session.
#[derive(Default)]
struct Defaults {
    connection: Option<IpAddr>,
    direction: Option<Direction>,
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    end_of_candidates: bool,
}

/// A section being read. `rtpmap`, `fmtp` and `rtcp-fb` may come in any order and are joined at its end.
struct Draft {
    section: Section,
    own: Defaults,
    maps: Vec<(u8, String, u32, u8)>,
    parameters: Vec<(u8, String)>,
    feedback: Vec<(Option<u8>, Feedback)>,
}

#[derive(Default)]
struct Reader {
    description: SessionDescription,
    bundle_seen: bool,
    defaults: Defaults,
    draft: Option<Draft>,
    attributes: usize,
    candidates: usize,
}

impl Reader {
    /// `o=<user> <session id> <version> IN IP4 <address>`. Identifies, never decides: a value that is
    /// no number counts as 0.
    fn origin(&mut self, value: &str) {
        let mut fields = value.split(' ').skip(1);
        let mut number = || {
            fields
                .next()
                .and_then(|field| field.parse().ok())
                .unwrap_or(0)
        };
        self.description.session_id = number();
        self.description.version = number();
    }

    /// `c=IN IP4 <address>`. Only written through: packets go where connectivity checks came from.
    fn connection(&mut self, value: &str) {
        let address = value
            .split(' ')
            .nth(2)
            .and_then(|address| address.parse().ok());
        match &mut self.draft {
            Some(draft) => draft.own.connection = address,
            None => self.defaults.connection = address,
        }
    }

    /// `m=<kind> <port> <protocol> <format> …`.
    fn section(&mut self, value: &str, line: usize) -> Result<(), SdpError> {
        self.close_section();
        self.attributes = 0;
        if self.description.sections.len() == MAX_SECTIONS {
            return Err(SdpError::TooMany {
                what: "m= sections",
                line,
            });
        }
        let bad = SdpError::BadLine {
            what: "m= line",
            line,
        };
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let kind = fields.next().ok_or(bad)?;
        let port = fields.next().ok_or(bad)?;
        // `9/2` asks for two ports: of no use to WebRTC, and read as the first.
        let port = port
            .split('/')
            .next()
            .and_then(|port| port.parse().ok())
            .ok_or(bad)?;
        let protocol = fields.next().ok_or(bad)?;
        let formats: Vec<String> = fields.map(str::to_owned).collect();
        if formats.len() > MAX_FORMATS {
            return Err(SdpError::TooMany {
                what: "formats",
                line,
            });
        }
        let tokens = [kind, protocol]
            .into_iter()
            .chain(formats.iter().map(String::as_str));
        if formats.is_empty() || !tokens.into_iter().all(is_token) {
            return Err(bad);
        }
        let kind = match kind {
            "audio" => SectionKind::Audio,
            "video" => SectionKind::Video,
            other => SectionKind::Other(other.to_owned()),
        };
        self.draft = Some(Draft {
            section: Section {
                kind,
                address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
                protocol: protocol.to_owned(),
                formats,
                mid: None,
                bundle_only: false,
                direction: Direction::default(),
                ufrag: None,
                pwd: None,
                fingerprints: Vec::new(),
                setup: None,
                rtcp_mux: false,
                rtcp_rsize: false,
                extensions: Vec::new(),
                payloads: Vec::new(),
                msid: None,
                ssrcs: Vec::new(),
                candidates: Vec::new(),
                end_of_candidates: false,
            },
            own: Defaults::default(),
            maps: Vec::new(),
            parameters: Vec::new(),
            feedback: Vec::new(),
        });
        Ok(())
    }

    /// `a=<name>` or `a=<name>:<value>`.
    fn attribute(&mut self, text: &str, line: usize) -> Result<(), SdpError> {
        self.attributes += 1;
        if self.attributes > MAX_ATTRIBUTES {
            return Err(SdpError::TooMany {
                what: "attributes",
                line,
            });
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let bad = |what| SdpError::BadLine { what, line };

        // Candidates are counted even where they mean nothing, so that the bound holds for the text.
        if name == "candidate" {
            self.candidates += 1;
            if self.candidates > MAX_CANDIDATES {
                return Err(SdpError::TooMany {
                    what: "candidates",
                    line,
                });
            }
        }

        // Allowed at both levels.
        let level = match &mut self.draft {
            Some(draft) => &mut draft.own,
            None => &mut self.defaults,
        };
        if let Some(direction) = Direction::ALL.into_iter().find(|d| d.name() == text) {
            level.direction = Some(direction);
            return Ok(());
        }
        match name {
            "ice-ufrag" => {
                let valid = (4..=256).contains(&value.len()) && value.bytes().all(is_ice_char);
                level.ufrag = Some(valid.then(|| value.to_owned()).ok_or(bad("ice-ufrag"))?);
                return Ok(());
            }
            "ice-pwd" => {
                let valid = (22..=256).contains(&value.len()) && value.bytes().all(is_ice_char);
                level.pwd = Some(valid.then(|| value.to_owned()).ok_or(bad("ice-pwd"))?);
                return Ok(());
            }
            "fingerprint" => {
                let (hash, digest) = value.split_once(' ').ok_or(bad("fingerprint"))?;
                if hash.eq_ignore_ascii_case("sha-256") {
                    let digest = parse_digest(digest.trim()).ok_or(bad("fingerprint"))?;
                    if !level.fingerprints.contains(&digest) {
                        level.fingerprints.push(digest);
                    }
                }
                return Ok(());
            }
            "setup" => {
                let setup = Setup::ALL.into_iter().find(|setup| setup.name() == value);
                level.setup = Some(setup.ok_or(bad("setup"))?);
                return Ok(());
            }
            "end-of-candidates" => {
                level.end_of_candidates = true;
                return Ok(());
            }
            _ => {}
        }
        match &mut self.draft {
            Some(draft) => draft.attribute(name, value).map_err(bad),
            None => self.session_attribute(name, value).map_err(bad),
        }
    }

    fn session_attribute(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "ice-lite" => self.description.ice_lite = true,
            "group" if !self.bundle_seen => {
                let mut words = value.split(' ').filter(|word| !word.is_empty());
                if words.next() == Some("BUNDLE") {
                    self.bundle_seen = true;
                    for mid in words {
                        if !is_token(mid) || self.description.bundle.iter().any(|m| m == mid) {
                            return Err("group");
                        }
                        if self.description.bundle.len() == MAX_SECTIONS {
                            return Err("group of that size");
                        }
                        self.description.bundle.push(mid.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close_section(&mut self) {
        if let Some(draft) = self.draft.take() {
            self.description.sections.push(draft.finish(&self.defaults));
        }
    }

    fn finish(mut self) -> SessionDescription {
        self.close_section();
        self.description
    }
}

impl Draft {
    /// Reads what belongs to a section alone; the error names what a malformed line should have been.
    fn attribute(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let section = &mut self.section;
        match name {
            "mid" => {
                if !is_token(value) {
                    return Err("mid");
                }
                section.mid = Some(value.to_owned());
            }
            "bundle-only" => section.bundle_only = true,
            "rtcp-mux" => section.rtcp_mux = true,
            "rtcp-rsize" => section.rtcp_rsize = true,
            "rtpmap" => {
                if let Some(map) = parse_rtpmap(value)
                    && !self.maps.iter().any(|known| known.0 == map.0)
                {
                    self.maps.push(map);
                }
            }
            "fmtp" => {
                if let Some((number, parameters)) = value.split_once(' ')
                    && let Some(number) = parse_payload_type(number)
                    && !parameters.trim().is_empty()
                    && !self.parameters.iter().any(|known| known.0 == number)
                {
                    self.parameters.push((number, parameters.trim().to_owned()));
                }
            }
            "rtcp-fb" => self.feedback.extend(parse_feedback(value)),
            "extmap" => section.extensions.extend(parse_extension(value)),
            "msid" => {
                let mut words = value.split(' ').filter(|word| !word.is_empty());
                let stream = words.next().filter(|word| is_token(word));
                let track = words.next().filter(|word| is_token(word));
                if let (Some(stream), Some(track), None) = (stream, track, &section.msid) {
                    section.msid = Some((stream.to_owned(), track.to_owned()));
                }
            }
            "ssrc" => {
                if let Some((ssrc, attribute)) = value.split_once(' ')
                    && let Ok(ssrc) = ssrc.parse()
                    && let Some(cname) = attribute.strip_prefix("cname:")
                    && is_token(cname)
                {
                    section.ssrcs.push((ssrc, cname.to_owned()));
                }
            }
            "candidate" => section.candidates.extend(parse_candidate(value)),
            _ => {}
        }
        Ok(())
    }

    /// Joins what was gathered and hands the session's defaults down.
    fn finish(mut self, defaults: &Defaults) -> Section {
        let section = &mut self.section;
        let own = self.own;
        if let Some(address) = own.connection.or(defaults.connection) {
            section.address.set_ip(address);
        }
        section.direction = own.direction.or(defaults.direction).unwrap_or_default();
        section.ufrag = own.ufrag.or_else(|| defaults.ufrag.clone());
        section.pwd = own.pwd.or_else(|| defaults.pwd.clone());
        section.fingerprints = if own.fingerprints.is_empty() {
            defaults.fingerprints.clone()
        } else {
            own.fingerprints
        };
        section.setup = own.setup.or(defaults.setup);
        section.end_of_candidates = own.end_of_candidates || defaults.end_of_candidates;

        if section.is_rtp() {
            for format in &section.formats {
                let Some(number) = parse_payload_type(format) else {
                    continue;
                };
                if section
                    .payloads
                    .iter()
                    .any(|payload| payload.number == number)
                {
                    continue;
                }
                let mapped = self.maps.iter().find(|map| map.0 == number).cloned();
                let Some((_, encoding, clock_rate_hz, channels)) =
                    mapped.or_else(|| static_payload(number))
                else {
                    continue;
                };
                let parameters = self.parameters.iter().find(|known| known.0 == number);
                let mut feedback = Feedback::default();
                for (payload, kind) in &self.feedback {
                    if payload.is_none_or(|payload| payload == number) {
                        feedback.nack |= kind.nack;
                        feedback.pli |= kind.pli;
                        feedback.fir |= kind.fir;
                    }
                }
                section.payloads.push(Payload {
                    number,
                    encoding,
                    clock_rate_hz,
                    channels,
                    parameters: parameters.map(|known| known.1.clone()),
                    feedback,
                });
            }
        }
        self.section
    }
}

/// Returns whether `text` is a token of RFC 8866 §9, the characters of URIs and base64 included:
/// printable ASCII without space.
fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn parse_payload_type(text: &str) -> Option<u8> {
    let number = text.parse().ok()?;
    matches!(number, 0..=63 | 96..=127).then_some(number)
}

/// Static assignments of RFC 3551 §6 for codecs we relay: they need no `a=rtpmap`.
fn static_payload(number: u8) -> Option<(u8, String, u32, u8)> {
    let encoding = match number {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        _ => return None,
    };
    Some((number, encoding.to_owned(), 8_000, 1))
}

/// `<payload type> <encoding>/<clock rate>[/<channels>]`.
fn parse_rtpmap(value: &str) -> Option<(u8, String, u32, u8)> {
    let (number, encoding) = value.split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let name = parts.next().filter(|name| is_token(name))?;
    let clock_rate_hz = parts.next()?.parse().ok().filter(|&rate| rate > 0)?;
    let channels = match parts.next() {
        Some(channels) => channels.parse().ok().filter(|&n| n > 0)?,
        None => 1,
    };
    Some((
        parse_payload_type(number)?,
        name.to_owned(),
        clock_rate_hz,
        channels,
    ))
}

/// `<payload type or *> <kind> [<parameter>]`.
fn parse_feedback(value: &str) -> Option<(Option<u8>, Feedback)> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let payload = match words.next()? {
        "*" => None,
        number => Some(parse_payload_type(number)?),
    };
    let mut feedback = Feedback::default();
    match (words.next()?, words.next()) {
        ("nack", None) => feedback.nack = true,
        ("nack", Some("pli")) => feedback.pli = true,
        ("ccm", Some("fir")) => feedback.fir = true,
        _ => return None,
    }
    Some((payload, feedback))
}

/// `<id>[/<direction>] <uri> [<attributes>]`.
fn parse_extension(value: &str) -> Option<Extension> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let id = words.next()?;
    let (id, direction) = match id.split_once('/') {
        Some((id, name)) => (
            id,
            Some(Direction::ALL.into_iter().find(|d| d.name() == name)?),
        ),
        None => (id, None),
    };
    let id = id.parse().ok().filter(|id| (1..=14).contains(id))?;
    let uri = words.next().filter(|uri| is_token(uri))?;
    Some(Extension {
        id,
        direction,
        uri: uri.to_owned(),
    })
}

/// `<foundation> <component> <transport> <priority> <address> <port> typ <kind> …` (RFC 8839 §5.1).
/// Names (`*.local`) and other transports yield nothing: the peer reaches us, whatever its address.
fn parse_candidate(value: &str) -> Option<Candidate> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let foundation = words.next().filter(|word| is_token(word))?;
    let component = words.next()?.parse().ok()?;
    words
        .next()
        .filter(|transport| transport.eq_ignore_ascii_case("udp"))?;
    let priority = words.next()?.parse().ok()?;
    let ip: IpAddr = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    words.next().filter(|&word| word == "typ")?;
    let kind = words.next()?;
    let kind = CandidateKind::ALL
        .into_iter()
        .find(|known| known.name() == kind)?;
    Some(Candidate {
        foundation: foundation.to_owned(),
        component,
        priority,
        address: SocketAddr::new(ip, port),
        kind,
    })
}

/// 32 bytes in hexadecimal, parted by colons.
fn parse_digest(text: &str) -> Option<Fingerprint> {
    let mut digest = [0; 32];
    let mut parts = text.split(':');
    for byte in &mut digest {
        let part = parts
            .next()
            .filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(Fingerprint(digest))
}
