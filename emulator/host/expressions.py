"""`%NAME%` in bindings and host.json: an app setting's value. Source: reference functions-host.md 1.3."""

from __future__ import annotations

from emulator.errors import ConfigError
from emulator.settings import AppSettings

_MARK = "%"


def resolve_settings(text: str, settings: AppSettings, where: str) -> str:
    """Put app settings in the place of every `%NAME%`.

    Args:
        where: file and member, for messages.

    Raises:
        ConfigError: a setting does not exist, or a % has no partner.
    """
    parts = text.split(_MARK)
    if len(parts) % 2 == 0:
        raise ConfigError(f"{where}: {text!r} has a % without a second one; write %NAME%")
    for index in range(1, len(parts), 2):
        value = settings.get(parts[index])
        if value is None:
            raise ConfigError(
                f"{where}: '%{parts[index]}%' does not resolve to a value. Add {parts[index]} to the Values of "
                "local.settings.json or to the environment"
            )
        parts[index] = value
    return "".join(parts)


def resolve_whole(text: str, settings: AppSettings, where: str) -> str:
    """The same where only a whole value may be an expression, as for the hub's name.

    Raises:
        ConfigError: the setting does not exist.
    """
    is_expression = len(text) > 2 and text[0] == text[-1] == _MARK
    return resolve_settings(text, settings, where) if is_expression else text
