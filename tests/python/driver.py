"""Does with the Python client what it is told on standard input, a line a deed, and answers each with one line."""

from __future__ import annotations

import shlex
import sys
from concurrent.futures import Future
from typing import Any

from cordboard import Client, CordboardError, Message, PublishFailed, RegistrationRefused, Subscription

#: Seconds that anything may take before it is called missing. Never waited out by a test that passes.
PATIENCE = 100.0


class Driver:
    """A client, its latest subscription, what it has taken, and the publishes nobody has asked about."""

    client: Client
    subscription: Subscription

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.outcomes: list[Future[None]] = []

    def connect(self, port: str, *options: str) -> str:
        """New or resumed, and the session; or that, and when, it makes sense to try again."""
        named: dict[str, Any] = dict(option.split("=", 1) for option in options)
        try:
            self.client = Client("127.0.0.1", int(port), timeout=PATIENCE, **named)
        except RegistrationRefused as refused:
            if refused.retry_after is None:
                raise
            return f"{refused.code} for {refused.retry_after:g} s"
        return f"{'resumed' if self.client.resumed else 'new'} {self.client.session}"

    def subscribe(self, filter: str) -> str:
        self.subscription = self.client.subscribe(filter, timeout=PATIENCE)
        return self.subscription.filter

    def publish(self, topic: str, payload: str, *headers: str) -> str:
        named = dict(header.split("=", 1) for header in headers)
        self.outcomes.append(self.client.publish(topic, payload.encode(), named, timeout=PATIENCE))
        return topic

    def stream(self, topic: str, count: str) -> str:
        """Publishes the numbers below `count`."""
        for number in range(int(count)):
            self.publish(topic, str(number))
        return self.settle()

    def settle(self) -> str:
        """The outcomes of all publishes since it was last asked: how many of each kind, in order."""
        told: list[list[object]] = []
        for outcome in self.outcomes:
            failure = outcome.exception(PATIENCE)
            kind = failure.code if isinstance(failure, PublishFailed) else "ok"
            if not told or told[-1][1] != kind:
                told.append([0, kind])
            told[-1][0] += 1  # type: ignore[operator]
        self.outcomes.clear()
        return ", ".join(f"{count} {kind}" for count, kind in told)

    def flush(self) -> str:
        self.client.flush(PATIENCE)
        return "flushed"

    def take(self) -> str:
        """The next message: its number, topic, payload, marks and headers."""
        message = self.subscription.get(PATIENCE)
        self.taken.append(message)
        said = [str(message.number), message.topic, message.payload.decode()]
        said += [mark for mark in ("redelivered", "repeat") if getattr(message, mark)]
        return " ".join(said + [f"{key}={value}" for key, value in message.headers.items()])

    def drain(self, count: str) -> str:
        """Takes so many messages and acknowledges each; whether they were new, and numbers that count from 0."""
        for number in range(int(count)):
            message = self.subscription.get(PATIENCE)
            while message.repeat:
                message = self.subscription.get(PATIENCE)
            if int(message.payload) != number:
                return f"{message} is not {number}"
            message.ack()
        return "in order"

    def ack(self, number: str) -> str:
        return str(self.find(number).ack())

    def again(self, number: str) -> str:
        return str(self.find(number).again())

    def poison(self, number: str) -> str:
        return str(self.find(number).poison())

    def find(self, number: str) -> Message:
        """The latest copy of that message."""
        return next(message for message in reversed(self.taken) if message.number == int(number))

    def ending(self) -> str:
        """Waits until the client has given up, and says why."""
        self.client._thread.join(PATIENCE)
        return f"{type(self.client.ending).__name__} {self.client.ending}"

    def close(self) -> str:
        self.client.close()
        return self.ending()

    def detach(self) -> str:
        self.client.detach()
        return self.ending()


def main() -> None:
    driver = Driver()
    for line in sys.stdin:
        deed, *words = shlex.split(line)
        try:
            answer = getattr(driver, deed)(*words)
        except (CordboardError, OSError, ValueError) as error:
            answer = f"{type(error).__name__} {error}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
