//! Two people in a call, and what can be asked of its sound.

use std::time::{Duration, Instant};

use ringtrip_model::{AudioCodec, Generator, Time};
use ringtrip_sim::air::{Air, FRAME};
use ringtrip_sim::dice::Dice;
use ringtrip_sim::facts::Facts;
use ringtrip_sim::net::Weather;
use ringtrip_sim::plane::PeerId;
use ringtrip_sim::{CallState, Habits, Setup, Step, World};

/// How long anything may take to come (back) to life. A leg whose media is not up after 30 s ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// Two devices and their call.
pub(crate) struct Conversation {
    pub(crate) world: World<Air>,
    /// By device: 0 called 1.
    names: [String; 2],
    /// From the answer to working media on both sides.
    pub(crate) set_up: Duration,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the engines of both sides count from some instant"
)]
fn some_instant() -> Instant {
    Instant::now()
}

impl Conversation {
    /// Lets one call the other and waits until both are connected.
    pub(crate) fn begin(
        seed: u64,
        codecs: [&[AudioCodec]; 2],
        weather: Weather,
        keep_trace: bool,
    ) -> Result<Self, String> {
        let mut dice = Dice::new(seed, "air");
        let mut rng: Generator = dice.generator();
        let facts = Facts::neighbours(2, &["OPUS", "G722", "G711U", "G711A"], &mut rng);
        let mut setup = Setup::new(facts);
        setup.keep_trace = keep_trace;
        let threads = 1 + u16::from(dice.percent(50));
        let air = Air::new(threads, some_instant(), seed, &mut dice)
            .map_err(|error| error.to_string())?;
        let mut world = World::new(seed, setup, air);
        world.ground.plane.weather = weather;
        for (device, codecs) in codecs.into_iter().enumerate() {
            world.add_browser(device, Habits::obedient(codecs));
        }
        let logged_in = world.run_while(PATIENCE, |world| {
            !world.browsers.iter().all(|b| b.is_ready())
        });
        ensure(logged_in, "they log in")?;
        let callee = world.ground.facts.users[1].name.clone();
        world.act(0, Step::Dial(callee));
        ensure(
            world.run_while(PATIENCE, |world| {
                world.browsers[1].ringing_calls().is_empty()
            }),
            "it rings",
        )?;
        let name = world.browsers[1].ringing_calls()[0].to_owned();
        world.run_for(dice.millis(10, 3_000));
        world.act(1, Step::Answer(name.clone()));
        let mut conversation = Self {
            world,
            names: [String::new(), name],
            set_up: Duration::ZERO,
        };
        let answered = conversation.world.now;
        conversation.wait("both are active", |talk| {
            (0..2).all(|device| !talk.world.browsers[device].active_calls().is_empty())
        })?;
        conversation.names[0] = conversation.world.browsers[0].active_calls()[0].to_owned();
        conversation.wait("both are connected", Self::is_connected)?;
        conversation.set_up = conversation.world.now - answered;
        Ok(conversation)
    }

    pub(crate) fn name(&self, device: usize) -> String {
        self.names[device].clone()
    }

    pub(crate) fn peer(&self, device: usize) -> Option<PeerId> {
        self.world.browsers[device].call(&self.names[device])?.peer
    }

    pub(crate) fn call(&self, device: usize) -> &ringtrip_sim::BrowserCall {
        self.world.browsers[device]
            .call(&self.names[device])
            .expect("a page that talks knows its call")
    }

    pub(crate) fn is_alive(&self) -> bool {
        let active = |device: usize| {
            let call = self.world.browsers[device].call(&self.names[device]);
            call.is_some_and(|call| call.state == CallState::Active)
        };
        active(0) && active(1) && self.world.ground.checks.conversations() == 1
    }

    fn is_connected(&self) -> bool {
        let up = |device| {
            self.peer(device)
                .is_some_and(|peer| self.world.ground.plane.is_connected(peer))
        };
        up(0) && up(1)
    }

    pub(crate) fn wait(&mut self, what: &str, is: impl Fn(&Self) -> bool) -> Result<(), String> {
        let end = self.world.now + PATIENCE;
        while !is(self) {
            if self.world.now >= end {
                return Err(format!("not in time: {what}"));
            }
            self.world.run_for(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Counts the packets that a device heard from its far side since an instant.
    fn heard(&self, device: usize, since: Time) -> usize {
        let (Some(ear), Some(mouth)) = (self.peer(device), self.peer(1 - device)) else {
            return 0;
        };
        let heard = self.world.ground.plane.heard_since(ear, since);
        heard.iter().filter(|packet| packet.from == mouth).count()
    }

    /// Waits until both hear each other, then listens for two seconds: what the network lets through
    /// is heard, in both directions.
    pub(crate) fn expect_sound(&mut self, after: &str) -> Result<(), String> {
        let start = self.world.now;
        self.wait(&format!("sound after {after}"), |talk| {
            let lately = talk
                .world
                .now
                .as_micros()
                .saturating_sub(300_000)
                .max(start.as_micros());
            let lately = Time::from_micros(lately);
            (0..2).all(|device| talk.heard(device, lately) >= 2)
        })?;
        // What overtook the change is past.
        self.world.run_for(Duration::from_millis(200));
        let since = self.world.now;
        let time = Duration::from_secs(2);
        self.world.run_for(time);
        let weather = self.world.ground.plane.weather;
        let sent = time.as_millis() / FRAME.as_millis();
        let sent = f64::from(u32::try_from(sent).unwrap_or(u32::MAX));
        let through = f64::from(100 - weather.loss) / 100.0;
        // Each packet has two ways to go. Far below what is to be expected, far above nothing.
        let least = sent * through * through * 0.5;
        for device in 0..2 {
            let heard = self.heard(device, since);
            let heard = f64::from(u32::try_from(heard).unwrap_or(u32::MAX));
            if heard < least {
                return Err(format!(
                    "after {after} device {device} hears {heard} of {sent} packets"
                ));
            }
        }
        ensure(self.is_alive(), &format!("the call lives after {after}"))
    }

    /// Listens for a second and hears nothing, on either side.
    pub(crate) fn expect_silence(&mut self, after: &str) -> Result<(), String> {
        self.world.run_for(Duration::from_millis(400));
        let since = self.world.now;
        self.world.run_for(Duration::from_secs(1));
        for device in 0..2 {
            let heard = self.heard(device, since);
            ensure(
                heard == 0,
                &format!("silence after {after}: device {device} hears {heard} packets"),
            )?;
        }
        ensure(self.is_alive(), &format!("the call lives after {after}"))
    }
}

pub(crate) fn ensure(is: bool, what: &str) -> Result<(), String> {
    if is {
        Ok(())
    } else {
        Err(format!("not so: {what}"))
    }
}
