"""Executors of a Plan. All fill the same records, and nothing above can tell which of them did.

session    a run from start to end: signals, failures, nothing left behind
blocks     several pipelines open at once, loaded in turns: a comparison
pipeline   one that is open, whatever the executor: start, saturate, play a block of load, drain, stop; deadlines
progress   what whoever watches is told
base       what an executor is      kind   its traits: what others have to know of it
process/   processes, pipes and shared memory
asyncio/   tasks and threads in one process
"""
