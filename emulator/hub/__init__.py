"""What a task hub is, written once over the storage ports.

Names, rows, messages and blobs of the real provider, and the order in which they are written. Nothing here runs
loops, calls user code or decides what an orchestration does.
"""
