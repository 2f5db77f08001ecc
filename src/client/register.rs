//! Registration: from an address to a registered connection.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{error::ConnectError, event::LostSession};
use crate::{
    entropy::Entropy,
    name::SessionId,
    net::{Connect, Socket},
    wire::{self, ClientFrame, Code, DEFAULT_PORT, ErrorFrame, RegistrationRequest, RegistrationResponse, ServerFrame},
};

/// What a client says whenever it connects.
#[derive(Debug)]
pub(super) struct Settings {
    /// `host:port`.
    pub(super) address: String,
    pub(super) connector: Arc<dyn Connect>,
    /// What spreads the clients of one lost broker.
    pub(super) entropy: Arc<dyn Entropy>,
    /// Without the session and the settled sequence, which change.
    pub(super) request: RegistrationRequest,
    /// For all of it: name look-up, connection, registration.
    pub(super) connect_timeout: Duration,
}

/// A registered connection, with the bytes that came behind the response.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) received: BytesMut,
}

/// What a registration brought.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) connection: Connection,
    pub(super) response: RegistrationResponse,
    /// The session that was asked for, if it is not there any more.
    pub(super) lost: Option<LostSession>,
}

/// `address` with the default port, if it names none.
pub(super) fn with_port(address: &str) -> String {
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port = !bare_v6 && address.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.ends_with(']'));
    match (has_port, bare_v6) {
        (true, _) => address.to_owned(),
        (false, true) => format!("[{address}]:{DEFAULT_PORT}"),
        (false, false) => format!("{}:{DEFAULT_PORT}", address.trim_end_matches(':')),
    }
}

/// Connects and registers; `session` is resumed if it is there, and a new one is made if not.
pub(super) async fn register(
    settings: &Settings,
    session: Option<SessionId>,
    settled: Option<u64>,
) -> Result<Registered, ConnectError> {
    let address = &settings.address;
    let attempt = async {
        let unreachable = |why: io::Error| ConnectError::Unreachable { address: address.clone(), why: Arc::new(why) };
        let socket = settings.connector.connect(address).await.map_err(unreachable)?;
        let mut connection = Connection { socket, received: BytesMut::new() };
        connection.register(settings, session, settled).await.map(|(response, lost)| Registered { connection, response, lost })
    };
    timeout(settings.connect_timeout, attempt)
        .await
        .unwrap_or_else(|_| Err(ConnectError::TimedOut { address: address.clone(), within: settings.connect_timeout }))
}

impl Connection {
    async fn register(
        &mut self,
        settings: &Settings,
        session: Option<SessionId>,
        settled: Option<u64>,
    ) -> Result<(RegistrationResponse, Option<LostSession>), ConnectError> {
        let request = RegistrationRequest { session, settled, ..settings.request.clone() };
        let refusal = match self.ask(settings, request).await? {
            Ok(response) => return Ok((response, None)),
            Err(refusal) => refusal,
        };
        let refused = |error: ErrorFrame| ConnectError::Refused {
            code: error.code,
            reason: error.reason,
            retry: error.retry_ms.map(Duration::from_millis),
        };
        match (session, refusal.code) {
            // The connection stays open for another registration.
            (Some(session), Code::NotFound | Code::Gone) => {
                let ErrorFrame { code, reason, at_ms, .. } = refusal;
                let response = self.ask(settings, settings.request.clone()).await?.map_err(refused)?;
                Ok((response, Some(LostSession { session, code, reason, at_ms })))
            }
            _ => Err(refused(refusal)),
        }
    }

    async fn ask(
        &mut self,
        settings: &Settings,
        request: RegistrationRequest,
    ) -> Result<Result<RegistrationResponse, ErrorFrame>, ConnectError> {
        let address = || settings.address.clone();
        let mut frame = Vec::new();
        ClientFrame::RegistrationRequest(request).encode(&mut frame);
        // A broker that refuses at once may have closed its end; what it said is still to be read.
        let written = self.socket.write.write_all(&frame).await;
        loop {
            let not_a_broker = |why| ConnectError::NotABroker { address: address(), why };
            if let Some(length) = wire::frame_len(&self.received, wire::MAX_DELIVER_FRAME).map_err(not_a_broker)?
                && self.received.len() >= length
            {
                let frame = self.received.split_to(length);
                let Some((raw, _)) = wire::split(&frame, wire::MAX_DELIVER_FRAME).map_err(not_a_broker)? else { continue };
                match ServerFrame::decode(raw).map_err(not_a_broker)? {
                    ServerFrame::RegistrationResponse(RegistrationResponse { version, .. }) if version != wire::VERSION => {
                        return Err(ConnectError::OtherVersion { address: address(), version });
                    }
                    ServerFrame::RegistrationResponse(response) => return Ok(Ok(response)),
                    ServerFrame::Error(error) => return Ok(Err(error)),
                    // Nothing else is said before registration; whatever it is, it is not for us.
                    _ => continue,
                }
            }
            if !matches!(self.socket.read.read_buf(&mut self.received).await, Ok(1..)) {
                return Err(match written {
                    Ok(()) => ConnectError::ClosedEarly { address: address() },
                    Err(why) => ConnectError::Unreachable { address: address(), why: Arc::new(why) },
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_has_the_default_one() {
        for (given, full) in [
            ("localhost", "localhost:2673"),
            ("localhost:", "localhost:2673"),
            ("10.0.0.1:99", "10.0.0.1:99"),
            ("::1", "[::1]:2673"),
            ("[::1]", "[::1]:2673"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(with_port(given), full, "{given}");
        }
    }
}
