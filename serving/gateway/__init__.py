"""The gateway: answers customers' messages live, steps aside where it should, and records all of it before it counts.

A process of its own (``cxloop serve``), for programs: assistants that talk to customers, and agents' desktops.
"""
