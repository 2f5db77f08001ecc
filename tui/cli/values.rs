//! How words of the command line become values. Each refusal says what could have been written.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use cordboard::{name::ClientName, wire::DEFAULT_PORT};

/// `IP:PORT`, or an IP alone for the default port.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().ok();
    address
        .or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
        .ok_or_else(|| "give an IP address, with a port if it is not 2673: 127.0.0.1, 0.0.0.0:5000 or [::]:2673".to_owned())
}

/// `HOST`, `HOST:PORT`, or an IPv6 address with or without both brackets and port. Whether the host is there is found out later.
pub(super) fn server(text: &str) -> Result<String, String> {
    let is_host =
        |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "[]:/@".contains(c));
    let is_sound = match text.rsplit_once(':') {
        None => is_host(text),
        Some((host, port)) => {
            let bracketed = |host: &str| host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(is_ipv6);
            is_ipv6(text) || bracketed(text) || port.parse().is_ok_and(|port: u16| port > 0) && (is_host(host) || bracketed(host))
        }
    };
    if is_sound {
        Ok(text.to_owned())
    } else {
        Err("write a host, with a port if it is not 2673: localhost, 192.0.2.7:5000 or [::1]:2673".to_owned())
    }
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// Names of operators follow the rules of names of clients: they are shown and recorded.
pub(super) fn operator(text: &str) -> Result<String, String> {
    text.parse::<ClientName>().map(String::from).map_err(|error| error.to_string())
}

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() { Err("the key is empty; write KEY=VALUE".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}

/// Bytes: `256`, `4KiB` or `1MiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];
    let (digits, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor))).unwrap_or((text, 1));
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
    bytes.ok_or_else(|| "write for example 256, 4KiB or 1MiB".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a whole number from 1".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 500ms, 90s or 2h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_leave_out_the_port() {
        assert_eq!(listen_address("::1").unwrap().to_string(), "[::1]:2673");
        assert_eq!(listen_address("0.0.0.0:0").unwrap().to_string(), "0.0.0.0:0");
        assert!(listen_address("localhost").unwrap_err().contains("IP address"));
    }

    #[test]
    fn a_server_is_a_host_and_maybe_a_port() {
        for sound in ["localhost", "h:1", "127.0.0.1:2673", "::1", "[::1]", "[fe80::1]:65535"] {
            assert_eq!(server(sound).as_deref(), Ok(sound));
        }
        for unsound in ["", "::::", ":1", "h:", "h:0", "h:65536", "h:x", "a b", "[::1", "[h]:1", "tcp://h:1", "a:b:1"] {
            assert!(server(unsound).is_err(), "{unsound:?}");
        }
    }

    #[test]
    fn sizes_have_a_unit_or_are_bytes() {
        assert_eq!(["0", "256", "16B", "4KiB", "1MiB"].map(size), [0, 256, 16, 4_096, 1 << 20].map(Ok));
        for unsound in ["", "KiB", "1kb", "-1", "99999999999999MiB"] {
            assert!(size(unsound).unwrap_err().contains("4KiB"), "{unsound:?}");
        }
        assert!(at_least_one("7") == Ok(7) && at_least_one("0").is_err());
    }

    #[test]
    fn headers_and_times_are_read() {
        assert_eq!(header("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(header("a").is_err() && header("=b").is_err());
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert!(duration("90").unwrap_err().contains("90s"));
    }
}
