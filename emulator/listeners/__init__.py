"""What starts functions without a request: timers, queues and blobs.

Each function has a listener of its own, over the storage ports; timers and blobs are watched by one host at a time.
Listeners know no values of the SDK; what they find goes to the function's trigger binding as it is.
"""
