"""All the ways a text can be meant: what a rule has to look at, so that no spelling hides anything."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import TemplateError, nodes
from jinja2.sandbox import SandboxedEnvironment

DECODE_DEPTH = 3
LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u04cf", "aeopcxyijsdhl"
) | str.maketrans("\u03b1\u03bf\u03c1\u03bd\u03b9", "aopvi")
"""Cyrillic and Greek letters drawn like Latin ones (Unicode TR39 confusables), after case folding."""
UNSEEN = ("Cf", "Mn")
"""Unicode categories that leave a word looking the same: format characters, combining marks."""
ENCODED = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+/_-]{8,}={0,2}|(?:[0-9a-fA-F]{2}){4,})(?![\w+/=-])")
ESCAPED = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})", re.IGNORECASE)
JOINED = re.compile(r"""(['"])((?:(?!\1).)*)\1\s*(?:\|\||\+)\s*(['"])((?:(?!\3).)*)\3""")
COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
TAGS = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
PARAMETER = re.compile(r"\{\{-?\s*(?:params|inputs|tenant|run)\.\w+\s*-?\}\}")
"""Templates that workers bind as values, never as code."""
LONGEST_TEMPLATE = 4_000
FILTERS = {"capitalize", "first", "join", "last", "lower", "replace", "reverse", "string", "title", "trim", "upper"}
GROWING = {"join", "replace"}
"""Filters whose result may be far longer than what they are given; one of them is evaluated, two are not."""


class Reading(NamedTuple):
    """``texts``: each way to read a value, the plainest first; ``opaque``: a template makes it something unknown."""

    texts: list[str]
    opaque: bool


class _Constants(SandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%", "//", "/"})  # never evaluated: their results can be huge


_TEMPLATES = _Constants()


def read(text: str) -> Reading:
    """Every reading of a text, as written, evaluated and decoded; all lower case, in one line."""
    folded = "".join(char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in UNSEEN)
    written = [folded]
    unbound = re.sub(r"\{\{-|-\}\}", lambda mark: mark[0].replace("-", ""), PARAMETER.sub("?", folded))
    opaque = False
    if "{{" in unbound or "{%" in unbound or "{#" in unbound:
        evaluated, opaque = _evaluate(unbound)
        written = [evaluated, TAGS.sub("", evaluated), folded]
    found: list[str] = []
    for meant in written:
        found += _variants(meant, DECODE_DEPTH)
    return Reading(list(dict.fromkeys(found)), opaque)


def fold(text: str) -> str:
    """A text with letter case and look-alike letters folded."""
    return unicodedata.normalize("NFKC", text).casefold().translate(LOOK_ALIKES)


def _variants(text: str, depth: int) -> Iterator[str]:
    joined = _join(ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text))
    for variant in (joined, COMMENT.sub(" ", joined), COMMENT.sub("", joined)):
        plain = re.sub(r"\$\{?ifs\}?", " ", fold(variant))
        plain = re.sub(r"(?<=\w)(?:''|\"\"|\\)(?=\w)", "", plain)  # r""m and r\m are rm to a shell
        yield re.sub(r"\s+", " ", plain).strip()
    if depth:
        for hidden in _decoded(joined):
            yield from _variants(hidden, depth - 1)


def _join(text: str) -> str:
    """Literals that are added up, in SQL or a script, as the one they make: ``'DR' || 'OP'`` is ``'DROP'``."""
    while True:
        joined = JOINED.sub(lambda found: f"{found[1]}{found[2]}{found[4]}{found[1]}", text)
        if joined == text:
            return text
        text = joined


def _evaluate(text: str) -> tuple[str, bool]:
    """A template with its constant expressions evaluated, and whether anything else remained.

    Of what cannot be evaluated, the text constants are kept: they are what it would be built of.
    """
    if len(text) > LONGEST_TEMPLATE:
        return text, True
    try:
        parts = _TEMPLATES.parse(text)
    except (TemplateError, RecursionError):
        return text, True
    opaque = False
    written = []
    for node in parts.body:
        if not isinstance(node, nodes.Output):
            opaque = True
            written += [str(data.data) for data in node.find_all(nodes.TemplateData)]
            continue
        for expression in node.nodes:
            if isinstance(expression, nodes.TemplateData):
                written.append(expression.data)
                continue
            try:
                written.append(_constant(expression))
            except nodes.Impossible:
                opaque = True
                constants = [getattr(each, "value", None) for each in _within(expression, nodes.Const)]
                written += [text for text in constants if isinstance(text, str)]
    return "".join(written), opaque


def _constant(expression: nodes.Expr) -> str:
    """:raises jinja2.nodes.Impossible: if it is not one, or would not be evaluated safely."""
    filters = [str(getattr(each, "name", "")) for each in _within(expression, nodes.Filter)]
    if not set(filters) <= FILTERS or sum(name in GROWING for name in filters) > 1:
        raise nodes.Impossible
    try:
        return str(expression.as_const(nodes.EvalContext(_TEMPLATES)))
    except nodes.Impossible:
        raise
    except Exception:  # whatever a constant of strange types raises, it is no constant text
        raise nodes.Impossible from None


def _within(expression: nodes.Expr, kind: type[nodes.Node]) -> list[nodes.Node]:
    return [*([expression] if isinstance(expression, kind) else ()), *expression.find_all(kind)]


def _decoded(text: str) -> Iterator[str]:
    for token in ENCODED.findall(text):
        for decode in (_from_base64, binascii.unhexlify):
            try:
                plain = decode(token).decode("utf-8")
            except (ValueError, binascii.Error):
                continue
            if len(plain) > 3 and all(char.isprintable() or char.isspace() for char in plain):
                yield plain


def _from_base64(token: str) -> bytes:
    body = token.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
