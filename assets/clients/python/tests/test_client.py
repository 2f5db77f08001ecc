"""The client against a broker that the test plays: what the page asks of it when things go wrong."""

from __future__ import annotations

import socket
import threading
import unittest
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, TypeVar
from unittest import mock

from cordboard import (
    BrokerError,
    Client,
    Closed,
    ConnectionLost,
    CordboardError,
    Displaced,
    Evicted,
    ProtocolError,
    PublishFailed,
    RegistrationRefused,
    SubscribeRefused,
    SubscriptionEnded,
    Unreachable,
    frames,
)
from cordboard.connection import KeepAlive

from .broker import PATIENCE, SESSION, Broker, Line, response

_T = TypeVar("_T")


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.broker = Broker()
        self.addCleanup(self.broker.close)
        self.pool = ThreadPoolExecutor()
        self.addCleanup(self.pool.shutdown)

    def meanwhile(self, deed: Callable[..., _T], *arguments: Any, **named: Any) -> Future[_T]:
        return self.pool.submit(deed, *arguments, **named)

    def connect(self, **options: Any) -> Future[Client]:
        return self.meanwhile(Client, port=self.broker.port, timeout=PATIENCE, **options)

    def connected(self, **granted: Any) -> tuple[Client, Line]:
        client = self.connect()
        line = self.broker.accept()
        line.register(**granted)
        made = client.result(PATIENCE)
        # Whatever a test leaves behind is ended by the broker's word.
        self.addCleanup(self.let_go, made)
        return made, line

    def let_go(self, client: Client) -> None:
        with client._lock:
            client._is_leaving = True
            client._changed.notify_all()
        client._break_off()
        self.wait_for_end(client)

    def wait_for_end(self, client: Client) -> Any:
        client._thread.join(PATIENCE)
        return client.ending

    def subscribed(self, client: Client, line: Line, filter: str, handle: int) -> Any:
        subscription = self.meanwhile(client.subscribe, filter)
        self.grant(line, filter, handle)
        return subscription.result(PATIENCE)

    def grant(self, line: Line, filter: str, handle: int) -> None:
        request = line.expect(frames.SubscribeRequest)
        self.assertEqual(request.filter, filter)
        line.send(frames.SubscribeAck(request.request, filter, handle, 30_000, False))

    def again(self, line: Line, **granted: Any) -> tuple[frames.RegistrationRequest, Line]:
        """The connection is lost, and the client comes back."""
        line.close()
        line = self.broker.accept()
        return line.register(**granted), line


class Registering(ClientTest):
    def test_a_broker_that_is_not_there_is_told_with_what_would_work(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        for kind in (Unreachable, CordboardError, ConnectionError):
            with self.assertRaises(kind) as raised:
                Client("127.0.0.1", port)
        said = str(raised.exception)
        self.assertTrue(said.startswith(f"cannot connect to 127.0.0.1:{port}: "), said)
        self.assertIn('Start one with "cordboard serve", or name another with host and port', said)
        self.assertIsInstance(raised.exception.__cause__, ConnectionRefusedError)

    def test_a_session_that_is_gone_is_replaced_on_the_same_connection(self) -> None:
        for code in (404, 410):
            client = self.connect(
                session="0" * 32, name="till-7", user="ada", password="cord", keep_alive=5, reclaim=60.5
            )
            line = self.broker.accept()
            request = line.expect(frames.RegistrationRequest)
            self.assertEqual((request.session, request.settled), ("0" * 32, 0))
            self.assertEqual((request.name, request.user, request.password), ("till-7", "ada", "cord"))
            self.assertEqual((request.keep_alive_ms, request.reclaim_ms, request.ack), (5_000, 60_500, "explicit"))
            line.send(frames.Error(code, "gone", at_ms=1))
            self.assertIsNone(line.register().session)
            made = client.result(PATIENCE)
            self.assertEqual((made.session, made.resumed), (SESSION, False))
            line.close()
            self.let_go(made)

    def test_a_refusal_is_raised_with_what_the_broker_says(self) -> None:
        client = self.connect()
        line = self.broker.accept()
        line.expect(frames.RegistrationRequest)
        line.send(frames.Error(505, "no version in common", versions=(2, 3)))
        refused = client.exception(PATIENCE)
        assert isinstance(refused, RegistrationRefused)
        self.assertEqual((refused.code, refused.versions), (505, (2, 3)))

    def test_whoever_is_no_broker_is_noticed(self) -> None:
        client = self.connect()
        line = self.broker.accept()
        line.expect(frames.RegistrationRequest)
        line._socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertIsInstance(client.exception(PATIENCE), ProtocolError)

    def test_what_comes_with_the_response_is_not_lost(self) -> None:
        client = self.connect()
        line = self.broker.accept()
        line.expect(frames.RegistrationRequest)
        record = (frames.Record(b"waited"),)
        surviving = (frames.Surviving("t", 4),)
        line.send(response(resumed=False, subscriptions=surviving), frames.Deliver(4, 7, 0, "t", record))
        made = client.result(PATIENCE)
        self.assertEqual(made.subscribe("t").get(PATIENCE).payload, b"waited")
        line.close()
        self.let_go(made)


class Losing(ClientTest):
    def test_publishes_that_are_not_settled_are_sent_again_with_their_sequences(self) -> None:
        client, line = self.connected()
        outcomes = [client.publish("t", str(number).encode()) for number in range(1, 5)]
        sent = [line.expect(frames.Publish) for _ in range(4)]
        line.send(frames.PublishAck(1))
        outcomes[0].result(PATIENCE)
        request, line = self.again(line, settled=2)
        self.assertEqual((request.session, request.settled), (SESSION, 1))
        self.assertEqual([line.expect(frames.Publish) for _ in range(2)], sent[2:])
        client.publish("t", b"5")
        self.assertEqual(line.expect(frames.Publish).sequence, 5)
        line.send(frames.Error(507, "full", sequence=4), frames.PublishAck(5))
        client.flush(PATIENCE)
        self.assertEqual(
            [isinstance(outcome.exception(0), PublishFailed) for outcome in outcomes], [False] * 3 + [True]
        )

    def test_a_new_session_makes_open_outcomes_unknown_and_subscribes_again(self) -> None:
        client, line = self.connected()
        subscription = self.subscribed(client, line, "t/#", 1)
        outcome = client.publish("t", b"")
        line.expect(frames.Publish)
        line.close()
        line = self.broker.accept()
        line.expect(frames.RegistrationRequest)
        line.send(frames.Error(404, "no such session"))
        self.assertIsNone(line.register().session)
        failure = outcome.exception(PATIENCE)
        assert isinstance(failure, PublishFailed)
        self.assertEqual(failure.code, 503)
        self.grant(line, "t/#", 1)
        line.send(frames.Deliver(1, 1, 0, "t", (frames.Record(b"new"),)))
        self.assertEqual(subscription.get(PATIENCE).payload, b"new")
        client.publish("t", b"")
        self.assertEqual(line.expect(frames.Publish).sequence, 1)

    def test_what_was_settled_while_away_is_told_and_what_is_not_listed_is_asked_for(self) -> None:
        client, line = self.connected()
        kept, gone = self.subscribed(client, line, "kept", 1), self.subscribed(client, line, "gone", 2)
        line.send(frames.Deliver(1, 1, 0, "kept", (frames.Record(b"a"), frames.Record(b"b"))))
        first = kept.get(PATIENCE)
        first.ack()
        self.assertEqual(line.expect(frames.DeliverAck), frames.DeliverAck(1, 1))
        _, line = self.again(line, subscriptions=(frames.Surviving("kept", 1),))
        self.assertEqual(line.expect(frames.DeliverAck), frames.DeliverAck(1, 1))
        self.grant(line, "gone", 3)
        line.send(frames.Deliver(1, 1, 0, "kept", (frames.Record(b"a"), frames.Record(b"b")), redelivered=True))
        line.send(frames.Deliver(3, 1, 0, "gone", (frames.Record(b"c"),)))
        self.assertEqual(gone.get(PATIENCE).payload, b"c")
        message = kept.get(PATIENCE)
        self.assertEqual((message.payload, message.repeat), (b"b", False))

    def test_silence_is_broken_and_noticed(self) -> None:
        client, line = self.connected(keep_alive_ms=300)
        line.expect(frames.Ping)
        line.send(frames.Pong(0))
        line.expect(frames.Ping)
        # Nothing is said from here on, and the connection stays open.
        back = self.broker.accept()
        self.assertEqual(back.register().session, SESSION)

    def test_a_ping_is_answered(self) -> None:
        _, line = self.connected()
        line.send(frames.Ping(7))
        self.assertEqual(line.expect(frames.Pong), frames.Pong(7))

    def test_an_error_of_the_broker_is_a_lost_connection(self) -> None:
        for code in (408, 500, 503, 599):
            client, line = self.connected()
            line.send(frames.Error(code, "later"))
            request, line = self.again(line)
            self.assertEqual(request.session, SESSION)
            line.close()
            self.let_go(client)

    def test_a_client_that_does_not_reconnect_says_so(self) -> None:
        client = self.connect(reconnect=False)
        line = self.broker.accept()
        line.register()
        made = client.result(PATIENCE)
        outcome = made.publish("t", b"")
        line.close()
        self.assertIsInstance(self.wait_for_end(made), ConnectionLost)
        self.assertIsInstance(outcome.exception(PATIENCE), PublishFailed)
        with self.assertRaises(ConnectionLost):
            made.publish("t", b"")


    def test_it_does_not_come_back_before_it_was_asked_to(self) -> None:
        client, line = self.connected()
        asked: list[float] = []
        with mock.patch.object(client, "_pause", asked.append):
            line.send(frames.Error(503, "too many connections are registering", retry_ms=60_000))
            line = self.broker.accept()
            line.expect(frames.RegistrationRequest)
            line.send(frames.Error(429, "taken over too often", retry_ms=300_000))
            line = self.broker.accept()
            line.expect(frames.RegistrationRequest)
            line.close()
            self.broker.accept().register()
        self.assertEqual(asked[:2], [60.0, 300.0])
        self.assertLess(asked[2], 1.0, "what was asked for once is not waited for twice")

    def test_a_refusal_says_when_to_come_again(self) -> None:
        client = self.connect()
        line = self.broker.accept()
        line.expect(frames.RegistrationRequest)
        line.send(frames.Error(429, "too many new connections", retry_ms=1_500))
        refused = client.exception(PATIENCE)
        assert isinstance(refused, RegistrationRefused)
        self.assertEqual(refused.retry_after, 1.5)


class SentAway(ClientTest):
    def test_what_somebody_has_decided_ends_the_client(self) -> None:
        for last, kind in (
            (frames.Displaced(), Displaced),
            (frames.Evicted("go"), Evicted),
            (frames.Error(400, "malformed"), BrokerError),
            (frames.Error(413, "too large"), BrokerError),
        ):
            client, line = self.connected()
            subscription = self.subscribed(client, line, "t", 1)
            line.send(last)
            self.assertIsInstance(self.wait_for_end(client), kind)
            with self.assertRaises(kind):
                subscription.get(PATIENCE)
            with self.assertRaises(kind):
                client.subscribe("u")

    def test_a_refusal_to_come_back_that_stays_ends_the_client(self) -> None:
        client, line = self.connected()
        line.close()
        line = self.broker.accept()
        line.expect(frames.RegistrationRequest)
        line.send(frames.Error(401, "unknown user or wrong password"))
        ending = self.wait_for_end(client)
        self.assertIsInstance(ending, RegistrationRefused)


class Subscribing(ClientTest):
    def test_resubscribe_is_followed_and_an_ended_subscription_is_not(self) -> None:
        client, line = self.connected()
        failed, killed = self.subscribed(client, line, "failed", 1), self.subscribed(client, line, "killed", 2)
        line.send(
            frames.SubscriptionEnded("killed", 2, 410, "the topic was killed", 12), frames.Resubscribe("failed", 1, 3)
        )
        self.grant(line, "failed", 5)
        line.send(frames.Deliver(5, 1, 0, "failed", (frames.Record(b"x"),)))
        self.assertEqual(failed.get(PATIENCE).payload, b"x")
        with self.assertRaises(SubscriptionEnded):
            killed.get(PATIENCE)
        self.assertEqual((failed.lost, killed.lost), (3, 12))
        # It is asked for when the program asks, and only then.
        self.assertIsNot(self.subscribed(client, line, "killed", 6), killed)

    def test_a_refused_filter_is_an_error_of_its_own(self) -> None:
        client, line = self.connected()
        subscription = self.meanwhile(client.subscribe, "secret/#")
        request = line.expect(frames.SubscribeRequest)
        line.send(frames.Error(403, "no right to this", request=request.request))
        self.assertIsInstance(subscription.exception(PATIENCE), SubscribeRefused)
        client.publish("t", b"")
        self.assertEqual(line.expect(frames.Publish).sequence, 1)

    def test_a_request_outlives_its_connection(self) -> None:
        client, line = self.connected()
        subscription = self.meanwhile(client.subscribe, "t")
        line.expect(frames.SubscribeRequest)
        _, line = self.again(line)
        self.grant(line, "t", 1)
        given_up = self.meanwhile(client.unsubscribe, subscription.result(PATIENCE))
        line.expect(frames.UnsubscribeRequest)
        _, line = self.again(line, subscriptions=(frames.Surviving("t", 1),))
        request = line.expect(frames.UnsubscribeRequest)
        line.send(frames.UnsubscribeAck(request.request, "t", True))
        given_up.result(PATIENCE)
        with self.assertRaises(Closed):
            subscription.result().get(PATIENCE)


class Leaving(ClientTest):
    def test_what_is_settled_before_the_end_is_told(self) -> None:
        for end in (True, False):
            client, line = self.connected()
            settled, open_ = client.publish("t", b"1"), client.publish("t", b"2")
            left = self.meanwhile(client.close if end else client.detach)
            line.expect(frames.Publish)
            line.expect(frames.Publish)
            self.assertEqual(bool(line.expect(frames.Disconnect).end), end)
            line.send(frames.PublishAck(1))
            line.close()
            left.result(PATIENCE)
            self.assertIsNone(settled.exception(0))
            self.assertIsInstance(open_.exception(0), PublishFailed)
            self.assertIsInstance(client.ending, Closed)

    def test_a_reader_ends_quietly_when_its_client_is_closed(self) -> None:
        client, line = self.connected()
        subscription = self.subscribed(client, line, "t", 1)
        read = self.meanwhile(lambda: [message.payload for message in subscription])
        line.send(frames.Deliver(1, 1, 0, "t", (frames.Record(b"x"),)))
        left = self.meanwhile(client.close)
        line.expect(frames.Disconnect)
        line.close()
        left.result(PATIENCE)
        self.assertEqual(read.result(PATIENCE), [b"x"])

    def test_leaving_does_not_wait_for_a_broker_that_is_away(self) -> None:
        client, line = self.connected()
        self.broker.close()
        line.close()
        client.close()
        self.assertIsInstance(client.ending, Closed)

    def test_a_flush_waits_for_what_was_published_before_it(self) -> None:
        client, line = self.connected()
        client.publish("t", b"1")
        client.publish("t", b"2")
        waits, wait_for = threading.Event(), client._changed.wait_for
        client._changed.wait_for = lambda *it: waits.set() or wait_for(*it)
        flush = self.meanwhile(client.flush, PATIENCE)
        for _ in range(2):
            line.expect(frames.Publish)
        self.assertTrue(waits.wait(PATIENCE))
        later = client.publish("t", b"3")
        line.send(frames.PublishAck(2))
        flush.result(PATIENCE)
        self.assertFalse(later.done())

    def test_a_flush_does_not_wait_for_ever(self) -> None:
        client, line = self.connected()
        client._timeout = 0.01
        outcome = client.publish("t", b"x")
        with self.assertRaises(TimeoutError):
            client.flush()
        with self.assertRaises(TimeoutError):
            client.flush(0)
        self.assertFalse(outcome.done(), "it is still on its way")
        # Its session is left to be resumed, and nothing of the client behind.
        with self.assertRaises(TimeoutError), client:
            pass
        self.assertIsInstance(self.wait_for_end(client), Closed)
        line.expect(frames.Publish)
        self.assertFalse(line.expect(frames.Disconnect).end)

    def test_credit_is_waited_for(self) -> None:
        client, line = self.connected(credit_messages=1)
        client.publish("t", b"1")
        with self.assertRaises(TimeoutError):
            client.publish("t", b"2", timeout=0)
        later = self.meanwhile(client.publish, "t", b"3")
        line.expect(frames.Publish)
        line.send(frames.PublishAck(1))
        later.result(PATIENCE)
        self.assertEqual(line.expect(frames.Publish).payload, b"3")


class Silence(unittest.TestCase):
    def test_the_clock_of_a_connection(self) -> None:
        clock = KeepAlive(30.0, 0.0)
        self.assertEqual(clock.wait(4.0), 6.0)
        clock.heard(8.0)
        self.assertEqual(clock.wait(10.0), 0.0, "to hear is not to say")
        clock.said(9.0)
        self.assertEqual(clock.wait(10.0), 8.0)
        clock.asked(18.0)
        self.assertEqual((clock.wait(20.0), clock.is_lost(47.9), clock.is_lost(48.0)), (28.0, False, True))
        clock.heard(47.9)
        self.assertFalse(clock.is_lost(1_000.0))


if __name__ == "__main__":
    unittest.main()
