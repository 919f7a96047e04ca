"""Keys of the host and of its functions, kept in the store as the real host keeps them.

Several hosts may share the files: each writes only over what it has read, and reads them again when what it knows is
older than a few seconds, so that a key which was renewed elsewhere opens nothing for long.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from emulator.engine.clock import Clock, IdSource
from emulator.errors import ConflictError, EtagMismatchError, InvalidRequestError
from emulator.settings import Settings
from emulator.storage.pages import all_blobs
from emulator.storage.ports import BlobPort, ETag
from emulator.wire.secret_files import (
    CONTAINER,
    HOST_FILE,
    MASTER_NAME,
    SYSTEM_NAME,
    HostKeys,
    Key,
    decode_function,
    decode_host,
    encode_function,
    encode_host,
)

DEFAULT_NAME: Final = "default"

FRESH_S: Final = 5.0
"""For how long keys that were read are used without a look into the store."""
HOST_ID_LENGTH_MAX: Final = 32
_ATTEMPTS_MAX: Final = 10
_RANDOM_BYTES: Final = 33
_SIGNATURE: Final = "AzFu"
_SETTING: Final = "AzureFunctionsWebHost__hostid"


class KeyKind(StrEnum):
    """What a key opens."""

    MASTER = "master"
    HOST = "host"
    """Every function."""
    SYSTEM = "system"
    FUNCTION = "function"
    """One function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionKeys:
    """Keys of one function."""

    function: str
    keys: tuple[Key, ...]


def host_id(settings: Settings) -> str:
    """Under which name the host keeps its keys: the hub's, unless the settings name one or a site."""
    name = settings.app.get(_SETTING) or settings.hub.app_name or settings.hub.hub_name
    kept = "".join(c for c in name.lower() if c.isalnum() or c == "-").strip("-")
    return kept[:HOST_ID_LENGTH_MAX]


def new_value(ids: IdSource) -> str:
    """A new key: random, recognisable by its end, safe in a URL."""
    random = b"".join(bytes.fromhex(ids.hex32()) for _ in range(3))[:_RANDOM_BYTES]
    body = base64.urlsafe_b64encode(random).decode() + _SIGNATURE
    checksum = base64.urlsafe_b64encode(zlib.crc32(body.encode()).to_bytes(4, "big")).decode()
    return f"{body}{checksum}"


class KeyStore:
    """The key files of one host."""

    def __init__(
        self, blobs: BlobPort, host: str, *, host_name: str, clock: Clock, ids: IdSource
    ) -> None:
        """Name the files; nothing is read or created yet.

        Args:
            host: see host_id().
            host_name: is noted in the files.
        """
        self._blobs = blobs
        self._host = host
        self._host_name = host_name
        self._clock = clock
        self._ids = ids
        self._read_at: dict[str, float] = {}
        self._host_keys: HostKeys | None = None
        self._function_keys: dict[str, tuple[Key, ...]] = {}

    @property
    def system_key(self) -> str | None:
        """The key that links carry, as it was last read."""
        keys = self._host_keys.system_keys if self._host_keys is not None else ()
        return next((key.value for key in keys if key.name == SYSTEM_NAME), None)

    async def host(self) -> HostKeys:
        """Keys of the host; they are made when they are asked for the first time."""
        if self._host_keys is None or not self._is_fresh(HOST_FILE):
            self._host_keys, _ = await self._load_host()
        return self._host_keys

    async def function(self, name: str) -> tuple[Key, ...]:
        """Keys of one function; none until one is made."""
        file = _function_file(name)
        if file not in self._function_keys or not self._is_fresh(file):
            self._function_keys[file], _ = await self._load_function(file)
        return self._function_keys[file]

    async def functions(self) -> list[FunctionKeys]:
        """Keys of all functions that have any, by name."""
        found: list[FunctionKeys] = []
        prefix = f"{self._host}/"
        async for blob, _ in all_blobs(self._blobs, CONTAINER, prefix=prefix):
            file = blob.removeprefix(prefix)
            if file != HOST_FILE and file.endswith(".json"):
                keys, _ = await self._load_function(file)
                found.append(FunctionKeys(function=file.removesuffix(".json"), keys=keys))
        return found

    async def put(
        self, kind: KeyKind, name: str, value: str | None = None, *, function: str = ""
    ) -> tuple[Key, bool]:
        """Make a key or give it another value; the key, and whether it is new.

        Args:
            value: a random one if none is given.
            function: whose key it is, for KeyKind.FUNCTION.
        """
        key = Key(name=name, value=value or new_value(self._ids))
        was_known = await self._replace(kind, name, (key,), function)
        return key, not was_known

    async def delete(self, kind: KeyKind, name: str, *, function: str = "") -> bool:
        """Delete a key; False if there was none.

        Raises:
            InvalidRequestError: it is the master key.
        """
        if kind is KeyKind.MASTER:
            raise InvalidRequestError("the master key cannot be deleted; renew it")
        return await self._replace(kind, name, (), function)

    async def _replace(self, kind: KeyKind, name: str, by: tuple[Key, ...], function: str) -> bool:
        """Put keys in the place of the one with a name; whether there was one."""
        known: list[bool] = []

        def change(keys: tuple[Key, ...]) -> tuple[Key, ...]:
            others = tuple(other for other in keys if not _same(other.name, name))
            known.append(len(others) < len(keys))
            return (*others, *by)

        await self._change(kind, change, function)
        return known[-1]

    # --- files --------------------------------------------------------------------------------------------------

    def _is_fresh(self, file: str) -> bool:
        read_at = self._read_at.get(file)
        return read_at is not None and self._clock.monotonic() - read_at < FRESH_S

    async def _change(
        self,
        kind: KeyKind,
        change: Callable[[tuple[Key, ...]], tuple[Key, ...]],
        function: str,
    ) -> None:
        """Change keys of one kind under the file's ETag; begin again when another host was faster."""
        for _ in range(_ATTEMPTS_MAX):
            try:
                if kind is KeyKind.FUNCTION:
                    await self._change_function(_function_file(function), change)
                else:
                    await self._change_host(kind, change)
                return
            except (EtagMismatchError, ConflictError):
                continue
        raise ConflictError(
            f"the key files in {CONTAINER} are changed all the time by someone else"
        )

    async def _change_host(
        self, kind: KeyKind, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]
    ) -> None:
        keys, etag = await self._load_host()
        match kind:
            case KeyKind.MASTER:
                (master,) = change((keys.master,))
                keys = replace(keys, master=master)
            case KeyKind.HOST:
                keys = replace(keys, function_keys=change(keys.function_keys))
            case _:
                keys = replace(keys, system_keys=change(keys.system_keys))
        await self._save(HOST_FILE, encode_host(keys, self._host_name), etag)
        self._host_keys = keys

    async def _change_function(
        self, file: str, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]
    ) -> None:
        keys, etag = await self._load_function(file)
        changed = change(keys)
        await self._save(file, encode_function(changed, self._host_name), etag)
        self._function_keys[file] = changed

    async def _load_host(self) -> tuple[HostKeys, ETag]:
        text, etag = await self._load(HOST_FILE)
        if text is not None and etag is not None:
            return decode_host(text), etag
        fresh = HostKeys(
            master=Key(name=MASTER_NAME, value=new_value(self._ids)),
            function_keys=(Key(name=DEFAULT_NAME, value=new_value(self._ids)),),
            system_keys=(Key(name=SYSTEM_NAME, value=new_value(self._ids)),),
        )
        try:
            return fresh, await self._save(HOST_FILE, encode_host(fresh, self._host_name), None)
        except ConflictError:
            return await self._load_host()

    async def _load_function(self, file: str) -> tuple[tuple[Key, ...], ETag | None]:
        text, etag = await self._load(file)
        return ((), None) if text is None else (decode_function(text), etag)

    async def _load(self, file: str) -> tuple[str | None, ETag | None]:
        blob = await self._blobs.download(CONTAINER, f"{self._host}/{file}")
        self._read_at[file] = self._clock.monotonic()
        return (None, None) if blob is None else (blob.content.decode("utf-8-sig"), blob.etag)

    async def _save(self, file: str, text: str, etag: ETag | None) -> ETag:
        await self._blobs.create_container(CONTAINER)
        return await self._blobs.upload(
            CONTAINER,
            f"{self._host}/{file}",
            text.encode(),
            only_if_absent=etag is None,
            etag=etag,
        )


def _function_file(name: str) -> str:
    return f"{name.lower()}.json"


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
