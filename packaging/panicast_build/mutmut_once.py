# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs mutmut, but collects the tests once: to collect them takes longer than to run those that
notice a mistake.

It also tries what runs only while modules are loaded, such as what makes tables. mutmut alone makes
all mistakes after that. It leaves out what changes nothing: the case of SQL's words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import libcst
import pytest
from _pytest.config import _prepareconfig
from mutmut import __main__ as mutmut
from mutmut.mutation import mutators
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.runners.harness import BadTestExecutionCommandsException, PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd
from mutmut.utils.format_utils import mangled_name_from_mutant_name
from mutmut.workers import isolation

#: Where mutmut keeps the tree with the mistakes.
TREE = "mutants"
#: Seconds of processor time that a mistake may take more than its tests took: what takes longer never ends.
MORE_CPU_S = 10
#: Strings of SQL: statements, and parts of them. Values between quotes have a case, such as a group's state.
_SQL = re.compile(
    r"""^["'](?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|BEGIN|COMMIT|ROLLBACK|VACUUM|WITH)\b"""
    r"""|\b(?:FROM|WHERE|AND|OR|SET|VALUES|JOIN|ON CONFLICT|(?:ORDER|GROUP) BY|LIMIT|IS (?:NOT )?NULL)\b"""
)
_VALUE = re.compile(r"(?<!^)'[^']*'(?!$)")


class Once(PytestRunner):
    """Runs some of the tests that were collected. Each mistake has a process of its own, forked from
    the one that collected them."""

    def collect(self) -> None:
        """Collects all tests, and finds out what runs while they and the modules are loaded."""
        _forget_modules()
        set_mutant_under_test("stats")
        with change_cwd(TREE):
            # Named as in mutmut's own runs.
            options = ["--rootdir=.", "--tb=no", "-q", "-x", *self._pytest_add_cli_args_test_selection]
            config = _prepareconfig(options)
            self.session = pytest.Session.from_config(config)
            config._do_configure()
            config.hook.pytest_sessionstart(session=self.session)
            config.hook.pytest_collection(session=self.session)
        set_mutant_under_test("")
        self.items = {item.nodeid: item for item in self.session.items}
        self.loading = set(state()._stats)

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Runs these tests, the quickest of which come first, until one fails; returns 0 if none does."""
        if mutant_name is None:
            return int(super().run_tests(mutant_name=None, tests=tests))
        self.session.items = [self.items[name] for name in tests]
        with change_cwd(TREE):
            try:
                self.session.config.hook.pytest_runtestloop(session=self.session)
            except pytest.Session.Failed:
                return 1
        if self.session.testsfailed or mangled_name_from_mutant_name(mutant_name) not in self.loading:
            return int(bool(self.session.testsfailed))
        _forget_modules()
        try:
            return int(super().run_tests(mutant_name=mutant_name, tests=()))
        except BadTestExecutionCommandsException:
            # The modules cannot even be loaded.
            return 1


class Runner(isolation.ForkRunner):
    """Begins with what all mistakes share."""

    def __init__(self, max_workers: int = 1) -> None:
        self._tests = Once()
        super().__init__(max_workers, self._tests)

    def startup(self) -> None:
        """Collects the tests, before the first fork."""
        self._tests.collect()
        super().startup()

    def run_clean_tests(self, tests: Iterable[str]) -> int:
        """Runs nothing: without a mistake, all have just passed."""
        return 0

    def submit(self, mutant_name: str, tests: list[str], cpu_time_limit: int, estimated_time: float) -> None:
        """Tries a mistake. On a busy machine tests wait long; they compute no longer than elsewhere."""
        super().submit(mutant_name, tests, MORE_CPU_S + int(estimated_time), estimated_time)


def same_sql(old: str, new: str) -> bool:
    """Tells whether two strings, with the quotes of Python, are the same SQL: only the case of words and
    names differs."""
    if not _SQL.search(old) or old.lower() != new.lower():
        return False
    return _VALUE.findall(old) == _VALUE.findall(new)


def _strings(node: libcst.BaseString) -> Iterator[libcst.BaseString]:
    """Yields mutmut's mistakes of a string without those that leave its SQL as it is."""
    for made in mutators.operator_string(node):
        one, other = (getattr(string, "value", "") for string in (node, made))
        if not same_sql(one, other):
            yield made


def _forget_modules() -> None:
    """Has Python load those modules anew that have mistakes in them."""
    tree = Path(TREE).resolve()
    for name, module in list(sys.modules.items()):
        if tree in Path(getattr(module, "__file__", None) or "/").resolve().parents:
            del sys.modules[name]


if __name__ == "__main__":
    mutmut.get_mutant_runner = Runner  # type: ignore[attr-defined]
    mutators.mutation_operators[:] = [  # type: ignore[index]
        (kind, _strings if made is mutators.operator_string else made)
        for kind, made in mutators.mutation_operators
    ]
    mutmut.cli()
