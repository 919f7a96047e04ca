"""The Functions host: finds, loads and runs the functions of an app.

Knows files, bindings and Python functions; hands the storage ports on to bindings, and knows nothing of task hubs or
of HTTP servers.
"""
