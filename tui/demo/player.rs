//! A player: the task that does what a life decides, with the client that anyone would use.
//!
//! It comes, publishes and subscribes as its part says, and goes: by its own decision, with its line cut, or because of what
//! the broker or its operator did. The client's own reconnecting is off, so that a life decides about every return.

use std::{net::SocketAddr, time::Duration};

use cordboard::{
    Client,
    client::{Backoff, ClientEnd, ConnectError, PublishError, SubscribeError},
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    cast::{Hear, Talk},
    letter::Letter,
    life::{Fate, Life, Return},
    line::Line,
    pace::{self, BEAT, Pace},
    rng::Rng,
    temper::Verdict,
};

/// Lives `life` at the broker behind `address`, for ever.
pub(crate) async fn live(mut life: Life, address: SocketAddr) {
    let name = life.part.name;
    let mut back = life.entrance();
    loop {
        sleep(back.after).await;
        let line = Line::default();
        let fate = match connect(&life, &line, address, back).await {
            Ok(client) => stay(&mut life, &line, client).await,
            Err(error) => turned_away(&error),
        };
        back = life.after(fate);
        tell(name, fate, back);
    }
}

/// A line of the story. That a door is still closed is none: the broker tells of it, and how often.
fn tell(name: &str, fate: Fate, back: Return) {
    let seconds = back.after.as_secs();
    match fate {
        Fate::Died => tracing::info!("demo: {name} died; it comes back in {seconds} s and asks for its session"),
        Fate::Evicted => tracing::info!("demo: {name} was evicted; it registers anew in {seconds} s"),
        Fate::Unwanted => tracing::debug!("demo: {name} is not wanted; it tries again in {seconds} s"),
        Fate::Lost(_) => tracing::info!("demo: {name} lost its connection; it tries to come back"),
        Fate::TurnedAway(_) => tracing::debug!("demo: {name} was turned away; it tries again in {seconds} s"),
    }
}

async fn connect(life: &Life, line: &Line, address: SocketAddr, back: Return) -> Result<Client, ConnectError> {
    let mut builder = Client::builder(&address.to_string()).name(life.part.name).reconnect(Backoff::NEVER);
    builder = builder.connector(std::sync::Arc::new(line.clone()));
    if let Some(wish) = life.part.reclaim_after {
        builder = builder.reclaim_after(wish);
    }
    if let Some(session) = back.session {
        builder = builder.session(session);
    }
    builder.connect().await
}

fn turned_away(error: &ConnectError) -> Fate {
    match error {
        ConnectError::Refused { retry, .. } if error.is_temporary() => Fate::TurnedAway(*retry),
        error if error.is_temporary() => Fate::TurnedAway(None),
        _ => Fate::Unwanted,
    }
}

/// Does what the part says until something befalls it.
async fn stay(life: &mut Life, line: &Line, client: Client) -> Fate {
    let (since, until_death) = (Instant::now(), life.stay(client.session()));
    // Dropped with everything that is under way in it.
    let mut jobs = JoinSet::new();
    for talk in life.part.talks {
        jobs.spawn(speak(client.clone(), *talk, life.fork()));
    }
    for hear in life.part.hears {
        jobs.spawn(listen(client.clone(), *hear, life.fork()));
    }
    tokio::select! {
        end = client.ended() => match end {
            ClientEnd::Evicted { .. } | ClientEnd::Displaced => Fate::Evicted,
            ClientEnd::Refused { .. } => Fate::Unwanted,
            ClientEnd::Closed | ClientEnd::Lost { .. } => Fate::Lost(since.elapsed()),
        },
        () = die(until_death) => {
            line.cut();
            client.ended().await;
            Fate::Died
        }
    }
}

async fn die(after: Option<Duration>) {
    match after {
        Some(after) => sleep(after).await,
        None => std::future::pending().await,
    }
}

/// Publishes until the client is over.
async fn speak(client: Client, talk: Talk, mut rng: Rng) {
    let mut pace = Pace::new(talk.per_second, &mut rng);
    let mut number = rng.within(1_000, 90_000);
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let count = pace.beat();
        match say(&client, talk.topic, talk.letter, (&mut number, count), &mut rng).await {
            Err(PublishError::Refused { code, .. }) => {
                if let Some(time) = pace::silent_for(code) {
                    sleep(time).await;
                }
            }
            // Nobody waits for what was sent in the moment in which the session was lost.
            Ok(()) | Err(PublishError::OutcomeUnknown(_)) => {}
            Err(error) => return tracing::debug!("demo: publishing to {} ends: {error}", talk.topic),
        }
    }
}

/// Publishes `count` messages together and waits for all of them; the first that failed speaks for the others.
async fn say(
    client: &Client,
    topic: &str,
    letter: Letter,
    (number, count): (&mut u64, u32),
    rng: &mut Rng,
) -> Result<(), PublishError> {
    let mut sent = Vec::with_capacity(count as usize);
    for _ in 0..count {
        *number += 1;
        sent.push(client.enqueue(topic, letter.write(*number, rng)).await?);
    }
    for pending in sent {
        pending.await?;
    }
    Ok(())
}

/// Subscribes, and handles what comes, until the client is over.
async fn listen(client: Client, hear: Hear, mut rng: Rng) {
    loop {
        let code = match client.subscribe(hear.filter).await {
            Ok(subscription) => {
                let mut messages = subscription.explicit();
                let since = Instant::now();
                while let Some(message) = messages.next().await {
                    let time = hear.temper.takes(since.elapsed());
                    if !time.is_zero() {
                        sleep(time).await;
                    }
                    match hear.temper.judge(&message.payload, &mut rng) {
                        Verdict::Ack => message.ack(),
                        Verdict::Again => message.again(),
                        Verdict::Poison => message.poison(),
                    }
                }
                let Some(over) = messages.over() else { return };
                over.code
            }
            Err(SubscribeError::Refused { code, .. }) => code,
            Err(error) => return tracing::debug!("demo: hearing {} ends: {error}", hear.filter),
        };
        sleep(pace::deaf_for(code)).await;
    }
}
