import azure.durable_functions as df


def instance_info(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("SendInstanceInfo", context.instance_id))


main = df.Orchestrator.create(instance_info)
