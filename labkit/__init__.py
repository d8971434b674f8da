"""The embedded environment: real servers on loopback, started, seeded, broken on purpose and taken down again.

``python -m labkit up|down|status|stop NAME|start NAME|plant ID|remove ID|violations``. Everything a lab is lives in
one folder (``.lab/`` in the checkout, or what ``ATOM_LAB_DIR`` names), so two labs never meet.
"""
