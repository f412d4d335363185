# SPDX-License-Identifier: MIT
"""State that a caller can give the shell before it starts it: functions for the child between fork
and exec. Each takes nothing and returns nothing; what Python has no function for goes by ctypes."""

import ctypes
import os
import platform
import resource
import signal

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_THP_DISABLE = 41
_PR_SET_TIMERSLACK = 29
_PR_SET_TSC, _PR_TSC_SIGSEGV = 26, 2
_PR_MCE_KILL, _PR_MCE_KILL_SET, _PR_MCE_KILL_EARLY = 33, 1, 1
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_MPOL_INTERLEAVE = 3
_KEYCTL_JOIN_SESSION_KEYRING = 1

# Numbers on x86-64, the one architecture that the mirror knows so far.
_SYS_SET_MEMPOLICY = 238
_SYS_KEYCTL = 250


def supported():
    return platform.machine() == "x86_64"


def _check(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _prctl(option, *arguments):
    padded = list(arguments) + [0] * (4 - len(arguments))
    _check(_libc.prctl(option, *[ctypes.c_ulong(a) for a in padded]))


def ignore(*numbers):
    def apply():
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    return apply


def block(*numbers):
    return lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def close(*descriptors):
    def apply():
        for descriptor in descriptors:
            os.close(descriptor)
    return apply


def limit(which, soft, hard):
    return lambda: resource.setrlimit(which, (soft, hard))


def interval_timer():
    """bash inherits it across execve; what bash forks doesn't."""
    signal.setitimer(signal.ITIMER_REAL, 300)


def no_transparent_huge_pages():
    _prctl(_PR_SET_THP_DISABLE, 1)


def timer_slack():
    _prctl(_PR_SET_TIMERSLACK, 123456)


def early_machine_check_kill():
    _prctl(_PR_MCE_KILL, _PR_MCE_KILL_SET, _PR_MCE_KILL_EARLY)


def interleaved_memory():
    nodes = ctypes.c_ulong(1)
    _check(_libc.syscall(ctypes.c_long(_SYS_SET_MEMPOLICY), ctypes.c_long(_MPOL_INTERLEAVE),
                         ctypes.byref(nodes), ctypes.c_ulong(64)))


def permissive_seccomp_filter():
    """A filter that allows everything: seen in the status, and inherited."""
    class Instruction(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte),
                    ("k", ctypes.c_uint)]

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]

    return_allow = Instruction(0x06, 0, 0, 0x7FFF0000)
    program = Program(1, ctypes.pointer(return_allow))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _check(_libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER),
                       ctypes.byref(program), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def join_session_keyring():
    """A keyring of this test's own, so that its number is the same in all runs. May fail."""
    _libc.syscall(ctypes.c_long(_SYS_KEYCTL), ctypes.c_long(_KEYCTL_JOIN_SESSION_KEYRING), None)
