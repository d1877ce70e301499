"""The rules of a bundle's score, written from their documentation: plain loops over the strings, no code of a task."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from gatescope.tasks.base.task import Predict
from gatescope.vocabulary import Vocabulary

FIRST_CODE = 48
DEFAULTS: dict[str, Any] = {"first": 0, "weight": 1.0, "scored": True, "codes": ""}


def strings_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return one object for each string of a table of columns, with the defaults of fields that are left out."""
    count = len(columns.get("text", []))
    return [DEFAULTS | {name: values[k] for name, values in columns.items()} for k in range(count)]


def verdicts(document: dict[str, Any], string: dict[str, Any], log_probs: np.ndarray) -> list[bool]:
    """Return whether each prediction that counts is right."""
    ids = Vocabulary.from_json(document["vocabulary"]).encode(string["text"]).tolist()
    results = []
    for step in range(string["first"], len(ids) - 1):
        scores, following = log_probs[step].astype(float).tolist(), ids[step + 1]
        if document["score"]["rule"] == "argmax":
            results.append(scores.index(max(scores)) == following and not any(map(math.isnan, scores)))
            continue
        row = document["score"]["rows"][ord(string["codes"][step]) - FIRST_CODE]
        possible = {k for k, score in enumerate(scores) if score >= math.log(row["threshold"])}
        required = set(row["required"]) | ({following} if row["next_required"] else set())
        results.append(required <= possible and not possible & set(row["forbidden"]))
    return results


def score(document: dict[str, Any], predict: Predict) -> dict[str, Any]:
    """Return the value, the first failure or the share of each level, and the divergence of a bundle's score."""
    rule = document["score"]
    if rule["rule"] == "nats":
        return {"value": text_loss(document, rule, predict)[0]}
    strings, encode = strings_of(rule["strings"]), Vocabulary.from_json(document["vocabulary"]).encode
    log_probs = list(predict([encode(string["text"])[:-1] for string in strings]))
    right = [verdicts(document, string, rows) for string, rows in zip(strings, log_probs, strict=True)]
    scored = [(s["level"], r) for s, r in zip(strings, right, strict=True) if s["scored"]]
    symbols = [verdict for _, row in scored for verdict in row]
    wrong = [level for level, row in scored if not all(row)]
    share = 1 - len(wrong) / len(scored) if rule["share_of"] == "strings" else sum(symbols) / len(symbols)
    result: dict[str, Any] = {"value": share, "solved": not wrong, "chance": rule["chance"]}
    longer = strings_of(rule["longer"]) if not wrong else []
    levels: dict[int, list[bool]] = {}
    for level, strings_of_level in itertools.groupby(longer, key=lambda string: string["level"]):
        group = list(strings_of_level)
        rows = predict([encode(string["text"])[:-1] for string in group])
        levels[level] = [all(verdicts(document, s, r)) for s, r in zip(group, rows, strict=True)]
        if rule["tried"] is not None and not all(levels[level]):
            break
    if rule["tried"] is None:
        result["shares"] = {str(level): sum(values) / len(values) for level, values in levels.items()} or None
    else:
        result["first_failure"] = min(wrong + [k for k, values in levels.items() if not all(values)], default=None)
    if rule["rule"] == "possible":
        result["gap"] = divergence(rule, strings, log_probs)
    return result


def divergence(rule: dict[str, Any], strings: list[dict[str, Any]], log_probs: list[np.ndarray]) -> float:
    """Return the mean Kullback-Leibler divergence over the places where a drawn string can be."""
    nats = places = 0.0
    for string, rows in zip(strings, log_probs, strict=True):
        for code, predicted in zip(string["codes"], rows.tolist(), strict=True):
            likely = rule["rows"][ord(code) - FIRST_CODE]["likely"]
            if likely is not None:
                terms = [p * (math.log(p) - q) for p, q in zip(likely, predicted, strict=True) if p]
                nats += string["weight"] * sum(terms)
                places += string["weight"]
    return nats / places


def text_loss(document: dict[str, Any], part: dict[str, Any], predict: Predict) -> tuple[float, list[float]]:
    """Return the mean loss over the stretches of a text, and the mean of each."""
    vocabulary = Vocabulary.from_json(document["vocabulary"])
    ids = vocabulary.encode(part["text"])
    nats, targets = [], []
    for start, first, last in part["stretches"]:
        rows = predict([ids[start : last - 1]])[0]
        losses = [-float(rows[k - 1 - start][ids[k]]) for k in range(first, last) if ids[k] < vocabulary.size]
        nats.append(sum(losses))
        targets.append(len(losses))
    return sum(nats) / sum(targets), [n / max(1, t) for n, t in zip(nats, targets, strict=True)]
