"""A client for the Cordboard message broker. Standard library only.

from cordboard import Client

with Client("127.0.0.1", name="till-7") as client:
    client.publish("orders/eu", b"one pear").result()

with Client("127.0.0.1", name="billing") as client:
    for message in client.subscribe("orders/#"):
        print(message.topic, message.payload)
        message.ack()
"""

import logging

from .client import Client
from .errors import (
    BrokerError,
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
)
from .subscription import Message, Subscription

__all__ = [
    "BrokerError",
    "Client",
    "Closed",
    "ConnectionLost",
    "CordboardError",
    "Displaced",
    "Evicted",
    "Message",
    "ProtocolError",
    "PublishFailed",
    "RegistrationRefused",
    "SubscribeRefused",
    "Subscription",
    "SubscriptionEnded",
    "Unreachable",
]

__version__ = "0.1.0"

# What happens to connections is logged for who wants to know, and printed for nobody who does not.
logging.getLogger("cordboard").addHandler(logging.NullHandler())
