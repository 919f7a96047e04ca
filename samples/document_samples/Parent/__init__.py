import azure.durable_functions as df


def parent(context: df.DurableOrchestrationContext):
    child = context.call_sub_orchestrator("WaitForMyEvent", None, f"{context.instance_id}-child")
    return (yield context.task_all([context.call_activity("SayHello", "child"), child]))


main = df.Orchestrator.create(parent)
