//! Makes the pictures of the console anew: the real program with its demo, in a pseudo-terminal, by its keys.
//!
//! ```text
//! cargo run --release --example pictures             assets/pictures/*.svg
//! cargo run --release --example pictures -- DIR      the same elsewhere
//! ```
//!
//! It takes about two minutes, because the demo has to live for that long.

mod frame;
mod scrub;
mod stage;
mod svg;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, anyhow, ensure};

use stage::Stage;
use svg::{Shot, film, still};

/// Who is killed in the story, and what it listens to.
const CLIENT: &str = "billing";
const COMMAND: &str = "cordboard sub 'orders/#' --name billing";

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map_or_else(|| root().join("assets/pictures"), PathBuf::from);
    fs::create_dir_all(&directory)?;
    let program = build()?;
    // Two demos at two brokers: neither has to wait for the other.
    std::thread::scope(|scope| {
        let stills = scope.spawn(|| stills(&program, &directory));
        story(&program, &directory)?;
        stills.join().map_err(|_| anyhow!("the stills failed"))?
    })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Builds the program as this one was built; it lies in the folder above.
fn build() -> anyhow::Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--bin", "cordboard", "--manifest-path"]).arg(root().join("Cargo.toml"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    ensure!(command.status().context("cannot run cargo")?.success(), "cordboard cannot be built");
    let here = std::env::current_exe()?;
    let folder = here.ancestors().nth(2).context("this program lies in examples/")?;
    Ok(folder.join("cordboard"))
}

/// Writes a picture, unless it tells whose machine this is.
fn write(stage: &Stage, directory: &Path, name: &str, svg: &str) -> anyhow::Result<()> {
    let is_part = |sign: char| sign.is_alphanumeric() || "-._".contains(sign);
    let says = |secret: &str| {
        let mut found = svg.match_indices(secret);
        found.any(|(at, _)| !svg[..at].ends_with(is_part) && !svg[at + secret.len()..].starts_with(is_part))
    };
    for secret in &stage.secrets {
        ensure!(!says(secret), "{name}.svg would have {secret:?} in it");
    }
    let path = directory.join(name).with_extension("svg");
    fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{} {} KiB", path.display(), svg.len().div_ceil(1_024));
    Ok(())
}

/// The rooms, while the demo's books are away and a minute later.
fn stills(program: &Path, directory: &Path) -> anyhow::Result<()> {
    let mut stage = Stage::open(program, (100, 30))?;
    let picture = |stage: &mut Stage, name: &str, title: &str| {
        let svg = still(title, &stage.frame());
        write(stage, directory, name, &svg)
    };
    stage.eventually_says(&["DLQ growing", "invoices/raw"])?;
    stage.press("2")?;
    // Away for a while: by now there is something to lose.
    stage.eventually_says(&["sort RECLAIM"])?;
    stage.eventually_says(&["demo-books", "] 1:1"])?;
    picture(&mut stage, "sessions", "cordboard: sessions")?;

    stage.resize(80, 24)?;
    stage.press("/books\r")?;
    stage.eventually_says(&["1 shown by: books"])?;
    stage.press("x")?;
    stage.eventually_says(&["To confirm", "EVICT"])?;
    stage.press("\tOPS-114 books do not come back")?;
    stage.eventually_says(&["Reason", "not come back"])?;
    picture(&mut stage, "evict", "cordboard: what an eviction costs")?;
    // Together with the next key it would be another one.
    stage.press("\x1b")?;
    stage.eventually("the question is gone", |screen| (!screen.contains("To confirm")).then_some(()))?;

    stage.resize(100, 30)?;
    stage.press("\x1b")?;
    stage.eventually_says(&["demo-shop"])?;
    stage.press("5")?;
    stage.eventually_says(&["sort DLQ"])?;
    stage.eventually_says(&["invoices/raw", "demo-books", "parked"])?;
    picture(&mut stage, "dead-letters", "cordboard: dead letters")?;

    stage.press("1")?;
    stage.resize(110, 36)?;
    // Sparklines are a minute long.
    stage.eventually_says(&["pid", "up 1m"])?;
    stage.eventually_says(&["demo-books", "] 1:", "to lose"])?;
    stage.eventually_says(&["DLQ growing"])?;
    stage.press("g")?;
    stage.eventually_later()?;
    picture(&mut stage, "overview", "cordboard: overview")?;
    stage.resize(200, 50)?;
    stage.eventually_says(&["Topics", "Actors in trouble", "Events"])?;
    stage.eventually_later()?;
    picture(&mut stage, "cockpit", "cordboard: the cockpit")
}

/// A subscriber is killed, its timer runs, its dead letters grow; it comes back, finds its session, and they drain.
fn story(program: &Path, directory: &Path) -> anyhow::Result<()> {
    let mut stage = Stage::open(program, (100, 26))?;
    let mut shots = Vec::new();
    stage.eventually_says(&["attached"])?;
    let subscriber = stage.subscriber(program, "orders/#", CLIENT)?;
    // The cursor is put on it by its name, and stays on it when the others are shown again.
    stage.press(&format!("2/{CLIENT}\r"))?;
    stage.eventually_says(&["1 shown by"])?;
    stage.eventually_says(&[">", CLIENT, "live"])?;
    stage.press("\x1b")?;
    stage.eventually_says(&["demo-shop", "live"])?;
    stage.eventually_says(&[">", CLIENT, "live"])?;
    take(&mut stage, &mut shots, &format!("$ {COMMAND}"), (4, 900))?;

    drop(subscriber);
    stage.eventually_says(&[">", CLIENT, "] 1:"])?;
    let title = "$ kill -9: its session waits, what comes for it are dead letters";
    take(&mut stage, &mut shots, title, (5, 900))?;
    let poster = shots.len() - 1;
    // The longer it takes, the less a second matters.
    for left in ["1:20", "1:15", "1:10", "1:05", "1:00", "0:55", "0:50", "0:45", "0:40"] {
        stage.eventually_says(&[">", CLIENT, &format!("] {left}")])?;
        shots.push(Shot { title: format!("{title} (faster)"), frame: stage.frame(), milliseconds: 450 });
    }

    let _subscriber = stage.subscriber(program, "orders/#", CLIENT)?;
    stage.eventually_says(&[">", CLIENT, "live"])?;
    take(&mut stage, &mut shots, &format!("$ {COMMAND}   # the same session, nothing lost"), (6, 1_000))?;
    write(&stage, directory, "story", &film(&shots, poster))
}

/// Takes so many shots, one whenever the clock has moved on, each shown for so many milliseconds.
fn take(stage: &mut Stage, shots: &mut Vec<Shot>, title: &str, (count, milliseconds): (usize, u64)) -> anyhow::Result<()> {
    for _ in 0..count {
        shots.push(Shot { title: title.to_owned(), frame: stage.frame(), milliseconds });
        stage.eventually_later()?;
    }
    Ok(())
}
