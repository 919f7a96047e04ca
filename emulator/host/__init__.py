"""The Functions host: finds, loads and runs the functions of an app.

Knows files, bindings and Python functions; knows nothing of queues, tables or HTTP servers.
"""
