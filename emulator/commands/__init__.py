"""The commands beside `durable start`: one module per group, composed by cli.py.

They read and write a task hub's storage directly, with or without a host that runs on it. Nothing here decides what a
hub means; that is the business of core, hub and engine.
"""
