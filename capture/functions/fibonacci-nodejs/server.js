// fibonacci-nodejs answers SayHello(n) with the n-th Fibonacci number.

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

function fibonacci(n) {
  let current = 0n;
  let next = 1n;
  for (let i = 0; i < n; i++) [current, next] = [next, current + next];
  return current;
}

function sayHello(call, callback) {
  const n = Number(call.request.name);
  if (!Number.isInteger(n) || n < 0 || n > 100000) {
    const details = `want a number from 0 to 100000, got "${call.request.name}"`;
    callback({ code: grpc.status.INVALID_ARGUMENT, details });
    return;
  }
  callback(null, { message: `fibonacci(${n}) = ${fibonacci(n)}` });
}

const definition = protoLoader.loadSync(path.join(__dirname, "helloworld.proto"));
const { Greeter } = grpc.loadPackageDefinition(definition).helloworld;
const server = new grpc.Server();
server.addService(Greeter.service, { sayHello });
server.bindAsync("0.0.0.0:50051", grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
