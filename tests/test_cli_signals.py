"""SIGINT and SIGTERM end a command with 130 and 143 and one sentence, whatever they meet; and broken surroundings."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest

from withstand import errors
from withstand.cli import Signals, main
from withstand.errors import Stopped, stop_if_asked

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
ON_POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")


class Finalized:
    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


def loop():
    for _ in range(1000):
        stop_if_asked()
    pytest.fail("the loop ended")


def in_a_finalizer(number):
    Finalized(number)
    loop()


def in_a_finalizer_at_the_end(number):
    Finalized(number)


def before_a_half_built_object_goes(number):
    class HalfBuilt:
        def __init__(self):
            signal.raise_signal(number)
            self.workers = []

        def __del__(self):
            self.workers.clear()

    HalfBuilt()


def in_code_that_passes_over_any_exception(number):
    try:
        signal.raise_signal(number)
    except BaseException:
        pass
    loop()


def turned_into_another(number):
    try:
        signal.raise_signal(number)
    except BaseException as problem:
        raise ImportError("cannot import name 'x' from partially initialized module") from problem


def turned_into_wrong_input(number):
    try:
        signal.raise_signal(number)
    except BaseException:
        raise errors.InputError("a file cannot be read") from None


def simply(number):
    signal.raise_signal(number)


WAYS = [
    simply,
    in_a_finalizer,
    in_a_finalizer_at_the_end,
    before_a_half_built_object_goes,
    in_code_that_passes_over_any_exception,
    turned_into_another,
    turned_into_wrong_input,
]


def command(monkeypatch, work):
    """Put a function in the place of `withstand list`."""
    module = ModuleType("withstand.commands.list")
    module.main = work
    monkeypatch.setitem(sys.modules, "withstand.commands.list", module)


@pytest.mark.parametrize(("number", "code"), CODES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_signal_ends_a_command_even_if_its_exception_is_lost(way, number, code, monkeypatch, capsys):
    command(monkeypatch, lambda words: way(number))
    before = [signal.getsignal(each) for each, _ in CODES], sys.unraisablehook
    assert main(["list"]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert before == ([signal.getsignal(each) for each, _ in CODES], sys.unraisablehook)
    stop_if_asked()  # of the next command nothing is asked


def test_another_error_in_a_finalizer_is_still_told(monkeypatch):
    class Bad:
        def __del__(self):
            raise ZeroDivisionError

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: seen.append(found.exc_type))

    def work(words):
        Bad()

    command(monkeypatch, work)
    assert main(["list"]) == 0
    assert seen == [ZeroDivisionError]


SCRIPT = """
import os, signal, sys, time, types
from withstand import cli
from withstand.errors import stop_if_asked
def say(word):
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()
def main(words):
{body}
module = types.ModuleType("withstand.commands.list")
module.main = main
sys.modules[module.__name__] = module
sys.argv = ["withstand", "list"]
raise SystemExit(cli.main())
"""


def script(body, **options):
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    words = [sys.executable, "-c", SCRIPT.format(body=lines)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


STUBBORN = """
while True:
    try:
        say("begun")
        time.sleep(60)
    except BaseException:
        say("passed over")
"""


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_second_signal_ends_at_once_and_a_repeated_one_is_the_same(number, code):
    with script(STUBBORN) as process:
        process.stdout.readline()
        process.send_signal(number)
        process.send_signal(number)  # as timeout does
        assert process.stdout.readline() == "passed over\n"
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=20) == code
        assert len(process.stderr.read().splitlines()) == 1


FORK = """
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGTERM))
if os.fork() == 0:
    os._exit(0)
while True:
    stop_if_asked()
"""


@ON_POSIX
def test_a_signal_that_meets_the_hooks_after_a_fork_is_not_lost():
    with script(FORK) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert len(err.splitlines()) == 1


GROUP = """
ready, begin = os.pipe()
child = os.fork()
if child == 0:
    os.read(ready, 1)
    say("begun")
    time.sleep(0.5)
    say(str(os.getpid()))
    time.sleep(60)
try:
    os.write(begin, b"!")
    time.sleep(60)
except KeyboardInterrupt:
    pass
say(str(os.waitpid(child, 0)[1] >> 8))
"""


@ON_POSIX
def test_forked_children_leave_ctrl_c_to_their_parent_and_end_silently_at_sigterm():
    with script(GROUP, start_new_session=True) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        os.kill(int(process.stdout.readline()), signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "143\n")
    assert len(err.splitlines()) == 1


IMPORTING = """
import sys, time
from withstand import cli
def importing(name):
    sys.stdout.write("importing\\n")
    sys.stdout.flush()
    time.sleep(60)
cli.importlib.import_module = importing
sys.argv = ["withstand", "list"]
raise SystemExit(cli.main())
"""


def test_while_a_command_is_imported_a_signal_ends_the_process():
    words = [sys.executable, "-c", IMPORTING]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert len(process.stderr.read().splitlines()) == 1


@pytest.fixture
def asked():
    """The record of a signal whose exception is lost."""
    errors.asked.append(signal.SIGTERM)
    yield
    errors.asked.clear()


@pytest.mark.usefixtures("asked")
def test_every_long_loop_looks_at_the_record(tmp_path, tiny_split, tiny_model):
    import withstand as ws
    from withstand.copies.layout import CorruptedCopy
    from withstand.copies.writing import write_copy
    from withstand.engine import Engine
    from withstand.evaluation.accuracy import Accuracy
    from withstand.evaluation.loop import measure_all
    from withstand.files import write_whole
    from withstand.sweeps.plan import Plan
    from withstand.sweeps.sweep import sweep
    from withstand.training.trainer import Trainer

    training = ws.Training(epochs=1, batch_size=4)
    trainer = Trainer(tiny_model, tiny_split, objective=ws.PerturbedRisk(), training=training, seed=0, engine=Engine())
    with pytest.raises(Stopped):
        next(trainer.steps())
    with pytest.raises(Stopped):
        next(trainer.more_batches(0))
    with pytest.raises(Stopped):
        measure_all(Accuracy(), tiny_model, tiny_split, seed=0, engine=Engine())
    with pytest.raises(Stopped):
        write_copy(CorruptedCopy(data=ws.Digits(), corruptions=(ws.Contrast(severity=1, pixels=32),)), tmp_path / "a")
    with pytest.raises(Stopped):
        write_whole(tmp_path / "b", b"")
    run = ws.Experiment(data=ws.Toy(), model=ws.MLP())
    with pytest.raises(Stopped):
        sweep(Plan(name="x", entries=(), experiments={"run": run}), tmp_path, None, SimpleNamespace(on_begin=None))
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@ON_POSIX
def test_a_closed_standard_output_is_no_fault():
    words = f"{sys.executable} -m withstand --version >&-"
    found = subprocess.run(words, shell=True, stderr=subprocess.PIPE, text=True)
    assert (found.returncode, found.stderr) == (0, "")


@ON_POSIX
def test_an_output_whose_reader_has_gone_is_told_in_one_sentence():
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run(
        [sys.executable, "-m", "withstand", "--help"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 1
    assert "standard output" in found.stderr


def test_a_working_folder_that_is_gone_is_wrong_usage(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["list", "objectives"]) == 2
    assert "working folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "LOCAL_RANK"])
@pytest.mark.parametrize("text", ["abc", "-1", "1.5"])
def test_what_a_launcher_sets_wrongly_is_wrong_usage(name, text, monkeypatch, capsys, tmp_path):
    for each, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", name: text}.items():
        monkeypatch.setenv(each, value)
    assert main(["train", "--epochs=1", f"--output={tmp_path}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name} must be" in line
    assert text in line
    assert not list(tmp_path.iterdir())


LATE = """
import ctypes
from withstand.cli import main
c = ctypes.CDLL(None)
c.__cxa_atexit(c.getchar, None, None)
c.__cxa_atexit(c.perror, None, None)  # the last comes first, when nothing of Python is left
raise SystemExit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_end_of_the_work_changes_no_exit_code(number):
    words = [sys.executable, "-c", LATE, "list", "objectives"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, **pipes) as process:
        assert process.stderr.readline()
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 0


IN_POLARS = """
import polars, threading
table = polars.LazyFrame({"a": range(1_000_000)}).sort(polars.col("a").hash())
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
while True:
    table.collect()
"""


def test_an_interrupt_that_other_code_raises_itself_ends_a_command_in_one_sentence():
    """Polars catches SIGINT while it works, and raises before the handler of Python runs."""
    with script(IN_POLARS) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(err.splitlines()) == 1, err


def test_no_exception_is_raised_inside_of_polars():
    """Its Rust calls Python, and a signal's exception there ended in a panic, printed with a backtrace."""
    signals = Signals(ends=False)
    try:
        signals.work()
        scope = {"__name__": "polars.io.scan_options"}
        exec("def handled(signals, number): signals(number, __import__('sys')._getframe())", scope)
        scope["handled"](signals, signal.SIGINT)
        with pytest.raises(Stopped):
            stop_if_asked()
    finally:
        signals.restore()


@pytest.mark.parametrize("moment", ["made", "unlinked"])
def test_semaphores_are_made_and_removed_as_a_whole(moment):
    """With a signal between the removal of a semaphore and its report, Python warned of a leak at the end."""
    script = f"""
import multiprocessing, os, signal
from multiprocessing import resource_tracker, synchronize
from withstand.cli import Signals
from withstand.errors import Stopped, stop_if_asked

resource_tracker.ensure_running()
context, signals = multiprocessing.get_context("spawn"), Signals(ends=False)
signals.work()
def then_signal(function):
    def both(*arguments):
        found = function(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return found
    return both
if {moment!r} == "made":
    synchronize.SemLock._make_methods = then_signal(synchronize.SemLock._make_methods)
else:
    synchronize.sem_unlink = then_signal(synchronize.sem_unlink)
lock = context.Lock()
del lock
try:
    stop_if_asked()
except Stopped:
    print("stopped")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "stopped\n", "")


def test_other_threads_end_in_silence_after_a_signal(capsys):
    signals = Signals(ends=False)
    try:
        failure = ConnectionResetError("its worker has ended")
        report = threading.Thread(target=lambda: sys.excepthook(ConnectionResetError, failure, None))
        errors.asked.append(signal.SIGINT)
        report.start()
        report.join()
        assert not capsys.readouterr().err
        errors.asked.clear()
        report = threading.Thread(target=lambda: sys.excepthook(ConnectionResetError, failure, None))
        report.start()
        report.join()
        assert "its worker has ended" in capsys.readouterr().err
    finally:
        signals.restore()
