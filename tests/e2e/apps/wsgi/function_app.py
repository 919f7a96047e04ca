"""A small WSGI app, by hand."""

import json

import azure.functions as func


def site(environ, start_response):
    path = environ["PATH_INFO"]
    status = "503 Service Unavailable" if path.endswith("/broken") else "201 Created"
    start_response(status, [("Content-Type", "application/json"), ("X-Site", "wsgi")])
    answer = {
        "path": path,
        "query": environ["QUERY_STRING"],
        "method": environ["REQUEST_METHOD"],
        "body": environ["wsgi.input"].read().decode(),
    }
    return [json.dumps(answer).encode()]


app = func.WsgiFunctionApp(app=site, http_auth_level=func.AuthLevel.ANONYMOUS)
