"""A pipeline in one process, one image after another, without queues and stamps: what comes out, not when.

serve  the side that starts the process and gets the outputs      child  the process
"""
