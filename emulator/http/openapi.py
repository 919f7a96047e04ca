"""The management API as an OpenAPI 3 document, served at `openapi.json` below the webhook prefix. Pure.

A path that the real product does not have; everything that the document says is in reference http-api.md 1 to 5. It
describes what a well-formed request can meet: a hub or connection that cannot exist is a 500 of the form that `Error`
has, as recorded, and stands under `default`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.core.status import RuntimeStatus

FILE: Final = "openapi.json"
_TOKEN: Final = "x-ms-continuation-token"
_ID: Final = r"^[^./\\#?%\x00-\x1f\x7f-\x9f][^/\\#?%\x00-\x1f\x7f-\x9f]{0,99}$"
_NAME: Final = r"^[A-Za-z][A-Za-z0-9_]{0,99}$"

Json = dict[str, Any]


def document(version: str, prefix: str) -> Json:
    """The whole document.

    Args:
        version: of this program.
        prefix: where the API is served.
    """
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Durable Functions management API",
            "version": version,
            "description": "Starts, queries, steers and purges orchestrations; reads and signals entities. Names of "
            "parameters and literal path segments have no case; repeated parameters are joined with a comma.",
        },
        "servers": [{"url": prefix}],
        "security": [{}, {"header": []}, {"query": []}],
        "paths": {path: dict(operations) for path, operations in _paths().items()},
        "components": {"schemas": _SCHEMAS, "securitySchemes": _SECURITY, "responses": _RESPONSES},
    }


# --- parts --------------------------------------------------------------------------------------------------------


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json, description: str, headers: Json | None = None) -> Json:
    response: Json = {
        "description": description,
        "content": {"application/json": {"schema": schema}},
    }
    return {**response, "headers": headers} if headers else response


def _empty(description: str) -> Json:
    return {"description": description}


def _query(name: str, schema: Json, description: str, *, required: bool = False) -> Json:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": description,
    }


def _path(name: str, pattern: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": pattern},
        "description": description,
    }


def _flag(name: str, description: str, *, default: bool) -> Json:
    return _query(name, {"type": "boolean", "default": default}, description)


def _time(name: str, description: str, *, required: bool = False) -> Json:
    return _query(name, {"type": "string", "format": "date-time"}, description, required=required)


def _header(schema: Json, description: str, *, required: bool = True) -> Json:
    return {"schema": schema, "description": description, "required": required}


def _operation(
    name: str,
    summary: str,
    parameters: list[Json],
    responses: Mapping[str, Json],
    body: Json | None = None,
) -> Json:
    found: Json = {
        "operationId": name,
        "summary": summary,
        "parameters": [*parameters, *_COMMON],
        "responses": {**responses, **_EVERYWHERE},
    }
    if body is not None:
        found["requestBody"] = body
    return found


_SECURITY: Final[Json] = {
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "System key or master key. Asked for under --enable-auth only; hides the one in the query.",
    },
    "query": {"type": "apiKey", "in": "query", "name": "code", "description": "The same."},
}
_COMMON: Final = [
    _query(
        "taskHub",
        {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9]{2,44}$"},
        "Task hub on the same storage account; the app's own.",
    ),
    _query(
        "connection",
        {"type": "string", "enum": ["Storage", "AzureWebJobsStorage"]},
        "Name of a connection setting; the app's own.",
    ),
]
_EVERYWHERE: Final[Json] = {
    "401": {"$ref": "#/components/responses/NoKey"},
    "403": {"$ref": "#/components/responses/OtherKey"},
    "default": {"$ref": "#/components/responses/Failed"},
}
_INSTANCE: Final = _path("instanceId", _ID, "Id of an instance.")
_SHOW_INPUT: Final = _flag("showInput", "False leaves inputs out.", default=True)
_WAIT: Final = [
    _query(
        "timeout",
        {"type": "number", "minimum": 0, "maximum": 230},
        "Seconds to wait for the end; together with pollingInterval.",
    ),
    _query(
        "pollingInterval",
        {"type": "number", "minimum": 0, "maximum": 230},
        "Seconds between two looks; together with timeout.",
    ),
]
_STATUSES: Final = _query(
    "runtimeStatus",
    {
        "type": "string",
        "pattern": f"^({'|'.join(RuntimeStatus)})(,({'|'.join(RuntimeStatus)})){{0,3}}$",
    },
    "States, separated by commas. Unknown names are left out; `Unknown` is a 400.",
)
_PAGE: Final = [
    _query(
        "top",
        {"type": "integer", "minimum": 0, "maximum": 1000},
        "Rows of a page; 100. What is no whole number counts as absent; a negative one is a 500.",
    ),
    {
        "name": _TOKEN,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9+/=]*$"},
        "description": "Of the page before. An unknown one gives an empty page.",
    },
]
_NEXT: Final[Json] = {
    _TOKEN: _header(
        {"type": "string"}, "Leads to the next page; absent on the last.", required=False
    )
}
_LINKS: Final = _json(
    _ref("CheckStatus"),
    "Accepted: where to look and what to call.",
    {
        "Location": _header({"type": "string"}, "The statusQueryGetUri."),
        "Retry-After": _header({"type": "string", "enum": ["10"]}, "Seconds."),
    },
)
_OUTCOME: Final = _json(
    {}, "Ended in time: the output of a completed instance, the status of any other."
)
_FAILED_IN_2018: Final = _json(
    {"oneOf": [_ref("Status"), _ref("Error")]},
    "It ended in time and has failed, for an app of 2018 on its scheme; or see the default answer.",
)
_MISSING: Final = _empty("No such instance.")
_ANY_JSON: Final[Json] = {"content": {"application/json": {"schema": {}}}}
_RESPONSES: Final[Json] = {
    "NoKey": _empty("Keys are enforced, and there is none, or one that nobody has."),
    "OtherKey": _empty("The key opens something else."),
    "Failed": _json(
        _ref("Error"),
        "500: a task hub name or connection that cannot be, a storage service that does not answer, or a state that "
        "changed meanwhile. 400: what Azure would answer otherwise, under `--parity strict`.",
    ),
}


# --- schemas ------------------------------------------------------------------------------------------------------

_TEXT: Final[Json] = {"type": "string"}
_STATUS_NAMES: Final[Json] = {"type": "string", "enum": [str(status) for status in RuntimeStatus]}
_OF_2018: Final = "rewindPostUri"
"""A link that only the dialect of 2018 gives."""
_LINK_NAMES: Final = (
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
)
_SECONDS: Final[Json] = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
    "description": "UTC, whole seconds.",
}


def _closed(properties: Json, *optional: str) -> Json:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_SCHEMAS: Final[Json] = {
    "Status": _closed(
        {
            "name": _TEXT,
            "instanceId": _TEXT,
            "runtimeStatus": _STATUS_NAMES,
            "input": {"nullable": True},
            "customStatus": {"nullable": True},
            "output": {"nullable": True},
            "createdTime": _SECONDS,
            "lastUpdatedTime": _SECONDS,
            "historyEvents": {"type": "array", "items": _ref("HistoryEvent")},
        },
        "historyEvents",
    ),
    "HistoryEvent": {
        "type": "object",
        "properties": {"EventType": _TEXT, "Timestamp": _TEXT},
        "required": ["EventType", "Timestamp"],
        "additionalProperties": True,
    },
    "CheckStatus": _closed(dict.fromkeys((*_LINK_NAMES, _OF_2018), _TEXT), _OF_2018),
    "Purged": _closed({"instancesDeleted": {"type": "integer", "minimum": 0}}),
    "Entity": _closed(
        {
            "entityId": _closed({"name": _TEXT, "key": _TEXT}),
            "lastOperationTime": _TEXT,
            "state": {"nullable": True},
        }
    ),
    "Message": _closed({"Message": _TEXT}),
    "Error": _closed(
        {
            "Message": _TEXT,
            "ExceptionMessage": _TEXT,
            "ExceptionType": _TEXT,
            "StackTrace": {"type": "string", "nullable": True},
        }
    ),
    "Problem": {"oneOf": [_ref("Message"), _ref("Error")]},
}


# --- routes -------------------------------------------------------------------------------------------------------


def _paths() -> Json:
    return {
        "/orchestrators/{functionName}": {"post": _start("start", [])},
        "/orchestrators/{functionName}/{instanceId}": {"post": _start("startWithId", [_INSTANCE])},
        "/instances": {"get": _list_instances(), "delete": _purge_where()},
        "/instances/{instanceId}": {"get": _status(), "delete": _purge()},
        "/instances/{instanceId}/raiseEvent/{eventName}": {"post": _raise_event()},
        "/instances/{instanceId}/terminate": {"post": _steer("terminate", "End an instance.")},
        "/instances/{instanceId}/suspend": {"post": _steer("suspend", "Pause an instance.")},
        "/instances/{instanceId}/resume": {"post": _steer("resume", "Let an instance go on.")},
        "/instances/{instanceId}/rewind": {"post": _rewind()},
        "/instances/{instanceId}/restart": {"post": _restart()},
        "/entities": {"get": _list_entities("listEntities", [])},
        "/entities/{entityName}": {
            "get": _list_entities("listEntitiesOfName", [_ENTITY]),
            "post": _signal("signalEmptyKey", [_ENTITY]),
            "delete": _delete("deleteEmptyKey", [_ENTITY]),
        },
        "/entities/{entityName}/{entityKey}": {
            "get": _read_entity(),
            "post": _signal("signal", [_ENTITY, _KEY]),
            "delete": _delete("deleteEntity", [_ENTITY, _KEY]),
        },
        "/makeprimary": {
            "post": _operation(
                "makePrimary",
                "Take the app lease of the task hub.",
                [],
                {"200": _empty("Done, or asked for.")},
            )
        },
    }


_ENTITY: Final = _path("entityName", _NAME, "Name of an entity; has no case.")
_KEY: Final = _path("entityKey", _ID, "Key of an entity; `$` reads the empty key.")


def _start(name: str, parameters: list[Json]) -> Json:
    return _operation(
        name,
        "Start an orchestration. An unknown name is accepted, and the instance fails.",
        [
            _path("functionName", _NAME, "Name of an orchestrator; has no case."),
            *parameters,
            *_WAIT,
            _query("version", {"type": "string", "maxLength": 20}, "Its version; host.json's."),
        ],
        {
            "200": _OUTCOME,
            "202": _LINKS,
            "400": _json(_ref("Problem"), "No JSON, or an interval longer than the timeout."),
            "409": _json(_ref("Message"), "An instance of that id is alive."),
            "500": _FAILED_IN_2018,
        },
        {"description": "Its input; nothing is null.", **_ANY_JSON},
    )


def _status() -> Json:
    accepted = {
        "Location": _header(_TEXT, "The URL of this request."),
        "Retry-After": _header({"type": "string", "enum": ["5"]}, "Seconds."),
    }
    return _operation(
        "getStatus",
        "Status of an instance.",
        [
            _INSTANCE,
            _flag("showHistory", "With what has happened.", default=False),
            _flag("showHistoryOutput", "With results in the history.", default=False),
            _SHOW_INPUT,
            _flag("returnInternalServerErrorOnFailure", "500 if it failed.", default=False),
        ],
        {
            "200": _json(_ref("Status"), "It has ended."),
            "202": _json(_ref("Status"), "It has not ended.", accepted),
            "404": _MISSING,
            "500": _json(
                {"oneOf": [_ref("Status"), _ref("Error")]},
                "It failed, and the request asks for this code; or see the default answer.",
            ),
        },
    )


def _list_instances() -> Json:
    return _operation(
        "listInstances",
        "A page of instances, by id; entities are among them.",
        [
            _time("createdTimeFrom", "Created then or later."),
            _time("createdTimeTo", "Created then or before."),
            _STATUSES,
            _query("instanceIdPrefix", {"type": "string", "pattern": _NAME}, "How ids begin."),
            _SHOW_INPUT,
            *_PAGE,
        ],
        {
            "200": _json({"type": "array", "items": _ref("Status")}, "A page.", _NEXT),
            "400": _json(_ref("Error"), "The status `Unknown`."),
        },
    )


def _purge() -> Json:
    return _operation(
        "purge",
        "Delete an instance that has ended.",
        [_INSTANCE],
        {
            "200": _json(_ref("Purged"), "Deleted."),
            "404": _MISSING,
            "412": _json(_TEXT, "It has not ended."),
        },
    )


def _purge_where() -> Json:
    return _operation(
        "purgeWhere",
        "Delete instances by time of creation and state.",
        [
            _time("createdTimeFrom", "Created then or later.", required=True),
            _time("createdTimeTo", "Created then or before; now."),
            _STATUSES,
        ],
        {
            "200": _json(_ref("Purged"), "Some were deleted."),
            "400": _json({"oneOf": [_TEXT, _ref("Error")]}, "No createdTimeFrom."),
            "404": _empty("There was none."),
        },
    )


def _raise_event() -> Json:
    return _operation(
        "raiseEvent",
        "Send an event to an instance.",
        [_INSTANCE, _path("eventName", _ID, "Name of the event.")],
        {
            "202": _empty("Sent."),
            "400": _json(_ref("Problem"), "No JSON, or another media type."),
            "404": _MISSING,
            "410": _empty("It has ended."),
        },
        {"required": True, "description": "Content of the event.", **_ANY_JSON},
    )


def _steer(name: str, summary: str) -> Json:
    return _operation(
        name,
        summary,
        [_INSTANCE, _query("reason", _TEXT, "Kept with the instance.")],
        {"202": _empty("Sent."), "404": _MISSING, "410": _empty("It has ended.")},
    )


def _rewind() -> Json:
    return _operation(
        "rewind",
        "Let a failed instance go on from its last success.",
        [_INSTANCE, _query("reason", _TEXT, "Kept in the history.")],
        {
            "202": _empty("Sent."),
            "404": _json(_TEXT, "No such instance."),
            "412": _json(_TEXT, "It has not failed."),
        },
    )


def _restart() -> Json:
    return _operation(
        "restart",
        "Start the same function with the same input again.",
        [
            _INSTANCE,
            _flag("restartWithNewInstanceId", "Under an id of its own.", default=True),
            *_WAIT,
        ],
        {
            "200": _OUTCOME,
            "202": _LINKS,
            "400": _json(
                _ref("Error"), "No such instance, or an interval longer than the timeout."
            ),
            "409": _json(_ref("Error"), "It has not ended, and its id is to be used again."),
            "500": _FAILED_IN_2018,
        },
    )


def _list_entities(name: str, parameters: list[Json]) -> Json:
    return _operation(
        name,
        "A page of entities that exist; it may hold fewer than asked for.",
        [
            *parameters,
            _time("lastOperationTimeFrom", "Last used then or later."),
            _time("lastOperationTimeTo", "Last used then or before."),
            _flag("fetchState", "With their states.", default=False),
            *_PAGE,
        ],
        {"200": _json({"type": "array", "items": _ref("Entity")}, "A page.", _NEXT)},
    )


def _read_entity() -> Json:
    return _operation(
        "readEntity",
        "State of an entity.",
        [_ENTITY, _KEY],
        {"200": _json({}, "Its state."), "404": _empty("No such entity.")},
    )


def _signal(name: str, parameters: list[Json]) -> Json:
    return _operation(
        name,
        "Send an operation to an entity.",
        [*parameters, _query("op", _TEXT, "Name of the operation; empty.")],
        {
            "202": _empty("Sent."),
            "400": _json(_ref("Problem"), "No JSON, or an entity that the app does not have."),
        },
        {
            "description": "Input of the operation: JSON, or any other text.",
            "content": {"application/json": {"schema": {}}, "text/plain": {"schema": _TEXT}},
        },
    )


def _delete(name: str, parameters: list[Json]) -> Json:
    return _operation(
        name,
        "Send the operation `delete` to an entity.",
        parameters,
        {
            "202": _empty("Sent."),
            "400": _json(_ref("Problem"), "An entity that the app does not have."),
        },
    )
