"""The recorded bytes of k1, which never change."""

from __future__ import annotations

import ast
import importlib
import re
import urllib.parse  # noqa: F401 - a vector names it
from pathlib import Path

import pytest

from patterns.kernel import canonical
from patterns.kernel.canonical import digest, encode

ROOT = Path(__file__).parent.parent.parent
USED = ("collections", "datetime", "decimal", "http", "json", "pathlib", "socket", "urllib", "uuid")
MODULES = {name: importlib.import_module(name) for name in USED}

# Python expression, k1 text, digest. Never change a line: recorded keys would be lost.
VECTORS = [
    (
        "{}",
        "{}",
        "k1:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    ),
    (
        '{"order_id": "A1", "amount": 20}',
        '{"amount":20,"order_id":"A1"}',
        "k1:ec7536e2b4c37f6ebe87ad403c4548c2b8a8d6cd2e5d132a5e37720668253001",
    ),
    (
        '{"b": [], "a": {}, "B": None, "": True, "\\u00e9": False}',
        '{"":true,"B":null,"a":{},"b":[],"\xe9":false}',
        "k1:5d9d075ff48314beeb43a349ad68f6f633d4017333af336784e757d4112ce2ee",
    ),
    (
        '{"\\ufb33": 1, "\\U0001f600": 2}',
        '{"\ufb33":1,"\U0001f600":2}',
        "k1:29a6ca639c9719606dbb5e9232f6950566adccb2c7d17875980615bfc667e196",
    ),
    (
        "[0, -1, 2**53, 2**53 + 1, -(2**63), 2**64]",
        "[0,-1,9007199254740992,9007199254740993,-9223372036854775808,18446744073709551616]",
        "k1:639ba00492b497403225a2638a171bce7b5565ebc6e63e412d597b0b9e2673a6",
    ),
    (
        '[1, 1.0, True, "1"]',
        '[1,1.0,true,"1"]',
        "k1:67139567bb22369847c4475afc8d6e8b544242c0400404331aaba87e9e620c45",
    ),
    (
        "[0.0, -0.0, 0.5, 100.0, 1e15, 1e16, 1.5e300, 0.0001, 0.00001, 5e-324, 1/3]",
        "[0.0,0.0,0.5,100.0,1000000000000000.0,1e+16,1.5e+300,0.0001,1e-05,5e-324,0.3333333333333333]",
        "k1:d5a38540d5ffb805f65fdbb23d9a55b1433dc8183ba33059071df65dcb202658",
    ),
    (
        '["\\x00\\x08\\t\\n\\x0b\\x0c\\r\\x1f \\"\\\\/\\x7f", "\\u20ac\\u2028\\U0001f600"]',
        '["\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f \\"\\\\/\x7f","\u20ac\u2028\U0001f600"]',
        "k1:4403fd7bdc5c11f7833aba8a7fbb9671010ed690a33b27374b7e25ba2777eb33",
    ),
    (
        '("a", ["b"])',
        '["a",["b"]]',
        "k1:119b2cccb78d8af00d43200f37c2282fbae33a035328471f7acb7326c04b289f",
    ),
    (
        '{"$decimal": "1", "$": 2, "$$x": 3, "x$": 4}',
        '{"$$":2,"$$$x":3,"$$decimal":"1","x$":4}',
        "k1:b7a4c3322076c9687547edf05a71afab170084f2e9a82f3aac410e4f75a7083e",
    ),
    (
        '{1: "a", "1": "b", None: "c"}',
        '{"$dict":[["1","b"],[1,"a"],[null,"c"]]}',
        "k1:e18177de4a8624a42ecb6592e58ebd189e6079b084fb4dd66acc98c862c329e8",
    ),
    (
        '{(1, 2): {"x": 1}}',
        '{"$dict":[[[1,2],{"x":1}]]}',
        "k1:ba64c117a70a8f71d702738ec46cc6590a9b17117677ce1ad7e69cf7aea24911",
    ),
    (
        'decimal.Decimal("20.00")',
        '{"$decimal":"2E1"}',
        "k1:5ab2a25cef758ffa680bf6f452d53f2a9e7a0989b598c0ea0701864fa8913e47",
    ),
    (
        '[decimal.Decimal("-0.0"), decimal.Decimal("-12.340"), decimal.Decimal("1E+3"), decimal.Decimal("0.001")]',
        '[{"$decimal":"0"},{"$decimal":"-1234E-2"},{"$decimal":"1E3"},{"$decimal":"1E-3"}]',
        "k1:9ac92c4be3fbccf3069c1b3e87fff5d4105a7651caccd61a76ff59ee55e25dc7",
    ),
    (
        "datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))",
        '{"$datetime":"2026-03-01T10:30:00.000000Z"}',
        "k1:58c2cd376effeffbafee46e5e7574b58f8f9473d820ef49868dfdab10bde027c",
    ),
    (
        "datetime.datetime(2026, 3, 1, 12, 30, 0, 7)",
        '{"$datetime":"2026-03-01T12:30:00.000007"}',
        "k1:8af91e43c800cebdeef14667d74aa3bde837be7c4a726851e4c3774defbf342a",
    ),
    (
        "[datetime.date(2026, 3, 1), datetime.time(12, 30), datetime.time(12, 30, tzinfo=datetime.timezone.utc)]",
        '[{"$date":"2026-03-01"},{"$time":"12:30:00.000000"},{"$time":"12:30:00.000000+00:00"}]',
        "k1:38b7ee9c451b25ba724585b89b4fa6b7ff497a6b921b5a49d30de99f1ce2d209",
    ),
    (
        "[datetime.timedelta(days=1), datetime.timedelta(microseconds=-1)]",
        '[{"$timedelta":86400000000},{"$timedelta":-1}]',
        "k1:835fb87f539679a63130bf7d9471c2f0504d551bf4d8966a59a56177cd282cf1",
    ),
    (
        'uuid.UUID("12345678-1234-5678-1234-567812345678")',
        '{"$uuid":"12345678-1234-5678-1234-567812345678"}',
        "k1:7bc0df9d2423936a0585eaddac91c7c42e264a8bd4b80e3e1c7ed5c83389d13b",
    ),
    (
        '[b"", b"\\x00\\xff", bytearray(b"abc"), memoryview(b"abc")]',
        '[{"$bytes":""},{"$bytes":"AP8="},{"$bytes":"YWJj"},{"$bytes":"YWJj"}]',
        "k1:083b79ca2ce371a39e55d491059de8ad55fdfb271e864c768e7fdd8e551dace5",
    ),
    (
        '[set(), {3, 20, "b", "a"}, frozenset({(1, 2)})]',
        '[{"$set":[]},{"$set":["a","b",20,3]},{"$set":[[1,2]]}]',
        "k1:1e37feb76b7c454c97e53f6ed306747645b39ef3019e1107a1baa35be3dcfa5d",
    ),
    (
        '[pathlib.PurePosixPath("/tmp/a//b"), pathlib.PureWindowsPath("C:/Temp")]',
        '[{"$path":["posix","/tmp/a/b"]},{"$path":["windows","c:\\\\temp"]}]',
        "k1:9a8a68bfc3afdcb9bb271b5d24d67cd1d094386bdf6476c04be772639e43b383",
    ),
    (
        "[http.HTTPStatus.OK, socket.AI_CANONNAME]",
        '[{"$enum":["http:HTTPStatus","OK"]},{"$enum":["socket:AddressInfo",2]}]',
        "k1:d8886cdae76451a75b05f7639eadcaa84f3046ffb81d135782928f7acd4593ff",
    ),
    (
        'urllib.parse.urlsplit("https://a.example/b?c#d")',
        '{"$record":["urllib.parse:SplitResult",{"fragment":"d","netloc":"a.example","path":"/b","query":"c","scheme":"https"}]}',
        "k1:a62f07d63c9f66606f04a56cb5110aa8e3c92a82731929916295088d678cb6b2",
    ),
    (
        "[int, len, json.loads, collections.OrderedDict]",
        '[{"$type":"builtins:int"},{"$function":"builtins:len"},{"$function":"json:loads"},{"$type":"collections:OrderedDict"}]',
        "k1:8f3f46d034fa17161c23b5f559a60638a31f823df91cb62b92c10c321ec6277b",
    ),
    (
        'collections.OrderedDict([("b", 1), ("a", 2)])',
        '{"a":2,"b":1}',
        "k1:d3626ac30a87e6f7a6428233b3c68299976865fa5508e4267c5415c76af7a772",
    ),
]


@pytest.mark.parametrize("encoder", ["orjson", "json"])
@pytest.mark.parametrize(("expression", "expected", "key"), VECTORS, ids=[line[0] for line in VECTORS])
def test_the_bytes_never_change(expression, expected, key, encoder, monkeypatch):
    """Each vector gives the recorded bytes and digest, whichever encoder there is."""
    if encoder == "orjson":
        pytest.importorskip("orjson", reason="the extra `fast` is not installed")
    monkeypatch.setattr(canonical, "_quick", getattr(canonical, f"_by_{encoder}")())
    value = eval(expression, dict(MODULES))  # noqa: S307 - the expressions are above
    assert expected.encode() == encode(value)
    assert key == digest(value)


def test_the_specification_has_the_same_vectors():
    """docs/encoding.md and this file agree line by line."""
    page = (ROOT / "docs" / "encoding.md").read_text()
    shown = re.search(r"^VECTORS = (\[.*?^\])", page, re.MULTILINE | re.DOTALL)
    assert VECTORS == ast.literal_eval(shown[1])
