import { type Field, isScalar, type ProtoFile, type Service } from "./proto.js";

/**
 * Services in Go and Python, made from .proto files, so that no compiler for these has to be installed.
 * (Node.js reads the .proto file itself.)
 */

const GO_TYPES: Record<string, string> = {
  string: "string",
  bool: "bool",
  int32: "int32",
  int64: "int64",
  float: "float32",
  double: "float64",
};
const GO_WIRE: Record<string, string> = {
  string: "bytes",
  bool: "varint",
  int32: "varint",
  int64: "varint",
  float: "fixed32",
  double: "fixed64",
};

/** A Go package: the messages, whose struct tags are all that the protobuf runtime needs, and `Register`. */
export function goPackage(proto: ProtoFile): string {
  const parts = [
    `// Package ${proto.package} is ${proto.package}.proto for Go.`,
    `package ${proto.package}`,
    "",
    'import (\n\t"context"\n\n\t"github.com/golang/protobuf/proto"\n\t"google.golang.org/grpc"\n)',
  ];
  for (const { name, fields } of proto.messages) {
    parts.push("", `type ${name} struct {`, ...fields.map((field) => `\t${goField(field)}`), "}", "");
    parts.push(`func (m *${name}) Reset()         { *m = ${name}{} }`);
    parts.push(`func (m *${name}) String() string { return proto.CompactTextString(m) }`);
    parts.push(`func (*${name}) ProtoMessage()    {}`);
  }
  for (const service of proto.services) {
    parts.push(...goService(proto, service, proto.services.length === 1 ? "" : service.name));
  }
  return `${parts.join("\n")}\n`;
}

function goField({ name, number, type, repeated }: Field): string {
  const goName = name
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
  const goType = `${repeated ? "[]" : ""}${GO_TYPES[type] ?? `*${type}`}`;
  const tag = `${GO_WIRE[type] ?? "bytes"},${number},${repeated ? "rep" : "opt"},name=${name},proto3`;
  return `${goName} ${goType} \`protobuf:"${tag}" json:"${name},omitempty"\``;
}

function goService(proto: ProtoFile, { name, methods }: Service, suffix: string): string[] {
  const parts = ["", `// ${name}Server is what a function implements.`, `type ${name}Server interface {`];
  for (const m of methods)
    parts.push(`\t${m.name}(ctx context.Context, in *${m.request}) (*${m.reply}, error)`);
  parts.push("}", "", `// Register${suffix} makes the server answer calls with impl.`);
  parts.push(`func Register${suffix}(server *grpc.Server, impl ${name}Server) {`);
  parts.push("\tserver.RegisterService(&grpc.ServiceDesc{");
  parts.push(`\t\tServiceName: "${proto.package}.${name}",`, `\t\tHandlerType: (*${name}Server)(nil),`);
  parts.push("\t\tMethods: []grpc.MethodDesc{");
  for (const m of methods) parts.push(`\t\t\t{MethodName: "${m.name}", Handler: handle${name}${m.name}},`);
  parts.push("\t\t},", `\t\tMetadata: "${proto.package}.proto",`, "\t}, impl)", "}");
  for (const m of methods) {
    const call = `impl.(${name}Server).${m.name}`;
    parts.push(
      "",
      `func handle${name}${m.name}(impl interface{}, ctx context.Context, decode func(interface{}) error, intercept grpc.UnaryServerInterceptor) (interface{}, error) {`,
      `\tin := new(${m.request})`,
      "\tif err := decode(in); err != nil {\n\t\treturn nil, err\n\t}",
      `\tif intercept == nil {\n\t\treturn ${call}(ctx, in)\n\t}`,
      `\tinfo := &grpc.UnaryServerInfo{Server: impl, FullMethod: "/${proto.package}.${name}/${m.name}"}`,
      "\treturn intercept(ctx, in, info, func(ctx context.Context, req interface{}) (interface{}, error) {",
      `\t\treturn ${call}(ctx, req.(*${m.request}))`,
      "\t})",
      "}",
    );
  }
  return parts;
}

/** A Python module: the messages as classes, `register` and, to call a service, its stub. */
export function pythonModule(proto: ProtoFile): string {
  const parts = [
    `"""${proto.package}.proto for Python, described at run time."""`,
    "",
    "import grpc",
    "from google.protobuf import descriptor_pb2, descriptor_pool, message_factory",
    "",
    "_MESSAGES = {",
  ];
  for (const { name, fields } of proto.messages) {
    parts.push(`    "${name}": (`);
    for (const field of fields) parts.push(`        (${pythonField(field)}),`);
    parts.push("    ),");
  }
  parts.push(
    "}",
    "",
    "",
    "def _classes():",
    "    field = descriptor_pb2.FieldDescriptorProto",
    "    file = descriptor_pb2.FileDescriptorProto(",
    `        name="${proto.package}.proto", package="${proto.package}", syntax="proto3"`,
    "    )",
    "    for message, fields in _MESSAGES.items():",
    "        described = file.message_type.add(name=message)",
    "        for name, number, kind, message_type, repeated in fields:",
    "            described.field.add(",
    "                name=name,",
    "                number=number,",
    '                type=getattr(field, f"TYPE_{kind}"),',
    "                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,",
    `                type_name=f".${proto.package}.{message_type}" if message_type else None,`,
    "            )",
    "    pool = descriptor_pool.DescriptorPool()",
    "    pool.Add(file)",
    "    factory = message_factory.MessageFactory(pool)",
    "    return {",
    `        name: factory.GetPrototype(pool.FindMessageTypeByName(f"${proto.package}.{name}"))`,
    "        for name in _MESSAGES",
    "    }",
    "",
    "",
    "globals().update(_classes())",
  );
  for (const service of proto.services) {
    parts.push(
      ...pythonService(proto, service, proto.services.length === 1 ? "" : `_${snake(service.name)}`),
    );
  }
  return `${parts.join("\n")}\n`;
}

function pythonField({ name, number, type, repeated }: Field): string {
  const kind = isScalar(type) ? type.toUpperCase() : "MESSAGE";
  const messageType = isScalar(type) ? "None" : `"${type}"`;
  return `"${name}", ${number}, "${kind}", ${messageType}, ${repeated ? "True" : "False"}`;
}

function pythonService(proto: ProtoFile, { name, methods }: Service, suffix: string): string[] {
  const parts = ["", "", `class ${name}Servicer:`, '    """What a function implements."""'];
  for (const m of methods)
    parts.push("", `    def ${m.name}(self, request, context):`, "        raise NotImplementedError");
  parts.push("", "", `def register${suffix}(servicer, server):`);
  parts.push('    """Makes the server answer calls with the servicer."""', "    handlers = {");
  for (const m of methods) {
    parts.push(
      `        "${m.name}": grpc.unary_unary_rpc_method_handler(`,
      `            servicer.${m.name},`,
      `            request_deserializer=${m.request}.FromString,`,
      `            response_serializer=${m.reply}.SerializeToString,`,
      "        ),",
    );
  }
  parts.push("    }", "    server.add_generic_rpc_handlers(");
  parts.push(
    `        (grpc.method_handlers_generic_handler("${proto.package}.${name}", handlers),)`,
    "    )",
  );
  parts.push(
    "",
    "",
    `class ${name}Stub:`,
    `    """Calls a ${name}."""`,
    "",
    "    def __init__(self, channel):",
  );
  for (const m of methods) {
    parts.push(
      `        self.${m.name} = channel.unary_unary(`,
      `            "/${proto.package}.${name}/${m.name}",`,
      `            request_serializer=${m.request}.SerializeToString,`,
      `            response_deserializer=${m.reply}.FromString,`,
      "        )",
    );
  }
  return parts;
}

function snake(name: string): string {
  return name.replaceAll(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
