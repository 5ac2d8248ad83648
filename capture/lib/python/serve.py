"""What the functions in Python have in common: a gRPC server on port 50051."""

from concurrent import futures

import grpc


def run(register):
    """Serves what register makes known, for good."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    register(server)
    server.add_insecure_port("[::]:50051")
    server.start()
    server.wait_for_termination()
