//! How the program ends, so that scripts and service managers can tell why; and the errors that decide it.

use std::{fmt::Write as _, io, process::ExitCode};

use cordboard::{
    StartError,
    client::{ConnectError, PublishError, SubscribeError},
    config::ConfigError,
    wire::Code,
};

use super::ServerArgs;
use crate::commands::{InputError, grouped};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    CannotConnect = 3,
    Refused = 4,
    TimedOut = 5,
    /// By the shells' convention.
    Interrupted = 130,
}

impl Exit {
    const ALL: [Self; 7] =
        [Self::Done, Self::Failed, Self::Usage, Self::CannotConnect, Self::Refused, Self::TimedOut, Self::Interrupted];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or stopped as asked; rights: it may",
            Self::Failed => "failed; rights: it may not; bench: messages were lost, repeated or wrong",
            Self::Usage => "the command line or the configuration makes no sense",
            Self::CannotConnect => "cannot connect to the broker, or it does not answer",
            Self::Refused => "the broker refused: no right, wrong password, a limit",
            Self::TimedOut => "sub: --timeout was over before --count messages came",
            Self::Interrupted => "a second interrupt ended the broker at once",
        }
    }

    /// All of them, for `--help`.
    pub(super) fn table() -> String {
        Self::ALL.into_iter().fold("Exit codes:".to_owned(), |mut table, exit| {
            let _ = write!(table, "\n{:>5}  {}", exit as u8, exit.meaning());
            table
        })
    }

    /// The exit that `error` means.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let is_of_config = |error: &StartError| matches!(error, StartError::Config(_));
        if error.is::<UsageError>() || error.is::<ConfigError>() || error.downcast_ref().is_some_and(is_of_config) {
            return Self::Usage;
        }
        if let Some(NotConnected { error, .. }) = error.downcast_ref() {
            return if matches!(error, ConnectError::Refused { .. }) { Self::Refused } else { Self::CannotConnect };
        }
        let publish = error.downcast_ref::<PublishError>().or(error.downcast_ref::<NotAccepted>().map(|failure| &failure.first));
        let refused = matches!(publish, Some(PublishError::Refused { .. } | PublishError::TooLarge { .. }))
            || matches!(error.downcast_ref(), Some(InputError::TooLarge { .. } | InputError::LongLine { .. }))
            || matches!(error.downcast_ref(), Some(SubscribeError::Refused { .. }));
        if refused { Self::Refused } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The command line parsed, and made no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// There is no connection, and this may help.
#[derive(Debug, thiserror::Error)]
#[error("{error}{help}")]
pub(crate) struct NotConnected {
    error: ConnectError,
    help: &'static str,
}

impl NotConnected {
    pub(crate) fn new(error: ConnectError, server: &ServerArgs) -> Self {
        let help = match (&error, &server.user) {
            // Wrong in another way than that nobody is there; the error has said what to look at.
            (ConnectError::Unreachable { why, .. }, _) if why.kind() != io::ErrorKind::ConnectionRefused => "",
            (ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. }, _) => {
                " start one with \"cordboard serve\", or name another with --server"
            }
            (ConnectError::ClosedEarly { .. }, _) => " name another with --server",
            (ConnectError::NotABroker { .. }, _) => "; name another with --server",
            (ConnectError::Refused { code: Code::Unauthorized, .. }, None) => {
                "; say who you are with --user and CORDBOARD_PASSWORD"
            }
            (ConnectError::Refused { code: Code::Unauthorized, .. }, Some(_)) => "; are --user and CORDBOARD_PASSWORD right?",
            _ => "",
        };
        Self { error, help }
    }
}

/// Some of what was to be published was not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{} of {} messages {} not accepted; {} {}: {first}", grouped(*failed), grouped(*all),
    if *failed == 1 { "was" } else { "were" }, if *failed == 1 { "it is number" } else { "the first is number" }, grouped(*number))]
pub(crate) struct NotAccepted {
    pub(crate) failed: u64,
    pub(crate) all: u64,
    /// Which was the first, counted from 1.
    pub(crate) number: u64,
    pub(crate) first: PublishError,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn nobody() -> ServerArgs {
        ServerArgs { server: "h".to_owned(), user: None }
    }

    #[test]
    fn exit_codes_tell_refusals_from_silence() {
        let refused = || ConnectError::Refused { code: Code::Unauthorized, reason: "no".to_owned(), retry: None };
        let asked = NotConnected::new(refused(), &nobody());
        assert!(asked.to_string().ends_with("say who you are with --user and CORDBOARD_PASSWORD"));
        assert_eq!(Exit::of(&asked.into()), Exit::Refused);
        let wrong = NotConnected::new(refused(), &ServerArgs { user: Some("ana".to_owned()), ..nobody() });
        assert!(wrong.to_string().ends_with("are --user and CORDBOARD_PASSWORD right?"));
        let timed_out = NotConnected::new(
            ConnectError::TimedOut { address: "a".to_owned(), within: Duration::from_millis(1_500) },
            &nobody(),
        );
        assert_eq!(
            timed_out.to_string(),
            "no broker answered at a within 1s 500ms; is the address right? start one with \"cordboard serve\", or name another with --server"
        );
        assert_eq!(Exit::of(&timed_out.into()), Exit::CannotConnect);
        let first = PublishError::Refused { topic: "t".to_owned(), code: Code::Forbidden, reason: "no right".to_owned() };
        let refused = NotAccepted { failed: 1, all: 2, number: 2, first };
        assert_eq!(
            refused.to_string(),
            "1 of 2 messages was not accepted; it is number 2: the broker refused the message to t: no right (403)"
        );
        assert_eq!(Exit::of(&refused.into()), Exit::Refused);
        assert_eq!(Exit::of(&anyhow::anyhow!("else")), Exit::Failed);
        assert_eq!(Exit::of(&UsageError("no".to_owned()).into()), Exit::Usage);
    }

    /// What is documented is what there is, once each.
    #[test]
    fn every_exit_is_in_the_table() {
        let table = Exit::table();
        for exit in Exit::ALL {
            assert_eq!(table.lines().filter(|line| line.trim().starts_with(&format!("{} ", exit as u8))).count(), 1, "{table}");
        }
    }
}
