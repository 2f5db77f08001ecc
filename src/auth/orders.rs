//! What an operator who is a user may order: the right to operate, over whatever the order touches.

use super::{Rights, rights::everything};
use crate::{control::Control, name::Filter};

/// May someone with `rights` give this order? What is not about topics alone takes the right over all of them.
pub fn may_order(rights: &Rights, control: &Control) -> bool {
    rights.may_operate(&touched(control))
}

/// The topics that an order reaches, as one filter.
pub fn touched(control: &Control) -> Filter {
    match control {
        Control::KillTopic { topic }
        | Control::ForbidTopic { topic }
        | Control::AllowTopic { topic }
        | Control::PeekBacklog { topic, .. } => topic.clone().into(),
        Control::Purge { subscription } | Control::Redeliver { subscription } | Control::PeekQueue { subscription, .. } => {
            subscription.filter.clone()
        }
        Control::EvictSession { .. }
        | Control::DropConnection { .. }
        | Control::HoldSession { .. }
        | Control::ExtendSession { .. }
        | Control::ForbidPrincipal { .. }
        | Control::AllowPrincipal { .. }
        | Control::Accept { .. }
        | Control::Drain
        | Control::Reload { .. }
        | Control::Cancel { .. }
        | Control::Shutdown => everything(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Grants,
        name::{SessionId, SubscriptionId},
    };

    fn operator(allow: &[&str], deny: &[&str]) -> Rights {
        let grants =
            |texts: &[&str]| Grants { operate: texts.iter().map(|text| text.parse().unwrap()).collect(), ..Grants::default() };
        Rights::new(grants(allow), grants(deny))
    }

    fn orders() -> Vec<(&'static str, Control)> {
        let session = SessionId::from_bytes([1; 16]);
        let of = |filter: &str| SubscriptionId { session, filter: filter.parse().unwrap() };
        vec![
            ("kill a", Control::KillTopic { topic: "a".parse().unwrap() }),
            ("kill a/b", Control::KillTopic { topic: "a/b".parse().unwrap() }),
            ("purge a/b", Control::Purge { subscription: of("a/b") }),
            ("purge a/+", Control::Purge { subscription: of("a/+") }),
            ("redeliver #", Control::Redeliver { subscription: of("#") }),
            ("evict", Control::EvictSession { session }),
            ("drop", Control::DropConnection { session }),
            ("hold", Control::HoldSession { session }),
            ("extend", Control::ExtendSession { session, by_ms: 1 }),
            ("accept", Control::Accept { on: false }),
            ("reload", Control::Reload { seen: None }),
            ("shutdown", Control::Shutdown),
        ]
    }

    #[test]
    fn an_order_takes_the_right_over_all_that_it_touches() {
        let allowed = |rights: Rights| -> Vec<&str> {
            orders().into_iter().filter(|(_, control)| may_order(&rights, control)).map(|(name, _)| name).collect()
        };
        let all: Vec<&str> = orders().into_iter().map(|(name, _)| name).collect();
        assert_eq!(allowed(operator(&["#"], &[])), all);
        assert_eq!(allowed(operator(&[], &[])), Vec::<&str>::new());
        assert_eq!(allowed(operator(&["a/b"], &[])), ["kill a/b", "purge a/b"]);
        assert_eq!(allowed(operator(&["a/#"], &[])), ["kill a", "kill a/b", "purge a/b", "purge a/+"]);
        // A deny anywhere is a deny for what is about everything.
        assert_eq!(allowed(operator(&["#"], &["a/b"])), ["kill a"]);
        // Other rights are no right to operate.
        let all = Rights::all();
        let grants =
            Grants { publish: vec![everything()], subscribe: vec![everything()], create: vec![everything()], operate: vec![] };
        assert!(may_order(&all, &Control::Shutdown) && allowed(Rights::new(grants, Grants::default())).is_empty());
    }
}
