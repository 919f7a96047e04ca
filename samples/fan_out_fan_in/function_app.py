import json
import os
import time

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
def count_words(context: df.DurableOrchestrationContext):
    texts = yield context.call_activity("list_texts", context.get_input())
    counts = yield context.task_all([context.call_activity("count", text) for text in texts])
    return {"counts": counts, "total": sum(counts)}


@app.activity_trigger(input_name="texts")
def list_texts(texts: list):
    return texts or ["the quick brown fox", "jumps over", "the lazy dog"]


@app.activity_trigger(input_name="text")
def count(text: str) -> int:
    time.sleep(float(os.environ.get("SECONDS_PER_TEXT", 0)))  # stands for harder work
    return len(text.split())
