"""The executor of processes: pipes as bounded queues, nameless shared memory, a supervisor in asyncio."""

from harness.executors.kind import ExecutorKind

KIND = ExecutorKind("harness.executors.process.executor:ProcessExecutor")
