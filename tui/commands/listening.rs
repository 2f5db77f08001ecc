//! Why nobody can listen at an address: who is there already, if somebody is, and what would work.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use cordboard::{
    InWords, Printable, StartError,
    client::{Backoff, Client, ConnectError},
};

/// How long whoever has the address may take to say who they are. Nobody waits long for an error.
const WHO: Duration = Duration::from_millis(500);

/// The broker did not start; what would help is said with it.
pub(super) async fn explain(error: StartError) -> anyhow::Error {
    let StartError::Listen { address, source } = &error else { return error.into() };
    let why = match source.kind() {
        io::ErrorKind::AddrInUse => match who_is_at(*address).await {
            Some(broker) => format!("{broker} is there already; stop that one, or choose another port"),
            None => "another program is there already; stop it, or choose another port".to_owned(),
        },
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose one it has, such as 127.0.0.1".to_owned(),
        io::ErrorKind::PermissionDenied => "that takes a privilege; choose a port from 1024".to_owned(),
        _ => format!("{}; choose another address", InWords(source)),
    };
    anyhow::anyhow!("cannot listen on {address}: {why} with --listen")
}

/// The broker that has `address`, in its own words, if it is one.
async fn who_is_at(address: SocketAddr) -> Option<String> {
    let address = SocketAddr::new(reachable(address.ip()), address.port()).to_string();
    let asking = Client::builder(&address).name("cordboard-serve").reconnect(Backoff::NEVER).connect_timeout(WHO);
    match asking.connect().await {
        Ok(client) => {
            let server = client.server();
            // Asked and answered; there is nothing to keep.
            let _ = client.end().await;
            Some(format!("a broker ({})", Printable(&server)))
        }
        Err(ConnectError::Refused { .. }) => Some("a broker".to_owned()),
        Err(_) => None,
    }
}

/// Where whoever listens on `ip` answers.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
