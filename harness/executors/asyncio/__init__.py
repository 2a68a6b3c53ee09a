"""The asyncio executor: tasks, bounded queues of slots, and one compute thread a worker, all in one process."""

from harness.executors.kind import ExecutorKind

KIND = ExecutorKind(
    "harness.executors.asyncio.executor:AsyncioExecutor",
    shares_memory=True,
    shares_interpreter=True,
    precise_timers=True,
)
