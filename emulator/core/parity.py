"""Where the real product would do something else, and worse: one row per rule.

An instance that runs into such a rule fails at once here, with a text that says what is wrong and what the real
product does. The rules' ids are stable: tests, documents and log lines name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """Ids of the deliberate differences."""

    UNKNOWN_FUNCTION = "unknown-function"
    NO_ATTEMPTS = "no-attempts"
    CHILD_WITH_OWN_ID = "child-with-own-id"
    CHILD_WITH_BAD_ID = "child-with-bad-id"
    NOTHING_OPEN = "nothing-open"
    TOO_MANY_ACTIONS = "too-many-actions"


_ON_AZURE = "On Azure this orchestration would stay Running for ever, without an error."


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One rule that an instance ran into, with the text that becomes its failure."""

    rule: Rule
    message: str

    @classmethod
    def unknown_function(
        cls, kind: str, name: str, known: tuple[str, ...], nearest: str | None
    ) -> Deviation:
        """A call of a function that the app does not have."""
        names = ", ".join(f"'{value}'" for value in known) or "none"
        hint = f" Did you mean '{nearest}'?" if nearest else ""
        return cls(
            rule=Rule.UNKNOWN_FUNCTION,
            message=f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function.{hint} "
            f"Known {kind} functions: {names}. {_ON_AZURE}",
        )

    @classmethod
    def no_attempts(cls, name: str, attempts: int) -> Deviation:
        """Retry options that start nothing."""
        return cls(
            rule=Rule.NO_ATTEMPTS,
            message=f"The retry options of '{name}' allow {attempts} attempts, so nothing is started: "
            f"max_number_of_attempts must be at least 1. {_ON_AZURE}",
        )

    @classmethod
    def child_with_own_id(cls, instance_id: str) -> Deviation:
        """A sub-orchestration that would replace its own caller."""
        return cls(
            rule=Rule.CHILD_WITH_OWN_ID,
            message=f"A sub-orchestration may not use the instance id '{instance_id}' of the orchestration that "
            f"starts it, or of that one's parent: give it another id or none. {_ON_AZURE}",
        )

    @classmethod
    def child_with_bad_id(cls, instance_id: str) -> Deviation:
        """A sub-orchestration with an id that is refused."""
        return cls(
            rule=Rule.CHILD_WITH_BAD_ID,
            message=f"'{instance_id}' is no id for a sub-orchestration: ids must not start with @ and must not "
            f"contain /, \\, #, ? or control characters. {_ON_AZURE}",
        )

    @classmethod
    def nothing_open(cls) -> Deviation:
        """Not done, and nothing that could wake it."""
        return cls(
            rule=Rule.NOTHING_OPEN,
            message="The orchestrator has not returned, but it waits for nothing that could ever arrive: "
            f"yield a task that the context made. {_ON_AZURE}",
        )

    @classmethod
    def too_many_actions(cls, limit: int) -> Deviation:
        """More actions than the host allows in one execution."""
        return cls(
            rule=Rule.TOO_MANY_ACTIONS,
            message=f"The orchestration asked for more than {limit} actions in one execution (host.json, "
            f"extensions.durableTask.maxOrchestrationActions): use continue_as_new. {_ON_AZURE}",
        )
