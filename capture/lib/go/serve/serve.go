// Package serve is what the functions in Go have in common: a gRPC server on port 50051.
package serve

import (
	"log"
	"net"

	"google.golang.org/grpc"
)

// Run serves what register makes known, for good.
func Run(register func(*grpc.Server)) {
	listener, err := net.Listen("tcp", ":50051")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	log.Fatal(server.Serve(listener))
}
