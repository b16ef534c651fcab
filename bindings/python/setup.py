# SPDX-License-Identifier: MIT
"""What pyproject.toml cannot say: the declarations are made at build time."""
from setuptools import setup

setup(cffi_modules=["cdef_build.py:ffi"])
