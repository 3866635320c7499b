"""What strangers send: documents that are nearly right, bytes that are nearly a file. Strategies for hypothesis."""

import copy

from hypothesis import strategies as st

# values that programs trip over: wrong types, numbers at and beyond limits, names that lead elsewhere
STRANGE = st.one_of(
    st.sampled_from(
        [
            *(None, True, False, -1, 0, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 0.5, -0.0, 1e308, -1e308, 1e-320),
            *(float("nan"), float("inf"), float("-inf"), "", "0", "-1", "x", "\x00", "a\nb", "../../etc/passwd", "/"),
            *("9" * 5000, "\u202e", "é" * 300, [], {}, [[]], [{}], {"id": 1}, [None], [1, 2], "PPYo1", [[1e9] * 6]),
        ]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=8),
).map(copy.deepcopy)  # the sampled ones would be changed by the next change otherwise


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _places(value[index], (*path, index))


@st.composite
def nearly(draw, document, changes=3):
    """A right document of dictionaries and lists with up to so many values replaced, left out or doubled."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, changes))):
        places = list(_places(document))
        path = draw(st.sampled_from(places))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(STRANGE)
            continue
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "leave out", "double"]))
        if what == "replace":
            parent[path[-1]] = draw(STRANGE)
        elif what == "leave out":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
    return document


@st.composite
def nearly_bytes(draw, data, changes=4):
    """A right file with bytes changed, cut off, doubled or put in."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, changes))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        what = draw(st.sampled_from(["change", "change", "number", "cut", "put in", "double"]))
        if what == "change":
            data[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif what == "number":  # a length or a size: all of its bytes high, or zero
            data[place : place + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"])
            )
        elif what == "cut":
            del data[place:]
        elif what == "put in":
            data[place:place] = draw(st.binary(max_size=16))
        else:
            data[place:place] = data[place : place + 200]
    return bytes(data)


def answer(function, *arguments, errors):
    """What a function gives, or None where it refuses in one sentence; any other error is the test's."""
    try:
        return function(*arguments)
    except errors as error:
        message = str(error)
        assert message, "an error without a sentence"
        assert "\n" not in message, message
        assert len(message) < 600, message
        return None
