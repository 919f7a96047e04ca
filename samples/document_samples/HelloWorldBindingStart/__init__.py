import json
import uuid

import azure.functions as func


def main(input: str, starter: func.Out[str]) -> None:
    start = {
        "FunctionName": "HelloWorld",
        "Input": json.dumps(input),  # orchestrators in Python read their input as JSON text
        "InstanceId": str(uuid.uuid4()),
    }
    starter.set(json.dumps([start]))
