"""Routes that read and delete instances: status, list, purge. Source: reference http-api.md 1.5 to 1.8 and 2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from emulator.core.instance import InstancePage, InstanceQuery, InstanceRecord
from emulator.core.json_text import compact
from emulator.core.parity import Deviation
from emulator.core.status import LIVE, TERMINAL, RuntimeStatus
from emulator.engine.ports import OrchestrationClient
from emulator.http.bodies import LIVE_CODES, history_objects, status_object
from emulator.http.messages import ApiRequest, ApiResponse, answer, empty
from emulator.http.surface import Route, RouteKey, Surface

TOKEN_HEADER: Final = "x-ms-continuation-token"
_Show = Callable[[InstanceRecord], dict[str, object]]


class InstanceRoutes:
    """Status, list and purge."""

    def __init__(self, surface: Surface) -> None:
        """Serve a surface."""
        self._surface = surface

    def routes(self) -> dict[RouteKey, Route]:
        """What this area answers."""
        return {
            ("GET", 1, "instances"): self._list,
            ("GET", 2, "instances"): self._status,
            ("DELETE", 1, "instances"): self._purge_where,
            ("DELETE", 2, "instances"): self._purge,
        }

    async def _status(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        record = await client.get(segments[1])
        if record is None:
            return empty(404)
        status = LIVE_CODES[record.status]
        if record.status is RuntimeStatus.FAILED:
            wants_error = request.query.flag("returnInternalServerErrorOnFailure", default=False)
            status = 500 if wants_error else self._surface.dialect(request).failed_status
        headers = {"Location": request.url, "Retry-After": "5"} if status == 202 else {}
        body = await status_body(request, client, record, self._surface)
        return answer(status, body, headers)

    async def _list(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del segments
        query, surface = request.query, self._surface
        statuses = query.statuses("runtimeStatus")
        if statuses is not None and not statuses:
            return page_of(request, [], None)
        where = InstanceQuery(
            created_from=surface.bound(request, "createdTimeFrom"),
            created_to=surface.bound(request, "createdTimeTo"),
            statuses=statuses or frozenset(),
            prefix=query.given("instanceIdPrefix"),
            fetch_input=query.flag("showInput", default=True),
        )
        rows = page_size(request, surface.dialect(request).page_rows)
        page = await client.query(where, top=rows, continuation=token_of(request))
        show = partial(_listed, request, surface)
        if rows is None and page.continuation is not None:
            return _all_from(client, where, page, show)
        items = [show(record) for record in page.records]
        return page_of(request, items, page.continuation)

    async def _purge(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        """Delete one instance if it has ended; one whose id begins with @, of whatever kind, is not looked at first."""
        del request
        instance_id = segments[1]
        if not instance_id.startswith("@"):
            record = await client.get(instance_id)
            if record is None:
                return empty(404)
            if record.status in LIVE:
                text = (
                    "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
                    f"{instance_id} has status {record.status}"
                )
                return answer(412, text)
        deleted = await client.purge(instance_id)
        return answer(200, {"instancesDeleted": int(deleted)})

    async def _purge_where(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del segments
        surface = self._surface
        created_from = surface.time(request, "createdTimeFrom")
        if created_from is None:
            return answer(400, "Please provide value for 'createdTimeFrom' parameter.")
        created_to = surface.time(request, "createdTimeTo")
        statuses = request.query.statuses("runtimeStatus") or frozenset()
        if statuses and not statuses & TERMINAL:
            surface.deviations.meet(request.line, Deviation.purge_of_live(statuses))
        count = await client.purge_where(
            created_from=created_from, created_to=created_to, statuses=statuses
        )
        return answer(200, {"instancesDeleted": count}) if count else empty(404)


async def status_body(
    request: ApiRequest, client: OrchestrationClient, record: InstanceRecord, surface: Surface
) -> dict[str, object]:
    """The status of an instance with what the request's query asks to see.

    Raises:
        InvalidRequestError: the real product could not answer so, and the host is strict.
    """
    show_input = request.query.flag("showInput", default=True)
    history: list[object] | None = None
    wants_history = request.query.flag("showHistory", default=False)
    if wants_history and record.status is not RuntimeStatus.PENDING:
        history = history_objects(
            await client.history(record.instance_id),
            show_input=show_input,
            show_output=request.query.flag("showHistoryOutput", default=False),
            zone=surface.zone,
        )
    return status_object(
        record,
        show_input=show_input,
        on_unwritable=partial(_tell_unwritable, request, surface, record),
        history=history,
    )


def _listed(request: ApiRequest, surface: Surface, record: InstanceRecord) -> dict[str, object]:
    on_unwritable = partial(_tell_unwritable, request, surface, record)
    return status_object(record, show_input=True, on_unwritable=on_unwritable)


def _tell_unwritable(
    request: ApiRequest, surface: Surface, record: InstanceRecord, member: str
) -> None:
    deviation = Deviation.unwritable_text(record.instance_id, member)
    surface.deviations.meet(request.line, deviation, about=record.instance_id)


# --- pages --------------------------------------------------------------------------------------------------------


def page_size(request: ApiRequest, usual: int | None) -> int | None:
    """How many rows a page may have; None for all that there are."""
    top = request.query.number("top")
    if top is None or (usual is None and top <= 0):
        return usual
    return top


def token_of(request: ApiRequest) -> str | None:
    """Where the page begins that a request asks for; None for the first."""
    return request.headers.get(TOKEN_HEADER) or None


def _all_from(
    client: OrchestrationClient, where: InstanceQuery, page: InstancePage, show: _Show
) -> ApiResponse:
    """A list without pages; no more than one page of the store is held, however many rows there are."""
    return ApiResponse(status=200, body="[", rest=_elements(client, where, page, show))


async def _elements(
    client: OrchestrationClient, where: InstanceQuery, page: InstancePage, show: _Show
) -> AsyncIterator[str]:
    separator = ""
    while True:
        shown = (compact(show(record)) for record in page.records)
        text = ",".join(shown)
        if text:
            yield f"{separator}{text}"
            separator = ","
        if page.continuation is None:
            break
        page = await client.query(where, continuation=page.continuation)
    yield "]"


def page_of(request: ApiRequest, items: list[dict[str, object]], token: str | None) -> ApiResponse:
    """A list; the last page has an empty token on the listener and none elsewhere."""
    headers = {TOKEN_HEADER: token or ""} if token or request.is_rpc else {}
    return answer(200, items, headers)
