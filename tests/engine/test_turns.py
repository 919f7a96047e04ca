"""The order in which sessions are worked on."""

from __future__ import annotations

from emulator.engine.turns import BEGUN_IN_A_ROW_MAX, Turns


async def test_what_has_begun_goes_before_what_is_new_each_in_order():
    turns: Turns[str] = Turns()
    for name in ("new 1", "begun 1", "new 2", "begun 2"):
        turns.put(name, has_begun=name.startswith("begun"))
    taken = [await turns.get() for _ in range(4)]
    assert taken == ["begun 1", "begun 2", "new 1", "new 2"]


async def test_work_that_never_ends_does_not_shut_out_what_is_new():
    turns: Turns[str] = Turns()
    turns.put("new", has_begun=False)
    taken: list[str] = []
    while "new" not in taken:
        turns.put("begun", has_begun=True)
        turns.put("begun", has_begun=True)
        taken.append(await turns.get())
    assert len(taken) == BEGUN_IN_A_ROW_MAX + 1
