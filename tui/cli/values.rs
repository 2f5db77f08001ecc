//! How words of the command line become values. Each refusal says what could have been written.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use cordboard::{name::ClientName, wire::DEFAULT_PORT};

/// `IP:PORT`, or an IP alone for the default port.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|text| is_ipv6(text)).unwrap_or(text);
    let address = text.parse().ok();
    address
        .or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
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

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a time is a number and its unit; write for example 500ms, 90s or 2h".to_owned())
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "write a whole number, for example 7".to_owned())
}

/// How often, or how many: none is not meant.
pub(super) fn count<N: FromStr + From<u8> + PartialOrd>(text: &str) -> Result<N, String> {
    let count = text.parse().ok().filter(|count| *count >= N::from(1));
    count.ok_or_else(|| "write a whole number from 1, for example 10".to_owned())
}

/// The same with a bound.
pub(super) fn up_to<const MOST: u32>(text: &str) -> Result<u32, String> {
    count(text).ok().filter(|count| *count <= MOST).ok_or_else(|| format!("write a whole number from 1 to {MOST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_leave_out_the_port() {
        assert_eq!(listen_address("::1").unwrap().to_string(), "[::1]:2673");
        assert_eq!(listen_address("[::1]").unwrap().to_string(), "[::1]:2673");
        assert!(listen_address("[127.0.0.1]").is_err() && listen_address("[::1").is_err());
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
    }

    #[test]
    fn headers_and_times_are_read() {
        assert_eq!(header("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(header("a").is_err() && header("=b").is_err());
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        for unsound in ["90", "five", "", "5 apples", "-1s", "99999999999999999999s"] {
            assert!(duration(unsound).unwrap_err().contains("90s"), "{unsound:?}");
        }
        assert_eq!((count("1"), up_to::<9>("9")), (Ok(1_u64), Ok(9)));
        for unsound in ["0", "x", "", "-1", "1.5", "99999999999999999999"] {
            assert!(count::<u64>(unsound).unwrap_err().contains("from 1"), "{unsound:?}");
            assert!(up_to::<9>(unsound).unwrap_err().contains("from 1 to 9"), "{unsound:?}");
        }
    }
}
