"""The client: one session, the thread that holds its connection, and what happens when that is lost."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Callable

from . import frames
from .connection import Connection
from .errors import (
    BrokerError,
    Closed,
    ConnectionLost,
    CordboardError,
    Displaced,
    Evicted,
    ProtocolError,
    RegistrationRefused,
    SubscribeRefused,
    SubscriptionEnded,
)
from .inbox import Inbox
from .outbox import Outbox
from .subscription import Subscription

_log = logging.getLogger("cordboard")

#: The session is not there, or has ended: the broker waits for another request on the same connection.
_SESSION_GONE = (404, 410)
#: Refusals that trying again does not change.
_FINAL = (400, 401, 403, 413, 505)


class Client:
    """A session at a broker. It is registered when it has been made, and raises if that fails: Unreachable,
    RegistrationRefused, or TimeoutError if nobody says anything.

    A lost connection is replaced and the session resumed, in the background and for as long as it takes: publishes
    that are not settled are sent again under their sequences, and subscriptions go on. `ending` tells when that is
    over.

    Leaving a `with` block waits until every publish is settled, as `flush` does, and ends the session. Leaving it by an
    exception, that of `flush` among them, only disconnects, so that the session can be resumed. All methods may be called from any thread.

    Args:
        host, port: Where the broker listens.
        name: What this client calls itself, for people.
        user, password: Who it is, where the operator has configured users.
        session: The id of a session to resume, from `Client.session` of an earlier process. If it is gone, a new one
            is made, and `resumed` is false.
        ack: "explicit": a message is settled by `Message.ack`. "none": when the broker has written it.
        keep_alive, reclaim: Seconds to wish for; the broker grants the nearest that it allows.
        reconnect: Whether to come back after a lost connection.
        timeout: Seconds that connecting, registering, and leaving may take, and that `flush` waits for the next outcome.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = frames.DEFAULT_PORT,
        *,
        name: str = "python",
        user: str | None = None,
        password: str | None = None,
        session: str | None = None,
        ack: str = "explicit",
        keep_alive: float | None = None,
        reclaim: float | None = None,
        reconnect: bool = True,
        timeout: float = 10.0,
    ) -> None:
        self._address = (host, port)
        self._request = frames.RegistrationRequest(
            versions=(frames.VERSION,),
            name=name,
            user=user,
            password=password,
            keep_alive_ms=_milliseconds(keep_alive),
            reclaim_ms=_milliseconds(reclaim),
            ack=ack,
        )
        self._is_explicit = ack == "explicit"
        self._reconnects = reconnect
        self._timeout = timeout
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._outbox = Outbox()
        self._subscriptions: dict[str, Subscription] = {}
        self._handles: dict[int, Subscription] = {}
        self._requests: dict[int, Subscription] = {}
        self._last_request = 0
        self._session = session
        self._is_leaving = False
        #: Why the client is no longer there, once it has given up or was closed.
        self.ending: CordboardError | None = None
        #: The open connection, from the first byte on; and the same one while it is registered.
        self._line: Connection | None = None
        self._connection: Connection | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            frames.PublishAck: self._on_publish_ack,
            frames.Deliver: self._on_deliver,
            frames.Ping: self._on_ping,
            frames.Pong: self._on_pong,
            frames.Error: self._on_error,
            frames.SubscribeAck: self._on_subscribe_ack,
            frames.UnsubscribeAck: self._on_unsubscribe_ack,
            frames.SubscriptionEnded: self._on_subscription_ended,
            frames.Resubscribe: self._on_resubscribe,
            frames.Displaced: self._on_displaced,
            frames.Evicted: self._on_evicted,
        }
        connection = self._connect()
        self._thread = threading.Thread(target=self._run, args=(connection,), name=f"cordboard {name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return self.detach()
        try:
            self.flush()
        except TimeoutError:
            self.detach()
            raise
        self.close()

    # What there is to know.

    @property
    def session(self) -> str:
        """The session's id. Another process resumes it with `Client(session=...)`. It proves nothing about who asks."""
        return self._response.session

    @property
    def resumed(self) -> bool:
        """Whether the present connection has found its session. False: a new one, which has missed what came before."""
        return self._response.resumed

    @property
    def granted(self) -> frames.RegistrationResponse:
        """What the broker has granted: limits, times, epoch."""
        return self._response

    @property
    def connected(self) -> bool:
        """Whether there is a registered connection now."""
        return self._connection is not None

    # Publishing.

    def publish(
        self,
        topic: str,
        payload: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Future[None]:
        """Publish, and go on: the future says how it has ended, with None or PublishFailed.

        Waits only when the broker's credit is used up, at most `timeout` seconds (then TimeoutError). ValueError: the
        message cannot be said in the protocol. Without a connection it is sent when there is one again.
        """
        headers = headers or {}
        size = len(frames.Publish(0, topic, payload, headers).encode())
        with self._lock:
            self._wait(lambda: self.ending or self._outbox.has_credit(size), timeout, "no credit")
            self._raise_if_over()
            if size - 4 > self._response.max_frame:
                raise ValueError(f"the frame has {size - 4} bytes; the broker takes {self._response.max_frame}")
            frame, outcome = self._outbox.add(topic, payload, headers)
            if self._connection is not None:
                self._connection.send(frame)
            return outcome

    def flush(self, timeout: float | None = None) -> None:
        """Wait until every publish so far is settled, well or not.

        TimeoutError: for `timeout` seconds, or those of the client, none was, because the broker is away for one. They
        are still sent when it is back.
        """
        patience = self._timeout if timeout is None else timeout
        with self._lock:
            target = self._outbox.added
            while self._outbox.told < target:
                told = self._outbox.told
                self._wait(lambda: self._outbox.told > told, patience, "publishes are not settled")

    # Subscribing.

    def subscribe(self, filter: str, *, ack_timeout: float | None = None, timeout: float | None = None) -> Subscription:
        """Subscribe to a filter. Everything published after this has returned reaches the subscription.

        Asked again for the same filter, it returns the subscription that there is. SubscribeRefused: the broker does
        not grant it. TimeoutError: not granted within `timeout` seconds; the request stays, and asking again waits
        again.
        """
        with self._lock:
            self._wait(lambda: not self._is_being_given_up(filter), timeout, f"{filter!r} is not given up yet")
            self._raise_if_over()
            subscription = self._subscriptions.get(filter)
            if subscription is None:
                subscription = self._new_subscription(filter, _milliseconds(ack_timeout))
                self._ask(subscription)
            found = subscription
            self._wait(lambda: found._handle is not None or found.ended, timeout, f"{filter!r} is not granted yet")
            if found.ended is not None:
                raise found.ended
            return found

    def unsubscribe(self, subscription: Subscription, *, timeout: float | None = None) -> None:
        """Give a subscription up, and what it holds. After this has returned nothing of it comes."""
        with self._lock:
            if subscription.ended is None and not subscription._leaving:
                subscription._leaving = True
                self._ask(subscription)
            self._wait(lambda: subscription.ended, timeout, f"{subscription.filter!r} is not given up yet")

    # Leaving.

    def close(self) -> None:
        """End the session: its subscriptions go, with what they hold. What was published before is settled first."""
        self._leave(end=True)

    def detach(self) -> None:
        """Disconnect, and leave the session waiting to be resumed, for `granted.reclaim_ms`."""
        self._leave(end=False)

    def _leave(self, end: bool) -> None:
        with self._lock:
            if not self._is_leaving:
                is_said = self._send(frames.Disconnect(end))
                self._is_leaving = True
                self._changed.notify_all()
                if not is_said:
                    self._break_off()
        if threading.current_thread() is self._thread:
            return
        self._thread.join(self._timeout)
        self._break_off()
        self._thread.join(self._timeout)

    def _break_off(self) -> None:
        with self._lock:
            if self._line is not None:
                self._line.break_off()

    # The thread that holds the connection.

    def _run(self, connection: Connection) -> None:
        ending: CordboardError = Closed("closed")
        try:
            while True:
                ending = self._serve(connection)
                if not self._may_return_after(ending):
                    break
                _log.warning("%s; session %s is to be resumed", ending, self._session)
                connection = self._reconnect(_asked(ending))
        except CordboardError as error:
            ending = error
        except BaseException as error:
            ending = ConnectionLost(f"the client has failed: {error!r}")
            raise
        finally:
            self._finish(ending)

    def _serve(self, connection: Connection) -> CordboardError:
        """Handle what comes. Returns why the connection has ended."""
        try:
            while True:
                frame = connection.receive()
                with self._lock:
                    handler = self._handlers.get(type(frame))
                    if handler is None:
                        raise ProtocolError(f"{type(frame).__name__} out of place")
                    handler(frame)
        except CordboardError as error:
            return error
        finally:
            with self._lock:
                self._line = self._connection = None
            connection.close()

    def _may_return_after(self, ending: CordboardError) -> bool:
        if self._is_leaving or not self._reconnects:
            return False
        return isinstance(ending, ConnectionLost) or (isinstance(ending, BrokerError) and ending.code not in _FINAL)

    def _reconnect(self, asked: float) -> Connection:
        """A new connection, however long it takes, and not before the broker asked for one: `asked`, in seconds. Raises
        what makes further attempts pointless."""
        for pause in _back_off():
            self._pause(max(pause, asked))
            asked = 0.0
            try:
                return self._connect()
            except RegistrationRefused as refusal:
                if refusal.code in _FINAL:
                    raise
                asked = _asked(refusal)
                _log.info("%s; trying again", refusal)
            except (OSError, ConnectionLost) as error:
                _log.info("%s; trying again", error)
        raise AssertionError("the back-off has no end")

    def _pause(self, seconds: float) -> None:
        with self._lock:
            self._changed.wait_for(lambda: self._is_leaving, seconds)
            if self._is_leaving:
                raise Closed("closed while there was no connection")

    def _connect(self) -> Connection:
        connection = Connection(self._address, self._timeout)
        try:
            with self._lock:
                self._line = connection
                if self._is_leaving:
                    raise Closed("closed while there was no connection")
            response = self._register(connection)
            connection.reader.max_length = max(frames.MIN_RECEIVED_LENGTH, 2 * response.max_frame)
            connection.keep_alive(response.keep_alive_ms / 1000)
            with self._lock:
                self._attach(connection, response)
        except BaseException:
            connection.close()
            raise
        return connection

    def _register(self, connection: Connection) -> frames.RegistrationResponse:
        session = self._session
        while True:
            settled = self._outbox.settled if session is not None else None
            connection.send(replace(self._request, session=session, settled=settled).encode())
            answer = connection.receive(self._timeout)
            if isinstance(answer, frames.RegistrationResponse):
                return answer
            if not isinstance(answer, frames.Error):
                raise ProtocolError(f"a registration was answered with {type(answer).__name__}")
            if session is None or answer.code not in _SESSION_GONE:
                raise _refusal(answer)
            _log.warning("session %s: %s; registering anew", session, answer.reason)
            session = None

    def _attach(self, connection: Connection, response: frames.RegistrationResponse) -> None:
        """Take a registered connection into use."""
        self._response = response
        self._session = response.session
        self._connection = connection
        self._requests.clear()
        self._handles.clear()
        if response.resumed:
            for frame in self._outbox.resume(response):
                connection.send(frame)
        else:
            self._outbox.restart(response)
        handles = {surviving.filter: surviving.handle for surviving in response.subscriptions or ()}
        for filter in handles.keys() - self._subscriptions.keys():
            self._new_subscription(filter, None)  # made by an earlier process
        for subscription in list(self._subscriptions.values()):
            self._set_handle(subscription, handles.get(subscription.filter))
            if subscription._leaving or subscription._handle is None:
                self._ask(subscription)
        self._changed.notify_all()

    def _finish(self, ending: CordboardError) -> None:
        with self._lock:
            self.ending = Closed("closed") if self._is_leaving else ending
            self._outbox.abandon(f"the client has ended before the outcome was known: {self.ending}")
            for subscription in self._subscriptions.values():
                subscription._end(self.ending)
            self._changed.notify_all()
        if not self._is_leaving:
            _log.error("%s; not coming back by itself", ending)

    # What the broker says. All of these hold the lock.

    def _on_publish_ack(self, ack: frames.PublishAck) -> None:
        self._outbox.settle(ack.sequence)
        self._changed.notify_all()

    def _on_deliver(self, deliver: frames.Deliver) -> None:
        subscription = self._handles.get(deliver.handle)
        if subscription is not None and not subscription._leaving:
            subscription._deliver(deliver)

    def _on_ping(self, ping: frames.Ping) -> None:
        self._send(frames.Pong(ping.token))

    def _on_pong(self, _: frames.Pong) -> None:
        """That something has come is all it says."""

    def _on_error(self, error: frames.Error) -> None:
        if error.request is not None:
            subscription = self._requests.pop(error.request, None)
            if subscription is not None:
                self._forget(subscription, SubscribeRefused(error.code, error.reason))
        elif error.sequence is not None:
            self._outbox.fail(error)
        else:
            raise BrokerError(error.code, error.reason, retry_ms=error.retry_ms)

    def _on_subscribe_ack(self, ack: frames.SubscribeAck) -> None:
        subscription = self._requests.pop(ack.request, None)
        if subscription is not None:
            self._set_handle(subscription, ack.handle)

    def _on_unsubscribe_ack(self, ack: frames.UnsubscribeAck) -> None:
        subscription = self._requests.pop(ack.request, None)
        if subscription is not None:
            self._forget(subscription, Closed(f"unsubscribed from {ack.filter!r}"))

    def _on_subscription_ended(self, ended: frames.SubscriptionEnded) -> None:
        subscription = self._handles.get(ended.handle)
        if subscription is not None:
            subscription.lost += ended.lost
            self._forget(subscription, SubscriptionEnded(ended.code, ended.reason, ended.lost))

    def _on_resubscribe(self, resubscribe: frames.Resubscribe) -> None:
        subscription = self._handles.pop(resubscribe.handle, None)
        if subscription is not None:
            _log.warning("%r has failed at the broker, with %s messages", resubscribe.filter, resubscribe.lost)
            subscription.lost += resubscribe.lost
            self._set_handle(subscription, None)
            self._ask(subscription)

    def _on_displaced(self, _: frames.Displaced) -> None:
        raise Displaced("another connection has resumed this session")

    def _on_evicted(self, evicted: frames.Evicted) -> None:
        raise Evicted(evicted.reason)

    # Common parts. All of these hold the lock.

    def _send(self, frame: frames.Frame) -> bool:
        if self._connection is None or self._is_leaving:
            return False
        self._connection.send(frame.encode())
        return True

    def _new_subscription(self, filter: str, ack_timeout_ms: int | None) -> Subscription:
        subscription = Subscription(filter, ack_timeout_ms, Inbox(self._is_explicit), self._lock, self._send)
        self._subscriptions[filter] = subscription
        return subscription

    def _ask(self, subscription: Subscription) -> None:
        """Ask for what the subscription wants to become. Without a connection: asked on the next one."""
        self._last_request = self._last_request % 0xFFFF_FFFF + 1
        number, filter = self._last_request, subscription.filter
        request: frames.Frame = frames.SubscribeRequest(number, filter, subscription.ack_timeout_ms)
        if subscription._leaving:
            request = frames.UnsubscribeRequest(number, filter)
        self._requests[number] = subscription
        self._send(request)

    def _set_handle(self, subscription: Subscription, handle: int | None) -> None:
        subscription._attach(handle)
        if handle is not None:
            self._handles[handle] = subscription
        self._changed.notify_all()

    def _is_being_given_up(self, filter: str) -> bool:
        subscription = self._subscriptions.get(filter)
        return subscription is not None and subscription._leaving and subscription.ended is None

    def _forget(self, subscription: Subscription, reason: CordboardError) -> None:
        self._subscriptions.pop(subscription.filter, None)
        self._handles.pop(subscription._handle or 0, None)
        subscription._end(reason)
        self._changed.notify_all()

    def _wait(self, so: Callable[[], object], timeout: float | None, missing: str) -> None:
        if so():
            return
        if threading.current_thread() is getattr(self, "_thread", None):
            raise RuntimeError(f"{missing}, and a callback on the client's own thread must not wait for it")
        if not self._changed.wait_for(so, timeout):
            raise TimeoutError(f"{missing} after {timeout} s")

    def _raise_if_over(self) -> None:
        if self.ending is not None:
            raise self.ending
        if self._is_leaving:
            raise Closed("the client is being closed")


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _refusal(error: frames.Error) -> RegistrationRefused:
    versions = error.versions or ()
    return RegistrationRefused(
        error.code, error.reason, at_ms=error.at_ms, retry_ms=error.retry_ms, versions=versions
    )


def _asked(ending: CordboardError) -> float:
    """Seconds that the broker has asked to be left alone for."""
    return ending.retry_after or 0.0 if isinstance(ending, BrokerError) else 0.0


def _back_off() -> Iterator[float]:
    """Seconds to wait before each attempt: longer each time, and never the same for any two clients."""
    longest = 0.1
    while True:
        yield longest * random.uniform(0.5, 1.0)
        longest = min(2 * longest, 10.0)
