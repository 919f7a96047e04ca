"""A sized pool of threads for user code that is no coroutine.

Unlike the standard library's pool it wakes one thread for all calls that come together, and the loop once for all
answers that are there: a call that is done at once would else cost less than what leads to it. Calls that take long
are not waited for by others: whoever takes one sees that another thread looks for the next.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

NAME: Final = "function"


class Threads:
    """Begins threads as they are needed, up to a limit; they stay until close().

    `_waking` is set while a thread has been told to look for calls and has not begun to. It is the one that tells the
    loop of answers that others have left, should they be busy with something long: so they may leave them for as long.
    """

    def __init__(self, count: int) -> None:
        """At most `count` threads; none runs yet."""
        self._count = count
        self._threads: list[threading.Thread] = []
        self._idle: set[threading.Thread] = set()
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._waking = False
        self._changing = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._answered: deque[_Call] = deque()
        self._telling = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def submit(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call `work` in a thread, unless its future is cancelled before. For `loop.run_in_executor`.

        Raises:
            RuntimeError: the pool is closed.
        """
        if self._is_closed:
            raise RuntimeError("user code cannot be run any more: the host is stopping")
        loop = self._loop = asyncio.get_running_loop()
        call = _Call(work, loop.create_future())
        self._calls.append(call)
        if not self._waking:
            self._wake()
        return call.future

    def close(self) -> None:
        """Take no more calls and cancel those that have not begun; threads that run user code are not waited for."""
        with self._changing:
            self._is_closed = True
            for _ in self._threads:
                self._wakes.put(False)
        with suppress(IndexError):
            while True:
                self._calls.popleft().future.cancel()

    def _wake(self) -> None:
        """See that one more thread looks for calls, if there is one."""
        with self._changing:
            if self._waking or self._is_closed:
                return
            if not self._idle and len(self._threads) == self._count:
                return  # each looks again when it is done
            self._waking = True
            self._wakes.put(True)
            if not self._idle:
                thread = threading.Thread(target=self._run, name=f"{NAME}_{len(self._threads)}")
                self._threads.append(thread)
                thread.start()

    # --- in the threads ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        me = threading.current_thread()
        while self._wakes.get():
            self._idle.discard(me)
            self._waking = False
            self._tell()
            while self._take():
                pass
            self._idle.add(me)
            self._look_again()

    def _take(self) -> bool:
        """Do the next call; False if there is none."""
        try:
            call = self._calls.popleft()
        except IndexError:
            self._tell()
            return False
        self._look_again()
        call.run()
        self._answered.append(call)
        if not self._waking:
            self._tell()
        return True

    def _look_again(self) -> None:
        if self._calls and not self._waking:
            self._wake()

    def _tell(self) -> None:
        """See that the loop looks for answers."""
        if not self._answered or self._telling or self._loop is None:
            return
        self._telling = True
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._answer)

    # --- in the loop ------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        self._telling = False
        while self._answered:
            self._answered.popleft().answer()


class _Call:
    __slots__ = ("_error", "_result", "_work", "future")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.future = future
        self._work: Callable[[], Any] | None = work
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        work, self._work = self._work, None
        if work is None or self.future.cancelled():
            return
        try:
            self._result = work()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the call
            self._error = error

    def answer(self) -> None:
        error, self._error = self._error, None
        if self.future.done():
            return
        if isinstance(error, StopIteration):  # which no future takes
            self.future.set_exception(RuntimeError(f"user code raised {error!r}"))
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(self._result)
