import azure.durable_functions as df


def work(context: df.DurableOrchestrationContext):
    return f"worked on {context.get_input()}"
    yield


main = df.Orchestrator.create(work)
