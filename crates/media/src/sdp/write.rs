//! Writing.

use std::fmt;
use std::net::IpAddr;

use super::{Section, SectionKind, SessionDescription};
use crate::plan::Fingerprint;

impl fmt::Display for SessionDescription {
    /// Writes the description, each line ended by CRLF.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The origin's address names nothing that anyone connects to (RFC 8829 §5.2.1).
        write!(
            f,
            "v=0\r\no=- {} {} IN IP4 0.0.0.0\r\n",
            self.session_id, self.version
        )?;
        f.write_str("s=-\r\nt=0 0\r\n")?;
        if !self.bundle.is_empty() {
            write!(f, "a=group:BUNDLE {}\r\n", self.bundle.join(" "))?;
        }
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        self.sections.iter().try_for_each(|section| section.fmt(f))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            SectionKind::Audio => "audio",
            SectionKind::Video => "video",
            SectionKind::Other(name) => name,
        };
        let port = self.address.port();
        write!(
            f,
            "m={kind} {port} {} {}\r\n",
            self.protocol,
            self.formats.join(" ")
        )?;
        match self.address.ip() {
            IpAddr::V4(ip) => write!(f, "c=IN IP4 {ip}\r\n")?,
            IpAddr::V6(ip) => write!(f, "c=IN IP6 {ip}\r\n")?,
        }
        for candidate in &self.candidates {
            write!(
                f,
                "a=candidate:{} {} udp {} {} {} typ {}\r\n",
                candidate.foundation,
                candidate.component,
                candidate.priority,
                candidate.address.ip(),
                candidate.address.port(),
                candidate.kind.name()
            )?;
        }
        if self.end_of_candidates {
            f.write_str("a=end-of-candidates\r\n")?;
        }
        if let Some(ufrag) = &self.ufrag {
            write!(f, "a=ice-ufrag:{ufrag}\r\n")?;
        }
        if let Some(pwd) = &self.pwd {
            write!(f, "a=ice-pwd:{pwd}\r\n")?;
        }
        for fingerprint in &self.fingerprints {
            write!(f, "a=fingerprint:sha-256 {fingerprint}\r\n")?;
        }
        if let Some(setup) = self.setup {
            write!(f, "a=setup:{}\r\n", setup.name())?;
        }
        if let Some(mid) = &self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        if self.bundle_only {
            f.write_str("a=bundle-only\r\n")?;
        }
        for extension in &self.extensions {
            match extension.direction {
                Some(direction) => {
                    write!(
                        f,
                        "a=extmap:{}/{} {}\r\n",
                        extension.id,
                        direction.name(),
                        extension.uri
                    )?;
                }
                None => write!(f, "a=extmap:{} {}\r\n", extension.id, extension.uri)?,
            }
        }
        write!(f, "a={}\r\n", self.direction.name())?;
        if let Some((stream, track)) = &self.msid {
            write!(f, "a=msid:{stream} {track}\r\n")?;
        }
        if self.rtcp_mux {
            f.write_str("a=rtcp-mux\r\n")?;
        }
        if self.rtcp_rsize {
            f.write_str("a=rtcp-rsize\r\n")?;
        }
        for payload in &self.payloads {
            let number = payload.number;
            write!(
                f,
                "a=rtpmap:{number} {}/{}",
                payload.encoding, payload.clock_rate_hz
            )?;
            if payload.channels != 1 {
                write!(f, "/{}", payload.channels)?;
            }
            f.write_str("\r\n")?;
            if payload.feedback.nack {
                write!(f, "a=rtcp-fb:{number} nack\r\n")?;
            }
            if payload.feedback.pli {
                write!(f, "a=rtcp-fb:{number} nack pli\r\n")?;
            }
            if payload.feedback.fir {
                write!(f, "a=rtcp-fb:{number} ccm fir\r\n")?;
            }
            if let Some(parameters) = &payload.parameters {
                write!(f, "a=fmtp:{number} {parameters}\r\n")?;
            }
        }
        for (ssrc, cname) in &self.ssrcs {
            write!(f, "a=ssrc:{ssrc} cname:{cname}\r\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fingerprint {
    /// Writes upper-case hexadecimal pairs parted by colons (RFC 8122 §5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}
