"""A small ASGI app, by hand."""

import json

import azure.functions as func

seen: list[str] = []


async def site(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            phase = message["type"].removeprefix("lifespan.")
            seen.append(phase)
            await send({"type": f"lifespan.{phase}.complete"})
            if phase == "shutdown":
                return
    request = await receive()
    if scope["path"].endswith("/broken"):
        raise RuntimeError("broken")
    answer = {
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "method": scope["method"],
        "body": request["body"].decode(),
        "seen": seen,
    }
    headers = [(b"content-type", b"application/json"), (b"x-site", b"asgi")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


app = func.AsgiFunctionApp(app=site, http_auth_level=func.AuthLevel.ANONYMOUS)
