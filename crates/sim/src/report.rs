//! How often each fault happened and each step was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ringtrip_model::HangupCause;
use ringtrip_verto::CloseReason;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Something that goes wrong, or crosses, or comes at the wrong time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* #[doc = $text] $name,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns its name in the table.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

faults! {
    SocketReset = "a socket breaks and both sides notice",
    SocketHalfSeen = "a socket breaks and the server does not notice",
    SocketSilent = "a socket goes dead and nobody is told",
    NetworkGone = "a device loses its network, sound included",
    BeyondGrace = "a device stays away for longer than its calls wait",
    Reload = "a page is reloaded in a call",
    PageClosed = "a page is closed with its calls hung up",
    Takeover = "a newer socket takes a session over",
    Renewal = "a client logs in again on its socket",
    OtherUser = "a socket logs in as somebody else",
    LateAnswer = "a device answers when the ringing is over",
    AnswerCrossesHangup = "an answer crosses the hang-up of its call",
    CancelCrossesAnswer = "a cancel crosses an answer",
    AnswersAtOnce = "several devices answer at once",
    ByesCross = "both sides hang up at once",
    RepeatedAnswer = "a device sends its answer twice",
    RevokedInCall = "a credential is deleted in a call",
    RevokedAtLogin = "a credential is deleted while its login is checked",
    ConnectionOff = "a connection is switched off in a call",
    Expired = "a credential ends in a session",
    StoreAwayAtLogin = "the store is away when a login is checked",
    StoreAwayAtRoute = "the store is away when a destination is looked up",
    SlowRoute = "a look-up takes longer than a call waits",
    SlowPermit = "a permit takes longer than a call waits",
    SlowSnapshot = "a snapshot takes longer than a call waits",
    LimitOutbound = "the caller's connection has no channel left",
    LimitInbound = "the callee's connection has no channel left",
    LimitNode = "the node has no call left",
    MediaFull = "the media engine has no anchor left",
    NeverConnects = "a device's media never connects",
    HandshakeFails = "a DTLS handshake fails",
    WrongCertificate = "a device shows another certificate than promised",
    MediaStalls = "a device's media stalls and comes back",
    MediaDies = "a device's media stalls for good",
    SlowMediaThread = "a media thread answers late",
    BadDescription = "a client's description cannot be used",
    NoCommonCodec = "caller and callee have no codec in common",
    NoAnswer = "nobody answers in time",
    TooLong = "a call reaches the longest it may last",
    Nonsense = "a client sends nonsense",
    FrameTooLarge = "a client sends too large a frame",
    Flood = "a client sends too many frames",
    HalfOpen = "sockets open and never log in",
    WrongLogin = "a client logs in with the wrong password",
    SlowReader = "a client reads too slowly",
    RestartRefused = "a media restart is refused",
    Shutdown = "the node is shut down with calls",
    PacketLost = "a packet is lost",
    PacketLate = "a packet is delayed or overtaken",
    PacketTwice = "a packet arrives twice",
    Rebinding = "a device's public address changes",
    LossBurst = "nothing arrives for a second",
}

impl Fault {
    /// Those that only a network of packets knows.
    pub const OF_PACKETS: &[Self] = &[
        Self::PacketLost,
        Self::PacketLate,
        Self::PacketTwice,
        Self::Rebinding,
        Self::LossBurst,
    ];
}

/// A step of a state machine: whose, from where, to where.
pub type Step = (&'static str, &'static str, &'static str);

/// What one run counted, or many.
#[derive(Debug, Clone, Default)]
pub struct Report {
    runs: u64,
    faults: BTreeMap<Fault, u64>,
    steps: BTreeMap<Step, u64>,
    causes: BTreeMap<HangupCause, u64>,
    closes: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Counts a run.
    pub const fn run(&mut self) {
        self.runs += 1;
    }

    /// Counts a fault.
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Counts many of one fault.
    pub fn faults(&mut self, fault: Fault, count: u64) {
        if count > 0 {
            *self.faults.entry(fault).or_default() += count;
        }
    }

    /// Counts a step.
    pub fn step(&mut self, machine: &'static str, from: &'static str, to: &'static str) {
        *self.steps.entry((machine, from, to)).or_default() += 1;
    }

    /// Counts the end of a leg.
    pub fn cause(&mut self, cause: HangupCause) {
        *self.causes.entry(cause).or_default() += 1;
    }

    /// Counts a socket closed by the server.
    pub fn close(&mut self, reason: CloseReason) {
        *self.closes.entry(reason.text()).or_default() += 1;
    }

    /// Returns how often a fault happened.
    pub fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// Returns how often a step was taken.
    pub fn steps_taken(&self, step: Step) -> u64 {
        self.steps.get(&step).copied().unwrap_or(0)
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        let mut add = |fault: &Fault, count: &u64| *self.faults.entry(*fault).or_default() += count;
        other
            .faults
            .iter()
            .for_each(|(fault, count)| add(fault, count));
        for (step, count) in &other.steps {
            *self.steps.entry(*step).or_default() += count;
        }
        for (cause, count) in &other.causes {
            *self.causes.entry(*cause).or_default() += count;
        }
        for (reason, count) in &other.closes {
            *self.closes.entry(reason).or_default() += count;
        }
    }

    /// Names what should have happened and never did, and what happened though nobody foresaw it.
    pub fn gaps(&self, wanted: &Wanted<'_>) -> Vec<String> {
        let mut gaps = Vec::new();
        for fault in wanted
            .faults
            .iter()
            .filter(|fault| self.count(**fault) == 0)
        {
            gaps.push(format!("never: {}", fault.name()));
        }
        for step in wanted
            .steps
            .iter()
            .filter(|step| self.steps_taken(**step) == 0)
        {
            gaps.push(format!("never: {} {} → {}", step.0, step.1, step.2));
        }
        for cause in wanted
            .causes
            .iter()
            .filter(|cause| !self.causes.contains_key(cause))
        {
            gaps.push(format!("never: a leg ends with {}", cause.name()));
        }
        for reason in wanted
            .closes
            .iter()
            .filter(|reason| !self.closes.contains_key(reason.text()))
        {
            gaps.push(format!(
                "never: a socket is closed because of \"{}\"",
                reason.text()
            ));
        }
        let known: BTreeSet<Step> = wanted.steps.iter().chain(wanted.rare).copied().collect();
        for step in self.steps.keys().filter(|step| !known.contains(*step)) {
            gaps.push(format!("unforeseen: {} {} → {}", step.0, step.1, step.2));
        }
        gaps
    }
}

/// What a set of runs must have met.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Each must have happened.
    pub faults: &'a [Fault],
    /// Each must have been taken.
    pub steps: &'a [Step],
    /// May be taken; any further step is a mistake.
    pub rare: &'a [Step],
    /// Each must have ended a leg.
    pub causes: &'a [HangupCause],
    /// Each must have closed a socket.
    pub closes: &'a [CloseReason],
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>9}  runs", self.runs)?;
        writeln!(f, "{:>9}  fault", "times")?;
        for fault in Fault::ALL.iter().filter(|fault| self.count(**fault) > 0) {
            writeln!(f, "{:>9}  {}", self.count(*fault), fault.name())?;
        }
        writeln!(f, "{:>9}  step", "times")?;
        for ((machine, from, to), count) in &self.steps {
            writeln!(f, "{count:>9}  {machine}: {from} → {to}")?;
        }
        writeln!(f, "{:>9}  end of a leg", "times")?;
        for (cause, count) in &self.causes {
            writeln!(f, "{count:>9}  {}", cause.name())?;
        }
        writeln!(f, "{:>9}  socket closed by the server", "times")?;
        for (reason, count) in &self.closes {
            writeln!(f, "{count:>9}  {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_never_and_what_unexpectedly_happened() {
        let mut report = Report::default();
        report.step("leg", "ringing", "active");
        report.fault(Fault::Reload);
        let mut sum = Report::default();
        sum.merge(&report);
        sum.merge(&report);
        assert_eq!(sum.count(Fault::Reload), 2);
        let wanted = Wanted {
            faults: &[Fault::Reload, Fault::Flood],
            steps: &[("leg", "ringing", "ended")],
            rare: &[],
            causes: &[HangupCause::NoAnswer],
            closes: &[],
        };
        assert_eq!(
            sum.gaps(&wanted),
            [
                "never: a client sends too many frames",
                "never: leg ringing → ended",
                "never: a leg ends with NO_ANSWER",
                "unforeseen: leg ringing → active",
            ]
        );
    }
}
