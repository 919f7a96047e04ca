"""Tells which process does what, and ends it on demand."""

import logging
import os
import sys
import time

import azure.durable_functions as df
import azure.functions as func

if os.path.exists(os.environ.get("ENDS_IF_THERE_IS", "")):
    sys.stdout.write("this worker cannot start\n")
    sys.stdout.flush()
    os._exit(3)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("who")
def who(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(os.getpid()))


@app.activity_trigger(input_name="seconds")
def where(seconds: float) -> int:
    time.sleep(float(seconds))
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def spread(context):
    given = context.get_input()
    calls = [context.call_activity("where", given["seconds"]) for _ in range(given["count"])]
    return (yield context.task_all(calls))


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def tick(timer: func.TimerRequest) -> None:
    logging.getLogger("shared_out").info("tick")
