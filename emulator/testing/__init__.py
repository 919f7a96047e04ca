"""What tests of storage adapters and of hosts need: the port suite. Needs pytest; nothing at run time imports it."""
