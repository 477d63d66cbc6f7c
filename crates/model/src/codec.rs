//! Codecs, and what two parties may use.

/// An audio codec that we relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AudioCodec {
    /// RFC 7587; RTP clock 48 kHz.
    Opus,
    /// ITU-T G.722; RTP clock 8 kHz though it samples at 16 kHz (RFC 3551 §4.5.2).
    G722,
    /// ITU-T G.711 µ-law.
    Pcmu,
    /// ITU-T G.711 A-law.
    Pcma,
}

impl AudioCodec {
    /// All of them, best sound first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma];

    /// Returns the encoding name of `a=rtpmap`, as browsers spell it.
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// Returns the RTP clock rate in Hz.
    pub const fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Returns the name that a connection's `inbound.codecs` uses.
    pub const fn connection_name(self) -> &'static str {
        match self {
            Self::Opus => "OPUS",
            Self::G722 => "G722",
            Self::Pcmu => "G711U",
            Self::Pcma => "G711A",
        }
    }
}

/// A video codec that we relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoCodec {
    /// RFC 7741; RTP clock 90 kHz.
    Vp8,
}

impl VideoCodec {
    /// Returns the encoding name of `a=rtpmap`.
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
        }
    }
}

/// What a connection's `inbound.codecs` allows, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaPolicy {
    /// Audio codecs, most wanted first, each once.
    pub audio: Vec<AudioCodec>,
    /// Whether VP8 is listed. H.264, listed by default, does not by itself allow video.
    pub video: bool,
}

impl MediaPolicy {
    /// Reads a connection's codec list; names we do not relay (G729, H.264, …) are passed over.
    pub fn from_codec_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut policy = Self::default();
        for name in names {
            policy.video |= name.eq_ignore_ascii_case("VP8");
            let codec = AudioCodec::ALL
                .into_iter()
                .find(|codec| name.eq_ignore_ascii_case(codec.connection_name()));
            if let Some(codec) = codec
                && !policy.audio.contains(&codec)
            {
                policy.audio.push(codec);
            }
        }
        policy
    }

    /// Returns what both policies allow, in this one's order.
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            audio: self
                .audio
                .iter()
                .copied()
                .filter(|c| other.audio.contains(c))
                .collect(),
            video: self.video && other.video,
        }
    }
}

/// What a remote offer holds that we could relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedMedia {
    /// Audio codecs in the offer's order, each once.
    pub audio: Vec<AudioCodec>,
    /// Whether a video section offers VP8.
    pub video: bool,
}

/// What a leg uses once its SDP exchange is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiatedMedia {
    /// The one audio codec.
    pub audio: AudioCodec,
    /// The video codec, if video runs.
    pub video: Option<VideoCodec>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_connection_codecs_allow_audio_but_no_video() {
        let policy =
            MediaPolicy::from_codec_names(["G722", "G711U", "G711A", "G729", "OPUS", "H.264"]);
        assert_eq!(
            policy.audio,
            [
                AudioCodec::G722,
                AudioCodec::Pcmu,
                AudioCodec::Pcma,
                AudioCodec::Opus
            ]
        );
        assert!(!policy.video);
    }

    #[test]
    fn video_needs_vp8_on_both_sides() {
        let with = MediaPolicy::from_codec_names(["OPUS", "vp8", "opus"]);
        let without = MediaPolicy::from_codec_names(["G711U", "OPUS"]);
        assert!(with.intersection(&with).video);
        assert_eq!(
            with.intersection(&without),
            MediaPolicy {
                audio: vec![AudioCodec::Opus],
                video: false
            }
        );
    }
}
