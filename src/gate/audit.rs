//! The audit: who gave which order, about whom, why, and at what cost. A line of JSON for each stage of an order, all of them of
//! one shape, so that one question finds them all.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;

use crate::{
    clock::Moment,
    control::{About, Order, OrderRecord},
};

/// Where orders are put on record.
#[derive(Debug)]
pub(super) struct Audit {
    file: Option<PathBuf>,
}

/// How far an order was when its line was written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// It waits out its delay.
    Asked,
    /// It is about to be carried out.
    Intent,
    /// It has ended.
    Ended,
}

/// A line.
#[derive(Serialize)]
struct Line<T> {
    /// For people; the moments in the rest are for programs.
    time: String,
    /// Whose order it is: numbers begin anew with each process.
    pid: u32,
    stage: Stage,
    #[serde(flatten)]
    what: T,
}

/// An order that has not ended.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Pending<'a> {
    pub(super) number: u64,
    #[serde(flatten)]
    pub(super) order: &'a Order,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) about: Option<&'a About>,
    pub(super) given: Moment,
    /// When it is carried out, if that is not at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Moment>,
}

impl Audit {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// It waits out its delay.
    pub(super) async fn asked(&self, order: Pending<'_>) -> io::Result<()> {
        self.write(order.given, Stage::Asked, order).await
    }

    /// It is about to be carried out.
    pub(super) async fn intent(&self, now: Moment, order: Pending<'_>) -> io::Result<()> {
        self.write(now, Stage::Intent, order).await
    }

    /// It has ended.
    pub(super) async fn ended(&self, record: &OrderRecord) -> io::Result<()> {
        self.write(record.ended, Stage::Ended, record).await
    }

    /// One line: to the log target, and to the file if there is one.
    async fn write(&self, at: Moment, stage: Stage, what: impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(&Line { time: rfc3339(at), pid: std::process::id(), stage, what })?;
        tracing::info!(target: "cordboard::audit", "{line}");
        let Some(file) = self.file.clone() else { return Ok(()) };
        let name = file.display().to_string();
        let write = move || OpenOptions::new().create(true).append(true).open(file)?.write_all(format!("{line}\n").as_bytes());
        let written = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?;
        written.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    }
}

fn rfc3339(at: Moment) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at.wall.0)).to_string()
}
