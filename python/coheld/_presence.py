"""Telling managers out of reach when a process begins and ends.

A process that shares memory with a manager need not: the kernel tells. Of all others a manager
knows only their connections, and waits some time for those that have none.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from multiprocessing import util

from . import _coheld

#: After whatever a program has registered with multiprocessing, whose priorities are from -100 on.
_PRIORITY = -200


class _Presence:
    """This process, for the managers that it has links to."""

    def __init__(self):
        self._is_noted = False
        util.register_after_fork(self, _Presence._begin_in_child)

    def note(self):
        """See to the end of this process."""
        if not self._is_noted:
            self._is_noted = True
            util.Finalize(None, _coheld.leave_links, exitpriority=_PRIORITY)

    def _begin_in_child(self):
        # The finalizers of the parent are not the child's.
        if self._is_noted:
            self._is_noted = False
            self.note()
            try:
                _coheld.introduce_links()
            except Exception as error:
                # It happens again with the first call, which then has somebody to tell.
                util.info("a manager does not know of this child yet: %s", error)


_presence = _Presence()


def note_link():
    """Note that this process has a link to a manager. Called whenever one is looked for."""
    _presence.note()
