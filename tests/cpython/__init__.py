"""Runs CPython's own tests of ``multiprocessing.Manager`` on the module under test.

`classes` is the table of what is run, `drop_in` puts the module under test where those tests look
for ``multiprocessing.managers``, `host` holds the test classes, and `run_class` is the program that
runs one of them. ``tests/test_cpython_suite.py`` starts that program and judges what it reports.
"""
