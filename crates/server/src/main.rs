//! The binary `ringtrip`: reads the command line and the configuration, starts a node, stops it.
//!
//! What a node is made of stands in `node`; what it decides stands in the engines (`verto`,
//! `switch`, `media`), which `drive` feeds. Nothing imports this crate.

mod backup;
mod cli;
mod clock;
mod config;
mod dev;
mod drive;
mod health;
mod http;
mod key;
mod logging;
mod network;
mod node;
mod outbound;
mod people;
mod telemetry;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what could not be done, and why.
            eprintln!("ringtrip: {error:#}");
            ExitCode::FAILURE
        }
    }
}
