import azure.durable_functions as df


def hello_world(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("SayHello", context.get_input()))


main = df.Orchestrator.create(hello_world)
