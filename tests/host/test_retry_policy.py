from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bindings.registry import Registry
from emulator.errors import ConfigError
from emulator.host.binding_api import InvocationResult, UserFunctionError
from emulator.host.invoker import Invoker
from emulator.host.retry_policy import read_policy
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.functions import binding, function, services

V2_FIXED = {
    "setting_name": "retry_policy",
    "strategy": "fixed_delay",
    "max_retry_count": "3",
    "delay_interval": "00:00:05",
}
V1_GROWING = {
    "strategy": "exponentialBackoff",
    "maxretrycount": "-1",
    "minimuminterval": "00:00:04",
    "maximuminterval": "00:00:30",
}


def test_a_fixed_delay_stays_the_same() -> None:
    policy = read_policy(V2_FIXED, "here")
    assert policy is not None
    assert {policy.delay(n, 1.2) for n in range(3)} == {timedelta(seconds=5)}
    assert [policy.allows(n) for n in range(5)] == [True, True, True, False, False]


def test_a_growing_delay_doubles_up_to_its_longest() -> None:
    policy = read_policy(V1_GROWING, "here")
    assert policy is not None
    assert [policy.delay(n, 1.0).total_seconds() for n in range(5)] == [4, 8, 16, 30, 30]
    assert policy.delay(0, 0.8) == timedelta(seconds=4), "never below the shortest"
    assert policy.delay(1, 1.2).total_seconds() == pytest.approx(9.6)
    assert policy.allows(10**9)
    assert policy.delay(10**9, 1.0) == timedelta(seconds=30)


WRONG = [
    ({"strategy": "linear"}, "the retry strategy is 'linear'; use fixed_delay"),
    ({"delay_interval": "5"}, r"delay_interval \(delayInterval\) is '5'"),
    ({"max_retry_count": "many"}, "is 'many'; write a whole number, or -1"),
    ({"max_retry_count": "-2"}, "is '-2'"),
    (
        {
            "strategy": "exponential_backoff",
            "minimum_interval": "00:01:00",
            "maximum_interval": "00:00:01",
        },
        "maximum interval is below its minimum",
    ),
]


@pytest.mark.parametrize(("changes", "why"), WRONG)
def test_a_wrong_policy_is_a_fault_of_the_function(changes: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=f"here: .*{why}"):
        read_policy({**V2_FIXED, **changes}, "here")


class Flaky:
    """Fails a number of times; keeps what it was told each time, and when."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.seen: list[tuple[int, int, str | None]] = []
        self.invocations: set[str] = set()
        self.times: list[float] = []

    async def __call__(self, value: object, context: Any) -> str:
        retry = context.retry_context
        error = retry.exception.message if retry.exception else None
        self.seen.append((retry.retry_count, retry.max_retry_count, error))
        self.invocations.add(context.invocation_id)
        self.times.append(asyncio.get_running_loop().time())
        if len(self.seen) <= self.failures:
            raise ValueError(f"number {len(self.seen)}")
        return "done"


def invoked(flaky: Flaky, declared: dict[str, str] | None) -> InvocationResult:
    async def main() -> InvocationResult:
        clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
        work = function(
            binding("manualTrigger"),
            callable=flaky,
            is_async=True,
            wants_context=True,
            retry=read_policy(declared, "here"),
        )
        given = services(MemoryStorage(clock, ids))
        invoker = Invoker(Registry(), given, ids=ids, clock=clock, threads=1, time_limit=None)
        try:
            return await invoker.invoke(work, "x")
        finally:
            invoker.close()

    return run_virtually(main())


def test_a_function_that_fails_is_called_again_as_a_new_invocation() -> None:
    flaky = Flaky(2)
    assert invoked(flaky, V2_FIXED).returned == "done"
    assert flaky.seen == [
        (0, 3, None),
        (1, 3, "ValueError: number 1"),
        (2, 3, "ValueError: number 2"),
    ]
    assert len(flaky.invocations) == 3
    assert flaky.times == pytest.approx([0, 5, 10])


def test_when_the_retries_are_used_up_the_last_failure_counts() -> None:
    flaky = Flaky(9)
    with pytest.raises(UserFunctionError, match="number 4"):
        invoked(flaky, V2_FIXED)
    assert len(flaky.seen) == 4


def test_without_a_policy_nothing_is_tried_again() -> None:
    flaky = Flaky(1)
    with pytest.raises(UserFunctionError, match="number 1"):
        invoked(flaky, None)
    assert flaky.seen == [(0, 0, None)]
