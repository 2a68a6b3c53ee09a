"""Executors of a Plan. All fill the same records, and nothing above can tell which of them did.

session    a run from start to end, whatever the engine: calibrate, load, drain; deadlines and signals
base       what an engine is
process/   processes, pipes and shared memory
inprocess/ asyncio tasks and threads in one process
"""
