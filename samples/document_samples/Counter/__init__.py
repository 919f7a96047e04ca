import azure.durable_functions as df


def counter(context: df.DurableOrchestrationContext):
    value = context.get_input() or 0
    operation = yield context.wait_for_external_event("operation")
    if operation == "end":
        return value
    context.continue_as_new(value + 1)


main = df.Orchestrator.create(counter)
