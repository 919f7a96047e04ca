"""What becomes of what an activity returns: its stored text, or a failure of the very invocation."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bindings.activity_trigger import Activities
from bindings.registry import Registry
from emulator.core.calls import ActivityCall, ActivityCompleted, ActivityFailed
from emulator.core.ids import InstanceId
from emulator.host.invoker import Invoker
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.functions import binding, function, services


def answer_to(returned: object) -> ActivityCompleted | ActivityFailed:
    """The answer of an activity that returns this."""

    async def work(value: object) -> object:
        return returned

    async def main() -> ActivityCompleted | ActivityFailed:
        clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
        given = services(MemoryStorage(clock, ids))
        invoker = Invoker(Registry(), given, ids=ids, clock=clock, threads=1, time_limit=None)
        trigger = binding("activityTrigger")
        activities = Activities(
            {"work": function(trigger, callable=work, is_async=True)}, invoker, {}
        )
        try:
            return await activities.run(
                ActivityCall(name="work", instance_id=InstanceId("i"), task_id=0, input="[5]")
            )
        finally:
            invoker.close()

    return run_virtually(main())


@pytest.mark.parametrize(
    ("returned", "stored"), [({"a": [1, "b"]}, '{"a":[1,"b"]}'), ("text", '"text"'), (None, None)]
)
def test_what_is_returned_is_stored_as_json(returned: object, stored: str | None) -> None:
    assert answer_to(returned) == ActivityCompleted(result=stored)


@pytest.mark.parametrize("returned", [b"bytes", {1, 2}, ValueError("no")])
def test_what_is_no_json_fails_the_invocation_and_not_only_its_caller(
    caplog: pytest.LogCaptureFixture, returned: object
) -> None:
    """As on Azure, where the worker encodes what is returned before it answers the host."""
    with caplog.at_level(logging.INFO):
        answer = answer_to(returned)
    text = f"ValueError: activity trigger output must be json serializable ({returned})"
    assert isinstance(answer, ActivityFailed)
    assert answer.reason == f"Activity function 'work' failed:  {text}"
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("Executing 'Functions.work'")
    assert second.startswith("Executed 'Functions.work' (Failed, ")
    assert text in second
