//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104): the packets that an anchor reads and writes.

/// Blocks read from one report; a report can hold no more.
const MAX_BLOCKS: usize = 31;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

const GENERIC_NACK: u8 = 1;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA_REQUEST: u8 = 4;

/// What a sender says about its own stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// The stream.
    pub ssrc: u32,
    /// Wall clock in NTP format, 32.32 fixed point.
    pub ntp: u64,
    /// The same instant in the stream's clock.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// What a receiver says about a stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream it is about.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far; duplicates may make it negative. 24 bits.
    pub lost: i32,
    /// Highest extended sequence number received.
    pub highest: u32,
    /// Interarrival jitter in the stream's clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; zero for none.
    pub last_report: u32,
    /// Time since that report, in 1/65536 s.
    pub delay: u32,
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// A sender report.
    SenderReport(SenderInfo, Blocks<'a>),
    /// A receiver report.
    ReceiverReport(Blocks<'a>),
    /// Picture Loss Indication for a stream (RFC 4585 §6.3.1).
    PictureLoss {
        /// The stream a key frame is wanted of.
        media: u32,
    },
    /// Full Intra Request (RFC 5104 §4.3.1), its first entry: we have one video stream.
    FullIntra {
        /// The stream a key frame is wanted of.
        media: u32,
    },
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack {
        /// The stream.
        media: u32,
        /// What is missing.
        missing: Missing<'a>,
    },
    /// Anything else: descriptions, BYE, bandwidth estimates.
    Other,
}

/// Reads a decrypted compound packet, front to back, and stops at what is malformed.
#[derive(Debug, Clone, Copy)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Begins to read.
    pub const fn new(packet: &'a [u8]) -> Self {
        Self { rest: packet }
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<RtcpPacket<'a>> {
        let [first, kind, high, low, ..] = *self.rest else {
            return None;
        };
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        if first >> 6 != 2 || len > self.rest.len() {
            self.rest = &[];
            return None;
        }
        let (packet, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(read(first & 31, kind, &packet[4..]).unwrap_or(RtcpPacket::Other))
    }
}

fn read(count: u8, kind: u8, body: &[u8]) -> Option<RtcpPacket<'_>> {
    Some(match (kind, count) {
        (SENDER_REPORT, count) => {
            let info = SenderInfo {
                ssrc: word(body, 0)?,
                ntp: (u64::from(word(body, 4)?) << 32) | u64::from(word(body, 8)?),
                rtp: word(body, 12)?,
                packets: word(body, 16)?,
                octets: word(body, 20)?,
            };
            RtcpPacket::SenderReport(
                info,
                Blocks {
                    rest: &body[24..],
                    left: count,
                },
            )
        }
        (RECEIVER_REPORT, count) => RtcpPacket::ReceiverReport(Blocks {
            rest: body.get(4..)?,
            left: count,
        }),
        (TRANSPORT_FEEDBACK, GENERIC_NACK) => RtcpPacket::Nack {
            media: word(body, 4)?,
            missing: Missing {
                rest: &body[8..],
                bits: 0,
                next: 0,
            },
        },
        (PAYLOAD_FEEDBACK, PICTURE_LOSS) => RtcpPacket::PictureLoss {
            media: word(body, 4)?,
        },
        (PAYLOAD_FEEDBACK, FULL_INTRA_REQUEST) => RtcpPacket::FullIntra {
            media: word(body, 8)?,
        },
        _ => RtcpPacket::Other,
    })
}

/// The blocks of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'a> {
    rest: &'a [u8],
    left: u8,
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        self.left = self.left.checked_sub(1)?;
        let (block, rest) = self.rest.split_first_chunk::<24>()?;
        self.rest = rest;
        let loss = word(block, 4)?;
        Some(ReportBlock {
            ssrc: word(block, 0)?,
            fraction_lost: block[4],
            // Sign-extends 24 bits.
            lost: (loss << 8).cast_signed() >> 8,
            highest: word(block, 8)?,
            jitter: word(block, 12)?,
            last_report: word(block, 16)?,
            delay: word(block, 20)?,
        })
    }
}

/// The sequence numbers of a NACK, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing<'a> {
    rest: &'a [u8],
    bits: u16,
    next: u16,
}

impl Iterator for Missing<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.bits == 0 {
            let (entry, rest) = self.rest.split_first_chunk::<4>()?;
            self.rest = rest;
            let first = u16::from_be_bytes([entry[0], entry[1]]);
            self.bits = u16::from_be_bytes([entry[2], entry[3]]);
            self.next = first.wrapping_add(1);
            return Some(first);
        }
        let skip = self.bits.trailing_zeros();
        let sequence = self.next.wrapping_add(u16::try_from(skip).unwrap_or(0));
        self.bits = (self.bits >> skip) >> 1;
        self.next = sequence.wrapping_add(1);
        Some(sequence)
    }
}

/// Writes a compound packet into a buffer. What does not fit is left out whole.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> CompoundWriter<'a> {
    /// Begins at the front of `out`.
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Returns the length so far.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a sender report with at most 31 blocks.
    pub fn sender_report(&mut self, info: &SenderInfo, blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(MAX_BLOCKS)];
        let Some(mut body) = self.begin(blocks.len(), SENDER_REPORT, 24 + 24 * blocks.len()) else {
            return;
        };
        body.word(info.ssrc);
        body.bytes(&info.ntp.to_be_bytes());
        body.word(info.rtp);
        body.word(info.packets);
        body.word(info.octets);
        body.blocks(blocks);
    }

    /// Adds a receiver report with at most 31 blocks.
    pub fn receiver_report(&mut self, sender: u32, blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(MAX_BLOCKS)];
        let Some(mut body) = self.begin(blocks.len(), RECEIVER_REPORT, 4 + 24 * blocks.len())
        else {
            return;
        };
        body.word(sender);
        body.blocks(blocks);
    }

    /// Adds a source description with a canonical name, cut at 255 bytes.
    pub fn canonical_name(&mut self, ssrc: u32, name: &str) {
        let name = &name.as_bytes()[..name.len().min(255)];
        // One chunk: SSRC, CNAME item, at least one zero up to the word boundary.
        let len = (4 + 2 + name.len() + 1).next_multiple_of(4);
        let Some(mut body) = self.begin(1, SOURCE_DESCRIPTION, len) else {
            return;
        };
        body.word(ssrc);
        body.bytes(&[1, u8::try_from(name.len()).unwrap_or(0)]);
        body.bytes(name);
        body.zeros();
    }

    /// Adds a Picture Loss Indication.
    pub fn picture_loss(&mut self, sender: u32, media: u32) {
        let Some(mut body) = self.begin(usize::from(PICTURE_LOSS), PAYLOAD_FEEDBACK, 8) else {
            return;
        };
        body.word(sender);
        body.word(media);
    }

    /// Adds a generic NACK. `missing` rises; numbers within 16 of each other share an entry.
    pub fn nack(&mut self, sender: u32, media: u32, missing: &[u16]) {
        let mut entries = 0;
        let mut first = None;
        for sequence in missing {
            if first.is_none_or(|first| sequence.wrapping_sub(first) > 16) {
                first = Some(*sequence);
                entries += 1;
            }
        }
        let kind = usize::from(GENERIC_NACK);
        let Some(mut body) = self.begin(kind, TRANSPORT_FEEDBACK, 8 + 4 * entries) else {
            return;
        };
        body.word(sender);
        body.word(media);
        let mut rest = missing;
        while let [first, tail @ ..] = rest {
            let mut bits = 0_u16;
            rest = tail;
            while let [next, tail @ ..] = rest {
                let distance = next.wrapping_sub(*first);
                if distance > 16 {
                    break;
                }
                if distance > 0 {
                    bits |= 1 << (distance - 1);
                }
                rest = tail;
            }
            body.bytes(&first.to_be_bytes());
            body.bytes(&bits.to_be_bytes());
        }
    }

    fn begin(&mut self, count: usize, kind: u8, body_len: usize) -> Option<Body<'_>> {
        let packet = self.out.get_mut(self.len..self.len + 4 + body_len)?;
        let words = u16::try_from(body_len / 4).ok()?.to_be_bytes();
        packet[0] = 0x80 | (u8::try_from(count).ok()? & 31);
        packet[1] = kind;
        packet[2..4].copy_from_slice(&words);
        self.len += packet.len();
        Some(Body {
            rest: &mut packet[4..],
        })
    }
}

/// The room of one packet, exactly as long as what is put into it.
struct Body<'a> {
    rest: &'a mut [u8],
}

impl Body<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.rest);
        let (now, later) = rest.split_at_mut(bytes.len().min(rest.len()));
        now.copy_from_slice(&bytes[..now.len()]);
        self.rest = later;
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn zeros(&mut self) {
        self.rest.fill(0);
    }

    fn blocks(&mut self, blocks: &[ReportBlock]) {
        for block in blocks {
            self.word(block.ssrc);
            let lost = block.lost.clamp(-0x80_0000, 0x7F_FFFF).cast_unsigned() & 0xFF_FFFF;
            self.word((u32::from(block.fraction_lost) << 24) | lost);
            self.word(block.highest);
            self.word(block.jitter);
            self.word(block.last_report);
            self.word(block.delay);
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: SenderInfo = SenderInfo {
        ssrc: 7,
        ntp: 0x0102_0304_0506_0708,
        rtp: 9,
        packets: 10,
        octets: 11,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 12,
        fraction_lost: 64,
        lost: -3,
        highest: 0x0001_0002,
        jitter: 5,
        last_report: 6,
        delay: 7,
    };

    #[test]
    fn what_is_written_reads_the_same() {
        let mut out = [0xFF; 512];
        let mut writer = CompoundWriter::new(&mut out);
        writer.sender_report(&INFO, &[BLOCK, ReportBlock { ssrc: 13, ..BLOCK }]);
        writer.canonical_name(7, "name");
        writer.receiver_report(7, &[BLOCK]);
        writer.picture_loss(7, 8);
        writer.nack(7, 8, &[65_530, 65_535, 4, 100, 101]);
        let len = writer.len();

        let mut read = Compound::new(&out[..len]);
        let Some(RtcpPacket::SenderReport(info, blocks)) = read.next() else {
            panic!()
        };
        assert_eq!(info, INFO);
        assert_eq!(
            blocks.collect::<Vec<_>>(),
            [BLOCK, ReportBlock { ssrc: 13, ..BLOCK }]
        );
        assert_eq!(read.next(), Some(RtcpPacket::Other));
        let Some(RtcpPacket::ReceiverReport(blocks)) = read.next() else {
            panic!()
        };
        assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK]);
        assert_eq!(read.next(), Some(RtcpPacket::PictureLoss { media: 8 }));
        let Some(RtcpPacket::Nack { media: 8, missing }) = read.next() else {
            panic!()
        };
        assert_eq!(missing.collect::<Vec<_>>(), [65_530, 65_535, 4, 100, 101]);
        assert_eq!(read.next(), None);
    }

    #[test]
    fn a_description_ends_with_a_zero_on_a_word() {
        for name in ["", "a", "ab", "abc", "abcd"] {
            let mut out = [0xFF; 64];
            let mut writer = CompoundWriter::new(&mut out);
            writer.canonical_name(1, name);
            let len = writer.len();
            assert_eq!(len % 4, 0);
            assert_eq!(out[len - 1], 0, "{name}");
            assert_eq!(&out[10..10 + name.len()], name.as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut out = [0; 30];
        let mut writer = CompoundWriter::new(&mut out);
        writer.picture_loss(1, 2);
        writer.sender_report(&INFO, &[]);
        assert_eq!(writer.len(), 12);
    }

    #[test]
    fn malformed_compounds_end_the_reading() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0x80, 200, 0, 9],
            &[0x40, 200, 0, 0],
            &[0, 0, 0, 0, 0],
        ] {
            assert_eq!(Compound::new(bytes).next(), None, "{bytes:x?}");
        }
        // A report that claims more blocks than it has, a NACK without entries.
        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        writer.receiver_report(1, &[BLOCK]);
        out[0] |= 31;
        let Some(RtcpPacket::ReceiverReport(blocks)) = Compound::new(&out[..32]).next() else {
            panic!()
        };
        assert_eq!(blocks.count(), 1);
        let short = [0x81, 205, 0, 1, 0, 0, 0, 1];
        assert_eq!(Compound::new(&short).next(), Some(RtcpPacket::Other));
    }

    #[test]
    fn a_full_intra_request_names_its_stream_in_the_entry() {
        let fir = [
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 3, 0, 0, 0,
        ];
        assert_eq!(
            Compound::new(&fir).next(),
            Some(RtcpPacket::FullIntra { media: 9 })
        );
    }
}
