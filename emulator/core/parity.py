"""Where the real product would do something else, and worse: one row per rule.

A rule is of one of four kinds. What an instance cannot go on from fails it at once, with a text that says what is
wrong and what the real product does. What it can is told as a warning, once for an instance, and fails it only under
`--parity strict`. A request that the real product would answer otherwise is told of, and refused under
`--parity strict`. What an app's files must not say is told at each start, and ends it under `--parity strict`. The
rules' ids are stable: tests, documents and log lines name them. See docs/decisions/0006-what-is-told-of-azure.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from emulator.core.instant import Instant


class Rule(StrEnum):
    """Ids of the deliberate differences."""

    UNKNOWN_FUNCTION = "unknown-function"
    NO_ATTEMPTS = "no-attempts"
    CHILD_WITH_OWN_ID = "child-with-own-id"
    CHILD_WITH_BAD_ID = "child-with-bad-id"
    NOTHING_OPEN = "nothing-open"
    TOO_MANY_ACTIONS = "too-many-actions"
    WAITS_FOR_EVER = "waits-for-ever"
    STARTS_LATER = "starts-later"
    OTHER_IDS = "other-ids"
    EVENT_TWICE = "event-twice"
    EARLY_EVENTS = "early-events"
    EVENT_NAME_CASE = "event-name-case"
    NON_DETERMINISTIC = "non-deterministic"
    ENTITY_BATCH_FAILED = "entity-batch-failed"
    ENTITY_MESSAGE_UNREADABLE = "entity-message-unreadable"
    CHILD_VERSION = "child-version"
    TIMERS_EARLY = "timers-early"
    TERMINATED_START = "terminated-start"
    PURGE_OF_LIVE = "purge-of-live"
    PLUS_IN_PATH = "plus-in-path"
    SHORT_YEAR = "short-year"
    UNWRITABLE_TEXT = "unwritable-text"
    BODY_WITHOUT_LENGTH = "body-without-length"
    BINDING_UNDERSCORE = "binding-underscore"
    LEADING_SLASH = "leading-slash"


_ON_AZURE = "On Azure this orchestration would stay Running for ever, without an error."


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One rule that an instance ran into, with the text that becomes its failure."""

    rule: Rule
    message: str

    def failure_of(self, orchestrator: str) -> str:
        """The output of an instance that fails by it."""
        return f"Orchestrator function '{orchestrator}' failed: {self.message}"

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
    def child_version(cls, version: str | None) -> Deviation:
        """A sub-orchestration of a version that the host does not run."""
        return cls(
            rule=Rule.CHILD_VERSION,
            message=f"The version '{version or ''}' of this sub-orchestration is not one that the host runs: see "
            "extensions.durableTask.defaultVersion and versionMatchStrategy in host.json. On Azure its message "
            "would be tried again for ever, and the parent would wait.",
        )

    @classmethod
    def too_many_actions(cls, limit: int) -> Deviation:
        """More actions than the host allows in one execution."""
        return cls(
            rule=Rule.TOO_MANY_ACTIONS,
            message=f"The orchestration asked for more than {limit} actions in one execution (host.json, "
            f"extensions.durableTask.maxOrchestrationActions): use continue_as_new. {_ON_AZURE}",
        )

    @classmethod
    def waits_for_ever(cls, what: str, where: str) -> Deviation:
        """The app's SDK went on where the real host's loop still waits, for something that may never come."""
        return cls(
            rule=Rule.WAITS_FOR_EVER,
            message=f"This orchestration goes on here, but the real host still awaits {what}{where}, and nothing that "
            f"is running can finish that: it takes what was yielded one after the other, and each only with the tasks "
            f"that were new in it. Make new tasks for every task_any or task_all, and wait once for each event. "
            f"{_ON_AZURE}",
        )

    @classmethod
    def starts_later(cls, what: str, where: str) -> Deviation:
        """The real host starts the next action only when one before it has ended altogether."""
        return cls(
            rule=Rule.STARTS_LATER,
            message=f"What this orchestration asks for next is started at once here. On Azure it is started only when "
            f"{what}{where} has ended altogether, failed tasks and slow ones included.",
        )

    @classmethod
    def other_ids(cls, task_id: int, where: str) -> Deviation:
        """The real host would give task ids in another order than the SDK expects."""
        return cls(
            rule=Rule.OTHER_IDS,
            message=f"On Azure the task with id {task_id}{where} would be another one than the app's SDK takes it "
            "for, and the instance would fail as non-deterministic, or wait for ever: do not cancel timers beside, "
            "and do not catch failures of, calls with retries that are still running in the same task_all or task_any.",
        )

    @classmethod
    def event_twice(cls, name: str) -> Deviation:
        """An event that was consumed would be taken over into the next execution as well."""
        return cls(
            rule=Rule.EVENT_TWICE,
            message=f"On Azure the event '{name}' would be given to this execution and once more to the next: a timer "
            "that is cancelled in the episode of the continue_as_new finishes its task_any at once there. Wait for the "
            "cancelled timer's replacement, or call continue_as_new without cancelling.",
        )

    @classmethod
    def early_events(cls, name: str) -> Deviation:
        """Several events of one name came before anybody waited."""
        return cls(
            rule=Rule.EARLY_EVENTS,
            message=f"Several events '{name}' came before anyone waited for them. As on Azure, the app's SDK keeps the "
            "last alone and gives it to every wait; hosts of other languages would give out one after the other. Wait "
            "before raising, or use names of their own.",
        )

    @classmethod
    def event_name_case(cls, raised: str, awaited: str) -> Deviation:
        """An event whose name differs from the awaited one in case only."""
        return cls(
            rule=Rule.EVENT_NAME_CASE,
            message=f"The event '{raised}' was raised while '{awaited}' is awaited: the app's SDK compares names with "
            f"case, so the wait goes on, while the real host takes the event. Raise '{awaited}'. {_ON_AZURE}",
        )

    @classmethod
    def non_deterministic(cls, explanation: str, where: str) -> Deviation:
        """A replay that asked for other things than the history has. The instance has failed already."""
        return cls(
            rule=Rule.NON_DETERMINISTIC,
            message=f"Non-deterministic orchestrator: {explanation}{where}. Usually the code was changed while the "
            "instance was running, or it depends on something that is not the same in every replay: the clock "
            "(use context.current_utc_datetime), random values (context.new_uuid()), settings, files or requests "
            "(call an activity). On Azure the decisions of the failed replay are stored and run all the same.",
        )

    @classmethod
    def entity_batch_failed(cls, operations: str, why: str) -> Deviation:
        """An entity's function failed outside of single operations, so that nothing of the batch counts."""
        return cls(
            rule=Rule.ENTITY_BATCH_FAILED,
            message=f"The entity function failed as a whole, so nothing counts of {operations}: {why}. It must return, "
            "and the state and the results that it leaves must be JSON. On Azure the same operations are run again and "
            "again until it succeeds, without a word, and whoever called them waits.",
        )

    @classmethod
    def entity_message_unreadable(cls, why: str) -> Deviation:
        """A message to an entity that is no operation."""
        return cls(
            rule=Rule.ENTITY_MESSAGE_UNREADABLE,
            message=f"A message that is no operation was dropped ({why}): entities take calls and signals, not "
            "external events. On Azure it would be given to the entity again and again, and stop it for ever.",
        )

    @classmethod
    def timers_early(cls, what: str, delay: timedelta) -> Deviation:
        """A delay of which nothing is left on Azure."""
        return cls(
            rule=Rule.TIMERS_EARLY,
            message=f"{what} is due in {round(delay.total_seconds(), 3):g} s. On Azure it is there at once: what is "
            "left of a delay when its message is sent, a moment later, is cut to whole seconds. Ask for 2 s or more if "
            "the delay matters; longer ones end up to 1 s early, too.",
        )

    @classmethod
    def terminated_start(cls, due: Instant | None) -> Deviation:
        """An instance that is terminated before its start has been run."""
        scheduled = f", which is scheduled for {due.text()}" if due is not None else ""
        return cls(
            rule=Rule.TERMINATED_START,
            message=f"This instance was terminated before its start{scheduled}. On Azure only the status says so: when "
            "its start is due it runs all the same, and ends as if nobody had terminated it. Purge it after "
            "terminating it, or terminate it when it is running.",
        )

    # --- requests -------------------------------------------------------------------------------------------------

    @classmethod
    def purge_of_live(cls, statuses: Iterable[str]) -> Deviation:
        """A purge by a filter that names only statuses of what has not ended."""
        return cls(
            rule=Rule.PURGE_OF_LIVE,
            message=f"Nothing is purged for runtimeStatus={','.join(sorted(statuses))}: only what has ended is. On "
            "Azure such statuses are no filter, and every instance that was created in the range is deleted, running "
            "ones and entities included. Name some of Completed, Failed, Terminated, Canceled.",
        )

    @classmethod
    def plus_in_path(cls, segment: str) -> Deviation:
        """A plus sign in an address, written as %2B."""
        return cls(
            rule=Rule.PLUS_IN_PATH,
            message=f"'{segment}' is addressed, as the links for it say, with %2B for the plus sign. On Azure that is "
            f"a blank: the request is for '{segment.replace('+', ' ')}' there. Use ids and keys without a plus sign.",
        )

    @classmethod
    def short_year(cls, parameter: str, text: str) -> Deviation:
        """A time with a year of one or two digits."""
        return cls(
            rule=Rule.SHORT_YEAR,
            message=f"{parameter}={text} has a year of less than three digits. On Azure, but for its newest releases, "
            "that is no time: a purge is refused, because createdTimeFrom is missing, and any other bound is passed "
            "over. Write years with four digits; Python's strftime does not, so give it years from 1000 on.",
        )

    @classmethod
    def unwritable_text(cls, instance_id: str, member: str) -> Deviation:
        """Stored text that the real API fails to write, or writes as what is no JSON."""
        return cls(
            rule=Rule.UNWRITABLE_TEXT,
            message=f"The {member} of '{instance_id}' is no strict JSON, and is shown as text. On Azure the status of "
            "this instance, and every list that it is in, is answered 500, or is no JSON itself. Purge the instance; "
            "inputs and reasons must not be `undefined` or begin with a comment.",
        )

    @classmethod
    def body_without_length(cls, function: str) -> Deviation:
        """A body that a function of the app is given, and that no header told of."""
        return cls(
            rule=Rule.BODY_WITHOUT_LENGTH,
            message=f"The request has a body without Content-Length, which function '{function}' is given here. On "
            "Azure it finds an empty one: send the length, and not in chunks.",
        )

    # --- an app's files -------------------------------------------------------------------------------------------

    @classmethod
    def binding_underscore(cls, binding: str, function: str) -> Deviation:
        """A binding's name that the real host does not take."""
        return cls(
            rule=Rule.BINDING_UNDERSCORE,
            message=f"the binding name '{binding}' of function '{function}' has an underscore: it works here, but on "
            "Azure such a function is refused and never runs; give parameter and binding a name without one",
        )

    @classmethod
    def leading_slash(cls, function: str, prefix: str) -> Deviation:
        """A route of which the real host makes one with two slashes."""
        return cls(
            rule=Rule.LEADING_SLASH,
            message=f"the route of function '{function}' begins with a slash: it works here, but on Azure no app with "
            f'such a route starts; remove the slash, or set "routePrefix" to "" instead of \'{prefix}\' in host.json',
        )
