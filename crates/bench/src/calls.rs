//! Calls between pairs of sessions: set up at a steady rate, held without and with sound, hung up.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use tokio::sync::mpsc;

use crate::leg::LegDescription;
use crate::media::{LegEvent, Media, Window};
use crate::sdp::{self, OPUS, Remote};
use crate::server::{Cpu, Server};
use crate::session::Session;

/// How long both parties may take to hear each other.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long held calls are watched without sound.
const QUIET: Duration = Duration::from_secs(2);
/// How long what is under way may take to arrive.
const DRAIN: Duration = Duration::from_millis(300);

/// How calls are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    /// Set up in a second.
    pub(crate) rate: u32,
    /// How long all send sound.
    pub(crate) sound: Duration,
}

/// The moments of one set-up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetUp {
    /// From the caller's invite to the callee's.
    pub(crate) invite: Duration,
    /// From the callee's answer to the caller's.
    pub(crate) answer: Duration,
    /// From the callee's answer to the first packet that the caller hears.
    pub(crate) caller_hears: Duration,
    /// The same for the callee.
    pub(crate) callee_hears: Duration,
}

/// What a load of calls showed.
pub(crate) struct Load {
    pub(crate) set_ups: Vec<SetUp>,
    pub(crate) failures: Vec<String>,
    /// CPU of all set-ups, and the wall time they took.
    pub(crate) setting_up: Used,
    pub(crate) quiet: Used,
    pub(crate) sound: Used,
    pub(crate) hanging_up: Used,
    pub(crate) window: Window,
    /// Context switches of the server while there was sound.
    pub(crate) switches: u64,
    /// Resident memory that the calls took, at its end.
    pub(crate) grown_kib: u64,
}

/// CPU time used in a phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    /// The part in the kernel.
    pub(crate) system: Duration,
    pub(crate) wall: Duration,
}

impl Used {
    pub(crate) fn between(earlier: Cpu, later: Cpu) -> Self {
        Self {
            cpu: later.since(earlier),
            system: later.system_since(earlier),
            wall: later.wall_since(earlier),
        }
    }
}

struct Call {
    id: String,
    caller: Session,
    callee: Session,
}

/// Runs a load of calls over sessions, two for each call, which are given back.
///
/// # Errors
/// When no call came about at all, or the server is gone.
pub(crate) async fn run(
    plan: Plan,
    server: &mut Server,
    media: &Media,
    sessions: Vec<Session>,
) -> anyhow::Result<(Load, Vec<Session>)> {
    let mut legs = media.open(plan.calls * 2).await?.into_iter();
    let mut sessions = sessions.into_iter();
    let resident = server.resident_kib()?;
    let begun = server.cpu()?;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / plan.rate);
    let mut placing = Vec::new();
    for number in 0..plan.calls {
        let (Some(a), Some(b)) = (legs.next(), legs.next()) else {
            break;
        };
        let (Some(mut caller), Some(mut callee)) = (sessions.next(), sessions.next()) else {
            bail!("there are too few sessions for {} calls", plan.calls);
        };
        pace.tick().await;
        let media = media.clone();
        placing.push(tokio::task::spawn_local(async move {
            caller.forget();
            callee.forget();
            let id = format!("{number:08x}-0000-4000-a000-000000000000");
            let placed = place(&id, &mut caller, &mut callee, &a, &b, &media).await;
            (Call { id, caller, callee }, placed)
        }));
    }
    let (mut calls, mut set_ups, mut failures, mut kept) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for task in placing {
        let (call, placed) = task.await?;
        match placed {
            Ok(set_up) => {
                set_ups.push(set_up);
                calls.push(call);
            }
            Err(error) => {
                failures.push(format!("{error:#}"));
                kept.extend([call.caller, call.callee]);
            }
        }
    }
    if calls.is_empty() {
        bail!(
            "no call came about: {}",
            failures.first().map_or("", |failure| failure)
        );
    }
    let set_up = server.cpu()?;
    tokio::time::sleep(QUIET).await;
    let quiet = server.cpu()?;

    media.talk();
    tokio::time::sleep(Duration::from_secs(1)).await;
    media.measure().await?;
    let switches = server.switches()?;
    let sounding = server.cpu()?;
    tokio::time::sleep(plan.sound).await;
    media.hush();
    tokio::time::sleep(DRAIN).await;
    let sounded = server.cpu()?;
    let switches = server.switches()?.saturating_sub(switches);
    let window = media.measure().await?;
    let grown_kib = server.resident_kib()?.saturating_sub(resident);

    let hanging = server.cpu()?;
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|call| tokio::task::spawn_local(hang_up(call)))
        .collect();
    for task in tasks {
        let (call, result) = task.await?;
        failures.extend(result.err().map(|error| format!("{error:#}")));
        kept.extend([call.caller, call.callee]);
    }
    let hung_up = server.cpu()?;
    media.close_all();
    kept.extend(sessions);
    let load = Load {
        set_ups,
        failures,
        setting_up: Used::between(begun, set_up),
        quiet: Used::between(set_up, quiet),
        sound: Used::between(sounding, sounded),
        hanging_up: Used::between(hanging, hung_up),
        window,
        switches,
        grown_kib,
    };
    Ok((load, kept))
}

/// Sets a call up until both hear each other.
async fn place(
    id: &str,
    caller: &mut Session,
    callee: &mut Session,
    a: &LegDescription,
    b: &LegDescription,
    media: &Media,
) -> anyhow::Result<SetUp> {
    let dialog = |id: &str, to: &str| {
        json!({
            "callID": id, "destination_number": to, "caller_id_name": "Load", "caller_id_number": "",
            "remote_caller_id_name": "Outbound Call", "remote_caller_id_number": to,
            "audio": true, "video": false, "attach": false, "custom_headers": [], "useStereo": false,
        })
    };
    let invite = json!({
        "sdp": sdp::offer(a), "dialogParams": dialog(id, &callee.name), "User-Agent": "Web-2.27.10",
    });
    let (request, invited) = caller.request("telnyx_rtc.invite", invite).await?;
    caller.result(&request).await.context("invite")?;

    let incoming = callee
        .event("telnyx_rtc.invite")
        .await
        .context("the callee's invite")?;
    let params = &incoming.frame["params"];
    let offer = params["sdp"].as_str().context("an invite without sdp")?;
    let callee_id = params["callID"]
        .as_str()
        .context("an invite without callID")?;
    let (answer, payload_type) = sdp::answer(b, offer)?;
    let remote = Remote::parse(offer, true)?;
    let answer = json!({
        "sdp": answer, "dialogParams": dialog(callee_id, &caller.name), "User-Agent": "Web-2.27.10",
    });
    let (request, answered) = callee.request("telnyx_rtc.answer", answer).await?;
    let mut callee_events = media.connect(b.number, remote, payload_type);

    let answer = caller
        .event("telnyx_rtc.answer")
        .await
        .context("the caller's answer")?;
    let sdp = answer.frame["params"]["sdp"]
        .as_str()
        .context("an answer without sdp")?;
    let mut caller_events = media.connect(a.number, Remote::parse(sdp, false)?, OPUS);
    callee.result(&request).await.context("answer")?;

    let caller_hears = heard(&mut caller_events).await.context("the caller")?;
    let callee_hears = heard(&mut callee_events).await.context("the callee")?;
    media.quiet(a.number);
    media.quiet(b.number);
    Ok(SetUp {
        invite: incoming.at - invited,
        answer: answer.at - answered,
        caller_hears: caller_hears - answered,
        callee_hears: callee_hears - answered,
    })
}

async fn heard(events: &mut mpsc::UnboundedReceiver<LegEvent>) -> anyhow::Result<Instant> {
    match tokio::time::timeout(PATIENCE, events.recv()).await {
        Ok(Some(LegEvent::Heard(at))) => Ok(at),
        Ok(Some(LegEvent::Failed(why))) => bail!("failed: {why}"),
        Ok(None) => bail!("closed"),
        Err(_) => bail!("hears nothing"),
    }
}

async fn hang_up(mut call: Call) -> (Call, anyhow::Result<()>) {
    let result = async {
        let bye = json!({
            "cause": "NORMAL_CLEARING", "causeCode": 16, "dialogParams": {"callID": call.id},
        });
        let (request, _) = call.caller.request("telnyx_rtc.bye", bye).await?;
        call.caller.result(&request).await.context("bye")?;
        call.callee
            .event("telnyx_rtc.bye")
            .await
            .context("the callee's bye")?;
        anyhow::Ok(())
    };
    let result = result.await;
    (call, result)
}

/// What the client and the machine take by themselves: packets between pairs of legs, no server.
///
/// # Errors
/// When no port is left.
pub(crate) async fn floor(media: &Media, pairs: usize, time: Duration) -> anyhow::Result<Window> {
    let legs = media.open(pairs * 2).await?;
    for pair in legs.chunks_exact(2) {
        media.pair(pair[0].number, pair[1].number);
    }
    media.talk();
    tokio::time::sleep(Duration::from_millis(500)).await;
    media.measure().await?;
    tokio::time::sleep(time).await;
    media.hush();
    tokio::time::sleep(DRAIN).await;
    let window = media.measure().await?;
    media.close_all();
    Ok(window)
}
