import json
import logging
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
def purchase(context: df.DurableOrchestrationContext):
    order = context.get_input() or {"what": "a coffee machine", "timeoutSeconds": 2}
    yield context.call_activity("ask", f"May I buy {order['what']}? ({context.instance_id})")
    deadline = context.current_utc_datetime + timedelta(seconds=order["timeoutSeconds"])
    timeout = context.create_timer(deadline)
    approval = context.wait_for_external_event("Approval")
    winner = yield context.task_any([approval, timeout])
    if winner == timeout:
        return (yield context.call_activity("escalate", order["what"]))
    timeout.cancel()
    return f"{'Bought' if approval.result else 'Did not buy'} {order['what']}"


@app.activity_trigger(input_name="question")
def ask(question: str) -> None:
    logging.info(question)  # stands for a mail or a text message


@app.activity_trigger(input_name="what")
def escalate(what: str) -> str:
    return f"Nobody answered; the boss decides on {what}"
