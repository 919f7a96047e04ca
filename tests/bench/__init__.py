"""What this program costs and how fast it is, through its front door: `make bench`.

A real host process serves an unmodified app folder, and a load generator uses the management API. Figures are ratios of
medians over rounds in which each side runs in turn; nothing here is a test.
"""
