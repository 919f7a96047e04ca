from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulator.commands.diagnosis import Facts, Level, diagnose
from emulator.hub.census import QueueState
from emulator.hub.soundness import Unreadable

SOUND = Facts(
    python=(3, 12, 1),
    packages={"azure-functions": "1.26.0", "azure-functions-durable": "1.7.0"},
    node="24.0.0",
    azurite="3.37.0",
    ports={"host": (7071, False)},
    app="app",
    app_functions=3,
    worker_runtime="python",
    requirements="azure-functions\nazure_functions_durable>=1.2\n",
    store="embedded store",
    hub="Hub",
    hubs=("Hub",),
    workers=("worker-1",),
)
QUEUE = QueueState(
    name="hub-control-00", visible=1, hidden=0, unreadable=(), oldest=None, dequeue_count_max=0
)


def test_a_sound_machine_has_no_findings():
    assert [check for check in diagnose(SOUND) if check.level is not Level.OK] == []


@pytest.mark.parametrize(
    ("changes", "level", "words", "cure"),
    [
        ({"python": (3, 15, 0)}, "warning", "Python 3.15.0 is not one", "Python 3.12"),
        ({"packages": {"azure-functions-durable": None}}, "error", "not installed", "pip install"),
        ({"packages": {"azure-functions-durable": "2.0.0"}}, "error", "another protocol", "<2"),
        ({"node": None, "node_problem": "no Node"}, "warning", "no Node", "azurite]"),
        (
            {"node": None, "node_problem": "no Node", "needs_azurite": True},
            "error",
            "no Node",
            "azurite]",
        ),
        ({"app_problem": "no app"}, "error", "no app", "--app"),
        ({"worker_runtime": "node"}, "error", "'node'", "local.settings.json"),
        ({"app_failures": ("The 'x' function is in error",)}, "error", "'x'", "repair"),
        ({"app_functions": 0}, "warning", "has no functions", "function_app.py"),
        ({"own_environment": "app/.venv/bin/python"}, "warning", "of its own", "-m pip install"),
        ({"requirements": "requests\n"}, "warning", "does not name", "requirements.txt"),
        (
            {"ports": {"host": (7071, True)}, "workers": ()},
            "warning",
            "taken by another program",
            "--port",
        ),
        ({"store": None, "store_problem": "refused"}, "error", "refused", "--storage"),
        (
            {"store": None, "store_problem": "refused", "needs_azurite": True},
            "error",
            "refused",
            "python -m azurite",
        ),
        (
            {"unreadable": (Unreadable(table="HubHistory", reason="row 7 is odd"),)},
            "error",
            "in table HubHistory: row 7 is odd",
            "newer program",
        ),
        (
            {"leased_otherwise": True},
            "warning",
            "dealt out by leases on blobs",
            "set useTablePartitionManagement to false",
        ),
        (
            {"leased_otherwise": True, "by_table": False},
            "warning",
            "dealt out by a table",
            "set useTablePartitionManagement to true",
        ),
        (
            {"partitions": 7, "partitions_wanted": 4},
            "error",
            "has 7 control queues",
            "set partitionCount to 7",
        ),
        ({"queues": (QUEUE,), "workers": ()}, "warning", "1 messages wait", "durable start"),
        (
            {"queues": (replace(QUEUE, dequeue_count_max=9),)},
            "error",
            "given back 9 times",
            "durable why",
        ),
        (
            {"queues": (replace(QUEUE, unreadable=(("id-1", "no JSON"),)),)},
            "error",
            "message id-1 in hub-control-00 cannot be read by anyone: no JSON",
            "storage tool",
        ),
    ],
)
def test_what_is_wrong_comes_with_its_cure(changes: Any, level: str, words: str, cure: str):
    findings = [c for c in diagnose(replace(SOUND, **changes)) if c.level is not Level.OK]
    assert [finding.level for finding in findings] == [level]
    assert words in findings[0].text
    assert cure in (findings[0].cure or "")
