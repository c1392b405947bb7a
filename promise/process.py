"""Settings of a process before torch is imported: threads that wait quietly, memory that stays."""

import ctypes
import os
import platform

#: Parameters of glibc's `mallopt` and their values: large tensors come from the heap, whose pages are kept.
HEAP = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**28)}


def configure_runtime() -> None:
    """Set what makes torch fast on CPUs, unless the environment says otherwise.

    Idle OpenMP threads that spin slow each other down many times over; torch reads this when it is imported. And
    glibc hands every large tensor back to the system, which then clears its pages anew at each training step: kept,
    they make a step of full-softmax training a third shorter.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if platform.libc_ver()[0] == "glibc" and not any(name.startswith("MALLOC_") for name in os.environ):
        allocator = ctypes.CDLL(None)
        for parameter, value in HEAP.values():
            allocator.mallopt(parameter, value)
