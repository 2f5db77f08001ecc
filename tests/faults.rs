//! Networks that fail: through a proxy that cuts, resets, half-closes, drips, delays, swallows and refuses, whatever was
//! acknowledged arrives (I1), in order and marked if it comes again (I3); a lost session is detached once; nothing of it is left
//! (I5); and a client whose network is fine notices nothing (I6).

mod conversation;
mod library;
mod silence;

use cordboard::{
    Follower,
    events::{CloseReason, Event},
    name::SessionId,
};

/// Why `session` was detached, each time that it was.
fn detached(follower: &mut Follower, session: SessionId) -> Vec<CloseReason> {
    let events = follower.take(usize::MAX).events.into_iter();
    events
        .filter_map(|it| match it.event {
            Event::SessionDetached { id, why, .. } if id == session => Some(why),
            _ => None,
        })
        .collect()
}
