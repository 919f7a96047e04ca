"""The Azure-compatible Durable Functions emulator.

Rooms import downwards only; ARCHITECTURE.md has the map and `lint-imports` the proof.
"""
