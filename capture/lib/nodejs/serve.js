// What the functions in Node.js have in common: a gRPC server for one service of a .proto file.

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

/** Serves `name` of package `proto`; methods take the request and return the reply, or throw. */
function serve(proto, name, methods) {
  const definition = protoLoader.loadSync(path.join(__dirname, `${proto}.proto`), {
    keepCase: true,
    longs: Number,
    defaults: true,
  });
  const { service } = grpc.loadPackageDefinition(definition)[proto][name];
  const handlers = {};
  for (const [method, answer] of Object.entries(methods)) {
    handlers[method] = (call, callback) => {
      try {
        callback(null, answer(call.request));
      } catch (error) {
        callback({ code: grpc.status.INVALID_ARGUMENT, details: error.message });
      }
    };
  }
  const server = new grpc.Server();
  server.addService(service, handlers);
  server.bindAsync("0.0.0.0:50051", grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}

module.exports = { serve };
