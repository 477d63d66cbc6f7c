//! What gets in people's way.

use super::Run;
use crate::browser::{Browser, Step};
use crate::dice::Dice;
use crate::report::Fault;
use crate::world::Break;

/// Something that happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    Dial,
    DialBadly,
    Break(Break),
    Unplug,
    StayAway,
    Reload,
    ClosePage,
    Renew,
    BecomeOther,
    Delete,
    SwitchOff,
    StoreAway,
    SlowRoutes,
    SlowPermits,
    SlowSnapshots,
    SlowMedia,
    Mute,
    MuteForGood,
    Nonsense,
    TooLarge,
    Flood,
    HalfOpen,
    WrongLogin,
}

impl Disturbance {
    const ALL: [(u32, Self); 25] = [
        (90, Self::Dial),
        (2, Self::DialBadly),
        (3, Self::Break(Break::Reset)),
        (2, Self::Break(Break::HalfSeen)),
        (2, Self::Break(Break::Silent)),
        (2, Self::Unplug),
        (1, Self::StayAway),
        (3, Self::Reload),
        (2, Self::ClosePage),
        (2, Self::Renew),
        (1, Self::BecomeOther),
        (1, Self::Delete),
        (0, Self::SwitchOff),
        (1, Self::StoreAway),
        (1, Self::SlowRoutes),
        (1, Self::SlowPermits),
        (1, Self::SlowSnapshots),
        (1, Self::SlowMedia),
        (2, Self::Mute),
        (1, Self::MuteForGood),
        (3, Self::Nonsense),
        (1, Self::TooLarge),
        (0, Self::Flood),
        (1, Self::HalfOpen),
        (1, Self::WrongLogin),
    ];

    /// Draws what a run is troubled with: a little of everything, and three things in particular.
    pub(super) fn draw_weights(dice: &mut Dice) -> Vec<(u32, Self)> {
        let mut weights = Self::ALL.to_vec();
        for _ in 0..3 {
            let at = dice.below(weights.len());
            // Some leave little to disturb, or cost much.
            let rare = [Self::Delete, Self::SwitchOff, Self::Flood, Self::TooLarge];
            weights[at].0 += if rare.contains(&weights[at].1) { 3 } else { 12 };
        }
        weights
    }
}

/// Texts that no client should send. Each is answered, or passed over, and changes nothing.
const NONSENSE: [&str; 18] = [
    "",
    "{",
    "[]",
    "null",
    "17",
    "#SPU 17",
    "#SPE",
    r#"{"jsonrpc":"2.0"}"#,
    r#"{"jsonrpc":"2.0","id":"n1"}"#,
    r#"{"jsonrpc":"2.0","id":{},"method":"telnyx_rtc.bye"}"#,
    r#"{"jsonrpc":"2.0","id":"n2","method":5}"#,
    r#"{"jsonrpc":"2.0","id":"n3","method":"telnyx_rtc.transfer","params":{}}"#,
    r#"{"jsonrpc":"2.0","id":44,"method":"telnyx_rtc.invite","params":{}}"#,
    r#"{"jsonrpc":"2.0","id":"n5","method":"telnyx_rtc.invite","params":{"sdp":7,"dialogParams":{"callID":"x"}}}"#,
    r#"{"jsonrpc":"2.0","id":"n6","method":"telnyx_rtc.modify","params":{"action":"hold","callID":"nobody"}}"#,
    r#"{"jsonrpc":"2.0","id":"n7","method":"telnyx_rtc.attach","params":{"dialogParams":[]}}"#,
    r#"{"jsonrpc":"2.0","id":"n8","method":"anonymous_login","params":{"target_id":"a"}}"#,
    r#"{"jsonrpc":"2.0","method":"telnyx_rtc.info","params":{"dtmf":"Z"}}"#,
];

impl Run {
    fn some_device(&mut self, fits: impl Fn(&Browser) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = self
            .world
            .browsers
            .iter()
            .filter(|b| fits(b))
            .map(|b| b.device)
            .collect();
        self.dice.pick(&fitting).copied()
    }

    /// Prefers a device in a call: elsewhere little can break.
    fn talking_device(&mut self) -> Option<usize> {
        let talking =
            self.some_device(|browser| browser.is_ready() && !browser.active_calls().is_empty());
        if talking.is_some() && self.dice.percent(80) {
            return talking;
        }
        self.some_device(Browser::is_ready)
    }

    pub(super) fn disturb(&mut self, disturbance: Disturbance) {
        let now = self.world.now;
        match disturbance {
            Disturbance::Dial => self.dial(),
            Disturbance::DialBadly => {
                let to = self.destination(usize::MAX);
                if let Some(device) = self.some_device(Browser::is_ready) {
                    self.world.act(device, Step::DialBadly(to));
                }
            }
            Disturbance::Break(how) => {
                if let Some(device) = self.talking_device() {
                    self.world.break_socket(device, how);
                }
            }
            Disturbance::Unplug => self.unplug((500, 20_000)),
            Disturbance::StayAway => self.unplug((65_000, 130_000)),
            Disturbance::Reload => {
                if let Some(device) = self.talking_device() {
                    if !self.world.browsers[device].active_calls().is_empty() {
                        self.world.ground.checks.report.fault(Fault::Reload);
                    }
                    self.world.act(device, Step::Reload);
                }
            }
            Disturbance::ClosePage => {
                if let Some(device) = self.talking_device() {
                    if !self.world.browsers[device].active_calls().is_empty() {
                        self.world.ground.checks.report.fault(Fault::PageClosed);
                    }
                    self.world.act(device, Step::Leave);
                }
            }
            Disturbance::Renew => {
                if let Some(device) = self.talking_device() {
                    self.world.ground.checks.report.fault(Fault::Renewal);
                    self.world.act(device, Step::Renew);
                }
            }
            Disturbance::BecomeOther => {
                if let Some(device) = self.talking_device() {
                    let user = self.dice.below(self.world.ground.facts.users.len());
                    self.world.ground.checks.report.fault(Fault::OtherUser);
                    self.world.become_user(device, user);
                    self.world.act(device, Step::Renew);
                }
            }
            Disturbance::Delete => {
                if let Some(device) = self.talking_device() {
                    let user = self.world.ground.users[device];
                    let scope = self.world.ground.facts.delete(user);
                    self.world.revoke(scope);
                }
            }
            Disturbance::SwitchOff => {
                let connection = 1 + self.dice.below(2);
                let scope = self.world.ground.facts.switch_off(connection);
                if self.world.ground.facts.bound_under(&scope) > 0 {
                    self.world.ground.checks.report.fault(Fault::ConnectionOff);
                }
                self.world.revoke(scope);
            }
            Disturbance::StoreAway => {
                self.world.ground.knobs.store_away_until = now + self.dice.millis(1_000, 12_000);
            }
            Disturbance::SlowRoutes => {
                self.world.ground.knobs.slow_routes_until = now + self.dice.millis(1_000, 9_000);
            }
            Disturbance::SlowPermits => {
                self.world.ground.knobs.slow_permits_until = now + self.dice.millis(1_000, 9_000);
            }
            Disturbance::SlowSnapshots => {
                self.world.ground.knobs.slow_snapshots_until =
                    now + self.dice.millis(1_000, 15_000);
            }
            Disturbance::SlowMedia => {
                let by = self.dice.millis(300, 7_000);
                let until = now + self.dice.millis(2_000, 10_000);
                self.world.ground.plane.slow_down(by, until);
            }
            Disturbance::Mute => self.mute((1_000, 30_000)),
            Disturbance::MuteForGood => self.mute((61_000, 90_000)),
            Disturbance::Nonsense => self.talk_nonsense(),
            Disturbance::TooLarge => {
                let large = format!("{{\"id\":\"{}\"}}", "x".repeat(66_000));
                self.world.open_raw(&[large]);
            }
            Disturbance::Flood => {
                let frame = r##"{"jsonrpc":"2.0","id":"f","type":"debug_report_data"}"##;
                self.world.open_raw(&vec![frame.to_owned(); 420]);
            }
            Disturbance::HalfOpen => {
                self.world.ground.checks.report.fault(Fault::HalfOpen);
                for _ in 0..3 + self.dice.below(8) {
                    self.world.open_raw(&[]);
                }
            }
            Disturbance::WrongLogin => self.log_in_wrongly(),
        }
    }

    fn unplug(&mut self, (from, to): (u64, u64)) {
        let away = self.dice.millis(from, to);
        if let Some(device) = self.talking_device() {
            self.world.unplug(device, away);
        }
    }

    fn mute(&mut self, (from, to): (u64, u64)) {
        let away = self.dice.millis(from, to);
        if let Some(device) = self.talking_device() {
            self.world.mute(device, away);
        }
    }

    fn dial(&mut self) {
        let Some(device) =
            self.some_device(|browser| browser.is_ready() && browser.active_calls().len() < 2)
        else {
            return;
        };
        let to = self.destination(self.world.ground.users[device]);
        self.world.act(device, Step::Dial(to));
    }

    /// Draws somebody to call, mostly somebody else of the same account.
    fn destination(&mut self, caller: usize) -> String {
        let odd = [
            "+13125550100",
            "sip:bob@example.com",
            "",
            "nobody-of-this-name",
            "tel:alice",
        ];
        if self.dice.percent(8) {
            return self.dice.pick(&odd).copied().unwrap_or_default().to_owned();
        }
        let users = &self.world.ground.facts.users;
        let others: Vec<&str> = users
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != caller)
            .map(|(_, user)| user.name.as_str())
            .collect();
        // The first two have several devices.
        let few = if self.race {
            others.get(..1).unwrap_or_default()
        } else {
            &others[..]
        };
        let name = self.dice.pick(few).copied().unwrap_or("nobody");
        match self.dice.below(4) {
            0 => format!("sip:{name}@sip.telnyx.com"),
            1 => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        }
    }

    fn talk_nonsense(&mut self) {
        let mut text = self
            .dice
            .pick(&NONSENSE)
            .copied()
            .unwrap_or_default()
            .to_owned();
        // Sometimes it is about somebody else's call.
        let foreign = self
            .world
            .browsers
            .iter()
            .flat_map(|browser| browser.active_calls())
            .next();
        if let Some(call) = foreign.filter(|_| self.dice.percent(40)) {
            let id = self.dice.uuid();
            text = format!(
                r#"{{"jsonrpc":"2.0","id":"{id}","method":"telnyx_rtc.candidate","params":{{"callID":"{call}"}}}}"#
            );
            self.world.open_raw(&[text.replace("candidate", "bye")]);
        }
        self.world.ground.checks.report.fault(Fault::Nonsense);
        if let Some(device) = self.some_device(Browser::is_ready) {
            self.world.act(device, Step::Say(text));
        }
    }

    fn log_in_wrongly(&mut self) {
        self.world.ground.checks.report.fault(Fault::WrongLogin);
        let user = self.dice.below(self.world.ground.facts.users.len());
        let name = self.world.ground.facts.users[user].name.clone();
        let tries = 1 + self.dice.below(6);
        let login = |n: usize| {
            format!(
                r#"{{"jsonrpc":"2.0","id":"w{n}","method":"login","params":{{"login":"{name}","passwd":"wrong"}}}}"#
            )
        };
        // Each waits for the one before; more than a few at once are refused without a look.
        let frames: Vec<String> = (0..tries).map(login).collect();
        self.world.open_raw(&frames);
    }
}
