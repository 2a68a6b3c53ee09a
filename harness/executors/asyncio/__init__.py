"""The asyncio executor: tasks, bounded queues of slots, and one compute thread a worker, all in one process."""
