"""Several host processes on one Azurite, while all of them are killed, stopped and held up at random.

`python -m tests.chaos --minutes M --hosts N --seed S`. Azurite is only ever ended by SIGTERM and waited for: it keeps
its tables and queues in memory and writes them to disk every five seconds and when it is told to end, so that a
SIGKILL loses what it has acknowledged, which no storage account does.
"""
