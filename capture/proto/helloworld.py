"""helloworld.proto for Python, described at run time, so that no .proto compiler is needed."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _messages():
    text = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    file = descriptor_pb2.FileDescriptorProto(
        name="helloworld.proto", package="helloworld", syntax="proto3"
    )
    for name, field in (("HelloRequest", "name"), ("HelloReply", "message")):
        file.message_type.add(name=name).field.add(
            name=field, number=1, type=text, label=optional
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [
        factory.GetPrototype(pool.FindMessageTypeByName(f"helloworld.{name}"))
        for name in ("HelloRequest", "HelloReply")
    ]


HelloRequest, HelloReply = _messages()


class GreeterServicer:
    """What a function implements."""

    def SayHello(self, request, context):
        raise NotImplementedError


def register(servicer, server):
    """Makes the server answer calls with the servicer."""
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.SayHello,
        request_deserializer=HelloRequest.FromString,
        response_serializer=HelloReply.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("helloworld.Greeter", {"SayHello": handler}),)
    )
