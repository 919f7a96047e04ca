"""Control queues that are read, and whose sessions nobody works on."""

from __future__ import annotations

from collections.abc import Callable

from emulator.engine.clock import Clock, IdSource
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.hub.task_hub import TaskHub


def idle_loops(
    hub: TaskHub, *, clock: Clock, ids: IdSource, outage: Outage
) -> Callable[[int], PartitionLoop]:
    """What makes the loop of a partition, for a manager or its parts."""
    return lambda index: PartitionLoop(
        index,
        hub.control_queues[index],
        hub.settings,
        lambda _loop, _session: None,
        clock=clock,
        ids=ids,
        outage=outage,
        sessions_max=1,
    )
