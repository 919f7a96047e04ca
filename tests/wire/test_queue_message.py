from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given

from emulator.errors import DecodeError
from emulator.wire.queue_message import (
    Envelope,
    Wrapper,
    decode_message,
    encode_envelope,
    encode_wrapper,
)
from tests import vectors
from tests.strategies import envelopes


def encode(message: Envelope | Wrapper) -> str:
    return encode_wrapper(message) if isinstance(message, Wrapper) else encode_envelope(message)


@pytest.mark.parametrize("scenario", vectors.storage_scenarios())
def test_every_recorded_message_is_encoded_as_it_was(scenario: str) -> None:
    texts = vectors.queue_texts(scenario)
    assert texts
    for text in texts:
        assert encode(decode_message(text)) == text


@pytest.mark.parametrize("scenario", [s for s in vectors.oop_scenarios() if s != "client_binding"])
def test_every_message_of_an_out_of_process_app_is_encoded_as_it_was(scenario: str) -> None:
    for message in vectors.oop(scenario)["queueMessages"]:
        assert encode(decode_message(message["messageText"])) == message["messageText"]


def test_messages_in_blobs_are_encoded_as_they_were() -> None:
    for name, text in vectors.packed_payloads().items():
        if "/message-" in name:
            assert encode(decode_message(text)) == text


@given(envelopes())
def test_what_is_written_is_read_again(envelope: Envelope) -> None:
    assert decode_message(encode_envelope(envelope)) == envelope


@given(envelopes())
def test_base64_is_read_as_well(envelope: Envelope) -> None:
    assert decode_message(base64.b64encode(encode_envelope(envelope).encode()).decode()) == envelope


@given(envelopes())
def test_what_is_written_is_json(envelope: Envelope) -> None:
    assert json.loads(encode_envelope(envelope))["ActivityId"] == envelope.activity_id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "neither JSON nor Base64"),
        ("{", "no JSON"),
        ("W10=", "no JSON object"),
        ("{}", "no TaskMessage"),
        ('{"TaskMessage":{}}', "no Event"),
        ('{"TaskMessage":{"Event":{"$type":"Nope"}}}', "'Nope' is unknown"),
        (
            '{"TaskMessage":{"Event":{"$type":"DurableTask.Core.History.TimerFiredEvent"}}}',
            "timestamp",
        ),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        decode_message(text)
