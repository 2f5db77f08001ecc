//! The table of limits: each key of the configuration that bounds something, each bound that is fixed, and the test that holds
//! it there. A key that is new comes with a row, or with a word why it bounds nothing.

use std::{collections::BTreeSet, fs, path::Path};

/// Keys that bound nothing.
const NO_BOUNDS: [&str; 1] = ["listen"];

/// A key, a file below `tests/`, and a test in it that sets or names the key.
const TABLE: &[(&str, &str, &str)] = &[
    ("connections.max", "limits/connections", "connections_beyond_a_cap_are_told_and_closed"),
    ("connections.max_unregistered", "limits/connections", "whoever_registers_gets_in_while_others_hold_all_places"),
    ("connections.max_per_address", "limits/connections", "connections_beyond_a_cap_are_told_and_closed"),
    ("connections.connect_burst", "limits/connections", "an_address_that_connects_too_fast_is_told_how_long_to_wait"),
    ("connections.connects_per_second", "limits/connections", "an_address_that_connects_too_fast_is_told_how_long_to_wait"),
    ("connections.registration_deadline", "limits/connections", "no_registration_within_the_deadline_is_told_and_said"),
    ("connections.keep_alive", "limits/connections", "a_client_that_is_silent_for_too_long_is_told_to_ping"),
    ("connections.stall_after", "limits/connections", "a_reader_that_takes_nothing_is_closed"),
    ("connections.frame_deadline", "limits/connections", "a_frame_that_drips_is_closed_at_its_deadline"),
    ("connections.max_frame_bytes", "limits/connections", "a_frame_over_the_limit_is_told_its_size"),
    ("connections.outbound_bytes", "hostile/delivery", "what_found_no_room_in_the_connection_comes_when_there_is_some"),
    ("connections.drain_deadline", "limits/connections", "a_shutdown_waits_for_held_receipts_until_its_deadline"),
    ("logins.max_waiting", "limits/logins", "registrations_that_wait_for_their_password_are_bounded"),
    ("logins.max_waiting_per_address", "limits/logins", "registrations_that_wait_for_their_password_are_bounded"),
    ("logins.failures_burst", "limits/logins", "an_address_that_is_wrong_too_often_waits_and_its_victim_does_not"),
    ("logins.failures_per_minute", "limits/logins", "an_address_that_is_wrong_too_often_waits_and_its_victim_does_not"),
    ("logins.name_failures_burst", "limits/logins", "a_name_that_is_tried_from_everywhere_is_answered_late_and_never_locked"),
    (
        "logins.name_failures_per_minute",
        "limits/logins",
        "a_name_that_is_tried_from_everywhere_is_answered_late_and_never_locked",
    ),
    ("logins.slow_answer", "limits/logins", "a_name_that_is_tried_from_everywhere_is_answered_late_and_never_locked"),
    ("sessions.reclaim_after", "limits/sessions", "a_wished_reclaim_time_is_clamped_and_told"),
    ("sessions.max_reclaim_after", "limits/sessions", "a_wished_reclaim_time_is_clamped_and_told"),
    ("sessions.max_per_principal", "limits/sessions", "sessions_are_bounded_by_user"),
    ("sessions.max_detached", "limits/sessions", "detached_sessions_are_bounded_by_user_and_in_all"),
    ("sessions.max_detached_per_principal", "limits/sessions", "detached_sessions_are_bounded_by_user_and_in_all"),
    ("sessions.max_takeovers", "limits/sessions", "a_session_that_is_taken_over_too_often_stays_where_it_is"),
    ("sessions.takeover_window", "limits/sessions", "a_session_that_is_taken_over_too_often_stays_where_it_is"),
    ("sessions.takeover_ban", "limits/sessions", "a_session_that_is_taken_over_too_often_stays_where_it_is"),
    ("sessions.failed_resumes_burst", "limits/sessions", "guesses_of_sessions_are_bounded_and_cost_nobody_its_own"),
    ("sessions.failed_resumes_per_second", "limits/sessions", "guesses_of_sessions_are_bounded_and_cost_nobody_its_own"),
    ("sessions.tombstones", "limits/sessions", "tombstones_are_bounded_in_number_and_time"),
    ("sessions.tombstone_life", "limits/sessions", "tombstones_are_bounded_in_number_and_time"),
    ("sessions.max_subscriptions", "limits/queues", "subscriptions_are_bounded_by_session_and_in_all"),
    ("sessions.request_burst", "limits/sessions", "requests_beyond_their_pace_are_read_later_and_all_answered"),
    ("sessions.requests_per_second", "limits/sessions", "requests_beyond_their_pace_are_read_later_and_all_answered"),
    ("publishing.credit_messages", "limits/publishing", "a_publisher_beyond_its_credit_is_read_when_its_receipt_is_released"),
    ("publishing.credit_bytes", "limits/publishing", "credit_is_counted_in_bytes_too"),
    ("publishing.ingress_bytes", "limits/publishing", "publishers_are_read_later_while_nothing_more_may_come_in"),
    ("topics.max", "limits/publishing", "topics_are_bounded_in_all_by_user_and_by_rate"),
    ("topics.max_per_principal", "limits/publishing", "topics_are_bounded_in_all_by_user_and_by_rate"),
    ("topics.create_burst", "limits/publishing", "topics_are_bounded_in_all_by_user_and_by_rate"),
    ("topics.create_per_second", "limits/publishing", "topics_are_bounded_in_all_by_user_and_by_rate"),
    ("topics.max_name_bytes", "limits/publishing", "names_are_bounded_in_bytes_and_levels"),
    ("topics.max_levels", "limits/publishing", "names_are_bounded_in_bytes_and_levels"),
    ("topics.idle_after", "timers", "an_idle_topic_is_forgotten_and_one_with_a_backlog_lives_until_that_has_expired"),
    ("topics.backlog_messages", "limits/publishing", "a_backlog_keeps_the_newest_messages_and_bytes"),
    ("topics.backlog_bytes", "limits/publishing", "a_backlog_keeps_the_newest_messages_and_bytes"),
    ("topics.backlog_life", "hostile/delivery", "what_has_expired_is_counted_and_not_delivered"),
    ("queues.max_messages", "limits/queues", "a_queue_keeps_the_newest_messages_and_bytes"),
    ("queues.max_bytes", "limits/queues", "a_queue_keeps_the_newest_messages_and_bytes"),
    ("queues.max_poison", "limits/queues", "poison_is_bounded_and_its_loss_is_said"),
    ("queues.window_messages", "limits/queues", "a_window_that_is_full_pauses_its_subscription"),
    ("queues.window_bytes", "limits/queues", "a_window_is_counted_in_bytes_too"),
    ("queues.ack_timeout", "timers", "a_message_nobody_acknowledges_comes_again_and_becomes_poison"),
    ("queues.max_attempts", "hostile/delivery", "a_message_that_kills_its_reader_is_put_aside"),
    ("queues.hold_publisher", "limits/publishing", "a_publisher_beyond_its_credit_is_read_when_its_receipt_is_released"),
    ("queues.max_subscriptions", "limits/queues", "subscriptions_are_bounded_by_session_and_in_all"),
    ("queues.all_bytes", "limits/queues", "a_full_broker_makes_room_before_it_refuses"),
    ("failures.leaf_restarts", "limits/failures", "restarts_of_a_leaf_are_bounded_within_their_window"),
    ("failures.leaf_window", "limits/failures", "restarts_of_a_leaf_are_bounded_within_their_window"),
    ("failures.manager_restarts", "limits/failures", "restarts_of_the_managers_are_bounded_within_their_window"),
    ("failures.manager_window", "limits/failures", "restarts_of_the_managers_are_bounded_within_their_window"),
    ("failures.hang_after", "failures/broker", "an_actor_that_takes_long_is_told"),
    ("orders.max_forbidden", "orders/forbidding", "as_much_may_be_forbidden_as_the_configuration_says"),
    ("orders.max_waiting", "orders/delaying", "waiting_orders_and_their_delays_are_bounded"),
    ("orders.max_delay", "orders/delaying", "waiting_orders_and_their_delays_are_bounded"),
];

/// Bounds that cannot be set, by the name under which they are counted.
const FIXED: &[(&str, &str, &str)] = &[
    ("requests on one filter", "limits/sessions", "requests_that_wait_on_one_filter_are_bounded"),
    ("unread replies", "limits/connections", "a_client_that_does_not_read_its_answers_is_not_read"),
    ("accept", "limits/connections", "what_the_system_does_not_grant_is_said_and_tried_again"),
];

/// The source of a test, with what is said above it.
fn source_of(file: &str, test: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(format!("{file}.rs"));
    let text = fs::read_to_string(path).ok()?;
    let at = text.find(&format!("async fn {test}("))?;
    let from = text[..at].rfind("\n\n").unwrap_or(0);
    let to = at + text[at..].find("\n}\n")?;
    Some(text[from..to].to_owned())
}

/// The paths of all keys, of whatever section.
fn keys_of(manual: &toml::Table) -> BTreeSet<String> {
    let section = |(name, value): (&String, &toml::Value)| match value {
        toml::Value::Table(keys) => keys.keys().map(|key| format!("{name}.{key}")).collect(),
        _ => vec![name.clone()],
    };
    manual.iter().flat_map(section).collect()
}

/// What of `keys` and of the table is not in both.
fn differences(keys: &BTreeSet<String>) -> Vec<String> {
    let named = TABLE.iter().map(|(key, _, _)| *key).chain(NO_BOUNDS).map(str::to_owned).collect();
    keys.symmetric_difference(&named).cloned().collect()
}

#[test]
fn each_key_has_a_test_that_names_it() {
    let mut keys = keys_of(&include_str!("../../assets/cordboard.toml").parse().unwrap());
    assert_eq!(differences(&keys), [""; 0], "in the configuration or in this table, and not in both");
    assert_eq!(keys.len(), TABLE.len() + NO_BOUNDS.len(), "a key stands here once");
    keys.insert("disks.max_bytes".to_owned());
    assert_eq!(differences(&keys), ["disks.max_bytes"], "a new key is missed, whatever its section");
    for (key, file, test) in TABLE.iter().chain(FIXED) {
        let source = source_of(file, test).unwrap_or_else(|| panic!("{file} has no test {test}"));
        assert!(source.contains("#[tokio::test"), "{test} is no test");
        let field = key.rsplit('.').next().unwrap();
        assert!(source.contains(field), "{file}: {test} does not name {key}");
    }
}

/// What the broker counts is a key of the configuration, or one of the few bounds that cannot be set. That it is counted, or
/// said, is looked at by a test, too.
#[tokio::test]
async fn each_limit_that_is_counted_is_a_key_or_fixed_and_looked_at() {
    let broker = crate::fixture::broker().await;
    let sources: String = ["connections", "logins", "publishing", "queues", "sessions"]
        .iter()
        .map(|file| format!("limits/{file}"))
        .chain(["hostile/delivery", "orders/forbidding", "orders/delaying"].map(str::to_owned))
        .map(|file| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(format!("{file}.rs"))).unwrap())
        .collect();
    let mut unseen = Vec::new();
    for limit in broker.limit_hits().into_keys() {
        assert!(TABLE.iter().chain(FIXED).any(|(key, _, _)| *key == limit), "{limit} is no key");
        if !sources.contains(&format!("\"{limit}\"")) {
            unseen.push(limit);
        }
    }
    assert!(unseen.is_empty(), "no test looks at how often these are hit: {unseen:?}");
    broker.shutdown().await;
}
