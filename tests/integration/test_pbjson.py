# SPDX-License-Identifier: Apache-2.0
"""Our ProtoJSON beside Google's (google.protobuf.json_format), on messages of every kind of field.

What each writes the other must read as the same message. What ours accepts Google's accepts, as the same
message; ours is the stricter one, on purpose, so the reverse does not hold.
"""

import decimal
import json
import math
import struct
import subprocess

import pytest
from env import program
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

TESTS = program.BUILD / "tests"


class Testee:
    """tests/lib/all_types/pbjson_testee, kept running."""

    __test__ = False

    def __init__(self):
        self.process = subprocess.Popen([TESTS / "pbjson_testee"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, kind, content):
        self.process.stdin.write(kind + struct.pack("<I", len(content)) + content)
        self.process.stdin.flush()
        answer, size = struct.unpack("<cI", self.process.stdout.read(5))
        content = self.process.stdout.read(size)
        if answer != b"=":
            raise ValueError(content.decode())
        return content

    def packed(self, text):
        return self.ask(b"j", text.encode("utf-8", "surrogatepass"))

    def json(self, packed):
        return self.ask(b"p", packed).decode()


@pytest.fixture(scope="module")
def testee():
    result = Testee()
    yield result
    result.process.stdin.close()
    assert result.process.wait(10) == 0


def load():
    files = descriptor_pb2.FileDescriptorSet.FromString(
        (TESTS / "lib/all_types/gen/all_types.pb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName("test.v1.AllTypes")
    if hasattr(message_factory, "GetMessageClass"):
        return pool, message_factory.GetMessageClass(descriptor)
    return pool, message_factory.MessageFactory(pool).GetPrototype(descriptor)


POOL, AllTypes = load()


def same(a, b):
    return a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)


# ---- messages ----


def plain(real):
    """Without what JSON, or protobuf-c, does not tell: one NaN, and no -0.0 (not packed: it equals 0)."""
    return math.nan if math.isnan(real) else real + 0.0


text = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False).map(plain) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6)
paths = st.from_regex(r"[a-z]{1,3}(_[a-z]{1,3})?(\.[a-z]{1,3})?", fullmatch=True)
SCALARS = {
    F.CPPTYPE_INT32: st.integers(-2**31, 2**31 - 1),
    F.CPPTYPE_INT64: st.integers(-2**63, 2**63 - 1),
    F.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    F.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    # not the largest float: Google's Python refuses the shortest text of it, 3.4028235e+38
    F.CPPTYPE_FLOAT: st.floats(width=32).map(plain).filter(lambda x: not 3.4e38 < abs(x) < math.inf),
    F.CPPTYPE_DOUBLE: st.floats().map(plain),
    F.CPPTYPE_BOOL: st.booleans(),
    F.CPPTYPE_ENUM: st.sampled_from([-1, 0, 1, 2, 77]),
}


@st.composite
def timestamps(draw):
    return {"seconds": draw(st.integers(-62135596800, 253402300799)),
            "nanos": draw(st.sampled_from([0, 5, 5000, 5000000, 999999999]))}


@st.composite
def durations(draw):
    sign = draw(st.sampled_from([-1, 1]))
    return {"seconds": sign * draw(st.integers(0, 315575999999)),
            "nanos": sign * draw(st.sampled_from([0, 1, 1000, 1000000, 999999999]))}


def fill(draw, message, field, slot):
    """Sets one value of @field through @slot(value) or, for a message, in slot() itself."""
    if field.cpp_type != F.CPPTYPE_MESSAGE:
        if field.cpp_type == F.CPPTYPE_STRING:
            slot(draw(text if field.type == F.TYPE_STRING else st.binary(max_size=9)))
        elif field.cpp_type == F.CPPTYPE_ENUM and field.enum_type.name == "NullValue":
            slot(0)
        else:
            slot(draw(SCALARS[field.cpp_type]))
        return
    fill_message(draw, slot())


def fill_message(draw, message):
    message.SetInParent()
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.MergeFrom(type(message)(**draw(timestamps())))
    elif name == "google.protobuf.Duration":
        message.MergeFrom(type(message)(**draw(durations())))
    elif name == "google.protobuf.FieldMask":
        message.paths.extend(draw(st.lists(paths, max_size=3)))
    elif name == "google.protobuf.Value":
        json_format.ParseDict(draw(values), message)
    elif name == "google.protobuf.ListValue":
        json_format.ParseDict(draw(st.lists(values, max_size=3)), message)
    elif name == "google.protobuf.Struct":
        json_format.ParseDict(draw(st.dictionaries(text, values, max_size=3)), message)
    elif name == "google.protobuf.Any":
        inner = AllTypes().inner
        fill_message(draw, inner)
        message.Pack(inner)
    elif name == "test.v1.AllTypes.Inner":
        message.number = draw(SCALARS[F.CPPTYPE_INT32])
        message.text = draw(text)
        if draw(st.booleans()):
            message.inner.text = draw(text)
    else:
        for field in message.DESCRIPTOR.fields:  # wrappers, Empty
            fill(draw, message, field, lambda v, f=field: setattr(message, f.name, v))


@st.composite
def messages(draw):
    message = AllTypes()
    fields = draw(st.lists(st.sampled_from(list(AllTypes.DESCRIPTOR.fields)), max_size=6, unique=True))
    for field in fields:
        here = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            keys = []
            fill(draw, message, key, keys.append)
            if value.message_type:
                fill_message(draw, here[keys[0]])
            else:
                fill(draw, message, value, lambda v: here.__setitem__(keys[0], v))
        elif field.label == F.LABEL_REPEATED:
            for _ in range(draw(st.integers(1, 5))):
                if field.message_type:
                    fill_message(draw, here.add())
                else:
                    fill(draw, message, field, here.append)
        elif field.message_type:
            fill_message(draw, here)
        else:
            fill(draw, message, field, lambda v, f=field: setattr(message, f.name, v))
    return message


relaxed = settings(max_examples=300, deadline=None,
                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@relaxed
@given(messages())
def test_what_ours_writes_google_reads(testee, message):
    written = testee.json(message.SerializeToString())
    assert same(json_format.Parse(written, AllTypes(), descriptor_pool=POOL), message)


@relaxed
@given(messages(), st.booleans(), st.booleans())
def test_what_google_writes_ours_reads(testee, message, defaults, proto_names):
    written = json_format.MessageToJson(
        message, including_default_value_fields=defaults, preserving_proto_field_name=proto_names,
        descriptor_pool=POOL, indent=None)
    assert same(AllTypes.FromString(testee.packed(written)), message)


# ---- texts ----

NUMBERS = ["0", "1", "-1", "1.0", "1.5", "1e2", "1E+2", "100e-2", "1e-1", "2147483647", "2147483648",
           "-2147483648", "-2147483649", "4294967295", "4294967296", "9007199254740993",
           "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615",
           "18446744073709551616", "3.4028235e38", "3.5e38", "1e-50", "1.7976931348623157e308", "1e309",
           "01", "+1", ".5", "1.", "1e", "0x1", "NaN", "Infinity"]
STRINGS = ["", " ", "a", "true", "null", "NaN", "Infinity", "-Infinity", "nan", "inf", "AQID", "AQ==", "AQ",
           "-_", "+/", "A", "RED", "red", "Red", "NULL_VALUE", "fooBar", "foo_bar", "a,b.c", "1s", "1.5s",
           "-1.000000001s", "1.0000000001s", "315576000000.999999999s", "315576000001s", "1970-01-01T00:00:00Z",
           "1970-01-01T00:00:00.5+01:00", "1970-01-01", "10000-01-01T00:00:00Z", "\\ud83d\\ude00",
           "\\u00e9", "\\n"]
VALUES = (NUMBERS + [f'"{n}"' for n in NUMBERS] + [f'"{s}"' for s in STRINGS] +
          ["true", "false", "null", "[]", "[null]", "[1]", '["1"]', '["RED"]', "[[]]", "{}", '{"1":1}',
           '{"true":true}', '{"a":null}', '{"1":{"number":1}}', '{"value":1}', '{"number":1}', '{"nope":1}',
           '{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}',
           '{"@type":"type.googleapis.com/test.v1.AllTypes.Inner","number":7}', '{"@type":"x/y.Z"}'])


def exact_number(written):
    """A number with a point or an exponent. Python's json makes a double of each, in which an integer beyond
    2**53 is another one."""
    exact = decimal.Decimal(written)
    return int(exact) if 2**53 < abs(exact) < 2**64 and exact == int(exact) else float(written)


def without_duplicates(members):
    if len(dict(members)) < len(members):
        raise json_format.ParseError("a key twice")
    return dict(members)


def by_google(document):
    try:
        value = json.loads(document, parse_float=exact_number, object_pairs_hook=without_duplicates)
        return json_format.ParseDict(value, AllTypes(), descriptor_pool=POOL)
    except (json_format.ParseError, ValueError, OverflowError, AttributeError):
        return None


def ours_is_wider(field, value):
    """Where ours takes more than Google's Python does."""
    bare = value.strip('[]"')
    if field.enum_type is not None and bare.lower() == "red":
        return True  # names of enum values in any case of letters
    if value.strip("[]").startswith('"') and ("." in bare or "e" in bare.lower()):
        return True  # integers in quotes with a point or an exponent: protobuf's conformance tests want them
    if bare == "3.4028235e38":
        return True  # rounds to the largest float
    return field.name == "values" and value == "null"  # there Python's raises AttributeError


@pytest.mark.parametrize("field", list(AllTypes.DESCRIPTOR.fields), ids=lambda f: f.name)
def test_what_ours_takes_google_takes_as_the_same(testee, field):
    name = field.json_name.replace('"', '\\"')
    taken = 0
    for value in VALUES:
        document = '{"%s": %s}' % (name, value)
        try:
            packed = testee.packed(document)
        except ValueError:
            continue
        taken += 1
        reference = by_google(document)
        if reference is None:
            assert ours_is_wider(field, value), document
        else:
            assert same(AllTypes.FromString(packed), reference), document
    assert taken, "nothing was taken: the test says nothing"


# Whole documents: fields with values that are right, nearly right and wrong, white space, a key twice.
names = st.sampled_from(list(AllTypes.DESCRIPTOR.fields)).flatmap(
    lambda field: st.sampled_from([field.json_name, field.name])) | st.just("nope")
scalars = st.sampled_from(VALUES) | st.integers(-2**70, 2**70).map(str) | st.floats().map(repr) | text.map(json.dumps)
documents = st.lists(st.tuples(names, scalars | st.lists(scalars, max_size=3).map(lambda v: f"[{','.join(v)}]"),
                               st.sampled_from(["", " ", "\n", "\t", "\r\n", "\0", "/**/", ","])), max_size=3).map(
    lambda members: "{%s}" % ",".join(f"{json.dumps(name)}:{space}{value}{space}" for name, value, space in members))


@relaxed
@given(documents)
@example('{"int64s":[2.842897264777651e+16]}')
@example('{"doubles":[2.842897264777651e+16],"doubles":[1]}')
def test_of_any_document_ours_takes_what_google_takes_or_less(testee, document):
    try:
        packed = testee.packed(document)
    except ValueError as refusal:
        assert str(refusal)
        return
    reference = by_google(document)
    if reference is not None:  # where ours is wider, the test above says in what
        assert same(AllTypes.FromString(packed), reference)
    message = AllTypes.FromString(packed)
    if message.choice_null or message.null_value:
        return  # whatever number it was, it is written as null
    written = testee.json(packed)  # and what it took it can write, and takes again as the same
    assert same(AllTypes.FromString(testee.packed(written)), message)
