"""What can go wrong, from a refused publish to a session that an operator has ended."""

from __future__ import annotations


class CordboardError(Exception):
    """Anything that this package raises about the broker and its connection."""


class ProtocolError(CordboardError):
    """The broker said something that breaks the protocol."""


class BrokerError(CordboardError):
    """The broker has refused something; the codes are those of the protocol page."""

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        at_ms: int | None = None,
        retry_ms: int | None = None,
        versions: tuple[int, ...] = (),
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        #: With 410: when the session ended, in milliseconds since 1970-01-01 UTC.
        self.at_ms = at_ms
        #: With 408, 429 and 503: after how many seconds it makes sense to try again, if the broker has said so.
        self.retry_after = None if retry_ms is None else retry_ms / 1000
        #: With 505: the versions that the broker speaks.
        self.versions = versions


class RegistrationRefused(BrokerError):
    """The broker does not let this client in."""


class PublishFailed(BrokerError):
    """A publish has failed. With code 503 it may have been taken all the same: trying again may deliver it twice."""


class SubscribeRefused(BrokerError):
    """The broker does not grant this subscription."""


class SubscriptionEnded(BrokerError):
    """Somebody has decided that this subscription is over."""

    def __init__(self, code: int, reason: str, lost: int) -> None:
        super().__init__(code, reason)
        #: How many messages the broker still held for it; they are gone.
        self.lost = lost


class Unreachable(CordboardError, ConnectionError):
    """Nobody answers at the address, or there is no such address. Its cause is what the operating system has said."""

    def __init__(self, host: str, port: int, why: OSError) -> None:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(
            f"cannot connect to {where}: {why.strerror or why}; "
            'is a broker running there? Start one with "cordboard serve", or name another with host and port'
        )


class ConnectionLost(CordboardError):
    """The connection has ended, and nobody has asked for that."""


class Displaced(CordboardError):
    """Another connection has resumed this session. Taking it back would displace that one, and so on for ever."""


class Evicted(CordboardError):
    """An operator has ended this session, and said why."""


class Closed(CordboardError):
    """This side has closed the client, or given up the subscription."""
