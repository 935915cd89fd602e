"""`ws.tables`: frames, models, labels, radii, changes, limits and rules that are not as they should be."""

import random
from pathlib import Path

from fuzzing.calls import EFFORT, ODD, PRELUDE
from fuzzing.case import Case

SETTING = f"""{PRELUDE}
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
t = np.arange(16)
numbers = pandas.DataFrame({{"age": t * 7 % 16, "low": t * 5 % 16 / 8, "high": t * 3 % 16 / 4}})
numbers["total"] = numbers["low"] + numbers["high"]
frame = numbers.assign(plan=list("abca") * 4, flag=t % 3 == 0, when=pandas.date_range("2020", periods=16))
array, labels = numbers.to_numpy(), (numbers["total"] > 3).astype(int).to_numpy()
def score(table):
    "Answer for any table: a mouthful of numbers counts, other cells are 0."
    columns = table.T if isinstance(table, np.ndarray) else [list(table[name]) for name in table.columns]
    columns = [pandas.to_numeric(pandas.Series(list(each)), errors="coerce") for each in columns]
    total = np.tanh(np.nan_to_num(np.stack(columns, 1).astype(float)) / 4).sum(1)
    return np.stack([1 / (1 + np.exp(total - 2)), 1 / (1 + np.exp(2 - total))], 1)
tree, line = DecisionTreeClassifier(random_state=0).fit(numbers, labels), LogisticRegression().fit(numbers, labels)
class Odd:
    def __init__(self, classes, answer): self.classes_, self.answer = classes, answer
    def predict_proba(self, table): return self.answer(score(table))
"""
BASES = (
    ("frame", "score", {"changes": "{'plan': ['a', 'b']}", "rules": "['low <= high']", "limits": "{'age': (0, 16)}"}),
    ("polars.DataFrame(frame.to_dict('list'))", "score", {"changes": "{'plan': ['a', 'b']}", "rules": "['total == low + high']"}),
    ("numbers", "tree", {"rules": "['total == low + high']"}),
    ("numbers", "line", {"limits": "{'low': (0, None)}"}),
    ("array", "score", {"names": "['age', 'low', 'high', 'total']"}),
)  # fmt: skip
CLEAN = {"y": "labels", "radius": "{'age': 2, 'low': 0.5}", "changes": "None", "unit": "'raw'", "norm": "'linf'", "limits": "None", "rules": "()", "names": "()", "budget": "'quick'", "seed": "0"}  # fmt: skip
FURTHER = {
    "robustness": {"num_mean": "4", "exact": "False"},
    "fragility": {},
    "compare": {"num_mean": "4", "errors": "0.1"},
}
WRONG: dict[str, tuple[str, ...]] = {
    "X": (
        "frame[:0]", "frame[:1]", "frame[[]]", "numbers.iloc[:, [0, 0]]", "frame.assign(age=np.inf)", "frame.assign(age=None)",
        "frame.assign(age=np.nan)", "frame.assign(age=1e308 * np.sign(t - 8))", "frame.assign(age=5e-324)", "frame.assign(low=2**63)",
        "frame.assign(age=2**62 + t)", "frame.assign(age=pandas.array([None, 1] * 8, 'Int64'))", "frame.assign(age=t.astype('uint8'))",
        "frame.assign(low=pandas.array([None, 1.5] * 8, 'Float64'))", "frame.assign(low=pandas.Series([None, 'x'] * 8))",
        "frame.assign(age=[[1]] * 16)", "frame.assign(age=[{}] * 16)", "frame.assign(age=t * 1j)", "frame.assign(age=[10**400] * 16)",
        "frame.assign(age=[b'x', 1] * 8)", "frame.assign(age=frame['when'])", "frame.assign(age=frame['when'].diff())",
        "frame.assign(plan=pandas.Categorical(frame['plan']))", "frame.assign(plan=[None, 'a'] * 8)", "frame.assign(plan=[np.nan, 'a'] * 8)",
        "frame.assign(plan=[f'p{n}' for n in t])", "frame.assign(plan=[1, 'a', None, True] * 4)", "frame.assign(plan=pandas.Series(['\\udcff', 'a'] * 8, dtype=object))",
        "frame.assign(plan=pandas.arrays.SparseArray(t))", "frame.assign(age=pandas.arrays.SparseArray(t))", "frame.assign(age=t.astype('float16'))",
        "frame.assign(plan=pandas.interval_range(0, 16))", "frame.assign(plan=pandas.period_range('2020', periods=16, freq='D'))",
        "frame.rename(columns={'age': 7})", "frame.rename(columns={'age': None})", "frame.rename(columns={'age': ('a', 'b')})",
        "frame.rename(columns={'age': ''})", "frame.rename(columns={'age': 'a`b\\nc'})", "frame.set_axis(pandas.Index(['\\udcff', *frame.columns[1:]], dtype=object), axis=1)",
        "numbers.set_axis(pandas.MultiIndex.from_product([['a', 'b'], [1, 2]]), axis=1)", "frame.set_index('plan')",
        "frame.set_index(pandas.Index([0] * 16))", "frame.to_dict('list')", "frame.T", "frame['age']", "array[0]", "array[None]",
        "array * np.nan", "array * 1j", "array.astype(object)", "array.astype('float16')", "array > 1", "np.ma.masked_greater(array, 1)",
        "torch.tensor(array)", "scipy.sparse.csr_matrix(array)", "np.zeros((16, 0))", "np.zeros((0, 4))", "polars.DataFrame()",
        "polars.DataFrame({'age': [None] * 16})", "polars.DataFrame({'age': [[1]] * 16})", "polars.DataFrame({'age': [2**64 - 1] * 16})",
        "polars.DataFrame({'age': [b'x'] * 16})", "polars.DataFrame({'age': t, 'low': ['a', None] * 8})", "polars.LazyFrame({'age': t})",
        "polars.DataFrame({'age': t}, schema={'age': polars.Decimal(20, 2)})", "polars.DataFrame({'age': t}).with_columns(low=polars.duration(days=1))",
        "polars.DataFrame({'age': t, 'plan': ['a', 'b'] * 8}, schema_overrides={'plan': polars.Enum(['a', 'b'])})",
        "polars.DataFrame({'age': t, 'low': [object()] * 16}, strict=False)", "polars.DataFrame({'age': t, 'plan': [{'a': 1}] * 16})",
    ),
    "y": (
        "labels[:3]", "labels + 7", "labels.astype(str)", "labels * 0.5", "[None] * 16", "np.eye(2)[labels]", "labels == 1", "[0, '1'] * 8",
        "labels * np.nan", "[[0]] * 16", "pandas.Series(labels)", "polars.Series(labels)", "labels[:, None]", "[{}] * 16", "[-0.0, 1] * 8",
        "np.ma.masked_equal(labels, 1)", "torch.tensor(labels)", "frame", "frame['when']", "pandas.Categorical(labels)", "['\\udcff'] * 16",
    ),
    "model": (
        "Odd([0, 1], lambda p: p * np.nan)", "Odd([0, 1], lambda p: -p)", "Odd([0, 1], lambda p: p[:1])", "Odd([0, 1], lambda p: p[:, :1])",
        "Odd([0, 1], lambda p: p[..., None])", "Odd([0, 1], lambda p: p.astype(str))", "Odd([0], lambda p: p)", "Odd([0, 0], lambda p: p)",
        "Odd(['x'], lambda p: p[:, :1])", "Odd(None, lambda p: p)", "Odd(3, lambda p: p)", "Odd([[0], [1]], lambda p: p)", "Odd([], lambda p: p)",
        "Odd([0, 1], lambda p: p * 1e308 * 10)", "Odd([0, 1], lambda p: p * 0)", "Odd([0, 1], lambda p: [list(e) for e in p])",
        "Odd([np.nan, 1], lambda p: p)", "Odd([{}, 1], lambda p: p)", "Odd([0, 1], lambda p: 1 / 0)", "Odd([0, 1], lambda p: torch.tensor(p))",
        "lambda table: score(table).argmax(1)", "lambda table: [None] * len(table)", "lambda table: 3", "lambda table: np.zeros((len(table), 0))",
        "DecisionTreeClassifier()", "DecisionTreeClassifier", "DecisionTreeClassifier().fit(array[:, :1], labels)", "net", "Detached()",
        "DecisionTreeClassifier().fit(numbers, numbers[['age', 'low']] > 1)", "DecisionTreeClassifier().fit(numbers, [0] * 16)",
        "ws.RobustClassifier(epochs=1, device='cpu')", "lambda: 3", "type('M', (), {'predict': 3})()",
    ),
    "radius": (
        "0.5", "0", "-1", "np.float32(1)", "np.array(1.0)", "torch.tensor(1.0)", "'0.5'", "{}", "[0.5] * 4", "1e308", "5e-324", "10**400",
        *(f"{{{key}: {value}}}" for key in ("'age'", "'plan'", "'when'", "'flag'", "'x'", "1", "None", "('a', 'b')") for value in ("1", "0")),
        *(f"{{'age': {value}}}" for value in ("-1", "float('nan')", "float('inf')", "'1'", "None", "True", "10**400", "[1]", "1e308", "1j", "{}")),
    ),
    "changes": (
        "{}", "{'plan': 'ab'}", "{'plan': []}", "{'plan': ['a']}", "{'plan': ['a', 'a']}", "{'plan': ['a', 'z']}", "{'plan': None}", "{'plan': True}",
        "{'plan': [['a']]}", "{'plan': [None, 'a']}", "{'plan': [float('nan'), 'a']}", "{'plan': 3}", "{'plan': {'a': ['b']}}", "{'plan': {'a': 1}}",
        "{'plan': [['a', 'b'], ['b', 'c']]}", "{'plan': iter('ab')}", "{'plan': {'a', 'b'}}", "{'age': [1, 2]}", "{'low': [0.0, 0.125]}",
        "{'flag': [True, False]}", "{'flag': [0, 1]}", "{'when': list(frame['when'][:2])}", "{'when': ['2020-01-01', 'x']}", "{'x': ['a']}", "{1: [2]}",
        "{None: ['a']}", "{'plan': ['a', 'b'], 'age': [0, 7]}", "{'plan': 'any'}", "{'plan': np.array(['a', 'b'])}", "{'plan': [{}]}", "{'plan': ring}",
    ),
    "limits": (
        "{'x': (0, 1)}", "{'plan': (0, 1)}", "{1: (0, 1)}", "{'total': (0, 3)}", "{None: (0, 1)}",
        *(f"{{'age': {value}}}" for value in ("(5, 1)", "(0,)", "(0, 1, 2)", "3", "None", "'ab'", "(None, None)", "(float('nan'), 1)", "(None, float('nan'))", "('0', 1)",
          "(float('-inf'), float('inf'))", "(0, 10**400)", "(100, 200)", "(0.5, 0.6)", "(True, 2)", "{}", "[0, 16]", "np.array([0, 16])", "(0, 1j)", "(1e308, None)")),
    ),
    "rules": (
        "'low <= high'", "[3]", "[None]", "{'a': 1}", "iter(['low <= high'])", "['low <= high'] * 300", "['low <= high', 'high <= low']",
        "['low <= ' + ' + '.join(['high'] * 3000)]", "['(' * 5000]", "['low <= ' + '-' * 5000 + 'high']", "['low <= high', 'low >= high', 'low == 0.3']",
        "['total == low + high', 'low == total - high']", "['total == low + high', 'high == age']", "['age == low', 'low == high', 'high == age']",
        *(f"[{rule!r}]" for rule in ("", "low", "low <=", "<= low", "low <= high <= total", "low == low", "0 == 1", "low = high", "1 <= 2", "low <= nan", "low <= 1e400",
          "low <= 1e-400", "low * high <= 3", "low * 1e308 <= high", "low / 0 <= 1", "low ^ 2 <= 1", "plan <= 1", "plan == 'a'", "if plan == 'a': low <= high", "if low > 1: high == 2", "if x: y", "if low <= 1: plan == 'b'", "when <= 1", "flag <= 1", "x <= 1",
          "`low` <= 3", "low <= \n high", "low <= high; high", "low == high", "low != high", "low < high", "total == low + high + 1e-9",
          "low == 0.5 * age", "0 * low <= 0", "0 * low == 1", "__import__('os').system('touch executed') <= 1", "\udcff <= 1", "\0", "low <= ٣", "low => high")),
    ),
    "names": ("['a', 'b']", "['a'] * 4", "[1, 2, 3, 4]", "[None] * 4", "'abcd'", "[['a']] * 4", "['', ' ', 'a b', '\\udcff']", "np.array(list('abcd'))", "{'a': 1}"),
    "unit": ("'std'", "'iqr'"),
    "norm": ("'l1'", "'l2'", "'l0'"),
    "budget": ("'standard'", "'strong'"),
    "num_mean": ("0", "1"),
    "exact": ("True", "0.01", "-1.0"),
    "errors": ("0.0", "0.99", "1.0", "-0.1"),
}  # fmt: skip


def tables(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Replace one or two arguments of a call that is right as it stands, and print what comes out."""
    name = rng.choice(list(FURTHER))
    table, model, own = rng.choice(BASES)
    given = {"model": model, "X": table, **CLEAN, **own, **FURTHER[name]}
    changed = rng.sample(list(given), rng.choice((1, 1, 2)))
    for each in changed:
        given[each] = rng.choice(WRONG[each] if each in WRONG and rng.random() < 0.8 else ODD)
    damage = ", ".join(f"{each}={given[each]}" for each in changed)
    model, table = given.pop("model"), given.pop("X")
    if name == "compare":
        model = f"{{'a': {model}, 'b': score}}" if rng.random() < 0.9 else model
    words = ", ".join(f"{each}={value}" for each, value in given.items())
    code = f"{SETTING}found = ws.tables.{name}({model}, {table}, {words})\nstr(found), found.notes\n"
    if name == "fragility":
        code += "found.write('page.html')\n"
    return Case(code=code, damage=f"{name}: {damage}", may_be_long=any(each in damage for each in EFFORT))
