"""The executor of processes: pipes as bounded queues, nameless shared memory, a supervisor in asyncio."""
