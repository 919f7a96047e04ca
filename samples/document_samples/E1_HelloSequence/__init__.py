import azure.durable_functions as df


def hello_sequence(context: df.DurableOrchestrationContext):
    outputs = []
    for city in ("Tokyo", "Seattle", "London"):
        outputs.append((yield context.call_activity("SayHello", city)))
    return outputs


main = df.Orchestrator.create(hello_sequence)
