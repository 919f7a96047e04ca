"""Functions that only a call through the admin API starts: they are given its text."""

from __future__ import annotations

from typing import Final

from bindings.binding_type import BindingType, Trigger
from emulator.host.binding_api import BindingSpec, Services


def _decode(value: object, annotation: object) -> object:
    return value.encode() if annotation is bytes and isinstance(value, str) else value


async def _by_hand(spec: BindingSpec, text: str | None, services: Services) -> str | None:
    return text


MANUAL_TRIGGER: Final = BindingType(
    name="manualTrigger", trigger=Trigger(decode=_decode, by_hand=_by_hand)
)
