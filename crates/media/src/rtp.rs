//! RTP packets (RFC 3550 §5.1) with one header extension, `ssrc-audio-level` (RFC 6464).

/// Length of the fixed header.
pub const HEADER_LEN: usize = 12;

/// The longest header this module writes: fixed header and one level extension.
pub const MAX_WRITTEN_HEADER_LEN: usize = HEADER_LEN + 8;

/// Why a datagram is no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the datagram is not an RTP packet")]
pub struct RtpError;

/// An RTP header, with the positions of what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Set on the first packet of a talk spurt and the last of a video frame.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in the codec's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    padded: bool,
    csrc_count: u8,
    extended: bool,
    len: u16,
}

/// Returns whether a datagram's first byte is in RTP's and RTCP's range (RFC 7983 §7).
pub const fn is_rtp_or_rtcp(first: u8) -> bool {
    first >= 128 && first < 192
}

/// Returns whether a packet of that range is RTCP (RFC 5761 §4).
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..224).contains(kind))
}

impl RtpHeader {
    /// Reads a header. The payload may be encrypted; only what lies before it is looked at.
    ///
    /// # Errors
    /// When the version is not 2 or the packet ends within its header.
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let fixed: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(RtpError)?;
        if fixed[0] >> 6 != 2 {
            return Err(RtpError);
        }
        let csrc_count = fixed[0] & 15;
        let extended = fixed[0] & 0x10 != 0;
        let mut len = HEADER_LEN + usize::from(csrc_count) * 4;
        if extended {
            let words: [u8; 2] = *packet
                .get(len + 2..)
                .and_then(|rest| rest.first_chunk())
                .ok_or(RtpError)?;
            len += 4 + usize::from(u16::from_be_bytes(words)) * 4;
        }
        if len > packet.len() {
            return Err(RtpError);
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            padded: fixed[0] & 0x20 != 0,
            csrc_count,
            extended,
            len: u16::try_from(len).map_err(|_| RtpError)?,
        })
    }

    /// Returns the header's length in bytes, contributing sources and extensions included.
    pub fn header_len(&self) -> usize {
        usize::from(self.len)
    }

    /// Returns the payload of a decrypted packet without its padding. A packet whose padding is
    /// longer than its payload has none.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let payload = packet.get(self.header_len()..).unwrap_or_default();
        let padding = match payload.last() {
            Some(last) if self.padded => usize::from(*last),
            Some(_) | None => 0,
        };
        payload
            .len()
            .checked_sub(padding)
            .map_or(&[], |end| &payload[..end])
    }

    /// Finds `ssrc-audio-level` by its negotiated id, in one-byte or two-byte form (RFC 8285 §4).
    /// The result is the value as sent: voice flag and level.
    pub fn audio_level(&self, packet: &[u8], id: u8) -> Option<u8> {
        if !self.extended {
            return None;
        }
        let start = HEADER_LEN + usize::from(self.csrc_count) * 4;
        let profile = u16::from_be_bytes(*packet.get(start..)?.first_chunk()?);
        let mut rest = packet.get(start + 4..self.header_len())?;
        let one_byte = match profile {
            0xBEDE => true,
            0x1000..=0x100F => false,
            _ => return None,
        };
        while let [first, tail @ ..] = rest {
            if *first == 0 {
                rest = tail;
                continue;
            }
            let (found, len, value) = if one_byte {
                if first >> 4 == 15 {
                    return None;
                }
                (first >> 4, usize::from(first & 15) + 1, tail)
            } else {
                let [len, value @ ..] = tail else { return None };
                (*first, usize::from(*len), value)
            };
            if found == id {
                return if len == 1 {
                    value.first().copied()
                } else {
                    None
                };
            }
            rest = value.get(len..)?;
        }
        None
    }
}

/// What a sent packet's header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingHeader {
    /// Set on the first packet of a talk spurt and the last of a video frame.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in the codec's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Negotiated id and value of `ssrc-audio-level`. Ids are 1 to 14.
    pub level: Option<(u8, u8)>,
}

impl OutgoingHeader {
    /// Writes the header to the front of `out`. Returns its length, or [`None`] if it does not fit.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let fixed: &mut [u8; HEADER_LEN] = out.first_chunk_mut()?;
        fixed[0] = 0x80;
        fixed[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        match self.level {
            Some((id @ 1..=14, value)) => {
                let extended: &mut [u8; MAX_WRITTEN_HEADER_LEN] = out.first_chunk_mut()?;
                extended[0] |= 0x10;
                extended[12..].copy_from_slice(&[0xBE, 0xDE, 0, 1, id << 4, value, 0, 0]);
                Some(MAX_WRITTEN_HEADER_LEN)
            }
            Some(_) | None => Some(HEADER_LEN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 111, 0, 7, 0, 0, 1, 0, 1, 2, 3, 4];
        packet.extend(tail);
        packet
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let header = OutgoingHeader {
            marker: true,
            payload_type: 111,
            sequence: 65_535,
            timestamp: 0xFFFF_FFFE,
            ssrc: 0xDEAD_BEEF,
            level: Some((3, 0x85)),
        };
        let mut out = [0; 64];
        let len = header.write(&mut out).unwrap();
        let read = RtpHeader::parse(&out).unwrap();
        assert_eq!(read.header_len(), len);
        assert_eq!(
            (
                read.marker,
                read.payload_type,
                read.sequence,
                read.timestamp,
                read.ssrc
            ),
            (true, 111, 65_535, 0xFFFF_FFFE, 0xDEAD_BEEF)
        );
        assert_eq!(read.audio_level(&out, 3), Some(0x85));
        assert_eq!(read.audio_level(&out, 4), None);
        assert_eq!(header.write(&mut [0; 19]), None);
    }

    #[test]
    fn finds_the_level_among_other_extensions() {
        // Ids 2 (three bytes), padding, 1 (level), in one-byte form.
        let one = packet(
            0x90,
            &[0xBE, 0xDE, 0, 2, 0x22, 9, 9, 9, 0, 0x10, 0x7F, 0, 0xAA],
        );
        let header = RtpHeader::parse(&one).unwrap();
        assert_eq!(header.audio_level(&one, 1), Some(0x7F));
        assert_eq!(header.audio_level(&one, 2), None, "of another length");
        assert_eq!(header.payload(&one), [0xAA]);
        // The same in two-byte form.
        let two = packet(0x90, &[0x10, 0, 0, 2, 2, 0, 1, 1, 0x33, 0, 0, 0, 0xAA]);
        let header = RtpHeader::parse(&two).unwrap();
        assert_eq!(header.audio_level(&two, 1), Some(0x33));
    }

    #[test]
    fn padding_is_taken_off_and_never_underflows() {
        for (tail, payload) in [
            (&[1, 2, 3, 0, 2][..], &[1, 2, 3][..]),
            (&[4], &[]),
            (&[1, 2, 9], &[]),
            (&[], &[]),
        ] {
            let bytes = packet(0xA0, tail);
            assert_eq!(RtpHeader::parse(&bytes).unwrap().payload(&bytes), payload);
        }
    }

    #[test]
    fn refuses_what_ends_too_soon() {
        for bytes in [
            vec![],
            packet(0x80, &[])[..11].to_vec(),
            packet(0x40, &[]),
            packet(0x81, &[0, 0]),
            packet(0x90, &[0xBE, 0xDE, 0]),
            packet(0x90, &[0xBE, 0xDE, 0, 1, 0]),
        ] {
            assert_eq!(RtpHeader::parse(&bytes), Err(RtpError), "{bytes:x?}");
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_type() {
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x80, 206]));
        assert!(!is_rtcp(&[0x80, 111]) && !is_rtcp(&[0x80, 0xEF]) && !is_rtcp(&[0x80]));
    }
}
