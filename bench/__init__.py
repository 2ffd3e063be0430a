"""Benchmarks: the main jobs timed beside named peers, in the same run, turn by turn.

Run ``python -m bench [NAME...]``. Read the ratios: seconds depend on the machine and on what else it does.
"""
