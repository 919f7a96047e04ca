"""Adds one to each of two entities under their locks, in the protocol itself: the SDK has no locks."""

import json

RAISED = 15
ENTITIES = ("@counter@b", "@counter@a")


def main(context) -> str:
    history = json.loads(getattr(context, "body", context))["history"]
    answers = [json.loads(event["Input"]) for event in history if event["EventType"] == RAISED]
    keys = [entity.rpartition("@")[2] for entity in ENTITIES]
    lock_set = [{"name": "counter", "key": key} for key in keys]
    actions = [{"actionType": 13, "lockRequestId": "ignored", "lockSet": lock_set}]
    for place, entity in enumerate(ENTITIES):
        done = answers[1 + 2 * place :]
        if len(answers) > 2 * place:
            actions.append(_call(entity, "get", None))
        if done:
            actions.append(_call(entity, "set", int(done[0]["result"]) + 1))
    finished = len(answers) == 1 + 2 * len(ENTITIES)
    return json.dumps(
        {"isDone": finished, "schemaVersion": 3, "actions": [actions], "output": "ok"}
    )


def _call(entity, operation, value):
    data = json.dumps(value)
    return {"actionType": 7, "instanceId": entity, "operation": operation, "input": data}
