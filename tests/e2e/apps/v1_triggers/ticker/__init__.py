import azure.functions as func


def main(timer: func.TimerRequest, message: func.Out[func.QueueMessage]) -> None:
    message.set(func.QueueMessage(body='{"name": "tick"}'))
