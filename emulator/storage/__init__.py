"""Adapters to queues, tables and blobs.

Everything here moves bytes and rows; nothing here knows what a task hub, a message or an orchestration is.
"""
