//! A process of the binary.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::PATIENCE;
use super::http::Rest;
use super::phone::Phone;

/// What a command that ended by itself left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts that it failed as a command should: status 1, one line on standard error, nothing on
    /// standard output. Returns the line.
    pub(crate) fn refusal(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        self.stderr.trim_end()
    }

    /// Asserts that it succeeded; returns what it printed.
    pub(crate) fn success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.trim_end()
    }
}

/// Makes a command of the binary that sees nothing of this process' own settings.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrip"));
    for (name, _) in std::env::vars() {
        if name.starts_with("RINGTRIP_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Adds what makes a command `ringtrip dev` on free ports.
fn dev_command(mut command: Command, folder: &Path, log: &str, more: &[&str]) -> Command {
    command
        .args(["dev", "--output", "json", "--http", "127.0.0.1:0"])
        .args(["--sip", "127.0.0.1:0", "--media", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(folder)
        .args(more)
        .env("RINGTRIP_LOG", log);
    command
}

/// Runs a command that is expected to end by itself.
pub(crate) fn run(mut command: Command) -> Ended {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let status = wait(&mut child);
    Ended {
        code: status.code(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    })
}

/// Waits for the end of a process; one that does not end is killed, and the test fails.
fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the process did not end within {PATIENCE:?}");
        }
        // The standard library waits for ever or not at all.
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

/// What a process has written to standard error so far.
#[derive(Debug, Default)]
struct Log {
    text: Mutex<String>,
    more: Condvar,
}

/// A running server. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: Arc<Log>,
    log_reader: Option<JoinHandle<()>>,
    stdout_reader: Option<JoinHandle<String>>,
    /// Where REST and signalling answer.
    pub(crate) http: SocketAddr,
    /// What `dev` printed; null for `serve`.
    pub(crate) summary: Value,
}

impl Server {
    /// Starts `ringtrip dev` on free ports, with its data in a folder.
    pub(crate) fn dev(folder: &Path) -> Self {
        Self::dev_with(folder, "info", &[])
    }

    /// Starts `ringtrip dev` on free ports with a log filter and more options.
    pub(crate) fn dev_with(folder: &Path, log: &str, more: &[&str]) -> Self {
        Self::dev_command(dev_command(command(&[]), folder, log, more))
    }

    /// Starts `ringtrip dev` with its data on a disk of this size of its own, which nobody else sees
    /// and which is gone with the process; none if the system does not let this user do that.
    pub(crate) fn dev_on_small_disk(folder: &Path, size: &str) -> Option<Self> {
        let mounted = "mount -t tmpfs -o size=\"$1\" ringtrip \"$0\" && shift && exec \"$@\"";
        let apart = || {
            let mut apart = Command::new("unshare");
            if !rustix::process::geteuid().is_root() {
                apart.args(["--user", "--map-root-user"]);
            }
            apart.args(["--mount", "sh", "-c", mounted]);
            apart.arg(folder).arg(size);
            apart
        };
        let possible = apart().arg("true").stderr(Stdio::null()).status();
        if !possible.is_ok_and(|status| status.success()) {
            return None;
        }
        let mut disk = apart();
        let own = command(&[]);
        for (name, _) in own.get_envs() {
            disk.env_remove(name);
        }
        disk.arg(own.get_program()).stdin(Stdio::null());
        Some(Self::dev_command(dev_command(disk, folder, "info", &[])))
    }

    /// Returns where another process finds a folder as this server sees it.
    pub(crate) fn disk(&self, folder: &Path) -> PathBuf {
        let inside = folder.strip_prefix("/").unwrap();
        Path::new(&format!("/proc/{}/root", self.child.id())).join(inside)
    }

    fn dev_command(command: Command) -> Self {
        let mut server = Self::spawn(command);
        let stdout = server.child.stdout.take().unwrap();
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "no summary: {}", server.log());
        server.summary = serde_json::from_str(&line).unwrap();
        let base = server.summary["api_base"].as_str().unwrap();
        let address = base.strip_prefix("http://").unwrap();
        server.http = address.strip_suffix("/v2").unwrap().parse().unwrap();
        server.stdout_reader = Some(read_all(stdout));
        server
    }

    /// Starts `ringtrip serve`; it is ready when this returns.
    pub(crate) fn serve(command: Command) -> Self {
        let mut server = Self::spawn(command);
        let line = server.wait_for_log("http.addr");
        server.http = line["http.addr"].as_str().unwrap().parse().unwrap();
        server.stdout_reader = Some(read_all(server.child.stdout.take().unwrap()));
        server
    }

    /// Starts `ringtrip serve` on a database without people; returns the link to the first sign-up too.
    pub(crate) fn serve_first(command: Command) -> (Self, String) {
        let mut server = Self::spawn(command);
        let mut stdout = BufReader::new(server.child.stdout.take().unwrap());
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            stdout.read_line(line).unwrap();
        }
        server.stdout_reader = Some(read_all(stdout));
        let [words, link] = lines;
        assert!(words.contains("works once"), "{words}{}", server.log());
        let line = server.wait_for_log("http.addr");
        server.http = line["http.addr"].as_str().unwrap().parse().unwrap();
        (server, link.trim().to_owned())
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log_reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
                let mut text = writer.text.lock().unwrap();
                text.push_str(&String::from_utf8_lossy(&line));
                writer.more.notify_all();
                line.clear();
            }
        });
        Self {
            child,
            log,
            log_reader: Some(log_reader),
            stdout_reader: None,
            http: SocketAddr::from(([0, 0, 0, 0], 0)),
            summary: Value::Null,
        }
    }

    /// Returns what was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text.lock().unwrap().clone()
    }

    /// Waits for a line of the log with this field.
    pub(crate) fn wait_for_log(&self, field: &str) -> Value {
        let started = Instant::now();
        let mut text = self.log.text.lock().unwrap();
        loop {
            let mut lines = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.find(|line| line.get(field).is_some()) {
                return line;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {field} in the log: {text}"
            );
            text = self.log.more.wait_timeout(text, PATIENCE / 60).unwrap().0;
        }
    }

    /// Waits for a line of the log with this field and value.
    pub(crate) fn wait_for_log_of(&self, field: &str, value: &Value) -> Value {
        let started = Instant::now();
        let mut text = self.log.text.lock().unwrap();
        loop {
            let mut lines = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.find(|line| line.get(field) == Some(value)) {
                return line;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {field} = {value} in the log: {text}"
            );
            text = self.log.more.wait_timeout(text, PATIENCE / 60).unwrap().0;
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end that a signal brings; returns the exit status.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Returns where the operator's port is; only `serve` has one.
    pub(crate) fn admin(&self) -> SocketAddr {
        let line = self.wait_for_log("admin.addr");
        line["admin.addr"].as_str().unwrap().parse().unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Stops it as an operator would; returns its exit status and what it printed after the summary.
    pub(crate) fn stop(&mut self) -> (ExitStatus, String) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let status = wait(&mut self.child);
        self.log_reader.take().unwrap().join().unwrap();
        (status, self.stdout_reader.take().unwrap().join().unwrap())
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Returns whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns a value of the summary: `/accounts/0/api_key`.
    pub(crate) fn said(&self, pointer: &str) -> String {
        let value = self.summary.pointer(pointer);
        let text = value.and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no {pointer} in {}", self.summary))
            .to_owned()
    }

    /// Connects to REST as a tenant.
    pub(crate) async fn rest(&self, account: usize) -> Rest {
        Rest::connect(
            self.http,
            &self.said(&format!("/accounts/{account}/api_key")),
        )
        .await
    }

    /// Logs in as a person of a tenant.
    pub(crate) async fn phone(&self, account: usize, person: usize) -> Phone {
        let credential = format!("/accounts/{account}/credentials/{person}");
        let token = self.said(&format!("{credential}/token"));
        let mut phone = Phone::log_in(self.http, &token).await;
        phone.user = self.said(&format!("{credential}/sip_username"));
        phone
    }

    /// Reads a series of `/metrics`.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let mut http = super::http::Http::connect(self.http).await;
        let response = http.get("/metrics").await;
        let text = response.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    /// Waits until a series of `/metrics` is as wanted.
    pub(crate) async fn wait_for_metric(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        super::soon(name, async { while !wanted(self.metric(name).await) {} }).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end and only to collect.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let start = log.len().saturating_sub(4000);
            eprintln!("the end of the log:\n{}", log.get(start..).unwrap_or(""));
        }
    }
}
