"""What a durable orchestration is: values in, values out.

Nothing here does I/O, reads a clock, draws randomness or logs. Everything that happens is handed in; everything
that should happen is handed back.
"""
