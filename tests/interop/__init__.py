"""Processes of Coheld and processes of plain CPython that use each other's managers.

`serve.py` and `client.py` are programs of their own, for any CPython from 3.8 on with nothing but
its standard library; what they import lies beside them. `running.py` starts them.
"""
