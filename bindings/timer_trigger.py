"""What a timer's function is told. Source: reference functions-host.md 4.3; azure.functions.timer."""

from __future__ import annotations

from typing import Any, Final, cast

from bindings.binding_type import BindingType, Trigger
from bindings.converters import converter, datum
from emulator.core.instant import Instant
from emulator.core.json_text import compact
from emulator.core.schedule import ScheduleError, parse_schedule
from emulator.errors import ConfigError
from emulator.host.binding_api import BindingSpec, Services
from emulator.host.trigger_values import TimerTick


def offset_text(moment: Instant) -> str:
    """A DateTimeOffset in JSON: `2026-11-24T12:00:00+00:00`, with its fraction if there is one."""
    return moment.text().replace("Z", "+00:00")


def tick_json(tick: TimerTick) -> str:
    """The timer's value as the worker receives it."""
    status = tick.status
    return compact(
        {
            "Schedule": {"AdjustForDST": tick.adjusts_for_dst},
            "ScheduleStatus": None
            if status is None
            else {
                "Last": offset_text(status.last),
                "Next": offset_text(status.next),
                "LastUpdated": offset_text(status.last_updated),
            },
            "IsPastDue": tick.past_due,
        }
    )


def _decode(value: object, annotation: object) -> Any:  # noqa: ANN401 - azure.functions.TimerRequest
    text = tick_json(cast(TimerTick, value))
    if annotation is str:
        return text
    return converter("timerTrigger").decode(datum(text, "json"), trigger_metadata=None)


async def _by_hand(spec: BindingSpec, text: str | None, services: Services) -> TimerTick:
    """The text does not matter."""
    schedule = parse_schedule(spec.text("schedule") or "")
    return TimerTick(past_due=False, adjusts_for_dst=schedule.adjusts_for_dst, status=None)


def _check(spec: BindingSpec) -> None:
    try:
        parse_schedule(spec.text("schedule") or "")
    except ScheduleError as error:
        raise ConfigError(str(error)) from error


TIMER_TRIGGER: Final = BindingType(
    name="timerTrigger", trigger=Trigger(decode=_decode, by_hand=_by_hand), check=_check
)
