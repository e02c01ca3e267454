"""The local stack: the CDK app's own template, deployed into an emulator on this machine.

Nothing in here is part of the product. `python -m local up` starts the emulator and the model endpoint, deploys the
stock template with the stock CDK CLI, and puts a small proxy in front, so that clients see one short base URL.
"""
