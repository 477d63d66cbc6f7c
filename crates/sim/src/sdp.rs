//! Session descriptions as a browser writes and reads them, as far as the simulation needs.

use ringtrip_model::AudioCodec;

/// What one side of a session says of itself.
#[derive(Debug, Clone)]
pub struct Half {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// The certificate's digest.
    pub fingerprint: [u8; 32],
    /// What it speaks, most wanted first.
    pub codecs: Vec<AudioCodec>,
    /// Whether it shows VP8.
    pub video: bool,
    /// Rises with each description.
    pub version: u64,
}

/// The audio of a description that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Its section's name.
    pub mid: String,
    /// Codecs that we know with their payload types, in the description's order.
    pub codecs: Vec<(AudioCodec, u8)>,
}

/// The payload type under which browsers offer a codec.
pub const fn payload_type(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Opus => 111,
        AudioCodec::G722 => 9,
        AudioCodec::Pcmu => 0,
        AudioCodec::Pcma => 8,
    }
}

fn rtpmap(number: u8, codec: AudioCodec) -> String {
    let channels = if codec == AudioCodec::Opus { "/2" } else { "" };
    // G.722's clock is 8,000 Hz by an old mistake (RFC 3551 §4.5.2), as the model knows.
    format!(
        "a=rtpmap:{number} {}/{}{channels}\r\n",
        codec.encoding_name(),
        codec.clock_rate_hz()
    )
}

impl Half {
    fn head(&self, mids: &[&str]) -> String {
        let bundle = if mids.is_empty() {
            String::new()
        } else {
            format!("a=group:BUNDLE {}\r\n", mids.join(" "))
        };
        format!(
            "v=0\r\no=- 4711 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{bundle}a=msid-semantic: WMS *\r\n",
            self.version
        )
    }

    fn transport(&self, setup: &str, mid: &str) -> String {
        let digest: Vec<String> = self
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        format!(
            "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
             a=ice-options:trickle\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=mid:{mid}\r\n\
             a=sendrecv\r\na=rtcp-mux\r\n",
            self.ufrag,
            self.pwd,
            digest.join(":")
        )
    }

    /// Writes an offer, as Chromium does.
    pub fn offer(&self) -> String {
        let mids: &[&str] = if self.video { &["0", "1"] } else { &["0"] };
        let mut text = self.head(mids);
        let numbers: Vec<String> = self
            .codecs
            .iter()
            .map(|c| payload_type(*c).to_string())
            .collect();
        text += &format!("m=audio 9 UDP/TLS/RTP/SAVPF {} 126\r\n", numbers.join(" "));
        text += &self.transport("actpass", "0");
        text += "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
        for codec in &self.codecs {
            text += &rtpmap(payload_type(*codec), *codec);
        }
        text += "a=rtpmap:126 telephone-event/8000\r\n";
        if self.video {
            text += "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
            text += &self.transport("actpass", "1");
            text += "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n";
        }
        text
    }

    /// Answers an offer. A section of which nothing can be used is refused with port 0.
    pub fn answer(&self, offer: &str) -> String {
        let sections = sections(offer);
        let mut body = String::new();
        let mut mids = Vec::new();
        for section in &sections {
            let audio = section.audio();
            let usable: Vec<_> = audio
                .codecs
                .iter()
                .filter(|(codec, _)| self.codecs.contains(codec))
                .collect();
            let vp8 = section.kind == "video" && self.video && section.has("a=rtpmap:96 VP8/90000");
            if section.kind == "audio" && !usable.is_empty() {
                mids.push(audio.mid.clone());
                let numbers: Vec<String> = usable
                    .iter()
                    .map(|(_, number)| number.to_string())
                    .collect();
                body += &format!("m=audio 9 UDP/TLS/RTP/SAVPF {}\r\n", numbers.join(" "));
                body += &self.transport("active", &audio.mid);
                for (codec, number) in usable {
                    body += &rtpmap(*number, *codec);
                }
            } else if vp8 {
                mids.push(audio.mid.clone());
                body += "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
                body += &self.transport("active", &audio.mid);
                body += "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n";
            } else {
                let format = section.formats.first().copied().unwrap_or("0");
                body += &format!(
                    "m={} 0 UDP/TLS/RTP/SAVPF {format}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na=inactive\r\n",
                    section.kind, audio.mid
                );
            }
        }
        let mids: Vec<&str> = mids.iter().map(String::as_str).collect();
        self.head(&mids) + &body
    }
}

struct Section<'a> {
    kind: &'a str,
    port: &'a str,
    formats: Vec<&'a str>,
    lines: Vec<&'a str>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words = media.split(' ');
            sections.push(Section {
                kind: words.next().unwrap_or_default(),
                port: words.next().unwrap_or_default(),
                formats: words.skip(1).collect(),
                lines: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        }
    }
    sections
}

impl Section<'_> {
    fn has(&self, line: &str) -> bool {
        self.lines.contains(&line)
    }

    fn audio(&self) -> Audio {
        let value = |name: &str| self.lines.iter().find_map(|line| line.strip_prefix(name));
        let known = |number: &&str| {
            let number = number.parse::<u8>().ok()?;
            let map = format!("a=rtpmap:{number} ");
            let spoken = value(&map)?;
            let codec = AudioCodec::ALL.into_iter().find(|codec| {
                let name = spoken.split('/').next().unwrap_or_default();
                name.eq_ignore_ascii_case(codec.encoding_name())
            })?;
            Some((codec, number))
        };
        Audio {
            mid: value("a=mid:").unwrap_or_default().to_owned(),
            codecs: self.formats.iter().filter_map(known).collect(),
        }
    }
}

/// Reads the first audio section that is not refused.
pub fn audio(text: &str) -> Option<Audio> {
    let section = sections(text)
        .into_iter()
        .find(|s| s.kind == "audio" && s.port != "0")?;
    Some(section.audio()).filter(|audio| !audio.codecs.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(codecs: &[AudioCodec], video: bool) -> Half {
        Half {
            ufrag: "abcd".into(),
            pwd: "a password of sufficient length".replace(' ', "x"),
            fingerprint: [7; 32],
            codecs: codecs.to_vec(),
            video,
            version: 2,
        }
    }

    #[test]
    fn answers_keep_sections_and_order() {
        let offer = half(&[AudioCodec::Pcmu, AudioCodec::Opus], true).offer();
        let both = [(AudioCodec::Pcmu, 0), (AudioCodec::Opus, 111)];
        assert_eq!(audio(&offer).unwrap().codecs, both);
        let answer = half(&[AudioCodec::Opus, AudioCodec::Pcmu], false).answer(&offer);
        assert_eq!(audio(&answer).unwrap().codecs, both);
        assert!(answer.contains("m=video 0 "), "{answer}");
        let deaf = half(&[AudioCodec::G722], true).answer(&offer);
        assert_eq!(audio(&deaf), None);
        assert!(deaf.contains("a=group:BUNDLE 1\r\n"), "{deaf}");
    }
}
