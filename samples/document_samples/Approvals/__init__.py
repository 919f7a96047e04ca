import azure.durable_functions as df


def approvals(context: df.DurableOrchestrationContext):
    manager = yield context.wait_for_external_event("ManagerApproval")
    director = yield context.wait_for_external_event("DirectorApproval")
    return (yield context.call_activity("SaveApprovals", [manager, director]))


main = df.Orchestrator.create(approvals)
