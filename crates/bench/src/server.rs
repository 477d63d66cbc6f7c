//! The server under test: a process of its own, and what the kernel says it used.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A kernel tick of `/proc/<pid>/stat`; Linux has used 100 a second for user space since 2.6.
const TICK: Duration = Duration::from_millis(10);

/// An installation: a folder with a configuration, and an account.
pub(crate) struct Site {
    folder: PathBuf,
    api_key: String,
}

impl Site {
    /// Makes an installation with one account.
    ///
    /// # Errors
    /// When the binary does not do that.
    pub(crate) fn make(binary: &Path, folder: &Path, database_url: &str) -> anyhow::Result<Self> {
        let text = format!(
            "http_addr = \"127.0.0.1:0\"\nadmin_addr = \"127.0.0.1:0\"\nmedia_addr = \"127.0.0.1:0\"\n\
             media_threads = 1\ndatabase_url = \"{database_url}\"\nkey_file = \"{}\"\nlog_format = \"json\"\n\
             rate_limit_per_key = 0\n",
            folder.join("ringtrip.key").display()
        );
        std::fs::write(folder.join("ringtrip.toml"), text)?;
        let mut site = Self {
            folder: folder.to_owned(),
            api_key: String::new(),
        };
        let email = "bench@acme.example";
        site.json(binary, &["account", "create", "--email", email])?;
        let key = site.json(binary, &["api-key", "create", "--account", email])?;
        site.api_key = key["api_key"].as_str().context("no API key")?.to_owned();
        Ok(site)
    }

    fn command(&self, binary: &Path, args: &[&str]) -> Command {
        let mut command = ringtrip(binary);
        command
            .args(args)
            .arg("--config")
            .arg(self.folder.join("ringtrip.toml"))
            .current_dir(&self.folder);
        command
    }

    fn json(&self, binary: &Path, args: &[&str]) -> anyhow::Result<Value> {
        let done = self
            .command(binary, args)
            .args(["--output", "json"])
            .stderr(Stdio::inherit())
            .output()?;
        if !done.status.success() {
            bail!("ringtrip {} failed", args.join(" "));
        }
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}

/// Makes a command of the binary that sees none of the settings around it.
fn ringtrip(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars() {
        if name.starts_with("RINGTRIP_") {
            command.env_remove(name);
        }
    }
    command
}

/// CPU time that a Postgres server and its backends have used, in ticks of 10 ms. What ended backends
/// used is missing; those of a pool live as long as it does.
///
/// # Errors
/// When it is not there.
pub(crate) fn postgres_cpu(folder: &Path) -> anyhow::Result<Duration> {
    let pid = std::fs::read_to_string(folder.join("data/postmaster.pid"))?;
    let postmaster = pid.lines().next().unwrap_or_default().to_owned();
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let behind = stat.rsplit(") ").next().unwrap_or_default();
        let fields: Vec<&str> = behind.split(' ').collect();
        if fields.len() > 12 && (name == postmaster || fields[1] == postmaster) {
            ticks += fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
        }
    }
    Ok(TICK * ticks)
}

/// A running server. Dropping it ends the process.
pub(crate) struct Server {
    process: Child,
    /// Where REST and signalling answer.
    pub(crate) http: SocketAddr,
    /// A REST key of the first tenant.
    pub(crate) api_key: String,
    /// The first tenant's connection.
    pub(crate) connection_id: String,
    /// CPU time of threads, by thread id: what an ended thread used must not be lost.
    threads: BTreeMap<u32, u64>,
}

/// CPU time that a process used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// User and system together, from the scheduler.
    pub(crate) total: Duration,
    /// In the kernel, in ticks of 10 ms.
    pub(crate) system: Duration,
    /// When it was read.
    pub(crate) at: Instant,
}

impl Cpu {
    /// Returns the CPU time used since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.total.saturating_sub(earlier.total)
    }

    /// Returns the kernel's part of it.
    pub(crate) fn system_since(self, earlier: Self) -> Duration {
        self.system.saturating_sub(earlier.system)
    }

    /// Returns the time between the readings.
    pub(crate) fn wall_since(self, earlier: Self) -> Duration {
        self.at - earlier.at
    }
}

impl Server {
    /// Starts a server on free ports of loopback, with its data in `folder`.
    ///
    /// # Errors
    /// When it does not start or says something unexpected.
    pub(crate) fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut process = ringtrip(binary)
            .args(["dev", "--output", "json"])
            .args(["--http", "127.0.0.1:0", "--media", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(folder)
            .env("RINGTRIP_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let stdout = process.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let status = process.wait()?;
            bail!("the server ended at once: {status}");
        }
        let summary: Value = serde_json::from_str(&line).context("the summary is not JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let base = text(&summary["api_base"]).context("the summary has no api_base")?;
        let http = base
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next())
            .context("api_base is no URL")?
            .parse()?;
        let account = &summary["accounts"][0];
        Ok(Self {
            process,
            http,
            api_key: text(&account["api_key"]).context("the summary has no key")?,
            connection_id: text(&account["connection_id"]).context("no connection")?,
            threads: BTreeMap::new(),
        })
    }

    /// Starts a server on an installation: `folder` holds its configuration, its key and, on SQLite,
    /// its data. Its http address is known and it answers when this returns; so is how long that took.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn serve(binary: &Path, site: &Site) -> anyhow::Result<(Self, Duration)> {
        let begun = Instant::now();
        let mut process = site
            .command(binary, &["serve"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let stderr = process.stderr.take().context("the server has no log")?;
        let mut lines = BufReader::new(stderr).lines();
        let http = loop {
            let line = lines.next().context("the server ended at once")??;
            let Ok(line) = serde_json::from_str::<Value>(&line) else {
                bail!("{line}");
            };
            if let Some(address) = line["http.addr"].as_str() {
                break address.parse()?;
            }
        };
        let took = begun.elapsed();
        // What is logged later is nobody's, but must not block the server.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self {
            process,
            http,
            api_key: site.api_key.clone(),
            connection_id: String::new(),
            threads: BTreeMap::new(),
        };
        Ok((server, took))
    }

    /// Stops it as an operator would.
    ///
    /// # Errors
    /// When it cannot be told to.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        self.process.wait()?;
        Ok(())
    }

    /// Reads the CPU time used so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn cpu(&mut self) -> anyhow::Result<Cpu> {
        let folder = format!("/proc/{}/task", self.process.id());
        for entry in std::fs::read_dir(&folder).context("the server is gone")? {
            let entry = entry?;
            // A thread may end between the two looks.
            let Ok(text) = std::fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let thread = entry.file_name().to_string_lossy().parse()?;
            let used = text.split(' ').next().unwrap_or_default().parse()?;
            self.threads.insert(thread, used);
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // Fields are counted after the name, which may hold anything: stime is the 13th behind it.
        let behind = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: u32 = behind.split(' ').nth(12).unwrap_or_default().parse()?;
        Ok(Cpu {
            total: Duration::from_nanos(self.threads.values().sum()),
            system: TICK * ticks,
            at: Instant::now(),
        })
    }

    /// Reads the resident memory in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no VmRSS")?.parse()?)
    }

    /// Counts context switches of all threads that live now: what wake-ups show up as.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn switches(&self) -> anyhow::Result<u64> {
        let mut total = 0;
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let Ok(status) = std::fs::read_to_string(entry?.path().join("status")) else {
                continue;
            };
            let lines = status
                .lines()
                .filter(|line| line.contains("ctxt_switches:"));
            total += lines
                .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
                .sum::<u64>();
        }
        Ok(total)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end and only to collect.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
