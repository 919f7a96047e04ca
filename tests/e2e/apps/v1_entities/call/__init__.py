import azure.durable_functions as df


def orchestrate(context):
    entity = df.EntityId("Counter", "a")
    context.signal_entity(entity, "set", 5)
    return (yield context.call_entity(entity, "get"))


main = df.Orchestrator.create(orchestrate)
