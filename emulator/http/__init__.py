"""The HTTP surface: the app's own routes, the management API on both URL schemes, and the admin endpoints.

Translates requests into calls and results into responses; decides nothing about orchestrations.
"""
