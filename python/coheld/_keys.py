"""The keys of managers that this process knows, by their addresses.

Proxies do not carry the key of their manager. So a process remembers the keys of the managers that
it starts or connects to, and looks there when it gets a proxy by itself. Its children inherit what
it knows: the keys are part of the configuration that multiprocessing hands to them under every
start method, where they are pickled for children only.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from multiprocessing import process

#: The name in the configuration of a process.
_NAME = "coheld_keys"

#: Keys that are remembered; the oldest are forgotten.
_MOST = 256


def remember(address, authkey):
    """Remember the key of the manager at an address."""
    keys = process.current_process()._config.setdefault(_NAME, {})
    keys.pop(address, None)
    keys[address] = process.AuthenticationString(authkey)
    while len(keys) > _MOST:
        keys.pop(next(iter(keys)), None)


def find(address):
    """The key of the manager at an address, or else that of this process."""
    current = process.current_process()
    return current._config.get(_NAME, {}).get(address) or current.authkey
