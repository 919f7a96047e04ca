"""An app whose orchestrations call the app itself over HTTP."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="echo/{id}")
def echo(req: func.HttpRequest) -> func.HttpResponse:
    text = f"{req.method} {req.route_params['id']} {req.headers['content-type']} {req.get_body()}"
    return func.HttpResponse(text, headers={"X-Echo": "yes"})


@app.route(route="later")
def later(req: func.HttpRequest) -> func.HttpResponse:
    headers = {"Location": f"{req.url}/done", "Retry-After": "1"}
    return func.HttpResponse("not yet", status_code=202, headers=headers)


@app.orchestration_trigger(context_name="context")
def calls(context: df.DurableOrchestrationContext):
    base = context.get_input()
    echoes = yield context.task_all(
        [context.call_http("POST", f"{base}/api/echo/{n}", content={"n": n}) for n in range(2)]
    )
    missing = yield context.call_http("GET", f"{base}/api/missing")
    accepted = yield context.call_http("GET", f"{base}/api/later")
    return {
        "echoes": [[e["statusCode"], e["headers"]["X-Echo"], e["content"]] for e in echoes],
        "missing": [missing["statusCode"], missing["content"]],
        "accepted": [accepted["statusCode"], accepted["content"]],
    }


@app.orchestration_trigger(context_name="context")
def refused(context: df.DurableOrchestrationContext):
    try:
        yield context.call_http("GET", "http://127.0.0.1:9/x")
    except Exception as error:
        return str(error).split(" \n ")[0]


@app.orchestration_trigger(context_name="context")
def with_token(context: df.DurableOrchestrationContext):
    source = df.ManagedIdentityTokenSource("https://vault.azure.net")
    yield context.call_http("GET", f"{context.get_input()}/api/later", token_source=source)
