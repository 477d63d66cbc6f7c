//! A random run at call level: people who call each other, and everything that gets in their way.

mod disturbance;

use std::time::Duration;

use ringtrip_model::{
    AccountId, CallingPreference, CredentialConnectionId, Generator, MediaPolicy, Time,
};

use self::disturbance::Disturbance;
use crate::browser::{Habits, Step};
use crate::dice::Dice;
use crate::facts::{Connection, Facts, STARTED_AT};
use crate::paper::{Paper, Troubles};
use crate::report::Report;
use crate::world::{Setup, World};

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keeps what happened as lines to read.
    pub keep_trace: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Rules that were broken; empty if all is well.
    pub mistakes: Vec<String>,
    /// The hash of everything the node did, in order.
    pub trace: u64,
    /// What happened, if kept.
    pub lines: Vec<String>,
    /// What was counted.
    pub report: Report,
}

/// Plays one run.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut run = Run::draw(seed, options);
    run.play();
    run.finish();
    let checks = run.world.ground.checks;
    Outcome {
        mistakes: checks.mistakes().to_vec(),
        trace: checks.trace.hash(),
        lines: checks.trace.lines().to_vec(),
        report: checks.report,
    }
}

struct Run {
    world: World<Paper>,
    dice: Dice,
    /// How likely each disturbance is.
    weights: Vec<(u32, Disturbance)>,
    pace: (u64, u64),
    lasts: Duration,
    /// Everybody answers at the same moment.
    race: bool,
    shuts_down: bool,
}

fn connections(dice: &mut Dice, rng: &mut Generator) -> Vec<Connection> {
    let accounts = [AccountId::generate(rng), AccountId::generate(rng)];
    let codecs: [&[&str]; 4] = [
        &["OPUS", "G722", "G711U", "G711A", "VP8"],
        &["G722", "G711U", "G711A", "G729", "OPUS", "H.264"],
        &["G711U", "G711A"],
        &["OPUS", "VP8"],
    ];
    let mut connections = Vec::new();
    for index in 0..3 {
        let names = codecs[if index == 0 {
            0
        } else {
            dice.below(codecs.len())
        }];
        let preferences = [
            CallingPreference::Disabled,
            CallingPreference::Internal,
            CallingPreference::Unrestricted,
        ];
        let preference = preferences[dice.below(3)];
        let limit = |dice: &mut Dice| {
            dice.percent(12)
                .then(|| u32::try_from(dice.below(2)).unwrap_or(0) + 1)
        };
        connections.push(Connection {
            id: CredentialConnectionId::generate(STARTED_AT, rng),
            account: accounts[usize::from(index == 2)],
            policy: MediaPolicy::from_codec_names(names.iter().copied()),
            preference,
            ring_timeout_secs: 5 + u32::try_from(dice.below(11)).unwrap_or(0),
            outbound_limit: limit(dice),
            inbound_limit: limit(dice),
            enabled: true,
        });
    }
    connections
}

impl Run {
    fn draw(seed: u64, options: &Options) -> Self {
        let mut dice = Dice::new(seed, "chaos");
        let mut rng = dice.generator();
        let connections = connections(&mut dice, &mut rng);
        let mut users = Vec::new();
        for index in 0..3 + dice.below(3) {
            let connection = if index < 2 { 0 } else { dice.below(3) };
            let mut user = Facts::user(connection, &mut rng);
            if index == 2 && dice.percent(30) {
                // The connection's own user name.
                user.credential = None;
            }
            users.push(user);
        }
        let mut facts = Facts::new(connections, users);
        if dice.percent(20) {
            facts.max_calls = 1 + dice.below(3);
        }
        if dice.percent(25) {
            let user = dice.below(facts.users.len());
            let after = dice.millis(20_000, 90_000);
            facts.expire(user, Time::ZERO, after);
        }

        let mut setup = Setup::new(facts);
        setup.keep_trace = options.keep_trace;
        setup.config.max_half_open = 8;
        if dice.percent(20) {
            setup.settings.max_call = dice.millis(5_000, 40_000);
        }
        if dice.percent(15) {
            setup.max_anchors = 2 + u32::try_from(dice.below(6)).unwrap_or(0);
        }
        let ill = dice.percent(30);
        let troubles = if ill {
            Troubles {
                never_connects: 10,
                handshake_fails: 6,
                wrong_certificate: 6,
            }
        } else {
            Troubles {
                never_connects: 1,
                handshake_fails: 0,
                wrong_certificate: 0,
            }
        };
        let paper = Paper::new(1 + u16::from(dice.percent(50)), troubles, dice.fork());
        let mut world = World::new(seed, setup, paper);
        let knobs = &mut world.ground.knobs;
        knobs.latency = if dice.percent(20) { (50, 900) } else { (3, 60) };
        knobs.store = if dice.percent(20) { (1, 900) } else { (1, 12) };
        knobs.background_snapshots = dice.percent(30);
        knobs.slow_readers = if dice.percent(10) { 60 } else { 0 };
        knobs.deleted_at_login = if dice.percent(10) { 12 } else { 0 };

        let race = dice.percent(25);
        let devices = world.ground.facts.users.len() + 1 + dice.below(4);
        let shuts_down = dice.percent(10);
        let mut run = Self {
            weights: Disturbance::draw_weights(&mut dice),
            world,
            pace: (200, 3_500),
            lasts: dice.millis(45_000, 150_000),
            race,
            shuts_down,
            dice,
        };
        for device in 0..devices {
            // Every user has one, and some more.
            let users = run.world.ground.facts.users.len();
            let user = if device < users {
                device
            } else {
                run.dice.below(users.min(2))
            };
            let habits = Habits::draw(&mut run.dice, run.race);
            run.world.add_browser(user, habits);
        }
        run
    }

    fn play(&mut self) {
        let end = self.world.now + self.lasts;
        self.world.run_for(Duration::from_millis(1_500));
        while self.world.now < end {
            let pause = self.dice.millis(self.pace.0, self.pace.1);
            self.world.run_for(pause);
            if let Some(disturbance) = self.dice.weighted(&self.weights) {
                self.disturb(disturbance);
            }
            self.revive();
            self.check_forwarding();
        }
    }

    /// Compares what media threads do with what people were told.
    fn check_forwarding(&mut self) {
        let ground = &mut self.world.ground;
        for (leg, held, partner) in ground.plane.forwarding().unwrap_or_default() {
            ground
                .checks
                .check_forwarding(leg, held, partner, self.world.now);
        }
    }

    /// Opens a new page where the last one gave up.
    fn revive(&mut self) {
        for device in 0..self.world.browsers.len() {
            let user = &self.world.ground.facts.users[self.world.ground.users[device]];
            let welcome =
                !user.deleted && self.world.ground.facts.connections[user.connection].enabled;
            if self.world.browsers[device].is_gone() && welcome && self.dice.percent(20) {
                let habits = Habits::draw(&mut self.dice, self.race);
                self.world.replace_browser(device, habits);
            }
        }
    }

    /// Lets everything that goes on come to its end, sends everybody home, and looks what is left.
    fn finish(&mut self) {
        self.world.ground.knobs.deleted_at_login = 0;
        self.world.ground.knobs.slow_readers = 0;
        if self.shuts_down {
            self.world.shut_down();
            self.world.run_for(Duration::from_secs(10));
        } else {
            self.world.run_for(Duration::from_secs(25));
            // Longer than any request may wait for its answer.
            for device in 0..self.world.browsers.len() {
                self.world.browsers[device].habits.obedient = true;
            }
            self.world.run_for(Duration::from_secs(1));
            for browser in 0..self.world.browsers.len() {
                let calls: Vec<String> = self.world.browsers[browser]
                    .active_calls()
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                for call in calls {
                    self.world.act(browser, Step::HangUp(call));
                }
            }
            self.world.run_for(Duration::from_secs(9));
            self.world.ground.checks.check_answered(self.world.now);
        }
        for device in 0..self.world.browsers.len() {
            self.world.act(device, Step::Leave);
        }
        // Silent sockets, grace, sessions that linger, media that never comes back.
        self.world.run_for(Duration::from_secs(420));
        self.world.check_end();
    }
}
