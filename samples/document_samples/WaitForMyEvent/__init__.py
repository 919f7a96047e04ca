import json

import azure.durable_functions as df


def wait_for_my_event(context: df.DurableOrchestrationContext):
    # What the SDK's client sends arrives as JSON text.
    return json.loads((yield context.wait_for_external_event("MyEvent")))


main = df.Orchestrator.create(wait_for_my_event)
