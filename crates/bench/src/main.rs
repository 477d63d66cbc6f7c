//! The load client behind `make bench`: measures what a unit of work costs the server.
//!
//! It starts the release binary as a process of its own, plays many REST clients, logged-in sessions
//! and WebRTC parties against it, and divides the CPU time that the kernel counted for that process by
//! the work done. Wall times stand beside. It is not a test of correctness, though a call that fails
//! is told, and it does not compare: peers are measured elsewhere, in the same minutes.
//!
//! A party is a connectivity check, str0m's DTLS and the SRTP of `ringtrip-media`; taking each packet
//! through a whole WebRTC stack would let the client take more of the machine than the server. All
//! parties' packets go through one thread, one socket each, since the server tells parties by address.
//!
//! It imports `model` and `media` alone, and none of the code that it measures but SRTP.

mod calls;
mod control;
mod leg;
mod media;
mod rest;
mod sdp;
mod server;
mod session;
mod stun;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use tokio::sync::Semaphore;

use calls::{Load, Plan, Used};
use control::Engine;
use media::Media;
use rest::{Credential, Question, Rest};
use server::Server;
use session::Session;
use table::{Table, quantile};

/// REST clients, and logins under way at once.
const AT_ONCE: usize = 32;

/// Measures CPU per unit of work of a ringtrip server.
#[derive(Debug, Parser)]
struct Options {
    /// The server's binary.
    #[arg(long, default_value = "target/release/ringtrip")]
    server: PathBuf,
    /// Repetitions, each with a new server.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Sessions that are idle at once.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// How long they are watched, in seconds.
    #[arg(long, default_value_t = 30)]
    idle_secs: u64,
    /// Calls at once.
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// Calls set up in a second.
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// How long all calls carry sound, in seconds.
    #[arg(long, default_value_t = 10)]
    sound_secs: u64,
    /// Requests of each REST row.
    #[arg(long, default_value_t = 4000)]
    requests: usize,
    /// Credentials of the account whose lists are measured.
    #[arg(long, default_value_t = 100_000)]
    credentials: usize,
    /// What to measure.
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
    /// A Postgres to measure on too; `scripts/with-postgres` starts one and sets it.
    #[arg(long, env = "RINGTRIP_TEST_POSTGRES_URL", requires = "postgres_folder")]
    postgres: Option<String>,
    /// The folder that its `data` is in.
    #[arg(long, env = "RINGTRIP_TEST_POSTGRES_FOLDER")]
    postgres_folder: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything.
    All,
    /// Sessions, calls, media, and single REST requests on SQLite.
    Calls,
    /// REST on both engines, and lists of very many.
    Control,
}

fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    if options.calls * 2 > options.sessions || options.repeat == 0 {
        bail!("--sessions must be at least twice --calls, and --repeat at least 1");
    }
    if options.credentials < 2000 {
        bail!("--credentials must be at least 2000");
    }
    check_descriptors(options.sessions + options.calls * 2 + 200)?;
    if !options.server.exists() {
        bail!(
            "{} does not exist; make build makes it",
            options.server.display()
        );
    }
    // It is started in folders of its own.
    options.server = options.server.canonicalize()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut table = Table::default();
    let machine = Machine::read();
    say(&machine.describe())?;
    for number in 1..=options.repeat {
        let begun = Instant::now();
        let local = tokio::task::LocalSet::new();
        if options.part != Part::Control {
            local.block_on(&runtime, repetition(&options, &mut table))?;
        }
        if options.part != Part::Calls {
            let mut engines = vec![Engine::Sqlite];
            if let (Some(url), Some(folder)) = (&options.postgres, &options.postgres_folder) {
                engines.push(Engine::Postgres(url, folder));
            }
            for engine in engines {
                local.block_on(&runtime, control::repetition(&options, engine, &mut table))?;
            }
        }
        say(&format!(
            "repetition {number} of {}: {} s",
            options.repeat,
            begun.elapsed().as_secs()
        ))?;
    }
    say(&machine.since())?;
    print(&format!("\n{}", table.markdown()))
}

/// Prints a line of the result.
fn print(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Prints a line about the run.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}

async fn repetition(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(target_folder(&options.server))?;
    let mut server = Server::start(&options.server, folder.path())?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    table.goal(
        "idle process",
        "MiB",
        40.0,
        server.resident_kib()? as f64 / 1024.0,
    );

    let people = make_people(options.sessions, &server).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mut sessions, idle) = measure_sessions(options, people, &mut server, table).await?;
    let ping = median_ping(&mut sessions).await?;
    table.note(
        "signalling round trip, client included (a ping)",
        "ms",
        ping,
    );

    let media = Media::start()?;
    let window = calls::floor(&media, options.calls, Duration::from_secs(2)).await?;
    let mut floor: Vec<f64> = window
        .delays_us
        .iter()
        .map(|us| f64::from(*us) / 1000.0)
        .collect();
    table.note(
        "one-way delay without server p50",
        "ms",
        quantile(&mut floor, 0.5),
    );
    table.note(
        "one-way delay without server p99",
        "ms",
        quantile(&mut floor, 0.99),
    );

    let plan = Plan {
        calls: options.calls,
        rate: options.rate,
        sound: Duration::from_secs(options.sound_secs),
    };
    let (load, sessions) = calls::run(plan, &mut server, &media, sessions).await?;
    for failure in load.failures.iter().take(3) {
        say(&format!("a call failed: {failure}"))?;
    }
    note_calls(table, &load, idle, options.calls);
    drop(sessions);
    tokio::time::sleep(Duration::from_millis(500)).await;
    measure_rest(options, &mut server, table).await
}

/// A person to log in as.
struct Person {
    credential: Credential,
    token: String,
}

async fn connections(server: &Server) -> anyhow::Result<Vec<Rest>> {
    let mut connections = Vec::new();
    for _ in 0..AT_ONCE {
        connections.push(Rest::connect(server.http, &server.api_key).await?);
    }
    Ok(connections)
}

async fn make_people(count: usize, server: &Server) -> anyhow::Result<Vec<Person>> {
    let rounded = count.next_multiple_of(AT_ONCE);
    let create = Question::Create(server.connection_id.clone());
    let (connections, created) = rest::round(connections(server).await?, &create, rounded).await?;
    let credentials = read_all(&created.results)?;
    let (_, tokens) =
        rest::round(connections, &Question::Token(credentials.clone()), rounded).await?;
    let people = credentials.into_iter().zip(tokens.results).take(count);
    people
        .map(|(credential, token)| {
            Ok(Person {
                credential,
                token: String::from_utf8(token)?.trim().to_owned(),
            })
        })
        .collect()
}

fn read_all(bodies: &[Vec<u8>]) -> anyhow::Result<Vec<Credential>> {
    bodies
        .iter()
        .map(|body| rest::read_credential(body))
        .collect()
}

/// Logs everybody in and watches them doing nothing. Returns them, and the CPU share that they take.
async fn measure_sessions(
    options: &Options,
    people: Vec<Person>,
    server: &mut Server,
    table: &mut Table,
) -> anyhow::Result<(Vec<Session>, f64)> {
    let count = people.len() as f64;
    let resident = server.resident_kib()?;
    let before = server.cpu()?;
    let turns = Rc::new(Semaphore::new(AT_ONCE));
    let address = server.http;
    let tasks: Vec<_> = people
        .into_iter()
        .map(|person| {
            let turns = Rc::clone(&turns);
            tokio::task::spawn_local(async move {
                let _turn = turns.acquire().await?;
                Session::log_in(address, &person.credential.sip_username, &person.token).await
            })
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        sessions.push(task.await?.context("a login failed")?);
    }
    let logins = Used::between(before, server.cpu()?);
    table.goal(
        "connect + login, CPU",
        "µs",
        260.0,
        micros(logins.cpu) / count,
    );
    table.note(
        "connect + login, wall",
        "1/s",
        count / logins.wall.as_secs_f64(),
    );

    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.cpu()?;
    tokio::time::sleep(Duration::from_secs(options.idle_secs)).await;
    let idle = Used::between(before, server.cpu()?);
    let share = idle.cpu.as_secs_f64() / idle.wall.as_secs_f64();
    table.goal("idle session, CPU", "µs/s", 5.0, share * 1e6 / count);
    let grown = server.resident_kib()?.saturating_sub(resident);
    table.goal("idle session, memory", "KiB", 20.0, grown as f64 / count);
    Ok((sessions, share))
}

async fn median_ping(sessions: &mut [Session]) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for session in sessions.iter_mut().take(100) {
        times.push(session.ping().await?.as_secs_f64() * 1e3);
    }
    Ok(quantile(&mut times, 0.5))
}

/// Notes what a load of calls showed. `idle` is the share of a core that its sessions take anyway.
fn note_calls(table: &mut Table, load: &Load, idle: f64, wanted: usize) {
    let calls = load.set_ups.len() as f64;
    let beyond_idle = |used: Used| micros(used.cpu) - used.wall.as_secs_f64() * idle * 1e6;
    table.goal(
        "calls that failed",
        "",
        0.0,
        (wanted - load.set_ups.len()) as f64,
    );
    table.goal(
        "call set-up, both handshakes, CPU",
        "ms",
        2.5,
        beyond_idle(load.setting_up) / calls / 1e3,
    );
    table.note(
        "hang-up, CPU",
        "ms",
        beyond_idle(load.hanging_up) / calls / 1e3,
    );
    let mut times =
        |name: [&'static str; 2], goals: [Option<f64>; 2], of: fn(&calls::SetUp) -> Duration| {
            let mut values: Vec<f64> = load
                .set_ups
                .iter()
                .map(|set_up| of(set_up).as_secs_f64() * 1e3)
                .collect();
            for ((name, goal), share) in name.into_iter().zip(goals).zip([0.5, 0.99]) {
                let value = quantile(&mut values, share);
                match goal {
                    Some(goal) => table.goal(name, "ms", goal, value),
                    None => table.note(name, "ms", value),
                }
            }
        };
    times(
        ["invite in → invite out p50", "invite in → invite out p99"],
        [None; 2],
        |set_up| set_up.invite,
    );
    times(
        ["answer in → answer out p50", "answer in → answer out p99"],
        [None; 2],
        |set_up| set_up.answer,
    );
    times(
        [
            "answer → first packet, caller p50",
            "answer → first packet, caller p99",
        ],
        [Some(20.0), None],
        |set_up| set_up.caller_hears,
    );
    times(
        [
            "answer → first packet, callee p50",
            "answer → first packet, callee p99",
        ],
        [Some(20.0), None],
        |set_up| set_up.callee_hears,
    );

    let packets = load.window.received.max(1) as f64;
    table.goal(
        "forwarded packet SRTP↔SRTP, CPU",
        "µs",
        8.0,
        micros(load.sound.cpu) / packets,
    );
    table.note(
        "of it in the kernel",
        "µs",
        micros(load.sound.system) / packets,
    );
    table.note(
        "packets forwarded",
        "1/s",
        packets / load.sound.wall.as_secs_f64(),
    );
    table.note(
        "context switches per packet",
        "",
        load.switches as f64 / packets,
    );
    let mut delays: Vec<f64> = load
        .window
        .delays_us
        .iter()
        .map(|us| f64::from(*us) / 1000.0)
        .collect();
    table.goal(
        "one-way delay through the server p50",
        "ms",
        0.5,
        quantile(&mut delays, 0.5),
    );
    table.goal(
        "one-way delay through the server p99",
        "ms",
        2.0,
        quantile(&mut delays, 0.99),
    );
    let lost = load.window.sent.saturating_sub(load.window.received);
    table.goal("packets lost", "", 0.0, lost as f64);
    table.note("packets sent", "", load.window.sent as f64);
    table.note(
        "a call without sound, CPU",
        "µs/s",
        beyond_idle(load.quiet) / load.quiet.wall.as_secs_f64() / calls,
    );
    table.goal("call, memory", "KiB", 100.0, load.grown_kib as f64 / calls);
}

async fn measure_rest(
    options: &Options,
    server: &mut Server,
    table: &mut Table,
) -> anyhow::Result<()> {
    let count = options.requests.next_multiple_of(AT_ONCE);
    // The first requests of a connection are its dearest; they are not what is measured.
    let create = Question::Create(server.connection_id.clone());
    let (mut kept, warm) = rest::round(connections(server).await?, &create, AT_ONCE * 4).await?;
    let mut credentials = read_all(&warm.results)?;
    let rows = [
        (
            "REST create, CPU",
            "REST create, wall",
            "REST create p50",
            100.0,
        ),
        (
            "REST token, CPU",
            "REST token, wall",
            "REST token p50",
            50.0,
        ),
        ("REST get, CPU", "REST get, wall", "REST get p50", 30.0),
    ];
    for (index, (cpu, wall, latency, goal)) in rows.into_iter().enumerate() {
        let question = match index {
            0 => create.clone(),
            1 => Question::Token(credentials.clone()),
            _ => Question::Get(credentials.clone()),
        };
        let before = server.cpu()?;
        let (connections, round) = rest::round(kept, &question, count).await?;
        let used = Used::between(before, server.cpu()?);
        kept = connections;
        if index == 0 {
            credentials = read_all(&round.results)?;
        }
        table.goal(cpu, "µs", goal, micros(used.cpu) / count as f64);
        table.note(wall, "1/s", count as f64 / used.wall.as_secs_f64());
        let mut times: Vec<f64> = round
            .latencies
            .iter()
            .map(|time| time.as_secs_f64() * 1e3)
            .collect();
        table.note(latency, "ms", quantile(&mut times, 0.5));
    }
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Where data is kept while measuring: beside the binary, so that durable writes meet a real disk.
fn target_folder(server: &Path) -> &Path {
    server.parent().unwrap_or_else(|| Path::new("."))
}

/// Says early that the system allows too few open files.
fn check_descriptors(needed: usize) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let allowed = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    if let Some(allowed) = allowed
        && allowed < needed
    {
        bail!("{needed} open files are needed and {allowed} allowed: ulimit -n {needed}");
    }
    Ok(())
}

/// The machine and how busy it was: what figures can be trusted.
struct Machine {
    /// Idle, stolen and all time of all cores, in ticks.
    ticks: Option<[u64; 3]>,
}

impl Machine {
    fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let numbers: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        let ticks =
            (numbers.len() >= 8).then(|| [numbers[3], numbers[7], numbers.iter().take(8).sum()]);
        Self { ticks }
    }

    fn describe(&self) -> String {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or(" an unknown CPU");
        let model = model.trim_start_matches([' ', '\t', ':']);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        format!(
            "{model}, {cores} cores, Linux {}, load average before: {load}",
            kernel.trim()
        )
    }

    /// Tells how much of the machine was idle or stolen since it was read.
    fn since(&self) -> String {
        let (Some(before), Some(after)) = (self.ticks, Self::read().ticks) else {
            return "how busy the machine was is not known".to_owned();
        };
        let share = |index: usize| {
            (after[index] - before[index]) as f64 * 100.0 / (after[2] - before[2]).max(1) as f64
        };
        format!(
            "during the run {:.0} % of the machine were idle, {:.1} % stolen by the hypervisor",
            share(0),
            share(1)
        )
    }
}
