import json

import azure.durable_functions as df
import azure.functions as func


async def main(message: str, starter: str, copy: func.Out[bytes], context: func.Context) -> str:
    retry = context.retry_context
    if retry.retry_count < retry.max_retry_count:
        raise RuntimeError("not yet")
    client = df.DurableOrchestrationClient(starter)
    instance = await client.start_new("work", None, json.loads(message)["name"])
    copy.set(message.encode())
    return json.dumps(
        {"id": instance, "retries": retry.retry_count, "why": retry.exception.message}
    )
