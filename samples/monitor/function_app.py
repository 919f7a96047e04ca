import json
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    data = json.loads(req.get_body() or "null")
    instance_id = await client.start_new(req.route_params["functionName"], client_input=data)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def monitor(context: df.DurableOrchestrationContext):
    job = context.get_input() or {"id": "nightly", "pollingSeconds": 2, "expirySeconds": 60}
    expiry = context.current_utc_datetime + timedelta(seconds=job["expirySeconds"])
    checks = 0
    while context.current_utc_datetime < expiry:
        checks += 1
        status = yield context.call_activity("get_job_status", {"id": job["id"], "check": checks})
        context.set_custom_status({"job": job["id"], "status": status, "checks": checks})
        if status == "Completed":
            return (yield context.call_activity("send_alert", job["id"]))
        yield context.create_timer(
            context.current_utc_datetime + timedelta(seconds=job["pollingSeconds"])
        )
    return f"Gave up on {job['id']}"


@app.activity_trigger(input_name="question")
def get_job_status(question: dict) -> str:
    # Stands for a call to the service that runs the job: it is done at the third look.
    return "Completed" if question["check"] >= 3 else "Running"


@app.activity_trigger(input_name="job")
def send_alert(job: str) -> str:
    return f"Job {job} is done"
