//! Reading the configuration again: what it would change, and what that would cost now.

use std::{fmt, sync::Arc};

use crate::{
    Board,
    auth::{self, Authenticator},
    config::{Changes, Config},
    name::{Filter, SessionId, SubscriptionId},
};

/// A configuration that was read and has not been taken.
#[derive(Clone)]
pub struct Preview {
    /// What it says otherwise than the running one.
    pub changes: Changes,
    /// Stands for the whole of it: the same text gives the same mark, in this process only.
    pub mark: u64,
    authenticator: Arc<dyn Authenticator>,
}

/// What the users of a configuration would cost those of a board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// Sessions whose user is gone: they are evicted.
    pub sessions: u64,
    /// Subscriptions that are no longer allowed: they end.
    pub subscriptions: u64,
    /// Subscriptions that go on, and lose those messages that they may no longer show.
    pub narrowed: u64,
    /// Messages that the sessions and subscriptions which end hold.
    pub loss: u64,
    /// Messages that the narrowed ones hold: any of them may go.
    pub at_risk: u64,
}

impl Preview {
    /// What `next` would change where `running` runs.
    pub fn new(running: &Config, next: &Config, mark: u64) -> Self {
        Self { changes: Changes::between(running, next), mark, authenticator: auth::of_users(&next.users) }
    }

    /// What taking it would cost, as `board` is.
    pub fn price(&self, board: &Board) -> Price {
        self.price_by(board, |filter, session| {
            let row = board.subscriptions.get(&SubscriptionId { session, filter: filter.clone() });
            row.map_or(0, |row| row.depth.queued() + row.depth.poison)
        })
    }

    /// The same, where what each subscription holds is `held`: the board knows that as of the last sample.
    pub(crate) fn price_by(&self, board: &Board, held: impl Fn(&Filter, SessionId) -> u64) -> Price {
        let mut price = Price::default();
        if !self.changes.is_of_users() {
            return price;
        }
        for (session, row) in &board.sessions {
            let Some(rights) = self.authenticator.rights_of(&row.principal) else {
                price.sessions += 1;
                price.loss += row.subscriptions.iter().map(|filter| held(filter, *session)).sum::<u64>();
                continue;
            };
            for filter in &row.subscriptions {
                if !rights.may_subscribe(filter) {
                    price.subscriptions += 1;
                    price.loss += held(filter, *session);
                } else if !rights.may_receive_all(filter) {
                    price.narrowed += 1;
                    price.at_risk += held(filter, *session);
                }
            }
        }
        price
    }
}

/// Two of the same mark are the same.
impl PartialEq for Preview {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Eq for Preview {}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview").field("changes", &self.changes).finish_non_exhaustive()
    }
}
