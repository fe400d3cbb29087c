"""Importing this puts Coheld in the place of the standard library's managers.

Fork servers import it ahead of what a program has them import.
"""

from ._install import install

install()
