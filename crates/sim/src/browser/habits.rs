//! What a person and their device tend to do.

use std::time::Duration;

use ringtrip_model::AudioCodec;

use crate::dice::Dice;
use crate::plane::Abilities;

/// How a device speaks and what its person does, mostly in percent of the occasions.
#[derive(Debug, Clone)]
pub struct Habits {
    /// What the browser can do.
    pub abilities: Abilities,
    /// Acts only when told to: answers no call by itself and ends none.
    pub obedient: bool,
    /// Logs in with name and password.
    pub by_password: bool,
    /// Echoes the server's pings as the mobile SDKs do, instead of sending its own.
    pub echoes_pings: bool,
    /// Names calls `callId` where Android does.
    pub android: bool,
    /// Sends the debug reports of the JavaScript SDK.
    pub debugs: bool,
    /// Sends candidates apart.
    pub trickles: bool,
    /// Answers after exactly this, whoever else rings.
    pub answers_after: Option<Duration>,
    /// Answers an incoming call.
    pub answers: u32,
    /// Rejects it; what is left rings until it ends.
    pub rejects: u32,
    /// Answers when the ringing is over.
    pub answers_late: u32,
    /// Hangs up before the far side answers.
    pub cancels: u32,
    /// Sends an answer twice.
    pub repeats: u32,
    /// How long it talks, in milliseconds.
    pub talks: (u64, u64),
    /// Something happens during a talk about this often, in milliseconds.
    pub restless: (u64, u64),
}

impl Habits {
    /// A device that does what a test says, and answers nothing by itself.
    pub fn obedient(codecs: &[AudioCodec]) -> Self {
        Self {
            abilities: Abilities {
                codecs: codecs.to_vec(),
                video: false,
            },
            obedient: true,
            by_password: false,
            echoes_pings: false,
            android: false,
            debugs: false,
            trickles: false,
            answers_after: None,
            answers: 0,
            rejects: 0,
            answers_late: 0,
            cancels: 0,
            repeats: 0,
            talks: (1, 2),
            restless: (1, 2),
        }
    }

    /// Draws a person with a device.
    pub fn draw(dice: &mut Dice, race: bool) -> Self {
        let all = AudioCodec::ALL.to_vec();
        let codecs = match dice.below(10) {
            0 => vec![AudioCodec::Opus],
            1 => vec![AudioCodec::Pcmu, AudioCodec::Pcma],
            2 => vec![AudioCodec::Pcmu, AudioCodec::Opus],
            _ => all,
        };
        Self {
            abilities: Abilities {
                codecs,
                video: dice.percent(30),
            },
            obedient: false,
            by_password: dice.percent(25),
            echoes_pings: dice.percent(25),
            android: dice.percent(25),
            debugs: dice.percent(10),
            trickles: dice.percent(20),
            answers_after: race.then(|| Duration::from_millis(1_500)),
            answers: 68,
            rejects: 12,
            answers_late: 5,
            cancels: if race { 45 } else { 15 },
            repeats: 8,
            talks: (1_000, if dice.percent(20) { 150_000 } else { 30_000 }),
            restless: (300, 6_000),
        }
    }
}
