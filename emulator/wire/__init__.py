"""Codecs: values of the core to and from the exact bytes, rows and names of the real storage provider.

Pure. Nothing here does I/O, and nothing here decides what to store.
"""
