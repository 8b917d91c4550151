import random, sys, collections
import pytest
from tests.portfolios.services import test_replay as t
from tests.portfolios.services.test_replay import run  # fixture

def diff(a, b):
    out = []
    for k in a:
        for r in a[k]:
            if r not in b[k]:
                # find closest
                c = min((x for x in b[k] if x not in a[k]), key=lambda x: sum(p != q for p, q in zip(x, r)), default=None)
                if c and sum(p != q for p, q in zip(c, r)) < 6:
                    out.append(f"{k}: " + ", ".join(f"{p} | {q}" for p, q in zip(r, c) if p != q))
                else:
                    out.append(f"{k} only first: {r[:9]}")
        if len(a[k]) < len(b[k]): out.append(f"{k}: {len(a[k])} vs {len(b[k])} rows")
    return out

def test_explore(run):
    rnd = random.Random(1)
    seen = collections.Counter(); example = {}
    import time; t0=time.process_time(); n=0
    while time.process_time() - t0 < 60:
        n+=1
        numbers = [rnd.randrange(len(t.POOL)) for _ in range(rnd.choice([2,2,3,3,4]))]
        for name, one, two, dump in (
            ("permute", [sorted(numbers)], [numbers], t.stored),
            ("snap", [[x] for x in sorted(numbers)], [[x] for x in numbers], t.amounts),
        ):
            try:
                with t.undone():
                    t.applied(run, one); a = dump()
                with t.undone():
                    t.applied(run, two); b = dump()
                    if name == "permute":
                        t.applied(run, two); c = dump()
                        for d in diff(b, c):
                            seen["again " + d] += 1; example.setdefault("again "+d, numbers) 
                for d in diff(a, b):
                    seen[name+" "+d] += 1
                    if len(example.setdefault(name+" "+d, numbers)) > len(numbers): example[name+" "+d] = numbers
            except Exception as e:
                key = name + " " + type(e).__name__ + str(e)[:80]
                seen[key] += 1; example.setdefault(key, numbers)
    print(n, "cases")
    for k, c in seen.most_common(60): print(c, example[k], k[:600])
