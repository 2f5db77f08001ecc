//! The chronicle: what happens in the broker, written to the log. A follower of the bus like the console, and as harmless: if
//! it falls behind, it says how much it missed. What the broker logs by itself may stand before what happened a moment earlier.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use cordboard::{
    Follower, Handle, Printable,
    config::Changes,
    events::{Event, Lost, Terms},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::commands::grouped;

/// Events written before others have their turn: about a millisecond.
const AT_ONCE: usize = 128;
/// A pause after writing: when a whole site comes back, its lines are written together and nobody is woken for each.
const PAUSE: Duration = Duration::from_millis(20);

/// Logs every event until the broker has ended, the last ones included.
pub(crate) async fn keep(handle: Handle) {
    let mut follower = handle.bus().follow_from_start();
    let all = async {
        loop {
            follower.changed().await;
            write_down(&mut follower).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = all => {}
        _ = handle.stopped() => {}
    }
    write_down(&mut follower).await;
}

/// All that is there. Given up, it has written what it has taken.
async fn write_down(follower: &mut Follower) {
    while follower.lag() > 0 {
        let news = follower.take(AT_ONCE);
        if news.missed > 0 {
            tracing::warn!("{} events came too fast to be logged", news.missed);
        }
        for stamped in news.events {
            let line = || line(&stamped.event);
            match &stamped.event {
                // Figures are for the screen; orders are in the audit log.
                Event::Sample(_) | Event::OrderDelayed { .. } | Event::Order(_) => {}
                Event::ListenerOpened { .. } | Event::ListenerRegistered { .. } | Event::ListenerClosed { .. } => {
                    tracing::debug!("{}", line());
                }
                event if is_trouble(event) => tracing::warn!("{}", line()),
                _ => tracing::info!("{}", line()),
            }
        }
        tokio::task::yield_now().await;
    }
}

/// What an operator should look at.
fn is_trouble(event: &Event) -> bool {
    matches!(
        event,
        Event::RegistrationRefused { .. }
            | Event::TopicRestarted { .. }
            | Event::BacklogOverflowed { .. }
            | Event::SubscriptionOverflowed { .. }
            | Event::SubscriptionPoisoned { .. }
            | Event::SubscriptionRestarted { .. }
            | Event::RightRefused { .. }
            | Event::ListenerFailed { .. }
            | Event::ManagerFailed { .. }
            | Event::ManagersRestarted { .. }
            | Event::LimitHit { .. }
            | Event::Stopped { failed: Some(_), .. }
    )
}

/// An event as one line: its name, then its fields as they are in a recording.
fn line(event: &Event) -> String {
    told(event).unwrap_or_else(|_| format!("{event:?}"))
}

/// Values stay the text they are in a recording, and only those are taken apart that a person would not read as they are: each
/// client that comes is a line.
fn told(event: &Event) -> serde_json::Result<String> {
    let recorded = serde_json::to_string(event)?;
    let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(&recorded)?;
    let name = fields.remove("event").map_or("", RawValue::get);
    let mut line = name.trim_matches('"').replace('_', " ");
    for (key, value) in fields {
        let value = value.get();
        let shown = match value.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<Text>(value)?.0,
            Some(b'{' | b'[') => worded(&serde_json::from_str(value)?).into(),
            _ => value.into(),
        };
        let _ = write!(line, " {key}={}", Printable(&shown));
    }
    Ok(line)
}

/// A text that is copied only if something in it was escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What an end cost, as a person reads it.
pub(crate) fn loss(lost: &Lost) -> String {
    match lost.messages() {
        0 => "nothing".to_owned(),
        1 => format!("1 message, {} B", grouped(lost.bytes)),
        messages => format!("{} messages, {} B", grouped(messages), grouped(lost.bytes)),
    }
}

/// What the broker's end cost; none if it has not ended.
#[cfg(feature = "console")]
pub(crate) fn last_loss(handle: &Handle) -> Option<Lost> {
    handle.bus().follow_from_start().take(usize::MAX).events.iter().rev().find_map(|stamped| match stamped.event {
        Event::Stopped { lost, .. } => Some(lost),
        _ => None,
    })
}

/// What is more than one value, as a person reads it: a moment as its wall-clock time, a loss in words.
fn worded(value: &Value) -> String {
    if let Ok(lost) = Lost::deserialize(value) {
        return loss(&lost);
    }
    if let Ok(changes) = Changes::deserialize(value) {
        return changes.to_string();
    }
    if let Ok(terms) = Terms::deserialize(value) {
        return terms.to_string();
    }
    match value.get("wall").and_then(Value::as_u64) {
        Some(wall) => humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(wall)).to_string(),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cordboard::{
        clock::{Moment, UnixMillis, Uptime},
        events::DropReason,
    };

    use super::*;

    /// No byte a client chose reaches a log raw (I7).
    #[test]
    fn an_event_is_one_line_of_visible_text() {
        let event = Event::RightRefused {
            session: "00112233445566778899aabbccddeeff".parse().unwrap(),
            principal: "ana".parse().unwrap(),
            action: cordboard::events::Action::Publish,
            name: "a\u{1b}[2J\nb".into(),
            times: 1,
        };
        let expected =
            r"right refused action=publish name=a\u{1b}[2J\u{a}b principal=ana session=00112233445566778899aabbccddeeff times=1";
        assert_eq!(line(&event), expected);
        let event = Event::BacklogOverflowed { topic: "t".parse().unwrap(), dropped: 7, why: DropReason::BacklogFull };
        assert_eq!(line(&event), "backlog overflowed dropped=7 topic=t why=backlog_full");
        assert!(is_trouble(&event));
        let lost = |queued, bytes| line(&Event::Stopped { lost: Lost { queued, bytes, ..Lost::default() }, failed: None });
        assert_eq!(lost(0, 0), "stopped lost=nothing");
        assert_eq!(lost(3, 12), "stopped lost=3 messages, 12 B");
        let deadline = Moment { up: Uptime(7), wall: UnixMillis(1_700_000_000_123) };
        assert_eq!(line(&Event::Draining { deadline, ends: true }), "draining deadline=2023-11-14T22:13:20.123Z ends=true");
    }
}
