"""fibonacci-python answers SayHello(n) with the n-th Fibonacci number."""

from concurrent import futures

import grpc

import helloworld


def fibonacci(n):
    current, following = 0, 1
    for _ in range(n):
        current, following = following, current + following
    return current


class Greeter(helloworld.GreeterServicer):
    def SayHello(self, request, context):
        try:
            n = int(request.name)
        except ValueError:
            n = -1
        if not 0 <= n <= 100000:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f'want a number from 0 to 100000, got "{request.name}"',
            )
        return helloworld.HelloReply(message=f"fibonacci({n}) = {fibonacci(n)}")


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    helloworld.register(Greeter(), server)
    server.add_insecure_port("[::]:50051")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
