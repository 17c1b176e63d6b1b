# SPDX-License-Identifier: Apache-2.0
"""The protocol in Python, straight from the descriptor set that the programs embed.

    pb.message("osmo.token.v1.SetRequest")(name="ci", kind="SERVICE")
    pb.Stub(channel, "osmo.token.v1.TokenService").WhoAmI({}, token=secret)
"""

import functools

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from . import program


@functools.lru_cache(maxsize=None)
def pool():
    files = descriptor_pb2.FileDescriptorSet.FromString(
        (program.BUILD / "gen/descriptor_set.pb").read_bytes())
    result = descriptor_pool.DescriptorPool()
    for file in files.file:
        result.Add(file)
    return result


def message_class(descriptor):
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool()).GetPrototype(descriptor)


@functools.lru_cache(maxsize=None)
def message(full_name):
    """The class of a message, by its full name."""
    return message_class(pool().FindMessageTypeByName(full_name))


class Method:
    """One RPC, called with a message or with a dict in its JSON form."""

    def __init__(self, channel, descriptor):
        self.request = message_class(descriptor.input_type)
        self.call = channel.unary_unary(
            f"/{descriptor.containing_service.full_name}/{descriptor.name}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=message_class(descriptor.output_type).FromString)

    def __call__(self, request, token=None, metadata=(), timeout=program.PATIENCE_S):
        if isinstance(request, dict):
            request = json_format.ParseDict(request, self.request())
        if token is not None:
            metadata = [*metadata, ("authorization", f"Bearer {token}")]
        return self.call(request, metadata=metadata, timeout=timeout)


class Stub:
    """A service with one attribute for each of its unary RPCs."""

    def __init__(self, channel, full_name):
        for method in pool().FindServiceByName(full_name).methods:
            setattr(self, method.name, Method(channel, method))


def channel(address, **options):
    """A plain-text channel that shares no connection with another."""
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *options.items()])


def details(error):
    """The google.rpc.Status of a grpc.RpcError, with its details, or None if it carries none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return message("google.rpc.Status").FromString(value)
    return None


def unpack(any_message):
    """The message inside a google.protobuf.Any."""
    return message(any_message.type_url.rpartition("/")[2]).FromString(any_message.value)
