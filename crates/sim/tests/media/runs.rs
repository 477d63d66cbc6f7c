//! Fifty calls in fifty kinds of weather, each with its own troubles.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ringtrip_model::AudioCodec;
use ringtrip_sim::dice::Dice;
use ringtrip_sim::net::Weather;
use ringtrip_sim::report::{Fault, Report};
use ringtrip_sim::{Break, Step};

use crate::conversation::{Conversation, ensure};

const RUNS: u64 = 50;
/// Runs of `make soak`.
const SOAK_RUNS: u64 = 2_000;
const MAX_FAILURES: usize = 5;

/// What happens in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Episode {
    Hold,
    HoldBoth,
    Key,
    Restart,
    SocketReset,
    SocketHalfSeen,
    Unplug,
    Reload,
    Rebind,
    LossBurst,
}

impl Episode {
    const ALL: [Self; 10] = [
        Self::Hold,
        Self::HoldBoth,
        Self::Key,
        Self::Restart,
        Self::SocketReset,
        Self::SocketHalfSeen,
        Self::Unplug,
        Self::Reload,
        Self::Rebind,
        Self::LossBurst,
    ];
}

fn weather(seed: u64, dice: &mut Dice) -> Weather {
    const LOSS: [u32; 6] = [0, 1, 5, 10, 20, 30];
    let at = usize::try_from(seed % 6).unwrap_or(0);
    let most = if dice.percent(40) { 120 } else { 15 };
    Weather {
        loss: LOSS[at],
        repeats: if dice.percent(50) { 5 } else { 0 },
        delay: dice.millis(1, 60),
        // Above 20 ms packets overtake each other.
        jitter: dice.millis(0, most),
    }
}

fn codecs(dice: &mut Dice) -> [&'static [AudioCodec]; 2] {
    use AudioCodec::{G722, Opus, Pcma, Pcmu};
    const SPOKEN: [[&[AudioCodec]; 2]; 5] = [
        [&[Opus, G722, Pcmu, Pcma], &[Opus, G722, Pcmu, Pcma]],
        [&[Opus, Pcmu], &[Pcmu, Opus]],
        [&[Opus, G722], &[G722]],
        [&[Pcmu, Pcma], &[Pcma]],
        [&[Opus], &[Opus]],
    ];
    SPOKEN[dice.below(SPOKEN.len())]
}

/// What came of a call.
struct Played {
    result: Result<(), String>,
    set_up: Duration,
    report: Report,
    lines: Vec<String>,
}

impl Played {
    fn failed(mistake: String) -> Self {
        Self {
            result: Err(mistake),
            set_up: Duration::MAX,
            report: Report::default(),
            lines: Vec::new(),
        }
    }
}

fn play(seed: u64, keep_trace: bool) -> Played {
    let mut dice = Dice::new(seed, "episodes");
    let weather = weather(seed, &mut dice);
    let mut talk = match Conversation::begin(seed, codecs(&mut dice), weather, keep_trace) {
        Ok(talk) => talk,
        Err(mistake) => return Played::failed(format!("{mistake}\n    in {weather:?}")),
    };
    let mut result = talk.expect_sound("the answer");
    for n in 0..4 {
        let at = (usize::try_from(seed).unwrap_or(0) + n * 3) % Episode::ALL.len();
        let episode = Episode::ALL[at];
        result = result.and_then(|()| {
            happen(&mut talk, episode, &mut dice)
                .map_err(|mistake| format!("{episode:?}: {mistake}"))
        });
    }
    result = result.and_then(|()| hang_up(&mut talk, dice.below(2)));
    let checks = &mut talk.world.ground.checks;
    if let Some(mistake) = checks.mistakes().first() {
        result = Err(format!("{mistake} ({result:?})"));
    }
    let lines = checks.trace.lines().to_vec();
    Played {
        result: result.map_err(|mistake| format!("{mistake}\n    in {weather:?}")),
        set_up: talk.set_up,
        report: checks.report.clone(),
        lines,
    }
}

fn happen(talk: &mut Conversation, episode: Episode, dice: &mut Dice) -> Result<(), String> {
    let device = dice.below(2);
    let name = talk.name(device);
    let what = format!("{episode:?}");
    match episode {
        Episode::Hold => {
            talk.world.act(device, Step::Hold(name.clone()));
            talk.wait("it is held", |talk| talk.call(device).held)?;
            talk.expect_silence("hold")?;
            // Held for longer than the far side's patience with silence.
            talk.world.run_for(Duration::from_secs(7));
            talk.world.act(device, Step::Unhold(name));
            talk.wait("it is taken back", |talk| !talk.call(device).held)?;
        }
        Episode::HoldBoth => {
            for device in 0..2 {
                let name = talk.name(device);
                talk.world.act(device, Step::Hold(name));
                talk.wait("it is held", |talk| talk.call(device).held)?;
            }
            talk.world.act(device, Step::Unhold(name));
            talk.wait("one side takes it back", |talk| !talk.call(device).held)?;
            talk.expect_silence("hold by the other side")?;
            let far = talk.name(1 - device);
            talk.world.act(1 - device, Step::ToggleHold(far));
            talk.wait("both took it back", |talk| !talk.call(1 - device).held)?;
        }
        Episode::Key => {
            let before = talk.call(1 - device).keys.len();
            talk.world.act(device, Step::Key(name));
            talk.wait("the far side hears of the key", |talk| {
                talk.call(1 - device).keys.len() > before
            })?;
        }
        Episode::Restart => {
            let before = talk.call(device).restarted;
            talk.world.act(device, Step::Restart(name));
            talk.wait("the restart is answered", |talk| {
                talk.call(device).restarted > before
            })?;
        }
        Episode::SocketReset | Episode::SocketHalfSeen => {
            let before = talk.call(device).attached;
            let how = if episode == Episode::SocketReset {
                Break::Reset
            } else {
                Break::HalfSeen
            };
            talk.world.break_socket(device, how);
            // Sound does not hang on signalling.
            talk.world.run_for(Duration::from_millis(100));
            talk.wait("it is attached anew", |talk| {
                talk.call(device).attached > before
            })?;
        }
        Episode::Unplug => {
            let before = talk.call(device).attached;
            talk.world.unplug(device, Duration::from_secs(4));
            talk.world.run_for(Duration::from_secs(4));
            talk.wait("it is attached anew", |talk| {
                talk.call(device).attached > before
            })?;
        }
        Episode::Reload => {
            talk.world.ground.checks.report.fault(Fault::Reload);
            talk.world.act(device, Step::Reload);
            talk.wait("the new page takes the call up", |talk| {
                talk.world.browsers[device]
                    .call(&name)
                    .is_some_and(|call| call.attached > 0)
            })?;
        }
        Episode::Rebind => {
            let peer = talk.peer(device);
            ensure(peer.is_some(), "a page that talks has a peer connection")?;
            if let Some(peer) = peer {
                talk.world.ground.plane.rebind(peer);
            }
        }
        Episode::LossBurst => {
            talk.world.ground.checks.report.fault(Fault::LossBurst);
            let weather = talk.world.ground.plane.weather;
            talk.world.ground.plane.weather = Weather {
                loss: 100,
                ..weather
            };
            talk.world.run_for(Duration::from_secs(1));
            talk.world.ground.plane.weather = weather;
        }
    }
    talk.expect_sound(&what)
}

/// Ends the call from one side, sends both home, and looks that nothing is left.
fn hang_up(talk: &mut Conversation, device: usize) -> Result<(), String> {
    let name = talk.name(device);
    talk.world.act(device, Step::HangUp(name));
    talk.wait("the far side hears of the end", |talk| {
        talk.world.browsers[1 - device].active_calls().is_empty()
    })?;
    talk.world.run_for(Duration::from_secs(8));
    talk.world.ground.checks.check_answered(talk.world.now);
    for device in 0..2 {
        talk.world.act(device, Step::Leave);
    }
    talk.world.run_for(Duration::from_secs(200));
    talk.world.check_end();
    Ok(())
}

#[test]
fn sound_flows_when_it_should_and_stops_when_it_should() {
    match number("SIM_SEED") {
        Some(seed) => play_all(seed..seed + 1),
        None => play_all(0..number("SIM_SEEDS").unwrap_or(RUNS).max(RUNS)),
    }
}

#[test]
#[ignore = "takes minutes: make soak"]
fn sound_flows_in_many_more_calls() {
    play_all(0..number("SIM_SEEDS").unwrap_or(SOAK_RUNS));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "the table is what a run is for")]
fn play_all(seeds: std::ops::Range<u64>) {
    let one = seeds.end - seeds.start == 1;
    let mut report = Report::default();
    let mut failures = Vec::new();
    let (mut runs, mut slow) = (0, 0);
    for seed in seeds {
        let played = catch_unwind(AssertUnwindSafe(|| play(seed, one)));
        let played = played.unwrap_or_else(|panic| {
            Played::failed(panic.downcast_ref::<String>().cloned().unwrap_or_default())
        });
        for line in played.lines {
            println!("{line}");
        }
        runs += 1;
        slow += u32::from(played.set_up > Duration::from_secs(10));
        report.merge(&played.report);
        if let Err(mistake) = played.result {
            failures.push(format!("seed {seed}: {mistake}"));
        }
        if failures.len() >= MAX_FAILURES {
            break;
        }
    }
    println!("{report}");
    assert!(
        failures.is_empty(),
        "play one again with SIM_SEED:\n{}",
        failures.join("\n")
    );
    assert!(
        slow * 20 <= runs,
        "{slow} of {runs} calls took more than 10 s to be set up"
    );
    let met = Fault::OF_PACKETS.iter().chain(&[
        Fault::SocketReset,
        Fault::Takeover,
        Fault::NetworkGone,
        Fault::Reload,
    ]);
    let never: Vec<&str> = met
        .filter(|fault| report.count(**fault) == 0)
        .map(|fault| fault.name())
        .collect();
    assert!(never.is_empty() || one, "never: {never:?}");
    for step in [
        ("hold", "open", "held"),
        ("hold", "held", "open"),
        ("attach", "idle", "offered"),
        ("attach", "offered", "answered"),
        ("attach", "answered", "idle"),
        ("restart", "idle", "asked"),
        ("restart", "asked", "idle"),
        ("signalling", "there", "lost"),
        ("signalling", "lost", "there"),
        ("media", "connecting", "up"),
        ("call", "bridged", "ended"),
    ] {
        assert!(report.steps_taken(step) > 0 || one, "never: {step:?}");
    }
}
