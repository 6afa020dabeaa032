"""The demonstration: one agent, one shop, one payment service, six bad moments.

Read it in this order: ``tools`` (what the agent can do), ``safety`` (how it is
guarded), ``acts`` (what goes wrong), ``runner`` (processes and counting).
"""
