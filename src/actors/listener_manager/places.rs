//! Places for connections: how many each address has, and who gives one up when all places of the unregistered are taken.
//!
//! Anyone can open a connection and say nothing. So nobody is refused because others wait: the oldest of those who say nothing
//! goes, of the address that holds the most places. Whoever registers right after connecting is in before its turn comes.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use ractor::ActorRef;

use crate::{
    actors::listener::{Line, ListenerMsg},
    commons::Commons,
    limits::Limit,
    name::ListenerId,
    throttle::Throttle,
};

/// Who has which place.
#[derive(Debug, Default)]
pub(super) struct Places {
    addresses: HashMap<IpAddr, usize>,
    /// Connections that may not have registered yet, oldest first; those that have are struck out when places are needed.
    unregistered: BTreeMap<ListenerId, Waiting>,
    /// New connections, by address.
    pub(super) connects: Throttle<IpAddr>,
}

#[derive(Debug)]
struct Waiting {
    address: IpAddr,
    line: Arc<Line>,
    listener: ActorRef<ListenerMsg>,
}

impl Places {
    /// How many connections `address` has.
    pub(super) fn of(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).copied().unwrap_or_default()
    }

    pub(super) fn taken(&mut self, address: IpAddr, id: ListenerId, line: Arc<Line>, listener: ActorRef<ListenerMsg>) {
        *self.addresses.entry(address).or_default() += 1;
        self.unregistered.insert(id, Waiting { address, line, listener });
    }

    pub(super) fn left(&mut self, address: IpAddr, id: ListenerId) {
        self.unregistered.remove(&id);
        if let Some(open) = self.addresses.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// Tells one who says nothing to go, because `limit` was hit. False if there is none.
    pub(super) fn make_one(&mut self, shared: &Commons, limit: Limit) -> bool {
        self.unregistered.retain(|_, waiting| !waiting.line.settled.load(Relaxed));
        let idle = self.unregistered.iter().filter(|(_, waiting)| waiting.line.idle.load(Relaxed));
        let Some(id) = whose_turn(idle.map(|(id, waiting)| (*id, waiting.address))) else { return false };
        let Some(waiting) = self.unregistered.remove(&id) else { return false };
        // One that has just ended has given its place up already.
        let _ = shared.tell(&waiting.listener, ListenerMsg::GiveWay(limit));
        true
    }
}

/// Of the address that comes most often, the first.
fn whose_turn(idle: impl Iterator<Item = (ListenerId, IpAddr)>) -> Option<ListenerId> {
    let mut by_address: HashMap<IpAddr, (usize, ListenerId)> = HashMap::new();
    for (id, address) in idle {
        by_address.entry(address).or_insert((0, id)).0 += 1;
    }
    by_address.into_values().max_by_key(|(count, first)| (*count, std::cmp::Reverse(*first))).map(|(_, first)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_greediest_address_goes() {
        let turn = |addresses: &[u8]| {
            let idle = (1..).zip(addresses).map(|(id, address)| (ListenerId(id), IpAddr::from([10, 0, 0, *address])));
            whose_turn(idle).map(|id| id.0)
        };
        assert_eq!(turn(&[]), None);
        assert_eq!(turn(&[7]), Some(1));
        assert_eq!(turn(&[1, 2, 3, 2, 4, 4, 2]), Some(2));
        assert_eq!(turn(&[1, 2, 2, 1]), Some(1), "of two alike the older one");
    }
}
