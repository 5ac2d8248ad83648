// fibonacci-go answers SayHello(n) with the n-th Fibonacci number.
package main

import (
	"context"
	"fmt"
	"log"
	"math/big"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"muswarm/helloworld"
)

type server struct{}

func fibonacci(n int) *big.Int {
	current, next := big.NewInt(0), big.NewInt(1)
	for i := 0; i < n; i++ {
		current.Add(current, next)
		current, next = next, current
	}
	return current
}

func (server) SayHello(_ context.Context, in *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	n, err := strconv.Atoi(in.Name)
	if err != nil || n < 0 || n > 100000 {
		return nil, status.Errorf(codes.InvalidArgument, "want a number from 0 to 100000, got %q", in.Name)
	}
	return &helloworld.HelloReply{Message: fmt.Sprintf("fibonacci(%d) = %s", n, fibonacci(n))}, nil
}

func main() {
	listener, err := net.Listen("tcp", ":50051")
	if err != nil {
		log.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	helloworld.Register(grpcServer, server{})
	log.Fatal(grpcServer.Serve(listener))
}
