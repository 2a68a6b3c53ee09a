"""Child processes: started, told, heard and judged in one way, whoever needs them and however the parent waits.

process   a child as its parent holds it: instructions, events, output, end; waits for nothing
watched   one that an asyncio loop watches            blocking   one that is waited for
verdict   why a child has ended, as an error          link       the child's own side
"""
